//! What was counted in a window, and what can be asked of it. All of this is in memory, and costs nothing of the store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::policy;
use crate::reader::Counts;
use crate::select::Select;
use crate::series::{Id, Series};
use crate::tally::Tally;
use crate::window::Step;

/// What was counted in a window, by all processes, as of when it was read ([`Events::read`](crate::Events::read)).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), buttress_events::EventsError> {
/// use buttress_events::{Events, Select, Window};
///
/// let events = Events::embedded();
/// # events.add("sold", &[("plan", "pro")], 3);
/// # events.flush().await?;
/// let report = events.read(Window::hours(24)).await?;
///
/// let sold = Select::event("sold");
/// let by_plan = report.top("plan", &sold, 10);            // [("pro", 3)]
/// let by_hour = report.points(&sold);                     // 24 of them, none is missing
/// let failed = report.count(&Select::requests().status("5xx"));
/// let slow = report.quantile(&Select::requests(), 0.99);  // in seconds
///
/// let before = events.read(Window::hours(24).before()).await?;
/// let change = report.change(&before, &sold);             // 1.0 is twice as many
/// # assert_eq!((by_plan.as_slice(), by_hour.len(), failed, slow, change), (&[("pro".into(), 3)][..], 24, 0, None, None));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Report {
    step: Step,
    steps: Vec<(u64, Counts)>,
    names: HashMap<Id, Arc<Series>>,
    now: u64,
}

/// How often something happened in one step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Point {
    /// When the step begins.
    pub start: SystemTime,
    /// How often it happened.
    pub count: u64,
}

// === impl Report ===

impl Report {
    pub(crate) fn new(step: Step, steps: Vec<(u64, Counts)>, names: HashMap<Id, Arc<Series>>, now: u64) -> Self {
        Self { step, steps, names, now }
    }

    /// How often it happened.
    #[must_use]
    pub fn count(&self, select: &Select) -> u64 {
        self.tallies(select).fold(0, |sum, tally| sum.saturating_add(tally.count))
    }

    /// How often it happened in each step; those in which it did not are there.
    #[must_use]
    pub fn points(&self, select: &Select) -> Vec<Point> {
        let ids = self.ids(select);
        let points = self.steps.iter().map(|(start, counts)| {
            let count = of(counts, &ids).fold(0, |sum: u64, tally| sum.saturating_add(tally.count));
            Point { start: policy::time(*start), count }
        });
        points.collect()
    }

    /// How often it happened in a second, on the average: of the time of the window that is over.
    #[must_use]
    pub fn per_second(&self, select: &Select) -> f64 {
        let ends = |start: u64| (start + self.step.millis()).min(self.now.max(start));
        let millis: u64 = self.steps.iter().map(|(start, _)| ends(*start) - start).sum();
        if millis == 0 { 0.0 } else { self.count(select) as f64 * 1000.0 / millis as f64 }
    }

    /// The values of a label, those that happened most first, of which at most so many.
    #[must_use]
    pub fn top(&self, label: &str, select: &Select, most: usize) -> Vec<(Box<str>, u64)> {
        let ids = self.ids(select);
        let mut sums = HashMap::<Box<str>, u64>::new();
        for (id, tally) in self.steps.iter().flat_map(|(_, counts)| counts.iter()).filter(|(id, _)| ids.contains(id)) {
            if let Some(value) = self.names.get(id).and_then(|series| series.label(label)) {
                let sum = sums.entry(value.into()).or_default();
                *sum = sum.saturating_add(tally.count);
            }
        }
        crate::ranking::highest(sums, most)
    }

    /// The value that a share `q` of what was [observed](crate::Events::observe) is not above, to within ±2.2 %; for requests the time they took, in seconds.
    /// `None` if there was nothing.
    #[must_use]
    pub fn quantile(&self, select: &Select, q: f64) -> Option<f64> {
        self.sum(select).buckets.quantile(q)
    }

    /// The quantile of each step.
    #[must_use]
    pub fn quantiles(&self, select: &Select, q: f64) -> Vec<Option<f64>> {
        let ids = self.ids(select);
        let quantile = |counts: &Counts| merged(of(counts, &ids)).buckets.quantile(q);
        self.steps.iter().map(|(_, counts)| quantile(counts)).collect()
    }

    /// The sum of what was observed.
    #[must_use]
    pub fn total(&self, select: &Select) -> f64 {
        self.tallies(select).map(|tally| tally.sum).sum()
    }

    /// By what part there was more than in an earlier window: 0.5 is half as much again, −1 nothing any more. `None` if there was nothing before.
    #[must_use]
    pub fn change(&self, before: &Self, select: &Select) -> Option<f64> {
        let (now, before) = (self.count(select), before.count(select));
        (before > 0).then(|| now as f64 / before as f64 - 1.0)
    }

