//! What can go wrong, in words a caller can act on.
//!
//! ```
//! use buttress_redis::{ErrorKind, Rejection};
//!
//! let kind = ErrorKind::Rejected(Rejection::OutOfMemory);
//! assert_eq!(kind.as_str(), "out-of-memory");
//! assert!(!kind.may_have_happened());
//! assert!(ErrorKind::TimedOut.may_have_happened());
//! ```

use std::{borrow::Cow, fmt};

/// A command that did not succeed: what kind of failure, and what the server or the client said.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    text: Cow<'static, str>,
}

/// How a command failed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The connection ended before the answer came. The command may have happened.
    Disconnected,
    /// The answer is of a shape that this command never has.
    Malformed,
    /// Too much is waiting for this connection already; nothing was sent.
    Overloaded,
    /// The server said no.
    Rejected(Rejection),
    /// The deadline passed without an answer. The command may have happened, or may happen yet.
    TimedOut,
    /// Redis is away, known from an earlier failure; nothing was sent.
    Unavailable,
    /// The answer does not prove that it belongs to this command. The command may have happened; the connection is given up.
    Unproven,
}

/// Why the server said no.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Rejection {
    /// A script or function runs for too long (`BUSY`).
    Busy,
    /// Wrong or missing credentials, or the user may not do this (`NOAUTH`, `WRONGPASS`, `NOPERM`).
    Denied,
    /// The server loads its data from disk (`LOADING`).
    Loading,
    /// The slot is moving between nodes of a cluster, or its node is down (`MOVED`, `ASK`, `TRYAGAIN`, `CLUSTERDOWN`).
    Moving,
    /// Any other refusal; the error's text says which.
    Other,
    /// The server has no memory left for this write (`OOM`).
    OutOfMemory,
    /// The server is a replica, or cannot write safely (`READONLY`, `MISCONF`, `NOREPLICAS`).
    ReadOnly,
    /// The key holds another type of value (`WRONGTYPE`).
    WrongType,
}

/// A connection that cannot be built from what was asked for: the offending value, and what is wrong with it.
///
/// A password never appears in it.
#[derive(Clone, Debug)]
pub struct ConfigError {
    value: String,
    problem: Cow<'static, str>,
}

// === impl Error ===

impl Error {
    /// How the command failed.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The word for this kind of failure used in logs and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        self.kind.as_str()
    }

    pub(crate) fn new(kind: ErrorKind, text: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, text: text.into() }
    }

    /// What a server's error reply means.
    pub(crate) fn from_reply(text: &str) -> Self {
        Self::new(ErrorKind::Rejected(Rejection::of(text)), text.to_owned())
    }

    /// What the server or the client said.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the server will go on refusing for as long as this connection lasts: it became a replica, or it forgot who we are.
    pub(crate) fn ends_the_connection(&self) -> bool {
        self.text.starts_with("READONLY") || self.text.contains("-READONLY ") || self.text.starts_with("NOAUTH")
    }

    /// A reply that is not what it should be: for those who read a script's answer.
    #[must_use]
    pub fn malformed(expected: &'static str) -> Self {
        Self::new(ErrorKind::Malformed, expected)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.as_str(), self.text)
    }
}

impl std::error::Error for Error {}

// === impl ErrorKind ===

impl ErrorKind {
    /// The word for this kind used in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Malformed => "malformed",
            Self::Overloaded => "overloaded",
            Self::Rejected(why) => why.as_str(),
            Self::TimedOut => "timed-out",
            Self::Unavailable => "unavailable",
            Self::Unproven => "unproven",
        }
    }

    /// Whether the command may have happened, or may yet happen, although no answer says so.
    #[must_use]
    pub const fn may_have_happened(self) -> bool {
        matches!(self, Self::Disconnected | Self::Malformed | Self::TimedOut | Self::Unproven)
    }
}

// === impl Rejection ===

