//! How a [`Cache`] is made.
//!
//! ```
//! use buttress_cache::CacheOptions;
//!
//! let cache = CacheOptions::new().capacity(256 << 20).prefix("shop").embedded();
//! assert!(cache.is_empty());
//! ```

use std::time::Duration;

use buttress_core::Clock;
use buttress_redis::Redis;

use crate::cache::Cache;

/// How a [`Cache`] is made.
#[derive(Clone, Debug)]
#[must_use]
pub struct CacheOptions {
    pub(crate) capacity: u64,
    pub(crate) local_max_stale: Duration,
    pub(crate) prefix: String,
    pub(crate) compress: bool,
    pub(crate) clock: Clock,
}

// === impl CacheOptions ===

impl CacheOptions {
    /// 64 MiB in process, the prefix `buttress`, the system's clock.
    pub fn new() -> Self {
        Self {
            capacity: 64 << 20,
            local_max_stale: Duration::from_secs(1),
            prefix: "buttress".to_owned(),
            compress: false,
            clock: Clock::system(),
        }
    }

    /// What this process may keep, in bytes, overhead included. Default: 64 MiB. With 0 nothing is kept here, and each
    /// hit asks Redis. As much again, at most, is held by entries that are being filled.
    pub fn capacity(mut self, bytes: u64) -> Self {
        self.capacity = bytes;
        self
    }

    /// With Redis: how long this process may be behind the others. Default: one second.
    ///
    /// Changes are announced to all processes and usually known within a millisecond, and a copy costs no round trip for as long
    /// as it is fresh. Only while announcements may be missing (at the start, or when the connection that brings them hangs or
    /// is cut) copies are asked for again, so that none is out of date for longer than this.
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

    /// With Redis: whether bodies of more than 2 KiB are compressed there (LZ4), when their media type is one of text, JSON, XML,
    /// script and their kind, and they have no `Content-Encoding`. Default: no. Copies in process are plain.
    ///
    /// It costs each answer that comes out of Redis the time to decompress it, and nothing is gained where the service, or a layer
    /// inside of this one, compresses its responses already. Processes with and without it can share a Redis; those of a version
    /// that does not know it miss what is compressed. Bodies from 1 MiB on, which lie in parts, stay as they are.
    pub fn compress(mut self, yes: bool) -> Self {
        self.compress = yes;
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
