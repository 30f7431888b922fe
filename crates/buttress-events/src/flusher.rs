//! The one who brings counts to the store: gathers, freezes, sends, and sends again until it has arrived.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use buttress_redis::Error;
use futures_util::StreamExt as _;
use tokio::task::JoinHandle;

use crate::batch::{self, Refused};
use crate::enrolled::{Enrolled, MOST_NAMES};
use crate::events::Shared;
use crate::pending::Pending;
use crate::salts::Salts;
use crate::series::{RANKING, Series, SeriesRef, VISITORS};
use crate::store::{Added, Name, Store as _, StoreAway, What, Write};
use crate::window::Step;

/// What is between the shards and the store.
#[derive(Debug, Default)]
pub(crate) struct Flusher {
    pub(crate) pending: Pending,
    /// What was sent and has not arrived, as far as is known. Sent again, it is the same.
    batch: Vec<Write>,
    number: u64,
    enrolled: Enrolled,
    salts: Salts,
}

/// The task that flushes. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Task(JoinHandle<()>);

/// So many scripts at the same time.
const AT_ONCE: usize = 8;
/// A clock may differ by so much before what waits is moved; it is asked over a network.
const SLACK: i64 = 1000;
/// What is still on its way, what has come meanwhile, and either once more if the store's clock was put back.
const MOST_BATCHES: usize = 5;

// === impl Task ===

