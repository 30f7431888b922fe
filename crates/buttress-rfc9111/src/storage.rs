//! May this response be stored by a shared cache? (RFC 9111 section 3)
//!
//! ```
//! use buttress_rfc9111::{Refusal, Rules, Storage, storage};
//! use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
//!
//! let request = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"))]);
//! let response = HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"))]);
//! let answer = storage::decide(&Method::GET, &request, StatusCode::OK, &response, &Rules::default());
//! assert_eq!(answer, Storage::Refuse(Refusal::Authorization));
//! ```

use http::header::{AUTHORIZATION, ETAG, EXPIRES, HeaderMap, LAST_MODIFIED, VARY};
use http::{Method, StatusCode};

use crate::cache_control::{RequestDirectives, ResponseDirectives};
use crate::freshness::{Staleness, allows_heuristic, is_heuristically_cacheable};
use crate::rules::Rules;

/// Whether the response may be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// It may, for this reason.
    Store(Permission),
    /// It may not, or there is no use in it.
    Refuse(Refusal),
}

/// Why a response may be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Permission {
    /// It states its lifetime: `s-maxage`, `max-age` or `Expires`.
    Explicit,
    /// It says `public`.
    Public,
    /// Its status code allows it. Whoever is in doubt, for example about a cookie, refuses these.
    Heuristic,
}

/// Why a response is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The request carries credentials, and the response does not say that it is for others too (section 3.5).
    Authorization,
    /// The request's method is not GET, nor QUERY where the [content is keyed](Rules::keyed_content). The response to a HEAD [freshens](crate::validation) a stored one.
    Method,
    /// `no-store` in the response.
    NoStore,
    /// The status code is an interim one, or 101: no response to keep.
    NotFinal,
    /// `must-understand` with a status code whose rules this cache does not know (section 5.2.2.3).
    NotUnderstood,
    /// A part of a response (206), which these [`Rules`] do not store.
    Partial,
    /// `private` in the response.
    Private,
    /// `no-store` in the request.
    RequestNoStore,
    /// The status code forbids it, or tells of this one request only.
    Status,
    /// Neither the response nor its status code allows it.
    Unstated,
    /// Stale at once, without a validator and without a stale window: it would never be used.
    Useless,
    /// `Vary: *`: it would never match (section 4.1).
    VaryAny,
}

/// Whether the response with this status and these headers to a request with this method and headers may be stored.
///
/// Give it the headers as received, before [anything is removed](crate::fields). It does not look at cookies: the
/// standard lets a shared cache store them, and leaves it to the cache's author to know better.
pub fn decide(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    response: &HeaderMap,
    rules: &Rules,
) -> Storage {
    if !is_storable(method, rules) {
        return Storage::Refuse(Refusal::Method);
    }
    let directives = rules.directives(response);
    let asked = RequestDirectives::from_headers(request);
    with_directives(&asked, request, &directives, status, response, rules)
}

/// [`decide`] for a method of which responses may be stored, its directives at hand, which have to be those of these headers.
pub fn with_directives(
    asked: &RequestDirectives,
    request: &HeaderMap,
    directives: &ResponseDirectives,
    status: StatusCode,
    response: &HeaderMap,
    rules: &Rules,
) -> Storage {
    let refusal = refused_by_status(status, rules)
        .or_else(|| refused_by_directives(asked, directives, status))
        .or_else(|| refused_by_headers(request, directives, response));
    match (refusal, permission(directives, status, response)) {
        (Some(refusal), _) => Storage::Refuse(refusal),
        (None, None) => Storage::Refuse(Refusal::Unstated),
        (None, Some(_)) if is_useless(directives, status, response, rules) => Storage::Refuse(Refusal::Useless),
        (None, Some(permission)) => Storage::Store(permission),
    }
}

/// Of which methods this cache stores responses: those that it understands (RFC 9111 section 3).
fn is_storable(method: &Method, rules: &Rules) -> bool {
    *method == Method::GET || *method == Method::QUERY && rules.keyed_content
}

fn refused_by_status(status: StatusCode, rules: &Rules) -> Option<Refusal> {
    match status.as_u16() {
        100..=199 => Some(Refusal::NotFinal),
        206 if !rules.partial => Some(Refusal::Partial),
        // 304 updates what is stored. 425 is not cacheable (RFC 8470 section 5.2); 428, 429, 431 and 511 must not be
        // stored (RFC 6585). The others judge a field, the size or the connection of this one request, and would be
        // served to those who did nothing of the kind.
        304 | 407 | 408 | 412 | 413 | 416 | 417 | 421 | 425 | 426 | 428 | 429 | 431 | 511 => Some(Refusal::Status),
        _ => None,
    }
}

