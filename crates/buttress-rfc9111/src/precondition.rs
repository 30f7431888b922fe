//! A client's conditions, answered from a complete stored response (RFC 9110 section 13.2.2, RFC 9111 section 4.3.2).
//!
//! A cache answers `If-None-Match` and `If-Modified-Since`. It does not answer `If-Match` and `If-Unmodified-Since`: they
//! ask about the resource as it is at the origin, so [`evaluate_for_cache`] says [`Precondition::Forward`] and the
//! request goes on with its conditions intact. [`evaluate`] is for who *is* the origin and judges all four.
//!
//! | malformed | outcome |
//! |---|---|
//! | a date, or two lines of a date | that field is ignored |
//! | a member of `If-None-Match` | the member is skipped; the field is still there and overrides `If-Modified-Since` |
//! | a member of `If-Match` | the member is skipped; with nothing left that matches, the condition fails |
//!
//! ```
//! use buttress_rfc9111::precondition::{self, Precondition, Selected};
//! use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
//! use std::time::SystemTime;
//!
//! let mut stored = HeaderMap::new();
//! stored.insert(header::ETAG, HeaderValue::from_static("\"v1\""));
//! let mut request = HeaderMap::new();
//! request.insert(header::IF_NONE_MATCH, HeaderValue::from_static("W/\"v0\", W/\"v1\""));
//!
//! let selected = Selected { status: StatusCode::OK, headers: &stored, received: SystemTime::UNIX_EPOCH };
//! let answer = precondition::evaluate_for_cache(&Method::GET, &request, selected);
//! assert!(matches!(answer, Precondition::NotModified(_)));
//! ```

use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};

use crate::entity_tag::{Comparison, EntityTag, ListMatch, match_list};
use crate::validation::date_of;

/// The representation that a request would be answered with if it had no conditions.
#[derive(Clone, Copy, Debug)]
pub struct Selected<'a> {
    /// The status of the response without conditions.
    pub status: StatusCode,
    /// Its fields: `ETag`, `Last-Modified` and `Date` are read.
    pub headers: &'a HeaderMap,
    /// When it was received, in place of a missing `Date`.
    pub received: SystemTime,
}

/// What a request's conditions make of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Answer as if there were no condition.
    Proceed(Proceed),
    /// Answer 304 (Not Modified); [`to_not_modified`] makes its fields.
    NotModified(NotModified),
    /// Answer 412 (Precondition Failed).
    Failed(Failed),
    /// Not for a cache to answer: send the request on as it is.
    Forward(Forward),
}

/// Why a request is answered as if it had no condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proceed {
    /// No condition that this method knows, or none with a valid date.
    NoCondition,
    /// The client may change what it names in `If-Match` or `If-Unmodified-Since`, and has no other condition.
    Unchanged,
    /// No tag of `If-None-Match` is the current one.
    NoneMatch,
    /// It was modified after `If-Modified-Since`.
    Modified,
    /// The answer without conditions is no success, and so stays what it is (RFC 9110 section 13.2.1).
    Status,
}

/// Why the client's copy is as good as ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotModified {
    /// `If-None-Match: *`, and there is a representation.
    AnyTag,
    /// `If-None-Match` lists the current tag (weak comparison).
    Tag,
    /// `Last-Modified` is not after `If-Modified-Since`.
    LastModified,
    /// There is no `Last-Modified`, and `Date` is not after `If-Modified-Since` (RFC 9111 section 4.3.2).
    Date,
    /// There is neither, and it was not received after `If-Modified-Since` (RFC 9111 section 4.3.2).
    Received,
}

/// Why a request must not be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failed {
    /// No tag of `If-Match` is the current one (strong comparison).
    IfMatch,
    /// It was modified after `If-Unmodified-Since`.
    IfUnmodifiedSince,
    /// `If-None-Match` lists the current tag, in a request that is neither GET, HEAD nor QUERY.
    IfNoneMatch,
}

/// Which condition only the origin can judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forward {
    /// `If-Match`.
    IfMatch,
    /// `If-Unmodified-Since` with a valid date.
    IfUnmodifiedSince,
}

/// What describes a content that a 304 does not have.
const CONTENT_FIELDS: [HeaderName; 10] = [
    HeaderName::from_static("content-digest"),
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    HeaderName::from_static("content-md5"),
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    HeaderName::from_static("repr-digest"),
    header::TRAILER,
    header::TRANSFER_ENCODING,
];

/// Judges a GET, HEAD or QUERY request by the complete response that a cache would reuse for it. Allocates nothing.
///
/// For stored 200 and 206 responses; any other proceeds, as does any other method.
#[must_use]
pub fn evaluate_for_cache(method: &Method, request: &HeaderMap, selected: Selected<'_>) -> Precondition {
    if !is_read(method) {
        return Precondition::Proceed(Proceed::NoCondition);
    }
    if request.contains_key(header::IF_MATCH) {
        return Precondition::Forward(Forward::IfMatch);
    }
    if date_of(request, &header::IF_UNMODIFIED_SINCE).is_some() {
        return Precondition::Forward(Forward::IfUnmodifiedSince);
    }
    if !matches!(selected.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
        return Precondition::Proceed(Proceed::Status);
    }
    if_none_match(method, request, selected)
        .or_else(|| if_modified_since(request, modified_for_cache(selected)))
        .unwrap_or(Precondition::Proceed(Proceed::NoCondition))
}

