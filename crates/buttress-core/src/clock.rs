//! Time as a value: [`Clock`] for layers, [`ManualClock`] for their tests.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

/// Where a layer takes the time from.
///
/// [`Clock::system`] is the default everywhere. It follows the wall clock forward but never backward: when the wall
/// clock is set back, it goes on at the pace of the monotonic clock, so that no age computed from it ever shrinks and
/// nothing stale becomes fresh again. Cloning is cheap; clones of a [`ManualClock`]'s clock share its hand.
#[derive(Clone, Default)]
pub struct Clock(Source);

/// A clock that stands still until a test moves it.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// let hand = buttress_core::ManualClock::at(SystemTime::UNIX_EPOCH);
/// let clock = hand.clock();
/// assert_eq!(clock.now(), clock.now());
/// hand.advance(Duration::from_millis(5));
/// assert_eq!(clock.now(), SystemTime::UNIX_EPOCH + Duration::from_millis(5));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    millis: Arc<AtomicU64>,
}

#[derive(Clone, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<AtomicU64>),
}

// === impl Clock ===

impl Clock {
    /// The system's clock, which never goes backward within a process. Costs two clock reads (about 50 ns).
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// The time now. Manual clocks have a resolution of one millisecond.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(millis) => SystemTime::UNIX_EPOCH + Duration::from_millis(millis.load(Ordering::Acquire)),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System => "Clock::system",
            Source::Manual(_) => "Clock::manual",
        })
    }
}

// === impl ManualClock ===

impl ManualClock {
    /// A clock that says `now`, rounded down to a millisecond. Times before 1970 read as 1970.
    #[must_use]
    pub fn at(now: SystemTime) -> Self {
        Self { millis: Arc::new(AtomicU64::new(millis_since_epoch(now))) }
    }

    /// The clock that this hand moves.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(Arc::clone(&self.millis)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.millis.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::AcqRel);
    }

    /// Sets the clock, backward too.
    pub fn set(&self, now: SystemTime) {
        self.millis.store(millis_since_epoch(now), Ordering::Release);
    }
}

fn millis_since_epoch(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// The wall clock, held to the monotonic clock's pace whenever it falls behind.
fn system_now() -> SystemTime {
    static START: OnceLock<Instant> = OnceLock::new();
    /// The largest difference seen between the wall clock and the monotonic clock, in nanoseconds.
    static OFFSET: AtomicI64 = AtomicI64::new(i64::MIN);

    let start = *START.get_or_init(read_monotonic);
    let elapsed = nanos(read_monotonic().duration_since(start));
    let offset = nanos(read_wall()).saturating_sub(elapsed);
    // `max` is what forbids the way back: a wall clock that was set back gives a smaller offset. The usual case
    // (nothing moved, but for the nanoseconds between two reads) must not write, or every core would share the line.
    let known = OFFSET.load(Ordering::Relaxed);
    let offset = if offset > known.saturating_add(1_000_000) {
        OFFSET.fetch_max(offset, Ordering::Relaxed).max(offset)
    } else {
        known
    };
    SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(offset.saturating_add(elapsed)).unwrap_or(0))
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
fn read_monotonic() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn read_wall() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_is_near_the_wall_and_never_goes_back() {
        let clock = Clock::system();
        let mut last = clock.now();
        let wall = SystemTime::UNIX_EPOCH + read_wall();
        let apart = wall.duration_since(last).unwrap_or_else(|e| e.duration());
        assert!(apart < Duration::from_millis(200), "{apart:?} from the wall clock");
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let hand = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(10));
        let clock = hand.clock();
        hand.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(15));
        hand.set(SystemTime::UNIX_EPOCH);
        assert_eq!(clock.now(), SystemTime::UNIX_EPOCH);
    }
}
