//! What is revoked, in this process: asked for every token, changed rarely.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::mark::{Kind, Mark};
use crate::revocation::Entry;
use crate::token::Token;

/// Revocations by mark, in shards, so that a writer holds up few readers and a table that grows is a small one.
#[derive(Debug)]
pub(crate) struct Replica {
    shards: Box<[Shard]>,
    /// How many there are of each kind: what nobody has revoked is not looked up.
    counts: [AtomicUsize; Kind::ALL.len()],
}

#[derive(Debug)]
struct Shard {
    table: RwLock<Table>,
    /// A bit for each mark that may be in the table. Nearly all tokens are good, and for them nothing has to be locked.
    filter: Box<[AtomicU64; WORDS]>,
}

type Table = HashMap<Mark, Kept, foldhash::fast::RandomState>;

/// 16 bytes beside the 16 of the mark.
#[derive(Clone, Copy, Debug)]
struct Kept {
    cutoff: u64,
    /// In seconds, rounded up.
    until: u32,
    /// When it was last read out of the stream, as the number of times that the stream was read from the beginning; 0 for not at all.
    round: u16,
    kind: Kind,
}

const SHARDS: usize = 64;
/// Of 64 bits each: with a hundred thousand marks a tenth of the bits are set. All filters take 128 KiB.
const WORDS: usize = 256;
static EVERYTHING: LazyLock<Mark> = LazyLock::new(Mark::everything);

// === impl Replica ===

impl Replica {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), counts: Default::default() }
    }

    /// Takes an entry in. Cut-offs and ends only move forward, so the order does not matter, nor does it to hear twice. False if it
    /// changes nothing.
    pub(crate) fn add(&self, entry: &Entry) -> bool {
        self.merge(entry, 0)
    }

    /// Takes an entry in that the stream was found to have, when it was read for the so manieth time.
    pub(crate) fn read(&self, entry: &Entry, round: u16) {
        self.merge(entry, round);
    }

    fn merge(&self, entry: &Entry, round: u16) -> bool {
        let until = u32::try_from(entry.until.div_ceil(1000)).unwrap_or(u32::MAX);
        let shard = self.shard(&entry.mark);
        let mut table = write(&shard.table);
        match table.entry(entry.mark) {
            Slot::Occupied(mut known) => {
                let known = known.get_mut();
                let (cutoff, late) = (known.cutoff.max(entry.cutoff), known.until.max(until));
                let changed = (cutoff, late) != (known.cutoff, known.until);
                // Told is what one entry of the stream tells alone.
                let told = (cutoff, late) == (entry.cutoff, until);
                known.round = if told && round > 0 {
                    round
                } else if changed {
                    0
                } else {
                    known.round
                };
                (known.cutoff, known.until) = (cutoff, late);
                changed
            }
            Slot::Vacant(free) => {
                free.insert(Kept { cutoff: entry.cutoff, until, round, kind: entry.kind });
                let (word, bit) = place(&entry.mark);
                shard.filter[word].fetch_or(bit, Ordering::Release);
                self.counts[usize::from(entry.kind.byte())].fetch_add(1, Ordering::Release);
                true
            }
        }
    }

    /// What a token was revoked by, if it was. The latest cut-off of all levels decides, since each is asked.
    pub(crate) fn revoked(&self, token: &Token, now: u64) -> Option<Kind> {
        if self.len() == 0 {
            return None;
        }
        let (marks, claims) = (token.marks(), token.claims());
        let now = now / 1000;
        let is = |kind: Kind, mark: Option<&Mark>| {
            let mark = mark?;
            if self.counts[usize::from(kind.byte())].load(Ordering::Acquire) == 0 {
                return None;
            }
            let kept = self.shard(mark).get(mark)?;
            let meant = claims.issued.is_none_or(|issued| issued <= kept.cutoff) && u64::from(kept.until) > now;
            meant.then_some(kind)
        };
        is(Kind::Token, Some(&marks.token))
            .or_else(|| is(Kind::Session, marks.session.as_ref()))
            .or_else(|| is(Kind::Subject, marks.subject.as_ref()))
            .or_else(|| is(Kind::Client, marks.client.as_ref()))
            .or_else(|| is(Kind::Key, marks.key.as_ref()))
            .or_else(|| is(Kind::Issuer, Some(&marks.issuer)))
            .or_else(|| is(Kind::Everything, Some(&EVERYTHING)))
    }

    /// Forgets what no token can be refused for any more.
    pub(crate) fn sweep(&self, now: u64) {
        for shard in &self.shards {
            let mut table = write(&shard.table);
            table.retain(|_, kept| {
                let stays = u64::from(kept.until) > now / 1000;
                if !stays {
                    self.counts[usize::from(kept.kind.byte())].fetch_sub(1, Ordering::Release);
                }
                stays
            });
            shard.refresh(&table);
        }
    }

    /// All that is known, a shard at a time.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Vec<Entry>> {
        self.entries_but(None)
    }

    /// What the stream was not found to have when it was read for the so manieth time, a shard at a time.
    pub(crate) fn untold(&self, round: u16) -> impl Iterator<Item = Vec<Entry>> {
        self.entries_but(Some(round))
    }

    fn entries_but(&self, round: Option<u16>) -> impl Iterator<Item = Vec<Entry>> {
        self.shards.iter().map(move |shard| {
            let wanted = |(_, kept): &(&Mark, &Kept)| round != Some(kept.round);
            let entry = |(mark, kept): (&Mark, &Kept)| Entry {
                kind: kept.kind,
                mark: *mark,
                cutoff: kept.cutoff,
                until: u64::from(kept.until) * 1000,
            };
            read(&shard.table).iter().filter(wanted).map(entry).collect()
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.counts.iter().map(|count| count.load(Ordering::Acquire)).sum()
    }

    fn shard(&self, mark: &Mark) -> &Shard {
        &self.shards[usize::from(mark.0[15]) % SHARDS]
    }
}

// === impl Shard ===

impl Shard {
    fn get(&self, mark: &Mark) -> Option<Kept> {
        let (word, bit) = place(mark);
        if self.filter[word].load(Ordering::Acquire) & bit == 0 {
            return None;
        }
        read(&self.table).get(mark).copied()
    }

    /// Takes the bits out of the filter that no mark has any more. Whoever looks meanwhile finds a word as it was or as it will be, and both have
    /// the bits of all that stays: the table is locked.
    fn refresh(&self, table: &Table) {
        let mut words = [0; WORDS];
        for mark in table.keys() {
            let (word, bit) = place(mark);
            words[word] |= bit;
        }
        for (word, now) in self.filter.iter().zip(words) {
            word.store(now, Ordering::Release);
        }
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self { table: RwLock::default(), filter: Box::new([const { AtomicU64::new(0) }; WORDS]) }
    }
}

/// Where the bit of a mark is: marks are digests, so any of their bits do that do not choose the shard.
fn place(mark: &Mark) -> (usize, u64) {
    (usize::from(mark.0[0]) % WORDS, 1 << (mark.0[1] % 64))
}

// Nothing in here panics while it holds a lock; and if it did, what is there would still be true.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
