//! What was read lately: those who ask at the same time ask the store once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryFutureExt as _, TryStreamExt as _};
use tokio::time::Instant;

use crate::store::StoreAway;

/// Answers by their questions.
#[derive(Debug)]
pub(crate) struct Lately<K, V>(HashMap<K, Read<V>>);

#[derive(Debug)]
struct Read<V> {
    at: Instant,
    /// How often this process had flushed by then: whoever asks after that sees it.
    flushed: u64,
    /// Whether it was to change still when it was read: then it is no answer for when it is over.
    until: Until,
    what: Arc<V>,
}

/// Whether an answer may still change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Until {
    /// It does, at the moment.
    Now,
    /// Its time is over; but a process may have been cut off, and come back.
    Over,
}

/// So many reads at the same time.
const AT_ONCE: usize = 32;
/// What changes at the moment is read again after it.
const MOMENT: Duration = Duration::from_millis(900);
/// What is over is read again after it.
const OVER: Duration = Duration::from_secs(30);
/// What was not asked for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(120);
/// So many answers are kept.
const MOST: usize = 4000;

// === impl Lately ===

impl<K: Copy + Eq + Hash, V> Lately<K, V> {
    /// The answers to these questions, in their order; those that are not known, or may have changed, are read.
    pub(crate) async fn ask<F>(
        &mut self,
        questions: &[(K, Until)],
        flushed: u64,
        read: impl Fn(K) -> F,
    ) -> Result<Vec<Arc<V>>, StoreAway>
    where
        F: Future<Output = Result<V, StoreAway>>,
    {
        let missing = questions.iter().filter(|(key, until)| !self.is_known(*key, *until, flushed));
        let reads: Vec<_> = missing.map(|&(key, until)| read(key).map_ok(move |what| (key, until, what))).collect();
        let found: Vec<_> = futures_util::stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        self.forget();
        let read = |until, what| Read { at: Instant::now(), flushed, until, what: Arc::new(what) };
        self.0.extend(found.into_iter().map(|(key, until, what)| (key, read(until, what))));
        let answers = questions.iter().filter_map(|(key, _)| self.0.get(key));
        Ok(answers.map(|read| Arc::clone(&read.what)).collect())
    }

    fn is_known(&self, key: K, until: Until, flushed: u64) -> bool {
        self.0.get(&key).is_some_and(|read| match (until, read.until) {
            (Until::Over, Until::Over) => read.at.elapsed() < OVER,
            _ => read.at.elapsed() < MOMENT && read.flushed == flushed,
        })
    }

    fn forget(&mut self) {
        self.0.retain(|_, read| read.at.elapsed() < FORGOTTEN);
        if self.0.len() > MOST {
            self.0.clear();
        }
    }
}

impl<K, V> Default for Lately<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_not_asked_again() {
        let (mut lately, asked) = (Lately::default(), Cell::new(0));
        let read = |key: u32| {
            asked.set(asked.get() + 1);
            std::future::ready(Ok(key * 10))
        };
        let mut ask = async |wait: u64, flushed, until| {
            tokio::time::advance(Duration::from_secs(wait)).await;
            let answers = lately.ask(&[(1, Until::Over), (2, until)], flushed, read).await.unwrap();
            assert_eq!(answers.iter().map(|answer| **answer).collect::<Vec<_>>(), [10, 20]);
            asked.replace(0)
        };
        let now = Until::Now;
        let table = [(0, 0, now, 2), (0, 0, now, 0), (0, 1, now, 1), (1, 1, now, 1), (40, 1, now, 2)];
        let over = [(10, 1, Until::Over, 1), (10, 1, Until::Over, 0), (25, 1, Until::Over, 2)];
        for (wait, flushed, until, expected) in table.into_iter().chain(over) {
            assert_eq!(ask(wait, flushed, until).await, expected, "after {wait} s, {flushed} flushes, {until:?}");
        }
    }
}
