//! What a response was made of: the tags of the memoized values that a handler used.
//!
//! Whoever makes a response or a value opens a [`Capture`] around the work. Each memoized value that is used meanwhile, found or
//! loaded, notes its tags there, so that what purges the value purges what was made from it. Work that is handed to another
//! task is not seen, nor what is used after the head of the response has been returned.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ledger::Generation;
use crate::tag::Tag;

/// More than so many tags are not kept: what was made of more is not stored.
const MOST: usize = 1024;

tokio::task_local! {
    static HERE: Capture;
}

/// A list of tags that grows while somebody works. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Capture(Arc<Mutex<BTreeMap<Tag, Generation>>>);

/// The tags of what was used, and how old that was: the generation under which it was begun.
pub(crate) type Used = Vec<(Tag, Generation)>;

// === impl Capture ===

impl Capture {
    /// Does some work, and notes what it uses.
    pub(crate) async fn around<F: Future>(&self, work: F) -> F::Output {
        HERE.scope(self.clone(), work).await
    }

    /// What was used so far. `None` if it was too much to keep.
    pub(crate) fn used(&self) -> Option<Used> {
        let noted = self.lock();
        (noted.len() <= MOST).then(|| noted.iter().map(|(&tag, &begun)| (tag, begun)).collect())
    }

    fn note(&self, used: impl IntoIterator<Item = (Tag, Generation)>) {
        let mut noted = self.lock();
        for (tag, begun) in used {
            if noted.len() > MOST {
                return;
            }
            // The oldest of what was used decides.
            noted.entry(tag).and_modify(|known| *known = begun.min(*known)).or_insert(begun);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Tag, Generation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes that something was used, if anybody wants to know.
pub(crate) fn note(used: impl IntoIterator<Item = (Tag, Generation)>) {
    let _nobody = HERE.try_with(|capture| capture.note(used)).is_err();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_used_is_noted_by_the_innermost_and_the_oldest_of_it() {
        let (outer, inner) = (Capture::default(), Capture::default());
        let (a, b) = (Tag::named("a"), Tag::named("b"));
        note([(a, Generation(9))]); // nobody listens
        outer
            .around(async {
                note([(a, Generation(7))]);
                inner.around(async { note([(b, Generation(3))]) }).await;
                note([(a, Generation(8))]);
            })
            .await;
        assert_eq!(outer.used().unwrap(), [(a, Generation(7))]);
        assert_eq!(inner.used().unwrap(), [(b, Generation(3))]);
    }

    #[tokio::test]
    async fn too_much_is_not_kept() {
        let capture = Capture::default();
        capture.around(async { note((0..5000).map(|n| (Tag::named(&n.to_string()), Generation(1)))) }).await;
        assert!(capture.used().is_none() && capture.lock().len() <= MOST + 1);
    }
}