/// Judges a request as the origin does, by all four fields in the order of RFC 9110 section 13.2.2. Allocates nothing.
///
/// Here a missing `Last-Modified` is no modification date at all, and the fields that ask for one are ignored. Never
/// answers [`Precondition::Forward`].
#[must_use]
pub fn evaluate(method: &Method, request: &HeaderMap, selected: Selected<'_>) -> Precondition {
    if !selected.status.is_success() {
        return Precondition::Proceed(Proceed::Status);
    }
    let modified = date_of(selected.headers, &header::LAST_MODIFIED);
    let required = if_match(request, selected).or_else(|| if_unmodified_since(request, modified));
    if let Some(failed @ Precondition::Failed(_)) = required {
        return failed;
    }
    let modified = modified.map(|time| (time, NotModified::LastModified));
    if_none_match(method, request, selected)
        .or_else(|| modified.filter(|_| is_read(method)).and_then(|modified| if_modified_since(request, modified)))
        .or(required)
        .unwrap_or(Precondition::Proceed(Proceed::NoCondition))
}

/// Turns the fields of a stored response into those of a 304 made from it (RFC 9110 section 15.4.5).
///
/// Goes: what describes the content (`Content-Type`, `Content-Length`, codings, digests). Stays: `Cache-Control`,
/// `Content-Location`, `Date`, `ETag`, `Expires`, `Vary`, which a 304 must have, `Last-Modified`, which does no harm,
/// and all that concerns the exchange (CORS, cookies, `Cache-Status`), since a client updates its copy with them.
pub fn to_not_modified(headers: &mut HeaderMap) {
    for name in &CONTENT_FIELDS {
        headers.remove(name);
    }
}

/// A QUERY is conditional as a GET is (RFC 10008).
fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::QUERY)
}

fn if_match(request: &HeaderMap, selected: Selected<'_>) -> Option<Precondition> {
    let current = EntityTag::of(selected.headers);
    match match_list(request, &header::IF_MATCH, current, Comparison::Strong) {
        ListMatch::Absent => None,
        ListMatch::Any | ListMatch::Matched => Some(Precondition::Proceed(Proceed::Unchanged)),
        ListMatch::Unmatched => Some(Precondition::Failed(Failed::IfMatch)),
    }
}

fn if_unmodified_since(request: &HeaderMap, modified: Option<SystemTime>) -> Option<Precondition> {
    let since = date_of(request, &header::IF_UNMODIFIED_SINCE)?;
    Some(if modified? <= since {
        Precondition::Proceed(Proceed::Unchanged)
    } else {
        Precondition::Failed(Failed::IfUnmodifiedSince)
    })
}

fn if_none_match(method: &Method, request: &HeaderMap, selected: Selected<'_>) -> Option<Precondition> {
    let current = EntityTag::of(selected.headers);
    let why = match match_list(request, &header::IF_NONE_MATCH, current, Comparison::Weak) {
        ListMatch::Absent => return None,
        ListMatch::Unmatched => return Some(Precondition::Proceed(Proceed::NoneMatch)),
        ListMatch::Any => NotModified::AnyTag,
        ListMatch::Matched => NotModified::Tag,
    };
    Some(if is_read(method) { Precondition::NotModified(why) } else { Precondition::Failed(Failed::IfNoneMatch) })
}

fn if_modified_since(request: &HeaderMap, (modified, why): (SystemTime, NotModified)) -> Option<Precondition> {
    let since = date_of(request, &header::IF_MODIFIED_SINCE)?;
    Some(if whole_seconds(modified) <= whole_seconds(since) {
        Precondition::NotModified(why)
    } else {
        Precondition::Proceed(Proceed::Modified)
    })
}

fn modified_for_cache(selected: Selected<'_>) -> (SystemTime, NotModified) {
    let date = |name, why| date_of(selected.headers, name).map(|time| (time, why));
    date(&header::LAST_MODIFIED, NotModified::LastModified)
        .or_else(|| date(&header::DATE, NotModified::Date))
        .unwrap_or((selected.received, NotModified::Received))
}

/// Dates on the wire have no fractions, the time of receipt has.
fn whole_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

// === impl Precondition ===

impl Precondition {
    /// The reason as a word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proceed(why) => why.as_str(),
            Self::NotModified(why) => why.as_str(),
            Self::Failed(why) => why.as_str(),
            Self::Forward(why) => why.as_str(),
        }
    }
}

impl Proceed {
    /// The reason as a word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoCondition => "no-condition",
            Self::Unchanged => "unchanged",
            Self::NoneMatch => "none-match",
            Self::Modified => "modified",
            Self::Status => "status-not-conditional",
        }
    }
}

impl NotModified {
    /// The reason as a word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AnyTag => "any-tag",
            Self::Tag => "same-tag",
            Self::LastModified => "not-modified-since",
            Self::Date => "not-dated-since",
            Self::Received => "not-received-since",
        }
    }
}

impl Failed {
    /// The reason as a word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IfMatch => "if-match-failed",
            Self::IfUnmodifiedSince => "if-unmodified-since-failed",
            Self::IfNoneMatch => "if-none-match-failed",
        }
    }
}

impl Forward {
    /// The reason as a word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IfMatch => "if-match-is-for-origin",
            Self::IfUnmodifiedSince => "if-unmodified-since-is-for-origin",
        }
    }
}

#[cfg(test)]
mod tests;
