//! The composition: which layers a request passes, in which order, and why there.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use buttress::cache::{Cache, CacheBody, CacheLayer, CacheOptions, CacheService, Rules, ShadowReport, Verdict};
use buttress::core::{EitherBody, ResponseFuture};
use buttress::jwt::JwtService;
use buttress::redis::Redis;
use http::{Request, Response};
use hyper::body::Incoming;
use tower_layer::Layer as _;
use tower_service::Service;

use crate::access::{Line, Logged};
use crate::assets::Assets;
use crate::config::{Config, Problem, RouteTable};
use crate::demo;
use crate::events::{Counting, Front, FrontBody};
use crate::forward::Hop;
use crate::jwt::Guard;
use crate::origin::{Kind, Origin, OriginBody};
use crate::proxy::Proxy;
use crate::session::{Inside, Visitors};
use crate::shutdown::Shutdown;
use crate::target;
use crate::upstream::Upstream;

/// The layers of each route, and the origin behind them all.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    routes: Arc<[(String, CacheLayer)]>,
    cache: Cache,
    assets: Option<Assets>,
    guard: Option<Guard>,
    visitors: Option<Visitors>,
    counting: Option<Counting>,
    origin: Kind,
}

/// The stack for the requests of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Connected {
    front: Front,
    counting: Option<Counting>,
    tls: bool,
}

/// Whether somebody stands before the routes.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    Open(Inside),
    Guarded(JwtService<Inside>),
}

pub(crate) type DoorBody = EitherBody<EitherBody<EitherBody<CacheBody<OriginBody>>>>;

/// The cached routes, the first that fits for each request.
#[derive(Clone, Debug)]
pub(crate) struct Routes(Arc<[(String, CacheService<Origin>)]>);

/// So long is tried to bring the last counts to where they are kept.
const LAST_COUNTS: Duration = Duration::from_secs(2);

/// The wire, when the cache is shared.
pub(crate) fn redis(config: &Config) -> Result<Option<Redis>, Problem> {
    let Some(url) = &config.redis else { return Ok(None) };
    Redis::connect(url).map(Some).map_err(|error| Problem::new("--redis", url_without_password(url), error))
}

/// From the client to the origin:
///
/// 0. The log line, which measures all the rest, and the scheme (`target`), which the cache's key begins with.
/// 1. The one who counts (`events`), if there is a table `[events]`, an admin listener or a demo: outside of all that answers, so that hits and refusals
///    are counted too.
/// 2. The guard, if there is a table `[jwt]`: outside of the cache, so that a token that was revoked reads nothing that lies there.
/// 3. The sessions, if there is a table `[session]`, or a demo: outside of the cache, so that the cookie goes no further, and a page is one visitor's when
///    it was made with their session, and not because they have one.
/// 4. The cache: a hit costs nothing of what follows. It must see the request as the client sent it, since its
///    conditions and ranges are answered here, and the response as the origin made it.
/// 5. The headers of assets, if there is a table `[assets]`: inside the cache, which keeps a response as it says.
/// 6. The intermediary (`forward`), inside the cache: `Via`, `Forwarded` and the fields of the connection are made only
///    for requests that go out.
/// 7. The origin.
pub(crate) fn build(
    config: &Config,
    redis: Option<Redis>,
    counting: Option<Counting>,
    shutdown: &Shutdown,
) -> Result<Stack, Problem> {
    let guard = Guard::of(config, redis.as_ref())?;
    let visitors = Visitors::of(config, redis.as_ref())?;
    let cache = cache(config, redis);
    let rest = RouteTable::default(); // whatever no route names is cached by what it says itself
    let routes = config.routes.iter().chain([&rest]).map(|route| (route.path.clone(), layer(cache.clone(), route)));
    let origin = match &config.upstream {
        Some(uri) => {
            let upstream = Upstream::new(uri.clone(), &config.proxy)?;
            Kind::Upstream(Arc::new(Proxy::new(upstream, config.proxy.clone(), shutdown.clone())))
        }
        None => Kind::Demo(demo::origin(
            guard.as_ref().and_then(|guard| guard.issuer.as_ref()),
            counting.as_ref().map(|counting| &counting.events),
        )),
    };
    let assets = config.assets.as_ref().map(|table| table.layer(config.upstream.is_some())).transpose()?;
    Ok(Stack { routes: routes.collect(), cache: cache.clone(), assets, guard, visitors, counting, origin })
}

fn cache(config: &Config, redis: Option<Redis>) -> Cache {
    let mut options = CacheOptions::new().compress(config.cache.compress);
    if let Some(capacity) = config.cache.capacity {
        options = options.capacity(capacity);
    }
    if let Some(time) = config.cache.local_max_stale {
        options = options.local_max_stale(time.0);
    }
    if let Some(prefix) = &config.cache.prefix {
        options = options.prefix(prefix);
    }
    match redis {
        Some(redis) => options.redis(redis),
        None => options.embedded(),
    }
}

