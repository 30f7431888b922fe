//! What was counted and is not in the store yet: by the minute in which it happened, for as long as that is bounded.
//!
//! While the store is away minutes become hours, hours become days, and days that are too many are dropped and counted. So the memory this takes is
//! that of so many steps with all series there are, however long it lasts, and totals stay right longest.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::registry::Slot;
use crate::tally::Tally;
use crate::window::Step;

/// What was counted together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Gathered {
    pub(crate) tallies: HashMap<Slot, Tally>,
    /// Members of rankings, by the ranking's name.
    pub(crate) ranks: HashMap<Box<str>, HashMap<Box<str>, u64>>,
    /// Visitors, by what they are counted for; as digests that do not leave the process.
    pub(crate) uniques: HashMap<Box<str>, HashSet<u64>>,
}

/// What waits, by the start of its step in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    minutes: BTreeMap<u64, Gathered>,
    hours: BTreeMap<u64, Gathered>,
    days: BTreeMap<u64, Gathered>,
}

const MOST_MINUTES: usize = 15;
const MOST_HOURS: usize = 26;
const MOST_DAYS: usize = 8;
/// Of a ranking in one step; those that come later are not ranked, and counted.
pub(crate) const MOST_MEMBERS: usize = 2000;
/// Of rankings, and of what visitors are counted for.
pub(crate) const MOST_NAMES: usize = 20;
/// Visitors in one step.
pub(crate) const MOST_VISITORS: usize = 20_000;

// === impl Gathered ===

impl Gathered {
    pub(crate) fn is_empty(&self) -> bool {
        self.tallies.is_empty() && self.ranks.is_empty() && self.uniques.is_empty()
    }

    /// How many were counted.
    pub(crate) fn count(&self) -> u64 {
        let tallies = self.tallies.values().map(|tally| tally.count);
        let ranks = self.ranks.values().flat_map(HashMap::values).copied();
        tallies.chain(ranks).fold(0, u64::saturating_add)
    }

    /// Answers how many could not be taken along.
    pub(crate) fn merge(&mut self, other: &Self) -> u64 {
        let mut left = 0_u64;
        for (slot, tally) in &other.tallies {
            self.tallies.entry(*slot).or_default().merge(tally);
        }
        for (ranking, members) in &other.ranks {
            for (member, count) in members {
                left = left.saturating_add(self.rank(ranking, member, *count));
            }
        }
        for (name, hashes) in &other.uniques {
            for hash in hashes {
                left += self.visit(name, *hash);
            }
        }
        left
    }

    /// Counts a member of a ranking; answers what could not be counted.
    pub(crate) fn rank(&mut self, ranking: &str, member: &str, count: u64) -> u64 {
        let Some(members) = named(&mut self.ranks, ranking) else { return count };
        if let Some(known) = members.get_mut(member) {
            *known = known.saturating_add(count);
        } else if members.len() < MOST_MEMBERS {
            members.insert(member.into(), count);
        } else {
            return count;
        }
        0
    }

    /// Notes a visitor; answers how many could not be noted.
    pub(crate) fn visit(&mut self, name: &str, hash: u64) -> u64 {
        let Some(hashes) = named(&mut self.uniques, name) else { return 1 };
        if hashes.len() < MOST_VISITORS || hashes.contains(&hash) {
            hashes.insert(hash);
            return 0;
        }
        1
    }
}

fn named<'a, T: Default>(all: &'a mut HashMap<Box<str>, T>, name: &str) -> Option<&'a mut T> {
    if !all.contains_key(name) {
        if all.len() == MOST_NAMES {
            return None;
        }
        all.insert(name.into(), T::default());
    }
    all.get_mut(name)
}

// === impl Pending ===

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.steps().next().is_none()
    }

    /// How many wait.
    pub(crate) fn count(&self) -> u64 {
        self.steps().map(|(_, _, gathered)| gathered.count()).fold(0, u64::saturating_add)
    }

    /// Takes what was gathered at this moment. Answers how many were dropped.
    pub(crate) fn add(&mut self, at: u64, gathered: &Gathered) -> u64 {
        if gathered.is_empty() {
            return 0;
        }
        let left = self.minutes.entry(Step::Minute.start(at)).or_default().merge(gathered);
        left.saturating_add(self.fold())
    }

    /// Makes hours of minutes that are too many, days of hours, and nothing of days.
    fn fold(&mut self) -> u64 {
        let mut dropped = fold(&mut self.minutes, MOST_MINUTES, &mut self.hours, Step::Hour);
        dropped = dropped.saturating_add(fold(&mut self.hours, MOST_HOURS, &mut self.days, Step::Day));
        while self.days.len() > MOST_DAYS
            && let Some((_, lost)) = self.days.pop_first()
        {
            dropped = dropped.saturating_add(lost.count());
        }
        dropped
    }

    /// Moves all by so many milliseconds, when it turns out that the clock was wrong. Answers how many were dropped.
    pub(crate) fn shift(&mut self, by: i64) -> u64 {
        let all = std::mem::take(self);
        let mut dropped = 0;
        for (step, start, gathered) in all.steps() {
            let start = step.start(start.saturating_add_signed(by));
            dropped = self.of(step).entry(start).or_default().merge(gathered).saturating_add(dropped);
        }
        dropped.saturating_add(self.fold())
    }

    /// Takes all there is: what is to be added to which step. What happened in a minute is added to its hour and its day as well.
    pub(crate) fn take(&mut self) -> BTreeMap<(Step, u64), Gathered> {
        let all = std::mem::take(self);
        let mut targets = BTreeMap::<_, Gathered>::new();
        for (step, start, gathered) in all.steps() {
            for coarser in [Step::Minute, Step::Hour, Step::Day].into_iter().filter(|coarser| *coarser >= step) {
                let target = targets.entry((coarser, coarser.start(start))).or_default();
                target.merge(gathered);
            }
        }
        targets
    }

    /// What waits, by the day.
    pub(crate) fn by_day(&self) -> BTreeMap<u64, Gathered> {
        let mut days = BTreeMap::<_, Gathered>::new();
        for (_, start, gathered) in self.steps() {
            days.entry(Step::Day.start(start)).or_default().merge(gathered);
        }
        days
    }

    /// The days for which visitors wait.
    pub(crate) fn visited_days(&self) -> Vec<u64> {
        let days = self.steps().filter(|(_, _, gathered)| !gathered.uniques.is_empty());
        let mut days: Vec<_> = days.map(|(_, start, _)| Step::Day.start(start)).collect();
        days.sort_unstable();
        days.dedup();
        days
    }

    fn of(&mut self, step: Step) -> &mut BTreeMap<u64, Gathered> {
        match step {
            Step::Minute => &mut self.minutes,
            Step::Hour => &mut self.hours,
            Step::Day => &mut self.days,
        }
    }

    fn steps(&self) -> impl Iterator<Item = (Step, u64, &Gathered)> {
        let all = [(Step::Minute, &self.minutes), (Step::Hour, &self.hours), (Step::Day, &self.days)];
        all.into_iter().flat_map(|(step, all)| all.iter().map(move |(start, gathered)| (step, *start, gathered)))
    }
}

