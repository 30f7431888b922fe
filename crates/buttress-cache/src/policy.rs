//! What the layer decides beyond RFC 9111: plain functions over parts and settings, with their reasons.

use std::time::{Duration, SystemTime};

use buttress_core::is_grpc;
use buttress_rfc9111::early;
use buttress_rfc9111::freshness::{LifetimeSource, Staleness, Terms};
use buttress_rfc9111::invalidation::is_safe;
use buttress_rfc9111::no_vary_search::{self, NO_VARY_SEARCH, NoVarySearch};
use buttress_rfc9111::reuse::{Allowance, Outdated, Reuse};
use buttress_rfc9111::rules::Rules;
use buttress_rfc9111::storage::Refusal;
use buttress_rfc9111::vary::VaryFields;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, HeaderName, IF_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, PRAGMA, PROXY_AUTHORIZATION, RANGE, SET_COOKIE, UPGRADE,
};
use http::{HeaderMap, Method, StatusCode, request, response};

use crate::asked::Asked;
use crate::entry::Entry;
use crate::keyed::Keyed;
use crate::layer::Settings;

/// Keys longer than this are not worth their memory, and mostly made up.
const MAX_KEY: usize = 8 << 10;
/// So far the clocks of two processes may be apart before what one stored is not believed by the other.
const MOST_SKEW: Duration = Duration::from_secs(2);
/// A body whose rest is smaller than this is always read to its end.
const SMALL_REST: u64 = 256 << 10;

/// A `No-Vary-Search` longer than this is not followed.
const MAX_SEARCH: usize = 1 << 10;
/// A body up to here is not compressed.
const SMALL_BODY: usize = 2 << 10;

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Plan {
    /// Untouched, and so is its response.
    Untouched,
    /// To the service; what a change of state makes outdated is forgotten.
    Forward(Bypass),
    /// The cache is asked first.
    Lookup(Asked),
}

/// Why a request goes past the cache.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Bypass {
    /// A GET with a body: what the body says is not in the key.
    Body,
    /// `If-Match` and `If-Unmodified-Since` ask about the resource as the origin has it (RFC 9111 section 4.3.2).
    Condition,
    /// Only GET and HEAD are answered from the cache, and QUERY where its content was read.
    Method,
    /// The request says `no-store`.
    NoStore,
    /// The setting says so.
    Setting,
}

/// Why a response that RFC 9111 allows to be stored is not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unwanted {
    /// The request had `Authorization`.
    Authorized,
    /// An error that nobody said may be kept.
    Error,
    /// The request had `Cookie`, and the response does not say how long it is fresh.
    Cookies,
    /// The body is longer than the setting allows.
    Large,
    /// The response sets a cookie.
    SetCookie,
    /// The response has no end that anybody could wait for.
    Stream,
}

// === impl Plan ===

/// What becomes of a request with these parts.
pub(crate) fn on_request(parts: &request::Parts, has_body: bool, settings: &Settings) -> Plan {
    let headers = &parts.headers;
    // A change makes outdated what it changes, whatever else its request asks for.
    if parts.method == Method::CONNECT || is_upgrade(headers) && is_safe(&parts.method) {
        return Plan::Untouched;
    }
    let keyed = Keyed::of(parts);
    if is_grpc(headers) {
        return on_call(parts, keyed, settings);
    }
    if parts.method != Method::GET && parts.method != Method::HEAD && keyed.is_none() {
        return Plan::Forward(Bypass::Method);
    }
    let asked = Asked::of(parts, keyed);
    match () {
        () if has_body && keyed.is_none() => Plan::Forward(Bypass::Body),
        () if asked.for_the_origin => Plan::Forward(Bypass::Condition),
        () if settings.bypasses(parts) => Plan::Forward(Bypass::Setting),
        () if asked.directives.no_store => Plan::Forward(Bypass::NoStore),
        () => Plan::Lookup(asked),
    }
}

/// gRPC goes its way untouched, but for the calls whose message is in the key. Those are not forwarded as other POSTs are: they
/// change nothing.
fn on_call(parts: &request::Parts, keyed: Option<Keyed>, settings: &Settings) -> Plan {
    let asked = Asked::of(parts, keyed);
    let is_looked_up = asked.is_grpc() && !asked.directives.no_store && !settings.bypasses(parts);
    if is_looked_up { Plan::Lookup(asked) } else { Plan::Untouched }
}

/// Whether a request asks for another protocol. An offer of HTTP/2 (`h2c`) is about the connection, not the request.
fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|protocol| !protocol.as_bytes().eq_ignore_ascii_case(b"h2c"))
}

/// Whether a key is one to keep an entry under.
pub(crate) fn is_reasonable(key: &[u8]) -> bool {
    key.len() <= MAX_KEY
}

/// Whether a method may change what is stored.
pub(crate) fn may_change(method: &Method) -> bool {
    !is_safe(method)
}

// === storing ===

