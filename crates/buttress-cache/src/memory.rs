//! The embedded store: records in this process, bounded in bytes.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use quick_cache::sync::Cache;
use quick_cache::{OptionsBuilder, Weighter};

use crate::key::Key;
use crate::manifest::Part;
use crate::millis::to_millis;
use crate::record::Record;

/// What a slot costs beside its bytes: the index, the reference counts and the parsed head.
const OVERHEAD: usize = 320;

/// How long requests do not queue for a key that came to nothing: as long as Varnish's hit-for-miss.
pub(crate) const PASS: Duration = Duration::from_secs(120);

/// The records of this process. Alone it is the whole store; before Redis it is the in-process tier.
///
/// Evicts by S3-FIFO (quick_cache): an entry that is asked for once does not push out one that is asked for often.
pub(crate) struct Memory {
    slots: Cache<u128, Slot, Bytes, Ready>,
    /// Nothing is kept, and nobody has to look.
    is_empty: bool,
}

/// A record and when this process came by it.
#[derive(Clone)]
struct Slot {
    record: Record,
    /// Milliseconds since 1970.
    since: u64,
    as_of: u64,
}

/// A record, and how it came here.
pub(crate) struct Found {
    pub(crate) record: Record,
    /// When it was put down, in milliseconds since 1970.
    pub(crate) since: u64,
    /// The version of [`Coherence`](crate::coherence::Coherence) under which it was read or begun.
    pub(crate) as_of: u64,
}

#[derive(Clone)]
struct Bytes;

/// Takes the keys for the hashes that they are: of a text, under a seed that nobody outside knows, or drawn at random.
///
/// The shard is chosen by the bits from 32 on, and so the parts of a body can be dealt out evenly.
#[derive(Clone, Copy, Default)]
struct Ready;

#[derive(Default)]
struct LowHalf(u64);

// === impl Memory ===

impl Memory {
    /// A store of at most `capacity` bytes.
    pub(crate) fn new(capacity: u64) -> Self {
        let estimated = usize::try_from(capacity / 4096).unwrap_or(usize::MAX).clamp(16, 1 << 20);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(estimated)
            .weight_capacity(capacity)
            .shards(shards(capacity))
            .build()
            .expect("all required options are set");
        let slots = Cache::with_options(options, Bytes, Ready, quick_cache::sync::DefaultLifecycle::default());
        Self { slots, is_empty: capacity == 0 }
    }

    /// The record for `key`, if it is here.
    pub(crate) fn peek(&self, key: &Key, local: u128, now: SystemTime) -> Option<Found> {
        if self.is_empty {
            return None;
        }
        let Slot { record, since, as_of } = self.slots.get(&local)?;
        let forgotten =
            matches!(record, Record::Pass) && to_millis(now).saturating_sub(since) >= PASS.as_millis() as u64;
        (!forgotten && record.is_for(key)).then_some(Found { record, since, as_of })
    }

    /// A part of a large body, if it is here.
    pub(crate) fn part(&self, local: u128) -> Option<Arc<Part>> {
        match self.slots.get(&local)?.record {
            Record::Part(part) => Some(part),
            _ => None,
        }
    }

    /// Keeps a record that was read or begun under a version. One that is larger than a shard is not kept.
    pub(crate) fn keep(&self, local: u128, record: Record, now: SystemTime, as_of: u64) {
        if !self.is_empty {
            self.slots.insert(local, Slot { record, since: to_millis(now), as_of });
        }
    }

    /// Keeps the word to pass, unless there is a record that says more.
    pub(crate) fn pass(&self, local: u128, now: SystemTime, as_of: u64) {
        if !self.slots.peek(&local).is_some_and(|slot| !matches!(slot.record, Record::Pass)) {
            self.keep(local, Record::Pass, now, as_of);
        }
    }

    /// Forgets a record.
    pub(crate) fn forget(&self, local: u128) {
        self.slots.remove(&local);
    }

    /// Forgets an entry, if it is the one with this sum.
    pub(crate) fn forget_known(&self, local: u128, sum: &[u8]) {
        self.slots.remove_if(&local, |slot| matches!(&slot.record, Record::Entry(entry) if entry.sum() == sum));
    }

    /// Bytes in use, overhead included.
    pub(crate) fn weight(&self) -> u64 {
        self.slots.weight()
    }

    /// Records held.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

impl BuildHasher for Ready {
    type Hasher = LowHalf;

    fn build_hasher(&self) -> LowHalf {
        LowHalf::default()
    }
}

impl Hasher for LowHalf {
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = self.0.rotate_left(8) ^ u64::from(byte));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Weighter<u128, Slot> for Bytes {
    fn weight(&self, _: &u128, slot: &Slot) -> u64 {
        (slot.record.len() + OVERHEAD) as u64
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("len", &self.len()).field("weight", &self.weight()).finish_non_exhaustive()
    }
}

/// A record must fit its shard: few shards for small stores, so that a test's tiny store still keeps something.
fn shards(capacity: u64) -> usize {
    const SMALLEST: u64 = 8 << 20;
    usize::try_from(capacity / SMALLEST).unwrap_or(usize::MAX).clamp(1, 64)
}
