//! What a copy kept in process needs to know about the feed: is it watched, since when not, and has anything changed meanwhile.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_64;

/// How well a [`Feed`](crate::Feed) sees; cheap to clone, and to ask from every request.
///
/// A copy that is filled from Redis while its key changes must not be kept: the change is announced on another connection than the
/// one that read the value, and may have been announced before the value is put down. So:
///
/// 1. note [`Sight::sequence`] of the key, then read the value from Redis;
/// 2. put the copy down;
/// 3. if the sequence is another now, or the feed is blind, remove the copy again.
#[derive(Clone, Debug)]
pub struct Sight {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    born: Instant,
    sees: AtomicBool,
    /// Microseconds since `born`.
    seen_until: AtomicU64,
    /// Changes of everything.
    epoch: AtomicU64,
    /// Changes of one key, by a part of its hash: one busy key does not keep all others from being filled.
    stripes: [AtomicU64; STRIPES],
}

const STRIPES: usize = 256;

// === impl Sight ===

impl Sight {
    /// Whether changes are being announced, as far as is known at this moment.
    #[must_use]
    pub fn sees(&self) -> bool {
        self.shared.sees.load(Ordering::Acquire)
    }

    /// While nothing is announced: the moment up to which everything was. A copy read before it may be out of date since then.
    #[must_use]
    pub fn blind_since(&self) -> Option<Instant> {
        (!self.sees()).then(|| self.seen_until())
    }

    /// The latest moment of which it is proven that all that changed before it has been announced.
    ///
    /// It moves on with each probe of the connection; when the connection hangs it stays, before anyone knows of the hanging. Whoever
    /// bounds the age of copies by it is right even then.
    #[must_use]
    pub fn seen_until(&self) -> Instant {
        self.shared.born + Duration::from_micros(self.shared.seen_until.load(Ordering::Acquire))
    }

    /// A number that is another one after each announced change of `key` (and now and then after that of another key).
    #[must_use]
    pub fn sequence(&self, key: impl AsRef<[u8]>) -> u64 {
        // A sum of two counters that only grow: it cannot come back to an earlier value.
        self.shared.epoch.load(Ordering::Acquire) + self.shared.stripe(key.as_ref()).load(Ordering::Acquire)
    }

    pub(crate) fn new() -> Self {
        let stripes = std::array::from_fn(|_| AtomicU64::new(0));
        let (sees, seen_until, epoch) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        Self { shared: Arc::new(Shared { born: Instant::now(), sees, seen_until, epoch, stripes }) }
    }

    pub(crate) fn changed(&self, key: &[u8]) {
        self.shared.stripe(key).fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn everything_changed(&self) {
        self.shared.epoch.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn open(&self, seen_until: Instant) {
        self.proven_until(seen_until);
        self.shared.sees.store(true, Ordering::Release);
    }

    pub(crate) fn close(&self) {
        self.shared.sees.store(false, Ordering::Release);
    }

    pub(crate) fn proven_until(&self, moment: Instant) {
        let micros = u64::try_from(moment.saturating_duration_since(self.shared.born).as_micros()).unwrap_or(u64::MAX);
        self.shared.seen_until.fetch_max(micros, Ordering::AcqRel);
    }
}

// === impl Shared ===

impl Shared {
    fn stripe(&self, key: &[u8]) -> &AtomicU64 {
        let [part, ..] = xxh3_64(key).to_le_bytes();
        &self.stripes[usize::from(part) % STRIPES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_moves_the_sequence_of_its_key() {
        let sight = Sight::new();
        let (a, b) = (sight.sequence("a"), sight.sequence("b"));
        sight.changed(b"a");
        assert_ne!(sight.sequence("a"), a);
        assert_eq!(sight.sequence("b"), b);
        sight.everything_changed();
        assert_ne!(sight.sequence("b"), b);
    }

    #[tokio::test(start_paused = true)]
    async fn blindness_begins_where_sight_was_last_proven() {
        let sight = Sight::new();
        assert!(sight.blind_since().is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        let opened = Instant::now();
        sight.open(opened);
        assert_eq!(sight.blind_since(), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        sight.close();
        assert_eq!(sight.blind_since(), Some(opened));
        sight.proven_until(opened - Duration::from_millis(1));
        assert_eq!(sight.seen_until(), opened, "what was proven stays proven");
    }
}
