//! Which of the two stores sessions are kept in.

use crate::id::Name;
use crate::memory::MemoryStore;
#[cfg(feature = "tower-sessions")]
use crate::record::Fields;
use crate::record::{Entry, Moved, Record};
use crate::redis::RedisStore;
use crate::store::{Born, Commit, Committed, Draft, Frozen, Noted, Pace, Store, StoreAway, Which};

/// Where sessions are kept.
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

impl Store for Backing {
    async fn load(&self, name: Name, pace: Pace) -> Result<Option<Record>, StoreAway> {
        ask!(self.load(name, pace))
    }

    async fn create(&self, name: Name, draft: &Draft) -> Result<Born, StoreAway> {
        ask!(self.create(name, draft))
    }

    async fn commit(&self, name: Name, commit: &Commit) -> Result<Committed, StoreAway> {
        ask!(self.commit(name, commit))
    }

    #[cfg(feature = "tower-sessions")]
    async fn replace(&self, name: Name, fields: &Fields, ends: u64, most: u64) -> Result<Committed, StoreAway> {
        ask!(self.replace(name, fields, ends, most))
    }

    async fn freeze(&self, name: Name, version: u64, moved: Moved, grace: u64) -> Result<Frozen, StoreAway> {
        ask!(self.freeze(name, version, moved, grace))
    }

    async fn end(&self, name: Name, after: Option<Name>) -> Result<Option<Moved>, StoreAway> {
        ask!(self.end(name, after))
    }

    async fn seen(&self, name: Name) -> Result<Option<u64>, StoreAway> {
        ask!(self.seen(name))
    }

    async fn enlist(&self, subject: Name, entry: &Entry, most: usize) -> Result<Vec<Entry>, StoreAway> {
        ask!(self.enlist(subject, entry, most))
    }

    async fn move_to(&self, subject: Name, sid: &str, from: &[Name], to: (Name, u64)) -> Result<Noted, StoreAway> {
        ask!(self.move_to(subject, sid, from, to))
    }

    async fn list(&self, subject: Name) -> Result<Vec<Entry>, StoreAway> {
        ask!(self.list(subject))
    }

    async fn doom(&self, subject: Name, which: Which<'_>) -> Result<Vec<Entry>, StoreAway> {
        ask!(self.doom(subject, which))
    }

    async fn strike(&self, subject: Name, ended: &[(String, Name)]) -> Result<(), StoreAway> {
        ask!(self.strike(subject, ended))
    }
}
