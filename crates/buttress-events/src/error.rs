//! What can go wrong: where counts are kept cannot be reached.

use std::fmt;

use crate::store::StoreAway;

/// Where counts are kept cannot be reached, or what lies there cannot be read.
#[derive(Clone, Debug)]
pub struct EventsError(StoreAway);

/// The process could not bring all counts to the store before its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Undrained {
    /// How many counts had not arrived, as far as is known: an answer may have been lost.
    pub left: u64,
}

// === impl EventsError ===

impl EventsError {
    pub(crate) fn new(away: StoreAway) -> Self {
        Self(away)
    }
}

impl fmt::Display for EventsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for EventsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.0)
    }
}

// === impl Undrained ===

impl fmt::Display for Undrained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} counts did not reach the store in time", self.left)
    }
}

impl std::error::Error for Undrained {}
