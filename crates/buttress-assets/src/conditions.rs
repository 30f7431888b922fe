//! The conditions of a request, taken off before the service sees them and judged by what it answers.
//!
//! So a 304 says exactly what the 200 would have said, whichever service it is; a tag that the layer made is known; and an
//! `If-Range` is judged where services such as tower-http's `ServeDir` overlook it, and would send a part of a new file to a
//! client that has the beginning of an old one.

use buttress_rfc9111::precondition::{self, Precondition, Selected};
use buttress_rfc9111::range::{self, RangeAnswer};
use http::header::{
    HeaderMap, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use http::{Method, StatusCode};

use std::time::SystemTime;

/// The conditions of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    fields: HeaderMap,
    /// Whether `Range` was taken off too, so that the service answers with the whole.
    took_range: bool,
}

/// What the service is not to see.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hide {
    Nothing,
    /// Conditions, and a `Range` that depends on `If-Range` or is for several parts.
    Conditions,
    /// All of these and any `Range`.
    Ranges,
}

/// What is sent instead of the response as it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// As it came.
    Whole,
    /// 304.
    NotModified,
    /// 412, and why.
    Failed(&'static str),
    /// 206 with these bytes, counted from 0 and inclusive.
    Part(u64, u64),
    /// 416.
    Unsatisfiable,
}

// === impl Conditions ===

impl Conditions {
    /// Notes the conditions of a GET or HEAD, if it has any. Those to [`Hide`] the service does not see.
    pub(crate) fn take(method: &Method, headers: &mut HeaderMap, hide: impl FnOnce() -> Hide) -> Option<Box<Self>> {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        if !is_read || !headers.keys().any(is_condition) {
            return None;
        }
        let (hide, mut taken) = (hide(), Box::<Self>::default());
        for name in [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE] {
            for value in headers.get_all(&name) {
                taken.fields.append(&name, value.clone());
            }
            if hide != Hide::Nothing {
                headers.remove(&name);
            }
        }
        // A part that depends on the client's copy is cut here; several parts at once are answered with the whole (RFC 9110
        // section 14.2), since nothing could be said of what they are parts of.
        let is_several = headers.get(RANGE).is_some_and(|range| range.as_bytes().contains(&b','));
        let depends = hide == Hide::Conditions && (is_several || headers.contains_key(IF_RANGE));
        if (depends || hide == Hide::Ranges) && headers.contains_key(RANGE) {
            taken.took_range = true;
            for name in [RANGE, IF_RANGE] {
                for value in headers.get_all(&name) {
                    taken.fields.append(&name, value.clone());
                }
                headers.remove(&name);
            }
        }
        Some(taken)
    }

    /// Judges them by the response, its fields being final, in the order of RFC 9110 section 13.2.2. `length` is that of its body.
    pub(crate) fn judge(
        &self,
        method: &Method,
        status: StatusCode,
        headers: &HeaderMap,
        length: Option<u64>,
    ) -> Answer {
        let selected = Selected { status, headers, received: SystemTime::UNIX_EPOCH };
        match precondition::evaluate(method, &self.fields, selected) {
            Precondition::NotModified(_) => return Answer::NotModified,
            Precondition::Failed(why) => return Answer::Failed(why.as_str()),
            Precondition::Proceed(_) | Precondition::Forward(_) => {}
        }
        let Some(length) = length.filter(|_| self.took_range && status == StatusCode::OK) else { return Answer::Whole };
        match range::evaluate(method, &self.fields, headers, length) {
            RangeAnswer::Full(_) => Answer::Whole,
            RangeAnswer::Partial { first, last } => Answer::Part(first, last),
            RangeAnswer::Unsatisfiable => Answer::Unsatisfiable,
        }
    }
}

