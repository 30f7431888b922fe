mod any;

use super::*;
use crate::cache_control::{MaxStale, RequestDirectives, ResponseDirectives};
use crate::targeted;

fn extension(name: &str, value: Option<&[u8]>) -> Extension {
    Extension::try_new(name, value).expect("it can be said")
}

fn time(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Every directive there is, of either direction, and what it looks like.
fn all() -> Vec<(CacheControl, &'static str)> {
    let fields = || [header::SET_COOKIE, HeaderName::from_static("x-a")];
    let new = CacheControl::new;
    vec![
        (new().immutable(), "immutable"),
        (new().max_age(time(60)), "max-age=60"),
        (new().max_stale(None), "max-stale"),
        (new().max_stale(time(5)), "max-stale=5"),
        (new().min_fresh(time(7)), "min-fresh=7"),
        (new().must_revalidate(), "must-revalidate"),
        (new().must_understand(), "must-understand"),
        (new().no_cache(), "no-cache"),
        (new().no_cache_fields(fields()), "no-cache=\"set-cookie, x-a\""),
        (new().no_store(), "no-store"),
        (new().no_transform(), "no-transform"),
        (new().only_if_cached(), "only-if-cached"),
        (new().private(), "private"),
        (new().private_fields(fields()), "private=\"set-cookie, x-a\""),
        (new().proxy_revalidate(), "proxy-revalidate"),
        (new().public(), "public"),
        (new().s_maxage(time(9)), "s-maxage=9"),
        (new().stale_if_error(time(10)), "stale-if-error=10"),
        (new().stale_while_revalidate(time(11)), "stale-while-revalidate=11"),
        (new().extension(extension("x-new", None)), "x-new"),
        (new().extension(extension("x-new", Some(b"token"))), "x-new=token"),
        (new().extension(extension("x-new", Some(b""))), "x-new=\"\""),
        (new().extension(extension("x-new", Some(b"a, \"b\" \\"))), "x-new=\"a, \\\"b\\\" \\\\\""),
    ]
}

#[test]
fn every_directive_survives_being_written_and_read() {
    for (said, text) in all() {
        assert_eq!(said.to_value(), text);
        assert_eq!(text.parse(), Ok(said.clone()), "{text}");
        assert_eq!(CacheControl::try_from(&said.to_value()), Ok(said), "{text}");
    }
    let together = all().iter().map(|(_, text)| *text).collect::<Vec<_>>().join(", ");
    let read: CacheControl = together.parse().expect("all are well-formed");
    assert_eq!(read.to_string(), together, "nothing is lost, and nothing changes its place");
}

#[test]
fn what_is_read_leniently_can_be_said_again() {
    for (said, text) in all() {
        let response = ResponseDirectives::from(&said);
        assert_eq!(ResponseDirectives::from(&CacheControl::from(&response)), response, "{text}");
        let request = RequestDirectives::from(&said);
        assert_eq!(RequestDirectives::from(&CacheControl::from(&request)), request, "{text}");
    }
}

#[test]
fn a_targeted_field_says_the_same() {
    for (said, text) in all() {
        let value = said.to_targeted();
        let is_for_requests = ["max-stale", "min-fresh", "only-if-cached"].iter().any(|name| text.starts_with(name));
        if is_for_requests {
            continue;
        }
        let headers = HeaderMap::from_iter([(header::CDN_CACHE_CONTROL, value.expect("it can be said"))]);
        let read = targeted::directives(&headers, &[header::CDN_CACHE_CONTROL]);
        assert!(read.targeted, "{text}");
        assert_eq!(ResponseDirectives { targeted: false, ..read }, ResponseDirectives::from(&said), "{text}");
    }
}

#[test]
fn what_no_structured_field_can_hold() {
    for (text, expected) in [
        ("public, max-age=1, max-age=2", "`max-age=2` stands there twice"),
        ("2x=1", "`2x=1` has a name that no structured field can hold"),
        ("public, x!y", "`x!y` has a name that no structured field can hold"),
        ("", "`` has no name"),
    ] {
        let error = text.parse::<CacheControl>().expect("well-formed").to_targeted().unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let umlaut = CacheControl::new().extension(extension("x", Some(b"\xfc")));
    assert!(
        umlaut.to_targeted().unwrap_err().to_string().ends_with("has an argument that no structured field can hold")
    );
}

#[test]
fn what_is_read_keeps_order_and_repetition_but_not_case_and_white_space() {
    for (text, expected) in [
        ("", ""),
        (" ,, ,\t", ""),
        ("Public , MAX-AGE=\"060\",immutable", "public, max-age=60, immutable"),
        ("max-age=1, max-age=2", "max-age=1, max-age=2"),
        ("max-age=99999999999999999999", "max-age=2147483648"),
        ("X-Own=Token", "x-own=Token"),
        ("private=x-a", "private=\"x-a\""),
        ("private=\" x-a ,, X-B \"", "private=\"x-a, x-b\""),
        ("x=\"\\a\"", "x=a"),
    ] {
        let read: CacheControl = text.parse().expect(text);
        assert_eq!(read.to_string(), expected, "{text}");
    }
}

#[test]
fn what_is_malformed_is_named() {
    for (text, expected) in [
        ("max-age=1h", "`max-age=1h` needs a whole number of seconds"),
        ("public, max-age", "`max-age` needs a whole number of seconds"),
        ("max-age=-1", "`max-age=-1` needs a whole number of seconds"),
        ("max-age=1.5", "`max-age=1.5` needs a whole number of seconds"),
        ("max-age=", "`max-age=` has nothing behind its `=`"),
        ("x=", "`x=` has nothing behind its `=`"),
        ("private=\"a b, c\", public", "`private=\"a b, c\"` needs the names of fields, such as \"set-cookie\""),
        ("private=\"a \\\", b\", public", "`private=\"a \\\", b\"` needs the names of fields, such as \"set-cookie\""),
        ("a, x=\"b, \u{1b}\"", "`x=\"b, \\u{1b}\"` has a control character in its argument"),
        ("max-stale=x", "`max-stale=x` needs a whole number of seconds"),
        ("max-age =1", "`max-age =1` goes on after its end"),
        ("max-age= 1", "`max-age= 1` goes on after its end"),
        ("no-store; max-age=9", "`no-store; max-age=9` goes on after its end"),
        ("a b", "`a b` goes on after its end"),
        ("a=\"1\"x", "`a=\"1\"x` goes on after its end"),
        ("public=1", "`public=1` takes no argument"),
        ("no-store=\"\"", "`no-store=\"\"` takes no argument"),
        ("private=\"\"", "`private=\"\"` needs the names of fields, such as \"set-cookie\""),
        ("no-cache=\"a b\"", "`no-cache=\"a b\"` needs the names of fields, such as \"set-cookie\""),
        ("a=\"open, b", "`a=\"open, b` opens a quote that is never closed"),
        ("=1", "`=1` has no name"),
        ("\"a\"", "`\"a\"` has no name"),
        ("a, ä", "`ä` has no name"),
    ] {
        assert_eq!(text.parse::<CacheControl>().unwrap_err().to_string(), expected, "{text}");
    }
}

#[test]
fn a_thing_is_said_once() {
    let said = CacheControl::new()
        .max_age(time(1))
        .public()
        .max_age(Duration::from_millis(2999))
        .no_cache()
        .no_cache_fields([]);
    assert_eq!(said.to_string(), "max-age=2, public, no-cache");
    assert_eq!(CacheControl::new().max_age(Duration::MAX).to_string(), "max-age=2147483648");
    let read: CacheControl = "a, max-age=1, public, max-age=9".parse().expect("well-formed");
    assert_eq!(read.max_age(time(5)).to_string(), "a, max-age=5, public", "no other max-age is left to be shorter");
    let lines = HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static("public"))]);
    assert_eq!(CacheControl::from_headers(&lines), Ok(CacheControl::new().public()));
}

