//! Parts that are stored, reused and completed (RFC 9111 sections 3.3 and 3.4).

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};

use super::{ByteRange, ContentRange};
use crate::entity_tag::EntityTag;

/// What a cache knows about an incomplete response that it keeps: which bytes, of how many, of which representation.
///
/// Only with a strong entity tag, without which nothing could be added to it or checked against `If-Range`. One run of
/// bytes; a part that does not touch it is stored as another one, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPart {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) complete: Option<u64>,
    pub(super) etag: HeaderValue,
}

/// Why a response is not a part that can be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAPart {
    /// It is all there: store it as what it is.
    Complete,
    /// `Content-Range` or `Content-Length` is missing, malformed, or contradicts the bytes received.
    Malformed,
    /// `multipart/byteranges`: several parts in one body.
    Multipart,
    /// Not a single byte came.
    NoBytes,
    /// No strong entity tag.
    NoStrongValidator,
    /// Neither 200 nor 206.
    Status,
}

/// Whether a range lies within a stored part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartAnswer {
    /// Answer 206 with these positions of the representation; `offset` is where they begin in the stored body.
    Serve {
        /// Position of the first byte.
        first: u64,
        /// Position of the last byte, included.
        last: u64,
        /// Where `first` is in the stored body.
        offset: u64,
    },
    /// Some of its bytes are not here.
    Outside,
    /// It is counted from an end that is not known.
    LengthUnknown,
    /// Answer 416: it lies behind the known end.
    Unsatisfiable,
}

/// The request fields that fetch what a part lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// For `Range`.
    pub range: HeaderValue,
    /// For `If-Range`: a changed representation then comes whole, as a 200.
    pub if_range: HeaderValue,
}

// === impl StoredPart ===

impl StoredPart {
    /// The part that a response brought of which `received` bytes of body arrived: a 206, cut short or not, or a 200
    /// that ended too early.
    ///
    /// # Errors
    /// Why it cannot be stored as a part.
    pub fn of(status: StatusCode, headers: &HeaderMap, received: u64) -> Result<Self, NotAPart> {
        let (first, promised, complete) = match status {
            StatusCode::OK => whole(headers)?,
            StatusCode::PARTIAL_CONTENT => promised_part(headers)?,
            _ => return Err(NotAPart::Status),
        };
        if promised.is_some_and(|promised| received > promised) {
            return Err(NotAPart::Malformed);
        }
        let last = received.checked_sub(1).ok_or(NotAPart::NoBytes)?.checked_add(first).ok_or(NotAPart::Malformed)?;
        if first == 0 && complete == Some(received) {
            return Err(NotAPart::Complete);
        }
        let etag = headers.get(header::ETAG).ok_or(NotAPart::NoStrongValidator)?.clone();
        EntityTag::of(headers).filter(|tag| !tag.is_weak()).ok_or(NotAPart::NoStrongValidator)?;
        Ok(Self { first, last, complete, etag })
    }

    /// The positions of its first and last byte.
    #[must_use]
    pub fn range(&self) -> (u64, u64) {
        (self.first, self.last)
    }

    /// The length of the whole representation, if known.
    #[must_use]
    pub fn complete_length(&self) -> Option<u64> {
        self.complete
    }

    /// The strong entity tag, as it was received.
    #[must_use]
    pub fn etag(&self) -> &HeaderValue {
        &self.etag
    }

    /// Whether nothing is missing any more; [`to_complete`](Self::to_complete) then makes it a 200.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.first == 0 && self.complete.is_some_and(|complete| complete - 1 == self.last)
    }

    /// Whether this part can answer a request for `range` whose preconditions and `If-Range` hold (RFC 9111 section
    /// 3.3: only ranges wholly within it).
    #[must_use]
    pub fn can_serve(&self, range: ByteRange) -> PartAnswer {
        let wanted = match (self.complete, range) {
            (Some(complete), range) => range.within(complete).ok_or(PartAnswer::Unsatisfiable),
            (None, ByteRange::FromTo { first, last }) => Ok((first, last)),
            (None, ByteRange::From { .. } | ByteRange::Suffix { .. }) => Err(PartAnswer::LengthUnknown),
        };
        match wanted {
            Ok((first, last)) if self.first <= first && last <= self.last => {
                PartAnswer::Serve { first, last, offset: first - self.first }
            }
            Ok(_) => PartAnswer::Outside,
            Err(why) => why,
        }
    }

    /// What to ask the origin for next: the bytes before this part, else those after it; `None` if it is complete.
    #[must_use]
    pub fn missing(&self) -> Option<Missing> {
        let range = match self.first {
            _ if self.is_complete() => return None,
            0 => format!("bytes={}-", self.last.saturating_add(1)),
            first => format!("bytes=0-{}", first - 1),
        };
        let range = HeaderValue::try_from(range).expect("digits and punctuation are visible ASCII");
        Some(Missing { range, if_range: self.etag.clone() })
    }

    /// Makes the fields of a 200 from those of a 206, once the part is complete (RFC 9111 section 3.4). Does nothing
    /// before that.
    pub fn to_complete(&self, headers: &mut HeaderMap) {
        if self.is_complete() {
            headers.remove(header::CONTENT_RANGE);
            headers.remove("content-digest");
            headers.remove("content-md5");
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(self.last + 1));
        }
    }
}

/// First position, bytes promised and complete length of a 200.
fn whole(headers: &HeaderMap) -> Result<(u64, Option<u64>, Option<u64>), NotAPart> {
    let length = match headers.get(header::CONTENT_LENGTH) {
        None => None,
        Some(length) => Some(super::parse_position(length.as_bytes()).ok_or(NotAPart::Malformed)?),
    };
    Ok((0, length, length))
}

/// First position, bytes promised and complete length of a 206.
fn promised_part(headers: &HeaderMap) -> Result<(u64, Option<u64>, Option<u64>), NotAPart> {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if kind.get(..20).is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/byteranges")) {
        return Err(NotAPart::Multipart);
    }
    let mut lines = headers.get_all(header::CONTENT_RANGE).iter();
    match (lines.next().and_then(|line| ContentRange::parse(line.as_bytes())), lines.next()) {
        (Some(ContentRange::Part { first, last, complete }), None) => Ok((first, Some(last - first + 1), complete)),
        _ => Err(NotAPart::Malformed),
    }
}

// === impl Missing ===

impl Missing {
    /// Sets `Range` and `If-Range` in a request that carries no conditions of its own (see
    /// [`strip_conditions`](crate::validation::strip_conditions)).
    pub fn apply(&self, request: &mut HeaderMap) {
        request.insert(header::RANGE, self.range.clone());
        request.insert(header::IF_RANGE, self.if_range.clone());
    }
}

// === reasons ===

impl NotAPart {
    /// The reason as a word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Malformed => "content-range-malformed",
            Self::Multipart => "multipart",
            Self::NoBytes => "no-bytes",
            Self::NoStrongValidator => "no-strong-validator",
            Self::Status => "status-not-partial",
        }
    }
}

impl PartAnswer {
    /// The answer as a word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serve { .. } => "part-serves",
            Self::Outside => "part-lacks-bytes",
            Self::LengthUnknown => "part-length-unknown",
            Self::Unsatisfiable => "unsatisfiable",
        }
    }
}

#[cfg(test)]
mod tests;
