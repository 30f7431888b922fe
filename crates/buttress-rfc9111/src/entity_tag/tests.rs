use http::header::{HeaderValue, IF_NONE_MATCH};
use proptest::prelude::*;

use super::*;

#[test]
fn tags_are_read_as_section_8_8_3_writes_them() {
    fn check(value: &[u8], expected: Option<(bool, &[u8])>) {
        let found = EntityTag::parse(value).map(|tag| (tag.is_weak(), tag.opaque()));
        assert_eq!(found, expected, "{}", value.escape_ascii());
    }
    check(b"\"xyzzy\"", Some((false, b"xyzzy")));
    check(b"W/\"xyzzy\"", Some((true, b"xyzzy")));
    check(b"\"\"", Some((false, b"")));
    check(b"W/\"\"", Some((true, b"")));
    check(b" \t\"a\" ", Some((false, b"a")));
    check(b"\"a,b\"", Some((false, b"a,b")));
    check(b"\"a\\\"", Some((false, b"a\\")));
    check(b"\"\xe9\xff\"", Some((false, b"\xe9\xff")));
    check(b"\"!#~\"", Some((false, b"!#~")));
    for malformed in [
        &b""[..],
        b"xyzzy",
        b"\"",
        b"\"a",
        b"a\"",
        b"w/\"a\"",
        b"W/a",
        b"W/",
        b"W / \"a\"",
        b"\"a b\"",
        b"\"a\"b\"",
        b"\"a\x7f\"",
        b"'a'",
        b"\"a\"x",
        b"*",
    ] {
        check(malformed, None);
    }
}

#[test]
fn comparisons_are_the_table_of_section_8_8_3_2() {
    fn check(one: &str, two: &str, strong: bool, weak: bool) {
        let (one, two) = (EntityTag::parse(one.as_bytes()).unwrap(), EntityTag::parse(two.as_bytes()).unwrap());
        assert_eq!((one.strong_eq(two), one.weak_eq(two)), (strong, weak), "{one:?} {two:?}");
        assert_eq!((two.strong_eq(one), two.weak_eq(one)), (strong, weak), "{two:?} {one:?}");
    }
    check("W/\"1\"", "W/\"1\"", false, true);
    check("W/\"1\"", "W/\"2\"", false, false);
    check("W/\"1\"", "\"1\"", false, true);
    check("\"1\"", "\"1\"", true, true);
    check("\"a\"", "\"A\"", false, false);
    check("\"gzip\"", "\"gzip-1\"", false, false);
}

fn list(lines: &[&'static str], current: &str, comparison: Comparison) -> ListMatch {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(IF_NONE_MATCH, HeaderValue::from_static(line));
    }
    match_list(&headers, &IF_NONE_MATCH, EntityTag::parse(current.as_bytes()), comparison)
}

#[test]
fn lists_are_matched_member_by_member() {
    fn check(lines: &[&'static str], current: &str, expected: ListMatch) {
        assert_eq!(list(lines, current, Comparison::Weak), expected, "{lines:?} {current}");
    }
    use ListMatch::{Absent, Any, Matched, Unmatched};
    check(&[], "\"a\"", Absent);
    check(&["*"], "\"a\"", Any);
    check(&[" * "], "", Any);
    check(&["*", ""], "", Any);
    check(&["*, \"b\""], "\"a\"", Unmatched);
    check(&["*", "\"a\""], "\"a\"", Matched);
    check(&["*", "*"], "\"a\"", Unmatched);
    check(&[""], "\"a\"", Unmatched);
    check(&["\"a\""], "\"a\"", Matched);
    check(&["\"b\", W/\"a\""], "\"a\"", Matched);
    check(&["\"b\"", "\"a\""], "\"a\"", Matched);
    check(&[",, \"b\",\t,\"a\","], "\"a\"", Matched);
    check(&["\"b,\"a\""], "\"a\"", Unmatched);
    check(&["\"x, \"a\", y\""], "\"a\"", Unmatched);
    check(&["\"b,c\",\"a\""], "\"b,c\"", Matched);
    check(&["b, \"a\""], "\"a\"", Matched);
    check(&["a"], "\"a\"", Unmatched);
    check(&["\"b c\", \"a\""], "\"a\"", Matched);
    check(&["\"unclosed, \"a\""], "\"a\"", Unmatched);
    check(&["\"a\"x, \"b\""], "\"a\"", Unmatched);
    check(&["\"a\""], "", Unmatched);
    assert_eq!(list(&["W/\"a\""], "\"a\"", Comparison::Strong), Unmatched);
    assert_eq!(list(&["\"a\""], "W/\"a\"", Comparison::Strong), Unmatched);
    assert_eq!(list(&["W/\"a\", \"a\""], "\"a\"", Comparison::Strong), Matched);
}

#[test]
fn a_doubled_etag_field_is_no_etag() {
    let mut headers = HeaderMap::new();
    headers.append(ETAG, HeaderValue::from_static("\"a\""));
    assert!(EntityTag::of(&headers).is_some());
    headers.append(ETAG, HeaderValue::from_static("\"a\""));
    assert!(EntityTag::of(&headers).is_none());
}

proptest! {
    #[test]
    fn any_octets_are_read_without_panic_and_in_finite_time(line in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(members(&line).count() <= line.len());
        if let Some(tag) = EntityTag::parse(&line) {
            prop_assert!(tag.weak_eq(tag));
            prop_assert_eq!(tag.strong_eq(tag), !tag.is_weak());
        }
    }

    #[test]
    fn a_written_list_is_read_back(tags in proptest::collection::vec((any::<bool>(), "[!#-~]{0,6}"), 0..6)) {
        let line = tags.iter().map(|(weak, tag)| format!("{}\"{tag}\"", if *weak { "W/" } else { "" }));
        let line = line.collect::<Vec<_>>().join(" ,");
        let found: Vec<_> = members(line.as_bytes())
            .map(|member| match member {
                Member::Tag(tag) => (tag.is_weak(), String::from_utf8(tag.opaque().to_vec()).unwrap()),
                other => panic!("{other:?}"),
            })
            .collect();
        prop_assert_eq!(found, tags);
    }
}
