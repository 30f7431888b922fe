//! Events: what to count, under which names, and where to look.
//!
//! ```
//! # #[cfg(feature = "events")] {
//! use std::time::Duration;
//! use buttress::events::{Events, EventsError, EventsLayer, Select, Undrained, Window};
//!
//! # fn layer(events: Events) -> EventsLayer {
//! EventsLayer::new(events) // outermost; with axum: Router::layer, so that it sees what was matched
//! # }
//!
//! fn bought(events: &Events, plan: &str, slug: &str, cents: u64) {
//!     events.add("bought", &[("plan", plan)], 1); // few plans: a label
//!     events.add("revenue.cents", &[("plan", plan)], cents); // an amount
//!     events.rank("bought", slug, 1); // many articles: a ranking
//! }
//!
//! async fn is_well(events: &Events) -> Result<bool, EventsError> {
//!     let report = events.read(Window::minutes(5)).await?;
//!     let failed = report.count(&Select::requests().status("5xx"));
//!     Ok(failed * 100 <= report.count(&Select::requests()))
//! }
//!
//! async fn before_the_end(events: &Events) -> Result<(), Undrained> {
//!     events.drain(Duration::from_secs(5)).await // what was counted in the last second
//! }
//! # let _ = (layer, bought, is_well, before_the_end);
//! # }
//! ```
//!
//! **A label or a ranking.** Each combination of labels is a series for as long as its minute, hour and day are kept, and there are 2,000. A label has few
//! values that are known beforehand: a plan, a kind, an outcome. What visitors bring (a slug, a referrer, a search term) is ranked: any number of them, of which
//! the highest are kept.
//!
//! **In which order.** Outermost, so that what the cache answers and what a guard refuses is counted too. Behind what tells requests apart by host, if there is
//! such a thing. In axum by `Router::layer` of the router whose routes are meant: around the whole service nothing is matched yet.
//!
//! **Who looks.** `Dashboard::new(events)` is a service to mount where only those come who may know what it shows (feature `events-dashboard`); the gateway has
//! it on its admin listener. `Events::prometheus` (feature `events-prometheus`) answers the totals of the whole cluster: one target for Prometheus, whichever
//! process it is; `Events::push_otlp` (feature `events-otlp`) pushes them, one process at a time. `Events::recorder` takes what other crates say by
//! the `metrics` facade, and so the cache's hits come to the dashboard.
//!
//! **How exact.** Counts are exact, but for what a killed process had not flushed (a second), and for what Redis itself loses. Quantiles are known to ±2.2 %,
//! visitors to about a percent; a ranking is exact for members that are clearly above the thousandth.
//!
//! **Private.** Visitors are counted by a digest of their address and browser under a salt that all processes share for a day and that is then forgotten: who they
//! were, and whether they come again tomorrow, nobody can tell. `DNT: 1` and `Sec-GPC: 1` are honoured. There is no cookie.
//!
//! **From the article's way.** `INCR` and `ZINCRBY` in each request cost Redis two commands each time, count twice where a client sends a command again whose
//! answer was lost, and have no end. `events.record(..)` and `events.rank(..)` in their place cost a dozen scripts a second, whatever comes.
