//! Two parts of one representation put together (RFC 9110 section 15.3.7.3, RFC 9111 section 3.4).

use super::StoredPart;
use crate::entity_tag::EntityTag;

/// Two parts put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Combined {
    /// The new part.
    pub part: StoredPart,
    /// What its body begins with.
    pub head: Piece,
    /// What follows; `None` if one part held the other.
    pub tail: Option<Piece>,
}

/// A run of bytes of one of the two bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Whose body.
    pub source: Source,
    /// Where it begins in that body.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

/// One of the two parts that are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The part that was asked.
    This,
    /// The one it was given.
    Other,
}

/// Why two parts cannot be put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CombineError {
    /// Bytes between them are missing.
    Gap,
    /// They disagree about the length of the representation.
    LengthsDiffer,
    /// They are not parts of the same representation.
    ValidatorsDiffer,
}

// === impl StoredPart ===

impl StoredPart {
    /// Puts two parts of one representation together (RFC 9110 section 15.3.7.3); bytes that both have are taken once.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub fn combine(&self, other: &Self) -> Result<Combined, CombineError> {
        let tags = EntityTag::parse(self.etag.as_bytes()).zip(EntityTag::parse(other.etag.as_bytes()));
        if !tags.is_some_and(|(one, two)| one.strong_eq(two)) {
            return Err(CombineError::ValidatorsDiffer);
        }
        let complete = self.complete.or(other.complete);
        let fits = |part: &Self| part.complete.is_none_or(|own| Some(own) == complete);
        let last = self.last.max(other.last);
        if !fits(self) || !fits(other) || complete.is_some_and(|complete| last >= complete) {
            return Err(CombineError::LengthsDiffer);
        }
        let (first, second, sources) = if self.first <= other.first {
            (self, other, [Source::This, Source::Other])
        } else {
            (other, self, [Source::Other, Source::This])
        };
        let next = first.last.saturating_add(1);
        if second.first > next {
            return Err(CombineError::Gap);
        }
        let head = Piece { source: sources[0], offset: 0, length: first.last - first.first + 1 };
        let tail = (second.last > first.last).then(|| Piece {
            source: sources[1],
            offset: next - second.first,
            length: second.last - first.last,
        });
        Ok(Combined { part: Self { first: first.first, last, complete, etag: self.etag.clone() }, head, tail })
    }
}

// === impl CombineError ===

impl CombineError {
    /// The reason as a word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gap => "parts-leave-gap",
            Self::LengthsDiffer => "lengths-differ",
            Self::ValidatorsDiffer => "validators-differ",
        }
    }
}

impl std::fmt::Display for CombineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gap => "bytes between the two parts are missing",
            Self::LengthsDiffer => "the two parts disagree about the length of the representation",
            Self::ValidatorsDiffer => "the two parts are not of the same representation",
        })
    }
}

impl std::error::Error for CombineError {}
