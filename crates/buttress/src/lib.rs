//! Composable tower layers that hold up any hyper, axum or tonic service, with Redis behind them.
//!
//! | module | feature | what it does | needs Redis? | when Redis is away |
//! |---|---|---|---|---|
//! | [`cache`] | `cache` | answers from a shared HTTP response cache | no: embedded by default | serves as if nothing were stored |
//! | [`assets`] | `assets` | says how long assets and pages may be kept | no Redis at all | |
//! | [`jwt`] | `jwt` | knows who is calling and whether the token is still good; issues, refreshes and revokes tokens | no: embedded by default | checks in memory for a second, then refuses with 503 |
//! | [`session`] | `session` | loads, keeps and ends a session; loses nothing under concurrency | no: embedded by default | refuses what asks for its session, with 503 |
//! | [`events`] | `events` | counts what happens, exactly once, and shows it live | no: embedded by default | counts wait in memory, and nobody else does |
//! | `cache::memo` | `memo` | keeps results of functions and queries in the same store | no | loads, and remembers here |
//! | [`redis`] | `redis` | the connection that the layers share | | fails within milliseconds |
//!
//! ```
//! # #[cfg(feature = "cache")] {
//! use buttress::cache::{Cache, CacheLayer};
//! use tower_layer::Layer;
//!
//! # fn wrap<S>(your_service: S) -> impl Sized {
//! CacheLayer::new(Cache::embedded()).layer(your_service)
//! # }
//! # }
//! ```
//!
//! The [`guide`] says where in a stack each layer stands, what the cache stores and what not, and what an operator should
//! know of the Redis behind it.

pub use buttress_core as core;

#[cfg(feature = "assets")]
pub use buttress_assets as assets;
#[cfg(feature = "cache")]
pub use buttress_cache as cache;
#[cfg(feature = "events")]
pub use buttress_events as events;
#[cfg(feature = "jwt")]
pub use buttress_jwt as jwt;
#[cfg(feature = "redis")]
pub use buttress_redis as redis;
#[cfg(feature = "session")]
pub use buttress_session as session;

pub mod guide;
