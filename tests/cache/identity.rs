//! Whose response is it? What is one client's does not become another's, and a copy is told from an original.

use std::time::Duration;

use buttress::cache::{CacheLayer, CacheOptions};
use buttress_tests::body::{self, Scripted};
use buttress_tests::counting;
use http::{HeaderMap, HeaderName, Method, Request, Response};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Bed, Body, STORES, request, response};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

/// Whether what one client was given under these fields comes back to another one.
async fn leaks(
    settings: impl Fn(CacheLayer) -> CacheLayer,
    one: &'static [(&'static str, &'static str)],
    fields: &'static [(&'static str, &'static str)],
) -> bool {
    let mut answers = Vec::new();
    for store in STORES {
        let bed = Bed::with(store, &settings, move |_| response(200, fields, "body")).await;
        bed.get_with("/x", one).await;
        answers.push(bed.get("/x").await.is_hit());
    }
    assert_eq!(answers[0], answers[1], "both stores decide alike");
    answers[0]
}

#[tokio::test]
async fn credentials_make_a_response_private_however_they_are_spelled() {
    const BEARER: &[(&str, &str)] = &[("authorization", "bearer x")];
    for (one, fields) in [
        (BEARER, &[FRESH][..]),
        (BEARER, &[("cache-control", "public, max-age=60")]),
        (BEARER, &[("cache-control", "s-maxage=60")]),
        (&[("authorization", "")], &[FRESH]),
        (&[("proxy-authorization", "Basic eDp5")], &[FRESH]),
        (&[("cookie", "id=1")], &[("last-modified", "Fri, 01 Jan 2021 00:00:00 GMT")]),
        (&[("cookie", "id=1")], &[("cache-control", "public")]),
    ] {
        assert!(!leaks(|layer| layer.default_ttl(Duration::from_secs(60)), one, fields).await, "{one:?} {fields:?}");
    }
    for (fields, shared) in [
        (&[("cache-control", "public, max-age=60")][..], true),
        (&[("cache-control", "s-maxage=60")], true),
        (&[("cache-control", "max-age=60, must-revalidate")], true),
        (&[FRESH], false),
        (&[("cache-control", "max-age=60, proxy-revalidate")], false),
    ] {
        assert_eq!(leaks(|layer| layer.share_authorized(true), BEARER, fields).await, shared, "{fields:?}");
    }
}

/// Of a client certificate, or of whatever another layer has found out, nothing stands in a request's fields: the key has to.
#[tokio::test]
async fn who_is_known_by_an_extension_can_be_told_apart_by_the_key() {
    #[derive(Clone)]
    struct User(&'static str);
    let keyed = CacheLayer::new(CacheOptions::new().embedded()).key(|parts| {
        let mut key = buttress::cache::Key::of(parts);
        key.push(parts.extensions.get::<User>().map_or("", |user| user.0));
        key
    });
    let (origin, calls) = counting(|request: Request<Body>| async move {
        let user = request.extensions().get::<User>().map_or("nobody", |user| user.0);
        Ok::<_, Infallible>(response(200, &[FRESH], user))
    });
    let service = keyed.layer(origin);
    for user in ["a", "b", "a", "b"] {
        let mut request = request(Method::GET, "/x", &[]);
        request.extensions_mut().insert(User(user));
        let (_, body, _) = body::collect(service.clone().oneshot(request).await.unwrap()).await;
        assert_eq!(body, user);
    }
    assert_eq!(calls.get(), 2);
}

#[tokio::test]
async fn a_cookie_reaches_the_one_it_is_set_for_and_nobody_else() {
    for store in STORES {
        let bed = Bed::with(
            store,
            |layer| layer.drop_set_cookie(true),
            |parts| match parts.headers.contains_key("if-none-match") {
                true => {
                    response(304, &[FRESH, ("etag", "\"1\""), ("set-cookie", "a=304"), ("set-cookie", "b=304")], "")
                }
                false => response(200, &[FRESH, ("etag", "\"1\""), ("set-cookie", "a=200")], "body"),
            },
        )
        .await;
        assert_eq!(bed.get("/x").await.header("set-cookie"), "a=200");
        assert_eq!(bed.get("/x").await.headers.get("set-cookie"), None);
        bed.hand.advance(Duration::from_secs(61));
        assert_eq!(bed.get("/x").await.headers.get_all("set-cookie").iter().count(), 2, "those of the 304");
        let hit = bed.get("/x").await;
        assert_eq!((hit.is_hit(), hit.headers.get("set-cookie")), (true, None));
    }
}

#[tokio::test]
async fn a_cookie_in_trailers_is_not_replayed() {
    for store in STORES {
        let bed = Bed::new(store, |_| {
            let names = ["set-cookie", "connection", "x-sum"].map(HeaderName::from_static);
            let trailers: HeaderMap = names.into_iter().map(|name| (name, "1".parse().unwrap())).collect();
            Response::builder().header(FRESH.0, FRESH.1).body(Scripted::of(["a"]).trailers(trailers)).unwrap()
        })
        .await;
        assert_eq!(bed.get("/x").await.trailers.unwrap().len(), 3, "the first client has what was sent");
        let hit = bed.get("/x").await;
        assert!(hit.is_hit());
        assert_eq!(hit.trailers.unwrap().keys().collect::<Vec<_>>(), ["x-sum"]);
    }
}

/// A follower reads along before the body has ended; what ends it was for the one who asked first.
#[tokio::test]
async fn who_reads_along_gets_no_cookie_of_the_one_who_asked() {
    let (sender, mut taps) = tokio::sync::mpsc::unbounded_channel();
    let origin = tower::service_fn(move |_: Request<Body>| {
        let (tap, body) = body::slow();
        sender.send(tap).unwrap();
        let response = Response::builder().header(FRESH.0, FRESH.1).header("content-length", 4);
        async { Ok::<_, Infallible>(response.header("x-request-id", "7").body(body).unwrap()) }
    });
    let service = CacheLayer::new(CacheOptions::new().embedded()).layer(origin);
    let first = service.clone().oneshot(request(Method::GET, "/x", &[])).await.unwrap();
    let tap = taps.recv().await.unwrap();
    tap.data("bo");
    let follower = service.oneshot(request(Method::GET, "/x", &[])).await.unwrap();
    assert!(taps.is_empty() && follower.headers()["cache-status"].to_str().unwrap().contains("collapsed"));
    assert_eq!(
        (&first.headers()["x-request-id"], follower.headers().get("x-request-id")),
        (&"7".parse().unwrap(), None)
    );
    let names = ["set-cookie", "x-sum"].map(HeaderName::from_static);
    tap.data("dy");
    tap.trailers(names.into_iter().map(|name| (name, "1".parse().unwrap())).collect());
    drop(tap);
    let trailers = tokio::join!(body::collect(first), body::collect(follower));
    let names = |trailers: Option<HeaderMap>| trailers.unwrap().keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        (names(trailers.0.2), names(trailers.1.2)),
        (vec!["set-cookie".into(), "x-sum".into()], vec!["x-sum".to_owned()])
    );
}

