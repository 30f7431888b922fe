//! Reads steps, and keeps what was read for a moment: those who ask at the same time ask the store once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::EventsError;
use crate::events::{Events, Shared};
use crate::report::Report;
use crate::series::{Id, Series};
use crate::store::{Store as _, StoreAway};
use crate::tally::Tally;
use crate::window::{Step, Window};

/// What was read lately. One reads at a time.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    lately: Mutex<Lately>,
    /// How often this process has flushed: who asks after that sees it.
    flushed: AtomicU64,
}

#[derive(Debug, Default)]
struct Lately {
    counts: HashMap<(Step, u64), Read<HashMap<Id, Tally>>>,
    names: HashMap<u64, Read<Vec<Arc<Series>>>>,
}

#[derive(Debug)]
struct Read<T> {
    at: Instant,
    flushed: u64,
    what: Arc<T>,
}

/// What is counted in a step, as it was read.
pub(crate) type Counts = Arc<HashMap<Id, Tally>>;

/// So many reads at the same time.
const AT_ONCE: usize = 32;
/// What is counted at the moment is read again after it.
const MOMENT: Duration = Duration::from_millis(900);
/// Steps that are over may still change: a process may have been cut off.
const OVER: Duration = Duration::from_secs(30);
/// Until when a step that is over is likely to change, in milliseconds.
const LATE: u64 = 5000;
/// So many steps are kept.
const MOST: usize = 4000;

// === impl Reader ===

impl Reader {
    /// What is counted at the moment is to be read again.
    pub(crate) fn outdate(&self) {
        self.flushed.fetch_add(1, Ordering::Relaxed);
    }
}

// === impl Events ===

impl Events {
    /// What was counted in a window, by all processes.
    ///
    /// Costs a read of each step and of the names of each day, at the same time; steps that are over are read again after half a minute, the current
    /// one after a second, whoever asks. Sixty minutes with a hundred series are about half a megabyte.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn read(&self, window: Window) -> Result<Report, EventsError> {
        self.shared.read(window).await.map_err(EventsError::new)
    }

    /// The highest members of a ranking in a window, by all processes. Costs a read of each step, up to 1,000 members each.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn ranking(&self, name: &str, window: Window, most: usize) -> Result<Vec<(Box<str>, u64)>, EventsError> {
        self.shared.ranking(name, window, most).await.map_err(EventsError::new)
    }

    /// About how many different ones were counted under a name ([`unique`](Self::unique), or `visitors` of [`visit`](Self::visit)) on each of the last days,
    /// with the start of the day, the earliest first; within about a percent. Somebody who comes on two days is counted on both: nobody can tell.
    /// Costs a read of each day; they are kept for 40 days.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn visitors(&self, name: &str, days: u32) -> Result<Vec<(std::time::SystemTime, u64)>, EventsError> {
        self.shared.visitors(name, days).await.map_err(EventsError::new)
    }
}

// === impl Shared ===

impl Shared {
    pub(crate) async fn read(&self, window: Window) -> Result<Report, StoreAway> {
        let now = self.now().await?;
        let starts = window.starts(now);
        let days: Vec<_> = starts.iter().map(|start| Step::Day.start(*start)).collect();
        let mut lately = self.reader.lately.lock().await;
        lately.read_counts(self, window.step(), &starts, now).await?;
        lately.read_names(self, days).await?;
        Ok(lately.report(window, &starts, now))
    }

    async fn ranking(&self, name: &str, window: Window, most: usize) -> Result<Vec<(Box<str>, u64)>, StoreAway> {
        let (ranking, starts) = (crate::batch::ranking(crate::series::cut(name)), window.starts(self.now().await?));
        let reads = starts.into_iter().map(|start| self.store.ranking(window.step(), start, ranking));
        let steps: Vec<_> = futures_util::stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        Ok(crate::ranking::together(steps, most))
    }

    pub(crate) async fn visitors(&self, name: &str, days: u32) -> Result<Vec<(std::time::SystemTime, u64)>, StoreAway> {
        let (name, starts) =
            (crate::batch::visited(crate::series::cut(name)), Window::days(days).starts(self.now().await?));
        let read = async |start| Ok((crate::policy::time(start), self.store.visitors(start, name).await?));
        let reads = starts.into_iter().map(read);
        futures_util::stream::iter(reads).buffered(AT_ONCE).try_collect().await
    }
}

// === impl Lately ===

impl Lately {
    async fn read_counts(&mut self, shared: &Shared, step: Step, starts: &[u64], now: u64) -> Result<(), StoreAway> {
        let flushed = shared.reader.flushed.load(Ordering::Relaxed);
        let missing = starts.iter().copied().filter(|&start| {
            let is_over = now >= start + step.millis() + LATE;
            self.counts.get(&(step, start)).is_none_or(|read| !read.is_good(is_over, flushed))
        });
        let reads = missing.map(async |start| Ok((start, shared.store.counts(step, start).await?)));
        let read: Vec<_> =
            futures_util::stream::iter(reads.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await?;
        self.counts.retain(|_, read| read.at.elapsed() < 4 * OVER);
        if self.counts.len() > MOST {
            self.counts.clear();
        }
        let read = read.into_iter().map(|(start, counts)| ((step, start), Read::now(counts, flushed)));
        self.counts.extend(read);
        Ok(())
    }

    async fn read_names(&mut self, shared: &Shared, mut days: Vec<u64>) -> Result<(), StoreAway> {
        days.sort_unstable();
        days.dedup();
        let flushed = shared.reader.flushed.load(Ordering::Relaxed);
        let missing =
            days.into_iter().filter(|day| self.names.get(day).is_none_or(|read| !read.is_good(false, flushed)));
        let missing: Vec<_> = missing.collect();
        let reads = missing.into_iter().map(async |day| Ok((day, shared.store.names(day).await?)));
        let read: Vec<_> = futures_util::stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        self.names.retain(|_, read| read.at.elapsed() < 4 * OVER);
        for (day, names) in read {
            self.names.insert(day, Read::now(names.into_iter().map(Arc::new).collect(), flushed));
        }
        Ok(())
    }

    fn report(&self, window: Window, starts: &[u64], now: u64) -> Report {
        let steps = starts.iter().map(|&start| {
            let counts = self.counts.get(&(window.step(), start)).map(|read| Arc::clone(&read.what));
            (start, counts.unwrap_or_default())
        });
        let names = self.names.values().flat_map(|read| read.what.iter()).map(|series| (series.id, Arc::clone(series)));
        Report::new(window.step(), steps.collect(), names.collect(), now)
    }
}

// === impl Read ===

impl<T> Read<T> {
    fn now(what: T, flushed: u64) -> Self {
        Self { at: Instant::now(), flushed, what: Arc::new(what) }
    }

    /// Whether it need not be read again.
    fn is_good(&self, is_over: bool, flushed: u64) -> bool {
        let age = self.at.elapsed();
        if is_over { age < OVER } else { age < MOMENT && self.flushed == flushed }
    }
}
