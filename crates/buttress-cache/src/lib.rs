//! A tower layer that answers from a shared HTTP response cache, embedded in the process or in Redis.
//!
//! ```
//! use buttress_cache::{Cache, CacheLayer};
//! use http::{Request, Response};
//! use http_body_util::{Empty, Full};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! # use bytes::Bytes;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let service = ServiceBuilder::new()
//!     .layer(CacheLayer::new(Cache::embedded())) // or Cache::redis(Redis::connect("redis://127.0.0.1")?)
//!     .service(service_fn(|_: Request<Empty<Bytes>>| async {
//!         // The slow part. What it answers is stored, because it says that it may be.
//!         let response = Response::builder().header("cache-control", "max-age=60");
//!         response.body(Full::new(Bytes::from("the price is 12")))
//!     }));
//!
//! let request = || Request::get("http://shop.example/price").body(Empty::new()).unwrap();
//! let first = service.clone().oneshot(request()).await?;
//! assert_eq!(first.headers()["cache-status"], "Buttress; fwd=uri-miss; ttl=60; stored");
//! http_body_util::BodyExt::collect(first.into_body()).await?; // an entry is kept once its body has passed
//!
//! let second = service.oneshot(request()).await?;
//! assert_eq!(second.headers()["cache-status"], "Buttress; hit; ttl=60");
//! assert_eq!(second.headers()["age"], "0");
//! # Ok(())
//! # }
//! ```
//!
//! What may be stored, for how long, for whom it may be reused and when it must be validated is what RFC 9111 says for a
//! shared cache ([`buttress_rfc9111`]); [`CacheLayer`] holds the settings, whose defaults fail closed. Bodies stream:
//! the client is served while the entry fills, and what is not stored is never buffered. Cookies are never replayed, nor is what a
//! response says of one request alone: `X-Request-Id`, `X-Correlation-Id`, `Server-Timing` and the fields of Trace Context.
//! Upgrades pass through untouched.
//!
//! QUERY (RFC 10008) and gRPC pass too, since what they ask stands in their content. [`ContentKeyLayer`], outside of the cache,
//! reads it and makes it part of the key: for each QUERY, and for the unary methods that were named to it. Connect by GET needs no
//! such thing: its message stands in the query of the URI.
//!
//! Concurrent misses on one key call the service once, in all processes that share a Redis: one holds a lease and the others
//! wait for what it stores, for at most [`CacheLayer::wait`]. An error is handed to nobody else; a process that dies costs
//! the others the rest of its lease, two seconds at most; what was fetched before a change cannot be stored after it; and
//! what cannot be shared is known to all, so that nobody queues for it. In one process they do not wait for the body: they
//! read along while it comes, each at its own pace.
//!
//! With the feature `memo`, results of functions and queries go through the same store.
//!
//! Two ways to need less: [`CacheOptions::compress`] keeps bodies of text small in Redis, and [`CacheLayer::no_vary_search`] lets one
//! response answer every query that it says is the same. Both are off by default.
//!
//! [`Cache::purge`] takes back what was stored, by tag, group, URI, path or host; see [`Purge`].
//!
//! # When Redis is away
//!
//! Requests are served as if nothing were stored there: a lookup that meets its deadline or a closed gate is a miss, and
//! what the service answers still lands in this process's memory. No request fails. Once Redis is known to be away it is
//! not asked, so that the price is one deadline, once. A purge that does not reach it is an error. A Redis that is full takes
//! purges and changes though it takes no entries; what it evicts is a miss.
//!
//! # What it spawns
//!
//! Writes to Redis (bounded in bytes), the renewal of a lease while its fill moves on (ten minutes at most), fills that go on when their client has
//! left and refreshes (64 at once, 30 seconds each). With Redis, one task that hears of changes; it ends with the cache.
//! Nothing else.
//!
//! # Metrics
//!
//! | counter | labels |
//! |---|---|
//! | `buttress_cache_requests_total` | `outcome`: `hit`, or why the service was asked (RFC 9211's `fwd` words) |
//! | `buttress_cache_not_stored_total` | `reason` |
//! | `buttress_cache_store_errors_total` | `verb`, `reason` |
//! | `buttress_cache_bad_records_total` | `reason` |
//! | `buttress_cache_memo_total` | `outcome` |
//! | `buttress_cache_shadow_total` | `verdict` |
//! | `buttress_cache_purged_records_total`: found in Redis and outdated by a purge | |
//! | `buttress_cache_writes_skipped_total`, `buttress_cache_fills_outdated_total` | |
//!
//! # Traces
//!
//! Spans at the level `debug`, none of them for a hit out of this process: `cache.lookup` (Redis is asked), `cache.wait` (behind
//! another request here), `cache.claim` (until no other process fetches the same), `cache.fetch` (the service is asked; `why` as in
//! `Cache-Status`), `cache.refresh` (in the background), `cache.purge`.

mod layer;
mod service;
mod content;
mod replay;
mod keyed;
mod grpc;
mod exchange;
mod turn;
mod alike;
mod policy;
mod asked;

mod errand;
mod fetch;
mod admit;
mod forward;
mod answer;
mod explain;
mod stored;
mod audit;
mod shadow;

mod key;
mod treacherous;
mod record;
mod manifest;
mod entry;
mod writer;
mod packed;
mod terms;
mod variants;
mod search;
mod tag;
mod capture;
mod ledger;
mod recent;
mod block;
mod sealed;
mod millis;

mod options;
mod cache;
mod lookup;
mod purge;
mod coherence;
mod listen;
mod flight;
mod lease;
mod fill;
mod parts;
mod growing;
mod reader;
mod keeper;
mod heads;
mod memory;
mod redis;
mod stamps;

mod assembly;
mod body;

#[cfg(feature = "memo")]
pub mod memo;

pub use audit::{Audit, Finding};
pub use body::CacheBody;
pub use buttress_rfc9111::cache_status::CacheName;
pub use buttress_rfc9111::rules::{Obey, Rules};
pub use buttress_rfc9111::vary::Normalization;
pub use cache::Cache;
pub use content::{ContentKeyLayer, ContentKeyService};
pub use explain::Explanation;
pub use grpc::{GrpcMethod, InvalidMethod};
pub use key::Key;
pub use layer::CacheLayer;
pub use options::CacheOptions;
pub use purge::{InvalidPurge, Purge, PurgeError, Receipt};
pub use replay::Replay;
pub use service::CacheService;
pub use shadow::{ShadowReport, Verdict};
pub use stored::Stored;
