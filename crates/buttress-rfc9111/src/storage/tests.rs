//! Storability, by section.

use super::*;
use crate::testing::{headers, seconds};

#[track_caller]
fn check_with(rules: &Rules, request: &str, status: u16, response: &str, expected: &str) {
    let status = StatusCode::from_u16(status).expect("valid");
    let found = decide(&Method::GET, &headers(request), status, &headers(response), rules);
    assert_eq!(found.as_str(), expected, "{request} / {status} {response}");
}

#[track_caller]
fn check(request: &str, status: u16, response: &str, expected: &str) {
    check_with(&Rules::default(), request, status, response, expected);
}

const FRESH: &str = "Cache-Control: max-age=60";

#[test]
fn rfc9111_3_only_a_get_is_stored() {
    for (method, expected) in [
        ("GET", "explicit"),
        ("HEAD", "method"),
        ("POST", "method"),
        ("PUT", "method"),
        ("QUERY", "method"),
        ("get", "method"),
        ("CONNECT", "method"),
    ] {
        let method = method.parse().expect("a method");
        let found = decide(&method, &HeaderMap::new(), StatusCode::OK, &headers(FRESH), &Rules::default());
        assert_eq!(found.as_str(), expected, "{method}");
    }
}

#[test]
fn rfc10008_a_query_is_stored_where_its_content_is_keyed() {
    let rules = Rules::new().keyed_content(true);
    for (method, expected) in [("GET", "explicit"), ("QUERY", "explicit"), ("HEAD", "method"), ("POST", "method")] {
        let method = method.parse().expect("a method");
        let found = decide(&method, &HeaderMap::new(), StatusCode::OK, &headers(FRESH), &rules);
        assert_eq!(found.as_str(), expected, "{method}");
    }
}

#[test]
fn rfc9111_3_status_codes_with_a_stated_lifetime() {
    for status in 100..=999 {
        let expected = match status {
            100..=199 => "not-final",
            206 => "partial",
            304 | 407 | 408 | 412 | 413 | 416 | 417 | 421 | 425 | 426 | 428 | 429 | 431 | 511 => "status",
            _ => "explicit",
        };
        check("", status, FRESH, expected);
    }
    check_with(&Rules::new().partial(true), "", 206, FRESH, "explicit");
}

#[test]
fn rfc9111_3_status_codes_without_one() {
    for (status, expected) in [
        (200, "heuristic"),
        (203, "heuristic"),
        (204, "heuristic"),
        (300, "heuristic"),
        (301, "heuristic"),
        (308, "heuristic"),
        (404, "heuristic"),
        (405, "heuristic"),
        (410, "heuristic"),
        (414, "heuristic"),
        (501, "heuristic"),
        (201, "unstated"),
        (205, "unstated"),
        (299, "unstated"),
        (302, "unstated"),
        (303, "unstated"),
        (307, "unstated"),
        (399, "unstated"),
        (403, "unstated"),
        (500, "unstated"),
        (503, "unstated"),
        (599, "unstated"),
    ] {
        check("", status, "ETag: \"a\"", expected);
    }
    check("", 302, "ETag: \"a\"\nCache-Control: public", "public");
    check("", 599, "ETag: \"a\"\nCache-Control: public", "public");
    check("", 302, "Expires: {+60}", "explicit");
    check("", 302, "Expires: 0\nETag: \"a\"", "explicit");
    check("", 302, "Expires: {+60}\nCDN-Cache-Control: foo", "unstated");
}

#[test]
fn rfc9111_5_2_no_store_and_private() {
    check("", 200, "Cache-Control: no-store, max-age=60", "no-store");
    check("", 200, "Cache-Control: max-age=60\nCache-Control: no-store", "no-store");
    check("", 200, "Cache-Control: private, public, max-age=60", "private");
    check("", 200, "Cache-Control: private, s-maxage=60", "private");
    check("", 200, "Cache-Control: private=\"x-user\", max-age=60", "explicit");
    check("", 200, "Cache-Control: private=\"vary\", max-age=60", "private");
    check("Cache-Control: no-store", 200, FRESH, "request-no-store");
    check("Cache-Control: no-cache", 200, FRESH, "explicit");
    check("Pragma: no-cache", 200, FRESH, "explicit");
    check("", 200, "CDN-Cache-Control: private\nCache-Control: max-age=60", "private");
    check("", 200, "CDN-Cache-Control: max-age=60\nCache-Control: no-store", "explicit");
    check("", 200, "CDN-Cache-Control: max-age=60, &&\nCache-Control: no-store", "no-store");
    check("", 200, "Connection: cache-control\nCache-Control: no-store", "no-store");
}

