//! What a response was made of: the tags of the memoized values that a handler used.
//!
//! Whoever makes a response or a value opens a [`Capture`] around the work. Each memoized value that is used meanwhile, found or
//! loaded, notes its tags there, so that what purges the value purges what was made from it. Work that is handed to another
//! task is not seen, nor what is used after the head of the response has been returned. A response that is made of another
//! cached one is made of all that this is made of.
//!
//! What is out of date, or for its user alone, spoils what is made of it: that is not stored.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cache::Cache;
use crate::entry::Entry;
use crate::ledger::Generation;
use crate::tag::Tag;

/// More than so many tags are not kept: what was made of more is not stored.
pub(crate) const MOST: usize = 1024;

tokio::task_local! {
    static HERE: Capture;
}

/// A list of tags that grows while somebody works. Clones share it.
#[derive(Clone)]
pub(crate) struct Capture {
    /// Tags of another cache mean nothing to this one.
    cache: usize,
    noted: Arc<Mutex<Noted>>,
}

#[derive(Default)]
struct Noted {
    tags: BTreeMap<Tag, Generation>,
    /// Something was used that nothing should be kept of.
    is_spoilt: bool,
}

/// The tags of what was used, and how old that was: the generation under which it was begun.
pub(crate) type Used = Vec<(Tag, Generation)>;

// === impl Capture ===

impl Capture {
    /// For work that makes something for this cache.
    pub(crate) fn new(cache: &Cache) -> Self {
        Self { cache: cache.id(), noted: Arc::default() }
    }

    /// Does some work, and notes what it uses.
    pub(crate) async fn around<F: Future>(&self, work: F) -> F::Output {
        HERE.scope(self.clone(), work).await
    }

    /// What was used so far. `None` if nothing should be kept of it, or it was too much to know.
    pub(crate) fn used(&self) -> Option<Used> {
        let noted = self.lock();
        (!noted.is_spoilt).then(|| noted.tags.iter().map(|(&tag, &begun)| (tag, begun)).collect())
    }

    /// What was made of this is being used for something else.
    pub(crate) fn pass_on(&self) {
        let _nobody = HERE.try_with(|outer| outer.note(self.cache, self.used())).is_err();
    }

    fn note(&self, cache: usize, used: Option<impl IntoIterator<Item = (Tag, Generation)>>) {
        let mut noted = self.lock();
        let Some(used) = used else {
            noted.is_spoilt = true;
            return;
        };
        for (tag, begun) in used.into_iter().filter(|_| cache == self.cache) {
            if noted.tags.len() >= MOST {
                noted.is_spoilt = true;
                return;
            }
            // The oldest of what was used decides.
            noted.tags.entry(tag).and_modify(|known| *known = begun.min(*known)).or_insert(begun);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes that something of this cache was used, if anybody wants to know. `None` for what nothing should be kept of.
#[cfg(feature = "memo")]
pub(crate) fn note(cache: &Cache, used: Option<impl IntoIterator<Item = (Tag, Generation)>>) {
    let _nobody = HERE.try_with(|capture| capture.note(cache.id(), used)).is_err();
}

/// Notes that an entry of this cache was used; nothing should be kept of what is out of date.
pub(crate) fn note_entry(cache: &Cache, entry: &Entry, is_fresh: impl FnOnce() -> bool) {
    let noted = HERE.try_with(|capture| {
        let begun = entry.generation();
        capture.note(cache.id(), is_fresh().then(|| entry.tags().map(|tag| (tag, begun))));
    });
    let _nobody = noted.is_err();
}

#[cfg(all(test, feature = "memo"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_used_is_noted_by_the_innermost_and_the_oldest_of_it() {
        let cache = Cache::embedded();
        let (outer, inner) = (Capture::new(&cache), Capture::new(&cache));
        let (a, b) = (Tag::named("a"), Tag::named("b"));
        note(&cache, Some([(a, Generation(9))])); // nobody listens
        outer
            .around(async {
                note(&cache, Some([(a, Generation(7))]));
                inner.around(async { note(&cache, Some([(b, Generation(3))])) }).await;
                note(&cache, Some([(a, Generation(8))]));
                note(&Cache::embedded(), Some([(b, Generation(1))])); // another cache's
            })
            .await;
        assert_eq!(outer.used().unwrap(), [(a, Generation(7))]);
        assert_eq!(inner.used().unwrap(), [(b, Generation(3))]);
        outer.around(async { inner.pass_on() }).await;
        assert_eq!(outer.used().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn too_much_and_what_is_spoilt_spoil_all() {
        let cache = Cache::embedded();
        let many = || Some((0..5000).map(|n: u32| (Tag::named(&n.to_string()), Generation(1))));
        let none = || None::<Vec<_>>;
        let (outer, inner, other) = (Capture::new(&cache), Capture::new(&cache), Capture::new(&cache));
        inner.around(async { note(&cache, many()) }).await;
        other.around(async { note(&cache, none()) }).await;
        assert!(inner.used().is_none() && inner.lock().tags.len() <= MOST && other.used().is_none());
        outer.around(async { inner.pass_on() }).await;
        assert!(outer.used().is_none());
    }
}
