//! Sessions that lose nothing and leak nothing: a tower layer that loads, keeps and ends them.
//!
//! ```
//! use buttress_session::{CookieKey, Session, SessionError, SessionLayer, Sessions};
//! use tower::Layer as _;
//!
//! # fn wrap<S>(your_service: S) -> impl Sized {
//! let sessions = Sessions::embedded(CookieKey::random()); // or Sessions::options(key).redis(redis)
//! let layer = SessionLayer::new(sessions);
//! layer.layer(your_service) // handlers find a `Session` in the request's extensions
//! # }
//!
//! async fn handler(session: Session) -> Result<String, SessionError> {
//!     let visits = session.incr("visits", 1).await?;
//!     Ok(format!("visit {visits}"))
//! }
//! # let _ = (wrap(()), handler);
//! ```
//!
//! A request that does not ask for its session costs Redis nothing, one that reads it a round trip, one that writes it two; ten times in the
//! [idle time](SessionsOptions::idle) one more, to note that it was seen. Visitors who write nothing have no cookie and no record.
//!
//! # What it holds to
//!
//! - The cookie has a name that only this host can set (`__Host-sid`), and an id of 128 random bits under a seal. What was not sealed here never
//!   reaches Redis, which knows sessions by a digest of their ids; an id that a client chose is never adopted.
//! - Requests at the same time lose nothing of each other: only fields that have changed are written, sums are summed, and an
//!   [update](Session::update) is done again where another one was faster.
//! - What was done is kept before the first byte of the response, all of it or nothing, and not if the response is an error of the server.
//! - A [login](Session::login) always has a new id. Who knew the old one sees for ten seconds what they saw before, and writes nothing.
//! - What has [ended](Sessions::end_all) stays ended, in all processes at once. Who writes to it learns it: 409.
//! - A response depends on the session when a handler has asked for it, and not because there is a cookie: then it has `Vary: Cookie`, and a
//!   buttress cache on either side stores it for nobody ([`buttress_core::Personal`]). With a cookie it is `no-store`.
//! - A cookie is taken back by who ends its session, and by nothing else: neither an outage nor a planted cookie logs anybody out.
//!
//! # What is answered
//!
//! Errors go to the handler first ([`SessionError`]). Where an answer cannot stand, the layer gives another one, as a problem document or a gRPC
//! status, with the [`SessionErrorKind`] in its extensions:
//!
//! | | status | gRPC |
//! |---|---|---|
//! | the session cannot be reached, and was asked for | 503 | `UNAVAILABLE` |
//! | it ended while the request wrote to it | 409 | `ABORTED` |
//! | others write to the same field all the time | 503 | `UNAVAILABLE` |
//! | it would be too large, by what others have written too | 507 | `INTERNAL` |
//! | what hangs on it could not be ended | 503 | `UNAVAILABLE` |
//!
//! # When Redis is away
//!
//! Requests that do not ask for their session go on, and visitors without a cookie can ask. The others are answered with 503
//! ([`SessionLayer::outage`]), within milliseconds once it is known; or they go on as nobody's, marked. A write whose answer was lost is 503 as well: it may have
//! happened. The cookie stays, and nothing empty ever takes a session's place.
//!
//! | Redis | sessions |
//! |---|---|
//! | hangs | requests that ask wait for [`deadline`](SessionsOptions::deadline) each, then fail at once |
//! | restarts with its data | go on |
//! | was flushed, or failed over to a replica that lagged | those that are gone are gone: their cookies open nothing, and who writes begins anew |
//! | became a replica by hand | can be read there until a write, or a note of use, is refused; sentinels are watched, and such a master is left at once |
//! | failed over while somebody logged in | the login may be missing among those of its subject, and what was acknowledged last may be undone: `min-replicas-to-write 1` |
//! | is full (`noeviction`) | are read and ended, and not written: 503 |
//! | evicts keys | users are logged out; do not let it |
//!
//! # Metrics
//!
//! | name | counts |
//! |---|---|
//! | `buttress_session_loads_total` | sessions that were asked for, by `outcome`: `found`, `none` (no cookie), `unknown`, `forged`, `ambiguous`, `away` |
//! | `buttress_session_created_total` | new ids, by `how`: `created`, `renewed`, `logged in` |
//! | `buttress_session_logins_total` | logins |
//! | `buttress_session_ended_total` | sessions that were ended |
//! | `buttress_session_conflicts_total` | writes that were done again, since another request was faster |
//! | `buttress_session_failed_commits_total` | what was not kept, by `reason` ([`SessionErrorKind::as_str`]) |
//! | `buttress_session_late_total` | responses that had begun when their session was written to |
//! | `buttress_session_bad_records_total` | records and fields that could not be read |
//!
//! The log names sessions by the start of their digest.
//!
//! # What it does not do
//!
//! No sessions in cookies, no binding to an address or a browser (a signal at most, and often wrong), no lock on a session while a request runs. A
//! handler that reads a field and inserts another value may lose against one that does the same: that is what `update` is for.

mod layer;
mod service;
mod policy;
mod session;
mod typed;
mod identity;
mod flash;
mod csrf;
mod visit;
mod changes;
mod commit;
mod fresh;
mod turns;
mod answer;
mod error;

mod sessions;
mod options;
mod cookie;
mod id;
mod record;
mod cipher;
mod backing;
mod key;
mod store;
mod memory;
mod redis;
mod future;
#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "tower-sessions")]
pub mod tower_sessions;
#[cfg(feature = "flask")]
pub mod flask;

pub use cookie::{CookieError, SameSite, SessionCookie};
pub use error::{SessionError, SessionErrorKind};
pub use flash::{Flash, Level};
pub use future::SessionFuture;
pub use id::{CookieKey, KeyError};
pub use layer::SessionLayer;
pub use options::SessionsOptions;
pub use service::SessionService;
pub use session::{Map, Session};
pub use sessions::{Device, Sessions};
