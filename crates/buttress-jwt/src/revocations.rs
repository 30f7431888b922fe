//! What is revoked: asked in memory for every token, told to every process.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use buttress_core::Clock;
use buttress_redis::{Consumer, Redis};

use crate::blacklist::Blacklist;
use crate::claims::{millis, whole_millis};
use crate::follower::Follower;
use crate::journal::Journal;
use crate::mark::Kind;
use crate::options::RevocationsOptions;
use crate::pending::Pending;
use crate::replica::Replica;
use crate::revocation::{Entry, Revocation};
use crate::sight::Sight;
use crate::stream::{Stream, Way};
use crate::token::Token;

/// What is revoked. Cheap to clone; a layer, an issuer and your handlers share one.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use buttress_jwt::{Revocation, Revocations};
///
/// let revocations = Revocations::embedded(); // or `Revocations::options().redis(redis)`
/// revocations.revoke(Revocation::subject("https://accounts.example", "ada")).await?; // log out everywhere
/// # Ok(()) }
/// ```
///
/// # When Redis is away
///
/// Every process holds all revocations, and knows as of when they are complete. While that is less than
/// [`max_staleness`](RevocationsOptions::max_staleness) ago, tokens are checked in memory. Later Redis is asked for each, and where
/// it does not answer, nothing is known of the token: the layer's `Outage` decides, with 503 by default. What is revoked meanwhile holds in
/// the process where it was revoked, and is published when Redis is back.
///
/// So the bound is this: what [`revoke`](Self::revoke) has acknowledged is refused everywhere `max_staleness` later, or nothing is known of the token,
/// whatever happens to Redis. A Redis that has lost revocations (flushed, restarted, failed over to a replica that lagged) begins anew:
/// the processes notice within a quarter of `max_staleness`, publish again what they know and it has not, and nothing is taken for good
/// before they had the time to (half of `max_staleness` and a second, and then as long as it takes). This is so at the very first start, too:
/// a Redis that has just begun may be one that has forgotten. What nobody alive knows any more is lost, and what only a process knows
/// that does not reach Redis within that second is known when it does.
///
/// That a server is another than before is known by `INFO`; where its user may not ask that, only by what is missing.
/// Where Redis is full, what is known stays known, and more cannot be acknowledged. With a cluster or sentinels, have the servers refuse to serve
/// as master alone (`min-replicas-to-write 1`, `min-replicas-max-lag 1`): else one that was replaced behind a broken network goes on to be
/// believed by those on its side of it.
#[derive(Clone)]
pub struct Revocations {
    pub(crate) shared: Arc<Shared>,
    /// The one who reads the stream; ends with the last clone.
    _follower: Option<Arc<Follower>>,
}

/// Whether a token was revoked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Standing {
    /// It was not.
    Good,
    /// It was, by this.
    Revoked(Kind),
    /// Nobody can be asked who would know.
    Unknown,
}

/// Why a revocation is not as durable as it should be. It holds in this process all the same.
#[derive(Debug)]
#[non_exhaustive]
pub enum RevokeError {
    /// Redis was not told. It is when it is back, as long as this process lives.
    Untold(buttress_redis::Error),
    /// Fewer replicas have it than were asked for.
    Replicas {
        /// How many were asked for.
        asked: u32,
        /// How many have it.
        have: u32,
    },
    /// The file was not written.
    Journal(std::io::Error),
}

pub(crate) struct Shared {
    pub(crate) replica: Replica,
    pub(crate) sight: Sight,
    /// How long a token may pass at most, in milliseconds: revocations are kept so long.
    reach: AtomicU64,
    /// What was revoked here and Redis may not have.
    pub(crate) pending: Pending,
    swept: AtomicU64,
    pub(crate) options: RevocationsOptions,
    pub(crate) blacklist: Option<Blacklist>,
    backing: Backing,
}

pub(crate) enum Backing {
    Memory,
    Journal(Arc<Mutex<Journal>>),
    Redis(Stream, Option<Box<Durable>>),
}

/// A connection for those who wait for replicas, one after the other: `WAIT` holds up what is sent behind it.
pub(crate) struct Durable {
    consumer: tokio::sync::Mutex<Consumer>,
    replicas: u32,
    timeout: Duration,
}

/// What is known of a token without waiting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Known {
    Standing(Standing),
    Ask,
}

