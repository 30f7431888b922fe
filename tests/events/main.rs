//! What the layer for events promises, and where that is tested.
//!
//! | promise | test |
//! |---|---|
//! | each request is counted once, when it has ended, as what it was; nothing of it is touched | `requests` |
//! | under axum and tonic, by HTTP/1.1 and HTTP/2, with clients that leave | `servers` |
//! | four processes, lines cut ten thousand times when a reply was due, Redis and a process killed: each count arrives, once | `exact` |
//! | Redis hung, killed, emptied, full, read-only: requests take as long as before, and all are there afterwards; what waits is bounded | `away` |
//! | a million different paths, labels and members, and names made up to harm: memory flat, series and names capped, totals right | `bounded` |
//! | clocks that are wrong or jump: counts are in the steps of the store's clock, and none in the future | `clocks` |
//! | in a cluster steps lie on all masters; one that is replaced loses what it told nobody, and nothing is counted twice | `cluster` |
//! | the dashboard, Prometheus and a collector of OpenTelemetry are told the same by each process, and one pushes for all | `outward` |
//! | a flush that is done has brought all; one that is given up, fails or hangs loses nothing, and the end of a process says what is left; what is no count is in nobody's way | `races` |
//!
//! What every store does, and the rules of what is counted as what, are tested beside the code.

mod article;
mod away;
mod bed;
mod bounded;
mod clocks;
mod cluster;
mod exact;
mod outward;
mod races;
mod requests;
mod servers;
mod truth;
