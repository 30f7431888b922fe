//! Which of the two stores counts are kept in.

use std::collections::HashMap;

use crate::memory::MemoryStore;
use crate::redis::RedisStore;
use crate::series::{Id, Series};
use crate::store::{Added, Name, Salt, Store, StoreAway, Write};
use crate::tally::Tally;
use crate::window::Step;

/// Where counts are kept.
#[derive(Debug)]
pub(crate) enum Backing {
    Memory(MemoryStore),
    Redis(RedisStore),
}

/// Asks whichever it is.
macro_rules! ask {
    ($self:ident.$verb:ident($($arg:expr),*)) => {
        match $self {
            Self::Memory(store) => store.$verb($($arg),*).await,
            Self::Redis(store) => store.$verb($($arg),*).await,
        }
    };
}

// === impl Backing ===

impl Backing {
    /// What time it is there, if that can be told without asking.
    pub(crate) fn clock(&self) -> Option<u64> {
        match self {
            Self::Memory(store) => Some(store.clock()),
            Self::Redis(_) => None,
        }
    }
}

impl Store for Backing {
    async fn now(&self) -> Result<u64, StoreAway> {
        ask!(self.now())
    }

    async fn enroll(&self, day: u64, names: &[Name]) -> Result<Vec<Id>, StoreAway> {
        ask!(self.enroll(day, names))
    }

    async fn add(&self, write: &Write) -> Result<Added, StoreAway> {
        ask!(self.add(write))
    }

    async fn salt(&self, day: u64, brought: Salt) -> Result<Salt, StoreAway> {
        ask!(self.salt(day, brought))
    }

    async fn counts(&self, step: Step, start: u64) -> Result<HashMap<Id, Tally>, StoreAway> {
        ask!(self.counts(step, start))
    }

    async fn names(&self, day: u64) -> Result<Vec<Series>, StoreAway> {
        ask!(self.names(day))
    }

    async fn ranking(&self, step: Step, start: u64, ranking: Id) -> Result<Vec<(Box<str>, u64)>, StoreAway> {
        ask!(self.ranking(step, start, ranking))
    }

    async fn visitors(&self, day: u64, name: Id) -> Result<u64, StoreAway> {
        ask!(self.visitors(day, name))
    }

    #[cfg(feature = "otlp")]
    async fn lead(&self, millis: u64) -> Result<bool, StoreAway> {
        ask!(self.lead(millis))
    }
}
