//! The handle: what handlers count with, and how it comes to where it is kept.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::USER_AGENT;
use http::request::Parts;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::backing::Backing;
use crate::error::{EventsError, Undrained};
use crate::flusher::{Flusher, Task};
use crate::options::EventsOptions;
use crate::policy::{self, Visit};
use crate::reader::Reader;
use crate::registry::{Registry, Slot};
use crate::salts;
use crate::series::{SeriesRef, cut};
use crate::shards::Shards;
use crate::store::{Store as _, StoreAway};
use crate::timeline::Timeline;

/// Counts events, and answers what was counted: cheap to clone, share one.
///
/// ```
/// use buttress_events::{Events, Window};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), buttress_events::EventsError> {
/// let events = Events::embedded(); // or Events::options().redis(redis)
/// events.record("login");
/// events.add("sold", &[("plan", "pro")], 3);
/// events.observe("upload.bytes", &[], 48_120.0);
/// events.rank("article", "how-to-count", 1); // any number of different ones
///
/// events.flush().await?; // happens by itself, each second
/// let report = events.read(Window::minutes(60)).await?;
/// assert_eq!(report.count(&"sold".into()), 3);
/// # Ok(())
/// # }
/// ```
///
/// To count costs about as much as an uncontended lock; nothing is asked of Redis, and nothing fails. What is too much is counted under a name of its own
/// ([`overflow`](crate#how-many-series)), or [dropped and counted](Self::dropped).
///
/// Dropping the last clone ends the task that flushes, and forgets what it has not flushed: [`drain`](Self::drain) before.
#[derive(Clone)]
pub struct Events {
    pub(crate) shared: Arc<Shared>,
    _task: Arc<Task>,
}

/// One series, resolved: counts without looking it up.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let events = buttress_events::Events::embedded();
/// let sold = events.counter("sold", &[("plan", "pro")]);
/// sold.add(3);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Counter {
    shared: Arc<Shared>,
    slot: Slot,
}

/// What all clones share.
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) shards: Shards,
    pub(crate) store: Backing,
    pub(crate) reader: Reader,
    pub(crate) timeline: Timeline,
    flusher: Mutex<Flusher>,
    /// What the flusher has, when it was looked at last.
    waiting: AtomicU64,
    dropped: AtomicU64,
}

/// Between two tries to bring the last counts to a store that is away.
const PAUSE: Duration = Duration::from_millis(50);
/// Nobody waits longer, whatever was said.
const EVER: Duration = Duration::from_secs(365 * 86_400);
/// What visitors are counted for by [`Events::visit`].
pub(crate) const EVERYBODY: &str = "visitors";

// === impl Events ===

