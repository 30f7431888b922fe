//! Which of the two stores logins are kept in.

use crate::mark::Mark;
use crate::memory::MemoryFamilies;
use crate::redis::RedisFamilies;
use crate::store::{Digest, Exchange, Families as _, Life, Rotation, StoreAway};

/// Where logins are kept.
pub(crate) enum Backing {
    Memory(MemoryFamilies),
    Redis(RedisFamilies),
}

// === impl Backing ===

impl Backing {
    pub(crate) async fn begin(&self, family: Mark, first: Digest, life: Life) -> Result<(), StoreAway> {
        match self {
            Self::Memory(families) => families.begin(family, first, life).await,
            Self::Redis(families) => families.begin(family, first, life).await,
        }
    }

    pub(crate) async fn rotate(&self, family: Mark, exchange: Exchange) -> Result<Rotation, StoreAway> {
        match self {
            Self::Memory(families) => families.rotate(family, exchange).await,
            Self::Redis(families) => families.rotate(family, exchange).await,
        }
    }

    pub(crate) async fn end(&self, family: Mark) -> Result<(), StoreAway> {
        match self {
            Self::Memory(families) => families.end(family).await,
            Self::Redis(families) => families.end(family).await,
        }
    }
}