fn layer(cache: Cache, route: &RouteTable) -> CacheLayer {
    let rules = Rules::new()
        .default_lifetime(route.default_ttl.map(|seconds| seconds.0))
        .stale_on_error(route.stale_on_error.map(|seconds| seconds.0).unwrap_or_default());
    let cached = route.cache;
    let layer = CacheLayer::new(cache)
        .rules(rules)
        .share_cookies(route.share_cookies)
        .share_authorized(route.share_authorized)
        .drop_set_cookie(route.drop_set_cookie)
        .no_vary_search(route.no_vary_search);
    let layer = if cached { layer } else { layer.bypass(|_| true) };
    let layer = if route.shadow { layer.shadow(report) } else { layer };
    match route.max_body {
        Some(bytes) => layer.max_body(bytes),
        None => layer,
    }
}

/// Says what the cache would have answered wrongly. What it would have answered rightly is counted.
fn report(report: &ShadowReport) {
    match report.verdict() {
        Verdict::Same => tracing::debug!(target: "gateway::shadow", "{report}"),
        _ => tracing::warn!(target: "gateway::shadow", "{report}"),
    }
}

// === impl Stack ===

impl Stack {
    pub(crate) fn for_connection(&self, hop: Hop) -> Connected {
        let assets = self.assets.as_ref().map(|assets| assets.layer.clone());
        let origin = Origin::new(self.origin.clone(), hop, assets);
        let routes = self.routes.iter().map(|(path, layer)| (path.clone(), layer.layer(origin.clone())));
        let routes = Routes(routes.collect());
        let inside = match &self.visitors {
            Some(visitors) => visitors.around(routes),
            None => Inside::Plain(routes),
        };
        let door = match &self.guard {
            Some(guard) => Door::Guarded(guard.layer.layer(inside)),
            None => Door::Open(inside),
        };
        let front = match &self.counting {
            Some(counting) => counting.around(door, hop),
            None => Front::Plain(door),
        };
        Connected { front, counting: self.counting.clone(), tls: hop.tls }
    }

    /// The cache layer of the route that a path belongs to.
    pub(crate) fn layer_for(&self, path: &str) -> &CacheLayer {
        let route = self.routes.iter().find(|(prefix, _)| is_under(path, prefix)).or(self.routes.last());
        &route.expect("the last route takes every path").1
    }

    /// The store that all routes share.
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// What is said of assets, if anything is.
    pub(crate) fn assets(&self) -> Option<&Assets> {
        self.assets.as_ref()
    }

    /// Who stands at the door, if anybody does.
    pub(crate) fn guard(&self) -> Option<&Guard> {
        self.guard.as_ref()
    }

    /// Who has sessions, if anybody has.
    pub(crate) fn visitors(&self) -> Option<&Visitors> {
        self.visitors.as_ref()
    }

    /// Who counts, if anybody does.
    pub(crate) fn counting(&self) -> Option<&Counting> {
        self.counting.as_ref()
    }

    /// Waits until what was stored and counted has reached Redis.
    pub(crate) async fn settled(&self) {
        self.cache.settled().await;
        if let Some(counting) = &self.counting
            && let Err(error) = counting.events.drain(LAST_COUNTS).await
        {
            tracing::warn!(%error, "not all was counted");
        }
    }
}

// === impl Routes ===

/// Always ready: an origin is, and so is the cache in front of it.
impl Service<Request<Incoming>> for Routes {
    type Response = Response<CacheBody<OriginBody>>;
    type Error = Infallible;
    type Future = <CacheService<Origin> as Service<Request<Incoming>>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let path = request.uri().path();
        let route = self.0.iter().find(|(prefix, _)| is_under(path, prefix)).or(self.0.last());
        let (_, service) = route.expect("the last route takes every path");
        service.clone().call(request)
    }
}

// === impl Door ===

/// Always ready, as what is inside is.
impl Service<Request<Incoming>> for Door {
    type Response = Response<DoorBody>;
    type Error = Infallible;
    type Future = <JwtService<Inside> as Service<Request<Incoming>>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        match self {
            Self::Open(inside) => ResponseFuture::inner(inside.call(request), EitherBody::wrap),
            Self::Guarded(guarded) => guarded.call(request),
        }
    }
}

// === impl Connected ===

impl hyper::service::Service<Request<Incoming>> for Connected {
    type Response = Response<FrontBody>;
    type Error = Infallible;
    type Future = Logged<<Front as Service<Request<Incoming>>>::Future>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let line = Line::of(&request);
        // Before the cache, which keeps entries by their scheme.
        if let Some(uri) = target::of_connection(request.uri(), request.headers(), self.tls) {
            *request.uri_mut() = uri;
        }
        if let Some(counting) = &self.counting {
            counting.rank(&request);
        }
        Logged::new(line, self.front.clone().call(request))
    }
}

/// Whether a path lies under a prefix: `/a` holds `/a` and `/a/b`, not `/ab`.
fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'))
}

/// A URL that can be shown.
fn url_without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_a_segment_does() {
        for (path, prefix, expected) in [
            ("/a", "/a", true),
            ("/a/b", "/a", true),
            ("/ab", "/a", false),
            ("/a/b", "/a/", true),
            ("/a", "/a/", false),
            ("/anything", "/", true),
            ("*", "/", false),
        ] {
            assert_eq!(is_under(path, prefix), expected, "{path} under {prefix}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        assert_eq!(url_without_password("redis://user:secret@host:1"), "redis://…@host:1");
        assert_eq!(url_without_password("nonsense"), "nonsense");
    }
}