fn is_condition(name: &HeaderName) -> bool {
    matches!(*name, IF_MATCH | IF_MODIFIED_SINCE | IF_NONE_MATCH | IF_RANGE | IF_UNMODIFIED_SINCE | RANGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::headers;

    const RESPONSE: &str = "ETag: \"b\"\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT";

    #[track_caller]
    fn check(method: &Method, lines: &str, expected: Answer) {
        let mut request = headers(lines);
        let taken = Conditions::take(method, &mut request, || Hide::Conditions).unwrap_or_default();
        assert_eq!(taken.judge(method, StatusCode::OK, &headers(RESPONSE), Some(10)), expected, "{method} {lines}");
    }

    #[test]
    fn rfc9110_13_2_2_in_order() {
        let get = |lines, expected| check(&Method::GET, lines, expected);
        get("", Answer::Whole);
        get("If-None-Match: \"a\"", Answer::Whole);
        get("If-None-Match: \"a\", W/\"b\"", Answer::NotModified);
        get("If-None-Match: \"a\"\nIf-None-Match: \"b\"", Answer::NotModified);
        get("If-None-Match: *", Answer::NotModified);
        get("If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT", Answer::NotModified);
        get("If-Modified-Since: Wed, 31 Dec 2025 00:00:00 GMT", Answer::Whole);
        get("If-None-Match: \"a\"\nIf-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT", Answer::Whole);
        get("If-Match: \"a\"", Answer::Failed("if-match-failed"));
        get("If-Match: W/\"b\"", Answer::Failed("if-match-failed"));
        get("If-Match: \"b\"\nIf-None-Match: \"b\"", Answer::NotModified);
        get("If-Match: \"a\"\nIf-None-Match: \"b\"", Answer::Failed("if-match-failed"));
        get("If-Unmodified-Since: Wed, 31 Dec 2025 00:00:00 GMT", Answer::Failed("if-unmodified-since-failed"));
        check(&Method::HEAD, "If-None-Match: \"b\"", Answer::NotModified);
        check(&Method::PUT, "If-None-Match: \"b\"", Answer::Whole);
    }

    #[test]
    fn rfc9110_13_1_5_a_range_that_depends_is_ours_to_judge() {
        let get = |lines, expected| check(&Method::GET, lines, expected);
        get("If-Range: \"b\"\nRange: bytes=2-4", Answer::Part(2, 4));
        get("If-Range: \"a\"\nRange: bytes=2-4", Answer::Whole);
        get("If-Range: W/\"b\"\nRange: bytes=2-4", Answer::Whole);
        get("If-Range: \"b\"\nRange: bytes=99-", Answer::Unsatisfiable);
        get("If-Range: \"b\"\nRange: bytes=0-1,4-5", Answer::Whole);
        get("If-None-Match: \"b\"\nIf-Range: \"b\"\nRange: bytes=2-4", Answer::NotModified);
        check(&Method::HEAD, "If-Range: \"b\"\nRange: bytes=2-4", Answer::Whole);
    }

    #[test]
    fn a_range_alone_is_left_to_the_service_unless_the_whole_is_needed() {
        let mut request = headers("Range: bytes=2-4\nIf-None-Match: \"a\"");
        let taken = Conditions::take(&Method::GET, &mut request, || Hide::Conditions).unwrap();
        assert!(!taken.took_range && request.contains_key(RANGE) && !request.contains_key(IF_NONE_MATCH));
        let taken = Conditions::take(&Method::GET, &mut request, || Hide::Ranges).unwrap();
        assert!(taken.took_range && request.is_empty());
    }

    #[test]
    fn a_service_that_judges_by_itself_sees_everything() {
        let lines = "If-Range: \"b\"\nRange: bytes=2-4\nIf-None-Match: \"b\"";
        let mut request = headers(lines);
        let taken = Conditions::take(&Method::GET, &mut request, || Hide::Nothing).unwrap();
        assert_eq!(request, headers(lines));
        assert_eq!(taken.judge(&Method::GET, StatusCode::OK, &headers(RESPONSE), None), Answer::NotModified);
    }
}
