//! Counts what happens, exactly once, and shows it live: a tower layer for requests, and a handle for everything else.
//!
//! ```
//! use buttress_events::{Events, EventsLayer, Select, Window};
//! use tower::Layer as _;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), buttress_events::EventsError> {
//! # let your_service = ();
//! let events = Events::embedded(); // or Events::options().redis(redis)
//! let service = EventsLayer::new(events.clone()).layer(your_service); // counts each request
//! events.record("login"); // and whatever else happens
//!
//! let report = events.read(Window::minutes(60)).await?; // of all processes together
//! let failed = report.count(&Select::requests().status("5xx"));
//! let slow = report.quantile(&Select::requests(), 0.99); // seconds
//! # let _ = (service, failed, slow);
//! # Ok(())
//! # }
//! ```
//!
//! To count costs Redis nothing: each thread counts for itself, and once a second one task brings it all to Redis, in a few scripts whose number does not
//! depend on that of requests.
//!
//! # What it holds to
//!
//! - What arrived is counted once. A flush is frozen, numbered, and sent as it is until it is acknowledged; the number lies in the hash that it changes, so
//!   that a flush whose answer was lost is not added twice.
//! - What waits is bounded by the number of series, not by how long Redis is away: after a quarter of an hour minutes become hours, after a day hours
//!   become days, and after a week days are dropped, and counted ([`Events::dropped`]).
//! - In which minute something happened is told by the clock of Redis. Nobody's wall clock makes a minute of the future.
//! - A request is over when its body is. What its client left is `cancelled`, what broke off has failed, and a call of gRPC is what its trailers say.
//! - A path is never a name. Requests that no route took are one series, `<unmatched>`.
//! - Who asked not to be counted is not, and nobody can be followed from one day to the next.
//!
//! # How many series
//!
//! A name with its labels is a series, and there are at most [2,000](EventsOptions::most_series) in a process, and in a day in all processes together. What
//! comes later is counted as `overflow` of its name, so that totals are right and only labels are missing; requests keep their method and how they ended. A
//! day later the cluster has room again, a process when it is restarted. What has many values is [ranked](Events::rank).
//!
//! # What it costs to ask
//!
//! | | reads | |
//! |---|---|---|
//! | [`read`](Events::read) | a hash for each step, one for each day | steps that are over are kept for half a minute, the current one for a second |
//! | anything of a [`Report`] | none | |
//! | [`ranking`](Events::ranking) | a sorted set for each step, its 1,000 highest | kept as long |
//! | [`visitors`](Events::visitors) | a `PFCOUNT` for each day | kept as long |
//! | the dashboard | the above, each second, while somebody looks | one reader in a process, however many look |
//! | [`prometheus`](Events::prometheus), [`otlp`](Events::otlp) | a hash for each day of the month, once | then today's |
//!
//! # When Redis is away
//!
//! Requests notice nothing: no call waits for Redis, and none is refused. Counts wait in memory and arrive when it is back.
//!
//! | Redis | counts |
//! |---|---|
//! | hangs, or is away | wait; who reads gets an error, and the dashboard shows the last figures and that they are |
//! | restarts with its data (`appendonly yes`, `appendfsync always`) | are exact |
//! | restarts without what it had not written | that is lost; nothing is counted twice |
//! | was flushed | what was in it is gone; new counts are right at once, and have their names again within a minute |
//! | fails over | what had not reached the replica is lost; nothing is counted twice |
//! | is full (`noeviction`) | wait |
//! | evicts keys | steps are lost whole |
//!
//! A process that is killed loses what it counted since its last flush: a second. One that ends in order calls [`Events::drain`].
//!
//! # Metrics
//!
//! | name | counts |
//! |---|---|
//! | `buttress_events_flushes_total` | flushes, by `outcome`: `done`, `failed` |
//! | `buttress_events_waiting` | gauge: counts that have not arrived |
//! | `buttress_events_dropped_total` | events that could not be counted |
//! | `buttress_events_overflowed_total` | how often a series was asked for and its overflow counted |
//! | `buttress_events_refused_names_total` | series of this process that were too many in the cluster |
//! | `buttress_events_bad_records_total` | records that could not be read |
//!
//! # What it does not do
//!
//! No log of single events, no funnels, no sampling, nothing by person: that is a warehouse's work. No gauges: the level of one process is no event, and those
//! of several have no sum.

mod layer;
mod service;
mod policy;
mod request;
mod events;
mod options;
mod select;
mod window;
mod report;
mod ranking;
mod recorder;
#[cfg(any(feature = "otlp", feature = "prometheus"))]
mod totals;
#[cfg(feature = "prometheus")]
mod prometheus;
#[cfg(feature = "otlp")]
mod otlp;
mod error;
#[cfg(feature = "dashboard")]
mod dashboard;
#[cfg(feature = "dashboard")]
mod live;
#[cfg(feature = "dashboard")]
mod overview;

mod series;
mod registry;
mod histogram;
mod tally;
mod shards;
mod salts;
mod pending;
mod batch;
mod enrolled;
mod flusher;
mod timeline;
mod reader;
mod lately;
mod backing;
mod key;
mod store;
mod memory;
mod redis;
mod body;
mod future;

pub use body::EventsBody;
#[cfg(feature = "dashboard")]
pub use dashboard::{Dashboard, DashboardBody};
pub use error::{EventsError, Undrained};
pub use events::{Counter, Events};
pub use future::EventsFuture;
pub use layer::EventsLayer;
pub use options::EventsOptions;
#[cfg(feature = "otlp")]
pub use otlp::CollectorError;
pub use recorder::EventsRecorder;
pub use report::{Point, Report};
pub use select::Select;
pub use service::EventsService;
pub use window::{Step, Window};
