use std::time::Duration;

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const MONDAY: &str = "Mon, 05 Jan 2026 00:00:00 GMT";
const TUESDAY: &str = "Tue, 06 Jan 2026 00:00:00 GMT";
const WEDNESDAY: &str = "Wed, 07 Jan 2026 00:00:00 GMT";

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn tuesday() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_657_600)
}

#[track_caller]
fn check_cache(request: &[(&'static str, &str)], stored: &[(&'static str, &str)], expected: Precondition) {
    let (request, stored) = (headers(request), headers(stored));
    let received = tuesday() + Duration::from_millis(700);
    let selected = Selected { status: StatusCode::OK, headers: &stored, received };
    for method in [Method::GET, Method::HEAD, Method::QUERY] {
        assert_eq!(evaluate_for_cache(&method, &request, selected), expected, "{method} {request:?} {stored:?}");
    }
}

#[test]
fn a_cache_answers_if_none_match_by_rfc_9111_section_4_3_2() {
    use Precondition::{NotModified as Same, Proceed as Full};
    let check = |tags: &[&str], etag: &str, expected| {
        let request: Vec<_> = tags.iter().map(|line| ("if-none-match", *line)).collect();
        check_cache(&request, &[("etag", etag)], expected);
    };
    check(&["\"a\""], "\"a\"", Same(NotModified::Tag));
    check(&["W/\"a\""], "\"a\"", Same(NotModified::Tag));
    check(&["\"a\""], "W/\"a\"", Same(NotModified::Tag));
    check(&["\"b\", \"a\""], "\"a\"", Same(NotModified::Tag));
    check(&["\"b\"", "\"a\""], "\"a\"", Same(NotModified::Tag));
    check(&["*"], "\"a\"", Same(NotModified::AnyTag));
    check(&["\"b\""], "\"a\"", Full(Proceed::NoneMatch));
    check(&["a"], "\"a\"", Full(Proceed::NoneMatch));
    check(&[""], "\"a\"", Full(Proceed::NoneMatch));
    check(&["\"a\""], "a", Full(Proceed::NoneMatch));
    check_cache(&[("if-none-match", "*")], &[], Same(NotModified::AnyTag));
    check_cache(&[("if-none-match", "\"a\"")], &[], Full(Proceed::NoneMatch));
    check_cache(&[], &[("etag", "\"a\"")], Full(Proceed::NoCondition));
}

#[test]
fn a_cache_answers_if_modified_since_by_rfc_9111_section_4_3_2() {
    use Precondition::{NotModified as Same, Proceed as Full};
    let check = |since: &str, stored: &[_], expected| check_cache(&[("if-modified-since", since)], stored, expected);
    let modified = [("last-modified", TUESDAY), ("date", WEDNESDAY)];
    check(MONDAY, &modified, Full(Proceed::Modified));
    check(TUESDAY, &modified, Same(NotModified::LastModified));
    check(WEDNESDAY, &modified, Same(NotModified::LastModified));
    check(TUESDAY, &[("date", WEDNESDAY)], Full(Proceed::Modified));
    check(WEDNESDAY, &[("date", WEDNESDAY)], Same(NotModified::Date));
    check(MONDAY, &[], Full(Proceed::Modified));
    check(TUESDAY, &[], Same(NotModified::Received));
    check(TUESDAY, &[("last-modified", "soon"), ("date", MONDAY)], Same(NotModified::Date));
    check("yesterday", &modified, Full(Proceed::NoCondition));
    check("", &modified, Full(Proceed::NoCondition));
    check("Tuesday, 06-Jan-26 00:00:00 GMT", &modified, Same(NotModified::LastModified));
    check("Tue Jan  6 00:00:00 2026", &modified, Same(NotModified::LastModified));
    let twice = [("if-modified-since", WEDNESDAY), ("if-modified-since", WEDNESDAY)];
    check_cache(&twice, &modified, Full(Proceed::NoCondition));
}

#[test]
fn if_none_match_overrides_if_modified_since() {
    let request = |tag| [("if-modified-since", WEDNESDAY), ("if-none-match", tag)];
    let stored = [("last-modified", TUESDAY), ("etag", "\"a\"")];
    check_cache(&request("\"b\""), &stored, Precondition::Proceed(Proceed::NoneMatch));
    check_cache(&request("garbage"), &stored, Precondition::Proceed(Proceed::NoneMatch));
    let request = [("if-modified-since", MONDAY), ("if-none-match", "\"a\"")];
    check_cache(&request, &stored, Precondition::NotModified(NotModified::Tag));
}

#[test]
fn a_cache_leaves_to_the_origin_what_only_it_can_judge() {
    let stored = [("etag", "\"a\""), ("last-modified", TUESDAY)];
    let check = |request: &[_], expected| check_cache(request, &stored, expected);
    check(&[("if-match", "\"a\"")], Precondition::Forward(Forward::IfMatch));
    check(&[("if-match", "\"a\""), ("if-none-match", "\"a\"")], Precondition::Forward(Forward::IfMatch));
    check(&[("if-unmodified-since", MONDAY)], Precondition::Forward(Forward::IfUnmodifiedSince));
    check(&[("if-unmodified-since", "never")], Precondition::Proceed(Proceed::NoCondition));

    let (request, stored) = (headers(&[("if-none-match", "\"a\"")]), headers(&stored));
    let selected = |status| Selected { status, headers: &stored, received: tuesday() };
    let not_found = evaluate_for_cache(&Method::GET, &request, selected(StatusCode::NOT_FOUND));
    assert_eq!(not_found, Precondition::Proceed(Proceed::Status));
    let post = evaluate_for_cache(&Method::POST, &request, selected(StatusCode::OK));
    assert_eq!(post, Precondition::Proceed(Proceed::NoCondition));
}

