//! The task that hears of changes: it reads what was announced, and vouches for the copies of this process.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Weak;
use std::time::Duration;

use buttress_redis::{Change, Feed, Sight};
use tokio::time::{Instant, timeout};

use crate::cache::{Cache, Inner};
use crate::stamps::News;
use crate::tag::Tag;

/// How often it vouches.
const ROUND: Duration = Duration::from_millis(100);
/// How often the ledger is read although nothing was announced: so that Redis does not evict it for being idle.
const IDLE: Duration = Duration::from_secs(10);

/// So many tags are read again one by one. Beyond, everything is asked about once.
const MOST_TAGS: usize = 1_024;

/// Listens until the cache is dropped.
pub(crate) async fn listen(cache: Weak<Inner>, mut feed: Feed) {
    let sight = feed.sight();
    let mut todo = Todo { everything: true, tags: HashSet::new(), read: Instant::now() };
    loop {
        // One future until it is ready: what it has begun (to connect, to probe) may take longer than a round.
        let mut next = pin!(feed.next());
        let change = loop {
            match timeout(ROUND, &mut next).await {
                Ok(change) => break change,
                Err(_) => {
                    let Some(cache) = Cache::upgrade(&cache) else { return };
                    todo.vouch(&cache, &sight).await;
                }
            }
        };
        let Some(cache) = Cache::upgrade(&cache) else { return };
        match change {
            Change::Everything => todo.distrust(&cache),
            Change::Keys(keys) => todo.note(&cache, &keys),
        }
        todo.vouch(&cache, &sight).await;
    }
}

/// What was announced and has not been read yet.
struct Todo {
    everything: bool,
    tags: HashSet<Tag>,
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
                    self.tags.insert(tag);
                }
                News::Record(digest) => cache.coherence().note_change(digest),
            }
        }
        if self.tags.len() > MOST_TAGS {
            self.distrust(cache);
        }
    }

    fn distrust(&mut self, cache: &Cache) {
        cache.coherence().distrust();
        self.everything = true;
        self.tags.clear();
    }

    /// Reads what is to be read, and vouches for what was announced before.
    async fn vouch(&mut self, cache: &Cache, sight: &Sight) {
        // Before the reading: what is announced meanwhile is not vouched for by it.
        let (sees, seen) = (sight.sees(), cache.now() - sight.seen_until().elapsed());
        if self.is_due() && !self.read(cache).await {
            cache.coherence().end_trust();
        } else if sees {
            cache.coherence().trust_since(seen);
        }
    }

    fn is_due(&self) -> bool {
        self.everything || !self.tags.is_empty() || self.read.elapsed() >= IDLE
    }

    /// Reads it. False if Redis does not answer: then it stays to be done.
    async fn read(&mut self, cache: &Cache) -> bool {
        // A tag without a stamp is one that nothing carries any more.
        let tags: Vec<_> = self.tags.iter().copied().collect();
        let answered = cache.read(&tags).await.is_some();
        if answered {
            *self = Self { everything: false, tags: HashSet::new(), read: Instant::now() };
        }
        answered
    }
}
