//! Parts of a representation: `Range`, `If-Range` and `Content-Range` (RFC 9110 section 14), and stored parts
//! (RFC 9111 sections 3.3 and 3.4).
//!
//! [`evaluate`] says how a GET or QUERY request with `Range` is answered from a complete stored 200 response; ask it after the
//! [preconditions](crate::precondition). One range of bytes is answered with 206; several are answered with the whole
//! representation, which RFC 9110 section 14.2 always allows and which costs no multipart body.
//!
//! | in `Range` | outcome |
//! |---|---|
//! | malformed, two lines, a last position before the first, no range at all | ignored: 200 |
//! | another unit than `bytes` | ignored: 200 |
//! | several ranges | 200, or 416 if all of them lie behind the end |
//! | more than [`MAX_RANGES`] ranges | ignored: 200 |
//! | positions too large for 64 bits | as large as can be |
//! | any range of an empty representation | 200: it has no part that `Content-Range` could name |
//!
//! ```
//! use buttress_rfc9111::range::{self, RangeAnswer};
//! use http::{HeaderMap, HeaderValue, Method, header};
//!
//! let mut request = HeaderMap::new();
//! request.insert(header::RANGE, HeaderValue::from_static("bytes=-4"));
//! let answer = range::evaluate(&Method::GET, &request, &HeaderMap::new(), 10);
//! assert_eq!(answer, RangeAnswer::Partial { first: 6, last: 9 });
//!
//! let mut fields = HeaderMap::new();
//! range::to_partial(&mut fields, 6, 9, 10);
//! assert_eq!(fields[header::CONTENT_RANGE], "bytes 6-9/10");
//! ```

use http::Method;
use http::header::{self, HeaderMap, HeaderValue};

use crate::date;
use crate::entity_tag::EntityTag;
use crate::validation::{Validators, date_of};

mod combine;
mod content_range;
mod fields;
mod part;

pub use combine::{CombineError, Combined, Piece, Source};
pub use content_range::ContentRange;
pub use fields::{to_partial, to_unsatisfiable};
pub use part::{Missing, NotAPart, PartAnswer, StoredPart};

/// A field with more ranges than this is ignored (RFC 9110 section 14.2 warns of many small ones).
pub const MAX_RANGES: usize = 64;

/// One member of a `Range` field with the unit `bytes`; positions count from 0 and `last` is included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// `first-last`, with `first <= last`; `last` may lie behind the end.
    FromTo {
        /// Position of the first byte.
        first: u64,
        /// Position of the last byte.
        last: u64,
    },
    /// `first-`: everything from there.
    From {
        /// Position of the first byte.
        first: u64,
    },
    /// `-length`: that many bytes at the end.
    Suffix {
        /// How many bytes; 0 is well-formed, and satisfied by nothing.
        length: u64,
    },
}

/// How a request is answered from a complete representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeAnswer {
    /// 200, with everything.
    Full(FullReason),
    /// 206, with these bytes: `first <= last < length`. [`to_partial`] makes the fields.
    Partial {
        /// Position of the first byte.
        first: u64,
        /// Position of the last byte, included.
        last: u64,
    },
    /// 416. [`to_unsatisfiable`] makes the fields.
    Unsatisfiable,
}

/// Why everything is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FullReason {
    /// The representation has no bytes, and so no part.
    Empty,
    /// `If-Range` names another representation, or cannot show that it names this one.
    IfRange,
    /// `Range` is malformed, or stands on two lines.
    Malformed,
    /// Neither a GET nor a QUERY, which selects a representation as a GET does.
    Method,
    /// No `Range`.
    NoRange,
    /// More than one range.
    SeveralRanges,
    /// More than [`MAX_RANGES`].
    TooManyRanges,
    /// A unit other than `bytes`.
    UnknownUnit,
}

/// What `If-Range` says of a representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IfRange {
    /// There is no such field: the range holds.
    Absent,
    /// The same representation by a strong validator: the range holds.
    Same,
    /// Another one, a weak validator, or malformed: the range is void.
    Different,
}

/// Says how a request is answered from a complete 200 response of `length` bytes that is stored with the fields
/// `stored`. Allocates nothing.
#[must_use]
pub fn evaluate(method: &Method, request: &HeaderMap, stored: &HeaderMap, length: u64) -> RangeAnswer {
    let value = match requested(method, request) {
        Ok(value) => value,
        Err(why) => return RangeAnswer::Full(why),
    };
    if if_range(request, stored) == IfRange::Different {
        return RangeAnswer::Full(FullReason::IfRange);
    }
    answer(value, length)
}

/// The one range that a request asks for, to be answered from a [`StoredPart`].
///
/// # Errors
/// Why it does not ask for one range of bytes; no part can serve it then. `If-Range` is not looked at: see [`if_range`].
pub fn single(method: &Method, request: &HeaderMap) -> Result<ByteRange, FullReason> {
    let mut ranges = parse(requested(method, request)?)?;
    let first = ranges.next().ok_or(FullReason::Malformed)??;
    match ranges.next() {
        None => Ok(first),
        Some(Ok(_)) => Err(FullReason::SeveralRanges),
        Some(Err(why)) => Err(why),
    }
}

