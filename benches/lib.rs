//! What the benches share: a service with a hit in it. The benches live beside this file, one per claim;
//! `scripts/bench` runs them.

pub mod load;
pub mod report;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::time::Duration;

use buttress::cache::{Cache, CacheLayer, CacheService};
use buttress::redis::Redis;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use tower::{Layer as _, Service as _, ServiceExt as _};

/// The service that is wrapped, and that a hit is compared with.
pub type Bare = tower::util::ServiceFn<fn(Request<Empty<Bytes>>) -> Ready<Result<Response<Full<Bytes>>, Infallible>>>;

/// A response like those a real service sends, with a body of 1 KiB.
pub fn one_kib(_: Request<Empty<Bytes>>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    static BODY: [u8; 1024] = [b'x'; 1024];
    ready(Ok(answer(Bytes::from_static(&BODY))))
}

/// The same with 100 KiB.
pub fn hundred_kib(_: Request<Empty<Bytes>>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    static BODY: [u8; 102_400] = [b'x'; 102_400];
    ready(Ok(answer(Bytes::from_static(&BODY))))
}

/// A request as a browser sends it, near enough.
#[must_use]
pub fn request(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path)
        .header("host", "shop.example")
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0")
        .header("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
        .header("accept-encoding", "gzip, deflate, br")
        .header("accept-language", "de,en;q=0.5")
        .body(Empty::new())
        .expect("a valid request")
}

/// The wrapped service, its cache warmed for `path`.
pub async fn warmed(bare: Bare, path: &str) -> CacheService<Bare> {
    let service = CacheLayer::new(Cache::embedded()).layer(bare);
    for _ in 0..2 {
        hit(&service, path).await;
    }
    service
}

/// One request, its body read to the end; how long it was.
pub async fn hit(service: &CacheService<Bare>, path: &str) -> usize {
    let response = service.clone().oneshot(request(path)).await.expect("the service never fails");
    response.into_body().collect().await.expect("the body never fails").to_bytes().len()
}

/// The same, by a request that goes past the cache: `POST`, or with gRPC's media type.
pub async fn bypass(service: &CacheService<Bare>, mut request: Request<Empty<Bytes>>) -> usize {
    *request.method_mut() = Method::POST;
    let response = service.clone().oneshot(request).await.expect("the service never fails");
    response.into_body().collect().await.expect("the body never fails").to_bytes().len()
}

/// One request to the service without the layer.
pub async fn bare(service: &Bare, path: &str) -> usize {
    let response = service.clone().call(request(path)).await.expect("the service never fails");
    response.into_body().collect().await.expect("the body never fails").to_bytes().len()
}

/// A response with the fields that a real service sends, fresh for a day.
#[must_use]
pub fn answer(body: Bytes) -> Response<Full<Bytes>> {
    Response::builder()
        .header("content-type", "text/html; charset=utf-8")
        .header("cache-control", "public, max-age=86400")
        .header("etag", "\"5f2d9c81\"")
        .header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        .body(Full::new(body))
        .expect("a valid response")
}

/// The same handle, once Redis is there.
pub async fn connected(redis: Redis) -> Redis {
    while !redis.is_up() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    redis
}
