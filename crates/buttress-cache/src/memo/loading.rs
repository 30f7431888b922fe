//! What a loader may say of the value that it loads.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::tag::Tag;

/// What a loader is given: what is known of the value, and what to say of it.
pub struct Loading<V> {
    wish: Arc<Mutex<Wish>>,
    stale: Option<Arc<V>>,
}

/// What a loader said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) tags: BTreeSet<Tag>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) is_unwanted: bool,
}

// === impl Loading ===

impl<V> Loading<V> {
    pub(crate) fn new(stale: Option<Arc<V>>) -> Self {
        Self { wish: Arc::default(), stale }
    }

    /// Tags the value: [`Purge::tag`](crate::Purge::tag) with this name takes it back, and the pages that were made with it. With more
    /// than 1,024 tags, those of values that it is made of included, it is not stored.
    pub fn tag(&self, name: impl AsRef<str>) {
        let tag = Tag::named(name.as_ref());
        let mut wish = self.lock();
        wish.tags.insert(tag);
    }

    /// How long this value is fresh, instead of the memo's [`ttl`](crate::memo::Memo::ttl). In whole seconds; of less than one it is not stored.
    pub fn ttl(&self, ttl: Duration) {
        self.lock().ttl = Some(ttl);
    }

    /// This value is for its caller alone: it is not stored, nor is what is made of it.
    pub fn no_store(&self) {
        self.lock().is_unwanted = true;
    }

    /// The value that is out of date, if there is one: to ask only whether it has changed.
    #[must_use]
    pub fn stale(&self) -> Option<&Arc<V>> {
        self.stale.as_ref()
    }

    pub(crate) fn wish(&self) -> Wish {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Wish> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Clone for Loading<V> {
    fn clone(&self) -> Self {
        Self { wish: Arc::clone(&self.wish), stale: self.stale.clone() }
    }
}

impl<V> fmt::Debug for Loading<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loading").field("wish", &self.wish()).field("is_stale", &self.stale.is_some()).finish()
    }
}