impl Task {
    /// Flushes now, and then each `pace`, give or take a tenth, so that processes which began together do not go on together.
    pub(crate) fn start(shared: Arc<Shared>, pace: Duration) -> Self {
        Self(tokio::spawn(async move {
            let mut failing = false;
            loop {
                let turn = shared.flush().await;
                match &turn {
                    Err(error) if !failing => {
                        tracing::warn!(target: "buttress_events", %error, "counts wait");
                    }
                    Ok(()) if failing => tracing::info!(target: "buttress_events", "counts are flushed again"),
                    _ => {}
                }
                failing = turn.is_err();
                tokio::time::sleep(pace.mul_f64(rand::random_range(0.9..1.1))).await;
            }
        }))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

// === impl Flusher ===

impl Flusher {
    /// How many counts have not arrived, as far as is known. What is sent is for several steps: it has arrived when it is in each.
    pub(crate) fn waiting(&self) -> u64 {
        let of = |step| self.batch.iter().filter(move |write| write.step == step).map(Write::count);
        let sent = [Step::Minute, Step::Hour, Step::Day].map(|step| of(step).fold(0, u64::saturating_add));
        self.pending.count().saturating_add(sent.into_iter().max().unwrap_or_default())
    }

    /// Brings all there is to the store. A future that is dropped half-way leaves all as it was: what had arrived is not added again.
    pub(crate) async fn turn(&mut self, shared: &Shared) -> Result<(), StoreAway> {
        self.ask_the_time(shared).await?;
        for _ in 0..MOST_BATCHES {
            if self.batch.is_empty() {
                self.freeze(shared).await?;
            }
            if self.batch.is_empty() {
                return Ok(());
            }
            self.send(shared).await?;
        }
        Err(StoreAway(Error::malformed("a time that does not go back")))
    }

    /// Numbers what waits, if there is something: from now on it is sent as it is.
    async fn freeze(&mut self, shared: &Shared) -> Result<(), StoreAway> {
        self.enroll(shared).await?;
        if !self.pending.is_empty() {
            let minute = Step::Minute.start(shared.timeline.now());
            self.salts.ask(&self.pending.visited_days(), minute, &shared.store).await?;
            self.number += 1;
            let refused = &self.enrolled.refused;
            self.batch = batch::freeze(self.pending.take(), self.number, &shared.registry, refused, &self.salts);
        }
        Ok(())
    }

    /// Takes what was counted since the last time.
    pub(crate) fn gather(&mut self, shared: &Shared) {
        if let Some(now) = shared.store.clock() {
            shared.timeline.told(now);
        }
        let (gathered, left) = shared.shards.take();
        let dropped = self.pending.add(shared.timeline.now(), &gathered).saturating_add(left);
        shared.drop_counts(dropped);
    }

    async fn ask_the_time(&mut self, shared: &Shared) -> Result<(), StoreAway> {
        if shared.timeline.is_told() {
            return Ok(());
        }
        let wrong_by = shared.timeline.told(shared.store.now().await?);
        if wrong_by.abs() > SLACK {
            shared.drop_counts(self.pending.shift(wrong_by));
        }
        Ok(())
    }

    /// Notes the names of what is about to be sent, once a minute for each; and of what was sent in the minute before.
    async fn enroll(&mut self, shared: &Shared) -> Result<(), StoreAway> {
        self.enrolled.turn(Step::Minute.start(shared.timeline.now()));
        for (day, series) in self.pending.series(shared) {
            let refused = self.enroll_on(shared, day, &series).await?;
            let refused = series.iter().filter(|series| refused.contains(&(day, series.id)));
            let overflows: Vec<_> =
                refused.map(|series| shared.registry.series(shared.registry.overflow(series))).collect();
            self.enroll_on(shared, day, &overflows).await?;
        }
        while let Some((day, names)) = self.enrolled.next_owed() {
            shared.store.enroll(day, &names).await?;
            self.enrolled.paid(day, &names);
        }
        Ok(())
    }

    /// Answers with those that were refused.
    async fn enroll_on(&mut self, shared: &Shared, day: u64, series: &[Arc<Series>]) -> Result<Refused, StoreAway> {
        let new = series.iter().filter(|series| !self.enrolled.known.contains_key(&(day, series.id)));
        let new: Vec<_> = new.map(|series| Name::of(series)).collect();
        let mut all = Refused::new();
        for names in new.chunks(MOST_NAMES) {
            let refused = shared.store.enroll(day, names).await?.into_iter().map(|id| (day, id));
            self.enrolled.paid(day, names);
            self.enrolled.known.extend(names.iter().map(|name| ((day, name.id), name.clone())));
            all.extend(refused);
        }
        metrics::counter!("buttress_events_refused_names_total").increment(all.len() as u64);
        self.enrolled.refused.extend(&all);
        Ok(all)
    }

    async fn send(&mut self, shared: &Shared) -> Result<(), StoreAway> {
        let (mut failed, mut told) = (None, None);
        let mut arrived = HashSet::new();
        let mut elsewhere = Vec::new();
        let ask = |write: &Write| {
            let (write, shared) = (write.clone(), shared);
            async move { (write.lane, shared.store.add(&write).await) }
        };
        let mut answers = futures_util::stream::iter(self.batch.iter().map(ask)).buffer_unordered(AT_ONCE);
        while let Some((lane, answer)) = answers.next().await {
            match answer {
                Ok(Added::Done(now) | Added::Again(now)) => {
                    told = Some(now);
                    arrived.insert(lane);
                }
                Ok(Added::Future(now)) => elsewhere.push((lane, now)),
                Ok(Added::Other(now)) => {
                    told = Some(now);
                    arrived.insert(lane);
                    shared.refuse(self.batch.iter().find(|write| write.lane == lane));
                }
                Err(error) => failed = Some(error),
            }
        }
        drop(answers);
        self.settle(&arrived, &elsewhere);
        if let Some(now) = elsewhere.last().map(|(_, now)| *now).or(told) {
            shared.timeline.told(now);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Keeps what has not arrived. What was for a step that has not begun is for the one that has: nothing of it was added.
    fn settle(&mut self, arrived: &HashSet<u32>, elsewhere: &[(u32, u64)]) {
        self.batch.retain(|write| !arrived.contains(&write.lane));
        for (lane, now) in elsewhere {
            for write in self.batch.iter_mut().filter(|write| write.lane == *lane) {
                let before = std::mem::replace(&mut write.start, write.step.start(*now));
                self.enrolled.owe(&write.what, before, write.start);
            }
        }
    }
}

// === impl Shared ===

impl Shared {
    /// Something else lies there, and it makes no sense to try again. What can be added to no day is dropped.
    fn refuse(&self, write: Option<&Write>) {
        tracing::warn!(target: "buttress_events", step = write.map(|write| tracing::field::display(write.step)), "no counts can be added here");
        metrics::counter!("buttress_events_bad_records_total").increment(1);
        self.drop_counts(write.filter(|write| write.step == Step::Day).map_or(0, Write::count));
    }
}

// === impl Pending ===

impl Pending {
    /// All series that wait, by the day.
    fn series(&self, shared: &Shared) -> Vec<(u64, Vec<Arc<Series>>)> {
        let special = |kind, name: &str| Arc::new(Series::new(SeriesRef { name: kind, labels: &[("name", name)] }));
        let days = self.by_day().into_iter().map(|(day, gathered)| {
            let slots = gathered.tallies.keys().map(|slot| shared.registry.series(*slot));
            let rankings = gathered.ranks.keys().map(|name| special(RANKING, name));
            let visited = gathered.uniques.keys().map(|name| special(VISITORS, name));
            (day, slots.chain(rankings).chain(visited).collect())
        });
        days.collect()
    }
}

// === impl Write ===

impl Write {
    fn count(&self) -> u64 {
        match &self.what {
            What::Counts(counts) => counts.iter().fold(0, |sum, (_, tally)| sum.saturating_add(tally.count)),
            What::Members(_, members) => members.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count)),
            What::Visitors(..) => 0,
        }
    }
}