#[test]
fn rfc9111_5_2_2_3_must_understand() {
    check("", 200, "Cache-Control: must-understand, no-store, max-age=60", "explicit");
    check("", 200, "Cache-Control: must-understand, max-age=60", "explicit");
    check("", 299, "Cache-Control: must-understand, no-store, max-age=60", "not-understood");
    check("", 599, "Cache-Control: must-understand, max-age=60", "not-understood");
    check("", 200, "Cache-Control: must-understand, no-store, private, max-age=60", "private");
    check("Cache-Control: no-store", 200, "Cache-Control: must-understand, no-store, max-age=60", "request-no-store");
}

#[test]
fn rfc9111_3_5_authorization() {
    for request in ["Authorization: Bearer x", "authorization: basic x", "Authorization:"] {
        check(request, 200, FRESH, "authorization");
        check(request, 200, "Expires: {+60}", "authorization");
        check(request, 200, "ETag: \"a\"", "authorization");
        check(request, 200, "Cache-Control: max-age=60, proxy-revalidate", "authorization");
        check(request, 200, "Cache-Control: max-age=60, must-revalidate", "explicit");
        check(request, 200, "Cache-Control: max-age=60, public", "explicit");
        check(request, 200, "Cache-Control: s-maxage=60", "explicit");
        check(request, 200, "CDN-Cache-Control: max-age=60\nCache-Control: public", "authorization");
        check(request, 200, "Cache-Control: public, private, max-age=60", "private");
    }
}

#[test]
fn rfc9111_4_1_vary_any() {
    check("", 200, "Cache-Control: max-age=60\nVary: *", "vary-any");
    check("", 200, "Cache-Control: max-age=60\nVary: accept\nVary: cookie , * ", "vary-any");
    check("", 200, "Cache-Control: max-age=60\nVary: accept", "explicit");
}

#[test]
fn what_could_never_be_reused_is_not_stored() {
    for (response, expected) in [
        ("", "useless"),
        ("Cache-Control: max-age=0", "useless"),
        ("Cache-Control: max-age=nonsense", "useless"),
        ("Cache-Control: no-cache, max-age=60", "useless"),
        ("Cache-Control: no-cache, max-age=60, stale-if-error=60", "useless"),
        ("Pragma: no-cache", "useless"),
        ("Cache-Control: public", "useless"),
        ("Cache-Control: max-age=0\nETag: \"a\"", "explicit"),
        ("Cache-Control: no-cache\nLast-Modified: {-60}", "heuristic"),
        ("Cache-Control: max-age=0, stale-while-revalidate=60", "explicit"),
        ("Cache-Control: max-age=0, stale-while-revalidate=0", "useless"),
        ("Cache-Control: s-maxage=0, stale-if-error=60", "explicit"),
        ("Cache-Control: max-age=0, must-revalidate, stale-if-error=60", "useless"),
        ("Cache-Control: max-age=60, s-maxage=0", "useless"),
        ("CDN-Cache-Control: foo\nCache-Control: max-age=60", "useless"),
    ] {
        check("", 200, response, expected);
    }
    let rules = Rules::new().stale_on_error(seconds(60));
    check_with(&rules, "", 200, "Cache-Control: max-age=0", "explicit");
    check_with(&rules, "", 200, "Cache-Control: s-maxage=0", "useless");
    let rules = Rules::new().default_lifetime(seconds(60));
    check_with(&rules, "", 200, "", "heuristic");
    check_with(&rules, "", 404, "", "useless");
    check_with(&rules.clone().heuristic_errors(true), "", 404, "", "heuristic");
    check_with(&rules, "", 302, "", "unstated");
}
