//! What a stored response is reused for: conditions, ranges, HEAD, age, validation.

use std::time::Duration;

use http::Method;

use crate::bed::{Bed, STORES, request, response};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

#[tokio::test]
async fn a_hit_carries_its_age_and_says_so() {
    for store in STORES {
        let bed = Bed::new(store, |_| response(200, &[FRESH, ("content-type", "text/plain")], "body")).await;
        let first = bed.get("/x").await;
        assert!(first.header("cache-status").contains("fwd=uri-miss; ttl=60; stored"), "{first:?}");
        bed.hand.advance(Duration::from_secs(7));
        let second = bed.get("/x").await;
        assert!(second.is_hit());
        assert_eq!(second.header("age"), "7");
        assert!(second.header("cache-status").contains("ttl=53"), "{second:?}");
        assert_eq!(second.header("content-type"), "text/plain");
        assert_eq!(second.text(), "body");
        bed.hand.advance(Duration::from_secs(53));
        assert!(!bed.get("/x").await.is_hit(), "stale");
        assert_eq!(bed.calls.get(), 2);
    }
}

#[tokio::test]
async fn conditions_are_answered_from_the_store() {
    for store in STORES {
        let tagged = [FRESH, ("etag", "\"v1\""), ("last-modified", "Fri, 01 Jan 2021 00:00:00 GMT"), ("x-own", "1")];
        let bed = Bed::new(store, move |_| response(200, &tagged, "body")).await;
        bed.get("/x").await;
        for (name, value, status) in [
            ("if-none-match", "\"v1\"", 304),
            ("if-none-match", "W/\"v1\"", 304),
            ("if-none-match", "\"a\", \"v1\"", 304),
            ("if-none-match", "*", 304),
            ("if-none-match", "\"v2\"", 200),
            ("if-modified-since", "Fri, 01 Jan 2021 00:00:00 GMT", 304),
            ("if-modified-since", "Thu, 31 Dec 2020 00:00:00 GMT", 200),
            ("if-modified-since", "garbage", 200),
        ] {
            let reply = bed.get_with("/x", &[(name, value)]).await;
            assert_eq!(reply.status, status, "{name}: {value}");
            assert!(reply.is_hit());
            assert_eq!(reply.header("etag"), "\"v1\"");
            assert_eq!(reply.body.is_empty(), status == 304);
        }
        let both =
            bed.get_with("/x", &[("if-none-match", "\"v2\""), ("if-modified-since", "Fri, 01 Jan 2021 00:00:00 GMT")]);
        assert_eq!(both.await.status, 200, "RFC 9110 section 13.1.3: If-None-Match decides alone");
        assert_eq!(bed.calls.get(), 1);
    }
}

#[tokio::test]
async fn ranges_and_head_are_answered_from_the_whole() {
    for store in STORES {
        let bed = Bed::new(store, |_| response(200, &[FRESH, ("etag", "\"v1\"")], "0123456789")).await;
        bed.get("/x").await;
        for (range, status, body, content_range) in [
            ("bytes=0-3", 206, "0123", "bytes 0-3/10"),
            ("bytes=7-", 206, "789", "bytes 7-9/10"),
            ("bytes=-2", 206, "89", "bytes 8-9/10"),
            ("bytes=5-500", 206, "56789", "bytes 5-9/10"),
            ("bytes=10-", 416, "", "bytes */10"),
            ("lines=1-2", 200, "0123456789", ""),
            ("bytes=3-1", 200, "0123456789", ""),
        ] {
            let reply = bed.get_with("/x", &[("range", range)]).await;
            assert_eq!(reply.status, status, "{range}");
            assert_eq!(reply.text(), body, "{range}");
            assert_eq!(reply.header("content-range"), content_range, "{range}");
        }
        let other = bed.get_with("/x", &[("range", "bytes=0-3"), ("if-range", "\"v2\"")]).await;
        assert_eq!((other.status.as_u16(), other.text()), (200, "0123456789"), "If-Range does not match: the whole");
        let same = bed.get_with("/x", &[("range", "bytes=0-3"), ("if-range", "\"v1\"")]).await;
        assert_eq!((same.status.as_u16(), same.text()), (206, "0123"));

        let head = bed.send(request(Method::HEAD, "/x", &[])).await;
        assert!(head.is_hit());
        assert_eq!((head.status.as_u16(), head.text(), head.header("content-length")), (200, "", "10"));
        assert_eq!(bed.calls.get(), 1);
    }
}

#[tokio::test]
async fn a_condition_on_a_miss_fills_the_entry_and_is_answered() {
    for store in STORES {
        let bed = Bed::new(store, |_| response(200, &[FRESH, ("etag", "\"v1\"")], "body")).await;
        let first = bed.get_with("/x", &[("if-none-match", "\"v1\"")]).await;
        assert_eq!((first.status.as_u16(), first.text()), (304, ""));
        assert_eq!(bed.last_seen().get("if-none-match"), None, "the fill asks for the whole");
        for _ in 0..100 {
            bed.cache.settled().await;
            tokio::task::yield_now().await;
        }
        let second = bed.get("/x").await;
        assert_eq!((second.is_hit(), second.text()), (true, "body"));
    }
}