const SWEEP_EVERY: u64 = 60_000;
/// Revocations are kept so much longer than tokens may pass, in milliseconds: the clock of the one who revokes may be behind.
const CLOCKS: u64 = 60_000;

// === impl Revocations ===

impl Revocations {
    /// Revocations of one process, forgotten when it ends.
    #[must_use]
    pub fn embedded() -> Self {
        Self::options().embedded()
    }

    /// Settings other than the defaults; end with [`embedded`](RevocationsOptions::embedded), [`journal`](RevocationsOptions::journal) or
    /// [`redis`](RevocationsOptions::redis).
    pub fn options() -> RevocationsOptions {
        RevocationsOptions::new()
    }

    /// Revokes. When this returns, the token is refused here, and published: other processes refuse it as soon as they hear, in
    /// milliseconds, and [`max_staleness`](RevocationsOptions::max_staleness) at the latest.
    ///
    /// # Errors
    /// If it is not as durable as was asked for; it holds in this process all the same.
    pub async fn revoke(&self, revocation: Revocation) -> Result<(), RevokeError> {
        let shared = &self.shared;
        let now = millis(shared.options.clock.now());
        let entry = revocation.entry(now, shared.reach());
        let is_new = shared.replica.add(&entry);
        shared.sweep_now_and_then(now);
        metrics::counter!("buttress_jwt_revoked_total", "kind" => entry.kind.as_str()).increment(1);
        match &shared.backing {
            Backing::Memory => Ok(()),
            Backing::Journal(journal) => shared.write_down(journal, entry).await,
            Backing::Redis(stream, durable) => {
                if is_new {
                    shared.pending.tell(entry, now);
                }
                // Both are told, whatever becomes of the other.
                let (listed, published) = tokio::join!(
                    shared.list(stream, &revocation, entry, now),
                    shared.publish(stream, durable.as_deref(), entry, now),
                );
                if let Err(RevokeError::Untold(_)) = &published {
                    shared.pending.failed(entry);
                }
                published.and(listed)
            }
        }
    }

    /// Whether a token was revoked. In memory, unless that is too old to be believed.
    pub async fn check(&self, token: &Token) -> Standing {
        let now = millis(self.shared.options.clock.now());
        match self.shared.known(token, now) {
            Known::Standing(standing) => standing,
            Known::Ask => self.shared.ask(token, now).await,
        }
    }

    /// Whether tokens are checked in memory now: for a readiness endpoint.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.is_current(millis(self.shared.options.clock.now()))
    }

    /// Waits until [`is_ready`](Self::is_ready).
    pub async fn ready(&self) {
        while !self.is_ready() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How many revocations are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.replica.len()
    }

    /// Whether nothing is revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes sure that revocations are kept as long as tokens may pass; a layer says so of its verifier.
    pub(crate) fn cover(&self, reach: Duration) {
        self.shared.reach.fetch_max(whole_millis(reach), Ordering::AcqRel);
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.shared.options.prefix
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.shared.options.clock
    }

    pub(crate) fn new(options: RevocationsOptions, replica: Replica, backing: Backing) -> Self {
        let now = millis(options.clock.now());
        let shared = Arc::new(Shared {
            replica,
            sight: Sight::default(),
            reach: AtomicU64::new(whole_millis(options.reach)),
            pending: Pending::default(),
            swept: AtomicU64::new(now),
            blacklist: options.blacklist.clone().map(Blacklist::new),
            options,
            backing,
        });
        let follower = match &shared.backing {
            Backing::Redis(stream, _) => Some(Arc::new(Follower::start(Arc::clone(&shared), stream.clone()))),
            _ => None,
        };
        Self { shared, _follower: follower }
    }
}

// === impl Durable ===

impl Durable {
    pub(crate) fn new(redis: &Redis, replicas: u32, timeout: Duration) -> Self {
        Self { consumer: tokio::sync::Mutex::new(redis.consumer()), replicas, timeout }
    }
}

// === impl Shared ===

impl Shared {
    /// What can be said of a token at once. What is known to be revoked is, however old that knowledge.
    pub(crate) fn known(&self, token: &Token, now: u64) -> Known {
        match self.replica.revoked(token, now) {
            Some(kind) => Known::Standing(Standing::Revoked(kind)),
            None if self.blacklist.is_none() && self.is_current(now) => Known::Standing(Standing::Good),
            None => Known::Ask,
        }
    }

