//! The layer, and every setting it has.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use buttress_rfc9111::cache_status::CacheName;
use buttress_rfc9111::groups;
use buttress_rfc9111::rules::Rules;
use buttress_rfc9111::vary::Normalization;
use http::{HeaderMap, StatusCode, request};
use tower_layer::Layer;

use crate::cache::Cache;
use crate::key::Key;
use crate::service::CacheService;
use crate::shadow::ShadowReport;

/// The largest value of Redis.
const LARGEST: u64 = 512 << 20;

/// Answers from a [`Cache`] what it may, and keeps there what it may.
///
/// The defaults are safe for any service: what a response does not allow to be shared is not stored, and a service
/// that says nothing about caching is not cached, unless its responses carry `Last-Modified`.
///
/// ```
/// use std::time::Duration;
/// use buttress_cache::{Cache, CacheLayer};
///
/// let layer = CacheLayer::new(Cache::embedded())
///     .default_ttl(Duration::from_secs(10)) // for handlers that say nothing
///     .bypass(|parts| parts.uri.path().starts_with("/admin"));
/// # let _ = layer;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct CacheLayer {
    cache: Cache,
    settings: Arc<Settings>,
}

/// What the service needs to know of its layer.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) name: CacheName,
    pub(crate) rules: Rules,
    pub(crate) normalization: Normalization,
    pub(crate) key: Option<Arc<MakeKey>>,
    pub(crate) bypass: Option<Arc<Predicate>>,
    pub(crate) max_body: u64,
    pub(crate) keep_stale: Duration,
    pub(crate) wait: Duration,
    pub(crate) negative_ttl: Duration,
    pub(crate) keep_errors: Vec<StatusCode>,
    pub(crate) early: f64,
    pub(crate) jitter: f64,
    pub(crate) share_cookies: bool,
    pub(crate) share_authorized: bool,
    pub(crate) drop_set_cookie: bool,
    pub(crate) forward_tags: bool,
    pub(crate) no_vary_search: bool,
    pub(crate) announce: bool,
    pub(crate) shadow: Option<Arc<Report>>,
}

type MakeKey = dyn Fn(&request::Parts) -> Key + Send + Sync;
pub(crate) type Report = dyn Fn(&ShadowReport) + Send + Sync;
type Predicate = dyn Fn(&request::Parts) -> bool + Send + Sync;

// === impl CacheLayer ===

impl CacheLayer {
    /// A layer over this cache. Layers that are given clones of one cache share its entries: give a service with
    /// other answers for the same URIs a cache, or a [`key`](Self::key), of its own. Beware of routers that strip a prefix, as
    /// axum's `nest` does: below it `/v1/x` and `/v2/x` are both `/x`. There the layer belongs around the outer router.
    pub fn new(cache: Cache) -> Self {
        Self { cache, settings: Arc::default() }
    }

    /// How this cache calls itself in `Cache-Status` (RFC 9211). Default: `Buttress`. Kept short, since each response
    /// carries it.
    pub fn name(mut self, name: CacheName) -> Self {
        self.set().name = name;
        self
    }

    /// The rules of storing and reuse. Default: RFC 9111 for a shared cache, `CDN-Cache-Control` before
    /// `Cache-Control`. Replaces what [`default_ttl`](Self::default_ttl) set.
    pub fn rules(mut self, rules: Rules) -> Self {
        self.set().rules = rules;
        self
    }

    /// How long a response is fresh whose handler says nothing about it; see [`negative_ttl`](Self::negative_ttl) for 404 and
    /// 410. Default: such responses are not stored, unless `Last-Modified` allows an estimate (RFC 9111 section 4.2.2).
    pub fn default_ttl(mut self, ttl: Duration) -> Self {
        let rules = self.settings.rules.clone().default_lifetime(ttl).heuristic_errors(true);
        self.set().rules = rules;
        self
    }

    /// How request fields are brought into one form before variants are compared. Default: by meaning, without a
    /// list of codings or languages. A list keeps the number of variants small.
    pub fn normalization(mut self, normalization: Normalization) -> Self {
        self.set().normalization = normalization;
        self
    }

    /// What a response is found by. Default: [`Key::of`], which is complete. A key that leaves out something the
    /// service looks at serves one client's response to another.
    pub fn key(mut self, key: impl Fn(&request::Parts) -> Key + Send + Sync + 'static) -> Self {
        self.set().key = Some(Arc::new(key));
        self
    }

    /// Requests that go past the cache. Default: none but those that HTTP keeps from it.
    pub fn bypass(mut self, bypass: impl Fn(&request::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.set().bypass = Some(Arc::new(bypass));
        self
    }

    /// The largest body that is stored, in bytes. Default: 8 MiB; 512 MiB at most, as Redis has it. Larger ones pass through; nothing is lost but the
    /// memory that was spent until it showed.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.set().max_body = bytes.min(LARGEST);
        self
    }

    /// How long an entry with a validator is kept past its freshness, so that it can be validated rather than sent
    /// again. Default: ten minutes. Costs store memory, and saves bodies.
    pub fn keep_stale(mut self, time: Duration) -> Self {
        self.set().keep_stale = time;
        self
    }

    /// How long a request waits for another one that fetches the same key. Default: five seconds; then it goes to the
    /// service itself, and its response is not stored.
    pub fn wait(mut self, time: Duration) -> Self {
        self.set().wait = time;
        self
    }

    /// Whether a response to a request with `Cookie` may be stored although it says nothing of its freshness, by
    /// heuristic or [`default_ttl`](Self::default_ttl). Default: no, since a handler that reads cookies and forgets
    /// `Cache-Control` would show one visitor's page to all.
    pub fn share_cookies(mut self, yes: bool) -> Self {
        self.set().share_cookies = yes;
        self
    }