fn refused_by_directives(
    asked: &RequestDirectives,
    directives: &ResponseDirectives,
    status: StatusCode,
) -> Option<Refusal> {
    let understood = is_understood(status);
    match () {
        () if asked.no_store => Some(Refusal::RequestNoStore),
        () if directives.must_understand && !understood => Some(Refusal::NotUnderstood),
        // Beside `must-understand`, `no-store` speaks to those who do not understand the status code.
        () if directives.no_store && !directives.must_understand => Some(Refusal::NoStore),
        () if directives.is_private() => Some(Refusal::Private),
        () => None,
    }
}

fn refused_by_headers(request: &HeaderMap, directives: &ResponseDirectives, response: &HeaderMap) -> Option<Refusal> {
    let for_all = directives.must_revalidate || directives.public || directives.s_maxage.is_some();
    let mut vary = response.get_all(VARY).into_iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    match () {
        () if request.contains_key(AUTHORIZATION) && !for_all => Some(Refusal::Authorization),
        () if vary.any(|member| member.trim_ascii() == b"*") => Some(Refusal::VaryAny),
        () => None,
    }
}

fn permission(directives: &ResponseDirectives, status: StatusCode, response: &HeaderMap) -> Option<Permission> {
    let expires = !directives.targeted && response.contains_key(EXPIRES);
    if directives.lifetime().is_some() || expires {
        Some(Permission::Explicit)
    } else if directives.public {
        Some(Permission::Public)
    } else {
        is_heuristically_cacheable(status).then_some(Permission::Heuristic)
    }
}

/// Whether the response could never be reused: not as it is, not when it is stale, not after validation.
fn is_useless(directives: &ResponseDirectives, status: StatusCode, response: &HeaderMap, rules: &Rules) -> bool {
    if response.contains_key(ETAG) || response.contains_key(LAST_MODIFIED) {
        return false;
    }
    if directives.needs_validation() {
        return true;
    }
    let stale_at_once = match directives.lifetime() {
        Some(lifetime) => lifetime.is_zero(),
        None if !directives.targeted && response.contains_key(EXPIRES) => false,
        None => rules.default_lifetime.is_none() || !allows_heuristic(directives, status, rules),
    };
    let stated = [directives.stale_while_revalidate, directives.stale_if_error];
    let window = match Staleness::of(directives) {
        Staleness::Forbidden => false,
        Staleness::StatedOnly => stated.iter().flatten().any(|window| !window.is_zero()),
        Staleness::Allowed => {
            stated.iter().flatten().any(|window| !window.is_zero()) || !rules.stale_on_error.is_zero()
        }
    };
    stale_at_once && !window
}

/// The final status codes of RFC 9110, RFC 7725 and RFC 8470 that ask nothing of a cache which is not done here.
fn is_understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200..=206 | 300..=303 | 305 | 307 | 308 | 400..=406 | 409..=411 | 414 | 415 | 422 | 451 | 500..=505
    )
}

// === impl Storage ===

impl Storage {
    /// Whether the response may be stored.
    pub fn is_allowed(self) -> bool {
        matches!(self, Self::Store(_))
    }

    /// The reason's name for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Store(permission) => permission.as_str(),
            Self::Refuse(refusal) => refusal.as_str(),
        }
    }
}

// === impl Permission ===

impl Permission {
    /// Its name for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Explicit => "explicit",
            Self::Public => "public",
            Self::Heuristic => "heuristic",
        }
    }
}

// === impl Refusal ===

impl Refusal {
    /// Its name for logs, metrics and the `detail` of `Cache-Status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Method => "method",
            Self::NoStore => "no-store",
            Self::NotFinal => "not-final",
            Self::NotUnderstood => "not-understood",
            Self::Partial => "partial",
            Self::Private => "private",
            Self::RequestNoStore => "request-no-store",
            Self::Status => "status",
            Self::Unstated => "unstated",
            Self::Useless => "useless",
            Self::VaryAny => "vary-any",
        }
    }
}

#[cfg(test)]
mod tests;