    /// The names of all events that happened, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<Box<str>> {
        let happened: HashSet<_> = self.steps.iter().flat_map(|(_, counts)| counts.keys()).collect();
        let mut names: Vec<_> = happened.iter().filter_map(|id| Some(self.names.get(id)?.name.clone())).collect();
        names.sort();
        names.dedup();
        names
    }

    /// How often something happened that is counted without its labels, since there were too many different ones.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        let over = |id: &Id| self.names.get(id).is_some_and(|series| series.is_overflow());
        let all = self.steps.iter().flat_map(|(_, counts)| counts.iter());
        all.filter(|(id, _)| over(id)).fold(0, |sum, (_, tally)| sum.saturating_add(tally.count))
    }

    /// When it was read, by the store's clock.
    #[must_use]
    pub fn as_of(&self) -> SystemTime {
        policy::time(self.now)
    }

    /// How long a step is.
    #[must_use]
    pub fn step(&self) -> Duration {
        self.step.duration()
    }

    /// All of a kind together.
    pub(crate) fn sum(&self, select: &Select) -> Tally {
        merged(self.tallies(select))
    }

    /// Every series that happened, with what it sums up to; sorted by name and labels.
    pub(crate) fn series(&self) -> Vec<(Arc<Series>, Tally)> {
        let mut sums = BTreeMap::<_, (Arc<Series>, Tally)>::new();
        for (id, tally) in self.steps.iter().flat_map(|(_, counts)| counts.iter()) {
            if let Some(series) = self.names.get(id) {
                let new = || (Arc::clone(series), Tally::default());
                let place = (series.name.clone(), series.labels.clone());
                sums.entry(place).or_insert_with(new).1.merge(tally);
            }
        }
        sums.into_values().collect()
    }

    /// Every name there is, whether it happened or not.
    pub(crate) fn enrolled(&self) -> impl Iterator<Item = &Arc<Series>> {
        self.names.values()
    }

    pub(crate) fn starts(&self) -> Vec<u64> {
        self.steps.iter().map(|(start, _)| *start).collect()
    }

    /// How often one series happened in each step.
    pub(crate) fn counts_of(&self, id: Id) -> Vec<u64> {
        self.steps.iter().map(|(_, counts)| counts.get(&id).map_or(0, |tally| tally.count)).collect()
    }

    fn tallies(&self, select: &Select) -> impl Iterator<Item = &Tally> {
        let ids = self.ids(select);
        let all = self.steps.iter().flat_map(|(_, counts)| counts.iter());
        all.filter(move |(id, _)| ids.contains(id)).map(|(_, tally)| tally)
    }

    fn ids(&self, select: &Select) -> HashSet<Id> {
        self.names.values().filter(|series| select.takes(series)).map(|series| series.id).collect()
    }
}

fn of<'a>(counts: &'a Counts, ids: &HashSet<Id>) -> impl Iterator<Item = &'a Tally> {
    counts.iter().filter(|(id, _)| ids.contains(id)).map(|(_, tally)| tally)
}

fn merged<'a>(tallies: impl Iterator<Item = &'a Tally>) -> Tally {
    let mut sum = Tally::default();
    tallies.for_each(|tally| sum.merge(tally));
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{METHOD, REQUESTS, ROUTE, STATUS, SeriesRef};

    fn series(name: &str, labels: &[(&str, &str)]) -> Arc<Series> {
        Arc::new(Series::new(SeriesRef { name, labels }))
    }

    /// Three minutes, the last of which is half over.
    fn report() -> Report {
        let request = |status| series(REQUESTS, &[(ROUTE, "/a"), (METHOD, "GET"), (STATUS, status)]);
        let all =
            [request("2xx"), request("5xx"), series("sold", &[("plan", "pro")]), series("sold", &[("plan", "free")])];
        let mut timed = Tally::default();
        (1..=100).for_each(|n| timed.observe(f64::from(n) / 100.0));
        let count = |count| Tally { count, ..Tally::default() };
        let steps = [
            vec![(all[0].id, timed.clone()), (all[2].id, count(3))],
            vec![],
            vec![(all[1].id, timed), (all[2].id, count(1)), (all[3].id, count(9)), (Id(1), count(5))],
        ];
        let steps = (0..).zip(steps).map(|(n, counts)| (n * 60_000, Arc::new(counts.into_iter().collect())));
        Report::new(Step::Minute, steps.collect(), all.into_iter().map(|series| (series.id, series)).collect(), 150_000)
    }

    #[test]
    fn what_was_counted() {
        let report = report();
        let table = [
            (Select::requests(), 200),
            (Select::requests().status("5xx"), 100),
            (Select::requests().route("/a").method("GET"), 200),
            (Select::requests().route("/b"), 0),
            (Select::event("sold"), 13),
            (Select::event("sold").label("plan", "free"), 9),
            (Select::event("sold").label("plan", "free").label("plan", "pro"), 0),
            (Select::event("bought"), 0),
        ];
        for (select, expected) in table {
            assert_eq!(report.count(&select), expected, "{select:?}");
        }
        let points: Vec<_> = report.points(&"sold".into()).iter().map(|point| point.count).collect();
        assert_eq!(points, [3, 0, 10]);
        assert_eq!(report.top("plan", &"sold".into(), 5), [("free".into(), 9), ("pro".into(), 4)]);
        assert_eq!(report.names().iter().map(|name| &**name).collect::<Vec<_>>(), [REQUESTS, "sold"]);
    }

    #[test]
    fn how_often_in_a_second_is_of_the_time_that_is_over() {
        assert_eq!(report().per_second(&"sold".into()), 13.0 / 150.0);
    }

    #[test]
    fn latencies_of_steps_and_of_all() {
        let report = report();
        let is_near = |found: Option<f64>, value: f64| found.is_some_and(|found| (found / value - 1.0).abs() < 0.0225);
        assert!(is_near(report.quantile(&Select::requests(), 0.5), 0.5));
        let steps = report.quantiles(&Select::requests().status("2xx"), 0.99);
        assert!(is_near(steps[0], 0.99) && steps[1..] == [None, None], "{steps:?}");
        assert!((report.total(&Select::requests()) - 101.0).abs() < 1e-6);
    }

    #[test]
    fn more_or_less_than_before() {
        let (report, nothing) = (report(), Report::new(Step::Minute, Vec::new(), HashMap::new(), 0));
        assert_eq!(report.change(&report, &"sold".into()), Some(0.0));
        assert_eq!(nothing.change(&report, &"sold".into()), Some(-1.0));
        assert_eq!(report.change(&nothing, &"sold".into()), None);
        assert_eq!(nothing.per_second(&"sold".into()), 0.0);
    }
}