/// Whether the layer wants what RFC 9111 allows it to store.
pub(crate) fn on_storable(
    asked: &Asked,
    response: &response::Parts,
    source: LifetimeSource,
    length: Option<u64>,
    settings: &Settings,
) -> Result<(), Unwanted> {
    if !may_be_kept(response.status, source.is_explicit(), settings) {
        return Err(Unwanted::Error);
    }
    if asked.authorized && !settings.share_authorized {
        return Err(Unwanted::Authorized);
    }
    if asked.cookies && !source.is_explicit() && !settings.share_cookies {
        return Err(Unwanted::Cookies);
    }
    if response.headers.contains_key(SET_COOKIE) && !settings.drop_set_cookie {
        return Err(Unwanted::SetCookie);
    }
    if length.is_some_and(|length| length > settings.max_body) {
        return Err(Unwanted::Large);
    }
    if is_stream(&response.headers) {
        return Err(Unwanted::Stream);
    }
    Ok(())
}

/// Whether a response goes on for as long as its client listens: server-sent events, and the parts of a camera's picture. Others
/// would wait for its end.
fn is_stream(headers: &HeaderMap) -> bool {
    const STREAMS: [&[u8]; 2] = [b"text/event-stream", b"multipart/x-mixed-replace"];
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.as_bytes().split(|byte| *byte == b';').next());
    media_type
        .is_some_and(|media_type| STREAMS.iter().any(|stream| media_type.trim_ascii().eq_ignore_ascii_case(stream)))
}

/// Whether a response with this status is one that the next client may have.
///
/// An error may be about one request and not about the resource: one that is too long, malformed, or not allowed. Kept, it
/// would be everybody's (cache-poisoned denial of service, Nguyen, Lo Iacono and Federrath, CCS 2019), whatever lifetime
/// a proxy gives to all that passes. Absence and a move are about the resource.
fn may_be_kept(status: StatusCode, is_explicit: bool, settings: &Settings) -> bool {
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => true,
        _ if status.is_client_error() || status.is_server_error() => {
            is_explicit && settings.keep_errors.contains(&status)
        }
        _ => true,
    }
}

/// Shortens a lifetime by what the settings say; it never becomes longer.
pub(crate) fn shorten(terms: &mut Terms, status: StatusCode, settings: &Settings, random: f64) {
    let is_absent = matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
    if is_absent && !terms.source.is_explicit() {
        terms.lifetime = terms.lifetime.min(settings.negative_ttl);
    }
    terms.lifetime = early::jittered(terms.lifetime, settings.jitter, random);
}

impl Unwanted {
    /// Whether the next request for the key will see the same: then it should not queue.
    pub(crate) fn is_the_responses_own(self) -> bool {
        match self {
            Self::Authorized | Self::Cookies => false,
            // The next request may not provoke it.
            Self::Error => false,
            Self::Large | Self::SetCookie | Self::Stream => true,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Authorized => "authorized",
            Self::Cookies => "cookies",
            Self::Error => "error",
            Self::Large => "large",
            Self::SetCookie => "set-cookie",
            Self::Stream => "stream",
        }
    }
}

impl Bypass {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Condition => "condition",
            Self::Method => "method",
            Self::NoStore => "no-store",
            Self::Setting => "setting",
        }
    }
}

/// Which queries a response may be found by beside its own: what its `No-Vary-Search` says, if that is believed.
///
/// The field speaks for queries that nobody has asked yet. Somebody may provoke an error, or a redirect that leads astray, under
/// one of them; such a response does not know what the others would have been answered, so only a success is believed. A
/// long field is the default as well: it is part of a key. Where the field itself says too much there is no defence but
/// that it is the service's own word; that what was stored for the very URI comes first; and that the next success without
/// it ends what is remembered of the path.
pub(crate) fn search_of(status: StatusCode, headers: &HeaderMap) -> NoVarySearch {
    if !speaks_for_its_path(status) || !headers.contains_key(NO_VARY_SEARCH) {
        return NoVarySearch::default();
    }
    let policy = no_vary_search::of(headers);
    if policy.to_text().len() > MAX_SEARCH { NoVarySearch::default() } else { policy }
}

/// Whether a response with this status says something of the other queries of its path, if only that they differ.
pub(crate) fn speaks_for_its_path(status: StatusCode) -> bool {
    status.is_success()
}

// === at rest ===

/// Whether a body of this length, under this head, is worth trying to compress: not what is small or compressed already, nor
/// what media types compress by themselves.
pub(crate) fn is_compressible(len: usize, headers: impl FnOnce() -> HeaderMap) -> bool {
    if len <= SMALL_BODY {
        return false; // Redis rounds sizes up, and a small one soon comes to the same
    }
    let headers = headers();
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    !headers.contains_key(CONTENT_ENCODING) && media_type.is_some_and(is_text)
}

/// Whether a media type is one of texts, or of what compresses as well.
fn is_text(media_type: &str) -> bool {
    const OTHERS: [&str; 7] = ["ecmascript", "javascript", "json", "vnd.ms-fontobject", "wasm", "x-ndjson", "xml"];
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.split_once('/') {
        Some(("text", _)) => true,
        Some((kind, subtype)) => {
            let has_suffix = ["+json", "+xml"].iter().any(|suffix| subtype.ends_with(suffix));
            has_suffix || kind == "application" && OTHERS.contains(&subtype)
        }
        None => false,
    }
}