impl Rejection {
    /// The word for this reason used in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Denied => "denied",
            Self::Loading => "loading",
            Self::Moving => "moving",
            Self::Other => "rejected",
            Self::OutOfMemory => "out-of-memory",
            Self::ReadOnly => "read-only",
            Self::WrongType => "wrong-type",
        }
    }

    /// Whether a `PING` is refused for this reason as well, and not only the command it stands behind.
    pub(crate) const fn refuses_everyone(self) -> bool {
        match self {
            // A server that cannot save refuses a PING as if it were a write.
            Self::Busy | Self::Denied | Self::Loading | Self::Moving | Self::ReadOnly => true,
            Self::Other | Self::OutOfMemory | Self::WrongType => false,
        }
    }

    /// The reason that an error reply gives. By its text: the client's own kinds lump most of them together.
    fn of(text: &str) -> Self {
        // A script passes on the error of the command it ran, in the middle of its own text on Redis 6.
        match text.split_whitespace().next().unwrap_or_default().trim_start_matches('-') {
            "BUSY" => Self::Busy,
            "NOAUTH" | "WRONGPASS" | "NOPERM" => Self::Denied,
            "LOADING" | "MASTERDOWN" => Self::Loading,
            "MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN" | "CROSSSLOT" => Self::Moving,
            "OOM" => Self::OutOfMemory,
            "READONLY" | "MISCONF" | "NOREPLICAS" => Self::ReadOnly,
            "WRONGTYPE" => Self::WrongType,
            _ => Self::of_script(text),
        }
    }

    /// Redis 6 wraps what a script's command was refused with: `ERR Error running script (call to f_…): … -OOM command …`.
    fn of_script(text: &str) -> Self {
        let within = [
            ("-OOM ", Self::OutOfMemory),
            ("-READONLY ", Self::ReadOnly),
            ("-MISCONF ", Self::ReadOnly),
            ("-WRONGTYPE ", Self::WrongType),
            ("-NOPERM ", Self::Denied),
            ("ACL failure in script", Self::Denied),
            ("The user executing the script can't", Self::Denied), // Redis 7.0
        ];
        within.iter().find(|(mark, _)| text.contains(mark)).map_or(Self::Other, |(_, why)| *why)
    }
}

// === impl ConfigError ===

impl ConfigError {
    /// The value that cannot be used, without its password.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    pub(crate) fn new(value: impl Into<String>, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { value: value.into(), problem: problem.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {:?}", self.problem, self.value)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Rejection) {
        let error = Error::from_reply(text);
        assert_eq!(error.kind(), ErrorKind::Rejected(expected), "{text}");
    }

    #[test]
    fn a_server_s_error_is_classified_by_its_text() {
        check("NOAUTH Authentication required.", Rejection::Denied);
        check("WRONGPASS invalid username-password pair or user is disabled.", Rejection::Denied);
        check("NOPERM this user has no permissions to run the 'set' command", Rejection::Denied);
        check("LOADING Redis is loading the dataset in memory", Rejection::Loading);
        check("OOM command not allowed when used memory > 'maxmemory'.", Rejection::OutOfMemory);
        check("READONLY You can't write against a read only replica.", Rejection::ReadOnly);
        check("MISCONF Redis is configured to save RDB snapshots", Rejection::ReadOnly);
        check("WRONGTYPE Operation against a key holding the wrong kind of value", Rejection::WrongType);
        check("MOVED 3999 127.0.0.1:6381", Rejection::Moving);
        check("ASK 3999 127.0.0.1:6381", Rejection::Moving);
        check("TRYAGAIN Multiple keys request during rehashing of slot", Rejection::Moving);
        check("CLUSTERDOWN Hash slot not served", Rejection::Moving);
        check("BUSY Redis is busy running a script", Rejection::Busy);
        check("ERR unknown command 'NOPE'", Rejection::Other);
        check("", Rejection::Other);
    }

    #[test]
    fn what_a_script_s_command_was_refused_with_is_found_inside() {
        check(
            "ERR Error running script (call to f_6f0): @user_script:1: @user_script: 1: -OOM command not allowed",
            Rejection::OutOfMemory,
        );
        check("ERR user_script:1: ACL failure in script: denied", Rejection::Denied);
        check("ERR a text that speaks of OOM is not one", Rejection::Other);
    }

    #[test]
    fn a_refusal_did_not_happen_and_silence_may_have() {
        assert!(!ErrorKind::Rejected(Rejection::Other).may_have_happened());
        assert!(!ErrorKind::Unavailable.may_have_happened());
        assert!(!ErrorKind::Overloaded.may_have_happened());
        assert!(ErrorKind::TimedOut.may_have_happened());
        assert!(ErrorKind::Disconnected.may_have_happened());
        assert!(ErrorKind::Unproven.may_have_happened());
    }
}
