//! The response made of an entry: the whole, a part of it, its head, or word that the client's copy is good.

use std::time::SystemTime;

use buttress_rfc9111::cache_status::CacheStatus;
use buttress_rfc9111::precondition::{self, Precondition, Selected};
use buttress_rfc9111::range::{self, RangeAnswer};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use http::{Response, StatusCode, request, response};

use crate::body::CacheBody;
use crate::entry::Entry;
use crate::heads::Heads;
use crate::policy::Asked;

/// Answers a request from an entry.
pub(crate) fn from_entry<R>(
    heads: &Heads,
    entry: &Entry,
    request: &request::Parts,
    asked: &Asked,
    now: SystemTime,
    status: Option<CacheStatus<'_>>,
) -> Response<CacheBody<R>> {
    let mut response = Response::new(CacheBody::empty());
    *response.status_mut() = entry.status();
    let status = status.map(|status| status.ttl(entry.terms().freshness_left(now)));
    *response.headers_mut() = heads.fields(entry, entry.terms().age(now).as_secs(), status);
    let headers = response.headers_mut();
    let is_whole = entry.status() == StatusCode::OK;
    if asked.conditional && is_whole && is_copy_good(request, headers, entry.terms().response_time) {
        precondition::to_not_modified(headers);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else if asked.head {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(entry.body_len()));
    } else if asked.range && is_whole {
        part_of(entry, request, &mut response);
    } else {
        *response.body_mut() = CacheBody::stored(entry.body(), entry.trailers());
    }
    response
}

/// Whether the client's conditions are met by a response that is just being stored.
pub(crate) fn is_not_modified(request: &request::Parts, response: &response::Parts, received: SystemTime) -> bool {
    response.status == StatusCode::OK && is_copy_good(request, &response.headers, received)
}

fn is_copy_good(request: &request::Parts, headers: &HeaderMap, received: SystemTime) -> bool {
    let selected = Selected { status: StatusCode::OK, headers, received };
    let answer = precondition::evaluate_for_cache(&request.method, &request.headers, selected);
    matches!(answer, Precondition::NotModified(_))
}

/// RFC 9110 section 14: a part, where the request asks for one that there is.
fn part_of<R>(entry: &Entry, request: &request::Parts, response: &mut Response<CacheBody<R>>) {
    let length = entry.body_len();
    match range::evaluate(&request.method, &request.headers, response.headers(), length) {
        RangeAnswer::Full(_) => *response.body_mut() = CacheBody::stored(entry.body(), entry.trailers()),
        RangeAnswer::Partial { first, last } => {
            range::to_partial(response.headers_mut(), first, last, length);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let part = entry.body().slice(within(first)..=within(last));
            *response.body_mut() = CacheBody::stored(part, None);
        }
        RangeAnswer::Unsatisfiable => {
            range::to_unsatisfiable(response.headers_mut(), length);
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
        }
    }
}

/// A position within a body that is in memory.
fn within(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}
