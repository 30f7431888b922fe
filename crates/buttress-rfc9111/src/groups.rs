//! By what responses can be made invalid together: `Cache-Groups` (RFC 9875), and the tags that caches know by custom.
//!
//! ```
//! use buttress_rfc9111::groups::{self, Groups};
//! use http::{HeaderMap, HeaderValue, Method, StatusCode};
//!
//! let mut response = HeaderMap::new();
//! response.insert("cache-groups", HeaderValue::from_static(r#""scripts", "styles""#));
//! assert_eq!(groups::of(&response), Groups::Listed(vec!["scripts".to_owned(), "styles".to_owned()]));
//!
//! response.insert("cache-group-invalidation", HeaderValue::from_static(r#""scripts""#));
//! assert_eq!(groups::invalidated(&Method::POST, StatusCode::OK, &response), ["scripts"]);
//! assert!(groups::invalidated(&Method::GET, StatusCode::OK, &response).is_empty());
//! ```

use http::header::HeaderName;
use http::{HeaderMap, Method, StatusCode};
use sfv::{BareItem, List, ListEntry, Parser};

use crate::invalidation;

/// Where custom has tags: `Surrogate-Key` (separated by spaces) and `Cache-Tag` (by commas). They speak to caches, not to
/// clients.
pub const TAG_FIELDS: [HeaderName; 2] = [SURROGATE_KEY, CACHE_TAG];

/// More names than these, of more bytes, are not read. RFC 9875 asks for 32 names of 32 characters at least.
const MOST_NAMES: usize = 64;
const LONGEST_NAME: usize = 1024;

const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");
const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");
const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");

/// The names that a response is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Groups {
    /// It says none.
    None,
    /// These, each once, in order.
    Listed(Vec<String>),
    /// It says some, but not which: whoever makes a group invalid would miss this response. So it should not be stored.
    Malformed,
}

/// The groups of a response (RFC 9875 section 2). They are names within its origin. Parameters are ignored.
pub fn of(response: &HeaderMap) -> Groups {
    list(response, &CACHE_GROUPS)
}

/// The groups that a response makes invalid (RFC 9875 section 3): if it is the success of an unsafe method. What is
/// malformed names none.
pub fn invalidated(method: &Method, status: StatusCode, response: &HeaderMap) -> Vec<String> {
    if !invalidation::invalidates(method, status) {
        return Vec::new();
    }
    match list(response, &CACHE_GROUP_INVALIDATION) {
        Groups::Listed(names) => names,
        Groups::None | Groups::Malformed => Vec::new(),
    }
}

/// The tags of a response, by custom: those of all [`TAG_FIELDS`] together, visible ASCII.
pub fn tags(response: &HeaderMap) -> Groups {
    let mut names = Names::default();
    for field in TAG_FIELDS {
        let separates = |byte: &u8| if field == CACHE_TAG { *byte == b',' } else { *byte == b' ' || *byte == b'\t' };
        for line in response.get_all(&field) {
            for name in line.as_bytes().split(separates) {
                let name = name.trim_ascii();
                let is_visible = name.iter().all(|byte| matches!(byte, b' '..=b'~'));
                match std::str::from_utf8(name) {
                    Ok("") => {}
                    Ok(name) if is_visible && names.add(name) => {}
                    _ => return Groups::Malformed,
                }
            }
        }
    }
    names.into_groups()
}

fn list(response: &HeaderMap, field: &HeaderName) -> Groups {
    let lines: Vec<_> = response.get_all(field).iter().map(|line| line.as_bytes()).collect();
    if lines.is_empty() {
        return Groups::None;
    }
    let Ok(list) = Parser::new(&lines.join(&b", "[..])).parse::<List>() else { return Groups::Malformed };
    let mut names = Names::default();
    for entry in &list {
        match entry {
            ListEntry::Item(item) => match &item.bare_item {
                BareItem::String(name) if names.add(name.as_str()) => {}
                _ => return Groups::Malformed,
            },
            ListEntry::InnerList(_) => return Groups::Malformed,
        }
    }
    names.into_groups()
}

#[derive(Default)]
struct Names(Vec<String>);

