//! Whatever arrives is read without a panic, and more words never mean more permission.

use std::time::{Duration, UNIX_EPOCH};

use buttress_rfc9111::cache_status::{CacheName, CacheStatus};
use buttress_rfc9111::{
    RequestDirectives, ResponseDirectives, Rules, Storage, Terms, date, fields, invalidation, storage, targeted,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use proptest::prelude::*;
use sfv::{List, Parser};

/// A well-formed directive, or nearly.
fn directive() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "max-age",
        "s-maxage",
        "no-store",
        "private",
        "no-cache",
        "public",
        "must-revalidate",
        "proxy-revalidate",
        "must-understand",
        "stale-while-revalidate",
        "stale-if-error",
        "immutable",
        "min-fresh",
        "max-stale",
        "x-ext",
    ]);
    let argument = prop::sample::select(vec![
        "",
        "",
        "=60",
        "=5",
        "=0",
        "=\"7\"",
        "=-1",
        "=1.5",
        "=",
        "= 5",
        "=99999999999999999999",
        "=\"set-cookie, x-a\"",
        "=x-b",
        "=\"vary\"",
        "=\"\"",
        "=\"open",
        ";x",
        " x",
    ]);
    (name, argument).prop_map(|(name, argument)| format!("{name}{argument}"))
}

/// Lists of directives, soups of their pieces, and any bytes.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "max-age=",
        "no-store",
        "private=",
        "=",
        ",",
        ", ",
        "\"",
        "\\",
        " ",
        "\t",
        ";",
        "(",
        ")",
        "?0",
        "60",
        "-1",
        "é",
        "*",
        "GMT",
        "Sun, 06 Nov 1994 08:49:37",
        "Sunday, 06-Nov-94",
    ]);
    let list = prop::collection::vec(directive(), 0..5).prop_map(|all| all.join(", ").into_bytes());
    let soup = prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat().into_bytes());
    prop_oneof![5 => list, 2 => soup, 1 => prop::collection::vec(any::<u8>(), 0..40)]
}

fn lines() -> impl Strategy<Value = Vec<HeaderValue>> {
    prop::collection::vec(line().prop_filter_map("a field value", |line| HeaderValue::from_bytes(&line).ok()), 0..4)
}

fn headers(name: &HeaderName, lines: &[HeaderValue]) -> HeaderMap {
    lines.iter().map(|line| (name.clone(), line.clone())).collect()
}

fn response_of(lines: &[HeaderValue]) -> ResponseDirectives {
    ResponseDirectives::from_headers(&headers(&header::CACHE_CONTROL, lines))
}

fn stores(lines: &[HeaderValue]) -> bool {
    let headers = headers(&header::CACHE_CONTROL, lines);
    let answer = storage::decide(&Method::GET, &HeaderMap::new(), StatusCode::OK, &headers, &Rules::default());
    matches!(answer, Storage::Store(_))
}

