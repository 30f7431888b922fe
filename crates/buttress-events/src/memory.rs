//! Counts in this process alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use buttress_core::Clock;
use hyperloglog::HyperLogLog;

use crate::policy;
use crate::series::{Id, Series};
use crate::store::{
    Added, Keep, MOST_RANKED, Name, SALT_KEPT, Salt, Store, StoreAway, VISITORS_KEPT, What, Write, whole_millis,
};
use crate::tally::Tally;
use crate::window::Step;

/// Counts in this process.
pub(crate) struct MemoryStore {
    kept: Mutex<Kept>,
    clock: Clock,
    keep: Keep,
    most_series: usize,
    /// How many bytes all steps may take, about.
    capacity: usize,
}

#[derive(Default)]
struct Kept {
    steps: BTreeMap<(Step, u64), Counts>,
    rankings: BTreeMap<(Step, u64, Id), Ranking>,
    visitors: BTreeMap<(u64, Id), HyperLogLog>,
    names: BTreeMap<u64, HashMap<Id, Series>>,
    salts: BTreeMap<u64, Salt>,
    weight: usize,
}

#[derive(Default)]
struct Counts {
    tallies: HashMap<Id, Tally>,
    seen: HashMap<u32, u64>,
    weight: usize,
}

#[derive(Default)]
struct Ranking {
    members: HashMap<Box<str>, u64>,
    seen: HashMap<u32, u64>,
}

/// What a distinct member or visitor is told by, and how well: within a percent.
const ERROR: f64 = 0.01;
const SEED: u128 = 0x0062_7574_7472_6573_7320_6576_656e_7473;

// === impl MemoryStore ===

impl MemoryStore {
    pub(crate) fn new(clock: Clock, keep: Keep, most_series: usize, capacity: usize) -> Self {
        Self { kept: Mutex::default(), clock, keep, most_series, capacity }
    }

    pub(crate) fn clock(&self) -> u64 {
        policy::millis(self.clock.now())
    }

