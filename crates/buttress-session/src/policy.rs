//! The decisions: whose session a request comes with, what may be written, what ends it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;

use crate::id::{Sealed, Sealer, SessionId};
use crate::record::{self, Entry, Fields, How, Moved, Record, weight};
use crate::store::{Act, Commit, Committed, Frozen, Must, Pace};

/// What a request came with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Presented {
    /// No cookie of this name, or none of the right shape.
    Nothing,
    /// Cookies that were not sealed here.
    Forged,
    /// More than one session.
    Ambiguous,
    One {
        id: SessionId,
        /// It was sealed by a key that seals no more.
        by_former_key: bool,
    },
}

/// What to do with a session that was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Found {
    /// It can be read and written.
    Here,
    /// It goes on elsewhere: that one is read and written.
    Follow(Moved),
}

/// So many cookies of one name are looked at. Whoever sends more has been handed some.
pub(crate) const MOST_CANDIDATES: usize = 4;

/// Whose session the cookies of a request mean. Two that were both sealed here are two sessions, one of them perhaps planted by a neighbour: none
/// is believed. `None` in their place stands for more of them than are looked at.
pub(crate) fn presented(candidates: Option<&[Sealed]>, sealer: &Sealer) -> Presented {
    let Some(candidates) = candidates else { return Presented::Ambiguous };
    let mut found = Presented::Nothing;
    for candidate in candidates {
        found = match (sealer.open(candidate), found) {
            (None, Presented::Nothing) => Presented::Forged,
            (None, found) => found,
            (Some((id, _)), Presented::One { id: other, .. }) if id != other => return Presented::Ambiguous,
            (Some((id, by_former_key)), _) => Presented::One { id, by_former_key },
        };
    }
    found
}

/// Whether a response leaves the session as it was, since the service has failed. `grpc` is what a gRPC service says in place of a status, if it has said it
/// already: unknown, deadline exceeded, internal, unavailable, data loss.
pub(crate) fn is_dropped(status: StatusCode, grpc: Option<&[u8]>, keeps_on_error: bool) -> bool {
    let has_failed = status.is_server_error() || matches!(grpc, Some(b"2" | b"4" | b"13" | b"14" | b"15"));
    has_failed && !keeps_on_error
}

/// Whether it is worth a write that a session was seen.
pub(crate) fn is_noted_again(record: &Record, pace: Pace, now: u64) -> bool {
    record.moved.is_none() && now.saturating_sub(record.seen) >= pace.slack
}

/// Whether fields of one session may go over to the one that a login begins: never those of somebody else.
pub(crate) fn goes_over(record: &Record, subject: &str) -> bool {
    record.login.as_ref().is_none_or(|login| login.subject == subject)
}

/// Where a session is.
pub(crate) fn found(record: &Record) -> Found {
    match record.moved {
        None => Found::Here,
        Some(moved) => Found::Follow(moved),
    }
}

/// Writes to a record what a request has changed, all of it or nothing.
pub(crate) fn commit(record: &mut Record, commit: &Commit) -> Committed {
    if let Some(moved) = record.moved {
        return Committed::Moved(moved);
    }
    let mut fields = record.fields.clone();
    let mut conflict = commit.version.is_some_and(|version| version != record.version);
    for write in &commit.writes {
        conflict |= match (&write.must, record.fields.get(&write.field)) {
            (Must::BeAnything, _) | (Must::BeAbsent, None) => false,
            (Must::Be(expected), Some(is)) => expected != is,
            (Must::BeAbsent, Some(_)) | (Must::Be(_), None) => true,
        };
        if !apply(&mut fields, &write.field, &write.act) {
            return Committed::NoNumber(write.field.clone());
        }
    }
    let size = fields.iter().map(|(name, value)| weight(name, value)).sum::<u64>();
    if conflict {
        return Committed::Conflict(Box::new(record.clone()));
    }
    if size > commit.most && size > record.weight() {
        return Committed::TooLarge(size);
    }
    record.fields = fields;
    record.version += 1;
    Committed::Done(record.version)
}

fn apply(fields: &mut Fields, field: &str, act: &Act) -> bool {
    match act {
        Act::Delete => drop(fields.remove(field)),
        Act::Set(value) => drop(fields.insert(field.to_owned(), value.clone())),
        Act::Add(by) => {
            let Some(sum) = record::sum(fields.get(field), *by) else { return false };
            fields.insert(field.to_owned(), sum);
        }
    }
    true
}

/// Puts other fields in the place of all fields of the application.
#[cfg(feature = "tower-sessions")]
pub(crate) fn replace(record: &mut Record, fields: &Fields, most: u64) -> Committed {
    if let Some(moved) = record.moved {
        return Committed::Moved(moved);
    }
    let size = fields.iter().map(|(name, value)| weight(name, value)).sum::<u64>();
    if size > most && size > record.weight() {
        return Committed::TooLarge(size);
    }
    record.fields.retain(|name, _| !name.starts_with('='));
    record.fields.extend(fields.clone());
    record.version += 1;
    Committed::Done(record.version)
}

/// Ends a record in favour of its successor.
pub(crate) fn freeze(record: &mut Record, version: u64, to: Moved) -> Frozen {
    match record.moved {
        Some(moved) => Frozen::Moved(moved),
        None if record.version != version => Frozen::Conflict(Box::new(record.clone())),
        None => {
            record.moved = Some(to);
            Frozen::Done
        }
    }
}

/// Whether what a request of a session that moved wants to write belongs to the successor.
pub(crate) fn is_written_to_the_successor(moved: Moved) -> bool {
    moved.how == How::Renewed
}

/// Whether what a session went on as ends with it. Not where somebody has logged in since, who was not logged in before: that is another session.
pub(crate) fn ends_with_it(moved: Moved, was_logged_in: bool) -> bool {
    was_logged_in || moved.how == How::Renewed
}

/// The logins that are more than there may be, the oldest first, behind those that somebody was about to end before; the newest is the last that goes.
pub(crate) fn too_many<'a>(entries: impl Iterator<Item = &'a Entry>, newest: &str, most: usize) -> Vec<String> {
    let (doomed, mut there): (Vec<_>, Vec<_>) = entries.partition(|entry| entry.doomed);
    there.sort_by_key(|entry| (entry.sid == newest, entry.created, entry.sid.clone()));
    let over = there.len().saturating_sub(most);
    doomed.into_iter().chain(there.into_iter().take(over)).map(|entry| entry.sid.clone()).collect()
}

pub(crate) fn millis(time: SystemTime) -> u64 {
    whole_millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

pub(crate) fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
