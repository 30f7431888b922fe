//! What time it is where counts are kept, as far as this process can tell.
//!
//! The store's clock decides in which step a count belongs, so that processes whose clocks differ agree. Between two answers of the store its time goes
//! on with the monotonic clock here: whoever sets the wall clock of this machine changes nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::store::whole_millis;

/// The store's time.
#[derive(Debug)]
pub(crate) struct Timeline(Mutex<Known>);

#[derive(Clone, Copy, Debug)]
struct Known {
    origin: Instant,
    /// What time it was then.
    at_origin: u64,
    /// Whether the store has said so.
    is_told: bool,
}

// === impl Timeline ===

impl Timeline {
    /// A guess, until the store is asked.
    pub(crate) fn guessed(now: u64) -> Self {
        Self(Mutex::new(Known { origin: Instant::now(), at_origin: now, is_told: false }))
    }

    pub(crate) fn now(&self) -> u64 {
        self.known().now()
    }

    /// Whether the store has said what time it is.
    pub(crate) fn is_told(&self) -> bool {
        self.known().is_told
    }

    /// The store says what time it is. Answers by how much that differs from what was thought, in milliseconds.
    pub(crate) fn told(&self, now: u64) -> i64 {
        let mut known = self.known();
        let thought = known.now();
        *known = Known { origin: Instant::now(), at_origin: now, is_told: true };
        i64::try_from(i128::from(now) - i128::from(thought)).unwrap_or_default()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Known ===

impl Known {
    fn now(&self) -> u64 {
        self.at_origin + whole_millis(self.origin.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_store_is_believed_and_time_goes_on() {
        let timeline = Timeline::guessed(1_000_000);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!((timeline.now(), timeline.is_told()), (1_005_000, false));
        assert_eq!(timeline.told(605_000), -400_000);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((timeline.now(), timeline.is_told()), (606_000, true));
        assert_eq!(timeline.told(606_010), 10);
    }
}
