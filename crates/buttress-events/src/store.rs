//! The port to where counts are kept.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use crate::series::{Id, Series};
use crate::tally::Tally;
use crate::window::Step;

/// Where counts are kept. All times are in milliseconds since 1970, by the store's clock.
pub(crate) trait Store: Send + Sync {
    /// What time it is there.
    fn now(&self) -> impl Future<Output = Result<u64, StoreAway>> + Send;

    /// Notes what ids stand for, on this day. Answers with those that are too many.
    fn enroll(&self, day: u64, names: &[Name]) -> impl Future<Output = Result<Vec<Id>, StoreAway>> + Send;

    /// Adds to a step, once: what was added under this number or a later one of its lane is not added again.
    fn add(&self, write: &Write) -> impl Future<Output = Result<Added, StoreAway>> + Send;

    /// The salt of a day; the one that is brought, if there is none.
    fn salt(&self, day: u64, brought: Salt) -> impl Future<Output = Result<Salt, StoreAway>> + Send;

    /// The counts of a step.
    fn counts(&self, step: Step, start: u64) -> impl Future<Output = Result<HashMap<Id, Tally>, StoreAway>> + Send;

    /// What the ids of a day stand for.
    fn names(&self, day: u64) -> impl Future<Output = Result<Vec<Series>, StoreAway>> + Send;

    /// The highest members of a ranking in a step.
    fn ranking(
        &self,
        step: Step,
        start: u64,
        ranking: Id,
    ) -> impl Future<Output = Result<Vec<(Box<str>, u64)>, StoreAway>> + Send;

    /// About how many visitors a day had.
    fn visitors(&self, day: u64, name: Id) -> impl Future<Output = Result<u64, StoreAway>> + Send;

    /// Whether it is for this process to do, for so long, what one does for all.
    #[cfg(feature = "otlp")]
    fn lead(&self, millis: u64) -> impl Future<Output = Result<bool, StoreAway>> + Send;
}

/// What an id stands for.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) id: Id,
    pub(crate) text: String,
    /// Whether it is let in when there are too many.
    pub(crate) reserved: bool,
}

/// Something to be added to a step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Write {
    pub(crate) step: Step,
    pub(crate) start: u64,
    /// Two that are on their way at the same time have different ones.
    pub(crate) lane: u32,
    /// Grows from batch to batch.
    pub(crate) number: u64,
    pub(crate) what: What,
}

/// What is added.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Counts(Vec<(Id, Tally)>),
    Members(Id, Vec<(Box<str>, u64)>),
    Visitors(Id, Vec<u64>),
}

/// What became of it, and what time it was then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Added {
    Done(u64),
    /// It had been added before.
    Again(u64),
    /// That step has not begun, and nothing was added.
    Future(u64),
    /// Something else lies there, and nothing can be added.
    Other(u64),
}

/// What makes digests of visitors those of one day.
pub(crate) type Salt = [u8; 32];

/// How long steps are kept after their end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    pub(crate) minutes: Duration,
    pub(crate) hours: Duration,
    pub(crate) days: Duration,
}

/// Members of a ranking that are kept in each step.
pub(crate) const MOST_RANKED: usize = 1000;
/// How far visitors of a day can be asked for.
pub(crate) const VISITORS_KEPT: Duration = Duration::from_secs(40 * 86_400);
/// Until a salt is forgotten, from the start of its day: clocks differ.
pub(crate) const SALT_KEPT: Duration = Duration::from_secs(26 * 3600);

/// Later is not forgotten: it is beyond what a script can count to.
const NEVER: u64 = 1 << 53;

/// Where counts are kept cannot be reached, or answers what cannot be.
#[derive(Clone, Debug)]
pub(crate) struct StoreAway(pub(crate) buttress_redis::Error);

// === impl Keep ===

impl Keep {
    /// When a step is forgotten.
    pub(crate) fn until(self, step: Step, start: u64) -> u64 {
        let kept = match step {
            Step::Minute => self.minutes,
            Step::Hour => self.hours,
            Step::Day => self.days,
        };
        start.saturating_add(step.millis()).saturating_add(whole_millis(kept)).min(NEVER)
    }
}

impl Default for Keep {
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        Self { minutes: hours(8), hours: hours(35 * 24), days: hours(400 * 24) }
    }
}

impl fmt::Display for StoreAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "counts cannot be reached: {}", self.0)
    }
}

pub(crate) fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
