//! May a stored response answer this request, without asking the origin? (RFC 9111 section 4)
//!
//! The caller has already found that the key and `Vary` fit. [`decide`] looks at time and directives; [`on_error`] is
//! asked when the origin is broken, and [`on_miss`] when nothing is stored.
//!
//! ```
//! use std::time::{Duration, UNIX_EPOCH};
//! use buttress_rfc9111::{Outdated, RequestDirectives, Reuse, Rules, Terms, reuse};
//! use http::{HeaderMap, HeaderValue, StatusCode, header};
//!
//! let cache_control = HeaderValue::from_static("max-age=60, stale-while-revalidate=30");
//! let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, cache_control)]);
//! let (rules, request) = (Rules::default(), RequestDirectives::default());
//! let terms = Terms::of(StatusCode::OK, &headers, UNIX_EPOCH, UNIX_EPOCH, &rules);
//!
//! let after = |seconds| reuse::decide(&request, &terms, UNIX_EPOCH + Duration::from_secs(seconds), &rules);
//! assert_eq!(after(59), Reuse::Fresh);
//! assert_eq!(after(80), Reuse::Stale(buttress_rfc9111::Allowance::WhileRevalidate));
//! assert_eq!(after(90), Reuse::Validate(Outdated::Stale));
//! ```

use std::time::SystemTime;

use http::StatusCode;

use crate::cache_control::RequestDirectives;
use crate::freshness::{Staleness, Terms};
use crate::rules::{Obey, Rules};

/// What may be done with a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Use it: it is fresh.
    Fresh,
    /// Use it although it is stale.
    Stale(Allowance),
    /// Ask the origin first, with its validators if it has any.
    Validate(Outdated),
    /// Answer 504: it may not be used as it is, and the client wants no other (`only-if-cached`).
    Unavailable(Outdated),
}

/// What allows the use of a stale response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Allowance {
    /// The client says `max-stale`. Nobody waits for a refresh, and none is due.
    MaxStale,
    /// The response says `stale-while-revalidate`: use it, and refresh it in the background.
    WhileRevalidate,
}

/// Why a stored response may not be used as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outdated {
    /// It is stale, and `must-revalidate`, `proxy-revalidate` or `s-maxage` forbid its use.
    MustRevalidate,
    /// `no-cache` in the response.
    NoCache,
    /// It is older than the client's `max-age`, or stale while the client, by a `max-age`, wants no stale one.
    RequestMaxAge,
    /// It does not stay fresh for the client's `min-fresh`.
    RequestMinFresh,
    /// `no-cache` in the request, or `Pragma`.
    RequestNoCache,
    /// It is stale, and nobody allows its use.
    Stale,
}

/// Whether a stored response may be used because the origin is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// It may, by this.
    Use(Fallback),
    /// It may not; the error goes to the client.
    Fail(Outdated),
}

/// What allows the use of a stored response when the origin is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fallback {
    /// It is still fresh; only the client wanted it validated.
    Fresh,
    /// The operator's [`Rules::stale_on_error`].
    Grace,
    /// The client's `max-stale`.
    MaxStale,
    /// `stale-if-error`, from the response or the client.
    StaleIfError,
}

/// What to do when nothing is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMiss {
    /// Ask the origin.
    Forward,
    /// Answer 504 (`only-if-cached`, RFC 9111 section 5.2.1.7).
    Unavailable,
}

/// Whether a response on these terms may be used now for a request with these directives.
///
/// A request's `no-store` does not matter here: it forbids storing, not reusing (section 5.2.1.5). `max-age` in a request
/// is ignored for a fresh `immutable` response, so that a reload does not reach the origin (RFC 8246); `no-cache`, a forced
/// reload, is not. Where the client and the response both limit staleness, the lower limit holds. Costs a few comparisons.
pub fn decide(request: &RequestDirectives, terms: &Terms, now: SystemTime, rules: &Rules) -> Reuse {
    let answer = match outdated(request, terms, now, rules) {
        Some(outdated) => Err(outdated),
        None if terms.is_fresh(now) => Ok(Reuse::Fresh),
        None => stale(request, terms, now).map(Reuse::Stale),
    };
    match answer {
        Ok(reuse) => reuse,
        Err(outdated) if request.only_if_cached => Reuse::Unavailable(outdated),
        Err(outdated) => Reuse::Validate(outdated),
    }
}

/// Whether a response on these terms may be used now although the origin should have been asked, because it cannot be
/// reached or [answered with a server error](is_broken) (RFC 9111 section 4.2.4, RFC 5861 section 4).
///
/// `no-cache`, of the response or of the client, still forbids it. `stale-if-error` holds whatever the client says about
/// freshness; the operator's grace gives way to a client's `max-age` and `min-fresh`.
pub fn on_error(request: &RequestDirectives, terms: &Terms, now: SystemTime, rules: &Rules) -> OnError {
    if terms.no_cache {
        return OnError::Fail(Outdated::NoCache);
    }
    if reloads(rules) && request.no_cache {
        return OnError::Fail(Outdated::RequestNoCache);
    }
    if terms.is_fresh(now) {
        return OnError::Use(Fallback::Fresh);
    }
    if terms.staleness == Staleness::Forbidden {
        return OnError::Fail(Outdated::MustRevalidate);
    }
    match fallback(request, terms, now, rules) {
        Some(fallback) => OnError::Use(fallback),
        None if terms.staleness == Staleness::StatedOnly => OnError::Fail(Outdated::MustRevalidate),
        None => OnError::Fail(Outdated::Stale),
    }
}

