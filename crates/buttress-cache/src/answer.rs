//! The response made of an entry: the whole, a part of it, its head, or word that the client's copy is good.

use std::time::SystemTime;

use buttress_rfc9111::cache_status::CacheStatus;
use buttress_rfc9111::precondition::{self, Precondition, Selected};
use buttress_rfc9111::range::{self, RangeAnswer};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use http::{Response, StatusCode, request, response};

use crate::asked::Asked;
use crate::assembly::Assembly;
use crate::body::CacheBody;
use crate::cache::Cache;
use crate::entry::Entry;
use crate::key::Key;
use crate::reader::Reader;

/// A stored response, and where it is kept.
#[derive(Clone, Copy)]
pub(crate) struct Kept<'a> {
    pub(crate) cache: &'a Cache,
    pub(crate) key: &'a Key,
    pub(crate) entry: &'a Entry,
}

/// A request that is answered from the store.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) parts: &'a request::Parts,
    pub(crate) asked: &'a Asked,
    pub(crate) now: SystemTime,
}

/// Answers a request from an entry.
pub(crate) fn from_entry<R>(
    kept: Kept<'_>,
    asking: Asking<'_>,
    status: Option<CacheStatus<'_>>,
) -> Response<CacheBody<R>> {
    let mut response = head_of(kept, asking, status);
    let Asking { parts, asked, .. } = asking;
    if response.status() == StatusCode::NOT_MODIFIED && asked.conditional {
        return response;
    }
    if asked.head {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(kept.entry.body_len()));
    } else if asked.range && kept.entry.status() == StatusCode::OK {
        part_of(kept, parts, &mut response);
    } else {
        *response.body_mut() = kept.whole();
    }
    response
}

/// Answers a request from an entry whose body still comes.
pub(crate) fn from_growing<R>(
    kept: Kept<'_>,
    asking: Asking<'_>,
    reader: Reader,
    status: Option<CacheStatus<'_>>,
) -> Response<CacheBody<R>> {
    let mut response = head_of(kept, asking, status);
    if response.status() == kept.entry.status() {
        *response.body_mut() = CacheBody::filling(reader);
    }
    response
}

/// The response without its body; without one at all if the client's copy is good.
fn head_of<R>(kept: Kept<'_>, asking: Asking<'_>, status: Option<CacheStatus<'_>>) -> Response<CacheBody<R>> {
    let (Kept { cache, entry, .. }, Asking { parts, asked, now }) = (kept, asking);
    let mut response = Response::new(CacheBody::empty());
    *response.status_mut() = entry.status();
    let (terms, age) = (entry.terms(), entry.terms().age(now).as_secs());
    let status = status.map(|status| status.ttl(terms.freshness_left_at(age)));
    *response.headers_mut() = cache.heads().fields(entry, age, status);
    let is_whole = entry.status() == StatusCode::OK;
    if asked.conditional && is_whole && is_copy_good(parts, response.headers(), entry.terms().response_time) {
        precondition::to_not_modified(response.headers_mut());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
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
fn part_of<R>(kept: Kept<'_>, request: &request::Parts, response: &mut Response<CacheBody<R>>) {
    let length = kept.entry.body_len();
    match range::evaluate(&request.method, &request.headers, response.headers(), length) {
        RangeAnswer::Full(_) => *response.body_mut() = kept.whole(),
        RangeAnswer::Partial { first, last } => {
            range::to_partial(response.headers_mut(), first, last, length);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            *response.body_mut() = kept.bytes(first, last);
        }
        RangeAnswer::Unsatisfiable => {
            range::to_unsatisfiable(response.headers_mut(), length);
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
        }
    }
}

impl Kept<'_> {
    fn whole<R>(&self) -> CacheBody<R> {
        let Self { cache, key, entry } = *self;
        match entry.manifest() {
            None => CacheBody::stored(entry.body(), entry.trailers()),
            Some(manifest) => {
                let parts = Assembly::new(cache, key, entry, manifest, 0, manifest.len());
                CacheBody::assembled(parts.with_trailers(entry.trailers()))
            }
        }
    }

    /// From the first of these bytes to the last.
    fn bytes<R>(&self, first: u64, last: u64) -> CacheBody<R> {
        let Self { cache, key, entry } = *self;
        match entry.manifest() {
            None => CacheBody::stored(entry.body().slice(within(first)..=within(last)), None),
            Some(manifest) => CacheBody::assembled(Assembly::new(cache, key, entry, manifest, first, last + 1)),
        }
    }
}

/// A position within a body that is in memory.
fn within(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}
