//! The one who reads the stream: what it has heard, as of when that is complete, and what it does when Redis has lost something.
//!
//! Nothing is proven by silence alone. A read that found nothing proves that there was nothing *in what was read*; only the greeting that
//! follows, over the same connection, proves that this is still the stream of this epoch with the entry that was read last. So a time is taken
//! for complete one greeting later.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use buttress_redis::{Consumer, Error, StreamId};
use tokio::task::JoinHandle;

use crate::claims::{millis, whole_millis};
use crate::revocations::Shared;
use crate::stream::{BATCH, Epoch, Stream};

/// The task that reads the stream. Dropped, it ends.
pub(crate) struct Follower(JoinHandle<()>);

/// As of when all revocations are known.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    /// In milliseconds since 1970; 0 before the stream was read, and while a loss is being mended.
    complete: AtomicU64,
    stream: Mutex<Known>,
}

/// Which stream is being read.
#[derive(Clone, Debug, Default)]
enum Known {
    /// None yet.
    #[default]
    Nothing,
    Epoch(Epoch),
    /// It has lost something, and is being told again what the processes know.
    Mending,
}

/// One who reads.
struct Reader {
    shared: Arc<Shared>,
    stream: Stream,
    consumer: Consumer,
    last: StreamId,
    /// What was read last, with its end.
    witnesses: VecDeque<(StreamId, u64)>,
    epoch: Option<Epoch>,
    /// The last read was complete as of then, if the next greeting confirms it.
    unconfirmed: Option<u64>,
    /// All was read that there was.
    caught_up: bool,
    /// Others may still be telling what they know.
    settled: u64,
}

/// Those that end before others that came earlier leave them to vouch.
const WITNESSES: usize = 1024;
/// So many entries at once.
const PAGE: u32 = 1000;
/// After a failure; the connection itself is watched by the wire.
const PAUSE: Duration = Duration::from_millis(50);

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

// === impl Sight ===

impl Sight {
    pub(crate) fn is_current(&self, now: u64, staleness: u64) -> bool {
        let complete = self.complete.load(Ordering::Acquire);
        complete != 0 && now <= complete.saturating_add(staleness)
    }

    /// The epoch in which Redis may be asked: any before the stream was read (`Some(None)`), none while a loss is being mended.
    pub(crate) fn epoch(&self) -> Option<Option<Epoch>> {
        match &*self.stream.lock().unwrap_or_else(PoisonError::into_inner) {
            Known::Nothing => Some(None),
            Known::Epoch(epoch) => Some(Some(epoch.clone())),
            Known::Mending => None,
        }
    }

