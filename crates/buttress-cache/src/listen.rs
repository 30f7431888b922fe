//! The task that hears of changes: it reads what was announced, and vouches for the copies of this process.

use std::sync::Weak;
use std::time::Duration;

use buttress_redis::{Change, Feed};
use tokio::time::{Instant, timeout};

use crate::cache::{Cache, Inner};
use crate::stamps::News;
use crate::tag::Tag;

/// How often it vouches.
const ROUND: Duration = Duration::from_millis(100);
/// How often the ledger is read although nothing was announced: so that Redis does not evict it for being idle.
const IDLE: Duration = Duration::from_secs(10);

/// Listens until the cache is dropped.
pub(crate) async fn listen(cache: Weak<Inner>, mut feed: Feed) {
    let sight = feed.sight();
    let mut todo = Todo { everything: true, tags: Vec::new(), read: Instant::now() };
    loop {
        let change = timeout(ROUND, feed.next()).await;
        let Some(cache) = Cache::upgrade(&cache) else { return };
        match change {
            Ok(Change::Everything) => {
                cache.coherence().distrust();
                todo.everything = true;
            }
            Ok(Change::Keys(keys)) => todo.note(&cache, &keys),
            Err(_) => {}
        }
        // Before the reading: what is announced meanwhile is not vouched for by it.
        let (sees, seen) = (sight.sees(), sight.seen_until().elapsed());
        if todo.is_due() && !todo.read(&cache).await {
            cache.coherence().end_trust();
        } else if sees {
            cache.coherence().trust_since(cache.now() - seen);
        }
    }
}

/// What was announced and has not been read yet.
struct Todo {
    everything: bool,
    tags: Vec<Tag>,
    read: Instant,
}

// === impl Todo ===

impl Todo {
    fn note(&mut self, cache: &Cache, keys: &[bytes::Bytes]) {
        let Some(stamps) = cache.stamps() else { return };
        for news in keys.iter().filter_map(|key| stamps.news(key)) {
            match news {
                News::Ledger => {
                    cache.coherence().forget_ledger();
                    self.everything = true;
                }
                News::Tag(tag) => {
                    cache.coherence().forget_tag(&tag);
                    self.tags.push(tag);
                }
                News::Record(digest) => cache.coherence().note_change(digest),
            }
        }
    }

    fn is_due(&self) -> bool {
        self.everything || !self.tags.is_empty() || self.read.elapsed() >= IDLE
    }

    /// Reads it. False if Redis does not answer: then it stays to be done.
    async fn read(&mut self, cache: &Cache) -> bool {
        // A tag without a stamp is one that nothing carries any more.
        let answered = cache.read(&self.tags).await.is_some();
        if answered {
            *self = Self { everything: false, tags: Vec::new(), read: Instant::now() };
        }
        answered
    }
}
