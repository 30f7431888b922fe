//! The handle: [`Cache`], shared by layers, routes and whoever wants to know how full it is.
//!
//! ```
//! use buttress_cache::{Cache, CacheLayer, CacheOptions};
//!
//! // One cache for the process, made before any layer and shared by all of them.
//! let cache: Cache = CacheOptions::new().capacity(256 << 20).embedded();
//! let api = CacheLayer::new(cache.clone());
//! let pages = CacheLayer::new(cache);
//! # let _ = (api, pages);
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use buttress_core::Clock;
use buttress_redis::{Error, Redis};
use bytes::Bytes;
use metrics::counter;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::entry::Entry;
use crate::flight::Flights;
use crate::heads::Heads;
use crate::key::Key;
use crate::lease::{Claim, Lease};
use crate::memory::{Memory, PASS};
use crate::record::Record;
use crate::redis::{Claimed, RedisStore};
use crate::variants::Variants;

/// Fills and writes are counted in units of this many bytes.
const UNIT: u64 = 1024;
/// Fills that go on without a client, and refreshes in the background: at most so many at once.
const BACKGROUND: usize = 64;

/// Where responses are kept. A cheap handle: clones share everything.
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

/// How a [`Cache`] is made.
#[derive(Clone, Debug)]
#[must_use]
pub struct CacheOptions {
    capacity: u64,
    local_max_stale: Duration,
    prefix: String,
    clock: Clock,
}

struct Inner {
    memory: Memory,
    redis: Option<RedisStore>,
    heads: Heads,
    flights: Arc<Flights>,
    clock: Clock,
    /// What all fills together may hold, in units.
    fills: Arc<Semaphore>,
    /// What all writes under way to Redis may hold, in units.
    writes: Arc<Semaphore>,
    background: Arc<Semaphore>,
    room: u32,
}

/// Where a request's entry is, or would be.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) key: Key,
    pub(crate) local: u128,
    /// The plain key and what lies under it, once the URI is known to vary.
    pub(crate) variants: Option<(Key, Arc<Variants>)>,
}

/// A share of the memory that fills may use together.
pub(crate) struct Space {
    fills: Arc<Semaphore>,
    held: OwnedSemaphorePermit,
}

// === impl CacheOptions ===

impl CacheOptions {
    /// 64 MiB in process, the prefix `buttress`, the system's clock.
    pub fn new() -> Self {
        Self {
            capacity: 64 << 20,
            local_max_stale: Duration::from_secs(1),
            prefix: "buttress".to_owned(),
            clock: Clock::system(),
        }
    }

    /// What this process may keep, in bytes, overhead included. Default: 64 MiB. With 0 nothing is kept here, and each
    /// hit asks Redis. As much again, at most, is held by entries that are being filled.
    pub fn capacity(mut self, bytes: u64) -> Self {
        self.capacity = bytes;
        self
    }

    /// With Redis: how long this process believes its own copy of an entry before it asks again. Default: one second.
    /// A longer time saves round trips; a change by another process is seen that much later.
    pub fn local_max_stale(mut self, time: Duration) -> Self {
        self.local_max_stale = time;
        self
    }

    /// What the Redis keys begin with. Default: `buttress`. Two services with different answers for one URI need
    /// different prefixes.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Where the time comes from. Default: [`Clock::system`].
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// A cache in this process alone.
    #[must_use]
    pub fn embedded(self) -> Cache {
        Cache::new(self, None)
    }

    /// A cache in Redis, with this process's memory in front of it.
    #[must_use]
    pub fn redis(self, redis: Redis) -> Cache {
        Cache::new(self, Some(redis))
    }
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Cache ===

impl Cache {
    /// A cache of 64 MiB in this process alone. See [`CacheOptions`] for more.
    #[must_use]
    pub fn embedded() -> Self {
        CacheOptions::new().embedded()
    }

    /// A cache in Redis, with 64 MiB in front of it. See [`CacheOptions`] for more.
    #[must_use]
    pub fn redis(redis: Redis) -> Self {
        CacheOptions::new().redis(redis)
    }

    /// Bytes that this process keeps, overhead included.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.inner.memory.weight()
    }

