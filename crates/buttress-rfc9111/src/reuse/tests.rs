//! Reuse, by section.

use std::time::Duration;

use super::*;
use crate::testing::{at, headers, seconds};

/// The names of both answers, `decide` and `on_error`, for a response that arrived `age` seconds ago.
#[track_caller]
fn check_with(rules: &Rules, request: &str, response: &str, age: i64, decided: &str, on_broken: &str) {
    let request_headers = headers(&line("Cache-Control", request));
    let asked = RequestDirectives::from_headers(&request_headers);
    let terms = Terms::of(StatusCode::OK, &headers(&line("Cache-Control", response)), at(0), at(0), rules);
    let found = (decide(&asked, &terms, at(age), rules), on_error(&asked, &terms, at(age), rules));
    assert_eq!((found.0.as_str(), found.1.as_str()), (decided, on_broken), "<{request}> <{response}> {age}");
}

fn line(name: &str, value: &str) -> String {
    if value.is_empty() { String::new() } else { format!("{name}: {value}") }
}

#[track_caller]
fn check(request: &str, response: &str, age: i64, decided: &str, on_broken: &str) {
    check_with(&Rules::default(), request, response, age, decided, on_broken);
}

#[test]
fn rfc9111_4_2_fresh_or_stale() {
    check("", "max-age=10", 0, "fresh", "fresh");
    check("", "max-age=10", 9, "fresh", "fresh");
    check("", "max-age=10", 10, "stale", "stale");
    check("", "max-age=0", 0, "stale", "stale");
    check("", "", 0, "stale", "stale");
    check("", "max-age=10", -5, "fresh", "fresh");
}

#[test]
fn rfc9111_5_2_1_request_directives() {
    check("no-cache", "max-age=10", 1, "request-no-cache", "request-no-cache");
    check("no-store", "max-age=10", 1, "fresh", "fresh");
    check("max-age=0", "max-age=10", 0, "fresh", "fresh");
    check("max-age=0", "max-age=10", 1, "request-max-age", "fresh");
    check("max-age=5", "max-age=10", 5, "fresh", "fresh");
    check("max-age=5", "max-age=10", 6, "request-max-age", "fresh");
    check("max-age=5, max-stale", "max-age=10", 6, "request-max-age", "fresh");
    check("max-age=50", "max-age=10", 12, "request-max-age", "stale");
    check("max-age=50, max-stale", "max-age=10", 12, "max-stale", "stale");
    check("max-age=nonsense", "max-age=10", 1, "request-max-age", "fresh");
    check("min-fresh=5", "max-age=10", 5, "fresh", "fresh");
    check("min-fresh=5", "max-age=10", 6, "request-min-fresh", "fresh");
    check("min-fresh=99999999999999", "max-age=99999999999999", 0, "fresh", "fresh");
    check("min-fresh=5, max-stale", "max-age=10", 12, "request-min-fresh", "stale");
    check("max-stale", "max-age=10", 10_000, "max-stale", "max-stale");
    check("max-stale=5", "max-age=10", 15, "max-stale", "max-stale");
    check("max-stale=5", "max-age=10", 16, "stale", "stale");
    check("max-stale=nonsense", "max-age=10", 16, "stale", "stale");
}

#[test]
fn rfc9111_5_2_1_7_only_if_cached() {
    let asked = RequestDirectives { only_if_cached: true, ..RequestDirectives::default() };
    let terms = |lines| Terms::of(StatusCode::OK, &headers(lines), at(0), at(0), &Rules::default());
    let fresh = terms("Cache-Control: max-age=10, stale-while-revalidate=5");
    let rules = Rules::default();
    assert_eq!(decide(&asked, &fresh, at(5), &rules), Reuse::Fresh);
    assert_eq!(decide(&asked, &fresh, at(12), &rules), Reuse::Stale(Allowance::WhileRevalidate));
    assert_eq!(decide(&asked, &fresh, at(15), &rules), Reuse::Unavailable(Outdated::Stale));
    let reload = RequestDirectives { no_cache: true, ..asked.clone() };
    assert_eq!(decide(&reload, &fresh, at(5), &rules), Reuse::Unavailable(Outdated::RequestNoCache));
    assert_eq!(on_miss(&asked), OnMiss::Unavailable);
    assert_eq!(on_miss(&RequestDirectives::default()), OnMiss::Forward);
}

#[test]
fn rfc9111_5_2_2_response_directives() {
    check("", "max-age=10, no-cache", 1, "no-cache", "no-cache");
    check("max-stale", "max-age=10, no-cache", 1, "no-cache", "no-cache");
    check("", "max-age=10, no-cache=\"x-user\"", 1, "fresh", "fresh");
    check("", "max-age=10, no-cache=\"vary\"", 1, "no-cache", "no-cache");
    for directive in ["must-revalidate", "proxy-revalidate"] {
        let response = format!("max-age=10, stale-while-revalidate=9, stale-if-error=9, {directive}");
        check("", &response, 5, "fresh", "fresh");
        check("", &response, 12, "must-revalidate", "must-revalidate");
        check("max-stale", &response, 12, "must-revalidate", "must-revalidate");
        check("stale-if-error=99", &response, 12, "must-revalidate", "must-revalidate");
    }
}

