//! A cached service to try things on: an origin made of a function, a clock moved by hand, a store of either kind.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use buttress::cache::{Cache, CacheBody, CacheLayer, CacheOptions};
use buttress::core::{BoxError, ManualClock};
use buttress::redis::Redis;
use buttress_tests::body::{self, Scripted};
use buttress_tests::{Calls, RedisServer, counting};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _};

pub(crate) type Body = Empty<Bytes>;

/// A cached service and what surrounds it.
pub(crate) struct Bed {
    service: Mutex<BoxCloneSyncService<Request<Body>, Response<CacheBody<Scripted>>, Infallible>>,
    pub(crate) cache: Cache,
    pub(crate) calls: Calls,
    pub(crate) hand: ManualClock,
    /// The requests as the origin saw them.
    pub(crate) seen: Arc<Mutex<Vec<http::request::Parts>>>,
    pub(crate) redis: Option<RedisServer>,
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

/// The two stores.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Store {
    Embedded,
    Redis,
}

pub(crate) const STORES: [Store; 2] = [Store::Embedded, Store::Redis];

// === impl Bed ===

impl Bed {
    pub(crate) async fn new(
        store: Store,
        answer: impl Fn(&http::request::Parts) -> Response<Scripted> + Send + Sync + 'static,
    ) -> Self {
        Self::with(store, |layer| layer, answer).await
    }

    pub(crate) async fn with(
        store: Store,
        settings: impl FnOnce(CacheLayer) -> CacheLayer,
        answer: impl Fn(&http::request::Parts) -> Response<Scripted> + Send + Sync + 'static,
    ) -> Self {
        let hand = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let options = CacheOptions::new().clock(hand.clock());
        let (cache, redis) = match store {
            Store::Embedded => (options.embedded(), None),
            Store::Redis => {
                let server = RedisServer::start();
                // Nothing stays in process: each hit comes out of Redis.
                let cache = options.capacity(0).redis(patient(&server).await);
                (cache, Some(server))
            }
        };
        Self { redis, ..Self::over(cache, hand, settings, answer) }
    }

    /// A process of its own on a cache that was made elsewhere.
    pub(crate) fn over(
        cache: Cache,
        hand: ManualClock,
        settings: impl FnOnce(CacheLayer) -> CacheLayer,
        answer: impl Fn(&http::request::Parts) -> Response<Scripted> + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (origin, calls) = counting({
            let (seen, answer) = (Arc::clone(&seen), Arc::new(answer));
            move |request: Request<Body>| {
                let (parts, _) = request.into_parts();
                let response = answer(&parts);
                seen.lock().unwrap().push(parts);
                async move { Ok::<_, Infallible>(response) }
            }
        });
        let service = settings(CacheLayer::new(cache.clone())).layer(origin);
        Self { service: Mutex::new(BoxCloneSyncService::new(service)), cache, calls, hand, seen, redis: None }
    }

    /// Sends a request and reads the response to its end; then waits until what it wrote has reached the store.
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.open(request).await;
        let (parts, body, trailers) = body::collect(response).await;
        self.cache.settled().await;
        Reply { status: parts.status, headers: parts.headers, body, trailers }
    }

    /// Sends a request; its body is left to the test.
    pub(crate) async fn open(&self, request: Request<Body>) -> Response<CacheBody<Scripted>> {
        let service = self.service.lock().unwrap().clone();
        service.oneshot(request).await.unwrap()
    }

    /// Sends a request and reads its body, which may break.
    pub(crate) async fn read(&self, request: Request<Body>) -> Result<Bytes, BoxError> {
        let collected = self.open(request).await.into_body().collect().await;
        self.cache.settled().await;
        collected.map(|collected| collected.to_bytes())
    }

    pub(crate) async fn get(&self, uri: &str) -> Reply {
        self.get_with(uri, &[]).await
    }

    pub(crate) async fn get_with(&self, uri: &str, headers: &[(&str, &str)]) -> Reply {
        self.send(request(Method::GET, uri, headers)).await
    }

    /// The request that the origin saw last.
    pub(crate) fn last_seen(&self) -> HeaderMap {
        self.seen.lock().unwrap().last().expect("the origin was asked").headers.clone()
    }
}

// === impl Reply ===

impl Reply {
    /// The value of a field; empty when it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn is_hit(&self) -> bool {
        self.header("cache-status").split(';').any(|part| part.trim() == "hit")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub(crate) fn request(method: Method, uri: &str, headers: &[(&str, &str)]) -> Request<Body> {
    // What names no authority asks `example.com`.
    let authority =
        uri.split_once("://").map_or("example.com", |(_, rest)| rest.split(['/', '?']).next().unwrap_or(rest));
    let mut request = Request::builder().method(method).uri(uri).header("host", authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Empty::new()).unwrap()
}

/// A response with these fields.
pub(crate) fn response(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Scripted> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Scripted::of([body.into()])).unwrap()
}

/// A handle that is up.
pub(crate) async fn connected(server: &RedisServer) -> Redis {
    is_up(Redis::connect(&server.url()).unwrap()).await
}

/// A handle that is up, for tests that are not about time: on a busy machine a deadline passes that has nothing to do with them.
pub(crate) async fn patient(server: &RedisServer) -> Redis {
    let patience = Duration::from_secs(5);
    is_up(Redis::options().deadline(patience).body_deadline(patience).connect(&server.url()).unwrap()).await
}

async fn is_up(redis: Redis) -> Redis {
    for _ in 0..500 {
        if redis.is_up() {
            return redis;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a started Redis was not connected within five seconds");
}
