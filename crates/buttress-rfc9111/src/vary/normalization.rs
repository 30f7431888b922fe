//! The normal form of one request field.

use http::HeaderValue;
use http::header::{self, GetAll, HeaderMap, HeaderName};

use super::negotiation::Preferences;
use super::with_length;

/// More configured languages than these are not told apart; see [`Normalization::languages`].
const MAX_LANGUAGES: usize = 64;

/// Fields that are no lists, or whose octets are a secret or a name: nothing in them may be touched.
const EXACT: [HeaderName; 17] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::DATE,
    header::FROM,
    header::HOST,
    header::IF_MODIFIED_SINCE,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::ORIGIN,
    header::PROXY_AUTHORIZATION,
    header::RANGE,
    header::REFERER,
    header::SEC_WEBSOCKET_KEY,
    header::UPGRADE_INSECURE_REQUESTS,
    header::USER_AGENT,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-auth-token"),
];

/// How request fields are brought into a normal form before they become part of a secondary key.
///
/// | field | normal form |
/// |---|---|
/// | `Accept-Encoding` | codings in lower case, `x-gzip` as `gzip`, by weight, then by name; what is not accepted anyway is left out |
/// | `Accept-Language` | ranges in lower case, by weight; equal weights keep their order, which may be meant (RFC 9110 section 12.5.4) |
/// | `Accept` | media ranges with type and parameter names in lower case, by weight; equal weights keep their order |
/// | `Cookie` | octet for octet, several lines joined with `; ` (RFC 9113 section 8.2.3) |
/// | `Authorization`, `User-Agent`, `Referer`, `Origin`, `Host`, dates, [`exact`](Self::exact) ones | octet for octet, line for line |
/// | any other | lines joined with a comma, white space around commas outside quotes made one space |
///
/// A negotiation field that is malformed or contradicts itself (`gzip, gzip;q=0`) is treated like any other field.
/// Equal to every sender is only what the standard calls equal; [`codings`](Self::codings) and
/// [`languages`](Self::languages) say more about one's own origin and so bring together more requests.
#[derive(Clone, Debug, Default)]
pub struct Normalization {
    codings: Option<Vec<String>>,
    languages: Option<Vec<String>>,
    exact: Vec<HeaderName>,
}

/// Tells normal forms apart, so that a value in one never equals a value in another.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    Absent,
    List,
    Exact,
    Meaning,
    Reduced,
}

type Lines<'a> = GetAll<'a, HeaderValue>;

// === impl Normalization ===

impl Normalization {
    /// What the standard calls equal, and nothing more.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The content codings that the origin can answer with, without `identity`. Default: unknown, all are told apart.
    ///
    /// `Accept-Encoding` is then reduced to the order in which it prefers these codings and `identity`. Right if the
    /// origin looks at nothing else in that field.
    #[must_use]
    pub fn codings<C: AsRef<str>>(mut self, codings: impl IntoIterator<Item = C>) -> Self {
        let codings = codings.into_iter().map(|coding| coding.as_ref().to_ascii_lowercase());
        self.codings = Some(codings.filter(|coding| coding != "identity").collect());
        self
    }

    /// The language tags that the origin can answer with. Default: unknown, all are told apart.
    ///
    /// `Accept-Language` is then reduced to those of them that it asks for, in its order: for each range the longest
    /// tag that the range itself or its beginning names (RFC 4647 section 3.4), then those that begin with the range
    /// (section 3.3.1). Not to the first one alone, so that a page that lacks a translation can fall back. At most 64
    /// tags; if there are more the field is not reduced at all.
    #[must_use]
    pub fn languages<L: AsRef<str>>(mut self, languages: impl IntoIterator<Item = L>) -> Self {
        let languages: Vec<_> = languages.into_iter().map(|tag| tag.as_ref().to_ascii_lowercase()).collect();
        self.languages = Some(languages).filter(|languages| languages.len() <= MAX_LANGUAGES);
        self
    }

    /// Takes one more field octet for octet. For fields of one's own that carry commas and are not lists.
    #[must_use]
    pub fn exact(mut self, name: HeaderName) -> Self {
        self.exact.push(name);
        self
    }

    /// Appends the normal form of one field.
    pub(super) fn append(&self, request: &HeaderMap, name: &HeaderName, key: &mut Vec<u8>) {
        let lines = request.get_all(name);
        if lines.iter().next().is_none() {
            key.push(Kind::Absent as u8);
        } else if name == header::ACCEPT_ENCODING {
            self.append_encoding(&lines, key);
        } else if name == header::ACCEPT_LANGUAGE {
            self.append_language(&lines, key);
        } else if name == header::ACCEPT {
            append_accept(&lines, key);
        } else if name == header::COOKIE {
            append(key, Kind::Exact, |key| append_cookie(&lines, key));
        } else if EXACT.contains(name) || self.exact.contains(name) {
            append(key, Kind::Exact, |key| append_exact(&lines, key));
        } else {
            append(key, Kind::List, |key| append_list(&lines, key));
        }
    }

