//! What is asked for, in all its spellings: nothing is held to be the same that the service may tell apart.

use std::convert::Infallible;

use buttress::cache::{Cache, CacheLayer, CacheOptions};
use buttress_tests::{body, counting};
use http::{Method, Request, Version};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Bed, Body, STORES, Store, patient, response};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

/// Requests, each by its target and its `Host` lines: which of them are answered with the first one's response.
async fn answered_alike(first: (&str, &[&str]), others: &[(&str, &[&str], bool)]) {
    for store in STORES {
        let bed = Bed::new(store, |_| response(200, &[FRESH], "body")).await;
        bed.send(asking(first)).await;
        for &(target, hosts, expected) in others {
            // Not stored itself, so that each is compared with the first.
            let mut request = asking((target, hosts));
            request.headers_mut().insert("cache-control", "only-if-cached".parse().unwrap());
            let is_hit = bed.send(request).await.is_hit();
            assert_eq!(is_hit, expected, "{store:?}: {first:?}, then {target} {hosts:?}");
        }
    }
}

fn asking((target, hosts): (&str, &[&str])) -> Request<Body> {
    let mut request = Request::get(target);
    for host in hosts {
        request = request.header("host", *host);
    }
    request.body(Body::new()).unwrap()
}

#[tokio::test]
async fn one_authority_has_many_spellings_and_another_none() {
    answered_alike(
        ("/x", &["a.example"]),
        &[
            ("http://a.example/x", &[], true),
            ("http://a.example/x", &["a.example"], true),
            ("http://A.EXAMPLE/x", &["A.example"], true),
            ("/x", &["A.Example:80"], true),
            ("http://a.example:80/x", &[], true),
            ("/x", &["a.example", "a.example"], true),
            ("/x", &["a.example:443"], false),
            ("https://a.example/x", &[], false),
            ("/x", &["a.example."], false),
            ("/x", &["b.example"], false),
            ("/x", &["a.example", "b.example"], false),
            ("/x", &["b.example", "a.example"], false),
            // The target decides, but a service may look at `Host`.
            ("http://a.example/x", &["b.example"], false),
            ("http://b.example/x", &["a.example"], false),
            ("/x", &[], false),
        ],
    )
    .await;
    answered_alike(
        ("https://[2001:db8::1]/x", &[]),
        &[
            ("https://[2001:DB8::1]:443/x", &[], true),
            ("https://[2001:db8::1]:80/x", &[], false),
            ("https://[2001:db8:0::1]/x", &[], false),
        ],
    )
    .await;
}

#[tokio::test]
async fn http_2_names_the_authority_in_the_target() {
    for store in STORES {
        let bed = Bed::new(store, |_| response(200, &[FRESH], "body")).await;
        bed.send(asking(("/x", &["a.example"]))).await;
        for (hosts, expected) in [(&[][..], true), (&["a.example"], true), (&["evil.example"], false)] {
            let mut request = asking(("http://a.example/x", hosts));
            *request.version_mut() = Version::HTTP_2;
            assert_eq!(bed.send(request).await.is_hit(), expected, "{hosts:?}");
        }
    }
}

#[tokio::test]
async fn paths_and_queries_are_taken_octet_by_octet() {
    const TARGETS: [&str; 22] = [
        "/a/b",
        "/a%2Fb",
        "/a%2fb",
        "/a//b",
        "/a/./b",
        "/a/../a/b",
        "/a/b/",
        "/a;x/b",
        "/a%3Bx/b",
        "/a/b%00",
        "/a/b%20",
        "/a/B",
        "/%61/b",
        "/a/b?",
        "/a/b?x",
        "/a/b?x=",
        "/a/b?x=1&y=2",
        "/a/b?y=2&x=1",
        "/a/b?x=1;y=2",
        "/a/b?x=+",
        "/a/b?x=%20",
        "/a\\b",
    ];
    for store in STORES {
        let bed =
            Bed::new(store, |parts| response(200, &[FRESH], parts.uri.path_and_query().unwrap().as_str().to_owned()))
                .await;
        for turn in 0..2 {
            for target in TARGETS.iter().filter(|target| target.parse::<http::Uri>().is_ok()) {
                let reply = bed.get(target).await;
                assert_eq!((reply.text(), reply.is_hit()), (*target, turn == 1), "{store:?}");
            }
        }
    }
    answered_alike(("http://a.example", &[]), &[("http://a.example/", &[], true), ("http://a.example/?", &[], false)])
        .await;
}

#[tokio::test]
async fn a_get_with_a_body_is_neither_answered_nor_stored() {
    for store in STORES {
        let server = matches!(store, Store::Redis).then(buttress_tests::RedisServer::start);
        let cache = match &server {
            Some(server) => CacheOptions::new().capacity(0).redis(patient(server).await),
            None => Cache::embedded(),
        };
        let (origin, calls) = counting(|request: Request<Full<bytes::Bytes>>| async move {
            let said = request.into_body().collect().await.unwrap().to_bytes();
            Ok::<_, Infallible>(response(200, &[FRESH], said))
        });
        let service = CacheLayer::new(cache.clone()).layer(origin);
        let ask = async |method: Method, said: &'static str| {
            let request = Request::builder().method(method).uri("http://h/x").body(Full::from(said)).unwrap();
            let (parts, body, _) = body::collect(service.clone().oneshot(request).await.unwrap()).await;
            cache.settled().await;
            (body, parts.headers["cache-status"].to_str().unwrap().contains("; hit"))
        };
        for (said, is_hit) in [("fat", false), ("", false), ("", true), ("fat", false), ("other", false), ("", true)] {
            let (body, hit) = ask(Method::GET, said).await;
            assert_eq!((&body[..], hit), (said.as_bytes(), is_hit), "{store:?}");
        }
        assert!(!ask(Method::HEAD, "fat").await.1);
        assert_eq!(calls.get(), 5);
    }
}

#[tokio::test]
async fn what_is_no_request_for_a_copy_passes_untouched() {
    for store in STORES {
        let bed = Bed::new(store, |parts| match parts.headers.contains_key("upgrade") && parts.method == Method::GET {
            true => response(101, &[("upgrade", "websocket"), ("connection", "upgrade"), FRESH], ""),
            false => response(200, &[FRESH], "body"),
        })
        .await;
        for _ in 0..2 {
            let upgrade =
                crate::bed::request(Method::GET, "/x", &[("connection", "upgrade"), ("upgrade", "websocket")]);
            let reply = bed.send(upgrade).await;
            assert_eq!((reply.status.as_u16(), reply.header("upgrade")), (101, "websocket"));
            assert_eq!(reply.headers.get("cache-status"), None);
            let tunnel = Request::builder().method(Method::CONNECT).uri("a.example:443").body(Body::new()).unwrap();
            assert_eq!(bed.send(tunnel).await.headers.get("cache-status"), None);
            let options = bed.send(crate::bed::request(Method::OPTIONS, "*", &[])).await;
            assert!(!options.is_hit());
        }
        assert_eq!(bed.calls.get(), 6);
        bed.get("/x").await;
        assert!(bed.get("/x").await.is_hit());
        let change = [("connection", "upgrade"), ("upgrade", "websocket")];
        bed.send(crate::bed::request(Method::POST, "/x", &change)).await;
        assert!(!bed.get("/x").await.is_hit(), "the offer was not taken, but the change was made");
    }
}
