//! The one who reads the stream: what it has heard, as of when that is complete, and what it does when Redis has lost something.
//!
//! Nothing is proven by silence alone. A read that found nothing proves that there was nothing *in what was read*; only the greeting that
//! follows, over the same connection, proves that this is still the stream of this epoch with the entry that was read last. So a time is taken
//! for complete one greeting later. And what was lost may be known to others, who have yet to notice: so a read begins to count when the epoch is
//! old enough for all to know of it, and all who had to tell again what they know are done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use buttress_redis::{Consumer, Error, StreamId};
use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::blacklist::Blacklist;
use crate::claims::{millis, whole_millis};
use crate::eviction::Eviction;
use crate::revocation::Entry;
use crate::revocations::Shared;
use crate::stream::{self, Asker, BATCH, Epoch, Stream, Way};

/// The task that reads the stream. Dropped, it ends.
pub(crate) struct Follower(JoinHandle<()>);

/// One who reads.
struct Reader {
    shared: Arc<Shared>,
    stream: Stream,
    consumer: Consumer,
    eviction: Eviction,
    name: Bytes,
    last: StreamId,
    /// How often the stream was read from the beginning.
    round: u16,
    /// What was read last, with its end.
    witnesses: VecDeque<(StreamId, u64)>,
    epoch: Option<Epoch>,
    /// The epoch that a loss was reported for.
    mending: Option<Epoch>,
    /// The last read was complete as of then, if the next greeting confirms it.
    unconfirmed: Option<u64>,
    /// All was read that there was.
    caught_up: bool,
    /// All had told what they know, once in this epoch: who comes back later knows nothing that anybody was promised.
    is_calm: bool,
}

/// Those that end before others that came earlier leave them to vouch.
const WITNESSES: usize = 1024;
/// So many entries at once.
const PAGE: u32 = 1000;
/// After a failure; the connection itself is watched by the wire.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two greetings while nothing can be believed.
const GLANCE: Duration = Duration::from_millis(25);
/// How often one who tells again what it knows says that it is still at it.
const BREATH: Duration = Duration::from_secs(1);

// === impl Follower ===

