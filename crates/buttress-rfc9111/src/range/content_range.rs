//! `Content-Range` (RFC 9110 section 14.4).

use http::HeaderValue;

use super::parse_position;

/// Which bytes a 206 carries, or how long the representation of a 416 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentRange {
    /// `bytes first-last/complete`, with `*` for an unknown length; `first <= last < complete`.
    Part {
        /// Position of the first byte.
        first: u64,
        /// Position of the last byte, included.
        last: u64,
        /// Length of the whole representation, if known.
        complete: Option<u64>,
    },
    /// `bytes */complete`.
    Unsatisfied {
        /// Length of the whole representation.
        complete: u64,
    },
}

// === impl ContentRange ===

impl ContentRange {
    /// Reads the field; `None` if malformed, in another unit, or impossible (a last position before the first or
    /// behind the end, a number beyond 64 bits).
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let (unit, value) = (value.get(..6)?, &value[6..]);
        if !unit.eq_ignore_ascii_case(b"bytes ") {
            return None;
        }
        let at = value.iter().position(|octet| *octet == b'/')?;
        let complete = match &value[at + 1..] {
            b"*" => None,
            digits => Some(exact_position(digits)?),
        };
        if &value[..at] == b"*" {
            return complete.map(|complete| Self::Unsatisfied { complete });
        }
        let dash = value[..at].iter().position(|octet| *octet == b'-')?;
        let (first, last) = (exact_position(&value[..dash])?, exact_position(&value[dash + 1..at])?);
        let possible = first <= last && complete.is_none_or(|complete| last < complete);
        possible.then_some(Self::Part { first, last, complete })
    }

    /// Writes the field.
    #[must_use]
    pub fn to_value(self) -> HeaderValue {
        let text = match self {
            Self::Part { first, last, complete: Some(complete) } => format!("bytes {first}-{last}/{complete}"),
            Self::Part { first, last, complete: None } => format!("bytes {first}-{last}/*"),
            Self::Unsatisfied { complete } => format!("bytes */{complete}"),
        };
        HeaderValue::try_from(text).expect("digits and punctuation are visible ASCII")
    }
}

/// A number that bytes are counted with: one that was cut off would put them at the wrong place.
fn exact_position(digits: &[u8]) -> Option<u64> {
    parse_position(digits).filter(|position| *position < u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn content_range_is_read_as_section_14_4_writes_it() {
        fn check(value: &str, expected: Option<ContentRange>) {
            assert_eq!(ContentRange::parse(value.as_bytes()), expected, "{value}");
        }
        let part = |first, last, complete| Some(ContentRange::Part { first, last, complete });
        check("bytes 42-1233/1234", part(42, 1233, Some(1234)));
        check("bytes 42-1233/*", part(42, 1233, None));
        check("BYTES 0-0/1", part(0, 0, Some(1)));
        check("bytes */1234", Some(ContentRange::Unsatisfied { complete: 1234 }));
        check("bytes */0", Some(ContentRange::Unsatisfied { complete: 0 }));
        for malformed in [
            "",
            "bytes",
            "bytes ",
            "bytes */*",
            "bytes 5-4/10",
            "bytes 0-10/10",
            "bytes 0-9",
            "bytes -9/10",
            "bytes 0-/10",
            "bytes=0-9/10",
            "items 0-9/10",
            "bytes 0-9/10/11",
            "bytes +0-9/10",
            "bytes 0 - 9/10",
            "bytes 0-9/",
            "bytes 0-99999999999999999999/*",
            "bytes 0-9/99999999999999999999",
        ] {
            check(malformed, None);
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(range) = ContentRange::parse(&value) {
                prop_assert_eq!(ContentRange::parse(range.to_value().as_bytes()), Some(range));
            }
        }

        #[test]
        fn what_is_written_is_read_back(first in 0..u64::MAX / 4, more in 0..u64::MAX / 4, rest in 1..u64::MAX / 4, known: bool) {
            let last = first + more;
            let range = ContentRange::Part { first, last, complete: known.then_some(last + rest) };
            prop_assert_eq!(ContentRange::parse(range.to_value().as_bytes()), Some(range));
        }
    }
}
