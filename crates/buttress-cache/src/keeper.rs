//! Keeping what was fetched: here, in Redis, and for those who wait.

use std::sync::{Arc, Weak};
use std::time::Duration;

use metrics::counter;
use tokio::sync::OwnedSemaphorePermit;

use crate::admit::{Admitted, Times};
use crate::alike::Note;
use crate::cache::{Cache, Place};
use crate::capture::Used;
use crate::entry::Entry;
use crate::exchange::Exchange;
use crate::flight::Lead;
use crate::growing::Growing;
use crate::key::Key;
use crate::lease::{Claim, Right};
use crate::ledger::Verdict;
use crate::parts::{self, Parts};
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
    /// Whether the response may be kept.
    is_kept: bool,
    /// Values that it was made of, by their tags.
    made_of: Used,
    /// Where the response was looked for, if it belongs under another plain key.
    moved_from: Option<Key>,
    note: Note,
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
        let keeper = Self::of(&exchange.cache, admitted.place.clone(), lead, admitted.keep, admitted.times);
        let sought = exchange.place.plain_key();
        let moved_from = (sought != admitted.place.plain_key()).then(|| sought.clone());
        let (made_of, note) = (admitted.made_of.clone(), exchange.note(admitted));
        Self { made_of, is_kept: admitted.is_kept, moved_from, note, ..keeper }
    }

    /// What is needed to keep any entry.
    pub(crate) fn of(cache: &Cache, place: Place, lead: Lead, keep: Duration, times: Times) -> Self {
        let (cache, made_of) = (cache.clone(), Used::new());
        let (moved_from, note) = (None, Note::Nothing);
        Self { cache, place, lead, keep, times, is_kept: true, made_of, moved_from, note }
    }

    /// What was made of these values.
    #[cfg(feature = "memo")]
    pub(crate) fn made_of(self, made_of: Used) -> Self {
        Self { made_of, ..self }
    }

    /// Where the parts of a large body are put as they come.
    pub(crate) fn parts(&self) -> Parts {
        let shared = self.lead.right.as_ref().map(|_| (self.place.key.clone(), self.keep));
        Parts::new(&self.cache, shared)
    }

    /// Keeps the entry here and in Redis, and hands it to those who wait.
    ///
    /// `parts` are those of its body, if it has them and they are new.
    pub(crate) fn keep(self, entry: Entry, parts: Option<Parts>) {
        let Self { cache, place, mut lead, keep, times, is_kept, made_of, moved_from, note } = self;
        if !is_kept {
            // It was, until a validation said otherwise: what is there has to go too.
            lead.open();
            cache.drop_entry(&place);
            return;
        }
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
        if let Some(parts) = &parts {
            parts.keep_here(as_of);
        }
        cache.memory().keep(local, Record::Entry(entry.clone()), now, as_of);
        if !lead.is_current() {
            // Forgotten between the question and the keeping.
            counter!("buttress_cache_fills_outdated_total").increment(1);
            cache.memory().forget(local);
            return;
        }
        // What lies where it was looked for is older, and would be found first.
        if let Some(sought) = &moved_from {
            cache.memory().forget(sought.local());
        }
        let plain = place.plain_key().clone();
        note.keep_here(&cache, now, as_of);
        let list = place.variants.map(|(plain, variants)| {
            cache.memory().keep(plain.local(), Record::Variants(Arc::clone(&variants)), now, as_of);
            // The list lives as long as the last of its variants.
            let keep = variants.until().duration_since(now).unwrap_or_default();
            List { plain, variants, keep }
        });
        lead.land(entry.clone());
        if let Some(right) = right {
            let (replaces, manifest) = (right.supersedes(), entry.manifest());
            let (writer, bytes, key) = (cache.clone(), entry.bytes().len(), place.key.clone());
            cache.later(bytes, async move {
                let mut parts = parts;
                if !has_parts(&writer, &place.key, &entry, parts.as_mut(), keep).await {
                    counter!("buttress_cache_writes_skipped_total").increment(1);
                    if let Some(sought) = moved_from {
                        forget(&writer, &sought).await; // its parts bear its name, and do not move
                    }
                    return; // dropped, the right lets another process try
                }
                let tags: Vec<_> = entry.tags().collect();
                // What was sought is held until all is written: who waits for it looks again then.
                let (right, _sought) = match &moved_from {
                    Some(_) => (right_to(&writer, &plain).await, Some(right)),
                    None => (Some(right), None),
                };
                let is_stored = match right {
                    Some(right) => {
                        stamp(&writer, &tags, &entry, &made_of, keep).await
                            && write(&writer, right, &place.key, entry, keep, list).await
                    }
                    None => false,
                };
                note.keep(&writer).await;
                if let Some(sought) = moved_from {
                    forget(&writer, &sought).await;
                    if !is_stored {
                        writer.memory().forget(plain.local()); // a list of variants that only this process would know
                    }
                }
                if !is_stored {
                    // Somebody has changed it since, or fills it too: what is here may be older than what is there.
                    counter!("buttress_cache_fills_outdated_total").increment(1);
                    writer.memory().forget(local);
                    tags.iter().for_each(|tag| writer.coherence().forget_tag(tag));
                    return; // its parts, dropped, are taken back
                }
                if let Some(parts) = parts {
                    parts.keep();
                }
                if let Some(replaced) = replaces.filter(|replaced| Some(*replaced) != manifest) {
                    parts::replaced(&writer, &key, &replaced).await;
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

    /// Says how many bytes have come.
    pub(crate) fn received(&self, bytes: u64) {
        if let Some(Right::Lease(lease)) = &self.lead.right {
            lease.received(bytes);
        }
    }

    /// Whether what it keeps was not forgotten meanwhile.
    pub(crate) fn is_current(&self) -> bool {
        self.lead.is_current()
    }

    /// Tells those who wait that they can read along.
    pub(crate) fn share(&self, growing: Weak<Growing>) {
        self.lead.share(growing);
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
        None => done("replace", redis.replace(&plain, 0, head, &record, keep).await),
    }
}

/// The right to fill a key that was not asked for when the fill began. `None` when another process has it, or has filled it:
/// what it stores is as good.
async fn right_to(cache: &Cache, key: &Key) -> Option<Right> {
    match cache.claim(key, key.local(), None).await {
        Claim::Mine(lease) => Some(Right::Lease(lease)),
        Claim::Held | Claim::Found | Claim::Away => None,
    }
}

async fn forget(cache: &Cache, key: &Key) {
    let Some(redis) = cache.shared() else { return };
    if let Err(error) = redis.forget(key).await {
        Cache::count_error("forget", &error);
    }
}

/// Whether all that the entry consists of is in Redis.
async fn has_parts(cache: &Cache, key: &Key, entry: &Entry, parts: Option<&mut Parts>, keep: Duration) -> bool {
    match (entry.manifest(), parts) {
        (None, _) => true,
        (Some(_), Some(parts)) => parts.are_written().await,
        (Some(manifest), None) => parts::prolong(cache, key, &manifest, keep).await,
    }
}

/// Without a stamp nobody would believe an entry: so they come first.
async fn stamp(cache: &Cache, tags: &[Tag], entry: &Entry, made_of: &Used, keep: Duration) -> bool {
    match cache.stamps() {
        Some(stamps) if !tags.is_empty() => {
            let stamped = done("stamp", stamps.stamp_all(tags, entry.generation(), made_of, keep).await);
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