    /// How long 404 and 410 are fresh at most that do not say so themselves but are stored by
    /// [`default_ttl`](Self::default_ttl). Default: ten seconds. What is absent now may be there soon.
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.set().negative_ttl = ttl;
        self
    }

    /// Other errors (4xx, 5xx) that may be stored, when they say how long they are fresh. Default: none. An error is often about
    /// one request, and somebody may provoke it to have it shown to everybody.
    pub fn keep_errors(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.set().keep_errors = statuses.into_iter().collect();
        self
    }

    /// How eagerly a fresh response is refreshed in the background shortly before its end, so that its end does not send
    /// everybody to the service. Default: 1, by which a response that took 400 ms is refreshed with a chance of 37 % in
    /// each request 400 ms before its end, and of 0.7 % two seconds before; 0 never. See
    /// [`early`](buttress_rfc9111::early).
    pub fn early_refresh(mut self, beta: f64) -> Self {
        self.set().early = if beta.is_finite() { beta.clamp(0.0, 1000.0) } else { 0.0 };
        self
    }

    /// A random part of each lifetime that is taken away, at most this share of it. Default: 0. With 0.1, responses that were
    /// all fetched at one deployment do not all end together. A lifetime never becomes longer.
    pub fn jitter(mut self, share: f64) -> Self {
        self.set().jitter = share;
        self
    }

    /// Whether a response to a request with `Authorization` may be stored where RFC 9111 section 3.5 allows it:
    /// when it says `public`, `s-maxage` or `must-revalidate`. Default: no. A request that a layer outside has
    /// [identified](buttress_core::Identified) counts as one with `Authorization`.
    pub fn share_authorized(mut self, yes: bool) -> Self {
        self.set().share_authorized = yes;
        self
    }

    /// Whether a response with `Set-Cookie` may be stored, without that field. Default: no, such a response is not
    /// stored at all. `Set-Cookie` itself is never replayed.
    pub fn drop_set_cookie(mut self, yes: bool) -> Self {
        self.set().drop_set_cookie = yes;
        self
    }

    /// Whether `Surrogate-Key` and `Cache-Tag`, by which responses are [purged](crate::Purge::tag), go on to the client. Default:
    /// no. They tell how a site is built; a cache further out may want them.
    pub fn forward_tags(mut self, yes: bool) -> Self {
        self.set().forward_tags = yes;
        self
    }

    /// Whether a response that states `No-Vary-Search` (draft-ietf-httpbis-no-vary-search) answers every query that it says is the same.
    /// Default: no, since the standard is a draft still, and a service that says too much is believed.
    ///
    /// Only successes are believed, and each response only for itself: what is found by another query says so in its own field, and
    /// what was stored for the very URI is preferred. It costs a miss one more round trip, to learn what the path said last, and a
    /// change ([`Purge::uri`](crate::Purge::uri), an unsafe method) of one URI outdates all responses with the field under its path.
    /// Processes that share a Redis need a layer with it each, if changes go through all of them: one without does not know what else
    /// its changes outdate. With a [`key`](Self::key) of your own it has no effect; leave out of that what does not matter.
    pub fn no_vary_search(mut self, yes: bool) -> Self {
        if yes {
            self.cache.follow_search();
        }
        self.set().no_vary_search = yes;
        self
    }

    /// Whether responses say in `Cache-Status` what became of them. Default: yes.
    pub fn announce(mut self, yes: bool) -> Self {
        self.set().announce = yes;
        self
    }

    /// Lets the service answer each request, and reports how what the cache would have answered compares. Default: off. What may be
    /// stored is stored as ever; nothing is served from it, nobody waits for anybody, and nothing is refreshed.
    /// See [`ShadowReport`].
    pub fn shadow(mut self, report: impl Fn(&ShadowReport) + Send + Sync + 'static) -> Self {
        self.set().shadow = Some(Arc::new(report));
        self
    }

    pub(crate) fn parts(&self) -> (&Cache, &Arc<Settings>) {
        (&self.cache, &self.settings)
    }

    fn set(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CacheService::new(inner, self.cache.clone(), Arc::clone(&self.settings))
    }
}

// === impl Settings ===

impl Settings {
    pub(crate) fn key_of(&self, parts: &request::Parts) -> Key {
        self.key.as_ref().map_or_else(|| Key::of(parts), |key| key(parts))
    }

    /// Whether equivalent queries find the same response.
    pub(crate) fn follows_search(&self) -> bool {
        self.no_vary_search && self.key.is_none()
    }

    /// Takes out of a response what is for caches only.
    pub(crate) fn strip_tags(&self, response: &mut HeaderMap) {
        if !self.forward_tags {
            for field in groups::TAG_FIELDS {
                response.remove(field);
            }
        }
    }

    pub(crate) fn bypasses(&self, parts: &request::Parts) -> bool {
        self.bypass.as_ref().is_some_and(|bypass| bypass(parts))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: CacheName::new("Buttress").expect("a token is a name"),
            rules: Rules::default(),
            normalization: Normalization::default(),
            key: None,
            bypass: None,
            max_body: 8 << 20,
            keep_stale: Duration::from_secs(600),
            wait: Duration::from_secs(5),
            negative_ttl: Duration::from_secs(10),
            keep_errors: Vec::new(),
            early: 1.0,
            jitter: 0.0,
            share_cookies: false,
            share_authorized: false,
            drop_set_cookie: false,
            forward_tags: false,
            no_vary_search: false,
            announce: true,
            shadow: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("name", &self.name).field("rules", &self.rules).finish_non_exhaustive()
    }
}
