//! What a response to HEAD says about a stored response to GET (RFC 9111 section 4.3.5).

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName};

use super::{date_of, only};

/// What becomes of a stored GET response after a HEAD response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadAnswer {
    /// [`update`](super::update) its fields: it is fresh again.
    Update(HeadReason),
    /// Treat it as stale, or forget it: the origin would send something else now.
    Invalidate(HeadReason),
    /// Leave it as it is.
    Ignore(HeadReason),
}

/// What the two responses were compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadReason {
    /// The same entity tag and whatever else was received.
    SameTag,
    /// The same modification date, and no entity tag.
    SameLastModified,
    /// The same length, and no validator.
    SameLength,
    /// Another entity tag than the stored one, or one where none is stored.
    OtherTag,
    /// Another modification date, or one where none is stored.
    OtherLastModified,
    /// Another length.
    OtherLength,
    /// It has nothing that could be compared.
    NothingToCompare,
    /// Only a 200 speaks about what a GET would bring.
    Status,
}

/// Compares a stored complete 200 response to GET, of `stored_length` bytes, with a response to HEAD that could have
/// chosen it.
///
/// Every validator and length that the HEAD response has must be equal to the stored one, character for character in
/// the case of a tag. The standard would also update by a HEAD response that has none of them; that would prolong a
/// response on no evidence, so it is left alone here.
#[must_use]
pub fn judge_by_head(stored: &HeaderMap, stored_length: u64, status: StatusCode, head: &HeaderMap) -> HeadAnswer {
    if status != StatusCode::OK {
        return HeadAnswer::Ignore(HeadReason::Status);
    }
    let (tag, modified, length) =
        (head.contains_key(header::ETAG), head.contains_key(header::LAST_MODIFIED), head.get(header::CONTENT_LENGTH));
    if tag && !same_tag(stored, head) {
        return HeadAnswer::Invalidate(HeadReason::OtherTag);
    }
    if modified && !same_date(stored, head, &header::LAST_MODIFIED) {
        return HeadAnswer::Invalidate(HeadReason::OtherLastModified);
    }
    if length.is_some_and(|length| length.to_str().ok().and_then(|text| text.parse().ok()) != Some(stored_length)) {
        return HeadAnswer::Invalidate(HeadReason::OtherLength);
    }
    match (tag, modified, length) {
        (true, _, _) => HeadAnswer::Update(HeadReason::SameTag),
        (false, true, _) => HeadAnswer::Update(HeadReason::SameLastModified),
        (false, false, Some(_)) => HeadAnswer::Update(HeadReason::SameLength),
        (false, false, None) => HeadAnswer::Ignore(HeadReason::NothingToCompare),
    }
}

fn same_tag(stored: &HeaderMap, head: &HeaderMap) -> bool {
    let tag = only(head, &header::ETAG);
    tag.is_some() && tag == only(stored, &header::ETAG)
}

fn same_date(stored: &HeaderMap, head: &HeaderMap, name: &HeaderName) -> bool {
    let date = date_of(head, name);
    date.is_some() && date == date_of(stored, name)
}

// === impl HeadAnswer ===

impl HeadAnswer {
    /// The reason as a word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Update(why) | Self::Invalidate(why) | Self::Ignore(why) => why.as_str(),
        }
    }
}

impl HeadReason {
    /// The reason as a word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SameTag => "head-same-tag",
            Self::SameLastModified => "head-same-last-modified",
            Self::SameLength => "head-same-length",
            Self::OtherTag => "head-other-tag",
            Self::OtherLastModified => "head-other-last-modified",
            Self::OtherLength => "head-other-length",
            Self::NothingToCompare => "head-nothing-to-compare",
            Self::Status => "head-status",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::tests::headers;

    #[test]
    fn head_freshens_or_invalidates_by_rfc_9111_section_4_3_5() {
        use HeadAnswer::{Ignore, Invalidate, Update};
        const MONDAY: &str = "Mon, 05 Jan 2026 00:00:00 GMT";
        const TUESDAY: &str = "Tue, 06 Jan 2026 00:00:00 GMT";
        let full = [("etag", "\"a\""), ("last-modified", MONDAY)];
        let check = |stored: &[(&'static str, &str)], head: &[(&'static str, &str)], expected| {
            let answer = judge_by_head(&headers(stored), 10, StatusCode::OK, &headers(head));
            assert_eq!(answer, expected, "{stored:?} {head:?}");
        };
        check(&full, &[("etag", "\"a\"")], Update(HeadReason::SameTag));
        check(&full, &[("etag", "\"a\""), ("content-length", "10")], Update(HeadReason::SameTag));
        check(&full, &[("etag", "\"b\""), ("content-length", "10")], Invalidate(HeadReason::OtherTag));
        check(&full, &[("etag", "W/\"a\"")], Invalidate(HeadReason::OtherTag));
        check(&full, &[("etag", "\"a\""), ("last-modified", TUESDAY)], Invalidate(HeadReason::OtherLastModified));
        check(&full, &[("etag", "\"a\""), ("content-length", "11")], Invalidate(HeadReason::OtherLength));
        check(&full, &[("etag", "\"a\""), ("content-length", "ten")], Invalidate(HeadReason::OtherLength));
        check(&full, &[("last-modified", MONDAY)], Update(HeadReason::SameLastModified));
        check(&full, &[("last-modified", "soon")], Invalidate(HeadReason::OtherLastModified));
        check(&full, &[("content-length", "10")], Update(HeadReason::SameLength));
        check(&full, &[("content-length", "9")], Invalidate(HeadReason::OtherLength));
        check(&full, &[], Ignore(HeadReason::NothingToCompare));
        check(&[], &[("etag", "\"a\"")], Invalidate(HeadReason::OtherTag));
        check(&[], &[("last-modified", MONDAY)], Invalidate(HeadReason::OtherLastModified));
        check(&[], &[("content-length", "10")], Update(HeadReason::SameLength));
    }

    #[test]
    fn only_a_200_says_anything() {
        for status in [204, 206, 301, 304, 404, 500] {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = judge_by_head(&HeaderMap::new(), 0, status, &headers(&[("etag", "\"b\"")]));
            assert_eq!(answer, HeadAnswer::Ignore(HeadReason::Status), "{status}");
        }
    }
}