#[test]
fn any_number_of_commas_is_read() {
    let commas = HeaderValue::from_bytes(&[b','; 100_000]).expect("commas");
    assert_eq!(CacheControl::try_from(&commas), Ok(CacheControl::new()));
}

/// Written as `text`, which is read strictly as the same.
#[track_caller]
fn check_said(said: &CacheControl, text: &str) {
    assert_eq!(said.to_string(), text);
    assert_eq!(text.parse().as_ref(), Ok(said), "{text}");
}

#[test]
fn what_was_made_of_a_response_can_be_said() {
    let read = |text| {
        let field = HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static(text))]);
        CacheControl::from(&ResponseDirectives::from_headers(&field))
    };
    check_said(
        &read(
            "immutable, no-transform, must-understand, proxy-revalidate, must-revalidate, stale-if-error=1, b=\"x y\", \
             stale-while-revalidate=2, s-maxage=3, max-age=4, no-store, no-cache, private=vary, public, a",
        ),
        "public, private=\"vary\", no-cache, no-store, max-age=4, s-maxage=3, stale-while-revalidate=2, \
         stale-if-error=1, must-revalidate, proxy-revalidate, must-understand, no-transform, immutable, b=\"x y\", a",
    );
    check_said(&read("max-age=9, max-age=x, private=vary, private, a, a"), "private, max-age=0, a, a");
    check_said(
        &read("only-if-cached=1, min-fresh=x, max-stale=x"),
        "only-if-cached, min-fresh=2147483648, max-stale=0",
    );
    let by_hand = ResponseDirectives {
        private: Some(FieldNames::Listed(Vec::new())),
        max_age: Some(Duration::MAX),
        s_maxage: Some(Duration::from_millis(1500)),
        ..ResponseDirectives::default()
    };
    check_said(&CacheControl::from(&by_hand), "private, max-age=2147483648, s-maxage=1");
}

#[test]
fn what_was_made_of_a_request_can_be_said() {
    let read = |text| {
        let field = HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static(text))]);
        CacheControl::from(&RequestDirectives::from_headers(&field))
    };
    check_said(
        &read(
            "a, no-transform, stale-if-error=1, min-fresh=2, max-stale=3, max-age=4, no-store, no-cache, only-if-cached",
        ),
        "only-if-cached, no-cache, no-store, max-age=4, max-stale=3, min-fresh=2, stale-if-error=1, no-transform, a",
    );
    check_said(
        &read("s-maxage=x, public=1, private=\"a,,b\", max-stale"),
        "max-stale, s-maxage=0, public, private=\"a, b\"",
    );
    let by_hand = RequestDirectives {
        max_stale: Some(MaxStale::Within(Duration::from_millis(1500))),
        min_fresh: Some(Duration::MAX),
        ..RequestDirectives::default()
    };
    check_said(&CacheControl::from(&by_hand), "max-stale=1, min-fresh=2147483648");
}

#[test]
fn extensions_that_cannot_be_said() {
    assert!(Extension::try_new("", None).is_err());
    assert!(Extension::try_new("a b", None).is_err());
    assert!(Extension::try_new("max-age", None).is_err(), "it is known");
    assert!(Extension::try_new("x", Some(b"a\r\nb")).is_err());
    assert_eq!(extension("X-Own", Some(b"a b\xfc\t")).name(), "x-own");
}
