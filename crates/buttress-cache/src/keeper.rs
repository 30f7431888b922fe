//! Keeping what was fetched: here, in Redis, and for those who wait.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::sync::OwnedSemaphorePermit;

use crate::admit::{Admitted, Times};
use crate::cache::{Cache, Place};
use crate::entry::Entry;
use crate::exchange::Exchange;
use crate::flight::Lead;
use crate::key::Key;
use crate::lease::Right;
use crate::ledger::Verdict;
use crate::record::Record;
use crate::stamps::LONGEST_FILL;
use crate::tag::Tag;
use crate::variants::Variants;

/// What is needed to keep an entry, given when its fill begins.
pub(crate) struct Keeper {
    cache: Cache,
    place: Place,
    lead: Lead,
    /// How long the entry may be of use.
    keep: Duration,
    times: Times,
}

/// The list of a URI's variants, to be kept beside one of them.
struct List {
    plain: Key,
    variants: Arc<Variants>,
    keep: Duration,
}

// === impl Keeper ===

impl Keeper {
    pub(crate) fn new(exchange: &Exchange, admitted: &Admitted, lead: Lead) -> Self {
        let cache = exchange.cache.clone();
        Self { cache, place: admitted.place.clone(), lead, keep: admitted.keep, times: admitted.times }
    }

    /// Keeps the entry here and in Redis, and hands it to those who wait.
    pub(crate) fn keep(self, entry: Entry) {
        let Self { cache, place, mut lead, keep, times } = self;
        let (now, as_of) = (cache.now(), times.moment.version);
        let took_long = now.duration_since(times.sent).is_ok_and(|took| took > LONGEST_FILL);
        let is_purged = || cache.coherence().judge_leniently(&entry) == Verdict::Gone;
        if !lead.is_current() || took_long || is_purged() {
            counter!("buttress_cache_fills_outdated_total").increment(1);
            return; // dropped, the lead lets a follower fetch what is newer
        }
        let (right, local) = (lead.right.take(), place.local);
        if cache.shared().is_none() {
            cache.coherence().stamp_all(entry.tags(), entry.generation(), now);
        }
        cache.memory().keep(local, Record::Entry(entry.clone()), now, as_of);
        if !lead.is_current() {
            // Forgotten between the question and the keeping.
            counter!("buttress_cache_fills_outdated_total").increment(1);
            cache.memory().forget(local);
            return;
        }
        let list = place.variants.map(|(plain, variants)| {
            cache.memory().keep(plain.local(), Record::Variants(Arc::clone(&variants)), now, as_of);
            // The list lives as long as the last of its variants.
            let keep = variants.until().duration_since(now).unwrap_or_default();
            List { plain, variants, keep }
        });
        lead.land(entry.clone());
        if let Some(right) = right {
            let (writer, bytes) = (cache.clone(), entry.bytes().len());
            cache.later(bytes, async move {
                let tags: Vec<_> = entry.tags().collect();
                let is_stored = stamp(&writer, &tags, &entry, keep).await
                    && write(&writer, right, &place.key, entry, keep, list).await;
                if !is_stored {
                    // Somebody has changed it since, or fills it too: what is here may be older than what is there.
                    counter!("buttress_cache_fills_outdated_total").increment(1);
                    writer.memory().forget(local);
                    tags.iter().for_each(|tag| writer.coherence().forget_tag(tag));
                }
            });
        }
    }

    /// The response is not one that can be shared after all: nobody should wait for it, nor for the next.
    pub(crate) fn give_up(mut self) {
        self.lead.open();
        self.cache.pass(self.place.local, self.lead.right.take());
    }

    /// There is no room for it at the moment: nobody should wait for this one.
    pub(crate) fn let_go(mut self) {
        self.lead.open();
    }

    pub(crate) fn followers(&self) -> usize {
        self.lead.followers()
    }

    pub(crate) fn background(&self) -> Option<OwnedSemaphorePermit> {
        self.cache.background()
    }
}

/// Writes an entry, and then the list that leads to it, by the right to the key of one of them.
///
/// An entry that no list leads to is found by nobody: so whichever is refused, nothing is made worse.
async fn write(cache: &Cache, right: Right, key: &Key, entry: Entry, keep: Duration, list: Option<List>) -> bool {
    let Some(redis) = cache.shared() else { return false };
    let entry = Record::Entry(entry);
    let mut right = Some(right);
    let stored = match right.take_if(|right| right.is_for(key)) {
        Some(right) => right.fill(&entry, keep).await,
        None => done("put", redis.put(key, &entry, keep).await.map(|()| true)),
    };
    let Some(List { plain, variants, keep }) = list.filter(|_| stored) else { return stored };
    let head = variants.head_of_predecessor();
    let record = Record::Variants(variants);
    match right.take_if(|right| right.is_for(&plain)) {
        Some(right) => right.fill(&record, keep).await,
        None => done("replace", redis.replace(&plain, head, &record, keep).await),
    }
}

/// Without a stamp nobody would believe an entry: so they come first.
async fn stamp(cache: &Cache, tags: &[Tag], entry: &Entry, keep: Duration) -> bool {
    match cache.stamps() {
        Some(stamps) if !tags.is_empty() => {
            let stamped = done("stamp", stamps.stamp_all(tags, entry.generation(), keep).await);
            if stamped {
                cache.coherence().stamp_all(tags.iter().copied(), entry.generation(), cache.now());
            }
            stamped
        }
        _ => true,
    }
}

fn done(verb: &'static str, result: Result<bool, buttress_redis::Error>) -> bool {
    result.unwrap_or_else(|error| {
        Cache::count_error(verb, &error);
        false
    })
}
