//! What is stored by default, and what is not: when unsure, not.

use buttress_tests::body::Scripted;
use http::Response;

use crate::bed::{Bed, STORES, response};

/// Asks twice; whether the second answer came from the store.
async fn is_stored(
    request: &[(&'static str, &'static str)],
    status: u16,
    fields: &[(&'static str, &'static str)],
) -> bool {
    let mut answers = Vec::new();
    for store in STORES {
        let fields = fields.to_vec();
        let bed = Bed::new(store, move |_| response(status, &fields, "body")).await;
        bed.get_with("/x", request).await;
        let second = bed.get_with("/x", request).await;
        assert_eq!(second.status, status);
        assert_eq!(second.is_hit(), bed.calls.get() == 1, "a hit is what the origin did not see");
        answers.push(second.is_hit());
    }
    assert_eq!(answers[0], answers[1], "both stores decide alike");
    answers[0]
}

#[tokio::test]
async fn what_says_it_may_be_shared_is_stored() {
    for (request, status, fields) in [
        (&[][..], 200, &[("cache-control", "max-age=60")][..]),
        (&[], 200, &[("cache-control", "s-maxage=60, max-age=0")]),
        (&[], 200, &[("cdn-cache-control", "max-age=60"), ("cache-control", "no-store")]),
        (&[], 404, &[("cache-control", "max-age=60")]),
        (&[], 301, &[("cache-control", "max-age=60"), ("location", "/y")]),
        (&[("cookie", "a=b")], 200, &[("cache-control", "max-age=60")]),
        (&[], 200, &[("last-modified", "Fri, 01 Jan 2021 00:00:00 GMT")]),
    ] {
        assert!(is_stored(request, status, fields).await, "{request:?} {status} {fields:?}");
    }
}

#[tokio::test]
async fn what_does_not_is_not() {
    for (request, status, fields) in [
        (&[][..], 200, &[][..]),
        (&[], 200, &[("cache-control", "no-store")]),
        (&[], 200, &[("cache-control", "private, max-age=60")]),
        (&[], 200, &[("cache-control", "max-age=60"), ("set-cookie", "id=1")]),
        (&[], 200, &[("cache-control", "max-age=60"), ("vary", "*")]),
        (&[], 500, &[]),
        (&[], 206, &[("cache-control", "max-age=60"), ("content-range", "bytes 0-3/9")]),
        (&[("authorization", "Bearer x")], 200, &[("cache-control", "max-age=60")]),
        (&[("authorization", "Bearer x")], 200, &[("cache-control", "public, max-age=60")]),
        (&[("cache-control", "no-store")], 200, &[("cache-control", "max-age=60")]),
        (&[("cookie", "a=b")], 200, &[("last-modified", "Fri, 01 Jan 2021 00:00:00 GMT")]),
    ] {
        assert!(!is_stored(request, status, fields).await, "{request:?} {status} {fields:?}");
    }
}

#[tokio::test]
async fn settings_open_what_the_standard_allows_and_no_more() {
    for store in STORES {
        let bed = Bed::with(
            store,
            |layer| layer.share_authorized(true).drop_set_cookie(true),
            |parts| match parts.uri.path() {
                "/public" => response(200, &[("cache-control", "public, max-age=60")], "shared"),
                "/cookie" => response(200, &[("cache-control", "max-age=60"), ("set-cookie", "id=1")], "cookie"),
                _ => response(200, &[("cache-control", "max-age=60")], "mine"),
            },
        )
        .await;
        let token = [("authorization", "Bearer x")];
        bed.get_with("/public", &token).await;
        assert!(bed.get("/public").await.is_hit());
        bed.get_with("/mine", &token).await;
        assert!(!bed.get_with("/mine", &token).await.is_hit(), "RFC 9111 section 3.5");
        let first = bed.get("/cookie").await;
        assert_eq!(first.header("set-cookie"), "id=1", "the client it was meant for gets it");
        let second = bed.get("/cookie").await;
        assert!(second.is_hit());
        assert_eq!(second.header("set-cookie"), "", "nobody else does");
    }
}

#[tokio::test]
async fn a_service_that_breaks_leaves_nothing_behind() {
    for store in STORES {
        let bed = Bed::new(store, |parts| match parts.headers.get("x-break") {
            Some(_) => response(503, &[("cache-control", "no-store")], "broken"),
            None => response(200, &[("cache-control", "max-age=60")], "whole"),
        })
        .await;
        assert_eq!(bed.get_with("/x", &[("x-break", "1")]).await.status, 503);
        assert_eq!(bed.get("/x").await.text(), "whole");
        assert_eq!(bed.get("/x").await.text(), "whole");
        assert_eq!(bed.calls.get(), 2);
    }
}

#[tokio::test]
async fn requests_that_steer_the_service_do_not_steer_the_cache() {
    for store in STORES {
        let bed = Bed::new(store, |parts| {
            let host = parts.headers.get("x-forwarded-host").or(parts.headers.get("host")).unwrap();
            let link = format!("https://{}/login", host.to_str().unwrap());
            let mut response = response(200, &[("cache-control", "max-age=60")], link);
            response.headers_mut().insert("x-made-for", host.clone());
            response
        })
        .await;
        bed.get_with("/", &[("x-forwarded-host", "evil.example")]).await;
        assert_eq!(bed.get("/").await.text(), "https://example.com/login");
        assert_eq!(bed.get("/").await.text(), "https://example.com/login");
    }
}

#[tokio::test]
async fn grpc_passes_through_untouched() {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let bed = Bed::new(crate::bed::Store::Embedded, move |_| {
        let body = Scripted::of(["message"]).trailers(trailers.clone());
        Response::builder().header("cache-control", "max-age=60").body(body).unwrap()
    })
    .await;
    for call in 1..=2 {
        let reply = bed.get_with("/pkg.Service/Method", &[("content-type", "application/grpc")]).await;
        assert_eq!(reply.trailers.unwrap()["grpc-status"], "0");
        assert_eq!(reply.headers.get("cache-status"), None);
        assert_eq!(bed.calls.get(), call);
    }
}
