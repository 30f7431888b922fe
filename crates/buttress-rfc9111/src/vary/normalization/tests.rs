use proptest::prelude::*;

use super::*;
use crate::vary::VaryFields;

fn key_in(normalization: &Normalization, name: &'static str, lines: &[&str]) -> Vec<u8> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    VaryFields::from_names([name]).key(&headers, normalization).unwrap()
}

#[track_caller]
fn check(normalization: &Normalization, name: &'static str, one: &[&str], two: &[&str], equal: bool) {
    let (left, right) = (key_in(normalization, name, one), key_in(normalization, name, two));
    assert_eq!(left == right, equal, "{name}: {one:?} {two:?}\n{}\n{}", left.escape_ascii(), right.escape_ascii());
}

#[test]
fn unknown_fields_lose_only_their_spelling() {
    let check = |one: &[&str], two: &[&str], equal| check(&Normalization::new(), "x-feature", one, two, equal);
    check(&["a, b"], &["a,b"], true);
    check(&["a, b"], &["a", "b"], true);
    check(&["a ,\t b "], &["a, b"], true);
    check(&["a", ""], &["a, "], true);
    check(&["a, b"], &["b, a"], false);
    check(&["a"], &["A"], false);
    check(&["a b"], &["a  b"], false);
    check(&["a"], &["a,"], false);
    check(&[], &[""], false);
    check(&["\"a, b\""], &["\"a,b\""], false);
    check(&["\"a\\\", b\""], &["\"a\\\",b\""], false);
    check(&["\"a\",b"], &["\"a\", b"], true);
    check(&["\"\\\"\", b"], &["\"\\\"\",b"], true);
    check(&["\"a ,b"], &["\"a,b"], false);
}

#[test]
fn secrets_and_names_are_taken_octet_for_octet() {
    let exact = Normalization::new().exact(HeaderName::from_static("x-feature"));
    check(&exact, "x-feature", &["a,b"], &["a, b"], false);
    let check = |name, one: &[&str], two: &[&str], equal| check(&Normalization::new(), name, one, two, equal);
    check("authorization", &["Bearer a,b"], &["Bearer a, b"], false);
    check("authorization", &["Bearer a"], &["bearer a"], false);
    check("authorization", &["a", "b"], &["a, b"], false);
    check("authorization", &["a", "b"], &["a"], false);
    check("authorization", &["a", "b"], &["ab"], false);
    check("cookie", &["a=1", "b=2"], &["a=1"], false);
    check("user-agent", &["A (b,c)"], &["A (b, c)"], false);
    check("origin", &["https://a.example"], &["https://A.example"], false);
    check("cookie", &["a=1; b=2"], &["a=1", "b=2"], true);
    check("cookie", &["a=1; b=2"], &["b=2; a=1"], false);
    check("cookie", &["a=1,2"], &["a=1, 2"], false);
}

#[test]
fn accept_encoding_is_compared_by_meaning() {
    let check = |one: &[&str], two: &[&str], equal| check(&Normalization::new(), "accept-encoding", one, two, equal);
    check(&["gzip, br"], &["br,gzip"], true);
    check(&["gzip, br"], &["gzip", "br"], true);
    check(&["gzip"], &["GZIP;q=1.000"], true);
    check(&["gzip"], &["x-gzip"], true);
    check(&["gzip;q=0.5"], &["gzip; Q=0.50"], true);
    check(&["gzip;q=0.5, br"], &["br, gzip;q=0.5"], true);
    check(&["gzip, br;q=0"], &["gzip"], true);
    check(&["gzip;q=0"], &[""], true);
    check(&["gzip, *;q=0"], &["gzip, identity;q=0"], true);
    check(&["gzip, *;q=0, identity"], &["gzip, identity"], true);
    check(&["gzip, br;q=0"], &["gzip, br"], false);
    check(&["gzip, *;q=0.1"], &["gzip"], false);
    check(&["*, br;q=0"], &["*"], false);
    check(&["gzip, identity;q=0"], &["gzip"], false);
    check(&["gzip;q=0.5"], &["gzip"], false);
    check(&["gzip;q=0.5, br"], &["gzip, br;q=0.5"], false);
    check(&[], &[""], false);
    check(&[], &["*"], false);
    check(&["gzip"], &["deflate"], false);
    // Malformed or contradictory: only the spelling is normalised.
    check(&["gzip;q=2"], &["gzip"], false);
    check(&["gzip;q=0.1234"], &["gzip;q=0.123"], false);
    check(&["gzip;level=9"], &["gzip"], false);
    check(&["gzip, gzip;q=0"], &["gzip;q=0, gzip"], false);
    check(&["gzip, gzip"], &["gzip"], false);
    check(&["gzip, x-gzip;q=0.5"], &["x-gzip;q=0.5, gzip"], false);
    check(&["gzip;q=2,br"], &["gzip;q=2, br"], true);
}

#[test]
fn accept_language_and_accept_are_compared_by_meaning() {
    let check = |name, one: &[&str], two: &[&str], equal| check(&Normalization::new(), name, one, two, equal);
    check("accept-language", &["de-DE, en;q=0.5"], &["en;q=0.5,de-de"], true);
    check("accept-language", &["de", "en;q=0.5"], &["de, en; q=0.500"], true);
    check("accept-language", &["de, en"], &["en, de"], false);
    check("accept-language", &["de, en;q=0"], &["de"], false);
    check("accept-language", &["de;q=0.9, en"], &["de, en;q=0.9"], false);
    check("accept-language", &["de;q=0.5, de"], &["de, de;q=0.5"], false);
    check("accept-language", &["de_DE"], &["de_de"], false);
    check("accept", &["text/html, */*;q=0.1"], &["*/*;q=0.1,TEXT/html"], true);
    check("accept", &["text/html;level=1"], &["text/html ; Level=1"], true);
    check("accept", &["text/html;v=a"], &["text/html;v=A"], false);
    check("accept", &["text/html, text/plain"], &["text/plain, text/html"], false);
    check("accept", &["a/b;p=\"x, y;q=0\", c/d"], &["a/b;p=\"x, y;q=0\",c/d"], true);
    check("accept", &["a/b;p=\"x, y\""], &["a/b;p=\"x,y\""], false);
    check("accept", &["a/b;q=0.5;ext=1"], &["a/b;q=0.5"], false);
    check("accept", &["html"], &["HTML"], false);
}

