//! Entries of a stream, and what the server may answer to a question for them.
//!
//! ```
//! use buttress_redis::StreamId;
//!
//! let id: StreamId = "1700000000000-3".parse()?;
//! assert_eq!(id, StreamId { millis: 1_700_000_000_000, seq: 3 });
//! assert!(id > StreamId::ZERO);
//! # Ok::<_, buttress_redis::NotAStreamId>(())
//! ```

use std::{fmt, str::FromStr, time::Duration};

use bytes::Bytes;

use crate::{
    Error,
    command::{Command, Reply},
    redis::millis,
};

/// The place of an entry in its stream: `{millis}-{seq}`, in this order.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StreamId {
    /// By default the server's time when the entry was added, in milliseconds since 1970.
    pub millis: u64,
    /// Tells apart the entries of one millisecond.
    pub seq: u64,
}

/// One entry of a stream; made by [`Consumer::read`](crate::Consumer::read).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StreamEntry {
    /// Its place.
    pub id: StreamId,
    /// Names and values as they were written, by whomever. Slices of the socket's buffer: copy what is kept for long.
    pub fields: Vec<(Bytes, Bytes)>,
}

/// A text that is not a [`StreamId`] as the server writes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotAStreamId(String);

/// The question for the entries of `stream` behind `after`.
pub(crate) fn read(stream: &[u8], after: StreamId, limit: u32, wait: Option<Duration>) -> Command {
    let mut command = Command::new("XREAD").slot_of(stream).arg("COUNT").number(limit.into());
    if let Some(wait) = wait {
        command = command.arg("BLOCK").number(millis(wait)).blocking();
    }
    command.arg("STREAMS").arg(Bytes::copy_from_slice(stream)).arg(after.to_string())
}

/// The entries of `stream` in the answer: each behind the one before, the first behind `after`.
pub(crate) fn entries(reply: Reply, stream: &[u8], after: StreamId) -> Result<Vec<StreamEntry>, Error> {
    if reply == Reply::Nil {
        return Ok(Vec::new());
    }
    let found = of_stream(reply, stream).ok_or_else(|| Error::malformed("XREAD answered something else"))?;
    let found: Option<Vec<_>> = found.into_iter().map(entry).collect();
    let found = found.ok_or_else(|| Error::malformed("an entry of a stream of another shape"))?;
    let ids = || std::iter::once(after).chain(found.iter().map(|entry| entry.id));
    if ids().zip(ids().skip(1)).any(|(earlier, later)| earlier >= later) {
        return Err(Error::malformed("entries of a stream out of their order"));
    }
    Ok(found)
}

/// One stream's entries: `{stream: entries}`, which arrives as a flat list, or in RESP2 `[[stream, entries]]`.
fn of_stream(reply: Reply, stream: &[u8]) -> Option<Vec<Reply>> {
    let mut answer = reply.into_list()?;
    if answer.len() == 1 {
        answer = answer.pop()?.into_list()?;
    }
    let [name, entries] = <[Reply; 2]>::try_from(answer).ok()?;
    (name.into_bytes()? == stream).then(|| entries.into_list()).flatten()
}

/// `[id, [name, value, …]]`.
fn entry(reply: Reply) -> Option<StreamEntry> {
    let [id, fields] = <[Reply; 2]>::try_from(reply.into_list()?).ok()?;
    let id = StreamId::from_bytes(&id.into_bytes()?)?;
    let fields: Option<Vec<Bytes>> = fields.into_list()?.into_iter().map(Reply::into_bytes).collect();
    let (pairs, rest) = fields.as_deref()?.as_chunks::<2>();
    let fields = pairs.iter().map(|[name, value]| (name.clone(), value.clone())).collect();
    rest.is_empty().then_some(StreamEntry { id, fields })
}

// === impl StreamId ===

impl StreamId {
    /// Before all entries.
    pub const ZERO: Self = Self { millis: 0, seq: 0 };

    fn from_bytes(text: &[u8]) -> Option<Self> {
        let (millis, seq) = std::str::from_utf8(text).ok()?.split_once('-')?;
        Some(Self { millis: number(millis)?, seq: number(seq)? })
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.seq)
    }
}

impl FromStr for StreamId {
    type Err = NotAStreamId;

    /// Of the form that [`Display`](fmt::Display) writes, and no other: two numbers, without signs, spaces or leading zeros.
    fn from_str(text: &str) -> Result<Self, NotAStreamId> {
        Self::from_bytes(text.as_bytes()).ok_or_else(|| NotAStreamId(text.to_owned()))
    }
}

fn number(digits: &str) -> Option<u64> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if is_plain { digits.parse().ok() } else { None }
}

// === impl NotAStreamId ===

impl fmt::Display for NotAStreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not the id of a stream's entry: {:?}", self.0)
    }
}

impl std::error::Error for NotAStreamId {}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Reply {
        Reply::Bytes(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn list<const N: usize>(replies: [Reply; N]) -> Reply {
        Reply::List(replies.into())
    }

    /// An entry with one field.
    fn written(id: &str) -> Reply {
        list([text(id), list([text("name"), text("value")])])
    }

    #[track_caller]
    fn check(reply: Reply, expected: Option<&[&str]>) {
        let found = entries(reply, b"log", StreamId { millis: 1, seq: 0 }).ok();
        let ids = found.map(|found| found.iter().map(|entry| entry.id.to_string()).collect::<Vec<_>>());
        assert_eq!(ids, expected.map(|ids| ids.iter().map(ToString::to_string).collect()));
    }

    #[test]
    fn both_protocols_are_understood() {
        let two = || list([written("1-1"), written("2-0")]);
        check(list([text("log"), two()]), Some(&["1-1", "2-0"]));
        check(list([list([text("log"), two()])]), Some(&["1-1", "2-0"]));
        check(Reply::Nil, Some(&[]));
    }

    #[test]
    fn what_is_of_another_shape_is_malformed() {
        let of_log = |entry: Reply| list([text("log"), list([entry])]);
        check(text("OK"), None);
        check(list([]), None);
        check(list([text("log")]), None);
        check(list([text("other"), list([written("2-0")])]), None);
        check(list([text("log"), list([written("2-0")]), text("other"), list([])]), None);
        check(list([text("log"), Reply::Nil]), None);
        check(of_log(text("2-0")), None);
        check(of_log(list([text("2-0"), Reply::Nil])), None);
        check(of_log(list([text("2"), list([])])), None);
        check(of_log(list([text("2-0"), list([text("name")])])), None);
        check(of_log(list([text("2-0"), list([text("name"), Reply::Int(1)])])), None);
    }

    #[test]
    fn entries_come_behind_one_another() {
        check(list([text("log"), list([written("1-0")])]), None);
        check(list([text("log"), list([written("0-9")])]), None);
        check(list([text("log"), list([written("3-0"), written("2-9")])]), None);
        check(list([text("log"), list([written("3-0"), written("3-0")])]), None);
    }

    #[test]
    fn an_id_is_read_as_it_is_written() {
        for id in ["0-0", "1-0", "0-1", "18446744073709551615-18446744073709551615"] {
            assert_eq!(id.parse::<StreamId>().unwrap().to_string(), id);
        }
        let others = ["", "1", "-", "1-", "-1", "1-2-3", "+1-0", "1-+0", "01-0", "1-00", " 1-0", "1-0 ", "$"];
        for id in others.into_iter().chain(["1-18446744073709551616"]) {
            assert_eq!(id.parse::<StreamId>(), Err(NotAStreamId(id.to_owned())));
        }
    }
}
