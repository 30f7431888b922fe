//! Cache directives for some caches only, such as `CDN-Cache-Control` (RFC 9213).
//!
//! A cache has a list of such fields, in order. The first one that is present, is a valid structured field and is not
//! empty takes the place of `Cache-Control` **and** `Expires`; the others have no effect. A field that cannot be parsed
//! counts as absent. Fields that are not in the list, and those that are, pass through untouched.
//!
//! These fields are structured (RFC 9651), so they are read more strictly than `Cache-Control`: `max-age="60"` and
//! `max-age=60.0` state no lifetime, `MAX-AGE=60` makes the field invalid, and the last of two members wins. A flag with
//! a value of another type than boolean is set, since that is the more restrictive reading.
//!
//! ```
//! use std::time::Duration;
//! use buttress_rfc9111::targeted;
//! use http::{HeaderMap, HeaderName, HeaderValue, header};
//!
//! let mut headers = HeaderMap::new();
//! headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
//! headers.insert(header::CDN_CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
//! let directives = targeted::directives(&headers, &[header::CDN_CACHE_CONTROL]);
//! assert_eq!(directives.max_age, Some(Duration::from_secs(60)));
//! assert!(directives.targeted && !directives.no_store);
//! ```

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, FieldType as _, Item, ListEntry, Parser};

use crate::cache_control::{Extension, FieldNames, MAX_DELTA, ResponseDirectives};

/// The directives that apply to a cache which listens to these fields, in order: from the first valid one, or else
/// from `Cache-Control` (RFC 9213 section 2.2).
///
/// Costs a look-up for each field when none is present.
pub fn directives(headers: &HeaderMap, fields: &[HeaderName]) -> ResponseDirectives {
    let targeted = fields.iter().find_map(|field| parse(headers, field));
    targeted.unwrap_or_else(|| ResponseDirectives::from_headers(headers))
}

/// Whether a field tells some caches alone what `Cache-Control` tells all, or did so before there was a standard for it
/// (`Surrogate-Control`); `name` is in lower case.
#[must_use]
pub fn is_targeted(name: &str) -> bool {
    name.ends_with("-cache-control") || name == "surrogate-control"
}

/// Takes all such fields out of a message. Allocates nothing when there is none.
pub fn remove_all(headers: &mut HeaderMap) {
    while let Some(name) = headers.keys().find(|name| is_targeted(name.as_str())).cloned() {
        headers.remove(name);
    }
}

/// The directives in this field; `None` when it is absent, empty or malformed.
fn parse(headers: &HeaderMap, field: &HeaderName) -> Option<ResponseDirectives> {
    let value = combined(headers, field)?;
    let members: Dictionary = Parser::new(&*value).parse().ok()?;
    if members.is_empty() {
        return None;
    }
    let mut directives = ResponseDirectives { targeted: true, ..ResponseDirectives::default() };
    for (name, value) in &members {
        add(&mut directives, name.as_str(), value);
    }
    Some(directives)
}

/// All lines of a field as one value (RFC 9651 section 4.2); copied only if there are several.
fn combined<'a>(headers: &'a HeaderMap, field: &HeaderName) -> Option<Cow<'a, [u8]>> {
    let mut lines = headers.get_all(field).into_iter().map(|line| line.as_bytes());
    let first = lines.next()?;
    Some(lines.fold(Cow::Borrowed(first), |all, line| Cow::Owned([&all, line].join(&b", "[..]))))
}

fn add(directives: &mut ResponseDirectives, name: &str, value: &ListEntry) {
    match name {
        "max-age" => directives.max_age = delta(value),
        "s-maxage" => directives.s_maxage = delta(value),
        "stale-while-revalidate" => directives.stale_while_revalidate = delta(value),
        "stale-if-error" => directives.stale_if_error = delta(value),
        "no-cache" => directives.no_cache = fields(value),
        "private" => directives.private = fields(value),
        _ => match directives.flag(name) {
            Some(flag) => *flag = !is_false(value),
            None => directives.extensions.push(extension(name, value)),
        },
    }
}

/// A whole number of seconds; a negative one is 0. Anything else states nothing: RFC 9213 section 2.1 forbids to coerce.
fn delta(value: &ListEntry) -> Option<Duration> {
    let ListEntry::Item(Item { bare_item: BareItem::Integer(number), .. }) = value else { return None };
    let seconds = u64::try_from(i64::from(*number)).unwrap_or_default();
    Some(Duration::from_secs(seconds).min(MAX_DELTA))
}

/// A string that lists field names; any other value but `?0` speaks of the whole response.
fn fields(value: &ListEntry) -> Option<FieldNames> {
    if is_false(value) {
        return None;
    }
    let ListEntry::Item(Item { bare_item: BareItem::String(names), .. }) = value else { return Some(FieldNames::All) };
    Some(FieldNames::from_list(names.as_str().as_bytes()))
}

fn is_false(value: &ListEntry) -> bool {
    matches!(value, ListEntry::Item(Item { bare_item: BareItem::Boolean(false), .. }))
}