/// Compares `If-Range` with a stored response (RFC 9110 section 13.1.5).
///
/// An entity tag has to be strongly equal. A date has to be exactly `Last-Modified`, which has to be at least one
/// second before the stored `Date`, since otherwise two versions can share it (section 8.8.2.2).
#[must_use]
pub fn if_range(request: &HeaderMap, stored: &HeaderMap) -> IfRange {
    let mut lines = request.get_all(header::IF_RANGE).iter();
    let Some(condition) = lines.next() else {
        return IfRange::Absent;
    };
    let same = lines.next().is_none()
        && match EntityTag::parse(condition.as_bytes()) {
            Some(tag) => EntityTag::of(stored).is_some_and(|current| current.strong_eq(tag)),
            None => date::parse(condition).is_some_and(|date| {
                Validators::of(stored).is_strong_by_date() && date_of(stored, &header::LAST_MODIFIED) == Some(date)
            }),
        };
    if same { IfRange::Same } else { IfRange::Different }
}

fn requested<'a>(method: &Method, request: &'a HeaderMap) -> Result<&'a HeaderValue, FullReason> {
    let mut lines = request.get_all(header::RANGE).iter();
    let value = lines.next().ok_or(FullReason::NoRange)?;
    match (method, lines.next()) {
        (&Method::GET | &Method::QUERY, None) => Ok(value),
        (&Method::GET | &Method::QUERY, Some(_)) => Err(FullReason::Malformed),
        _ => Err(FullReason::Method),
    }
}

fn answer(value: &HeaderValue, length: u64) -> RangeAnswer {
    match evaluate_ranges(value, length) {
        Ok(answer) => answer,
        Err(why) => RangeAnswer::Full(why),
    }
}

fn evaluate_ranges(value: &HeaderValue, length: u64) -> Result<RangeAnswer, FullReason> {
    let (mut count, mut satisfied) = (0_usize, None);
    for range in parse(value)? {
        count += 1;
        if count > MAX_RANGES {
            return Err(FullReason::TooManyRanges);
        }
        satisfied = range?.within(length).or(satisfied);
    }
    match (count, satisfied) {
        (0, _) => Err(FullReason::Malformed),
        _ if length == 0 => Err(FullReason::Empty),
        (_, None) => Ok(RangeAnswer::Unsatisfiable),
        (1, Some((first, last))) => Ok(RangeAnswer::Partial { first, last }),
        (_, Some(_)) => Err(FullReason::SeveralRanges),
    }
}

/// `ranges-specifier = range-unit "=" range-set`; units know no case (RFC 9110 section 14.1).
fn parse(value: &HeaderValue) -> Result<impl Iterator<Item = Result<ByteRange, FullReason>>, FullReason> {
    let value = value.as_bytes().trim_ascii();
    let at = value.iter().position(|octet| *octet == b'=').ok_or(FullReason::Malformed)?;
    if !value[..at].eq_ignore_ascii_case(b"bytes") {
        return Err(FullReason::UnknownUnit);
    }
    let ranges = value[at + 1..].split(|octet| *octet == b',').map(<[u8]>::trim_ascii);
    Ok(ranges.filter(|range| !range.is_empty()).map(|range| ByteRange::parse(range).ok_or(FullReason::Malformed)))
}

/// Digits only; what is too large is as large as can be.
fn parse_position(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let push = |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, push))
}

// === impl ByteRange ===

impl ByteRange {
    /// Reads one `range-spec`; `None` if malformed, or if `last` is before `first`.
    #[must_use]
    pub fn parse(spec: &[u8]) -> Option<Self> {
        let at = spec.iter().position(|octet| *octet == b'-')?;
        match (&spec[..at], &spec[at + 1..]) {
            (b"", length) => Some(Self::Suffix { length: parse_position(length)? }),
            (first, b"") => Some(Self::From { first: parse_position(first)? }),
            (first, last) => {
                let (first, last) = (parse_position(first)?, parse_position(last)?);
                (first <= last).then_some(Self::FromTo { first, last })
            }
        }
    }

    /// The first and last position that the range has in a representation of `length` bytes; `None` if it lies behind
    /// the end or is empty (RFC 9110 section 14.1.2).
    #[must_use]
    pub fn within(self, length: u64) -> Option<(u64, u64)> {
        let end = length.checked_sub(1)?;
        let (first, last) = match self {
            Self::FromTo { first, last } => (first, last.min(end)),
            Self::From { first } => (first, end),
            Self::Suffix { length: 0 } => return None,
            Self::Suffix { length: suffix } => (length.saturating_sub(suffix), end),
        };
        (first <= end).then_some((first, last))
    }
}

// === impl RangeAnswer ===

impl RangeAnswer {
    /// The answer, or the reason for a full one, as a word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full(why) => why.as_str(),
            Self::Partial { .. } => "partial",
            Self::Unsatisfiable => "unsatisfiable",
        }
    }
}

// === impl FullReason ===

impl FullReason {
    /// The reason as a word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty-representation",
            Self::IfRange => "if-range-differs",
            Self::Malformed => "range-malformed",
            Self::Method => "range-needs-get",
            Self::NoRange => "no-range",
            Self::SeveralRanges => "several-ranges",
            Self::TooManyRanges => "too-many-ranges",
            Self::UnknownUnit => "range-unit-unknown",
        }
    }
}

#[cfg(test)]
mod tests;
