//! Caches within caches, before and behind compression, and on many routes of one router.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::OriginalUri;
use axum::routing::get;
use buttress::cache::{Cache, CacheLayer, CacheName, CacheOptions, Key, Purge};
use buttress::core::ManualClock;
use buttress_tests::{Strict, counting};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt as _, Full};
use tower::{Service, ServiceBuilder, ServiceExt as _};
use tower_http::compression::CompressionLayer;

use crate::bed::{Body, request, response};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

fn hand() -> ManualClock {
    ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
}

fn named(name: &'static str, cache: &Cache) -> CacheLayer {
    CacheLayer::new(cache.clone()).name(CacheName::new(name).unwrap()).early_refresh(0.0)
}

/// Sends a GET; the fields and the body of the answer.
async fn ask<S, B, R>(service: &S, uri: &str, fields: &[(&str, &str)]) -> (HeaderMap, Bytes)
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible> + Clone,
    B: Default,
    R: HttpBody<Data = Bytes, Error: std::fmt::Debug>,
{
    let (parts, _) = request(Method::GET, uri, fields).into_parts();
    let response = service.clone().oneshot(Request::from_parts(parts, B::default())).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.headers, body.collect().await.unwrap().to_bytes())
}

fn statuses(headers: &HeaderMap) -> Vec<&str> {
    headers.get_all("cache-status").iter().map(|status| status.to_str().unwrap()).collect()
}

#[tokio::test]
async fn each_cache_says_its_own_word_and_time_counts_once() {
    let hand = hand();
    let caches = ["Inner", "Outer"].map(|name| (name, CacheOptions::new().clock(hand.clock()).embedded()));
    let (origin, calls) = counting(|_: Request<Body>| async { Ok::<_, Infallible>(response(200, &[FRESH], "body")) });
    let [(inner, far), (outer, near)] = &caches;
    let service = ServiceBuilder::new().layer(named(outer, near)).layer(named(inner, far)).service(origin);

    let (headers, _) = ask(&service, "http://h/x", &[]).await;
    assert_eq!(statuses(&headers), ["Inner; fwd=uri-miss; ttl=60; stored", "Outer; fwd=uri-miss; ttl=60; stored"]);
    hand.advance(Duration::from_secs(20));
    let (headers, _) = ask(&service, "http://h/x", &[]).await;
    assert_eq!(headers["age"], "20");
    assert_eq!(statuses(&headers).last(), Some(&"Outer; hit; ttl=40"));

    near.purge(Purge::everything()).await.unwrap();
    let (headers, _) = ask(&service, "http://h/x", &[]).await;
    assert_eq!(headers["age"], "20", "from the inner one");
    assert_eq!(statuses(&headers), ["Inner; hit; ttl=40", "Outer; fwd=uri-miss; ttl=40; stored"]);
    hand.advance(Duration::from_secs(10));
    let (headers, _) = ask(&service, "http://h/x", &[]).await;
    assert_eq!((headers["age"].to_str().unwrap(), headers.get_all("age").iter().count()), ("30", 1));
    assert_eq!(statuses(&headers), ["Inner; hit; ttl=40", "Outer; hit; ttl=30"]);
    hand.advance(Duration::from_secs(30));
    ask(&service, "http://h/x", &[]).await;
    assert_eq!(calls.get(), 2, "both end at the same time");
}