fn fold(from: &mut BTreeMap<u64, Gathered>, most: usize, to: &mut BTreeMap<u64, Gathered>, step: Step) -> u64 {
    let mut left = 0;
    while from.len() > most
        && let Some((start, gathered)) = from.pop_first()
    {
        left = to.entry(step.start(start)).or_default().merge(&gathered).saturating_add(left);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = Step::Minute.millis();
    const DAY: u64 = Step::Day.millis();

    fn counted(count: u64) -> Gathered {
        let tally = Tally { count, ..Tally::default() };
        Gathered { tallies: [(Slot(0), tally)].into(), ..Gathered::default() }
    }

    fn totals(targets: &BTreeMap<(Step, u64), Gathered>, step: Step) -> u64 {
        targets.iter().filter(|((of, _), _)| *of == step).map(|(_, gathered)| gathered.count()).sum()
    }

    #[test]
    fn what_happened_in_a_minute_is_added_to_three_steps() {
        let mut pending = Pending::default();
        for minute in 59..62 {
            assert_eq!(pending.add(minute * MINUTE + 59_999, &counted(1)), 0);
        }
        let starts: Vec<_> = pending.take().into_keys().collect();
        let expected = [
            (Step::Minute, 59 * MINUTE),
            (Step::Minute, 60 * MINUTE),
            (Step::Minute, 61 * MINUTE),
            (Step::Hour, 0),
            (Step::Hour, 60 * MINUTE),
            (Step::Day, 0),
        ];
        assert_eq!(starts, expected);
        assert!(pending.is_empty());
    }

    #[test]
    fn an_outage_of_a_week_loses_nothing_and_takes_so_many_steps() {
        let mut pending = Pending::default();
        let minutes = 7 * 24 * 60;
        for minute in 0..minutes {
            assert_eq!(pending.add(minute * MINUTE, &counted(1)), 0);
        }
        assert_eq!(pending.count(), minutes);
        assert!(pending.steps().count() <= MOST_MINUTES + MOST_HOURS + MOST_DAYS);
        let targets = pending.take();
        assert_eq!(totals(&targets, Step::Day), minutes);
        assert_eq!(totals(&targets, Step::Minute), MOST_MINUTES as u64, "the last ones");
    }

    #[test]
    fn days_that_are_too_many_are_dropped_and_counted() {
        let mut pending = Pending::default();
        let mut dropped = 0;
        for hour in 0..24 * 60 {
            dropped += pending.add(hour * Step::Hour.millis(), &counted(1));
        }
        assert!(dropped > 0);
        assert_eq!(dropped + pending.count(), 24 * 60);
    }

    #[test]
    fn a_clock_that_was_wrong_is_put_right() {
        let mut pending = Pending::default();
        pending.add(100 * DAY, &counted(2));
        pending.add(100 * DAY + MINUTE, &counted(3));
        assert_eq!(pending.shift(-(99 * DAY as i64)), 0);
        let targets = pending.take();
        assert_eq!(targets[&(Step::Day, DAY)].count(), 5);
        assert_eq!(targets[&(Step::Minute, DAY + MINUTE)].count(), 3);
    }

    #[test]
    fn rankings_and_visitors_are_bounded() {
        let mut gathered = Gathered::default();
        let left: u64 = (0..MOST_MEMBERS + 10).map(|n| gathered.rank("slug", &n.to_string(), 1)).sum();
        assert_eq!(left, 10);
        assert_eq!(gathered.rank("slug", "0", 5), 0, "those that are known are counted on");
        let left: u64 = (0..MOST_NAMES + 3).map(|n| gathered.rank(&n.to_string(), "x", 1)).sum();
        assert_eq!(left, 4, "one name is taken already");
        let left: u64 = (0..MOST_VISITORS as u64 + 7).map(|n| gathered.visit("people", n)).sum();
        assert_eq!(left, 7);
    }
}