    fn append_encoding(&self, lines: &Lines<'_>, key: &mut Vec<u8>) {
        match (Preferences::of_codings(lines.iter()), &self.codings) {
            (Some(accepted), None) => append(key, Kind::Meaning, |key| accepted.write_codings(key)),
            (Some(accepted), Some(offered)) => append(key, Kind::Reduced, |key| accepted.reduce_codings(offered, key)),
            (None, _) => append(key, Kind::List, |key| append_list(lines, key)),
        }
    }

    fn append_language(&self, lines: &Lines<'_>, key: &mut Vec<u8>) {
        match (Preferences::of_languages(lines.iter()), &self.languages) {
            (Some(accepted), None) => append(key, Kind::Meaning, |key| accepted.write(key)),
            (Some(accepted), Some(offered)) => {
                append(key, Kind::Reduced, |key| accepted.reduce_languages(offered, key))
            }
            (None, _) => append(key, Kind::List, |key| append_list(lines, key)),
        }
    }
}

fn append_accept(lines: &Lines<'_>, key: &mut Vec<u8>) {
    match Preferences::of_media(lines.iter()) {
        Some(accepted) => append(key, Kind::Meaning, |key| accepted.write(key)),
        None => append(key, Kind::List, |key| append_list(lines, key)),
    }
}

fn append(key: &mut Vec<u8>, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
    key.push(kind as u8);
    with_length(key, write);
}

/// A recipient may combine lines with a comma without changing what they mean (RFC 9110 section 5.3).
fn append_list(lines: &Lines<'_>, key: &mut Vec<u8>) {
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            key.extend_from_slice(b", ");
        }
        append_list_line(line.as_bytes().trim_ascii(), key);
    }
}

fn append_list_line(line: &[u8], key: &mut Vec<u8>) {
    let start = key.len();
    for (at, member) in split_unquoted(line, b',').enumerate() {
        if at > 0 {
            key.extend_from_slice(b", ");
        }
        let Some(member) = member else {
            key.truncate(start);
            key.extend_from_slice(line);
            return;
        };
        key.extend_from_slice(member.trim_ascii());
    }
}

fn append_cookie(lines: &Lines<'_>, key: &mut Vec<u8>) {
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            key.extend_from_slice(b"; ");
        }
        key.extend_from_slice(line.as_bytes());
    }
}

fn append_exact(lines: &Lines<'_>, key: &mut Vec<u8>) {
    for line in lines.iter() {
        with_length(key, |key| key.extend_from_slice(line.as_bytes()));
    }
}

/// The parts between separators outside quoted strings; a last `None` if a quoted string is not closed.
pub(super) fn split_unquoted(text: &[u8], separator: u8) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let (mut quoted, mut escaped) = (false, false);
        for (at, &octet) in text.iter().enumerate() {
            if quoted && !escaped && octet == b'\\' {
                escaped = true;
                continue;
            }
            if octet == b'"' && !escaped {
                quoted = !quoted;
            }
            escaped = false;
            if octet == separator && !quoted {
                rest = Some(&text[at + 1..]);
                return Some(Some(&text[..at]));
            }
        }
        Some((!quoted).then_some(text))
    })
}

#[cfg(test)]
mod tests {
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
        check(&["\"a ,b"], &["\"a,b"], false);
    }

    #[test]
    fn secrets_and_names_are_taken_octet_for_octet() {
        let check = |name, one: &[&str], two: &[&str], equal| check(&Normalization::new(), name, one, two, equal);
        check("authorization", &["Bearer a,b"], &["Bearer a, b"], false);
        check("authorization", &["Bearer a"], &["bearer a"], false);
        check("authorization", &["a", "b"], &["a, b"], false);
        check("user-agent", &["A (b,c)"], &["A (b, c)"], false);
        check("origin", &["https://a.example"], &["https://A.example"], false);
        check("cookie", &["a=1; b=2"], &["a=1", "b=2"], true);
        check("cookie", &["a=1; b=2"], &["b=2; a=1"], false);
        check("cookie", &["a=1,2"], &["a=1, 2"], false);
        let exact = Normalization::new().exact(HeaderName::from_static("x-feature"));
        tests::check(&exact, "x-feature", &["a,b"], &["a, b"], false);
    }

    #[test]
    fn accept_encoding_is_compared_by_meaning() {
        let check =
            |one: &[&str], two: &[&str], equal| check(&Normalization::new(), "accept-encoding", one, two, equal);
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
}
