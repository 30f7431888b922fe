//! What the layer for events promises, and where that is tested.
//!
//! | promise | test |
//! |---|---|
//! | each request is counted once, when it has ended, as what it was; nothing of it is touched | `requests` |
//! | under axum and tonic, by HTTP/1.1 and HTTP/2, with clients that leave | `servers` |
//! | four processes, lines cut ten thousand times when a reply was due, Redis and a process killed: each count arrives, once | `exact` |
//!
//! What every store does, and the rules of what is counted as what, are tested beside the code.

mod article;
mod bed;
mod exact;
mod requests;
mod servers;
mod truth;
