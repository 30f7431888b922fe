//! What the layer for events promises, and where that is tested.
//!
//! | promise | test |
//! |---|---|
//! | each request is counted once, when it has ended, as what it was; nothing of it is touched | `requests` |
//! | under axum and tonic, by HTTP/1.1 and HTTP/2, with clients that leave | `servers` |
//!
//! What every store does, and the rules of what is counted as what, are tested beside the code.

mod requests;
mod servers;
