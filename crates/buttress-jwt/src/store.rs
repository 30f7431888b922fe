//! The port to where logins are kept: one record for each, with digests of its refresh tokens.

use std::fmt;

use crate::mark::Mark;

/// The digest of a refresh token's id. The token itself is nowhere at rest.
pub(crate) type Digest = [u8; 16];

/// Where logins are kept.
pub(crate) trait Families: Send + Sync {
    /// Keeps a new login, whose first refresh token has this digest.
    fn begin(&self, family: Mark, first: Digest, life: Life) -> impl Future<Output = Result<(), StoreAway>> + Send;

    /// Exchanges a refresh token for its successor, if it is the one that is to be exchanged.
    fn rotate(&self, family: Mark, exchange: Exchange) -> impl Future<Output = Result<Rotation, StoreAway>> + Send;

    /// Ends a login.
    fn end(&self, family: Mark) -> impl Future<Output = Result<(), StoreAway>> + Send;
}

/// How long a login lives, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    /// Without a refresh.
    pub(crate) idle: u64,
    /// Altogether.
    pub(crate) longest: u64,
}

/// One token for its successor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(crate) presented: Digest,
    pub(crate) successor: Digest,
    /// How long the same exchange may be repeated, in milliseconds.
    pub(crate) grace: u64,
    pub(crate) idle: u64,
}

/// What became of an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rotation {
    /// It was done at that time, or had been and is repeated: the successor is the same. The login ends at the latest at `end`.
    Done { at: u64, end: u64, again: bool },
    /// The token was exchanged before, and its successor used or the grace over: somebody else has a copy. The login is ended.
    Reused,
    /// There is no such login any more.
    Gone,
}

/// Where logins are kept cannot be reached.
#[derive(Debug)]
pub(crate) struct StoreAway(pub(crate) buttress_redis::Error);

impl fmt::Display for StoreAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "logins cannot be reached: {}", self.0)
    }
}
