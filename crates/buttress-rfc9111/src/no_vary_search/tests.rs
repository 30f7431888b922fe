use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::testing::headers;

/// The policy of a field value; it comes back from its text, whatever it is.
#[track_caller]
fn policy(value: &str) -> NoVarySearch {
    let policy = of(&headers(&format!("No-Vary-Search: {value}")));
    assert_eq!(NoVarySearch::from_text(&policy.to_text()).as_ref(), Some(&policy), "{value}");
    policy
}

/// What a value means, in its shortest form.
#[track_caller]
fn check_text(value: &str, expected: &str) {
    let policy = policy(value);
    assert_eq!(policy.to_text(), expected, "{value}");
    assert_eq!(policy.is_default(), expected.is_empty(), "{value}");
}

#[track_caller]
fn check(value: &str, one: Option<&str>, other: Option<&str>, equal: bool) {
    let policy = policy(value);
    let (left, right) = (policy.normalise(one), policy.normalise(other));
    assert_eq!(left == right, equal, "{value}: {one:?} is {left:?}, {other:?} is {right:?}");
}

#[test]
fn draft_5_2_conventional_and_unconventional_values() {
    for conventional in
        ["key-order", "params", r#"params=("a")"#, r#"params, except=("x")"#, r#"key-order, params=("a" "b")"#]
    {
        check_text(conventional, conventional);
    }
    check_text("params=?1", "params");
    check_text("key-order=?1", "key-order");
    check_text(r#"params, key-order, except=("x")"#, r#"key-order, params, except=("x")"#);
    check_text("params, except=()", "params");
    check_text(r#"params=("b" "a" "b")"#, r#"params=("a" "b")"#);
    check_text(r#"params=("a";x "b");y, key-order;z"#, r#"key-order, params=("a" "b")"#);
    check_text(r#"params=("a"), params, unknown=1"#, "params");
    for default in ["", "params=?0", "params=()", "key-order=?0"] {
        check_text(default, "");
    }
}

#[test]
fn draft_5_2_invalid_values_are_the_default() {
    for value in [
        "unknown-key",
        "key-order=\"not a boolean\"",
        "params=\"not a boolean or inner list\"",
        "params=(not-a-string)",
        "params=(\"a\"), except=(\"x\")",
        "params=(), except=()",
        "params=?0, except=(\"x\")",
        "params, except=(not-a-string)",
        "params, except=\"not an inner list\"",
        "params, except=?1",
        "except=(\"x\")",
        "except=()",
        "params, key-order=1",
        "key-order, params=1",
        "params,",
        "PARAMS",
        "params=(\"a\"",
    ] {
        check_text(value, "");
    }
    assert_eq!(NoVarySearch::from_text("params,"), None);
    assert_eq!(NoVarySearch::from_text("except=()"), None);
    assert_eq!(NoVarySearch::from_text("unknown"), Some(NoVarySearch::default()));
}

#[test]
fn draft_5_3_names_are_encoded_as_in_a_form() {
    let value = r#"params=("%C3%A9+%E6%B0%97")"#;
    check_text(value, value);
    for query in ["é 気=1", "é+気=2", "%C3%A9%20気=3", "%C3%A9+%E6%B0%97=4"] {
        assert_eq!(policy(value).normalise(Some(query)), None, "{query}");
    }
    check_text(r#"params=("\"" "\\" "%22")"#, r#"params=("%22" "%5C")"#);
}

#[test]
fn draft_6_the_default_compares_octet_for_octet() {
    for value in ["", "params=()", "except=()"] {
        for query in [None, Some(""), Some("a=b&&&c"), Some("a=b&c="), Some("%61=b"), Some("b&a")] {
            assert_eq!(policy(value).normalise(query).as_deref(), query, "{value} {query:?}");
        }
    }
}

#[test]
fn draft_6_1_what_a_form_does_not_tell_apart() {
    for (one, other) in [
        ("", ""),
        ("a=x", "%61=%78"),
        ("a=é", "a=%C3%A9"),
        ("a=%f6", "a=%ef%bf%bd"),
        ("a=x&&&&", "a=x"),
        ("a=", "a"),
        ("a=%20", "a=+"),
        ("a=%20", "a= &"),
        ("a=%2b", "a=%2B"),
        ("a=%", "a=%25"),
        ("a=%zz&b=%4", "a=%25zz&b=%254"),
        ("a=b=c", "a=b%3dc"),
        ("", "&&"),
    ] {
        check("key-order", Some(one), Some(other), true);
        check(r#"params=("z")"#, Some(one), Some(other), true);
    }
    check("key-order", None, Some(""), true);
    check("", None, Some(""), false);
}

#[test]
fn draft_6_what_differs_stays_different() {
    for (one, other) in
        [("a=1", "a=2"), ("a=1", "A=1"), ("a=%26b", "a&b"), ("a%3db", "a=b"), ("=", ""), ("a=%2b", "a=+"), ("a", "a&a")]
    {
        check("key-order", Some(one), Some(other), false);
        check(r#"params=("z")"#, Some(one), Some(other), false);
    }
}

#[test]
fn draft_6_order() {
    check("key-order", Some("a=1&b=2"), Some("b=2&a=1"), true);
    check("key-order", Some("a=1&b=2&a=3"), Some("a=1&a=3&b=2"), true);
    check("key-order", Some("a=1&a=2"), Some("a=2&a=1"), false);
    check(r#"params=("z")"#, Some("a=1&b=2"), Some("b=2&a=1"), false);
    check(r#"params=("z")"#, Some("a=1&b=2"), Some("z&a=1&z=3&b=2"), true);
    check(r#"key-order, params=("z")"#, Some("a=1&b=2"), Some("b=2&z&a=1"), true);
}

#[test]
fn draft_6_which_parameters_count() {
    check("params", Some("a=1"), Some("b=2&c"), true);
    check("params", Some("a=1"), None, true);
    check(r#"params, except=("id")"#, Some("id=1&a=2"), Some("b&id=1"), true);
    check(r#"params, except=("id")"#, Some("id=1&a=2"), Some("id=2&a=2"), false);
    check(r#"params, except=("id")"#, Some("a=2"), None, true);
    check(r#"params, except=("id" "q")"#, Some("id=1&q=2"), Some("q=2&id=1"), false);
    check(r#"key-order, params, except=("id" "q")"#, Some("id=1&q=2"), Some("q=2&x&id=1"), true);
    check(r#"params=("a")"#, Some("a=1"), None, true);
    check(r#"params=("a")"#, Some("A=1"), None, false);
    assert_eq!(policy("params").normalise(Some("a=1")), None);
    assert_eq!(policy("key-order").normalise(Some("b=x y&a")).as_deref(), Some("a=&b=x+y"));
}

#[test]
fn rfc9651_4_2_lines_are_one_dictionary() {
    let lines = "No-Vary-Search: params\nNo-Vary-Search: key-order, except=(\"a\")";
    assert_eq!(of(&headers(lines)).to_text(), r#"key-order, params, except=("a")"#);
    let broken = "No-Vary-Search: params=(\"a\nNo-Vary-Search: b\")";
    assert!(of(&headers(broken)).is_default());
}

#[test]
fn too_many_names_are_no_policy() {
    let value = |count: usize| {
        let names: Vec<_> = (0..count).map(|n| format!("\"p{n}\"")).collect();
        format!("params=({})", names.join(" "))
    };
    assert!(!policy(&value(MAX_NAMES)).is_default());
    assert!(policy(&value(MAX_NAMES + 1)).is_default());
}

fn policies() -> impl Strategy<Value = NoVarySearch> {
    let names = prop::collection::vec("[ab é\"+%]{0,2}", 0..4).prop_map(|mut names| {
        names.sort_unstable();
        names.dedup();
        names
    });
    (any::<bool>(), any::<bool>(), names).prop_map(|(any_order, only, names)| NoVarySearch {
        any_order,
        counted: if only { Counted::Only(names) } else { Counted::AllBut(names) },
    })
}

/// Queries of a few letters, so that many are equal.
const QUERY: &str = "([ab&=+%]|%61|%C3|%A9|é){0,8}";

/// The comparison of two queries, word for word as section 6 of the draft has it.
fn are_equal(policy: &NoVarySearch, one: &str, other: &str) -> bool {
    let list = |query: &str| {
        let mut pairs: Vec<_> = form::pairs(query).filter(|(name, _)| policy.counted.includes(name)).collect();
        if policy.any_order {
            pairs.sort_by_key(|(name, _)| name.encode_utf16().collect::<Vec<_>>());
        }
        pairs
    };
    if policy.is_default() { one == other } else { list(one) == list(other) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn any_field_is_read_and_comes_back_from_its_text(line in prop::collection::vec(any::<u8>(), 0..48)) {
        if let Ok(value) = HeaderValue::from_bytes(&line) {
            let policy = of(&HeaderMap::from_iter([(NO_VARY_SEARCH, value)]));
            prop_assert_eq!(NoVarySearch::from_text(&policy.to_text()), Some(policy));
        }
    }

    #[test]
    fn a_policy_comes_back_from_its_text(policy in policies()) {
        prop_assert_eq!(NoVarySearch::from_text(&policy.to_text()), Some(policy));
    }

    #[test]
    fn equal_queries_and_only_those_give_the_same_text(policy in policies(), one in QUERY, other in QUERY) {
        let same = policy.normalise(Some(&one)) == policy.normalise(Some(&other));
        prop_assert_eq!(same, are_equal(&policy, &one, &other));
    }

    #[test]
    fn a_normalised_query_stays_and_fits_a_uri(policy in policies(), query in ".{0,24}") {
        let once = policy.normalise(Some(&query));
        prop_assert_eq!(policy.normalise(once.as_deref()), once.clone());
        if let Some(once) = once.filter(|_| !policy.is_default()) {
            let uri = format!("/?{once}");
            prop_assert!(uri.parse::<http::Uri>().is_ok());
        }
    }

    #[test]
    fn what_is_encoded_is_decoded_again(text in ".{0,24}") {
        prop_assert_eq!(form::decode(&form::encode(&text)), text);
    }
}
