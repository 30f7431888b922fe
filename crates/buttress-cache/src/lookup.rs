//! Looking a record up: in this process, then in Redis, and whether it was purged since.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use metrics::counter;
use tracing::Instrument as _;

use crate::cache::Cache;
#[cfg(feature = "memo")]
use crate::cache::Place;
use crate::coherence::{Coherence, Judged};
use crate::entry::Entry;
use crate::key::Key;
use crate::lease::{Claim, Lease};
use crate::ledger::Verdict;
use crate::memory::Found;
use crate::millis::to_millis;
use crate::policy;
use crate::record::Record;
use crate::redis::Claimed;
use crate::tag::Tag;

/// What this process knows of a key.
pub(crate) enum Peek {
    Found(Sure),
    /// Redis has to say whether it was purged. With the version under which it came here.
    Unsure(Entry, u64),
    Nothing,
}

/// A record that was not purged; `soft` if it is to be taken for stale.
pub(crate) struct Sure {
    pub(crate) record: Record,
    pub(crate) soft: bool,
}

impl Cache {
    /// What this process knows of a key. Costs no lock and no round trip, and in the usual case no more than a comparison to
    /// know that nothing of it was purged.
    pub(crate) fn peek(&self, key: &Key, local: u128, now: SystemTime) -> Peek {
        let Some(Found { record, since, as_of }) = self.memory().peek(key, local, now) else {
            return Peek::Nothing;
        };
        if matches!(record, Record::Pass) {
            return Peek::Found(Sure::of(record)); // it harms nobody, and ends by itself
        }
        let coherence = self.coherence();
        if !coherence.is_trusted(now) {
            let (limit, begin) = coherence.belief();
            let age = Duration::from_millis(to_millis(now).saturating_sub(since));
            return if since >= begin && age < limit { believed(coherence, record) } else { Peek::Nothing };
        }
        if matches!(&record, Record::Entry(entry) if entry.checked().is(coherence.version())) {
            return Peek::Found(Sure::of(record));
        }
        self.judged(record, key, as_of, now)
    }

    /// What is stored under a key, here or in Redis, unless it was purged.
    pub(crate) async fn find(&self, key: &Key, local: u128) -> Option<Sure> {
        let here = match self.peek(key, local, self.now()) {
            Peek::Found(sure) => Some(sure),
            Peek::Unsure(entry, as_of) => self.settle(entry, key, as_of).await,
            Peek::Nothing => None,
        };
        match here {
            None => self.ask(key, local).await,
            here => here,
        }
    }

    /// The record, unless it was purged.
    fn judged(&self, record: Record, key: &Key, as_of: u64, now: SystemTime) -> Peek {
        let Record::Entry(entry) = &record else {
            let superseded = self.coherence().is_superseded(as_of, key);
            return if superseded { Peek::Nothing } else { Peek::Found(Sure::of(record)) };
        };
        match self.coherence().judge(entry, key, as_of, now) {
            Judged::As(Verdict::Current) => Peek::Found(Sure::of(record)),
            Judged::As(Verdict::Soft) => Peek::Found(Sure { record, soft: true }),
            Judged::As(Verdict::Gone) => Peek::Nothing,
            Judged::Unknown => Peek::Unsure(entry.clone(), as_of),
        }
    }

    /// An entry of which it has to be asked whether it was purged.
    pub(crate) async fn settle(&self, entry: Entry, key: &Key, as_of: u64) -> Option<Sure> {
        let tags: Vec<_> = entry.tags().collect();
        if !self.read(&tags).await? {
            return None;
        }
        match self.judged(Record::Entry(entry), key, as_of, self.now()) {
            Peek::Found(sure) => Some(sure),
            Peek::Unsure(..) | Peek::Nothing => None,
        }
    }

    /// Reads the ledger and the stamps of these tags. Answers whether all have one; `None` if Redis does not.
    pub(crate) async fn read(&self, tags: &[Tag]) -> Option<bool> {
        let (asked, as_of) = (self.now(), self.coherence().version());
        match self.stamps()?.read(tags, self.coherence().generation()).await {
            Ok(account) => Some(self.coherence().learn(account, tags, asked, as_of)),
            Err(error) => {
                Self::count_error("stamps", &error);
                None
            }
        }
    }

