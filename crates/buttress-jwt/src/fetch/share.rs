//! The fleet's copy of a key set in Redis, and the lease by which one process fetches it for all.
//!
//! Nothing here fails: without Redis there is no copy, and everybody may fetch.

use std::fmt;
use std::time::Duration;

use buttress_redis::{Error, Mode, Redis};
use metrics::counter;
use tokio::time::{Instant, sleep};

use super::published::Published;
use crate::key;

/// One key set in Redis.
pub(super) struct Share {
    redis: Redis,
    copy: String,
    lease: String,
    /// A process that died while it fetched keeps the others waiting for so long.
    lease_life: Duration,
    /// How long a copy is kept.
    keep: Duration,
}

/// What asking for the lease comes to.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Claim {
    /// Redis is away: everybody fetches for itself.
    Away,
    /// Another process is at it.
    Held,
    /// Go and fetch.
    Mine,
}

/// What there is to do beside the fetch.
const MARGIN: Duration = Duration::from_secs(2);
/// Between two looks at whether another process is done.
const LOOK: Duration = Duration::from_millis(50);

// === impl Share ===

impl Share {
    /// Key sets have any size, so they travel on the connection for large values.
    pub(super) fn new(redis: &Redis, prefix: &str, url: &str, timeout: Duration, keep: Duration) -> Self {
        let copy = key::published(prefix, url);
        Self { redis: redis.bodies(), lease: key::lease_on(&copy), copy, lease_life: timeout + MARGIN, keep }
    }

    /// The copy, if there is one that is understood.
    pub(super) async fn copy(&self) -> Option<Published> {
        let bytes = self.redis.get(&self.copy).await.inspect_err(note).ok()??;
        let copy = Published::decode(&bytes);
        if copy.is_none() {
            counter!("buttress_jwt_bad_records_total").increment(1);
        }
        copy
    }

    pub(super) async fn put(&self, published: &Published) {
        let put = self.redis.set(&self.copy, published.encode(), Some(self.keep), Mode::Always).await;
        put.map_or_else(|error| note(&error), drop);
    }

    pub(super) async fn claim(&self) -> Claim {
        match self.redis.set(&self.lease, "", Some(self.lease_life), Mode::IfAbsent).await {
            Ok(true) => Claim::Mine,
            Ok(false) => Claim::Held,
            Err(error) => {
                note(&error);
                Claim::Away
            }
        }
    }

    /// Ends a lease that is ours. One that ended by itself may be another's by now: then two fetch.
    pub(super) async fn release(&self) {
        self.redis.delete(&self.lease).await.map_or_else(|error| note(&error), drop);
    }

    /// Waits until whoever has the lease is done, for so long at most.
    pub(super) async fn wait(&self, longest: Duration) {
        let end = Instant::now() + longest;
        while Instant::now() < end && matches!(self.redis.contains(&self.lease).await, Ok(true)) {
            sleep(LOOK).await;
        }
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("copy", &self.copy).finish_non_exhaustive()
    }
}

/// The wire counts it, and warns when Redis is away.
fn note(error: &Error) {
    tracing::debug!(target: "buttress_jwt", %error, "keys are not shared");
}
