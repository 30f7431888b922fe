use http::{HeaderName, StatusCode};
use proptest::prelude::*;

use super::*;

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    headers
}

#[test]
fn ranges_are_answered_by_rfc_9110_section_14() {
    use FullReason::{Empty, Malformed, SeveralRanges, TooManyRanges, UnknownUnit};
    use RangeAnswer::{Full, Partial, Unsatisfiable};
    fn check(range: &str, length: u64, expected: RangeAnswer) {
        let request = headers(&[("range", range)]);
        assert_eq!(evaluate(&Method::GET, &request, &HeaderMap::new(), length), expected, "{range} of {length}");
    }
    let part = |first, last| Partial { first, last };
    check("bytes=0-499", 10_000, part(0, 499));
    check("bytes=500-999", 10_000, part(500, 999));
    check("bytes=-500", 10_000, part(9_500, 9_999));
    check("bytes=9500-", 10_000, part(9_500, 9_999));
    check("bytes=0-0", 10_000, part(0, 0));
    check("bytes=-1", 10_000, part(9_999, 9_999));
    check("BYTES=0-4", 10, part(0, 4));
    check(" bytes= 0-4 ", 10, part(0, 4));
    check("bytes=,0-4,", 10, part(0, 4));
    check("bytes=0-9", 10, part(0, 9));
    check("bytes=0-10", 10, part(0, 9));
    check("bytes=5-99999999999999999999999", 10, part(5, 9));
    check("bytes=0-18446744073709551615", u64::MAX, part(0, u64::MAX - 1));
    check("bytes=-11", 10, part(0, 9));
    check("bytes=-99999999999999999999999", 10, part(0, 9));
    check("bytes=10-", 10, Unsatisfiable);
    check("bytes=10-20", 10, Unsatisfiable);
    check("bytes=99999999999999999999999-", 10, Unsatisfiable);
    check("bytes=-0", 10, Unsatisfiable);
    check("bytes=10-11, 20-", 10, Unsatisfiable);
    check("bytes=0-1, 4-5", 10, Full(SeveralRanges));
    check("bytes=0-1, 20-", 10, Full(SeveralRanges));
    check("bytes=0-0", 0, Full(Empty));
    check("bytes=0-", 0, Full(Empty));
    check("bytes=-5", 0, Full(Empty));
    check("items=0-1", 10, Full(UnknownUnit));
    check("bytes =0-1", 10, Full(UnknownUnit));
    for malformed in [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=4-3",
        "bytes=a-b",
        "bytes=0-1-2",
        "bytes=0x0-1",
        "bytes=+0-1",
        "bytes=--1",
        "bytes=0 - 1",
        "bytes=0",
        "bytes 0-1",
        "bytes=0-1;q",
        "bytes=0-1, x",
        "bytes=1.0-2",
        "bytes==0-1",
    ] {
        check(malformed, 10, Full(Malformed));
    }
    let many = |count| format!("bytes={}", vec!["0-0"; count].join(","));
    check(&many(MAX_RANGES), 10, Full(SeveralRanges));
    check(&many(MAX_RANGES + 1), 10, Full(TooManyRanges));
}

#[test]
fn only_a_get_with_one_range_line_asks_for_a_part() {
    let check = |method: Method, request: &[_], expected| {
        let answer = evaluate(&method, &headers(request), &HeaderMap::new(), 10);
        assert_eq!(answer, RangeAnswer::Full(expected), "{method} {request:?}");
    };
    check(Method::GET, &[], FullReason::NoRange);
    check(Method::HEAD, &[("range", "bytes=0-1")], FullReason::Method);
    check(Method::POST, &[("range", "bytes=0-1")], FullReason::Method);
    for method in [Method::GET, Method::QUERY] {
        check(method, &[("range", "bytes=0-1"), ("range", "bytes=0-1")], FullReason::Malformed);
    }
    let part = evaluate(&Method::QUERY, &headers(&[("range", "bytes=0-1")]), &HeaderMap::new(), 10);
    assert_eq!(part, RangeAnswer::Partial { first: 0, last: 1 });
    check(Method::GET, &[("if-range", "\"a\"")], FullReason::NoRange);
}

