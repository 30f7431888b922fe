//! Every Redis key this crate writes.
//!
//! | Redis key | type | holds | lives |
//! |---|---|---|---|
//! | `{prefix}:session:v1:{name}` | hash | one session: its times, whose it is, its fields | as long as it is seen, at the longest until it ends |
//! | `{prefix}:session:v1:{of:subject}` | hash | the logins of one subject: their sessions, devices and times | as long as the last of them |
//!
//! A name is a digest of the id in the cookie, so that no session can be taken over out of Redis; a subject is a digest too. The hash of a session has
//!
//! | field | holds |
//! |---|---|
//! | `v` | the version of the format: `1`. A record of another one is left alone, and counts as none |
//! | `i` | the start of its name, so that a reply is told from another's |
//! | `n` | how often it was written |
//! | `c`, `e`, `t` | when it was created, ends at the latest, was seen; in milliseconds since 1970 |
//! | `s`, `l`, `a` | the subject, the name of the login (`sid`), when they logged in |
//! | `d` | the label of the device |
//! | `k` | the key of its fields, wrapped with a key from the cookie; if they are sealed |
//! | `b` | how many bytes the fields have |
//! | `to`, `how` | its successor, for the seconds in which requests are on their way |
//! | `=…` | a field of the application, as JSON |
//! | `!…` | a field of this crate: `!flash` |

use crate::id::Name;

/// One session.
pub(crate) fn session(prefix: &str, name: Name) -> String {
    format!("{prefix}:session:v1:{{{}}}", name.hex())
}

/// The logins of one subject.
pub(crate) fn logins(prefix: &str, subject: Name) -> String {
    format!("{prefix}:session:v1:{{of:{}}}", subject.hex())
}
