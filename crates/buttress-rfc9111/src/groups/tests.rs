use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::testing::headers;

fn listed(names: &[&str]) -> Groups {
    if names.is_empty() { Groups::None } else { Groups::Listed(names.iter().map(|name| (*name).to_owned()).collect()) }
}

#[track_caller]
fn check(lines: &[&str], expected: &Groups) {
    let fields = lines.iter().map(|line| format!("Cache-Groups: {line}\n")).collect::<String>();
    assert_eq!(of(&headers(&fields)), *expected, "{lines:?}");
    let fields = fields.replace("Cache-Groups", "Cache-Group-Invalidation");
    assert_eq!(invalidated(&Method::POST, StatusCode::OK, &headers(&fields)), expected.names(), "{lines:?}");
}

#[track_caller]
fn check_tags(fields: &str, expected: &Groups) {
    assert_eq!(tags(&headers(fields)), *expected, "{fields}");
}

#[test]
fn rfc9875_2_a_list_of_strings() {
    check(&[r#""scripts""#], &listed(&["scripts"]));
    check(&[r#""b", "a","c" ,	"d""#], &listed(&["b", "a", "c", "d"]));
    check(&[r#""a, b", "\"\\""#], &listed(&["a, b", "\"\\"]));
    check(&[r#""a", "A""#], &listed(&["a", "A"]));
    check(&[r#""""#], &listed(&[""]));
}

#[test]
fn rfc9875_2_parameters_are_ignored() {
    check(&[r#""a";revalidate, "b";x=1;y="z", "a""#], &listed(&["a", "b"]));
}

#[test]
fn rfc9875_2_an_absent_or_empty_field_states_nothing() {
    assert_eq!(of(&HeaderMap::new()), Groups::None);
    check(&[""], &Groups::None);
    check(&["", ""], &Groups::None);
}

#[test]
fn rfc9875_2_anything_but_strings_is_malformed() {
    for value in [
        "scripts",
        "\"a\", b",
        "1",
        "?1",
        ":YQ==:",
        "%\"a\"",
        "(\"a\")",
        "\"a\",",
        ",\"a\"",
        "\"a",
        "\"a\" \"b\"",
        "\"é\"",
    ] {
        check(&[value], &Groups::Malformed);
    }
}

#[test]
fn rfc9875_2_at_least_32_members_of_32_characters() {
    let names = |count: usize, length: usize| (0..count).map(move |n| format!("{n:0length$}"));
    let line = |names: &[String]| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    for (count, length) in [(32, 32), (MAX_GROUPS, 32), (1, MAX_LENGTH)] {
        let names: Vec<_> = names(count, length).collect();
        check(&[&line(&names)], &Groups::Listed(names.clone()));
        check(&[&line(&names), &line(&names)], &Groups::Listed(names));
    }
    for (count, length) in [(MAX_GROUPS + 1, 32), (1, MAX_LENGTH + 1)] {
        let names: Vec<_> = names(count, length).collect();
        check(&[&line(&names)], &Groups::Malformed);
        check_tags(&format!("Cache-Tag: {}", names.join(",")), &Groups::Malformed);
        check_tags(&format!("Surrogate-Key: {}", names.join(" ")), &Groups::Malformed);
    }
}

#[test]
fn rfc9651_4_2_lines_are_one_list() {
    check(&[r#""a", "b""#, r#""c", "a""#], &listed(&["a", "b", "c"]));
    check(&[r#""a""#, "", r#""b""#], &listed(&["a", "b"]));
    check(&[r#""a""#, "b"], &Groups::Malformed);
    check(&[r#""a"#, r#"b""#], &Groups::Malformed);
}

#[test]
fn rfc9875_3_only_an_unsafe_request_that_succeeds_invalidates() {
    let response = headers(r#"Cache-Group-Invalidation: "a", "b""#);
    for (method, status, invalidates) in [
        ("POST", 200, true),
        ("DELETE", 204, true),
        ("PURGE", 200, true),
        ("PUT", 303, true),
        ("POST", 404, false),
        ("POST", 500, false),
        ("GET", 200, false),
        ("HEAD", 200, false),
        ("OPTIONS", 200, false),
        ("QUERY", 200, false),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let expected: &[_] = if invalidates { &["a", "b"] } else { &[] };
        assert_eq!(invalidated(&method.parse().unwrap(), status, &response), expected, "{method} {status}");
    }
}

#[test]
fn tags_of_both_fields_are_one_list() {
    check_tags("", &Groups::None);
    check_tags("Surrogate-Key:\nCache-Tag: , ,", &Groups::None);
    check_tags("Surrogate-Key: a  b\tc a", &listed(&["a", "b", "c"]));
    check_tags("Cache-Tag: a, b ,c,, a,", &listed(&["a", "b", "c"]));
    check_tags("Cache-Tag: a\nSurrogate-Key: b,c a\nCache-Tag: d", &listed(&["b,c", "a", "d"]));
    check_tags("Cache-Tag: product:1/x?y#z\nSurrogate-Key: \"q\"", &listed(&["\"q\"", "product:1/x?y#z"]));
    check_tags("Cache-Tag: a, A", &listed(&["a", "A"]));
}

#[test]
fn a_tag_is_visible_ascii() {
    for fields in ["Cache-Tag: a b", "Cache-Tag: a\tb, c", "Cache-Tag: é", "Surrogate-Key: a é"] {
        check_tags(fields, &Groups::Malformed);
    }
}

#[test]
fn each_has_a_name() {
    let all = [Groups::None, listed(&["a"]), Groups::Malformed];
    assert_eq!(all.map(|groups| groups.as_str()), ["no-groups", "groups", "groups-malformed"]);
}

proptest! {
    #[test]
    fn any_octets_are_read_and_no_limit_is_passed(
        lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..4),
    ) {
        let values = lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok());
        let mut fields = HeaderMap::new();
        for value in values {
            for name in [CACHE_GROUPS].into_iter().chain(TAG_FIELDS) {
                fields.append(name, value.clone());
            }
        }
        for groups in [of(&fields), tags(&fields)] {
            prop_assert!(groups.names().len() <= MAX_GROUPS);
            prop_assert_eq!(groups.names().is_empty(), !matches!(groups, Groups::Listed(_)));
        }
    }

    #[test]
    fn a_written_list_is_read_back(names in proptest::collection::hash_set("[ -~]{0,12}", 1..9)) {
        let names: Vec<_> = names.into_iter().collect();
        let quoted = |name: &String| format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
        let line = names.iter().map(quoted).collect::<Vec<_>>().join(" ,");
        let fields = HeaderMap::from_iter([(CACHE_GROUPS, HeaderValue::from_str(&line).unwrap())]);
        prop_assert_eq!(of(&fields), Groups::Listed(names));
    }
}