#[test]
fn if_range_holds_only_by_a_strong_validator() {
    const EARLY: &str = "Mon, 05 Jan 2026 00:00:00 GMT";
    const LATER: &str = "Mon, 05 Jan 2026 00:00:01 GMT";
    fn check(condition: &str, stored: &[(&'static str, &str)], holds: bool) {
        let (request, stored) = (headers(&[("range", "bytes=0-1"), ("if-range", condition)]), headers(stored));
        let expected = if holds { IfRange::Same } else { IfRange::Different };
        assert_eq!(if_range(&request, &stored), expected, "{condition} {stored:?}");
        let full = evaluate(&Method::GET, &request, &stored, 10) == RangeAnswer::Full(FullReason::IfRange);
        assert_eq!(full, !holds, "{condition} {stored:?}");
    }
    check("\"a\"", &[("etag", "\"a\"")], true);
    check("\"b\"", &[("etag", "\"a\"")], false);
    check("W/\"a\"", &[("etag", "\"a\"")], false);
    check("\"a\"", &[("etag", "W/\"a\"")], false);
    check("W/\"a\"", &[("etag", "W/\"a\"")], false);
    check("\"a\", \"b\"", &[("etag", "\"a\"")], false);
    check("a", &[("etag", "\"a\"")], false);
    check("", &[("etag", "\"a\"")], false);
    check("*", &[("etag", "\"a\"")], false);
    check("\"a\"", &[], false);
    check(EARLY, &[("last-modified", EARLY), ("date", LATER)], true);
    check("Mon Jan  5 00:00:00 2026", &[("last-modified", EARLY), ("date", LATER)], true);
    check(EARLY, &[("last-modified", EARLY), ("date", EARLY)], false);
    check(EARLY, &[("last-modified", EARLY)], false);
    check(LATER, &[("last-modified", EARLY), ("date", LATER)], false);
    check(EARLY, &[("last-modified", LATER), ("date", LATER)], false);
    check(EARLY, &[("etag", "\"a\"")], false);
    let twice = headers(&[("if-range", "\"a\""), ("if-range", "\"a\"")]);
    assert_eq!(if_range(&twice, &headers(&[("etag", "\"a\"")])), IfRange::Different);
    assert_eq!(if_range(&HeaderMap::new(), &HeaderMap::new()), IfRange::Absent);
}

#[test]
fn a_range_that_is_void_is_not_judged_further() {
    let request = headers(&[("range", "bytes=99-"), ("if-range", "\"old\"")]);
    let answer = evaluate(&Method::GET, &request, &headers(&[("etag", "\"new\"")]), 10);
    assert_eq!(answer, RangeAnswer::Full(FullReason::IfRange));
}

#[test]
fn one_range_is_found_for_a_stored_part() {
    let check =
        |range: &str, expected| assert_eq!(single(&Method::GET, &headers(&[("range", range)])), expected, "{range}");
    check("bytes=1-2", Ok(ByteRange::FromTo { first: 1, last: 2 }));
    check("bytes=1-", Ok(ByteRange::From { first: 1 }));
    check("bytes=-2", Ok(ByteRange::Suffix { length: 2 }));
    check("bytes=1-2,3-4", Err(FullReason::SeveralRanges));
    check("bytes=1-2,x", Err(FullReason::Malformed));
    check("bytes=", Err(FullReason::Malformed));
    check("lines=1-2", Err(FullReason::UnknownUnit));
}

#[test]
fn a_206_says_which_bytes_and_how_many() {
    let mut fields =
        headers(&[("content-length", "10"), ("etag", "\"a\""), ("content-digest", "x"), ("repr-digest", "y")]);
    to_partial(&mut fields, 2, 4, 10);
    let expected =
        [("content-length", "3"), ("etag", "\"a\""), ("repr-digest", "y"), ("content-range", "bytes 2-4/10")];
    assert_eq!(fields, headers(&expected));
    to_partial(&mut fields, 2, 4, None);
    assert_eq!(fields[header::CONTENT_RANGE], "bytes 2-4/*");
    assert_eq!(StoredPart::of(StatusCode::PARTIAL_CONTENT, &fields, 3).unwrap().range(), (2, 4));
}

#[test]
fn a_416_says_how_long_it_is_and_is_kept_by_nobody() {
    let mut fields = headers(&[
        ("content-length", "10"),
        ("content-type", "a/b"),
        ("etag", "\"a\""),
        ("cache-control", "max-age=60"),
        ("vary", "origin"),
        ("cdn-cache-control", "max-age=60"),
        ("expires", "0"),
        ("age", "3"),
        ("access-control-allow-origin", "*"),
    ]);
    to_unsatisfiable(&mut fields, 10);
    let expected = [
        ("cache-control", "no-store"),
        ("vary", "origin"),
        ("access-control-allow-origin", "*"),
        ("content-range", "bytes */10"),
    ];
    assert_eq!(fields, headers(&expected));
}

proptest! {
    #[test]
    fn any_octets_get_an_answer_inside_the_length(value in proptest::collection::vec(0x20_u8..0x7f, 0..60), length: u64) {
        let request = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_bytes(&value).unwrap())]);
        if let RangeAnswer::Partial { first, last } = evaluate(&Method::GET, &request, &HeaderMap::new(), length) {
            prop_assert!(first <= last && last < length);
        }
    }

    #[test]
    fn ranges_select_what_slicing_selects(
        first in proptest::option::of(0_u64..40),
        last in proptest::option::of(0_u64..40),
        length in 1_u64..30,
    ) {
        let text = |position: Option<u64>| position.map_or(String::new(), |position| position.to_string());
        let request = headers(&[("range", &format!("bytes={}-{}", text(first), text(last)))]);
        let bytes: Vec<u64> = (0..length).collect();
        let expected: Option<Vec<u64>> = match (first, last) {
            (None, None) => None,
            (Some(first), Some(last)) if last < first => None,
            (Some(first), last) => Some(bytes.iter().copied().filter(|at| *at >= first && last.is_none_or(|last| *at <= last)).collect()),
            (None, Some(suffix)) => Some(bytes.iter().copied().filter(|at| at + suffix >= length).collect()),
        };
        let expected = match expected {
            None => RangeAnswer::Full(FullReason::Malformed),
            Some(chosen) => match (chosen.first(), chosen.last()) {
                (Some(&first), Some(&last)) => RangeAnswer::Partial { first, last },
                _ => RangeAnswer::Unsatisfiable,
            },
        };
        prop_assert_eq!(evaluate(&Method::GET, &request, &HeaderMap::new(), length), expected);
    }
}
