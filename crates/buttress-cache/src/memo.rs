//! Results of functions and queries, in the same store as responses and purged by the same tags.
//!
//! ```
//! use std::time::Duration;
//! use buttress_cache::Cache;
//! use buttress_cache::memo::Memo;
//!
//! # #[derive(serde::Serialize, serde::Deserialize)]
//! struct User { name: String, team: u32 }
//! # async fn load(_: u64) -> Result<User, std::io::Error> { Ok(User { name: "Ann".into(), team: 3 }) }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cache = Cache::embedded(); // the handle that the layers were given
//! let users: Memo<u64, User> = Memo::new(&cache, "users").ttl(Duration::from_secs(60));
//!
//! let user = users
//!     .get_or_try_insert_with(&7, |loading| async move {
//!         let user = load(7).await?;
//!         loading.tag(format!("team-{}", user.team));
//!         Ok::<_, std::io::Error>(user)
//!     })
//!     .await?;
//! assert_eq!(user.name, "Ann");
//!
//! users.invalidate(&7).await?; // this value, and every cached page that was made with it
//! cache.purge(buttress_cache::Purge::tag("team-3")).await?; // all of the team, and their pages
//! users.clear().await?; // all users
//! # Ok(())
//! # }
//! ```
//!
//! A hit in this process is an [`Arc`](std::sync::Arc) of the value: nothing is decoded, copied or asked. Of callers that miss on
//! one key at once, one loads, in all processes that share a Redis; the others wait for what it stores, for at most
//! [`Memo::wait`]. An error goes to the caller whose loader it is; who waits tries again. The loader runs in a task of its own:
//! when its caller goes away, it goes on for those who wait.
//!
//! # What is made of what
//!
//! While a handler behind a [`CacheLayer`](crate::CacheLayer) runs, the tags of each memoized value that it uses become tags of its
//! response; while a loader runs, of its value. So whatever purges a value purges the pages and values that were made of it. What
//! is used in another task (`tokio::spawn`), or after the head of the response was returned, is not seen: use it before. Nor are
//! values of another [`Cache`](crate::Cache): what purges them does not reach this one. What is made of a value that is out of date, or
//! that its loader would not have stored, is not stored itself.
//!
//! # Versions
//!
//! The name of the value's type and [`Memo::version`] are part of each key, so that a deployment does not read what another
//! one wrote that has other types. A type that changes and keeps its name needs a new version: values are encoded without the
//! names of their fields (postcard), and a changed struct may be read as something else. What cannot be decoded is a miss.
//!
//! # When Redis is away
//!
//! The loader is called, and this process remembers. [`invalidate`](Memo::invalidate) and [`clear`](Memo::clear) are errors.

mod batch;
mod chain;
mod error;
mod found;
mod load;
mod loading;
mod table;
mod value;

pub use error::MemoError;
pub use loading::Loading;
pub use table::Memo;

pub(crate) use value::Values;