    /// Records that this process keeps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.memory.len()
    }

    /// Whether this process keeps nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until the writes to Redis that are under way have ended: before a process exits, or in a test.
    pub async fn settled(&self) {
        // Closed never, acquired whole: then nobody else holds any.
        drop(self.inner.writes.acquire_many(self.inner.room).await);
    }

    fn new(options: CacheOptions, redis: Option<Redis>) -> Self {
        let max_age = redis.is_some().then_some(options.local_max_stale);
        let room = u32::try_from((options.capacity / UNIT).max(32 * UNIT)).unwrap_or(u32::MAX >> 3);
        let units = || Arc::new(Semaphore::new(room as usize));
        let inner = Inner {
            memory: Memory::new(options.capacity, max_age),
            redis: redis.map(|redis| RedisStore::new(&redis, &options.prefix, options.capacity > 0)),
            heads: Heads::new(),
            flights: Flights::new(),
            clock: options.clock,
            fills: units(),
            writes: units(),
            background: Arc::new(Semaphore::new(BACKGROUND)),
            room,
        };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.inner.clock.now()
    }

    pub(crate) fn heads(&self) -> &Heads {
        &self.inner.heads
    }

    pub(crate) fn flights(&self) -> &Arc<Flights> {
        &self.inner.flights
    }

    /// What this process knows of a key.
    pub(crate) fn peek(&self, key: &Key, local: u128, now: SystemTime) -> Option<Record> {
        self.inner.memory.peek(key, local, now)
    }

    /// What Redis knows of a key. It goes without when Redis is away.
    pub(crate) async fn ask(&self, key: &Key, local: u128) -> Option<Record> {
        match self.inner.redis.as_ref()?.get(key).await {
            Ok(found) => {
                let record = found?;
                self.inner.memory.keep(local, record.clone(), self.now());
                Some(record)
            }
            Err(error) => {
                Self::count_error("get", &error);
                None
            }
        }
    }

    /// Asks for the right to fill a key. `stale` is what is known to be there and wanted to be replaced.
    pub(crate) async fn claim(&self, key: &Key, local: u128, stale: Option<&Entry>) -> Claim {
        let Some(redis) = &self.inner.redis else { return Claim::Away };
        let mut known = stale.map(|entry| Bytes::copy_from_slice(entry.sum()));
        // What cannot be read is replaced as well: once more, knowing it.
        for _ in 0..2 {
            let token = Lease::token();
            match redis.claim(key, &token, known.as_deref()).await {
                Ok(Claimed::Mine) => return Claim::Mine(Lease::new(self, key, token)),
                Ok(Claimed::Held) => return Claim::Held,
                Ok(Claimed::Found(record)) => {
                    self.inner.memory.keep(local, record, self.now());
                    return Claim::Found;
                }
                Ok(Claimed::Unreadable(sum)) => known = Some(sum),
                Err(error) => {
                    Self::count_error("claim", &error);
                    return Claim::Away;
                }
            }
        }
        Claim::Away
    }

    /// Remembers that nothing that can be shared comes of this key, and says so to the fleet.
    pub(crate) fn pass(&self, local: u128, lease: Option<Lease>) {
        self.inner.memory.keep_if_absent(local, Record::Pass, self.now());
        if let Some(lease) = lease {
            self.later(0, async move {
                lease.fill(&Record::Pass, PASS).await;
            });
        }
    }

    /// Forgets what is stored under a plain key, all its variants with it, and every fill of it under way.
    pub(crate) async fn forget(&self, key: &Key) {
        let local = key.local();
        self.inner.flights.invalidate(local);
        self.inner.memory.forget(local);
        if let Some(redis) = &self.inner.redis
            && let Err(error) = redis.forget(key).await
        {
            Self::count_error("forget", &error);
        }
    }

    /// A share of the memory for fills, of so many bytes to begin with.
    pub(crate) fn space(&self, bytes: u64) -> Option<Space> {
        let fills = Arc::clone(&self.inner.fills);
        let held = Arc::clone(&fills).try_acquire_many_owned(units(bytes)).ok()?;
        Some(Space { fills, held })
    }

    pub(crate) fn background(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.inner.background).try_acquire_owned().ok()
    }

    /// Forgets one entry, without its variants and in a task.
    pub(crate) fn drop_entry(&self, place: &Place) {
        self.inner.memory.forget(place.local);
        let (cache, key) = (self.clone(), place.key.clone());
        self.later(key.text().len(), async move {
            if let Some(redis) = &cache.inner.redis
                && let Err(error) = redis.forget(&key).await
            {
                Self::count_error("forget", &error);
            }
        });
    }

    /// Spawns a task that holds so many bytes and talks to Redis. Beyond what may be under way at once, it is left out.
    pub(crate) fn later(&self, bytes: usize, task: impl Future<Output = ()> + Send + 'static) {
        if self.inner.redis.is_none() {
            return;
        }
        let permit = Arc::clone(&self.inner.writes).try_acquire_many_owned(units(bytes as u64));
        let (Ok(permit), Ok(runtime)) = (permit, Handle::try_current()) else {
            counter!("buttress_cache_writes_skipped_total").increment(1);
            return;
        };
        runtime.spawn(async move {
            task.await;
            drop(permit);
        });
    }

    /// Whom to ask beyond [`Cache::peek`].
    pub(crate) fn shared(&self) -> Option<&RedisStore> {
        self.inner.redis.as_ref()
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.inner.memory
    }

    pub(crate) fn count_error(verb: &'static str, error: &Error) {
        let reason = error.kind().as_str();
        counter!("buttress_cache_store_errors_total", "verb" => verb, "reason" => reason).increment(1);
        tracing::debug!(verb, %error, "redis did not serve the cache");
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("memory", &self.inner.memory)
            .field("redis", &self.inner.redis)
            .field("flights", &self.inner.flights)
            .finish_non_exhaustive()
    }
}

// === impl Place ===

impl Place {
    /// The plain key: the one that all variants of a URI share.
    pub(crate) fn plain(&self) -> u128 {
        self.variants.as_ref().map_or(self.local, |(plain, _)| plain.local())
    }
}

// === impl Space ===

impl Space {
    /// Grows to `bytes`; false when there is no more room.
    pub(crate) fn grow(&mut self, bytes: u64) -> bool {
        let missing = (units(bytes) as usize).saturating_sub(self.held.num_permits());
        if missing == 0 {
            return true;
        }
        // In steps, so that a body of small frames does not come here for each of them.
        let step = u32::try_from(missing.max(64)).unwrap_or(u32::MAX);
        match Arc::clone(&self.fills).try_acquire_many_owned(step) {
            Ok(more) => {
                self.held.merge(more);
                true
            }
            Err(_) => false,
        }
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX)
}