/// Whether what was compressed is smaller by so much that it pays for each time it is read: an eighth.
pub(crate) fn is_worth_packing(before: usize, after: usize) -> bool {
    after <= before - before / 8
}

/// How long those who wait for a short body wait for the whole of it: read along, they would share its errors too.
pub(crate) const SOON: Duration = Duration::from_millis(100);

/// Whether a body is likely to be whole in a moment.
pub(crate) fn is_soon_there(length: u64) -> bool {
    length <= SMALL_REST
}

/// Whether a fill goes on when its client has left: when others wait for it, when little is missing, or when more
/// than half has come.
pub(crate) fn is_worth_finishing(received: u64, expected: Option<u64>, followers: usize) -> bool {
    followers > 0 || expected.is_some_and(|expected| expected.saturating_sub(received) <= received.max(SMALL_REST))
}

/// Whether an entry that was purged softly may take the place of an error.
pub(crate) fn stands_in(terms: &Terms) -> bool {
    terms.staleness != Staleness::Forbidden && terms.stale_if_error.is_some_and(|time| !time.is_zero())
}

/// Whether this request is the one that refreshes an entry before its end. Most are told so by one comparison.
pub(crate) fn is_due(entry: &Entry, now: SystemTime, settings: &Settings) -> bool {
    let (terms, cost) = (entry.terms(), entry.cost());
    if cost.is_zero() {
        return false; // what costs nothing is nobody's burden
    }
    let left = terms.lifetime.saturating_sub(terms.age(now));
    // Beyond, the chance is below one in a billion.
    left <= cost.mul_f64(20.0 * settings.early) && early::is_due(left, cost, settings.early, rand::random())
}

/// Whether a response was received later than now: by a process whose clock is ahead. How old it is nobody can tell, and it
/// would count as just received until this clock has caught up. One by a clock that is behind only ends too early.
pub(crate) fn is_from_the_future(terms: &Terms, now: SystemTime) -> bool {
    terms.response_time.duration_since(now).is_ok_and(|ahead| ahead > MOST_SKEW)
}

/// What becomes of a fresh entry that was purged softly: as if it had become stale at this moment.
pub(crate) fn softly_purged(terms: &Terms) -> Reuse {
    if terms.stale_while_revalidate.is_zero() {
        Reuse::Validate(Outdated::Stale)
    } else {
        Reuse::Stale(Allowance::WhileRevalidate)
    }
}

/// How long to leave another process alone before asking whether it has filled the key. Never the same for two who wait.
pub(crate) fn pause_between_claims(random: u8) -> Duration {
    Duration::from_millis(25 + u64::from(random) / 4)
}

/// Whether a response says that it is for the one who asked.
pub(crate) fn is_for_one(response: &HeaderMap, rules: &Rules) -> bool {
    let directives = rules.directives(response);
    directives.no_store || directives.private.is_some() || response.contains_key(SET_COOKIE)
}

/// Whether a response that is refused for this reason will be refused for the next request too.
pub(crate) fn is_the_responses_own(refusal: Refusal) -> bool {
    !matches!(refusal, Refusal::Authorization | Refusal::Method | Refusal::RequestNoStore | Refusal::Partial)
}

/// Takes out of a request what only its client has: a refresh is for everybody. What chooses the variant stays.
pub(crate) fn make_anonymous(headers: &mut HeaderMap, varies_on: Option<&VaryFields>) {
    const PERSONAL: [HeaderName; 9] = [
        AUTHORIZATION,
        CACHE_CONTROL,
        COOKIE,
        IF_MATCH,
        IF_RANGE,
        IF_UNMODIFIED_SINCE,
        PRAGMA,
        PROXY_AUTHORIZATION,
        RANGE,
    ];
    headers.remove("grpc-timeout"); // how long the client waits, who is answered already
    for name in PERSONAL {
        if !varies_on.is_some_and(|fields| fields.names().any(|field| field == name.as_str())) {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;

    use super::*;

    #[test]
    fn texts_are_compressed_and_what_is_compressed_is_not() {
        for (media_type, expected) in [
            ("text/html; charset=utf-8", true),
            ("TEXT/plain", true),
            ("application/json", true),
            ("application/problem+json", true),
            ("application/atom+xml;type=feed", true),
            ("application/javascript", true),
            ("application/wasm", true),
            ("image/svg+xml", true),
            ("image/png", false),
            ("image/xml", false),
            ("application/gzip", false),
            ("application/octet-stream", false),
            ("json", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(media_type))]);
            assert_eq!(is_compressible(2049, || headers.clone()), expected, "{media_type}");
            assert!(!is_compressible(2048, || headers.clone()), "too small");
            let mut coded = headers;
            coded.insert(CONTENT_ENCODING, HeaderValue::from_static("br"));
            assert!(!is_compressible(2049, || coded), "coded already");
        }
        assert!(!is_compressible(2049, HeaderMap::new), "who knows what it is");
    }
}
