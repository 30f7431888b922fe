//! The salts of days, under which visitors become digests that nobody can follow to the next day.
//!
//! In this process a visitor is a digest without a salt, until it is brought to the store: by then the salt is known that all processes share, so that somebody
//! who comes to two of them is one.

use std::collections::BTreeMap;

use crate::store::{Salt, Store, StoreAway};

/// The salts of the days for which visitors wait, or did lately.
#[derive(Debug, Default)]
pub(crate) struct Salts {
    known: BTreeMap<u64, Salt>,
    /// Since when they were asked for: once a minute they are told anew, in case that the store has lost them.
    minute: u64,
    told: BTreeMap<u64, Salt>,
}

/// So many days are remembered.
const MOST_DAYS: usize = 10;

// === impl Salts ===

impl Salts {
    /// Asks for those of these days that are not known, or brings them.
    pub(crate) async fn ask(&mut self, days: &[u64], minute: u64, store: &impl Store) -> Result<(), StoreAway> {
        if self.minute != minute {
            self.minute = minute;
            self.told.clear();
        }
        for day in days {
            if !self.told.contains_key(day) {
                let brought = self.known.get(day).copied().unwrap_or_else(rand::random);
                let salt = store.salt(*day, brought).await?;
                self.known.insert(*day, salt);
                self.told.insert(*day, salt);
            }
        }
        while self.known.len() > MOST_DAYS {
            self.known.pop_first();
        }
        Ok(())
    }

    /// What goes to the store of a visitor; nothing, if the salt of the day was not asked for.
    pub(crate) fn salted(&self, day: u64, visitor: u64) -> Option<u64> {
        let salt = self.known.get(&day)?;
        Some(start_of(&blake3::keyed_hash(salt, &visitor.to_le_bytes())))
    }
}

/// A visitor, as long as they are known in this process alone.
pub(crate) fn digest(name: &str, who: &[&[u8]]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in [name.as_bytes()].iter().chain(who) {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    start_of(&hasher.finalize())
}

fn start_of(digest: &blake3::Hash) -> u64 {
    u64::from_le_bytes(*digest.as_bytes().first_chunk().expect("a digest has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use buttress_core::Clock;

    use super::*;
    use crate::memory::MemoryStore;
    use crate::store::Keep;
    use crate::window::Step;

    #[tokio::test]
    async fn processes_agree_and_days_do_not() {
        let store = MemoryStore::new(Clock::system(), Keep::default(), 8, 1 << 20);
        let today = Step::Day.start(store.clock());
        let days = [today, today + Step::Day.millis()];
        let [mut one, mut other] = [Salts::default(), Salts::default()];
        one.ask(&days, 0, &store).await.unwrap();
        other.ask(&days, 0, &store).await.unwrap();
        let ada = digest("people", &[b"ada"]);
        assert_eq!(one.salted(days[0], ada), other.salted(days[0], ada));
        assert_ne!(one.salted(days[0], ada), one.salted(days[1], ada), "who comes again tomorrow is somebody else");
        assert_ne!(one.salted(days[0], ada), Some(ada));
        assert_ne!(ada, digest("others", &[b"ada"]));
        assert_ne!(digest("a", &[b"bc"]), digest("ab", &[b"c"]));
        assert_eq!(one.salted(1, ada), None);
    }

    #[tokio::test]
    async fn a_salt_that_the_store_has_lost_comes_back() {
        let [store, lost] = [(); 2].map(|()| MemoryStore::new(Clock::system(), Keep::default(), 8, 1 << 20));
        let today = Step::Day.start(store.clock());
        let mut salts = Salts::default();
        salts.ask(&[today], 0, &store).await.unwrap();
        let before = salts.salted(today, 7);
        salts.ask(&[today], 1, &lost).await.unwrap();
        assert_eq!(
            (before, store.salt(today, [0; 32]).await.ok()),
            (salts.salted(today, 7), lost.salt(today, [1; 32]).await.ok())
        );
    }
}
