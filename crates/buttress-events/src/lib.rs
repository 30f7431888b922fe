//! Counts what happens, exactly once, and shows it live: a tower layer for requests, and a handle for everything else.

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