#[tokio::test]
async fn what_is_said_of_one_request_is_not_said_of_the_next() {
    const OWN: [&str; 4] = ["x-request-id", "traceresponse", "server-timing", "x-correlation-id"];
    for store in STORES {
        let bed = Bed::new(store, |_| {
            let mut response = response(200, &[FRESH, ("etag", "\"1\"")], "body");
            for name in OWN {
                response.headers_mut().insert(name, "7".parse().unwrap());
            }
            response.extensions_mut().insert("an extension");
            response
        })
        .await;
        let first = bed.open(request(Method::GET, "/x", &[])).await;
        assert!(OWN.iter().all(|name| first.headers()[*name] == "7"));
        assert_eq!(first.extensions().get(), Some(&"an extension"));
        body::collect(first).await;
        bed.cache.settled().await;
        let hit = bed.open(request(Method::GET, "/x", &[])).await;
        assert_eq!(hit.headers()["etag"], "\"1\"");
        assert!(OWN.iter().all(|name| hit.headers().get(*name).is_none()), "{:?}", hit.headers());
        assert!(hit.extensions().is_empty());
    }
}

/// A page with a nonce is the same page for all who get the copy: policy and body belong together. Who allows one origin and does
/// not say `Vary: Origin` allows it to all; the audit finds that.
#[tokio::test]
async fn a_copy_holds_together_and_varies_on_what_it_says() {
    for store in STORES {
        let nonce = AtomicUsize::new(0);
        let bed = Bed::new(store, move |parts| {
            let origin = parts.headers.get("origin").map_or("", |origin| origin.to_str().unwrap()).to_owned();
            let nonce = format!("nonce-{}", nonce.fetch_add(1, Ordering::SeqCst));
            let fields = [
                FRESH,
                ("content-security-policy", nonce.as_str()),
                ("access-control-allow-origin", &origin),
                ("vary", "Origin"),
            ];
            response(200, &fields, nonce.clone())
        })
        .await;
        for origin in ["https://a.example", "https://b.example", "https://a.example", "https://b.example"] {
            let reply = bed.get_with("/x", &[("origin", origin)]).await;
            assert_eq!(reply.header("content-security-policy"), reply.text());
            assert_eq!(reply.header("access-control-allow-origin"), origin);
        }
        assert_eq!(bed.calls.get(), 2);
    }
}

#[tokio::test]
async fn a_refresh_asks_for_everybody() {
    const FIELDS: (&str, &str) = ("cache-control", "max-age=10, stale-while-revalidate=600");
    for store in STORES {
        let bed = Arc::new(Bed::new(store, |_| response(200, &[FIELDS, ("etag", "\"1\"")], "body")).await);
        bed.get("/x").await;
        bed.hand.advance(Duration::from_secs(11));
        let personal = [
            ("cookie", "id=1"),
            ("authorization", "Bearer x"),
            ("proxy-authorization", "Basic eDp5"),
            ("range", "bytes=0-1"),
            ("if-modified-since", "Fri, 01 Jan 2021 00:00:00 GMT"),
            ("if-none-match", "\"own\""),
            ("cache-control", "max-stale"),
        ];
        // Who asks gets its part of what is there, and leaves.
        let part = bed.get_with("/x", &personal).await;
        assert!(part.is_hit());
        for _ in 0..1_000 {
            if bed.calls.get() == 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for _ in 0..1_000 {
            if bed.seen.lock().unwrap().len() == 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let seen = bed.last_seen();
        let kept: Vec<_> = personal.iter().filter(|(name, _)| seen.contains_key(*name)).collect();
        assert_eq!(kept, [&("if-none-match", "\"own\"")], "by name alone");
        assert_eq!(seen["if-none-match"], "\"1\"", "that of the entry");
    }
}