fn extension(name: &str, value: &ListEntry) -> Extension {
    let text = match value {
        ListEntry::Item(item) => match &item.bare_item {
            BareItem::Boolean(true) => None,
            BareItem::String(text) => Some(text.as_str().to_owned()),
            other => Some(Item::new(other.clone()).serialize()),
        },
        ListEntry::InnerList(list) => sfv::List::from([ListEntry::InnerList(list.clone())]).serialize(),
    };
    Extension::from_parts(name, text.as_deref().map(str::as_bytes))
}

#[cfg(test)]
mod tests {
    use http::header::CDN_CACHE_CONTROL;

    use super::*;
    use crate::testing::{headers, seconds};

    fn found(lines: &str) -> ResponseDirectives {
        directives(&headers(lines), &[HeaderName::from_static("own-cache-control"), CDN_CACHE_CONTROL])
    }

    /// Compares with what `Cache-Control: max-age=1` beside it gives, if the field does not count.
    #[track_caller]
    fn check(value: &str, expected: Option<ResponseDirectives>) {
        let lines = format!("CDN-Cache-Control: {value}\nCache-Control: max-age=1");
        let untargeted = ResponseDirectives { max_age: Some(seconds(1)), ..ResponseDirectives::default() };
        assert_eq!(found(&lines), expected.unwrap_or(untargeted), "{value}");
    }

    fn says() -> ResponseDirectives {
        ResponseDirectives { targeted: true, ..ResponseDirectives::default() }
    }

    #[test]
    fn rfc9213_2_1_each_type() {
        check("max-age=60", Some(ResponseDirectives { max_age: Some(seconds(60)), ..says() }));
        check("s-maxage=60;ext=1", Some(ResponseDirectives { s_maxage: Some(seconds(60)), ..says() }));
        check("max-age=-60", Some(ResponseDirectives { max_age: Some(seconds(0)), ..says() }));
        check("max-age=999999999999999", Some(ResponseDirectives { max_age: Some(MAX_DELTA), ..says() }));
        check("max-age=60, max-age=90", Some(ResponseDirectives { max_age: Some(seconds(90)), ..says() }));
        check("stale-if-error=5", Some(ResponseDirectives { stale_if_error: Some(seconds(5)), ..says() }));
        check("no-store", Some(ResponseDirectives { no_store: true, ..says() }));
        check("no-store=?1", Some(ResponseDirectives { no_store: true, ..says() }));
        check("no-store=1", Some(ResponseDirectives { no_store: true, ..says() }));
        check("no-store=?0", Some(says()));
        check("must-revalidate", Some(ResponseDirectives { must_revalidate: true, ..says() }));
        check("private", Some(ResponseDirectives { private: Some(FieldNames::All), ..says() }));
        check("private=?0", Some(says()));
        check("private=x-a", Some(ResponseDirectives { private: Some(FieldNames::All), ..says() }));
        let listed = Some(FieldNames::Listed(vec![HeaderName::from_static("x-a")]));
        check("no-cache=\"X-A\"", Some(ResponseDirectives { no_cache: listed, ..says() }));
    }

    #[test]
    fn rfc9213_2_1_nothing_is_coerced() {
        for value in ["max-age=60.0", "max-age=60.5", "max-age=\"60\"", "max-age", "max-age=abc", "max-age=(60)"] {
            check(value, Some(says()));
        }
    }

    #[test]
    fn rfc9213_2_2_an_empty_or_malformed_field_is_absent() {
        for value in
            ["", "max-age=60, &&", "MAX-AGE=60", "max-age=60,", "max-age =60", "max-age= 60", "max-age=60 60", "="]
        {
            check(value, None);
        }
    }

    #[test]
    fn rfc9213_2_2_the_first_in_the_list_wins() {
        let both = "CDN-Cache-Control: max-age=2\nOwn-Cache-Control: max-age=3\nCache-Control: no-store";
        assert_eq!(found(both), ResponseDirectives { max_age: Some(seconds(3)), ..says() });
        let malformed = "CDN-Cache-Control: max-age=2\nOwn-Cache-Control: ,\nCache-Control: no-store";
        assert_eq!(found(malformed), ResponseDirectives { max_age: Some(seconds(2)), ..says() });
        let unlisted = found("Other-Cache-Control: max-age=2\nCache-Control: no-store");
        assert!(unlisted.no_store && !unlisted.targeted);
    }

    #[test]
    fn lines_are_joined_and_extensions_kept() {
        let lines = "CDN-Cache-Control: max-age=2, a, b=\"x\"\nCDN-Cache-Control: c=tok, d=(1 2), e=1.5, no-store";
        let directives = found(lines);
        assert!(directives.no_store && directives.max_age == Some(seconds(2)));
        let kept: Vec<_> = directives
            .extensions
            .iter()
            .map(|extension| (extension.name(), extension.value().map(String::from_utf8_lossy)))
            .collect();
        let text = |text: &'static str| Some(text.into());
        assert_eq!(kept, [("a", None), ("b", text("x")), ("c", text("tok")), ("d", text("(1 2)")), ("e", text("1.5"))]);
    }
}