#[test]
fn an_origin_goes_through_the_order_of_rfc_9110_section_13_2_2() {
    use Precondition::{Failed as Fail, NotModified as Same, Proceed as Full};
    let stored = headers(&[("etag", "\"a\""), ("last-modified", TUESDAY)]);
    let check = |method: Method, request: &[(&'static str, &str)], expected| {
        let selected = Selected { status: StatusCode::OK, headers: &stored, received: tuesday() };
        assert_eq!(evaluate(&method, &headers(request), selected), expected, "{method} {request:?}");
    };
    let (get, put) = (|| Method::GET, || Method::PUT);
    check(get(), &[], Full(Proceed::NoCondition));
    check(put(), &[("if-match", "\"a\"")], Full(Proceed::Unchanged));
    check(put(), &[("if-match", "W/\"a\"")], Fail(Failed::IfMatch));
    check(put(), &[("if-match", "\"b\"")], Fail(Failed::IfMatch));
    check(put(), &[("if-match", "b")], Fail(Failed::IfMatch));
    check(put(), &[("if-match", "*")], Full(Proceed::Unchanged));
    check(put(), &[("if-match", "\"a\""), ("if-unmodified-since", MONDAY)], Full(Proceed::Unchanged));
    check(put(), &[("if-unmodified-since", MONDAY)], Fail(Failed::IfUnmodifiedSince));
    check(put(), &[("if-unmodified-since", TUESDAY)], Full(Proceed::Unchanged));
    check(put(), &[("if-unmodified-since", "x")], Full(Proceed::NoCondition));
    check(put(), &[("if-none-match", "*")], Fail(Failed::IfNoneMatch));
    check(put(), &[("if-none-match", "\"b\"")], Full(Proceed::NoneMatch));
    check(put(), &[("if-modified-since", WEDNESDAY)], Full(Proceed::NoCondition));
    check(get(), &[("if-match", "\"b\""), ("if-none-match", "\"a\"")], Fail(Failed::IfMatch));
    check(get(), &[("if-match", "\"a\""), ("if-none-match", "\"a\"")], Same(NotModified::Tag));
    check(get(), &[("if-unmodified-since", TUESDAY), ("if-modified-since", TUESDAY)], Same(NotModified::LastModified));
    check(get(), &[("if-none-match", "\"b\""), ("if-modified-since", WEDNESDAY)], Full(Proceed::NoneMatch));
    check(get(), &[("if-modified-since", MONDAY)], Full(Proceed::Modified));

    let undated = Selected { status: StatusCode::OK, headers: &HeaderMap::new(), received: tuesday() };
    let request = headers(&[("if-modified-since", WEDNESDAY), ("if-unmodified-since", MONDAY)]);
    assert_eq!(evaluate(&Method::GET, &request, undated), Full(Proceed::NoCondition));
}

#[test]
fn a_304_carries_the_fields_of_rfc_9110_section_15_4_5() {
    let kept = [
        "cache-control",
        "content-location",
        "date",
        "etag",
        "expires",
        "vary",
        "last-modified",
        "age",
        "set-cookie",
        "access-control-allow-origin",
        "cache-status",
        "x-own",
    ];
    let dropped = [
        "content-type",
        "content-length",
        "content-encoding",
        "content-language",
        "content-range",
        "content-digest",
        "repr-digest",
        "transfer-encoding",
        "trailer",
        "content-md5",
    ];
    let mut fields: HeaderMap =
        kept.iter().chain(&dropped).map(|n| (HeaderName::from_static(n), HeaderValue::from_static("1"))).collect();
    to_not_modified(&mut fields);
    assert_eq!(fields.len(), kept.len());
    assert!(kept.iter().all(|name| fields.contains_key(*name)));
}

proptest! {
    #[test]
    fn a_304_is_never_made_without_a_condition_that_says_so(
        tag in "[ -~]{0,12}",
        since in "[ -~]{0,30}",
        etag in "[ -~]{0,8}",
    ) {
        let request = headers(&[("if-none-match", &tag), ("if-modified-since", &since)]);
        let stored = headers(&[("etag", &etag), ("last-modified", TUESDAY)]);
        let selected = Selected { status: StatusCode::OK, headers: &stored, received: tuesday() };
        match evaluate_for_cache(&Method::GET, &request, selected) {
            Precondition::NotModified(NotModified::Tag) => prop_assert!(tag.contains(etag.trim().trim_start_matches("W/"))),
            Precondition::NotModified(NotModified::AnyTag) => prop_assert!(tag.contains('*')),
            Precondition::Proceed(Proceed::NoneMatch) => {}
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
