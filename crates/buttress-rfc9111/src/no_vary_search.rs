//! Which part of the query matters: `No-Vary-Search` (draft-ietf-httpbis-no-vary-search).
//!
//! A response says that some parameters of its URI, or their order, make no difference, such as those that only count
//! visitors. A cache then stores it under the URI with a [canonical query](NoVarySearch::normalise): two queries that are
//! equal under the policy give the same text, and no others do.
//!
//! | in the field | what counts |
//! |---|---|
//! | absent, empty, malformed, or of another type | the whole query, octet for octet |
//! | `key-order` | all parameters, but not the order of their names |
//! | `params=("a" "b")` | all parameters but these |
//! | `params` | none |
//! | `params, except=("a" "b")` | these only |
//! | more than [`MAX_NAMES`] names | the whole query, octet for octet |
//! | any other member | it is ignored |
//!
//! Under a policy, the query is read as a form: `+` and `%20` are a space, `a` is `a=`, empty parameters are dropped, no
//! query is an empty one, and octets that are not UTF-8 are all U+FFFD, so that `%e4` and `%f6` are equal.
//!
//! ```
//! use buttress_rfc9111::no_vary_search::{self, NO_VARY_SEARCH, NoVarySearch};
//! use http::{HeaderMap, HeaderValue};
//!
//! let value = HeaderValue::from_static(r#"key-order, params=("utm_source")"#);
//! let policy = no_vary_search::of(&HeaderMap::from_iter([(NO_VARY_SEARCH, value)]));
//! assert_eq!(policy.normalise(Some("utm_source=mail&b=2&a=1")).as_deref(), Some("a=1&b=2"));
//! assert_eq!(policy.normalise(Some("a=%31&b=2")).as_deref(), Some("a=1&b=2"));
//! assert_eq!(policy.normalise(Some("utm_source=mail")), None);
//! assert_eq!(NoVarySearch::from_text(&policy.to_text()), Some(policy));
//! ```

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, Item, ListEntry, Parser};

mod form;

/// `No-Vary-Search`.
pub const NO_VARY_SEARCH: HeaderName = HeaderName::from_static("no-vary-search");

/// A field with more names than this is as if it were absent.
pub const MAX_NAMES: usize = 64;

/// What of a query makes a difference. By default all of it does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NoVarySearch {
    any_order: bool,
    counted: Counted,
}

/// The parameters that count; the names are decoded and sorted, each once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Counted {
    AllBut(Vec<String>),
    Only(Vec<String>),
}

/// The policy that a response states; the default when it states none that can be read.
///
/// All lines of the field are one dictionary, and the last of two members with the same name holds.
#[must_use]
pub fn of(response: &HeaderMap) -> NoVarySearch {
    read(response.get_all(NO_VARY_SEARCH).into_iter().map(|line| line.as_bytes())).unwrap_or_default()
}

fn read<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<NoVarySearch> {
    let mut members = Dictionary::new();
    for line in lines {
        Parser::new(line).parse_dictionary_with_visitor(&mut members).ok()?;
    }
    Some(NoVarySearch { any_order: any_order(&members)?, counted: counted(&members)? })
}

fn any_order(members: &Dictionary) -> Option<bool> {
    members.get("key-order").map_or(Some(false), boolean)
}

/// `None` if there is anything unexpected: fewer hits are better than wrong ones.
fn counted(members: &Dictionary) -> Option<Counted> {
    let Some(params) = members.get("params") else {
        return (!members.contains_key("except")).then(Counted::default);
    };
    match (boolean(params), members.get("except")) {
        (Some(true), None) => Some(Counted::Only(Vec::new())),
        (Some(true), Some(except)) => names(except).map(Counted::Only),
        (_, Some(_)) => None,
        (Some(false), None) => Some(Counted::default()),
        (None, None) => names(params).map(Counted::AllBut),
    }
}

fn boolean(value: &ListEntry) -> Option<bool> {
    match value {
        ListEntry::Item(Item { bare_item: BareItem::Boolean(value), .. }) => Some(*value),
        _ => None,
    }
}

/// An inner list of strings, which are encoded as in a form.
fn names(value: &ListEntry) -> Option<Vec<String>> {
    let ListEntry::InnerList(list) = value else { return None };
    let name = |item: &Item| match &item.bare_item {
        BareItem::String(name) => Some(form::decode(name.as_str())),
        _ => None,
    };
    let mut names = list.items.iter().map(name).collect::<Option<Vec<_>>>()?;
    names.sort_unstable();
    names.dedup();
    (names.len() <= MAX_NAMES).then_some(names)
}

// === impl NoVarySearch ===

impl NoVarySearch {
    /// Whether the whole query counts, octet for octet: nothing has to be remembered then.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The query as it is under this policy: equal ones, and only those, give the same text. `None` is no query, or
    /// none of which any part counts.
    ///
    /// What comes out can go in again and does not change. Costs nothing for the default policy.
    #[must_use]
    pub fn normalise<'a>(&self, query: Option<&'a str>) -> Option<Cow<'a, str>> {
        let query = query?;
        if self.is_default() {
            return Some(Cow::Borrowed(query));
        }
        if self.counted == Counted::Only(Vec::new()) {
            return None;
        }
        let mut pairs: Vec<_> = form::pairs(query).filter(|(name, _)| self.counted.includes(name)).collect();
        if self.any_order {
            // Stable: the values of one name keep their order.
            pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        (!pairs.is_empty()).then(|| Cow::Owned(form::write(&pairs)))
    }

    /// The policy as text: the shortest field value that states it, and nothing for the default.
    #[must_use]
    pub fn to_text(&self) -> String {
        let order = self.any_order.then(|| "key-order".to_owned());
        let counted = match &self.counted {
            Counted::AllBut(names) if names.is_empty() => None,
            Counted::AllBut(names) => Some(format!("params=({})", quoted(names))),
            Counted::Only(names) if names.is_empty() => Some("params".to_owned()),
            Counted::Only(names) => Some(format!("params, except=({})", quoted(names))),
        };
        order.into_iter().chain(counted).collect::<Vec<_>>().join(", ")
    }

    /// Reads what [`to_text`](Self::to_text) wrote, or any field value; `None` if malformed.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        read(std::iter::once(text.as_bytes()))
    }
}

/// An encoded name has nothing in it that a quoted string would have to escape.
fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("\"{}\"", form::encode(name))).collect::<Vec<_>>().join(" ")
}

// === impl Counted ===

impl Counted {
    fn includes(&self, name: &str) -> bool {
        let is_in = |names: &[String]| names.binary_search_by(|known| known.as_str().cmp(name)).is_ok();
        match self {
            Self::AllBut(names) => !is_in(names),
            Self::Only(names) => is_in(names),
        }
    }
}

impl Default for Counted {
    fn default() -> Self {
        Self::AllBut(Vec::new())
    }
}

#[cfg(test)]
mod tests;
