//! Time in records: milliseconds since 1970, whole seconds for lifetimes.

use std::time::{Duration, SystemTime};

/// Milliseconds since 1970; earlier reads as 1970.
pub(crate) fn to_millis(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The time so many milliseconds after 1970, held within what the platform can represent.
pub(crate) fn from_millis(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis.min(i64::MAX as u64 / 1_000))
}
