//! What the layer for tokens promises, and where that is tested.
//!
//! | promise | test |
//! |---|---|
//! | what is forged, by any way that once worked somewhere, is refused with its fault, over HTTP and gRPC | `attacks` |
//! | a caller is answered by RFC 6750, and the service behind sees who it is and not the token | `answers` |
//! | cookies, credentials and gRPC statuses are right on the wire | `wire` |
//! | what was verified before is asked for all that may change; nothing of one person is cached for another | `remembered` |
//! | what one process revokes all refuse; a Redis that forgot is told again | `fleet` |
//! | whatever happens to Redis, no revoked token is taken for good later than the bound, and nothing is lost that somebody alive knows | `faults`, `losses`, `failover` |
//! | a restart of a process that has no Redis forgets nothing, however it ended | `journal` |
//! | a login goes on from token to token; a copy of a refresh token ends it; nothing at rest can be presented | `life` |
//! | tokens that were made for a session end with it | `sessions` |
//! | the ready services, as a browser and as a program use them | `endpoints` |
//! | the real flask-jwt-extended believes our tokens and we its, and what one side ends has ended on the other | `flask` |
//!
//! Rules, sources, cookies, forged requests, times and rotations are tested beside the code, in tables; fetched keys in the crate's `tests/fetch`.

#[path = "../asking.rs"]
mod asking;
mod answers;
mod attacks;
mod bed;
mod endpoints;
mod flask;
mod fleet;
mod life;
mod remembered;
mod sessions;
mod wire;
mod hammer;
mod faults;
mod losses;
mod failover;
mod journal;