    /// Asks Redis for what cannot be said at once.
    pub(crate) async fn ask(&self, token: &Token, now: u64) -> Standing {
        let Backing::Redis(stream, _) = &self.backing else { return Standing::Good };
        if !self.is_current(now) {
            metrics::counter!("buttress_jwt_revocation_lookups_total").increment(1);
            // While a loss is being mended, the silence of Redis says nothing.
            let Some(epoch) = self.sight.epoch() else { return Standing::Unknown };
            match stream.look_up(token, epoch.as_ref(), self.options.settled()).await {
                Ok(Some(None)) => {}
                Ok(Some(Some(kind))) => return Standing::Revoked(kind),
                Ok(None) | Err(_) => return Standing::Unknown,
            }
        }
        match (&self.blacklist, token.claims().id()) {
            (Some(list), Some(id)) => match list.has(stream.redis(), id).await {
                Ok(false) => Standing::Good,
                Ok(true) => Standing::Revoked(Kind::Token),
                Err(_) => Standing::Unknown,
            },
            _ => Standing::Good,
        }
    }

    pub(crate) fn reach(&self) -> u64 {
        self.reach.load(Ordering::Acquire).saturating_add(CLOCKS)
    }

    pub(crate) fn sweep_now_and_then(&self, now: u64) {
        let swept = self.swept.load(Ordering::Relaxed);
        let due = now.saturating_sub(swept) >= SWEEP_EVERY;
        if due && self.swept.compare_exchange(swept, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.replica.sweep(now);
            self.blacklist.iter().for_each(|list| list.sweep(now));
        }
    }

    pub(crate) fn is_current(&self, now: u64) -> bool {
        match self.backing {
            Backing::Memory | Backing::Journal(_) => true,
            Backing::Redis(..) => self.sight.is_current(now, whole_millis(self.options.max_staleness)),
        }
    }

    async fn write_down(self: &Arc<Self>, journal: &Arc<Mutex<Journal>>, entry: Entry) -> Result<(), RevokeError> {
        let (shared, journal) = (Arc::clone(self), Arc::clone(journal));
        let write = move || {
            let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
            journal.append(&entry, &shared.replica)
        };
        let written = tokio::task::spawn_blocking(write).await;
        written.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(RevokeError::Journal)
    }

    /// Puts the token that is meant onto the list of an old service, if there is one.
    async fn list(&self, stream: &Stream, revocation: &Revocation, entry: Entry, now: u64) -> Result<(), RevokeError> {
        let (Some(list), Some((id, end))) = (&self.blacklist, &revocation.listed) else { return Ok(()) };
        list.add(stream.redis(), id, end.unwrap_or(entry.until), now).await.map_err(RevokeError::Untold)
    }

    async fn publish(
        &self,
        stream: &Stream,
        durable: Option<&Durable>,
        entry: Entry,
        now: u64,
    ) -> Result<(), RevokeError> {
        let Some(Durable { consumer, replicas, timeout }) = durable else {
            return stream.publish(Way::Shared, &[entry], false, now).await.map_err(RevokeError::Untold);
        };
        let mut consumer = consumer.lock().await;
        stream.publish(Way::Own(&mut consumer), &[entry], false, now).await.map_err(RevokeError::Untold)?;
        let have = consumer.wait_for_replicas(*replicas, *timeout).await.unwrap_or(0);
        if have < *replicas { Err(RevokeError::Replicas { asked: *replicas, have }) } else { Ok(()) }
    }
}

// === impl RevokeError ===

impl fmt::Display for RevokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untold(_) => f.write_str("redis was not told of a revocation, which holds here"),
            Self::Replicas { asked, have } => write!(f, "{have} replicas have a revocation, {asked} were asked for"),
            Self::Journal(_) => {
                f.write_str("a revocation was not written to its file, and holds until this process ends")
            }
        }
    }
}

impl std::error::Error for RevokeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Untold(error) => Some(error),
            Self::Replicas { .. } => None,
            Self::Journal(error) => Some(error),
        }
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations")
            .field("known", &self.len())
            .field("ready", &self.is_ready())
            .finish_non_exhaustive()
    }
}
