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
mod tests;