#[test]
fn offered_codings_reduce_the_field_to_a_preference_among_them() {
    let offered = Normalization::new().codings(["br", "gzip"]);
    let check = |one: &[&str], two: &[&str], equal| check(&offered, "accept-encoding", one, two, equal);
    check(&["gzip, deflate, br, zstd"], &["br;q=0.9, gzip;q=0.9"], true);
    check(&["gzip, deflate"], &["x-gzip;q=0.3"], true);
    check(&["*"], &["br, gzip, identity"], true);
    check(&["zstd"], &[""], true);
    check(&["zstd"], &[], false);
    check(&["gzip, br;q=0.5"], &["gzip, br"], false);
    check(&["gzip, br;q=0"], &["gzip, br"], false);
    check(&["gzip, identity;q=0"], &["gzip"], false);
    check(&["gzip;q=0.5, identity"], &["gzip, identity;q=0.5"], false);
    check(&["*, gzip;q=0"], &["br, identity"], true);
}

#[test]
fn offered_languages_reduce_the_field_to_those_asked_for() {
    let offered = Normalization::new().languages(["en", "en-US", "de", "zh-Hant"]);
    let check = |one: &[&str], two: &[&str], equal| check(&offered, "accept-language", one, two, equal);
    check(&["de-AT, de;q=0.8"], &["de"], true);
    check(&["fr, de;q=0.5"], &["de, it;q=0.2"], true);
    check(&["zh-Hant-CN-x-private1"], &["zh-hant"], true);
    check(&["fr"], &["it"], true);
    check(&["de, en;q=0.5"], &["en, de;q=0.5"], false);
    check(&["de, en;q=0.5"], &["de"], false);
    check(&["en"], &["en-US"], false);
    check(&["zh"], &["fr"], false);
    check(&["de, *;q=0.1"], &["de"], false);
    check(&["de, *;q=0.1, en;q=0"], &["de, *;q=0.1"], false);
    check(&["fr"], &[], false);
}

/// What a coding weighs by the words of RFC 9110 section 12.5.3, `None` where nothing is said of it.
fn weigh(accepted: &[(&str, u16)], coding: &str) -> Option<u16> {
    let listed = |name: &str| accepted.iter().find(|(known, _)| *known == name).map(|(_, weight)| *weight);
    match listed(coding).or_else(|| listed("*")) {
        None | Some(0) if coding != "identity" => Some(0),
        weight => weight,
    }
}

fn accepted() -> impl Strategy<Value = Vec<(&'static str, u16)>> {
    let weight = prop_oneof![Just(0_u16), Just(500), Just(1000)];
    let codings = proptest::sample::subsequence(vec!["gzip", "br", "identity", "*"], 0..=4).prop_shuffle();
    codings.prop_flat_map(move |codings| {
        let weights = proptest::collection::vec(weight.clone(), codings.len());
        weights.prop_map(move |weights| codings.iter().copied().zip(weights).collect())
    })
}

fn write(accepted: &[(&str, u16)], separator: &str) -> String {
    let member = |(coding, weight): &(&str, u16)| format!("{coding};q={}.{:03}", weight / 1000, weight % 1000);
    accepted.iter().map(member).collect::<Vec<_>>().join(separator)
}

proptest! {
    #[test]
    fn equal_keys_mean_equal_weights_for_every_coding(one in accepted(), two in accepted()) {
        let plain = Normalization::new();
        let key = |accepted: &[_]| key_in(&plain, "accept-encoding", &[&write(accepted, ",")]);
        if key(&one) == key(&two) {
            for coding in ["gzip", "br", "identity", "unlisted"] {
                prop_assert_eq!(weigh(&one, coding), weigh(&two, coding), "{} {:?} {:?}", coding, one, two);
            }
        }
    }

    #[test]
    fn order_and_white_space_never_change_the_key(
        (one, two) in accepted().prop_flat_map(|one| (Just(one.clone()), Just(one).prop_shuffle())),
    ) {
        for normalization in [Normalization::new(), Normalization::new().codings(["br"])] {
            let key = |line: String| key_in(&normalization, "accept-encoding", &[&line]);
            prop_assert_eq!(key(write(&one, ",")), key(write(&two, " ,\t, ")));
        }
    }

    #[test]
    fn any_octets_have_a_key_and_repeat_it(line in proptest::collection::vec(0x20_u8..=0xff, 0..80)) {
        prop_assume!(!line.contains(&0x7f));
        let value = HeaderValue::from_bytes(&line).unwrap();
        let normalization = Normalization::new().codings(["br"]).languages(["de", "en"]);
        for name in ["accept", "accept-encoding", "accept-language", "cookie", "user-agent", "x-any"] {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value.clone())]);
            let vary = VaryFields::from_names([name]);
            prop_assert_eq!(vary.key(&headers, &normalization), vary.key(&headers, &normalization));
            prop_assert_ne!(vary.key(&headers, &normalization), vary.key(&HeaderMap::new(), &normalization));
        }
    }
}