    fn set(&self, known: Known) {
        *self.stream.lock().unwrap_or_else(PoisonError::into_inner) = known;
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
            last: StreamId::ZERO,
            witnesses: VecDeque::new(),
            epoch: None,
            unconfirmed: None,
            caught_up: false,
            settled: 0,
        }
    }

    async fn run(mut self) {
        let mut eviction = Eviction::default();
        let mut failing = false;
        loop {
            eviction.look(&self.stream).await;
            let turn = self.turn().await;
            match &turn {
                Err(error) if !failing => tracing::warn!(target: "buttress_jwt", %error, "revocations cannot be read"),
                Ok(()) if failing => tracing::info!(target: "buttress_jwt", "revocations are read again"),
                _ => {}
            }
            failing = turn.is_err();
            if failing {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Greets, mends if need be, reads on.
    async fn turn(&mut self) -> Result<(), Error> {
        let witness = self.witness();
        let greeting = self.stream.greet(&mut self.consumer, witness).await?;
        let same = self.epoch.as_ref() == Some(&greeting.epoch);
        let lost = if self.epoch.is_some() { !same || !greeting.whole } else { greeting.created };
        if lost {
            self.mend(greeting.epoch, same).await?;
        } else {
            self.epoch = Some(greeting.epoch);
            self.confirm();
        }
        if self.shared.untold.swap(false, Ordering::AcqRel) {
            self.tell_all().await?;
        }
        self.read().await
    }

    /// What the last read found was complete, since the stream is still the same. While others may be telling what they know, it is not.
    fn confirm(&mut self) {
        let Some(complete) = self.unconfirmed.take().filter(|complete| *complete >= self.settled) else { return };
        if let Some(epoch) = &self.epoch {
            self.shared.sight.set(Known::Epoch(epoch.clone()));
        }
        self.shared.sight.complete.fetch_max(complete, Ordering::AcqRel);
        metrics::gauge!("buttress_jwt_revocations").set(self.shared.replica.len() as f64);
        metrics::gauge!("buttress_jwt_revocations_complete_seconds").set(complete as f64 / 1000.0);
    }

    async fn read(&mut self) -> Result<(), Error> {
        let wait = self.wait();
        let block = self.caught_up.then_some(wait);
        let asked = self.now();
        let entries = self.stream.read(&mut self.consumer, self.last, PAGE, block).await?;
        for (id, entry) in &entries {
            match entry {
                Some(entry) => {
                    self.shared.replica.add(entry);
                    self.witnesses.push_back((*id, entry.until));
                    if self.witnesses.len() > WITNESSES {
                        self.witnesses.pop_front();
                    }
                }
                None => metrics::counter!("buttress_jwt_bad_records_total").increment(1),
            }
            self.last = *id;
        }
        self.caught_up = entries.len() < PAGE as usize;
        if self.caught_up {
            // Redis waited at least so long after it was asked, if there was nothing.
            let waited = if entries.is_empty() { block.unwrap_or_default() } else { Duration::ZERO };
            self.unconfirmed = Some((asked + whole_millis(waited)).min(self.now()));
        }
        self.shared.sweep_now_and_then(asked);
        Ok(())
    }

    /// Something was lost, or nobody was here before: tells all that is known, reads all from the beginning, and gives the other
    /// processes the time to notice and to do the same.
    async fn mend(&mut self, found: Epoch, same: bool) -> Result<(), Error> {
        let sight = &self.shared.sight;
        sight.set(Known::Mending);
        sight.complete.store(0, Ordering::Release);
        if self.epoch.is_some() {
            metrics::counter!("buttress_jwt_revocations_lost_total").increment(1);
            let known = self.shared.replica.len();
            tracing::error!(target: "buttress_jwt", known, "redis has lost revocations: those known here are published again");
        }
        let epoch = if same { self.stream.renew(&found).await? } else { found };
        self.tell_all().await?;
        self.settled = self.now() + 2 * whole_millis(self.wait()) + whole_millis(PAUSE);
        (self.epoch, self.last, self.unconfirmed, self.caught_up) = (Some(epoch), StreamId::ZERO, None, false);
        self.witnesses.clear();
        Ok(())
    }

    /// What is in the stream already is not told twice.
    async fn tell_all(&self) -> Result<(), Error> {
        let now = self.now();
        for shard in self.shared.replica.entries() {
            let open: Vec<_> = shard.into_iter().filter(|entry| entry.until > now).collect();
            for batch in open.chunks(BATCH) {
                if let Err(error) = self.stream.publish(batch, now).await {
                    self.shared.untold.store(true, Ordering::Release);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The last entry that still matters. What a failover loses is always the end of the stream: while this one is there, so is all that
    /// matters before it; and where nothing matters any more, nothing can be lost.
    fn witness(&mut self) -> Option<StreamId> {
        let now = self.now();
        while self.witnesses.back().is_some_and(|(_, until)| *until <= now) {
            self.witnesses.pop_back();
        }
        self.witnesses.back().map(|(id, _)| *id)
    }

    /// Four times within what may pass before nothing is believed any more.
    fn wait(&self) -> Duration {
        self.shared.options.staleness() / 4
    }

    fn now(&self) -> u64 {
        millis(self.shared.options.clock.now())
    }
}

/// Whether Redis may drop what it was told to keep: looked at when it is first reached.
#[derive(Default)]
struct Eviction {
    known: bool,
}

// === impl Eviction ===

impl Eviction {
    async fn look(&mut self, stream: &Stream) {
        if self.known {
            return;
        }
        let Ok(eviction) = stream.redis().eviction().await else { return };
        self.known = true;
        let may_drop = eviction.as_ref().is_some_and(|eviction| eviction.may_drop_keys());
        metrics::gauge!("buttress_jwt_eviction").set(f64::from(u8::from(may_drop)));
        match eviction {
            Some(eviction) if may_drop => {
                let policy = eviction.policy;
                tracing::error!(target: "buttress_jwt", policy, "this redis may drop revocations: set maxmemory-policy to noeviction");
            }
            Some(_) => {}
            None => tracing::warn!(target: "buttress_jwt", "whether this redis may drop revocations cannot be known"),
        }
    }
}
