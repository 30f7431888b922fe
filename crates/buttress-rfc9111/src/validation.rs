//! Asking the origin whether a stored response still holds (RFC 9111 section 4.3).
//!
//! | step | function |
//! |---|---|
//! | what a stored response can be recognised by | [`Validators::of`] |
//! | the request that fills a miss: whole, without the client's conditions | [`strip_conditions`] |
//! | the request that validates what is stored | [`make_conditional`] |
//! | which stored response a 304 is about | [`select`] |
//! | what the 304 changes in it | [`update`] |
//! | what a response to HEAD says about a stored GET | [`judge_by_head`] |
//!
//! The conditions of the client are for the client: they are answered from the stored response afterwards, by
//! [`precondition`](crate::precondition), which also says when a request has to go to the origin with its conditions
//! intact.
//!
//! ```
//! use buttress_rfc9111::validation::{self, Conditional, Freshen, Validators};
//! use http::{HeaderMap, HeaderValue, header};
//!
//! let mut stored = HeaderMap::new();
//! stored.insert(header::ETAG, HeaderValue::from_static("\"v1\""));
//! stored.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=1"));
//!
//! let mut request = HeaderMap::new();
//! let asked = validation::make_conditional(&mut request, &[Validators::of(&stored)]);
//! assert_eq!(asked, Conditional::Tags);
//! assert_eq!(request[header::IF_NONE_MATCH], "\"v1\"");
//!
//! let mut not_modified = HeaderMap::new();
//! not_modified.insert(header::ETAG, HeaderValue::from_static("\"v1\""));
//! not_modified.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
//! let answer = validation::select(&Validators::of(&not_modified), &[Validators::of(&stored)]);
//! assert!(matches!(answer, Freshen::Update { .. }));
//! validation::update(&mut stored, &not_modified);
//! assert_eq!(stored[header::CACHE_CONTROL], "max-age=60");
//! ```

use std::time::{Duration, SystemTime};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::date;
use crate::entity_tag::EntityTag;

mod freshen;
mod head;
mod update;

pub use freshen::{Freshen, IgnoreReason, UpdateReason, select};
pub use head::{HeadAnswer, HeadReason, judge_by_head};
pub use update::update;

/// What a response can be recognised by: its `ETag` and `Last-Modified`, where well-formed and given once.
#[derive(Clone, Copy, Debug)]
pub struct Validators<'a> {
    etag: Option<EntityTag<'a>>,
    etag_value: Option<&'a HeaderValue>,
    modified: Option<SystemTime>,
    modified_value: Option<&'a HeaderValue>,
    date: Option<SystemTime>,
}

/// Which conditions a request was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conditional {
    /// `If-None-Match` with the stored tags.
    Tags,
    /// `If-Modified-Since` with the stored `Last-Modified`.
    Date,
    /// Both; the recipient goes by the tag if it knows tags.
    TagsAndDate,
    /// None, for want of a validator: the answer will be a new full response.
    Unconditional,
}

/// Fields by which a client makes its request conditional or partial.
const CONDITIONS: [HeaderName; 6] = [
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::RANGE,
];

/// Removes the client's conditions and its range, so that the answer is a complete response that can be stored.
///
/// Not for a request that [`evaluate_for_cache`](crate::precondition::evaluate_for_cache) wants forwarded: without its
/// `If-Match` it would ask for something else.
pub fn strip_conditions(request: &mut HeaderMap) {
    for name in &CONDITIONS {
        request.remove(name);
    }
}

