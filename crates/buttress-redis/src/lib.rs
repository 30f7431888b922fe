//! Redis through `fred`, made safe: the way to Redis that every layer shares.
//!
//! ```no_run
//! use std::time::Duration;
//! use buttress_redis::{Mode, Redis};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let redis = Redis::connect("redis://127.0.0.1:6379")?; // at once, even when Redis is down
//! redis.set("greeting", "hello", Some(Duration::from_secs(60)), Mode::Always).await?;
//! assert_eq!(redis.get("greeting").await?.as_deref(), Some(&b"hello"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! No type of `fred` is in the signatures, but for `From<&fred::clients::Client>`, which borrows a configuration. Redis 6.2 or
//! Valkey 7.2 is enough.
//!
//! # When Redis is away
//!
//! | | |
//! |---|---|
//! | away at the start | [`Redis::connect`] returns all the same; commands fail as unavailable until Redis is there, then go through |
//! | away later, or killed | a command in flight fails as disconnected, later ones as unavailable, in microseconds; connected again within half a second of its return |
//! | hung | each command in flight costs its caller one [deadline](RedisOptions::deadline), then all fail at once; the connection is left after three silent probes (a consumer's after the first answer that is overdue) |
//! | a master that hangs or dies behind sentinels | as above, and the new master is found once the sentinels have chosen it |
//! | a master that the sentinels replace while it is there | it is left within a quarter of a second, so that neither what it says later nor what it is told is relied on |
//! | too slow for what is asked of it | beyond the [queue](RedisOptions::queue) commands fail as overloaded; memory stays flat |
//!
//! A command is sent once, never again after a lost reply: [`ErrorKind::may_have_happened`] tells which failures leave open
//! whether it was carried out. A future that is dropped stops waiting, not the command.
//!
//! # What is believed
//!
//! Replies have nothing but their order to say whose they are, and that order has been seen to fail. So a value is stored with
//! the digest of its key and believed under that key only; every other command is written together with a nonce, and its
//! reply is believed only when the nonce comes back in the next place; or it is given to a script that gives it back
//! ([`Redis::run_marked`]), or the hash that is read has a mark that is its own ([`Redis::fields`]). A reply without its proof is a miss (an error to a
//! writer), a counter, and the end of its connection. Two things are *not* proven: the `None` of [`Redis::get`] (ask
//! [`Redis::contains`] where absence decides), and anything against someone who may write to this Redis.
//!
//! # Connections
//!
//! One for small values and scripts, opened by [`Redis::connect`]; one for large values at the first [`Redis::bodies`]; one for
//! each [`Redis::watch`] and each [`Redis::consumer`]. None subscribes, opens a transaction or blocks beside others: what may block
//! (the next item of a list, the next entries of a stream, the replicas that are to have a write) is asked of a [`Consumer`]. Each is
//! watched, and closed when its handle is dropped; a consumer's not by probes, which would stand behind its wait, but by what it
//! asks: an answer that is overdue ends it.
//!
//! # Clusters
//!
//! Each key is found on its node, [`Redis::get_many`] asks once per slot, a script's keys must share a hash tag, and a feed listens on every
//! node. While a slot moves between nodes, its keys may be missed or refused, never wrong: `ASK` is not followed. While a
//! master is being replaced all commands are refused, also those for the other nodes, until the cluster says that it is whole.
//!
//! # Metrics
//!
//! Each with the label `role`: `bodies`, `consumer`, `data`, `push` or `sentinel`.
//!
//! | name | counts |
//! |---|---|
//! | `buttress_redis_up` | gauge: 1 while commands are sent |
//! | `buttress_redis_connections_total` | connections opened |
//! | `buttress_redis_errors_total` | commands that failed on the way or were refused, by `kind` ([`ErrorKind::as_str`]); those refused while down are not counted |
//! | `buttress_redis_unproven_replies_total` | replies without their proof |
//! | `buttress_redis_foreign_values_total` | values found that were not written here for that key |

mod error;
mod redis;
mod options;
mod read;
mod script;
mod consumer;
mod stream;
mod wait;
mod eviction;
mod feed;
mod sight;
mod command;
mod proof;
mod gate;
mod link;
mod supervisor;
mod sentinels;
mod line;
mod url;
mod tls;
mod canary;
mod names;

pub use command::Reply;
pub use consumer::Consumer;
pub use error::{ConfigError, Error, ErrorKind, Rejection};
pub use eviction::Eviction;
pub use feed::{Change, Feed};
pub use options::RedisOptions;
pub use proof::{SEAL_LEN, seal, unseal};
pub use redis::{Health, Mode, Redis};
pub use script::Script;
pub use sight::Sight;
pub use stream::{NotAStreamId, StreamEntry, StreamId};