// === impl Names ===

impl Names {
    /// Adds a name unless it is there. False if it is too long, or one too many.
    fn add(&mut self, name: &str) -> bool {
        if self.0.iter().any(|known| known == name) {
            return true;
        }
        let fits = self.0.len() < MOST_NAMES && name.len() <= LONGEST_NAME;
        if fits {
            self.0.push(name.to_owned());
        }
        fits
    }

    fn into_groups(self) -> Groups {
        if self.0.is_empty() { Groups::None } else { Groups::Listed(self.0) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::headers;

    fn listed(names: &[&str]) -> Groups {
        Groups::Listed(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[track_caller]
    fn check(text: &str, expected: Groups) {
        assert_eq!(of(&headers(text)), expected, "{text}");
    }

    #[track_caller]
    fn check_tags(text: &str, expected: Groups) {
        assert_eq!(tags(&headers(text)), expected, "{text}");
    }

    #[test]
    fn rfc9875_2_a_list_of_strings() {
        check("", Groups::None);
        check("cache-groups: \"a\"", listed(&["a"]));
        check("cache-groups: \"a\", \"b\";x=1, \"a\"", listed(&["a", "b"]));
        check("cache-groups: \"a\"\ncache-groups: \"b\"", listed(&["a", "b"]));
        check("cache-groups: \"\"", listed(&[""]));
        check("cache-groups: a", Groups::Malformed);
        check("cache-groups: \"a\", b", Groups::Malformed);
        check("cache-groups: (\"a\")", Groups::Malformed);
        check("cache-groups: \"a", Groups::Malformed);
        check("cache-groups: \"a\",", Groups::Malformed);
        check("cache-groups: \"\u{e4}\"", Groups::Malformed);
    }

    #[test]
    fn rfc9875_2_as_many_as_have_to_be_read() {
        let field = |count: usize, len: usize| {
            let names: Vec<_> = (0..count).map(|number| format!("\"{number:0len$}\"")).collect();
            format!("cache-groups: {}", names.join(", "))
        };
        assert!(matches!(of(&headers(&field(33, 32))), Groups::Listed(names) if names.len() == 33));
        assert!(matches!(of(&headers(&field(64, 1))), Groups::Listed(names) if names.len() == 64));
        check(&field(65, 3), Groups::Malformed);
        check(&field(1, 1025), Groups::Malformed);
    }

    #[test]
    fn rfc9875_3_only_the_success_of_an_unsafe_method_makes_invalid() {
        let response = headers("cache-group-invalidation: \"a\", \"b\"");
        for (method, status, expected) in [
            (Method::POST, 200, 2),
            (Method::DELETE, 204, 2),
            (Method::POST, 303, 2),
            (Method::POST, 404, 0),
            (Method::POST, 500, 0),
            (Method::GET, 200, 0),
            (Method::HEAD, 200, 0),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(invalidated(&method, status, &response).len(), expected, "{method} {status}");
        }
        let malformed = headers("cache-group-invalidation: a");
        assert!(invalidated(&Method::POST, StatusCode::OK, &malformed).is_empty());
    }

    #[test]
    fn tags_by_custom() {
        check_tags("", Groups::None);
        check_tags("surrogate-key: a b  c", listed(&["a", "b", "c"]));
        check_tags("surrogate-key: a,b", listed(&["a,b"]));
        check_tags("cache-tag: a, b ,c d", listed(&["a", "b", "c d"]));
        check_tags("surrogate-key: a b\ncache-tag: b, c", listed(&["a", "b", "c"]));
        check_tags("cache-tag: ,", Groups::None);
        check_tags("cache-tag: \u{e4}", Groups::Malformed);
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in prop::collection::vec(32u8..255, 0..200)) {
            if let Ok(value) = http::HeaderValue::from_bytes(&bytes) {
                let mut response = HeaderMap::new();
                for name in ["cache-groups", "cache-group-invalidation", "cache-tag", "surrogate-key"] {
                    response.insert(name, value.clone());
                }
                of(&response);
                tags(&response);
                invalidated(&Method::POST, StatusCode::OK, &response);
            }
        }
    }
}