/// Turns a client's request into one that validates stored responses (RFC 9111 section 4.3.1).
///
/// `stored` holds the validators of the response that was chosen, or of several variants of the URI, of which a 304
/// then names one. The client's conditions and range go, as with [`strip_conditions`]. `If-None-Match` lists every
/// distinct tag as it was received. `If-Modified-Since` is sent only where one response is asked about: a date could
/// not say which of several is meant.
pub fn make_conditional(request: &mut HeaderMap, stored: &[Validators<'_>]) -> Conditional {
    strip_conditions(request);
    let tags = tag_list(stored);
    let modified = match stored {
        [only] => only.modified_value,
        _ => None,
    };
    let answer = match (&tags, modified) {
        (Some(_), Some(_)) => Conditional::TagsAndDate,
        (Some(_), None) => Conditional::Tags,
        (None, Some(_)) => Conditional::Date,
        (None, None) => Conditional::Unconditional,
    };
    if let Some(tags) = tags {
        request.insert(header::IF_NONE_MATCH, tags);
    }
    if let Some(modified) = modified {
        request.insert(header::IF_MODIFIED_SINCE, modified.clone());
    }
    answer
}

fn tag_list(stored: &[Validators<'_>]) -> Option<HeaderValue> {
    let mut tags = stored.iter().filter_map(|validators| validators.etag_value);
    let first = tags.next()?;
    let mut list = first.as_bytes().to_vec();
    let mut listed = vec![first];
    for tag in tags {
        if !listed.contains(&tag) {
            list.extend_from_slice(b", ");
            list.extend_from_slice(tag.as_bytes());
            listed.push(tag);
        }
    }
    if listed.len() == 1 {
        return Some(first.clone());
    }
    Some(HeaderValue::from_bytes(&list).expect("field values joined with a comma are a field value"))
}

/// A date in a field; `None` if absent, malformed, or given twice.
pub(crate) fn date_of(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    only(headers, name).and_then(date::parse)
}

/// The line of a field that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?;
    if lines.next().is_some() { None } else { Some(line) }
}

// === impl Validators ===

impl<'a> Validators<'a> {
    /// Those of a response. Allocates nothing.
    #[must_use]
    pub fn of(response: &'a HeaderMap) -> Self {
        let etag = EntityTag::of(response);
        let modified_value = only(response, &header::LAST_MODIFIED);
        let modified = modified_value.and_then(date::parse);
        Self {
            etag,
            etag_value: etag.and(response.get(header::ETAG)),
            modified,
            modified_value: modified.and(modified_value),
            date: date_of(response, &header::DATE),
        }
    }

    /// The entity tag.
    #[must_use]
    pub fn etag(&self) -> Option<EntityTag<'a>> {
        self.etag
    }

    /// The modification date.
    #[must_use]
    pub fn last_modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// Whether there is nothing to recognise the response by.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.modified.is_none()
    }

    /// Whether `Last-Modified` is a strong validator: at least one second before `Date`, so that no second version can
    /// have come into being under the same date (RFC 9110 section 8.8.2.2).
    #[must_use]
    pub fn is_strong_by_date(&self) -> bool {
        let distance = self.modified.zip(self.date).and_then(|(modified, date)| date.duration_since(modified).ok());
        distance.is_some_and(|distance| distance >= Duration::from_secs(1))
    }
}

// === impl Conditional ===

impl Conditional {
    /// The answer as a word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tags => "if-none-match",
            Self::Date => "if-modified-since",
            Self::TagsAndDate => "if-none-match-and-if-modified-since",
            Self::Unconditional => "no-validator",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONDAY: &str = "Mon, 05 Jan 2026 00:00:00 GMT";

    pub(super) fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn stored_validators_replace_the_clients_conditions() {
        fn check(stored: &[&[(&'static str, &str)]], kind: Conditional, expected: &[(&'static str, &str)]) {
            let stored: Vec<_> = stored.iter().map(|fields| headers(fields)).collect();
            let validators: Vec<_> = stored.iter().map(Validators::of).collect();
            let mut request = headers(&[
                ("accept", "*/*"),
                ("if-none-match", "\"client\""),
                ("if-modified-since", MONDAY),
                ("if-match", "*"),
                ("if-unmodified-since", MONDAY),
                ("range", "bytes=0-1"),
                ("if-range", "\"client\""),
            ]);
            assert_eq!(make_conditional(&mut request, &validators), kind, "{stored:?}");
            request.remove("accept").expect("what is no condition stays");
            assert_eq!(request, headers(expected), "{stored:?}");
        }
        use Conditional::{Date, Tags, TagsAndDate, Unconditional};
        let (tag, modified) = (("etag", "\"a\""), ("last-modified", MONDAY));
        check(&[], Unconditional, &[]);
        check(&[&[]], Unconditional, &[]);
        check(&[&[tag]], Tags, &[("if-none-match", "\"a\"")]);
        check(&[&[("etag", "W/\"a\"")]], Tags, &[("if-none-match", "W/\"a\"")]);
        check(&[&[modified]], Date, &[("if-modified-since", MONDAY)]);
        check(&[&[tag, modified]], TagsAndDate, &[("if-none-match", "\"a\""), ("if-modified-since", MONDAY)]);
        check(&[&[tag, modified], &[("etag", "\"b\"")]], Tags, &[("if-none-match", "\"a\", \"b\"")]);
        check(&[&[tag], &[tag], &[]], Tags, &[("if-none-match", "\"a\"")]);
        check(&[&[modified], &[modified]], Unconditional, &[]);
        check(&[&[("etag", "a")]], Unconditional, &[]);
        check(&[&[("last-modified", "yesterday")]], Unconditional, &[]);
        check(&[&[tag, tag]], Unconditional, &[]);
        check(
            &[&[("last-modified", "Mon Jan  5 00:00:00 2026")]],
            Date,
            &[("if-modified-since", "Mon Jan  5 00:00:00 2026")],
        );
    }

    #[test]
    fn a_fill_is_asked_for_whole() {
        let mut request =
            headers(&[("if-none-match", "*"), ("range", "bytes=0-"), ("if-range", "x"), ("accept", "a/b")]);
        strip_conditions(&mut request);
        assert_eq!(request, headers(&[("accept", "a/b")]));
    }
}