/// Whether this answer of the origin counts as no answer (RFC 5861 section 4): 500, 502, 503 and 504.
pub fn is_broken(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502..=504)
}

/// What to do for a request for which nothing is stored.
pub fn on_miss(request: &RequestDirectives) -> OnMiss {
    if request.only_if_cached { OnMiss::Unavailable } else { OnMiss::Forward }
}

/// What stands against the use of the response, whether it is fresh or stale.
fn outdated(request: &RequestDirectives, terms: &Terms, now: SystemTime, rules: &Rules) -> Option<Outdated> {
    if terms.no_cache {
        return Some(Outdated::NoCache);
    }
    if !reloads(rules) {
        return None;
    }
    if request.no_cache {
        return Some(Outdated::RequestNoCache);
    }
    let age = terms.age(now);
    let fresh = terms.lifetime > age;
    match (request.max_age, request.min_fresh) {
        (Some(max_age), _) if age > max_age && !(terms.immutable && fresh) => Some(Outdated::RequestMaxAge),
        (_, Some(min_fresh)) if terms.lifetime < age.saturating_add(min_fresh) => Some(Outdated::RequestMinFresh),
        // "Unless the max-stale request directive is also present, the client does not wish to receive a stale response."
        (Some(_), _) if !fresh && request.max_stale.is_none() => Some(Outdated::RequestMaxAge),
        _ => None,
    }
}

/// What allows the use of a response that is stale, or why nothing does.
fn stale(request: &RequestDirectives, terms: &Terms, now: SystemTime) -> Result<Allowance, Outdated> {
    if terms.staleness == Staleness::Forbidden {
        return Err(Outdated::MustRevalidate);
    }
    let stale_for = terms.stale_for(now);
    let client_allows = request.max_stale.map(|limit| limit.allows(stale_for));
    if stale_for < terms.stale_while_revalidate && client_allows != Some(false) {
        return Ok(Allowance::WhileRevalidate);
    }
    match (terms.staleness, client_allows) {
        (Staleness::Allowed, Some(true)) => Ok(Allowance::MaxStale),
        (Staleness::Allowed, _) => Err(Outdated::Stale),
        _ => Err(Outdated::MustRevalidate),
    }
}

/// What allows the use of a stale response for want of another, if anything does.
fn fallback(request: &RequestDirectives, terms: &Terms, now: SystemTime, rules: &Rules) -> Option<Fallback> {
    let stale_for = terms.stale_for(now);
    let stated = match (terms.staleness, terms.stale_if_error, request.stale_if_error) {
        (_, Some(response), Some(client)) => Some(response.min(client)),
        (_, Some(response), None) => Some(response),
        (Staleness::Allowed, None, client) => client,
        _ => None,
    };
    if stated.is_some_and(|window| stale_for < window) {
        return Some(Fallback::StaleIfError);
    }
    if terms.staleness != Staleness::Allowed {
        return None;
    }
    let wants_fresh = reloads(rules) && (request.max_age.is_some() || request.min_fresh.is_some());
    match request.max_stale.map(|limit| limit.allows(stale_for)) {
        Some(true) if !wants_fresh => Some(Fallback::MaxStale),
        Some(false) => None,
        _ if stated.is_none() && !wants_fresh && stale_for < rules.stale_on_error => Some(Fallback::Grace),
        _ => None,
    }
}

/// Whether a client may make the origin work although a fresh response is stored.
fn reloads(rules: &Rules) -> bool {
    rules.obey_request != Obey::ExceptReload
}

// === names ===

impl Reuse {
    /// Its name, or that of its reason, for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale(allowance) => allowance.as_str(),
            Self::Validate(outdated) | Self::Unavailable(outdated) => outdated.as_str(),
        }
    }
}

impl Allowance {
    /// Its name for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxStale => "max-stale",
            Self::WhileRevalidate => "stale-while-revalidate",
        }
    }
}

impl Outdated {
    /// Its name for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MustRevalidate => "must-revalidate",
            Self::NoCache => "no-cache",
            Self::RequestMaxAge => "request-max-age",
            Self::RequestMinFresh => "request-min-fresh",
            Self::RequestNoCache => "request-no-cache",
            Self::Stale => "stale",
        }
    }

    /// Whether the client, not the response, wants the origin asked: `fwd=request` rather than `fwd=stale` (RFC 9211).
    pub fn is_by_request(self) -> bool {
        matches!(self, Self::RequestMaxAge | Self::RequestMinFresh | Self::RequestNoCache)
    }
}

impl OnError {
    /// Its reason's name for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Use(fallback) => fallback.as_str(),
            Self::Fail(outdated) => outdated.as_str(),
        }
    }
}

impl Fallback {
    /// Its name for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Grace => "grace",
            Self::MaxStale => "max-stale",
            Self::StaleIfError => "stale-if-error",
        }
    }
}

#[cfg(test)]
mod tests;