#[tokio::test]
async fn a_layer_that_is_applied_twice_does_not_wait_for_itself() {
    let cache = Cache::embedded();
    let (origin, calls) = counting(|_: Request<Body>| async { Ok::<_, Infallible>(response(200, &[FRESH], "body")) });
    let layer = named("Twice", &cache);
    let service = ServiceBuilder::new().layer(layer.clone()).layer(layer).service(origin);
    let answers = async {
        for uri in ["http://h/x", "http://h/y", "http://h/x", "http://h/y"] {
            ask(&service, uri, &[]).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(4), answers).await.expect("nobody waits for the five seconds of a lead");
    assert_eq!((calls.get(), cache.len()), (2, 2));
}

const TEXT: &str = "what compresses well what compresses well what compresses well what compresses well";

async fn page(_: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    let response = Response::builder().header(FRESH.0, FRESH.1).header("content-type", "text/plain");
    Ok(response.header("etag", "\"1\"").body(Full::from(TEXT)).unwrap())
}

#[tokio::test]
async fn behind_the_cache_compression_makes_variants_and_each_goes_to_who_takes_it() {
    let (origin, calls) = counting(page);
    let layers = ServiceBuilder::new().layer(CacheLayer::new(Cache::embedded())).layer(CompressionLayer::new());
    let service = layers.service(origin);
    for turn in 0..2 {
        for (accepts, coding) in [
            (Some("gzip"), Some("gzip")),
            (None, None),
            (Some("gzip;q=0"), None),
            (Some("GZIP, br;q=0.1"), Some("gzip")),
        ] {
            let fields: Vec<_> = accepts.map(|accepts| ("accept-encoding", accepts)).into_iter().collect();
            let (headers, body) = ask(&service, "http://h/x", &fields).await;
            let is_hit = statuses(&headers)[0].contains("; hit");
            assert!(is_hit || turn == 0, "{accepts:?}");
            assert_eq!(headers.get("content-encoding").map(|coding| coding.to_str().unwrap()), coding, "{accepts:?}");
            assert_eq!(body == TEXT, coding.is_none());
            assert_eq!(headers["vary"], "accept-encoding");
            if is_hit {
                // A part is one of the coded whole, and says so.
                let part = [fields, vec![("range", "bytes=0-1")]].concat();
                let (headers, start) = ask(&service, "http://h/x", &part).await;
                assert_eq!(
                    (&start[..], headers["content-range"].to_str().unwrap()),
                    (&body[..2], &*format!("bytes 0-1/{}", body.len()))
                );
            }
        }
    }
    assert!(calls.get() <= 4, "{}", calls.get());
}

#[tokio::test]
async fn before_the_cache_compression_codes_one_entry_for_each_client() {
    let (origin, calls) = counting(page);
    let layers = ServiceBuilder::new().layer(CompressionLayer::new()).layer(CacheLayer::new(Cache::embedded()));
    let service = layers.service(origin);
    for (turn, coding) in [None, Some("gzip"), None, Some("gzip")].into_iter().enumerate() {
        let fields: Vec<_> = coding.map(|coding| ("accept-encoding", coding)).into_iter().collect();
        let (headers, body) = ask(&service, "http://h/x", &fields).await;
        assert_eq!(statuses(&headers)[0].contains("; hit"), turn > 0);
        assert_eq!(headers.get("content-encoding").map(|coding| coding.to_str().unwrap()), coding);
        assert_eq!((body == TEXT, headers["vary"].to_str().unwrap()), (coding.is_none(), "accept-encoding"));
        assert!(headers.get("content-length").is_none_or(|length| *length == body.len().to_string().as_str()));
    }
    assert_eq!(calls.get(), 1);
}

#[tokio::test]
async fn many_routes_share_one_store_and_each_is_ready_when_it_is_called() {
    let cache = Cache::embedded();
    let made = Arc::new(AtomicUsize::new(0));
    let handler = move || {
        let number = made.fetch_add(1, Ordering::SeqCst);
        async move { ([FRESH], number.to_string()) }
    };
    let layer = CacheLayer::new(cache.clone());
    let mut app = Router::new();
    for number in 0..50 {
        app = app.route(
            &format!("/{number}"),
            get(handler.clone()).layer(ServiceBuilder::new().layer(layer.clone()).layer_fn(Strict::new)),
        );
    }
    for turn in 0..2 {
        for number in 0..50 {
            let (headers, body) = ask::<_, axum::body::Body, _>(&app, &format!("http://h/{number}"), &[]).await;
            assert_eq!((statuses(&headers)[0].contains("; hit"), body), (turn == 1, number.to_string().into()));
        }
    }
    assert_eq!(cache.len(), 50);
    cache.purge(Purge::prefix(&"http://h/1".parse().unwrap()).unwrap()).await.unwrap();
    let (headers, _) = ask::<_, axum::body::Body, _>(&app, "http://h/11", &[]).await;
    assert!(!statuses(&headers)[0].contains("; hit"));
}

/// What stands below `nest` sees the path without the prefix: there two routers' paths are one. The cache goes outside of it, or is
/// told what was asked for.
#[tokio::test]
async fn below_a_prefix_that_a_router_strips_the_key_is_the_whole_uri() {
    let version = |name: &'static str, layer: CacheLayer| {
        Router::new().route("/x", get(move || async move { ([FRESH], name) })).layer(layer)
    };
    let whole = |parts: &http::request::Parts| {
        let mut whole = Request::new(()).into_parts().0;
        (whole.method, whole.headers) = (parts.method.clone(), parts.headers.clone());
        whole.uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0).clone();
        Key::of(&whole)
    };
    let inside = CacheLayer::new(Cache::embedded()).key(whole);
    let inside = Router::new().nest("/v1", version("one", inside.clone())).nest("/v2", version("two", inside));
    let untouched = || CacheLayer::new(Cache::embedded()).bypass(|_| true);
    let outside = Router::new().nest("/v1", version("one", untouched())).nest("/v2", version("two", untouched()));
    let outside = outside.layer(CacheLayer::new(Cache::embedded()));
    for app in [inside, outside] {
        for is_hit in [false, true] {
            for (uri, expected) in [("http://h/v1/x", "one"), ("http://h/v2/x", "two")] {
                let (headers, body) = ask::<_, axum::body::Body, _>(&app, uri, &[]).await;
                assert_eq!(
                    (statuses(&headers).last().unwrap().contains("; hit"), &body[..]),
                    (is_hit, expected.as_bytes())
                );
            }
        }
    }
}
