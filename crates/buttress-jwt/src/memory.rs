//! Logins in this process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use buttress_core::Clock;

use crate::claims::millis;
use crate::mark::Mark;
use crate::policy::{self, Family};
use crate::store::{Digest, Exchange, Families, Life, Rotation, StoreAway};

/// Logins in this process, forgotten when it ends: then everybody logs in again.
#[derive(Debug)]
pub(crate) struct MemoryFamilies {
    clock: Clock,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    families: HashMap<Mark, Family>,
    /// Ended ones are looked for when there are so many.
    sweep_at: usize,
}

const FIRST_SWEEP: usize = 1024;

// === impl MemoryFamilies ===

impl MemoryFamilies {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, known: Mutex::default() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Known, u64) -> T) -> T {
        act(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner), millis(self.clock.now()))
    }
}

impl Families for MemoryFamilies {
    async fn begin(&self, family: Mark, first: Digest, life: Life) -> Result<(), StoreAway> {
        self.with(|known, now| {
            if known.families.len() >= known.sweep_at {
                known.families.retain(|_, family| family.ends() > now);
                known.sweep_at = FIRST_SWEEP.max(2 * known.families.len());
            }
            known.families.insert(family, Family::begin(first, life, now));
        });
        Ok(())
    }

    async fn rotate(&self, family: Mark, exchange: Exchange) -> Result<Rotation, StoreAway> {
        Ok(self.with(|known, now| {
            let rotation =
                known.families.get_mut(&family).map_or(Rotation::Gone, |family| policy::rotate(family, exchange, now));
            if !matches!(rotation, Rotation::Done { .. }) {
                known.families.remove(&family);
            }
            rotation
        }))
    }

    async fn end(&self, family: Mark) -> Result<(), StoreAway> {
        self.with(|known, _| known.families.remove(&family));
        Ok(())
    }
}
