//! How sessions are kept, and for how long.

use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Clock, EndLogin};
use buttress_redis::Redis;

use crate::backing::Backing;
use crate::id::CookieKey;
use crate::memory::MemoryStore;
use crate::policy::whole_millis;
use crate::redis::RedisStore;
use crate::sessions::{Sessions, Shared, at_least_a_second};
use crate::turns::Turns;

/// Settings of [`Sessions`].
#[derive(Clone)]
#[must_use]
pub struct SessionsOptions {
    keys: Vec<CookieKey>,
    idle: Duration,
    longest: Duration,
    grace: Duration,
    most_bytes: u64,
    most_logins: usize,
    seals: bool,
    hanging: Vec<Arc<dyn EndLogin>>,
    prefix: String,
    capacity: u64,
    deadline: Duration,
    clock: Clock,
}

/// What NIST SP 800-63B-4 §2.2.3 has for the second assurance level.
const IDLE: Duration = Duration::from_secs(60 * 60);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// As long as a request may reasonably be on its way.
const GRACE: Duration = Duration::from_secs(10);
/// Longer than what a busy server may stand still for: whoever is refused a session is refused the page.
const DEADLINE: Duration = Duration::from_millis(250);
const MOST_BYTES: u64 = 32 * 1024;
const CAPACITY: u64 = 256 * 1024 * 1024;
const MOST_LOGINS: usize = 32;

// === impl SessionsOptions ===

impl SessionsOptions {
    pub(crate) fn new(key: CookieKey) -> Self {
        Self {
            keys: vec![key],
            idle: IDLE,
            longest: LONGEST,
            grace: GRACE,
            most_bytes: MOST_BYTES,
            most_logins: MOST_LOGINS,
            seals: false,
            hanging: Vec::new(),
            prefix: "buttress".to_owned(),
            capacity: CAPACITY,
            deadline: DEADLINE,
            clock: Clock::system(),
        }
    }

    /// A key that sealed cookies before: they are still good, and are sealed anew when they come. Can be called again. Take a former key out when
    /// the sessions that began under it have ended.
    pub fn former_key(mut self, key: CookieKey) -> Self {
        self.keys.push(key);
        self
    }

    /// How long a session lives without being used. Default: 1 hour; at least a second. That it was used is noted ten times in this time, when it
    /// is read; a request that does not read it does not count.
    pub fn idle(mut self, time: Duration) -> Self {
        self.idle = time;
        self
    }

    /// How long a session lives at the longest, however often it is used; a login begins anew. Default: 24 hours; at least a second.
    pub fn longest(mut self, time: Duration) -> Self {
        self.longest = time;
        self
    }

    /// How long a session can be read by its old id when it has a new one, so that requests on their way are not logged out. Default: 10 s; zero
    /// to have none.
    pub fn grace(mut self, time: Duration) -> Self {
        self.grace = time;
        self
    }

    /// How many bytes the fields of a session may have together, with their names. Default: 32 KiB. Each request that reads a session reads
    /// all of it.
    pub fn most_bytes(mut self, bytes: u64) -> Self {
        self.most_bytes = bytes;
        self
    }

    /// How often a subject may be logged in at the same time; one more ends the oldest. Default: 32; from 1 to 1,000.
    pub fn most_logins(mut self, count: usize) -> Self {
        self.most_logins = count.clamp(1, 1000);
        self
    }

    /// Seals the fields of new sessions with a key that only their cookies give: who reads the store reads times, subjects and devices, and no
    /// fields. Default: no. Costs about 2 µs for each KiB; [`incr`](crate::Session::incr) of many at the same time is tried again, rather than summed by the
    /// store.
    pub fn seal_fields(mut self) -> Self {
        self.seals = true;
        self
    }

    /// Ends with a session what hangs on it, such as the tokens that were made for its [`sid`](crate::Session::sid). Can be called again. Default: nothing.
    pub fn ends(mut self, hanging: Arc<dyn EndLogin>) -> Self {
        self.hanging.push(hanging);
        self
    }

    /// How many bytes embedded sessions may take of this process, about. Default: 256 MiB. When they do, there are no new ones, and the old ones do not
    /// grow, until some have ended: 503. So nobody is logged out by a crowd of strangers.
    pub fn capacity(mut self, bytes: u64) -> Self {
        self.capacity = bytes;
        self
    }

    /// What the keys in Redis begin with. Default: `buttress`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long Redis may take to answer before it counts as away. Default: 250 ms, whatever the connection has for others.
    pub fn deadline(mut self, time: Duration) -> Self {
        self.deadline = time;
        self
    }

    /// Where the time is taken from. Default: the system's clock. In Redis it is that of Redis that decides; by this one it is asked, so the two should
    /// agree within a tenth of [`idle`](Self::idle).
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Kept by this process alone, and forgotten when it ends.
    #[must_use]
    pub fn embedded(self) -> Sessions {
        let store = MemoryStore::new(self.clock.clone(), self.capacity);
        self.build(Backing::Memory(store))
    }

    /// Kept in Redis, for all processes with the same keys and prefix. It should not drop keys when it is full (`noeviction`): a session that is
    /// dropped is a user who is logged out.
    #[must_use]
    pub fn redis(self, redis: Redis) -> Sessions {
        let store = RedisStore::new(redis.with_script_deadline(self.deadline), self.prefix.clone(), self.clock.clone());
        self.build(Backing::Redis(store))
    }

    fn build(self, store: Backing) -> Sessions {
        let shared = Shared {
            keys: self.keys,
            store,
            idle: at_least_a_second(self.idle),
            longest: at_least_a_second(self.longest),
            grace: whole_millis(self.grace),
            most_bytes: self.most_bytes,
            most_logins: self.most_logins,
            seals: self.seals,
            hanging: self.hanging,
            clock: self.clock,
            turns: Turns::default(),
        };
        Sessions { shared: Arc::new(shared) }
    }
}

impl std::fmt::Debug for SessionsOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionsOptions")
            .field("idle", &self.idle)
            .field("longest", &self.longest)
            .finish_non_exhaustive()
    }
}