#[test]
fn rfc9111_5_2_2_10_s_maxage_forbids_what_the_response_does_not_state() {
    check("max-stale", "s-maxage=10", 12, "must-revalidate", "must-revalidate");
    check("stale-if-error=9", "s-maxage=10", 12, "must-revalidate", "must-revalidate");
    check_with(&Rules::new().stale_on_error(seconds(99)), "", "s-maxage=10", 12, "must-revalidate", "must-revalidate");
    check("", "s-maxage=10, stale-while-revalidate=5", 12, "stale-while-revalidate", "must-revalidate");
    check("", "s-maxage=10, stale-if-error=5", 12, "must-revalidate", "stale-if-error");
    check("", "s-maxage=10, stale-if-error=5", 15, "must-revalidate", "must-revalidate");
}

#[test]
fn rfc5861_3_stale_while_revalidate() {
    let response = "max-age=10, stale-while-revalidate=5";
    check("", response, 10, "stale-while-revalidate", "stale");
    check("", response, 14, "stale-while-revalidate", "stale");
    check("", response, 15, "stale", "stale");
    check("max-stale", response, 12, "stale-while-revalidate", "max-stale");
    check("max-stale=1", response, 12, "stale", "stale");
    check("max-stale", response, 99, "max-stale", "max-stale");
    check("max-age=99", response, 12, "request-max-age", "stale");
    check("no-cache", response, 12, "request-no-cache", "request-no-cache");
    check("", "max-age=10, stale-while-revalidate", 10, "stale", "stale");
}

#[test]
fn rfc5861_4_stale_if_error() {
    let response = "max-age=10, stale-if-error=5";
    check("", response, 12, "stale", "stale-if-error");
    check("", response, 15, "stale", "stale");
    check("max-age=0", response, 12, "request-max-age", "stale-if-error");
    check("min-fresh=1", response, 12, "request-min-fresh", "stale-if-error");
    check("no-cache", response, 12, "request-no-cache", "request-no-cache");
    check("stale-if-error=1", response, 12, "stale", "stale");
    check("stale-if-error=99", response, 12, "stale", "stale-if-error");
    check("stale-if-error=99", response, 16, "stale", "stale");
    check("stale-if-error=5", "max-age=10", 12, "stale", "stale-if-error");
    for (status, broken) in
        [(200, false), (404, false), (500, true), (501, false), (502, true), (503, true), (504, true)]
    {
        assert_eq!(is_broken(StatusCode::from_u16(status).expect("valid")), broken, "{status}");
    }
}

#[test]
fn rfc9111_4_2_4_the_operators_grace() {
    let rules = Rules::new().stale_on_error(seconds(20));
    check_with(&rules, "", "max-age=10", 29, "stale", "grace");
    check_with(&rules, "", "max-age=10", 30, "stale", "stale");
    check_with(&rules, "", "max-age=10, stale-if-error=5", 16, "stale", "stale");
    check_with(&rules, "", "max-age=10, stale-if-error=0", 11, "stale", "stale");
    check_with(&rules, "max-age=0", "max-age=10", 12, "request-max-age", "stale");
    check_with(&rules, "min-fresh=1", "max-age=10", 12, "request-min-fresh", "stale");
    check_with(&rules, "max-stale=1", "max-age=10", 12, "stale", "stale");
    check_with(&rules, "stale-if-error=1", "max-age=10", 12, "stale", "stale");
    check_with(&rules, "", "max-age=10, must-revalidate", 12, "must-revalidate", "must-revalidate");
}

#[test]
fn rfc8246_a_reload_does_not_reach_the_origin() {
    check("max-age=0", "max-age=10, immutable", 5, "fresh", "fresh");
    check("no-cache", "max-age=10, immutable", 5, "request-no-cache", "request-no-cache");
    check("min-fresh=9", "max-age=10, immutable", 5, "request-min-fresh", "fresh");
    check("max-age=0", "max-age=10, immutable", 12, "request-max-age", "stale");
}

#[test]
fn an_origins_own_cache_need_not_obey_reloads() {
    let rules = Rules::new().obey_request(Obey::ExceptReload);
    check_with(&rules, "no-cache", "max-age=10", 5, "fresh", "fresh");
    check_with(&rules, "max-age=0", "max-age=10", 5, "fresh", "fresh");
    check_with(&rules, "min-fresh=9", "max-age=10", 5, "fresh", "fresh");
    check_with(&rules, "no-cache", "max-age=10", 12, "stale", "stale");
    check_with(&rules, "no-cache", "max-age=10, stale-while-revalidate=5", 12, "stale-while-revalidate", "stale");
    check_with(&rules, "max-stale", "max-age=10", 12, "max-stale", "max-stale");
    check_with(&rules, "no-cache", "max-age=10, no-cache", 5, "no-cache", "no-cache");
}

#[test]
fn fractions_of_a_second_count() {
    let rules = Rules::default();
    let terms = Terms::of(StatusCode::OK, &headers("Cache-Control: max-age=10"), at(0), at(0), &rules);
    let asked = RequestDirectives::default();
    let just = |millis| decide(&asked, &terms, at(0) + Duration::from_millis(millis), &rules);
    assert_eq!((just(9_999), just(10_000)), (Reuse::Fresh, Reuse::Validate(Outdated::Stale)));
}