#[tokio::test]
async fn a_stale_entry_is_validated_and_becomes_fresh() {
    for store in STORES {
        let bed = Bed::new(store, |parts| match parts.headers.get("if-none-match") {
            Some(tag) if tag == "\"v1\"" => {
                response(304, &[FRESH, ("etag", "\"v1\""), ("x-note", "new"), ("set-cookie", "a=1")], "")
            }
            _ => response(200, &[FRESH, ("etag", "\"v1\""), ("x-note", "old"), ("content-type", "text/plain")], "body"),
        })
        .await;
        bed.get("/x").await;
        bed.hand.advance(Duration::from_secs(61));
        let validated = bed.get_with("/x", &[("if-none-match", "\"other\"")]).await;
        assert_eq!((validated.status.as_u16(), validated.text()), (200, "body"));
        assert!(validated.header("cache-status").contains("fwd=stale; fwd-status=304"), "{validated:?}");
        assert_eq!(validated.header("set-cookie"), "a=1", "for the one who asked");
        bed.hand.advance(Duration::from_secs(5));
        let hit = bed.get("/x").await;
        assert!(hit.is_hit(), "{hit:?}");
        assert_eq!((hit.header("age"), hit.header("x-note"), hit.header("set-cookie")), ("5", "new", ""));
        assert_eq!((hit.text(), hit.header("content-type")), ("body", "text/plain"));
        assert_eq!(bed.calls.get(), 2);
    }
}

#[tokio::test]
async fn a_304_about_something_else_is_not_believed() {
    for store in STORES {
        let bed = Bed::new(store, |parts| match parts.headers.get("if-none-match") {
            Some(_) => response(304, &[FRESH, ("etag", "\"v2\"")], ""),
            None => response(200, &[FRESH, ("etag", "\"v1\"")], "body"),
        })
        .await;
        bed.get("/x").await;
        bed.hand.advance(Duration::from_secs(61));
        assert_eq!(bed.get("/x").await.status, 502);
        assert_eq!(bed.get("/x").await.text(), "body", "the next one asks for the whole");
    }
}

#[tokio::test]
async fn stale_is_better_than_broken_where_the_response_allows_it() {
    for store in STORES {
        for (fields, status) in [
            ("max-age=10, stale-if-error=60", 200),
            ("max-age=10, stale-if-error=60, must-revalidate", 503),
            ("max-age=10", 503),
        ] {
            let bed = Bed::new(store, move |parts| match parts.headers.get("x-break") {
                Some(_) => response(503, &[], "broken"),
                None => response(200, &[("cache-control", fields), ("etag", "\"v1\"")], "body"),
            })
            .await;
            bed.get("/x").await;
            bed.hand.advance(Duration::from_secs(11));
            let reply = bed.get_with("/x", &[("x-break", "1")]).await;
            assert_eq!(reply.status, status, "{fields}");
            let expected = match status {
                200 => "Buttress; fwd=stale; fwd-status=503; ttl=-1; detail=stale-if-error",
                _ => "Buttress; fwd=stale",
            };
            assert_eq!(reply.header("cache-status"), expected, "{fields}");
        }
    }
}

#[tokio::test]
async fn a_stale_answer_while_the_entry_is_refreshed_behind_it() {
    for store in STORES {
        let bed = Bed::new(store, |parts| {
            let number = if parts.headers.contains_key("if-none-match") { "second" } else { "first" };
            response(200, &[("cache-control", "max-age=10, stale-while-revalidate=60"), ("etag", "\"v1\"")], number)
        })
        .await;
        bed.get("/x").await;
        bed.hand.advance(Duration::from_secs(11));
        let stale = bed.get_with("/x", &[("cookie", "mine=1"), ("x-trace", "1")]).await;
        assert_eq!((stale.text(), stale.is_hit()), ("first", true));
        for _ in 0..1_000 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            bed.cache.settled().await;
            if bed.calls.get() == 2 && bed.get("/x").await.text() == "second" {
                break;
            }
        }
        let fresh = bed.get("/x").await;
        assert_eq!((fresh.text(), fresh.header("age"), bed.calls.get()), ("second", "0", 2));
        let background = bed.seen.lock().unwrap()[1].headers.clone();
        assert_eq!(background.get("cookie"), None, "nobody's cookie in a request for everybody");
    }
}

#[tokio::test]
async fn requests_may_ask_for_less_or_more() {
    for store in STORES {
        let bed = Bed::new(store, |_| response(200, &[FRESH], "body")).await;
        let refused = bed.get_with("/x", &[("cache-control", "only-if-cached")]).await;
        assert_eq!((refused.status.as_u16(), refused.header("content-type")), (504, "application/problem+json"));
        bed.get("/x").await;
        assert!(bed.get_with("/x", &[("cache-control", "only-if-cached")]).await.is_hit());
        assert!(!bed.get_with("/x", &[("cache-control", "no-cache")]).await.is_hit());
        bed.hand.advance(Duration::from_secs(20));
        assert!(!bed.get_with("/x", &[("cache-control", "max-age=10")]).await.is_hit());
        bed.hand.advance(Duration::from_secs(70));
        assert!(bed.get_with("/x", &[("cache-control", "max-stale=30")]).await.is_hit());
        assert!(!bed.get_with("/x", &[("cache-control", "min-fresh=61")]).await.is_hit());
    }
}

#[tokio::test]
async fn head_on_a_miss_does_not_become_the_answer_to_get() {
    for store in STORES {
        let bed =
            Bed::new(store, |parts| response(200, &[FRESH], if parts.method == Method::HEAD { "" } else { "body" }))
                .await;
        bed.send(request(Method::HEAD, "/x", &[])).await;
        let get = bed.get("/x").await;
        assert_eq!((get.is_hit(), get.text()), (false, "body"));
    }
}
