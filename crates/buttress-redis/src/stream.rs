//! Reading a stream, on a connection of its own.
//!
//! ```
//! use buttress_redis::StreamId;
//!
//! let id: StreamId = "1764000000000-3".parse()?;
//! assert!(StreamId::ZERO < id);
//! assert_eq!(id.to_string(), "1764000000000-3");
//! # Ok::<(), buttress_redis::NotAStreamId>(())
//! ```

use std::{fmt, str::FromStr};

use bytes::Bytes;

use crate::{Error, command::Reply};

/// The place of an entry in a stream; later entries have larger ones.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StreamId {
    /// When it was added by the server's clock, in milliseconds since 1970.
    pub millis: u64,
    /// Which of those that were added in that millisecond.
    pub seq: u64,
}

/// An entry of a stream. The bytes are slices of the socket's buffer: copy what is kept for long.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamEntry {
    /// Its place.
    pub id: StreamId,
    /// Names and values as they were added.
    pub fields: Vec<(Bytes, Bytes)>,
}

/// A text that is no [`StreamId`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotAStreamId;

// === impl StreamId ===

impl StreamId {
    /// Before all entries.
    pub const ZERO: Self = Self { millis: 0, seq: 0 };
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.seq)
    }
}

impl FromStr for StreamId {
    type Err = NotAStreamId;

    fn from_str(text: &str) -> Result<Self, NotAStreamId> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten().ok_or(NotAStreamId)
        };
        let (millis, seq) = text.split_once('-').ok_or(NotAStreamId)?;
        Ok(Self { millis: number(millis)?, seq: number(seq)? })
    }
}

// === impl NotAStreamId ===

impl fmt::Display for NotAStreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the place of an entry in a stream, such as 1764000000000-0")
    }
}

impl std::error::Error for NotAStreamId {}

/// The entries in the reply to an `XREAD` of one stream: nothing, a map (RESP3, which arrives as a flat list) or a list of pairs.
pub(crate) fn entries(reply: Reply, stream: &[u8]) -> Result<Vec<StreamEntry>, Error> {
    let malformed = || Error::malformed("XREAD answered something else than entries");
    let mut parts = match reply {
        Reply::Nil => return Ok(Vec::new()),
        Reply::List(list) => list,
        _ => return Err(malformed()),
    };
    if let [Reply::List(_)] = parts.as_slice() {
        parts = parts.pop().and_then(Reply::into_list).ok_or_else(malformed)?;
    }
    let mut parts = parts.into_iter();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Reply::Bytes(name)), Some(Reply::List(list)), None) if name == stream => {
            list.into_iter().map(|one| entry(one).ok_or_else(malformed)).collect()
        }
        _ => Err(malformed()),
    }
}

fn entry(reply: Reply) -> Option<StreamEntry> {
    let mut parts = reply.into_list()?.into_iter();
    let id = parts.next()?.into_bytes()?;
    let id = std::str::from_utf8(&id).ok()?.parse().ok()?;
    let mut flat = parts.next()?.into_list()?.into_iter().map(Reply::into_bytes);
    let mut fields = Vec::new();
    while let Some(name) = flat.next() {
        fields.push((name?, flat.next()??));
    }
    parts.next().is_none().then_some(StreamEntry { id, fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &'static str) -> Reply {
        Reply::Bytes(text.into())
    }

    fn one() -> Reply {
        Reply::List(vec![Reply::List(vec![text("5-1"), Reply::List(vec![text("a"), text("b")])])])
    }

    #[test]
    fn both_shapes_are_read_and_no_other() {
        let expected = [StreamEntry { id: StreamId { millis: 5, seq: 1 }, fields: vec![("a".into(), "b".into())] }];
        let map = Reply::List(vec![text("s"), one()]);
        let pairs = Reply::List(vec![map.clone()]);
        assert_eq!(entries(map, b"s").unwrap(), expected);
        assert_eq!(entries(pairs.clone(), b"s").unwrap(), expected);
        assert_eq!(entries(Reply::Nil, b"s").unwrap(), []);
        for other in [
            text("OK"),
            Reply::Int(1),
            Reply::List(vec![]),
            Reply::List(vec![text("s"), text("x")]),
            Reply::List(vec![text("other"), one()]),
            Reply::List(vec![text("s"), Reply::List(vec![Reply::List(vec![text("5"), Reply::List(vec![])])])]),
            Reply::List(vec![
                text("s"),
                Reply::List(vec![Reply::List(vec![text("5-1"), Reply::List(vec![text("a")])])]),
            ]),
        ] {
            assert!(entries(other.clone(), b"s").is_err(), "{other:?}");
        }
        assert!(entries(pairs, b"t").is_err());
    }

    #[test]
    fn a_place_is_two_numbers() {
        for wrong in ["", "1", "-", "1-", "-1", "1-2-3", "+1-1", "1-x", "99999999999999999999-0"] {
            assert_eq!(wrong.parse::<StreamId>(), Err(NotAStreamId), "{wrong}");
        }
    }
}
