//! Redis through `fred`, made safe.
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

mod error;
mod redis;
mod options;
mod read;
mod script;
mod consumer;
mod feed;
mod sight;
mod command;
mod proof;
mod gate;
mod link;
mod supervisor;
mod line;
mod url;
mod tls;
mod canary;
mod names;

pub use command::Reply;
pub use consumer::Consumer;
pub use error::{ConfigError, Error, ErrorKind, Rejection};
pub use feed::{Change, Feed};
pub use options::RedisOptions;
pub use redis::{Health, Mode, Redis};
pub use script::Script;
pub use sight::Sight;
