//! How revocations are kept, and for how long.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress_core::Clock;
use buttress_redis::Redis;

use crate::claims::millis;
use crate::journal::Journal;
use crate::replica::Replica;
use crate::revocations::{Backing, Durable, Revocations};
use crate::stream::Stream;

/// Settings of [`Revocations`].
#[derive(Clone, Debug)]
#[must_use]
pub struct RevocationsOptions {
    pub(crate) reach: Duration,
    pub(crate) max_staleness: Duration,
    replicas: Option<(u32, Duration)>,
    pub(crate) blacklist: Option<String>,
    pub(crate) prefix: String,
    pub(crate) clock: Clock,
}

/// Longer than an access token should live, with the skew.
const REACH: Duration = Duration::from_secs(25 * 60 * 60);
const MAX_STALENESS: Duration = Duration::from_secs(1);
/// The wire has connected anew by then, to a server that answers.
const RECONNECTED: Duration = Duration::from_secs(1);

// === impl RevocationsOptions ===

impl RevocationsOptions {
    pub(crate) fn new() -> Self {
        Self {
            reach: REACH,
            max_staleness: MAX_STALENESS,
            replicas: None,
            blacklist: None,
            prefix: "buttress".to_owned(),
            clock: Clock::system(),
        }
    }

    /// How long a token may pass after it was issued, skew included: revocations that do not know the end of what they are
    /// about are kept so long. Default: 25 hours, or as long as the verifiers of the layers allow if that is longer.
    pub fn reach(mut self, reach: Duration) -> Self {
        self.reach = reach;
        self
    }

    /// How old what a process knows may be before it asks Redis for each token. Default: 1 s; at least 20 ms. The stream is asked for losses
    /// four times as often, which costs Redis a script and a read each time. All processes should have the same.
    pub fn max_staleness(mut self, time: Duration) -> Self {
        self.max_staleness = time.max(Duration::from_millis(20));
        self
    }

    /// Whether to wait until so many replicas of Redis have a revocation, and how long (`WAIT`). Default: no; the answer of the
    /// master is enough, since this process tells a replica that takes over what it missed. It matters where a process may die with its Redis. Those
    /// who revoke at the same time wait one after the other, over a connection of their own.
    pub fn replicas(mut self, count: u32, timeout: Duration) -> Self {
        self.replicas = Some((count, timeout));
        self
    }

    /// Also reads and writes keys of this prefix with a token's `jti` behind it, where services look that use flask-jwt-extended as its
    /// documentation has it ([`flask::BLACKLIST`](crate::flask::BLACKLIST), or an empty one). A key that is there revokes the token, whatever it says;
    /// ours say `true`. While this is set, each request asks Redis once. Default: no.
    pub fn blacklist(mut self, prefix: impl Into<String>) -> Self {
        self.blacklist = Some(prefix.into());
        self
    }

    /// What the keys in Redis begin with. Default: `buttress`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Where the time is taken from. Default: the system's clock. The clocks of the processes must agree within the skew that tokens are
    /// allowed.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Kept by this process alone, and forgotten when it ends.
    #[must_use]
    pub fn embedded(self) -> Revocations {
        Revocations::new(self, Replica::new(), Backing::Memory)
    }

    /// Kept by this process alone, and in a file, so that a restart does not forget. Each revocation waits for the disk.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is broken before its end; or (on Unix) if somebody writes to it already: clone the handle
    /// instead. Beside it lie one that is locked (`.lock`), and for a moment now and then the next one (`.new`).
    pub fn journal(self, path: impl AsRef<Path>) -> std::io::Result<Revocations> {
        let replica = Replica::new();
        let journal = Journal::open(path.as_ref(), &replica, millis(self.clock.now()))?;
        Ok(Revocations::new(self, replica, Backing::Journal(Arc::new(Mutex::new(journal)))))
    }

    /// Shared through Redis, by all processes with the same prefix. It must not evict keys (`maxmemory-policy noeviction`): one that
    /// does is reported in the log and by the metric `buttress_jwt_eviction`.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn redis(self, redis: Redis) -> Revocations {
        let durable = self.replicas.map(|(count, timeout)| Box::new(Durable::new(&redis, count, timeout)));
        let stream = Stream::new(redis, self.prefix.clone());
        Revocations::new(self, Replica::new(), Backing::Redis(stream, durable))
    }

    /// How often the stream is greeted: twice within what may pass before nothing is believed any more, with as much time to spare.
    pub(crate) fn look(&self) -> Duration {
        self.max_staleness / 4
    }

    /// How long after a loss every process that reaches Redis has noticed it: those that have to connect anew, too.
    pub(crate) fn settled(&self) -> Duration {
        self.max_staleness / 2 + RECONNECTED
    }
}