    /// What Redis knows of a key. It goes without when Redis is away.
    pub(crate) async fn ask(&self, key: &Key, local: u128) -> Option<Sure> {
        let as_of = self.coherence().version();
        let redis = self.shared()?;
        match redis.get(key).instrument(tracing::debug_span!("cache.lookup")).await {
            Ok(found) => self.accept(found?, key, local, as_of).await.ok(),
            Err(error) => {
                Self::count_error("get", &error);
                None
            }
        }
    }

    /// What is stored under many keys, for one round trip to Redis at most; more only where it is not known whether they were purged.
    #[cfg(feature = "memo")]
    pub(crate) async fn find_many(&self, places: &[&Place]) -> Vec<Option<Sure>> {
        let mut found = Vec::with_capacity(places.len());
        for Place { key, local, .. } in places {
            found.push(match self.peek(key, *local, self.now()) {
                Peek::Found(sure) => Some(sure),
                Peek::Unsure(entry, as_of) => self.settle(entry, key, as_of).await,
                Peek::Nothing => None,
            });
        }
        let missing: Vec<_> = (0..places.len()).filter(|&index| found[index].is_none()).collect();
        let Some(redis) = self.shared().filter(|_| !missing.is_empty()) else { return found };
        let as_of = self.coherence().version();
        let keys: Vec<_> = missing.iter().map(|&index| &places[index].key).collect();
        match redis.get_many(&keys).await {
            Ok(records) => {
                for (index, record) in missing.into_iter().zip(records) {
                    let Place { key, local, .. } = places[index];
                    if let Some(record) = record {
                        found[index] = self.accept(record, key, *local, as_of).await.ok();
                    }
                }
            }
            Err(error) => Self::count_error("get", &error),
        }
        found
    }

    /// Keeps a record that Redis had, if it is of use; gives it back if it was purged.
    async fn accept(&self, record: Record, key: &Key, local: u128, as_of: u64) -> Result<Sure, Record> {
        if matches!(&record, Record::Entry(entry) if policy::is_from_the_future(entry.terms(), self.now())) {
            counter!("buttress_cache_bad_records_total", "reason" => "future").increment(1);
            return Err(record);
        }
        let sure = match self.judged(record.clone(), key, as_of, self.now()) {
            Peek::Found(sure) => Some(sure),
            Peek::Unsure(entry, as_of) => self.settle(entry, key, as_of).await,
            Peek::Nothing => None,
        };
        match sure {
            Some(sure) => {
                self.memory().keep(local, sure.record.clone(), self.now(), as_of);
                Ok(sure)
            }
            None => {
                counter!("buttress_cache_purged_records_total").increment(1);
                Err(record)
            }
        }
    }

    /// Asks for the right to fill a key. `stale` is what is known to be there and wanted to be replaced.
    pub(crate) async fn claim(&self, key: &Key, local: u128, stale: Option<&Entry>) -> Claim {
        let Some(redis) = self.shared() else { return Claim::Away };
        if !self.coherence().has_ledger() && self.read(&[]).await.is_none() {
            return Claim::Away;
        }
        let mut known = stale.map(|entry| Bytes::copy_from_slice(entry.sum()));
        let mut superseded = stale.and_then(Entry::manifest);
        // What cannot be read or was purged is replaced as well: once more, knowing it.
        for _ in 0..3 {
            let (token, as_of) = (Lease::token(), self.coherence().version());
            match redis.claim(key, &token, known.as_deref()).await {
                Ok(Claimed::Mine) => return Claim::Mine(Lease::new(self, key, token, superseded)),
                Ok(Claimed::Held) => return Claim::Held,
                Ok(Claimed::Found(record)) => match self.accept(record, key, local, as_of).await {
                    Err(Record::Entry(purged)) => {
                        known = Some(Bytes::copy_from_slice(purged.sum()));
                        superseded = purged.manifest();
                    }
                    Ok(_) | Err(_) => return Claim::Found,
                },
                Ok(Claimed::Unreadable(sum)) => known = Some(sum),
                Err(error) => {
                    Self::count_error("claim", &error);
                    return Claim::Away;
                }
            }
        }
        Claim::Away
    }
}

/// A record of which it cannot be known at the moment whether another process has purged it.
fn believed(coherence: &Coherence, record: Record) -> Peek {
    let Record::Entry(entry) = &record else { return Peek::Found(Sure::of(record)) };
    match coherence.judge_leniently(entry) {
        Verdict::Gone => Peek::Nothing,
        verdict => Peek::Found(Sure { soft: verdict == Verdict::Soft, record }),
    }
}

// === impl Sure ===

impl Sure {
    fn of(record: Record) -> Self {
        Self { record, soft: false }
    }
}
