//! The right to fill a key, held by one process of a fleet at a time.
//!
//! ```text
//! claim ──▶ Found           another process has filled it meanwhile
//!       ──▶ Held            another process fills it now: come back in a moment
//!       ──▶ Mine(lease) ──▶ fill: stored, unless the lease was lost
//!                       ──▶ dropped: the next one may try
//!                       ──▶ (killed: the lease ends by itself, in LEASE)
//! ```
//!
//! After Nishtala et al., *Scaling Memcache at Facebook* (NSDI 2013): whoever forgets a record deletes the lease with it, so
//! what was fetched before the change can no longer be stored after it. A lease is short, and renewed for as long as the
//! fill goes on.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::cache::Cache;
use crate::entry::SUM_AT;
use crate::key::Key;
use crate::manifest::Manifest;
use crate::record::Record;

/// How long a process that has died keeps the others from trying.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
/// For half a minute since the fill moved last, and ten minutes in all.
const RENEWALS: u32 = 60;
const MOST_RENEWALS: u32 = 1200;
/// What has to come for a fill to have moved: a body that trickles keeps a key from everybody.
const MOVED: u64 = 64 << 10;
/// Nothing has come yet.
const AWAITED: u64 = u64::MAX;
/// A lease survives two renewals that fail.
const RENEWAL: Duration = Duration::from_millis(500);

/// What asking for a lease comes to.
pub(crate) enum Claim {
    /// Redis is away: everybody fills for itself.
    Away,
    /// There is a record now, and this process knows it.
    Found,
    /// Another process is at it.
    Held,
    /// Go and fill.
    Mine(Lease),
}

/// By what a record may be stored in Redis.
#[derive(Debug)]
pub(crate) enum Right {
    /// The lease on its key.
    Lease(Lease),
    /// Nobody holds a lease: what comes takes the place of what is known to stand there, if that still does. It goes with
    /// whatever is forgotten.
    Place(Cache, Key, Standing),
}

/// What is known to stand under a key.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// The mark of a key that comes to nothing.
    Mark,
    /// An entry, by its sum.
    Entry(Bytes),
}

/// The right to fill a key, held by one process.
pub(crate) struct Lease {
    cache: Cache,
    key: Key,
    token: Bytes,
    renewal: Option<JoinHandle<()>>,
    /// The parts of what it takes the place of.
    supersedes: Option<Box<Manifest>>,
    /// Whether another process had it when it was asked for first.
    pub(crate) was_held: bool,
    /// How many bytes of what it is for have come; [`AWAITED`] before the first.
    received: Arc<AtomicU64>,
}

// === impl Right ===

impl Right {
    pub(crate) fn is_for(&self, key: &Key) -> bool {
        match self {
            Self::Lease(lease) => lease.key == *key,
            Self::Place(_, place, _) => place == key,
        }
    }

    /// The parts of the entry whose place it takes.
    pub(crate) fn supersedes(&self) -> Option<Manifest> {
        match self {
            Self::Lease(lease) => lease.supersedes.as_deref().copied(),
            Self::Place(..) => None,
        }
    }

    /// Stores the record, and ends the right. False if it was lost: then somebody knows better.
    pub(crate) async fn fill(self, record: &Record, keep: Duration) -> bool {
        match self {
            Self::Lease(lease) => lease.fill(record, keep).await,
            Self::Place(cache, key, standing) => {
                let Some(redis) = cache.shared() else { return false };
                let (at, bytes) = match standing {
                    Standing::Mark => (0, Record::Pass.encode()),
                    Standing::Entry(sum) => (SUM_AT, sum),
                };
                let stored = redis.replace(&key, at, bytes, record, keep).await;
                stored.unwrap_or_else(|error| {
                    Cache::count_error("replace", &error);
                    false
                })
            }
        }
    }
}

// === impl Lease ===

impl Lease {
    /// A lease that was just given, renewed until it is dropped.
    pub(crate) fn new(cache: &Cache, key: &Key, token: Bytes, supersedes: Option<Manifest>) -> Self {
        let (cache, key) = (cache.clone(), key.clone());
        let received = Arc::new(AtomicU64::new(AWAITED));
        let renewal = Handle::try_current()
            .ok()
            .map(|runtime| runtime.spawn(renew(cache.clone(), key.clone(), token.clone(), Arc::clone(&received))));
        Self { cache, key, token, renewal, supersedes: supersedes.map(Box::new), was_held: false, received }
    }

    /// A word that no other claim of any process has.
    pub(crate) fn token() -> Bytes {
        Bytes::copy_from_slice(&rand::random::<u128>().to_le_bytes())
    }

    /// Says how many bytes have come: for as long as there are more, the lease is renewed.
    pub(crate) fn received(&self, bytes: u64) {
        self.received.store(bytes, Ordering::Relaxed);
    }

    /// Stores the record and ends the lease. False if it was lost: then somebody knows better.
    pub(crate) async fn fill(mut self, record: &Record, keep: Duration) -> bool {
        self.end_renewal();
        let Some(redis) = self.cache.shared() else { return false };
        match redis.fill(&self.key, &self.token, record, keep).await {
            Ok(stored) => stored,
            Err(error) => {
                Cache::count_error("fill", &error);
                false
            }
        }
    }

    /// Marks the key as coming to nothing, unless a record stands there, and ends the lease.
    pub(crate) async fn mark(mut self, keep: Duration) {
        self.end_renewal();
        let Some(redis) = self.cache.shared() else { return };
        if let Err(error) = redis.mark(&self.key, &self.token, keep).await {
            Cache::count_error("mark", &error);
        }
    }

    fn end_renewal(&mut self) -> bool {
        self.renewal.take().is_some_and(|renewal| {
            renewal.abort();
            true
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.end_renewal() {
            return; // it has been used
        }
        let (cache, key, token) = (self.cache.clone(), self.key.clone(), self.token.clone());
        self.cache.later(0, async move {
            let Some(redis) = cache.shared() else { return };
            if let Err(error) = redis.release(&key, &token).await {
                Cache::count_error("release", &error); // it ends by itself
            }
        });
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}

/// Not for ever: a client that reads slowly must not keep a key from everybody.
async fn renew(cache: Cache, key: Key, token: Bytes, received: Arc<AtomicU64>) {
    let Some(redis) = cache.shared() else { return };
    let (mut since_moved, mut seen) = (0, 0);
    for _ in 0..MOST_RENEWALS {
        tokio::time::sleep(RENEWAL).await;
        let now = received.load(Ordering::Relaxed);
        if now == AWAITED || now >= seen + MOVED {
            // Of a service or a loader that has not answered nobody knows how long it will take.
            (since_moved, seen) = (0, if now == AWAITED { 0 } else { now });
        } else {
            since_moved += 1;
        }
        if since_moved == RENEWALS {
            return;
        }
        // An error is no loss: the lease outlives some of them.
        if matches!(redis.renew(&key, &token).await, Ok(false)) {
            return;
        }
    }
}
