//! What is on its way to the store: numbered, and sent as it is until it has arrived.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::pending::Gathered;
use crate::registry::Registry;
use crate::salts::Salts;
use crate::series::{Id, RANKING, SeriesRef, VISITORS};
use crate::store::{What, Write};
use crate::tally::Tally;
use crate::window::Step;

/// What one script is given: it must not hold up the server.
const MOST_SERIES: usize = 200;
const MOST_MEMBERS: usize = 500;
const MOST_VISITORS: usize = 1000;

/// The series that were refused on a day, since it has too many already.
pub(crate) type Refused = HashSet<(u64, Id)>;

/// The writes that add all this to the store. No two have the same lane: they arrive in any order.
pub(crate) fn freeze(
    targets: BTreeMap<(Step, u64), Gathered>,
    number: u64,
    registry: &Registry,
    refused: &Refused,
    salts: &Salts,
) -> Vec<Write> {
    let mut writes = Vec::new();
    for ((step, start), gathered) in targets {
        let parts = counts(&gathered, registry, |id| refused.contains(&(Step::Day.start(start), id)));
        let parts = parts.into_iter().chain(members(&gathered));
        let parts = parts.chain(if step == Step::Day {
            visitors(&gathered, |visitor| salts.salted(start, visitor))
        } else {
            Vec::new()
        });
        for what in parts {
            writes.push(Write { step, start, lane: writes.len() as u32, number, what });
        }
    }
    writes
}

/// Those of series that were refused are counted as their overflow.
fn counts(gathered: &Gathered, registry: &Registry, is_refused: impl Fn(Id) -> bool) -> Vec<What> {
    let mut counts = HashMap::<Id, Tally>::new();
    for (slot, tally) in &gathered.tallies {
        let series = registry.series(*slot);
        let id = if is_refused(series.id) { registry.series(registry.overflow(&series)).id } else { series.id };
        counts.entry(id).or_default().merge(tally);
    }
    chunks(counts.into_iter().collect(), MOST_SERIES).map(What::Counts).collect()
}

fn members(gathered: &Gathered) -> Vec<What> {
    let parts = gathered.ranks.iter().flat_map(|(name, members)| {
        let members = members.iter().map(|(member, count)| (member.clone(), *count)).collect();
        chunks(members, MOST_MEMBERS).map(|chunk| What::Members(ranking(name), chunk))
    });
    parts.collect()
}

fn visitors(gathered: &Gathered, salted: impl Fn(u64) -> Option<u64>) -> Vec<What> {
    let parts = gathered.uniques.iter().flat_map(|(name, visitors)| {
        let hashes = visitors.iter().filter_map(|visitor| salted(*visitor)).collect();
        chunks(hashes, MOST_VISITORS).map(|chunk| What::Visitors(visited(name), chunk))
    });
    parts.collect()
}

fn chunks<T>(mut all: Vec<T>, most: usize) -> impl Iterator<Item = Vec<T>> {
    std::iter::from_fn(move || {
        let rest = all.split_off(all.len().min(most));
        let chunk = std::mem::replace(&mut all, rest);
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// The id of a ranking.
pub(crate) fn ranking(name: &str) -> Id {
    crate::series::Series::new(SeriesRef { name: RANKING, labels: &[("name", name)] }).id
}

/// The id of what visitors are counted for.
pub(crate) fn visited(name: &str) -> Id {
    crate::series::Series::new(SeriesRef { name: VISITORS, labels: &[("name", name)] }).id
}

#[cfg(test)]
mod tests {
    use buttress_core::Clock;

    use super::*;
    use crate::memory::MemoryStore;
    use crate::registry::Slot;
    use crate::store::Keep;

    fn gathered(slots: impl IntoIterator<Item = Slot>) -> Gathered {
        let tally = Tally { count: 1, ..Tally::default() };
        Gathered { tallies: slots.into_iter().map(|slot| (slot, tally.clone())).collect(), ..Gathered::default() }
    }

    #[tokio::test]
    async fn writes_are_small_and_have_lanes_of_their_own() {
        let registry = Registry::new(2000);
        let slots = (0..450).map(|n| registry.resolve(SeriesRef { name: &n.to_string(), labels: &[] }));
        let mut all = gathered(slots);
        (0..1200).for_each(|n| assert_eq!(all.rank("slug", &n.to_string(), 1), 0));
        (0..10).for_each(|n| assert_eq!(all.visit("people", n), 0));
        let targets = [(Step::Minute, 60_000), (Step::Day, 0)].map(|target| (target, all.clone()));
        let mut salts = Salts::default();
        salts.ask(&[0], 0, &MemoryStore::new(Clock::system(), Keep::default(), 8, 1 << 20)).await.unwrap();
        let writes = freeze(targets.into(), 7, &registry, &Refused::new(), &salts);
        let lanes: HashSet<_> = writes.iter().map(|write| write.lane).collect();
        assert_eq!((writes.len(), lanes.len()), (3 + 3 + 3 + 3 + 1, 13), "visitors are a day's");
        assert!(writes.iter().all(|write| write.number == 7));
    }

    #[test]
    fn what_is_refused_is_counted_as_an_overflow_of_its_name() {
        let registry = Registry::new(2000);
        let login = |plan| registry.resolve(SeriesRef { name: "login", labels: &[("plan", plan)] });
        let slots = [login("a"), login("b"), login("c")];
        let refused = slots[1..].iter().map(|slot| (0, registry.series(*slot).id)).collect();
        let writes =
            freeze([((Step::Hour, 3_600_000), gathered(slots))].into(), 1, &registry, &refused, &Salts::default());
        let What::Counts(counts) = &writes[0].what else { panic!("{writes:?}") };
        let over = registry.series(registry.overflow(&registry.series(slots[2]))).id;
        let of = |id| counts.iter().find(|(at, _)| *at == id).map(|(_, tally)| tally.count);
        assert_eq!((counts.len(), of(over), of(registry.series(slots[0]).id)), (2, Some(2), Some(1)));
    }
}