impl Events {
    /// Kept by this process alone, and forgotten when it ends.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn embedded() -> Self {
        Self::options().embedded()
    }

    /// Settings other than the defaults; end with [`EventsOptions::redis`] or [`EventsOptions::embedded`].
    pub fn options() -> EventsOptions {
        EventsOptions::new()
    }

    pub(crate) fn start(store: Backing, most_series: usize, now: u64, pace: Duration) -> Self {
        let shared = Arc::new(Shared {
            registry: Registry::new(most_series),
            shards: Shards::new(),
            store,
            reader: Reader::default(),
            timeline: Timeline::guessed(now),
            flusher: Mutex::default(),
            waiting: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let task = Task::start(Arc::clone(&shared), pace);
        Self { shared, _task: Arc::new(task) }
    }

    /// Counts an event.
    pub fn record(&self, name: &str) {
        self.add(name, &[], 1);
    }

    /// Counts an event with labels, so many times; an amount, such as of bytes or cents.
    ///
    /// Labels are for what has few values: a plan, a kind, a region. Each combination is a series ([how many](crate#how-many-series)); what has many
    /// values is [ranked](Self::rank). At most six labels; names and values are cut after 200 bytes.
    pub fn add(&self, name: &str, labels: &[(&str, &str)], amount: u64) {
        let slot = self.shared.registry.resolve(SeriesRef { name, labels });
        self.shared.shards.add(slot, amount);
    }

    /// Counts a value of a distribution: a duration in seconds, a size in bytes. It is known to within ±2.2 % later
    /// ([`Report::quantile`](crate::Report::quantile)). What is not finite is [dropped](Self::dropped).
    pub fn observe(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        if value.is_finite() {
            let slot = self.shared.registry.resolve(SeriesRef { name, labels });
            self.shared.shards.observe(slot, value);
        } else {
            self.shared.drop_counts(1);
        }
    }

    /// A series that is counted often.
    #[must_use]
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Counter {
        Counter { slot: self.shared.registry.resolve(SeriesRef { name, labels }), shared: Arc::clone(&self.shared) }
    }

    /// Adds to a member of a ranking: an article, a referrer, a search term; of which there may be millions, and of which the highest are of interest
    /// ([`ranking`](Self::ranking)).
    ///
    /// In each step the 1,000 highest are kept, and of one flush the first 2,000: what is below may be missing or too low, what is clearly above is
    /// exact. Up to 20 rankings. Costs more than an event: each member is a string of its own until it is flushed.
    pub fn rank(&self, ranking: &str, member: &str, amount: u64) {
        let left = if amount == 0 { 0 } else { self.shared.shards.rank(cut(ranking), cut(member), amount) };
        self.shared.drop_counts(left);
    }

    /// Counts somebody once a day, by whatever tells them apart. Only a digest under the salt of the day goes to the store; the salt is forgotten after
    /// the day, and with it who they were ([`visitors`](Self::visitors)).
    ///
    /// Up to 20 names. Whoever asked not to be counted is not known here: [`visit`](Self::visit) looks.
    pub fn unique(&self, name: &str, who: impl AsRef<[u8]>) {
        self.note(name, &[who.as_ref()]);
    }

    /// Counts the sender of a request among the `visitors` of the day, by address and `User-Agent`; unless it says `DNT: 1` or `Sec-GPC: 1`. Answers
    /// whether it was counted. The address is the caller's to tell: behind a proxy it is what that proxy says.
    pub fn visit(&self, parts: &Parts, address: IpAddr) -> bool {
        let may = policy::visit(&parts.headers) == Visit::Counted;
        if may {
            let agent = parts.headers.get(USER_AGENT).map_or(&b""[..], |agent| agent.as_bytes());
            self.note(EVERYBODY, &[address.to_canonical().to_string().as_bytes(), agent]);
        }
        may
    }

    fn note(&self, name: &str, who: &[&[u8]]) {
        let name = cut(name);
        let left = self.shared.shards.visit(name, salts::digest(name, who));
        self.shared.drop_counts(left);
    }

    /// Brings what was counted to the store now. It happens by itself each second.
    ///
    /// # Errors
    /// The store cannot be reached; counts wait, and are sent again, and are not added twice.
    pub async fn flush(&self) -> Result<(), EventsError> {
        self.shared.flush().await.map_err(EventsError::new)
    }

    /// Brings all counts to the store before the process ends, and tries for so long.
    ///
    /// # Errors
    /// What could not be brought there in time. It is tried on while there is a clone of this.
    pub async fn drain(&self, within: Duration) -> Result<(), Undrained> {
        let until = Instant::now() + within.min(EVER);
        loop {
            match tokio::time::timeout_at(until, self.shared.flush()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(_)) if Instant::now() + PAUSE < until => tokio::time::sleep(PAUSE).await,
                _ => return Err(Undrained { left: self.shared.left() }),
            }
        }
    }

    /// How many events could not be counted since the process began: ranked or unique ones that were too many in one second, values that are not finite,
    /// what was older than a week when the store came back, and what could not be added to its day, since something else lies there.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("store", &self.shared.store).finish_non_exhaustive()
    }
}

// === impl Counter ===

impl Counter {
    /// Counts so many.
    pub fn add(&self, amount: u64) {
        self.shared.shards.add(self.slot, amount);
    }

    pub(crate) fn observe(&self, value: f64) {
        if value.is_finite() {
            self.shared.shards.observe(self.slot, value);
        } else {
            self.shared.drop_counts(1);
        }
    }
}

// === impl Shared ===

impl Shared {
    /// Gathers what was counted, and brings it to the store.
    pub(crate) async fn flush(&self) -> Result<(), StoreAway> {
        let mut flusher = self.flusher.lock().await;
        flusher.gather(self);
        self.waiting.store(flusher.waiting(), Ordering::Relaxed); // whoever is not patient enough for the turn knows
        let flushed = flusher.turn(self).await;
        self.waiting.store(flusher.waiting(), Ordering::Relaxed);
        let outcome = if flushed.is_ok() { "done" } else { "failed" };
        metrics::counter!("buttress_events_flushes_total", "outcome" => outcome).increment(1);
        metrics::counter!("buttress_events_overflowed_total").absolute(self.registry.overflowed());
        metrics::gauge!("buttress_events_waiting").set(flusher.waiting() as f64);
        self.reader.outdate();
        flushed
    }

    /// How many counts have not arrived, as far as is known.
    fn left(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed).saturating_add(self.shards.count())
    }

    /// What time it is where counts are kept.
    pub(crate) async fn now(&self) -> Result<u64, StoreAway> {
        match self.store.clock() {
            Some(now) => Ok(now),
            None if self.timeline.is_told() => Ok(self.timeline.now()),
            None => self.store.now().await,
        }
    }

    pub(crate) fn drop_counts(&self, count: u64) {
        if count > 0 {
            self.dropped.fetch_add(count, Ordering::Relaxed);
            metrics::counter!("buttress_events_dropped_total").increment(count);
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("store", &self.store).finish_non_exhaustive()
    }
}
