//! How many series there are, how long steps are kept, how often counts are flushed.

use std::time::Duration;

use buttress_core::Clock;
use buttress_redis::Redis;

use crate::backing::Backing;
use crate::events::Events;
use crate::memory::MemoryStore;
use crate::policy;
use crate::redis::RedisStore;
use crate::store::Keep;
use crate::window::Step;

/// Settings of [`Events`].
#[derive(Clone, Debug)]
#[must_use]
pub struct EventsOptions {
    prefix: String,
    most_series: usize,
    keep: Keep,
    pace: Duration,
    deadline: Duration,
    capacity: usize,
    clock: Clock,
}

const MOST_SERIES: usize = 2000;
const PACE: Duration = Duration::from_secs(1);
/// The longest between two flushes.
const RARELY: Duration = Duration::from_secs(86_400);
/// Nobody waits for a flush.
const DEADLINE: Duration = Duration::from_secs(2);
const CAPACITY: usize = 64 << 20;

// === impl EventsOptions ===

impl EventsOptions {
    pub(crate) fn new() -> Self {
        Self {
            prefix: "buttress".to_owned(),
            most_series: MOST_SERIES,
            keep: Keep::default(),
            pace: PACE,
            deadline: DEADLINE,
            capacity: CAPACITY,
            clock: Clock::system(),
        }
    }

    /// What keys begin with. Default: `buttress`. Processes with the same one count together.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How many series there may be, in this process, and in a day in all processes together. Default: 2,000; at least 8. What comes later is counted as
    /// the overflow of its name. A series in a minute takes about 40 bytes of Redis; one of requests, with its latencies, about 200.
    pub fn most_series(mut self, count: usize) -> Self {
        self.most_series = count.clamp(8, 100_000);
        self
    }

    /// How long steps are kept after their end. Defaults: minutes 8 hours, hours 35 days, days 400 days.
    pub fn keep(mut self, step: Step, time: Duration) -> Self {
        match step {
            Step::Minute => self.keep.minutes = time,
            Step::Hour => self.keep.hours = time,
            Step::Day => self.keep.days = time,
        }
        self
    }

    /// How often counts are brought to the store, give or take a tenth. Default: each second; at least 10 milliseconds, at most a day. A process that is killed loses what
    /// it counted since.
    pub fn flush_each(mut self, time: Duration) -> Self {
        self.pace = time.clamp(Duration::from_millis(10), RARELY);
        self
    }

    /// How long a flush, or a read, waits for an answer of Redis. Default: 2 seconds. Requests never wait for it.
    pub fn deadline(mut self, time: Duration) -> Self {
        self.deadline = time;
        self
    }

    /// About how many bytes counts may take in this process, if they are [embedded](Self::embedded). Default: 64 MiB. The earliest minutes are forgotten first.
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes;
        self
    }

    /// The time. With Redis only a first guess: its clock decides.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Kept in Redis, with what all processes with this prefix count. Begins to flush in the background.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn redis(self, redis: Redis) -> Events {
        let redis = redis.with_script_deadline(self.deadline);
        let store = RedisStore::new(redis, self.prefix, self.keep, self.most_series);
        Events::start(Backing::Redis(store), self.most_series, policy::millis(self.clock.now()), self.pace)
    }

    /// Kept by this process alone, and forgotten when it ends. Begins to flush in the background, as if there were a Redis.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn embedded(self) -> Events {
        let now = policy::millis(self.clock.now());
        let store = MemoryStore::new(self.clock, self.keep, self.most_series, self.capacity);
        Events::start(Backing::Memory(store), self.most_series, now, self.pace)
    }
}