impl Follower {
    pub(crate) fn start(shared: Arc<Shared>, stream: Stream) -> Self {
        Self(tokio::spawn(Reader::new(shared, stream).run()))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

// === impl Reader ===

impl Reader {
    fn new(shared: Arc<Shared>, stream: Stream) -> Self {
        let consumer = stream.redis().consumer();
        Self {
            shared,
            stream,
            consumer,
            eviction: Eviction::default(),
            name: stream::new_word(),
            last: StreamId::ZERO,
            round: 1,
            witnesses: VecDeque::new(),
            epoch: None,
            mending: None,
            unconfirmed: None,
            caught_up: false,
            is_calm: false,
        }
    }

    async fn run(mut self) {
        let mut failing = false;
        loop {
            self.eviction.look(&self.stream, &self.shared.sight).await;
            let turn = self.turn().await;
            match &turn {
                Err(error) if !failing => tracing::warn!(target: "buttress_jwt", %error, "revocations cannot be read"),
                Ok(()) if failing => tracing::info!(target: "buttress_jwt", "revocations are read again"),
                _ => {}
            }
            failing = turn.is_err();
            if failing {
                self.unconfirmed = None;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Greets, mends if need be, tells what did not come back, reads on.
    async fn turn(&mut self) -> Result<(), Error> {
        let witness = self.witness();
        let asker = Asker { name: &self.name, epoch: self.epoch.as_ref(), witness };
        let greeting = self.stream.greet(&mut self.consumer, asker).await?;
        if self.epoch.as_ref().is_some_and(|epoch| *epoch != greeting.epoch) {
            return self.mend(greeting.epoch).await;
        }
        self.is_calm |= greeting.menders == 0 && greeting.age >= whole_millis(self.shared.options.settled());
        self.epoch = Some(greeting.epoch);
        self.confirm();
        if self.caught_up
            && let Err(error) = self.tell_pending().await
        {
            // A Redis that is full refuses this, and can be read all the same.
            tracing::debug!(target: "buttress_jwt", %error, "revocations cannot be published");
        }
        self.read().await
    }

    /// What the last read found was complete, since the stream is still the same.
    fn confirm(&mut self) {
        let (Some(complete), Some(epoch)) = (self.unconfirmed.take(), &self.epoch) else { return };
        self.shared.sight.complete(epoch, complete);
        metrics::gauge!("buttress_jwt_revocations").set(self.shared.replica.len() as f64);
        metrics::gauge!("buttress_jwt_revocations_complete_seconds").set(complete as f64 / 1000.0);
    }

    /// Reads until it is time for the next greeting. What Redis was asked for at a time is complete as of that time, and not later: it may have
    /// answered at once, and its answer may have been long under way.
    async fn read(&mut self) -> Result<(), Error> {
        let until =
            Instant::now() + if self.shared.is_current(self.now()) { self.shared.options.look() } else { GLANCE };
        loop {
            let block = self.caught_up.then(|| until.saturating_duration_since(Instant::now()));
            let asked = self.now();
            let found = self.read_page(block).await?;
            if self.caught_up {
                self.unconfirmed = self.is_calm.then_some(asked);
            }
            let is_first = self.caught_up && block.is_none();
            if is_first || found == 0 || Instant::now() >= until {
                self.shared.sweep_now_and_then(asked);
                return Ok(());
            }
        }
    }

    /// Takes in what follows, at most a page; how much there was.
    async fn read_page(&mut self, block: Option<Duration>) -> Result<usize, Error> {
        let entries = self.stream.read(&mut self.consumer, self.last, PAGE, block).await?;
        for (id, entry) in &entries {
            match entry {
                Some(entry) => self.take_in(*id, entry),
                None => metrics::counter!("buttress_jwt_bad_records_total").increment(1),
            }
            self.last = *id;
        }
        self.caught_up = entries.len() < PAGE as usize;
        Ok(entries.len())
    }

    fn take_in(&mut self, id: StreamId, entry: &Entry) {
        self.shared.replica.read(entry, self.round);
        self.shared.pending.came_back(entry);
        self.witnesses.push_back((id, entry.until));
        if self.witnesses.len() > WITNESSES {
            self.witnesses.pop_front();
        }
    }

    /// Something was lost, or may have been: reads all from the beginning, and tells what is known here and is not there. Nothing is believed
    /// until that has been done; if it fails, it is begun again.
    async fn mend(&mut self, epoch: Epoch) -> Result<(), Error> {
        self.shared.sight.lost();
        self.shared.blacklist.iter().for_each(Blacklist::lost);
        self.eviction.look_again();
        if self.mending.as_ref() != Some(&epoch) {
            metrics::counter!("buttress_jwt_revocations_lost_total").increment(1);
            let known = self.shared.replica.len();
            tracing::error!(target: "buttress_jwt", known, "redis is another, or has lost revocations: those that are missing are published again");
            self.mending = Some(epoch.clone());
        }
        (self.last, self.caught_up, self.is_calm, self.unconfirmed) = (StreamId::ZERO, false, false, None);
        self.round = self.round.checked_add(1).unwrap_or(1);
        self.witnesses.clear();
        let mut breath = Instant::now();
        while !self.caught_up {
            self.read_page(None).await?;
            self.breathe(&mut breath).await?;
        }
        self.tell_missing(&mut breath).await?;
        self.stream.mending(&mut self.consumer, &self.name, true).await?;
        (self.epoch, self.mending) = (Some(epoch), None);
        Ok(())
    }

    /// Tells what the stream was not found to have. Over the connection that it was read by: another may lead to another server.
    async fn tell_missing(&mut self, breath: &mut Instant) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        for shard in shared.replica.untold(self.round) {
            let now = self.now();
            let open: Vec<_> = shard.into_iter().filter(|entry| entry.until > now).collect();
            for batch in open.chunks(BATCH) {
                // It may be lost again before anybody reads it, and then by what comes next nobody could tell: it has to come back.
                batch.iter().for_each(|entry| shared.pending.tell(*entry, now));
                self.stream.publish(Way::Own(&mut self.consumer), batch, false, now).await?;
                self.breathe(breath).await?;
            }
        }
        self.caught_up = false;
        Ok(())
    }

    /// Says now and then that it goes on.
    async fn breathe(&mut self, breath: &mut Instant) -> Result<(), Error> {
        if breath.elapsed() >= BREATH {
            *breath = Instant::now();
            self.stream.mending(&mut self.consumer, &self.name, false).await?;
        }
        Ok(())
    }

    /// Tells again what was revoked here and has not come back.
    async fn tell_pending(&mut self) -> Result<(), Error> {
        let now = self.now();
        let overdue = self.shared.pending.overdue(now, whole_millis(self.shared.options.look()));
        for batch in overdue.chunks(BATCH) {
            let entries: Vec<_> = batch.iter().map(|untold| untold.entry).collect();
            self.stream.publish(Way::Own(&mut self.consumer), &entries, true, now).await?;
            batch.iter().for_each(|untold| self.shared.pending.told_again(&untold.entry, now));
        }
        match &self.shared.blacklist {
            Some(list) => list.tell(&mut self.consumer, now).await,
            None => Ok(()),
        }
    }

    /// The last entry that still matters, with its end. What a failover loses is always the end of the stream: while this one is there, so is
    /// all that matters before it; and where nothing matters any more, nothing can be lost.
    fn witness(&mut self) -> Option<(StreamId, u64)> {
        let now = self.now();
        while self.witnesses.back().is_some_and(|(_, until)| *until <= now) {
            self.witnesses.pop_back();
        }
        self.witnesses.back().copied()
    }

    fn now(&self) -> u64 {
        millis(self.shared.options.clock.now())
    }
}
