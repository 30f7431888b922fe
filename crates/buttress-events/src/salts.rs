//! The salt of the day, under which visitors become digests that nobody can follow to the next day.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::store::{Salt, Store, StoreAway};
use crate::timeline::Timeline;
use crate::window::Step;

/// The salt of today, and of tomorrow when it is near.
///
/// A process begins a day with a salt of its own and asks the store for the one that all share. As long as it cannot be asked, a visitor of two processes
/// is counted twice.
#[derive(Debug)]
pub(crate) struct Salts {
    today: ArcSwap<Day>,
    tomorrow: ArcSwap<Day>,
}

#[derive(Debug, Default)]
struct Day {
    start: u64,
    salt: Salt,
    is_shared: bool,
}

/// Tomorrow's is asked for when it is so near.
const NEAR: u64 = 600_000;

// === impl Salts ===

impl Salts {
    pub(crate) fn new(now: u64) -> Self {
        let today = ArcSwap::new(Arc::new(Day::own(Step::Day.start(now))));
        Self { today, tomorrow: ArcSwap::default() }
    }

    /// The digest of a visitor.
    pub(crate) fn digest(&self, name: &str, who: &[&[u8]]) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.today.load().salt);
        for part in [name.as_bytes()].iter().chain(who) {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let digest = hasher.finalize();
        u64::from_le_bytes(*digest.as_bytes().first_chunk().expect("a digest has 32 bytes"))
    }

    /// Goes over to the next day when it has begun, and asks for salts that are not shared yet.
    pub(crate) async fn keep_up(&self, timeline: &Timeline, store: &impl Store) -> Result<(), StoreAway> {
        let today = Step::Day.start(timeline.now());
        self.turn(today);
        if !self.today.load().is_shared {
            share(&self.today, store).await?;
        }
        if timeline.until_midnight() < NEAR && self.tomorrow.load().start <= today {
            self.tomorrow.store(Arc::new(Day::own(today + Step::Day.millis())));
            share(&self.tomorrow, store).await?;
        }
        Ok(())
    }

    fn turn(&self, today: u64) {
        if self.today.load().start == today {
            return;
        }
        let tomorrow = self.tomorrow.load_full();
        let next = if tomorrow.start == today { tomorrow } else { Arc::new(Day::own(today)) };
        self.today.store(next);
        self.tomorrow.store(Arc::default());
    }
}

async fn share(day: &ArcSwap<Day>, store: &impl Store) -> Result<(), StoreAway> {
    let own = day.load_full();
    let salt = store.salt(own.start, own.salt).await?;
    day.store(Arc::new(Day { start: own.start, salt, is_shared: true }));
    Ok(())
}

// === impl Day ===

impl Day {
    fn own(start: u64) -> Self {
        Self { start, salt: rand::random(), is_shared: false }
    }
}
