//! Names under which responses are invalidated together: `Cache-Groups` (RFC 9875) and the tags of content networks.
//!
//! The origin says which groups a response belongs to, and a response to a later POST says which groups are invalid now.
//! Groups are those of one origin: the caller never lets one site empty the cache of another (RFC 9875 section 2.1).
//!
//! A response whose groups cannot be read must not be stored, since whoever invalidates a group would miss it. The same
//! holds for [`tags`], which say the same in older words.
//!
//! | in the field | outcome |
//! |---|---|
//! | absent, or a list without a member | [`Groups::None`] |
//! | strings, with any parameters | [`Groups::Listed`], each once and in order |
//! | a token, a number, an inner list, anything but a list | [`Groups::Malformed`] |
//! | a string that one line opens and another closes | [`Groups::Malformed`] |
//! | more than [`MAX_GROUPS`] names, or one of more than [`MAX_LENGTH`] bytes | [`Groups::Malformed`] |
//!
//! ```
//! use buttress_rfc9111::groups::{self, Groups};
//! use http::{HeaderMap, HeaderValue, Method, StatusCode};
//!
//! let mut stored = HeaderMap::new();
//! stored.insert(groups::CACHE_GROUPS, HeaderValue::from_static(r#""scripts", "shop""#));
//! assert_eq!(groups::of(&stored), Groups::Listed(vec!["scripts".into(), "shop".into()]));
//!
//! let mut response = HeaderMap::new();
//! response.insert(groups::CACHE_GROUP_INVALIDATION, HeaderValue::from_static(r#""shop""#));
//! assert_eq!(groups::invalidated(&Method::POST, StatusCode::OK, &response), ["shop"]);
//! assert!(groups::invalidated(&Method::GET, StatusCode::OK, &response).is_empty());
//! ```

use http::{HeaderMap, HeaderName, Method, StatusCode};
use sfv::{BareItem, Item, List, ListEntry, Parser};

use crate::invalidation;

/// `Cache-Groups`: the groups that a response belongs to.
pub const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");

/// `Cache-Group-Invalidation`: the groups that a response makes invalid.
pub const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

/// The fields that [`tags`] reads: `Surrogate-Key` and `Cache-Tag`. They are meant for caches, not for clients.
pub const TAG_FIELDS: [HeaderName; 2] =
    [HeaderName::from_static("surrogate-key"), HeaderName::from_static("cache-tag")];

/// A response with more names than this counts as malformed (RFC 9875 section 2 demands at least 32).
pub const MAX_GROUPS: usize = 64;

/// A name of more bytes than this is malformed (RFC 9875 section 2 demands at least 32).
pub const MAX_LENGTH: usize = 1024;

/// The names that a response states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Groups {
    /// It states none.
    None,
    /// These: at least one, each once, in the order of the field. They are equal only octet for octet.
    Listed(Vec<String>),
    /// What it states cannot be read: do not store it.
    Malformed,
}

/// The groups that a response belongs to (RFC 9875 section 2).
#[must_use]
pub fn of(response: &HeaderMap) -> Groups {
    strings(response, &CACHE_GROUPS)
}

/// The groups that are invalid after this response: none when the method is safe, the response an error or the field
/// malformed (RFC 9875 section 3).
///
/// It goes no further: what shares another group with a response in these groups stays valid (section 2.2.1).
#[must_use]
pub fn invalidated(method: &Method, status: StatusCode, response: &HeaderMap) -> Vec<String> {
    if !invalidation::invalidates(method, status) {
        return Vec::new();
    }
    match strings(response, &CACHE_GROUP_INVALIDATION) {
        Groups::Listed(names) => names,
        Groups::None | Groups::Malformed => Vec::new(),
    }
}

/// The tags of a response, from both [`TAG_FIELDS`] together.
///
/// `Surrogate-Key` separates them by spaces, `Cache-Tag` by commas. A tag is visible ASCII: one with a space in it, or
/// with other octets, is malformed. Upper and lower case differ, although some networks hold them equal in `Cache-Tag`.
#[must_use]
pub fn tags(response: &HeaderMap) -> Groups {
    let [surrogate_key, cache_tag] = TAG_FIELDS;
    let keys = parts(response, surrogate_key, |octet| matches!(octet, b' ' | b'\t'));
    let tags = parts(response, cache_tag, |octet| octet == b',');
    collect(keys.chain(tags).map(visible))
}

/// The trimmed parts of all lines of a field, without empty ones.
fn parts(headers: &HeaderMap, field: HeaderName, separates: fn(u8) -> bool) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(field).into_iter().map(|line| line.as_bytes());
    let parts = lines.flat_map(move |line| line.split(move |octet| separates(*octet))).map(<[u8]>::trim_ascii);
    parts.filter(|part| !part.is_empty())
}

fn visible(part: &[u8]) -> Option<&str> {
    let is_visible = part.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(part).ok().filter(|_| is_visible)
}

/// The members of a list of strings.
///
/// Each line is read by itself, so that two broken lines do not make a name with a comma in it that nobody wrote.
fn strings(headers: &HeaderMap, field: &HeaderName) -> Groups {
    let mut members = List::new();
    for line in headers.get_all(field) {
        if Parser::new(line.as_bytes()).parse_list_with_visitor(&mut members).is_err() {
            return Groups::Malformed;
        }
    }
    collect(members.iter().map(string))
}

/// The string of a member, whatever its parameters.
fn string(member: &ListEntry) -> Option<&str> {
    match member {
        ListEntry::Item(Item { bare_item: BareItem::String(text), .. }) => Some(text.as_str()),
        _ => None,
    }
}

/// Each name once, in order. `None` is a name that cannot be read.
fn collect<'a>(names: impl Iterator<Item = Option<&'a str>>) -> Groups {
    let mut listed: Vec<String> = Vec::new();
    for name in names {
        let Some(name) = name.filter(|name| name.len() <= MAX_LENGTH) else { return Groups::Malformed };
        if listed.iter().any(|known| known == name) {
            continue;
        }
        if listed.len() == MAX_GROUPS {
            return Groups::Malformed;
        }
        listed.push(name.to_owned());
    }
    if listed.is_empty() { Groups::None } else { Groups::Listed(listed) }
}

// === impl Groups ===

impl Groups {
    /// The names; empty if there are none, and if they cannot be read.
    #[must_use]
    pub fn names(&self) -> &[String] {
        match self {
            Self::Listed(names) => names,
            Self::None | Self::Malformed => &[],
        }
    }

    /// Which of the three it is, for logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::None => "no-groups",
            Self::Listed(_) => "groups",
            Self::Malformed => "groups-malformed",
        }
    }
}

#[cfg(test)]
mod tests;
