//! Turns: of the requests of this process that lose against each other's writes to one session, one tries again at a time.
//!
//! Otherwise each round of many would have one winner, and all the others would ask the store in vain.

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use crate::id::Name;

/// So many sessions are told apart; two that fall together wait for each other.
const PLACES: usize = 64;
/// Who waits longer goes on without a turn.
const PATIENCE: Duration = Duration::from_millis(500);

/// Whose turn it is.
#[derive(Debug)]
pub(crate) struct Turns([Mutex<()>; PLACES]);

// === impl Turns ===

impl Turns {
    /// A turn for this session, as soon as the one who has it is done. `None` if that takes too long.
    pub(crate) async fn of(&self, name: Name) -> Option<MutexGuard<'_, ()>> {
        tokio::time::timeout(PATIENCE, self.0[name.place(PLACES)].lock()).await.ok()
    }
}

/// A pause before something is done again, longer each time and never the same for two: up to 50 ms.
pub(crate) async fn pause(tries: u32) {
    let longest = 1_u64.checked_shl(tries).unwrap_or(u64::MAX).min(50);
    tokio::time::sleep(Duration::from_micros(rand::random_range(0..=longest * 1000))).await;
}

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}