/// Whether `more` forbids all that `less` forbids.
fn is_no_laxer(more: &ResponseDirectives, less: &ResponseDirectives) -> bool {
    let no_longer =
        |more: Option<Duration>, less: Option<Duration>| less.is_none_or(|less| more.is_some_and(|more| more <= less));
    let flags = [
        (more.no_store, less.no_store),
        (more.must_revalidate, less.must_revalidate),
        (more.proxy_revalidate, less.proxy_revalidate),
        (more.no_cache.is_some(), less.no_cache.is_some()),
        (more.private.is_some(), less.private.is_some()),
        (
            more.private.as_ref().is_some_and(|names| names.is_all()),
            less.private.as_ref().is_some_and(|names| names.is_all()),
        ),
    ];
    flags.into_iter().all(|(more, less)| more || !less)
        && no_longer(more.max_age, less.max_age)
        && no_longer(more.s_maxage, less.s_maxage)
        && no_longer(more.stale_while_revalidate, less.stale_while_revalidate)
        && no_longer(more.stale_if_error, less.stale_if_error)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn any_message_is_judged_without_a_panic(
        (asked, says, aimed) in (lines(), lines(), lines()),
        (age, dates, vary) in (lines(), lines(), lines()),
        (status, request_time, delay) in (100..1000u16, 0..4_000_000_000u64, 0..u64::from(u32::MAX)),
    ) {
        let mut request = headers(&header::CACHE_CONTROL, &asked);
        request.extend(headers(&header::PRAGMA, &vary));
        let mut response = headers(&header::CACHE_CONTROL, &says);
        for (name, lines) in [
            (header::CDN_CACHE_CONTROL, &aimed),
            (header::AGE, &age),
            (header::DATE, &dates),
            (header::EXPIRES, &dates),
            (header::LAST_MODIFIED, &age),
            (header::VARY, &vary),
            (header::CONNECTION, &vary),
            (header::LOCATION, &says),
        ] {
            response.extend(headers(&name, lines));
        }
        let status = StatusCode::from_u16(status).expect("valid");
        let rules = Rules::new().stale_on_error(Duration::MAX).default_lifetime(Duration::MAX);
        let sent = UNIX_EPOCH + Duration::from_secs(request_time);
        let arrived = sent + Duration::from_secs(delay);
        let terms = Terms::of(status, &response, sent, arrived, &rules);
        let asked = RequestDirectives::from_headers(&request);
        for now in [UNIX_EPOCH, sent, arrived, arrived + Duration::from_secs(1 << 33)] {
            let _answer = buttress_rfc9111::reuse::decide(&asked, &terms, now, &rules);
            let _answer = buttress_rfc9111::reuse::on_error(&asked, &terms, now, &rules);
        }
        let _until = terms.usable_until(&rules);
        let _answer = storage::decide(&Method::GET, &request, status, &response, &rules);
        let uri = Uri::from_static("http://example.com/a/b");
        for target in invalidation::targets(&Method::POST, &uri, status, &response) {
            prop_assert!(invalidation::is_same_origin(&uri, &target));
        }
        let directives = targeted::directives(&response, &[header::CDN_CACHE_CONTROL]);
        fields::remove_unstorable(&mut response, &directives);
        prop_assert!(!response.contains_key(header::CONNECTION));
    }

    #[test]
    fn another_line_never_allows_more(lines in lines(), more in line()) {
        if let Ok(more) = HeaderValue::from_bytes(&more) {
            let before = response_of(&lines);
            let all: Vec<_> = lines.iter().cloned().chain([more]).collect();
            let after = response_of(&all);
            prop_assert!(is_no_laxer(&after, &before), "{:?} is laxer than {:?}", after, before);
        }
    }

    #[test]
    fn the_order_of_lines_does_not_matter(mut lines in lines()) {
        let (mut forth, forth_stores) = (response_of(&lines), stores(&lines));
        lines.reverse();
        let (mut back, back_stores) = (response_of(&lines), stores(&lines));
        prop_assert_eq!(forth_stores, back_stores);
        prop_assert!(is_no_laxer(&forth, &back) && is_no_laxer(&back, &forth));
        (forth.extensions, back.extensions) = (Vec::new(), Vec::new());
        (forth.no_cache, back.no_cache) = (None, None);
        (forth.private, back.private) = (None, None);
        prop_assert_eq!(forth, back);
    }

    #[test]
    fn nothing_said_beside_no_store_or_private_stores_a_response(lines in lines(), word in "no-store|private", at in 0..5usize) {
        let understands = response_of(&lines).must_understand;
        let mut lines = lines;
        lines.insert(at.min(lines.len()), HeaderValue::try_from(&word).expect("a field value"));
        prop_assert!(!stores(&lines) || (word == "no-store" && understands));
    }

    #[test]
    fn what_is_quoted_is_no_directive(text in "[ -!#-\\[\\]-~]{0,40}") {
        let line = HeaderValue::try_from(format!("x-ext=\"{text}\"")).expect("a field value");
        let mut found = response_of(&[line]);
        let kept = std::mem::take(&mut found.extensions);
        prop_assert_eq!(found, ResponseDirectives::default());
        prop_assert_eq!(kept.len(), 1);
        prop_assert_eq!(kept[0].value(), Some(text.as_bytes()));
    }

    #[test]
    fn a_date_comes_back_in_any_case_and_spacing(seconds in 0..253_402_300_800u64, upper in any::<bool>(), wide in any::<bool>()) {
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        let mut text = date::format(time);
        if upper { text = text.to_ascii_uppercase(); }
        if wide { text = text.replace(' ', " \t "); }
        prop_assert_eq!(date::parse(&text), Some(time));
        prop_assert_eq!(date::parse_at(&text, time), Some(time));
    }

    #[test]
    fn a_cache_status_is_a_structured_field(name in "[ -~]{0,20}", key in ".{0,20}", detail in ".{0,20}", ttl in any::<i64>()) {
        let name = CacheName::new(&name).expect("printable ASCII");
        let value = CacheStatus::hit(&name).ttl(ttl).key(&key).detail(&detail).collapsed(false).to_header_value();
        let list = Parser::new(value.as_bytes()).parse::<List>();
        prop_assert_eq!(list.map(|list| list.len()).ok(), Some(1));
    }
}
