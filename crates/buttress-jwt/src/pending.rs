//! What was revoked here and has not yet been read back out of the stream.
//!
//! That Redis has said yes proves little: the server may die before a replica has heard, or may have been replaced without knowing it. Nobody
//! else may have read it by then, so nobody but this process would miss it. It is told again until it comes back.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::mark::Mark;
use crate::revocation::Entry;

/// Bounded by what this process revokes while Redis is away.
#[derive(Debug, Default)]
pub(crate) struct Pending(Mutex<HashMap<Mark, Untold>>);

/// Something to tell.
#[derive(Clone, Debug)]
pub(crate) struct Untold {
    pub(crate) entry: Entry,
    /// When it was told last, in milliseconds since 1970; none if that failed.
    told: Option<u64>,
}

// === impl Pending ===

impl Pending {
    /// Something is about to be told.
    pub(crate) fn tell(&self, mut entry: Entry, now: u64) {
        let mut pending = self.lock();
        if let Some(earlier) = pending.get(&entry.mark).map(|untold| untold.entry) {
            (entry.cutoff, entry.until) = (entry.cutoff.max(earlier.cutoff), entry.until.max(earlier.until));
        }
        pending.insert(entry.mark, Untold { entry, told: Some(now) });
    }

    /// Nobody heard.
    pub(crate) fn failed(&self, entry: Entry) {
        self.lock().entry(entry.mark).or_insert(Untold { entry, told: None }).told = None;
    }

    /// The stream has it.
    pub(crate) fn came_back(&self, entry: &Entry) {
        let mut pending = self.lock();
        let has = |untold: &Untold| untold.entry.cutoff <= entry.cutoff && untold.entry.until <= entry.until;
        if pending.get(&entry.mark).is_some_and(has) {
            pending.remove(&entry.mark);
        }
    }

    /// What has to be told again: what nobody heard, and what should have come back by now. What has ended is dropped.
    pub(crate) fn overdue(&self, now: u64, grace: u64) -> Vec<Untold> {
        let mut pending = self.lock();
        pending.retain(|_, untold| untold.entry.until > now);
        let overdue = |untold: &&Untold| untold.told.is_none_or(|told| told.saturating_add(grace) <= now);
        pending.values().filter(overdue).cloned().collect()
    }

    /// It was told again.
    pub(crate) fn told_again(&self, entry: &Entry, now: u64) {
        if let Some(untold) = self.lock().get_mut(&entry.mark) {
            untold.told = Some(now);
        }
    }

    // Nothing in here panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, HashMap<Mark, Untold>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocation::Revocation;

    fn entry(cutoff: u64) -> Entry {
        Entry { cutoff, ..Revocation::subject("a", "ada").entry(1_000, 9_000) }
    }

    #[test]
    fn what_does_not_come_back_is_told_again() {
        let pending = Pending::default();
        let overdue = |now| pending.overdue(now, 250).len();
        pending.tell(entry(5), 1_000);
        assert_eq!((overdue(1_249), overdue(1_250)), (0, 1));
        pending.told_again(&entry(5), 1_250);
        assert_eq!((overdue(1_300), overdue(1_500)), (0, 1));
        pending.came_back(&entry(4));
        assert_eq!(overdue(1_500), 1, "that was another");
        pending.came_back(&entry(6));
        assert_eq!(overdue(1_500), 0);
    }

    #[test]
    fn what_nobody_heard_is_told_at_once_and_not_for_ever() {
        let pending = Pending::default();
        pending.failed(entry(5));
        assert_eq!(pending.overdue(1_000, 250).len(), 1);
        assert_eq!(pending.overdue(10_000, 250).len(), 0, "it has ended");
        assert_eq!(pending.overdue(1_000, 250).len(), 0);
    }
}
