//! Where counts are gathered until they are flushed: one place for each thread, so that nobody waits for another.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam_utils::CachePadded;

use crate::pending::Gathered;
use crate::registry::Slot;
use crate::tally::Tally;

/// The counts of this process that were not flushed yet.
pub(crate) struct Shards(Box<[CachePadded<Mutex<Shard>>]>);

#[derive(Default)]
struct Shard {
    tallies: Vec<Tally>,
    /// Those that are not empty.
    touched: Vec<Slot>,
    /// Rankings and visitors.
    rest: Gathered,
}

// === impl Shards ===

impl Shards {
    pub(crate) fn new() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self((0..threads.next_power_of_two()).map(|_| CachePadded::default()).collect())
    }

    pub(crate) fn add(&self, slot: Slot, count: u64) {
        if count > 0 {
            self.mine().tally(slot).add(count);
        }
    }

    pub(crate) fn observe(&self, slot: Slot, value: f64) {
        self.mine().tally(slot).observe(value);
    }

    /// Adds to a member of a ranking. Answers what could not be added.
    pub(crate) fn rank(&self, ranking: &str, member: &str, count: u64) -> u64 {
        self.mine().rest.rank(ranking, member, count)
    }

    /// Notes a visitor. Answers how many could not be noted.
    pub(crate) fn visit(&self, name: &str, hash: u64) -> u64 {
        self.mine().rest.visit(name, hash)
    }

    /// Takes all there is. No count is lost or doubled: what comes meanwhile is in the next take. Answers also how many were too many.
    pub(crate) fn take(&self) -> (Gathered, u64) {
        let (mut all, mut left) = (Gathered::default(), 0);
        for shard in &self.0 {
            let mut shard = lock(shard);
            let Shard { tallies, touched, rest } = &mut *shard;
            for slot in touched.drain(..) {
                let tally = std::mem::take(&mut tallies[slot.0 as usize]);
                all.tallies.entry(slot).and_modify(|sum| sum.merge(&tally)).or_insert(tally);
            }
            let rest = std::mem::take(rest);
            drop(shard);
            left = all.merge(&rest).saturating_add(left);
        }
        (all, left)
    }

    /// How many counts there are. For the end of a process: it looks at each series.
    pub(crate) fn count(&self) -> u64 {
        let of = |shard: &Shard| {
            let tallies = shard.touched.iter().map(|slot| shard.tallies[slot.0 as usize].count);
            tallies.fold(shard.rest.count(), u64::saturating_add)
        };
        self.0.iter().map(|shard| of(&lock(shard))).fold(0, u64::saturating_add)
    }

    fn mine(&self) -> MutexGuard<'_, Shard> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed));
        let mine = MINE.with(|mine| *mine);
        lock(&self.0[mine & (self.0.len() - 1)])
    }
}

impl fmt::Debug for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shards").field(&self.0.len()).finish()
    }
}

/// Counts are whole after each step, whoever panics.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Shard ===

impl Shard {
    /// The tally of a slot, about to be counted in.
    fn tally(&mut self, slot: Slot) -> &mut Tally {
        let place = slot.0 as usize;
        if place >= self.tallies.len() {
            self.tallies.resize_with(place + 1, Tally::default);
        }
        let tally = &mut self.tallies[place];
        if tally.is_empty() {
            self.touched.push(slot);
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn nothing_is_lost_while_it_is_taken() {
        let shards = Arc::new(Shards::new());
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let shards = Arc::clone(&shards);
                std::thread::spawn(move || {
                    for round in 0..20_000_u32 {
                        shards.add(Slot(round % 7), 1);
                        shards.observe(Slot(7 + n % 2), f64::from(round));
                    }
                })
            })
            .collect();
        let mut sums = HashMap::<Slot, Tally>::new();
        let mut gather = || {
            for (slot, tally) in shards.take().0.tallies {
                sums.entry(slot).or_default().merge(&tally);
            }
        };
        while threads.iter().any(|thread| !thread.is_finished()) {
            gather();
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        gather();
        assert_eq!(sums.values().map(|tally| tally.count).sum::<u64>(), 8 * 40_000);
        assert_eq!(sums[&Slot(7)].buckets.count(), 80_000);
        assert!(shards.take().0.is_empty());
    }
}
