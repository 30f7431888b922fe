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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use buttress_core::Clock;
use buttress_redis::{Error, Redis};
use bytes::Bytes;
use metrics::counter;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::coherence::Coherence;
use crate::flight::Flights;
use crate::heads::Heads;
use crate::key::Key;
use crate::lease::Right;
use crate::listen;
#[cfg(feature = "memo")]
use crate::memo::Values;
use crate::memory::{Memory, PASS};
use crate::options::CacheOptions;
use crate::redis::RedisStore;
use crate::stamps::StampStore;
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

pub(crate) struct Inner {
    memory: Memory,
    redis: Option<RedisStore>,
    stamps: Option<StampStore>,
    coherence: Coherence,
    heads: Heads,
    #[cfg(feature = "memo")]
    values: Values,
    flights: Arc<Flights>,
    clock: Clock,
    /// What all fills together may hold, in units.
    fills: Arc<Semaphore>,
    /// What all writes under way to Redis may hold, in units.
    writes: Arc<Semaphore>,
    background: Arc<Semaphore>,
    /// Whether a layer on this cache follows `No-Vary-Search`: then a change anywhere has to be told to what answers many queries.
    searches: AtomicBool,
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

    pub(crate) fn new(options: CacheOptions, redis: Option<Redis>) -> Self {
        let room = u32::try_from((options.capacity / UNIT).max(32 * UNIT)).unwrap_or(u32::MAX >> 3);
        let units = || Arc::new(Semaphore::new(room as usize));
        let inner = Inner {
            memory: Memory::new(options.capacity),
            coherence: Coherence::new(redis.is_some().then_some(options.local_max_stale)),
            stamps: redis.as_ref().map(|redis| StampStore::new(redis, &options.prefix)),
            redis: redis.map(|redis| RedisStore::new(&redis, &options.prefix, options.capacity > 0, options.compress)),
            heads: Heads::new(),
            #[cfg(feature = "memo")]
            values: Values::new(options.capacity),
            flights: Flights::new(),
            clock: options.clock,
            fills: units(),
            writes: units(),
            background: Arc::new(Semaphore::new(BACKGROUND)),
            searches: AtomicBool::new(false),
            room,
        };
        let cache = Self { inner: Arc::new(inner) };
        if let (Some(stamps), Ok(runtime)) = (&cache.inner.stamps, Handle::try_current()) {
            runtime.spawn(listen::listen(cache.downgrade(), stamps.watch()));
        }
        cache
    }

    /// A handle that does not keep the cache alive.
    pub(crate) fn downgrade(&self) -> Weak<Inner> {
        Arc::downgrade(&self.inner)
    }

    pub(crate) fn upgrade(weak: &Weak<Inner>) -> Option<Self> {
        weak.upgrade().map(|inner| Self { inner })
    }

    /// What tells this cache from every other one of the process, for as long as it lives.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.inner).addr()
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.inner.clock.now()
    }

    pub(crate) fn heads(&self) -> &Heads {
        &self.inner.heads
    }

    #[cfg(feature = "memo")]
    pub(crate) fn values(&self) -> &Values {
        &self.inner.values
    }

    pub(crate) fn flights(&self) -> &Arc<Flights> {
        &self.inner.flights
    }

    pub(crate) fn coherence(&self) -> &Coherence {
        &self.inner.coherence
    }

    pub(crate) fn stamps(&self) -> Option<&StampStore> {
        self.inner.stamps.as_ref()
    }

    /// Remembers that nothing that can be shared comes of this key, and says so to the fleet.
    pub(crate) fn pass(&self, local: u128, right: Option<Right>) {
        self.inner.memory.pass(local, self.now(), self.inner.coherence.version());
        // A mark that is there already is left to its end.
        if let Some(Right::Lease(lease)) = right {
            self.later(0, async move {
                lease.mark(PASS).await;
            });
        }
    }

    /// Forgets what is stored under a plain key, all its variants with it, and every fill of it under way.
    pub(crate) async fn forget(&self, key: &Key) -> Result<(), Error> {
        let local = key.local();
        self.inner.flights.invalidate(local);
        self.inner.memory.forget(local);
        let Some(redis) = &self.inner.redis else { return Ok(()) };
        let forgotten = redis.forget(key).await;
        // Once more: what Redis had said before may have come in between.
        self.inner.coherence.note_change(key.digest());
        self.inner.memory.forget(local);
        forgotten
    }

    /// Says that a layer follows `No-Vary-Search`.
    pub(crate) fn follow_search(&self) {
        self.inner.searches.store(true, Ordering::Relaxed);
    }

    /// Whether a layer does.
    pub(crate) fn follows_search(&self) -> bool {
        self.inner.searches.load(Ordering::Relaxed)
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

    /// Forgets one entry, unless another one stands in its place.
    pub(crate) async fn drop_known(&self, key: &Key, sum: &[u8]) {
        self.inner.memory.forget_known(key.local(), sum);
        if let Some(redis) = &self.inner.redis
            && let Err(error) = redis.forget_known(key, Bytes::copy_from_slice(sum)).await
        {
            Self::count_error("forget", &error);
        }
    }

    /// Spawns a task that holds so many bytes and talks to Redis. Beyond what may be under way at once, it is left out.
    pub(crate) fn later<T: Send + 'static>(
        &self,
        bytes: usize,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Option<JoinHandle<T>> {
        self.inner.redis.as_ref()?;
        let permit = Arc::clone(&self.inner.writes).try_acquire_many_owned(units(bytes as u64));
        let (Ok(permit), Ok(runtime)) = (permit, Handle::try_current()) else {
            counter!("buttress_cache_writes_skipped_total").increment(1);
            return None;
        };
        Some(runtime.spawn(async move {
            let done = task.await;
            drop(permit);
            done
        }))
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
    /// The place of a key that is known to vary on nothing.
    pub(crate) fn of(key: Key) -> Self {
        Self { local: key.local(), key, variants: None }
    }

    /// The plain key: the one that all variants of a URI share.
    pub(crate) fn plain_key(&self) -> &Key {
        self.variants.as_ref().map_or(&self.key, |(plain, _)| plain)
    }

    /// Its index within this process.
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
