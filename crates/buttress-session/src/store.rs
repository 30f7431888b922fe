//! The port to where sessions are kept.

use std::fmt;

use bytes::Bytes;

use crate::id::Name;
use crate::record::{Entry, Fields, How, LoggedIn, Moved, Record};

/// Where sessions are kept, and the logins of each subject. All times are in milliseconds.
pub(crate) trait Store: Send + Sync {
    /// Reads a session, and notes that it was seen if that was not noted for a while.
    fn load(&self, name: Name, pace: Pace) -> impl Future<Output = Result<Option<Record>, StoreAway>> + Send;

    /// Keeps a new session.
    fn create(&self, name: Name, draft: &Draft) -> impl Future<Output = Result<Born, StoreAway>> + Send;

    /// Writes what has changed, all of it or nothing.
    fn commit(&self, name: Name, commit: &Commit) -> impl Future<Output = Result<Committed, StoreAway>> + Send;

    /// Puts other fields in the place of all fields of the application, and says when it ends.
    #[cfg(feature = "tower-sessions")]
    fn replace(
        &self,
        name: Name,
        fields: &Fields,
        ends: u64,
        most: u64,
    ) -> impl Future<Output = Result<Committed, StoreAway>> + Send;

    /// Ends a session in favour of its successor, if it is at this version.
    fn freeze(
        &self,
        name: Name,
        version: u64,
        moved: Moved,
        grace: u64,
    ) -> impl Future<Output = Result<Frozen, StoreAway>> + Send;

    /// Ends a session. One that goes on elsewhere stays until its successor has ended (`after`), so that an error leaves the way to it: then this
    /// answers with it.
    fn end(&self, name: Name, after: Option<Name>) -> impl Future<Output = Result<Option<Moved>, StoreAway>> + Send;

    /// When a session was seen last.
    fn seen(&self, name: Name) -> impl Future<Output = Result<Option<u64>, StoreAway>> + Send;

    /// Notes a login of a subject. Answers with those that are too many, the oldest first; they are marked as doomed.
    fn enlist(
        &self,
        subject: Name,
        entry: &Entry,
        most: usize,
    ) -> impl Future<Output = Result<Vec<Entry>, StoreAway>> + Send;

    /// Notes that a login goes on in another session, which ends then. It was in one of these, the one that went on in it first.
    fn move_to(
        &self,
        subject: Name,
        sid: &str,
        from: &[Name],
        to: (Name, u64),
    ) -> impl Future<Output = Result<Noted, StoreAway>> + Send;

    /// The logins of a subject, doomed ones too.
    fn list(&self, subject: Name) -> impl Future<Output = Result<Vec<Entry>, StoreAway>> + Send;

    /// Marks logins that are to be ended, and answers with them.
    fn doom(&self, subject: Name, which: Which<'_>) -> impl Future<Output = Result<Vec<Entry>, StoreAway>> + Send;

    /// Forgets logins that were ended, each in this session: one that goes on in another one by now stays.
    fn strike(&self, subject: Name, ended: &[(String, Name)]) -> impl Future<Output = Result<(), StoreAway>> + Send;
}

/// How long a session lives without being seen, and how exact that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) idle: u64,
    /// It is noted again after so long.
    pub(crate) slack: u64,
}

/// A session that is to be.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) idle: u64,
    pub(crate) span: Span,
    pub(crate) login: Option<LoggedIn>,
    /// Whether they have just logged in: then the store says when that was.
    pub(crate) logs_in: bool,
    pub(crate) label: Option<String>,
    pub(crate) key: Option<Bytes>,
    pub(crate) fields: Fields,
}

/// From when to when a session lives at the longest.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Span {
    /// From now, so long.
    New(u64),
    /// As the one that it goes on for.
    Of { created: u64, ends: u64 },
}

/// When a session was kept, and when it ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Born {
    pub(crate) now: u64,
    pub(crate) ends: u64,
}

/// What is to be written.
#[derive(Clone, Debug)]
pub(crate) struct Commit {
    pub(crate) idle: u64,
    /// How many bytes the fields may have together.
    pub(crate) most: u64,
    /// The version that the session must have, if one write is based on all of it.
    pub(crate) version: Option<u64>,
    pub(crate) writes: Vec<Write>,
}

/// What becomes of one field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Write {
    pub(crate) field: String,
    pub(crate) must: Must,
    pub(crate) act: Act,
}

/// What a field must be, for a write to be right.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Must {
    BeAnything,
    BeAbsent,
    Be(Bytes),
}

/// What is done to a field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Act {
    Set(Bytes),
    Delete,
    Add(i64),
}

/// What became of a commit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Committed {
    Done(u64),
    /// There is no such session any more.
    Gone,
    Moved(Moved),
    /// Something is not as it must be. This is how it is.
    Conflict(Box<Record>),
    /// It would have so many bytes.
    TooLarge(u64),
    /// This field cannot be added to.
    NoNumber(String),
}

/// What became of a session that was to end in favour of another one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Frozen {
    Done,
    Gone,
    /// It has a successor already.
    Moved(Moved),
    /// It was written meanwhile. This is how it is.
    Conflict(Box<Record>),
}

/// What became of a login that was to go on in another session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Noted {
    Done,
    /// It has ended, or is about to.
    Ended,
    /// It has gone on from there already.
    Elsewhere,
}

/// Which logins of a subject.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which<'a> {
    All,
    Only(&'a str),
    But(&'a str),
}

/// Where sessions are kept cannot be reached, or answers what cannot be.
#[derive(Clone, Debug)]
pub(crate) struct StoreAway(pub(crate) buttress_redis::Error);

impl Moved {
    pub(crate) fn renewed(to: Name) -> Self {
        Self { to, how: How::Renewed }
    }

    pub(crate) fn raised(to: Name) -> Self {
        Self { to, how: How::Raised }
    }
}

impl Which<'_> {
    pub(crate) fn is(self, sid: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(only) => only == sid,
            Self::But(kept) => kept != sid,
        }
    }
}

impl fmt::Display for StoreAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sessions cannot be reached: {}", self.0)
    }
}

#[cfg(test)]
mod tests;