    #[cfg(test)]
    pub(crate) fn weight(&self) -> usize {
        self.kept().weight
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    async fn now(&self) -> Result<u64, StoreAway> {
        Ok(self.clock())
    }

    async fn enroll(&self, day: u64, names: &[Name]) -> Result<Vec<Id>, StoreAway> {
        let mut kept = self.kept();
        let known = kept.names.entry(day).or_default();
        let mut refused = Vec::new();
        for name in names {
            let most = if name.reserved { 2 * self.most_series + 100 } else { self.most_series };
            if known.contains_key(&name.id) {
                continue;
            }
            match Series::parse(name.text.as_bytes()) {
                Some(series) if known.len() < most => drop(known.insert(name.id, series)),
                _ => refused.push(name.id),
            }
        }
        Ok(refused)
    }

    async fn add(&self, write: &Write) -> Result<Added, StoreAway> {
        let now = self.clock();
        let mut kept = self.kept();
        if kept.has(write) {
            return Ok(Added::Again(now));
        }
        if write.start > now + 1000 {
            return Ok(Added::Future(now));
        }
        match &write.what {
            _ if self.keep.until(write.step, write.start) <= now => {}
            What::Counts(counts) => kept.add_counts(write, counts),
            What::Members(ranking, members) => kept.add_members(write, *ranking, members),
            What::Visitors(name, hashes) => {
                let new = || HyperLogLog::new_deterministic(ERROR, SEED);
                let visitors = kept.visitors.entry((write.start, *name)).or_insert_with(new);
                hashes.iter().for_each(|hash| visitors.insert(hash));
            }
        }
        kept.forget(now, self.keep, self.capacity);
        Ok(Added::Done(now))
    }

    async fn salt(&self, day: u64, brought: Salt) -> Result<Salt, StoreAway> {
        Ok(*self.kept().salts.entry(day).or_insert(brought))
    }

    async fn counts(&self, step: Step, start: u64) -> Result<HashMap<Id, Tally>, StoreAway> {
        Ok(self.kept().steps.get(&(step, start)).map(|counts| counts.tallies.clone()).unwrap_or_default())
    }

    async fn names(&self, day: u64) -> Result<Vec<Series>, StoreAway> {
        Ok(self.kept().names.get(&day).map(|names| names.values().cloned().collect()).unwrap_or_default())
    }

    async fn ranking(&self, step: Step, start: u64, ranking: Id) -> Result<Vec<(Box<str>, u64)>, StoreAway> {
        let members = self.kept().rankings.get(&(step, start, ranking)).map(|ranking| ranking.members.clone());
        Ok(crate::ranking::highest(members.unwrap_or_default(), MOST_RANKED))
    }

    async fn visitors(&self, day: u64, name: Id) -> Result<u64, StoreAway> {
        Ok(self.kept().visitors.get(&(day, name)).map_or(0, |visitors| visitors.len().round() as u64))
    }

    #[cfg(feature = "otlp")]
    async fn lead(&self, _: u64) -> Result<bool, StoreAway> {
        Ok(true)
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

// === impl Kept ===

impl Kept {
    /// Whether a batch is in there already. Visitors do not say: to note one twice changes nothing.
    fn has(&self, write: &Write) -> bool {
        let place = (write.step, write.start);
        let seen = match &write.what {
            What::Counts(_) => self.steps.get(&place).map(|counts| &counts.seen),
            What::Members(ranking, _) => self.rankings.get(&(place.0, place.1, *ranking)).map(|members| &members.seen),
            What::Visitors(..) => None,
        };
        seen.and_then(|seen| seen.get(&write.lane)).is_some_and(|last| *last >= write.number)
    }

    fn add_counts(&mut self, write: &Write, counts: &[(Id, Tally)]) {
        let step = self.steps.entry((write.step, write.start)).or_default();
        step.seen.insert(write.lane, write.number);
        let before = step.weight;
        for (id, tally) in counts {
            let sum = step.tallies.entry(*id).or_default();
            step.weight -= if sum.is_empty() { 0 } else { sum.weight() };
            sum.merge(tally);
            step.weight += sum.weight();
        }
        self.weight = self.weight + step.weight - before;
    }

    fn add_members(&mut self, write: &Write, ranking: Id, members: &[(Box<str>, u64)]) {
        let ranking = self.rankings.entry((write.step, write.start, ranking)).or_default();
        ranking.seen.insert(write.lane, write.number);
        let before = ranking.weight();
        for (member, count) in members {
            let sum = ranking.members.entry(member.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
        if ranking.members.len() > MOST_RANKED {
            let members = std::mem::take(&mut ranking.members);
            ranking.members = crate::ranking::highest(members, MOST_RANKED).into_iter().collect();
        }
        self.weight = self.weight + ranking.weight() - before;
    }

    /// Forgets what is over; of what is too much rankings, and then the earliest minutes, hours, days.
    fn forget(&mut self, now: u64, keep: Keep, capacity: usize) {
        let is_kept = |step, start| keep.until(step, start) > now;
        let weight = &mut self.weight;
        self.steps.retain(|&(step, start), counts| is_kept(step, start) || forget(weight, counts.weight));
        self.rankings.retain(|&(step, start, _), ranking| is_kept(step, start) || forget(weight, ranking.weight()));
        while *weight > capacity {
            match (self.rankings.pop_first(), self.steps.len()) {
                (Some((_, ranking)), _) => forget(weight, ranking.weight()),
                (None, 0) => break,
                (None, _) => forget(weight, self.steps.pop_first().map_or(0, |(_, counts)| counts.weight)),
            };
        }
        self.visitors.retain(|&(day, _), _| day.saturating_add(whole_millis(VISITORS_KEPT)) > now);
        self.names.retain(|&day, _| is_kept(Step::Day, day));
        self.salts.retain(|&day, _| day.saturating_add(whole_millis(SALT_KEPT)) > now);
    }
}

// === impl Ranking ===

impl Ranking {
    /// About how many bytes it takes.
    fn weight(&self) -> usize {
        96 * self.members.len()
    }
}

/// Takes a weight away. Answers that it is not kept.
fn forget(weight: &mut usize, by: usize) -> bool {
    *weight = weight.saturating_sub(by);
    false
}
