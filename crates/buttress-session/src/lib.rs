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
//! A request that does not ask for its session costs Redis nothing, one that reads it a round trip, one that writes it two. Visitors who write nothing
//! have no cookie and no record.

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
