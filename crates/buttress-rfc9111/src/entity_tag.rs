//! Entity tags (RFC 9110 section 8.8.3) and lists of them in `If-Match` and `If-None-Match`.
//!
//! A tag borrows the octets of its field and is compared without unescaping: a backslash is an ordinary octet. There is
//! no `==` on purpose, because HTTP has two comparisons and a caller has to say which one it means.
//!
//! | malformed | outcome |
//! |---|---|
//! | `ETag` of a response | as if there were none |
//! | one member of `If-None-Match` or `If-Match` | that member is skipped, up to the next comma outside quotes |
//! | `*` beside other members | that `*` is skipped |
//! | `If-Range` | no match: the full response is sent |
//!
//! ```
//! use buttress_rfc9111::entity_tag::EntityTag;
//!
//! let strong = EntityTag::parse(b"\"v1\"").unwrap();
//! let weak = EntityTag::parse(b"W/\"v1\"").unwrap();
//! assert!(strong.weak_eq(weak));
//! assert!(!strong.strong_eq(weak));
//! assert!(EntityTag::parse(b"v1").is_none());
//! ```

use http::header::{ETAG, HeaderMap, HeaderName};

/// A validator that names one representation, or (weak) one family of equivalent ones.
#[derive(Clone, Copy, Debug)]
pub struct EntityTag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

/// Which of the two comparisons of RFC 9110 section 8.8.3.2 a list is matched with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal octets and neither tag weak: for `If-Match` and `If-Range`.
    Strong,
    /// Equal octets: for `If-None-Match`.
    Weak,
}

/// One member of a list of entity tags.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Member<'a> {
    /// `*`, which has a meaning only when it is the whole field.
    Any,
    /// A well-formed tag.
    Tag(EntityTag<'a>),
    /// Neither; the octets up to the next comma outside quotes.
    Malformed(&'a [u8]),
}

/// How a list of tags compares with the current tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListMatch {
    /// The field is not there at all.
    Absent,
    /// The field is `*`.
    Any,
    /// A member equals the current tag.
    Matched,
    /// No well-formed member equals the current tag, or there is no current tag.
    Unmatched,
}

/// The members of one field line, in order; empty members are skipped.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    rest: &'a [u8],
}

// === impl EntityTag ===

impl<'a> EntityTag<'a> {
    /// Reads `entity-tag`; white space around it is allowed. `None` if malformed: no quotes, a `w/` in lower case, or an
    /// octet that `etagc` excludes (white space, a quote, a control).
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let (weak, quoted) = match value.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, value),
        };
        let opaque = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        opaque.iter().all(|&octet| is_etagc(octet)).then_some(Self { weak, opaque })
    }

    /// The `ETag` of a response. `None` if absent, malformed, or given twice.
    #[must_use]
    pub fn of(headers: &'a HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(ETAG).iter();
        let line = lines.next()?;
        if lines.next().is_some() { None } else { Self::parse(line.as_bytes()) }
    }

    /// Whether the tag begins with `W/`.
    #[must_use]
    pub fn is_weak(self) -> bool {
        self.weak
    }

    /// The octets between the quotes.
    #[must_use]
    pub fn opaque(self) -> &'a [u8] {
        self.opaque
    }

    /// Strong comparison: the representations are the same octets (RFC 9110 section 8.8.3.2).
    #[must_use]
    pub fn strong_eq(self, other: EntityTag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// Weak comparison: the representations may stand for one another (RFC 9110 section 8.8.3.2).
    #[must_use]
    pub fn weak_eq(self, other: EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }

    /// The comparison as asked for.
    #[must_use]
    pub fn matches(self, other: EntityTag<'_>, comparison: Comparison) -> bool {
        match comparison {
            Comparison::Strong => self.strong_eq(other),
            Comparison::Weak => self.weak_eq(other),
        }
    }
}

/// `etagc = %x21 / %x23-7E / obs-text`
fn is_etagc(octet: u8) -> bool {
    matches!(octet, 0x21 | 0x23..=0x7e | 0x80..=0xff)
}

/// The members of one line of `If-Match` or `If-None-Match`. Allocates nothing.
#[must_use]
pub fn members(line: &[u8]) -> Members<'_> {
    Members { rest: line }
}

/// Matches all lines of the field `name` with the `current` tag. Allocates nothing; linear in the length of the field.
#[must_use]
pub fn match_list(
    headers: &HeaderMap,
    name: &HeaderName,
    current: Option<EntityTag<'_>>,
    comparison: Comparison,
) -> ListMatch {
    let mut lines = headers.get_all(name).iter().peekable();
    if lines.peek().is_none() {
        return ListMatch::Absent;
    }
    let (mut count, mut any) = (0_usize, false);
    for member in lines.flat_map(|line| members(line.as_bytes())) {
        count += 1;
        match member {
            Member::Any => any = true,
            Member::Tag(tag) if current.is_some_and(|current| tag.matches(current, comparison)) => {
                return ListMatch::Matched;
            }
            Member::Tag(_) | Member::Malformed(_) => {}
        }
    }
    if any && count == 1 { ListMatch::Any } else { ListMatch::Unmatched }
}

// === impl Members ===

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let (member, rest) = split_member(self.rest);
            self.rest = rest;
            match member.trim_ascii() {
                b"" => {}
                b"*" => return Some(Member::Any),
                member => return Some(EntityTag::parse(member).map_or(Member::Malformed(member), Member::Tag)),
            }
        }
    }
}

/// Cuts at the first comma outside quotes. An unclosed quote swallows the line: what stands in it must not be taken for
/// a member of its own.
fn split_member(list: &[u8]) -> (&[u8], &[u8]) {
    let mut quoted = false;
    for (at, octet) in list.iter().enumerate() {
        match octet {
            b'"' => quoted = !quoted,
            b',' if !quoted => return (&list[..at], &list[at + 1..]),
            _ => {}
        }
    }
    (list, b"")
}

#[cfg(test)]
mod tests;
