//! What can be asked of the store, by all who want to know, through one place.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use futures_util::TryFutureExt as _;
use tokio::sync::Mutex;

use crate::error::EventsError;
use crate::events::{Events, Shared};
use crate::lately::{Lately, Until};
use crate::policy;
use crate::report::Report;
use crate::series::{Id, Series, cut};
use crate::store::{Store as _, StoreAway};
use crate::tally::Tally;
use crate::window::{Step, Window};
use crate::{batch, ranking};

/// What was read lately. Of each kind one reads at a time.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    counts: Mutex<Lately<(Step, u64), HashMap<Id, Tally>>>,
    names: Mutex<Lately<u64, Vec<Arc<Series>>>>,
    rankings: Mutex<Lately<(Step, u64, Id), Vec<Ranked>>>,
    visitors: Mutex<Lately<(u64, Id), u64>>,
    flushed: AtomicU64,
}

/// A member of a ranking.
type Ranked = (Box<str>, u64);

/// What is counted in a step, as it was read.
pub(crate) type Counts = Arc<HashMap<Id, Tally>>;

/// How long a step that is over is likely to change still, in milliseconds.
const LATE: u64 = 5000;

// === impl Reader ===

impl Reader {
    /// What is counted at the moment is to be read again.
    pub(crate) fn outdate(&self) {
        self.flushed.fetch_add(1, Ordering::Relaxed);
    }

    fn flushed(&self) -> u64 {
        self.flushed.load(Ordering::Relaxed)
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

    /// The highest members of a [ranking](Self::rank) in a window, by all processes. Costs a read of each step, up to 1,000 members each; kept as long as
    /// [`read`](Self::read) keeps steps.
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
    pub async fn visitors(&self, name: &str, days: u32) -> Result<Vec<(SystemTime, u64)>, EventsError> {
        let days = self.shared.visitors(name, days).await.map_err(EventsError::new)?;
        Ok(days.into_iter().map(|(day, count)| (policy::time(day), count)).collect())
    }
}

// === impl Shared ===

impl Shared {
    pub(crate) async fn read(&self, window: Window) -> Result<Report, StoreAway> {
        let now = self.now().await?;
        let starts = window.starts(now);
        let questions: Vec<_> =
            starts.iter().map(|&start| ((window.step(), start), until(window.step(), start, now))).collect();
        let flushed = self.reader.flushed();
        let mut counts = self.reader.counts.lock().await;
        let counts = counts.ask(&questions, flushed, |(step, start)| self.store.counts(step, start)).await?;
        let names = self.names(&starts, now).await?;
        Ok(Report::new(window.step(), starts.into_iter().zip(counts).collect(), names, now))
    }

    async fn names(&self, starts: &[u64], now: u64) -> Result<HashMap<Id, Arc<Series>>, StoreAway> {
        let days: HashSet<_> = starts.iter().map(|start| Step::Day.start(*start)).collect();
        let questions: Vec<_> = days.into_iter().map(|day| (day, until(Step::Day, day, now))).collect();
        let read = |day| self.store.names(day).map_ok(|names| names.into_iter().map(Arc::new).collect());
        let days = self.reader.names.lock().await.ask(&questions, self.reader.flushed(), read).await?;
        let names = days.iter().flat_map(|names| names.iter());
        Ok(names.map(|series| (series.id, Arc::clone(series))).collect())
    }

    pub(crate) async fn ranking(
        &self,
        name: &str,
        window: Window,
        most: usize,
    ) -> Result<Vec<(Box<str>, u64)>, StoreAway> {
        let (id, step, now) = (batch::ranking(cut(name)), window.step(), self.now().await?);
        let starts = window.starts(now).into_iter();
        let questions: Vec<_> = starts.map(|start| ((step, start, id), until(step, start, now))).collect();
        let read = |(step, start, id)| self.store.ranking(step, start, id);
        let steps = self.reader.rankings.lock().await.ask(&questions, self.reader.flushed(), read).await?;
        Ok(ranking::together(steps.iter().map(|step| step.iter().cloned()), most))
    }

    pub(crate) async fn visitors(&self, name: &str, days: u32) -> Result<Vec<(u64, u64)>, StoreAway> {
        let (id, now) = (batch::visited(cut(name)), self.now().await?);
        let days = Window::days(days).starts(now);
        let questions: Vec<_> = days.iter().map(|&day| ((day, id), until(Step::Day, day, now))).collect();
        let read = |(day, id)| self.store.visitors(day, id);
        let counts = self.reader.visitors.lock().await.ask(&questions, self.reader.flushed(), read).await?;
        Ok(days.into_iter().zip(counts).map(|(day, count)| (day, *count)).collect())
    }
}

fn until(step: Step, start: u64, now: u64) -> Until {
    if now < start + step.millis() + LATE { Until::Now } else { Until::Over }
}
