//! Bodies, their lengths and their parts: what is kept is whole, and each request gets of it what it asked for.

use std::time::Duration;

use buttress_tests::body::Scripted;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Response};

use crate::bed::{Bed, STORES, Store, request, response};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const TAGGED: (&str, &str) = ("etag", "\"1\"");

#[tokio::test]
async fn a_length_that_is_not_that_of_the_body_leaves_nothing_behind() {
    for (length, chunks, kept) in [
        (Some("4"), &["body"][..], true),
        (Some("3"), &["body"], false),
        (Some("5"), &["body"], false),
        (Some("0"), &["body"], false),
        (Some("nonsense"), &["body"], true), // then the body says how long it is
        (None, &["bo", "dy"], true),
        (None, &["", "bo", "", "dy", ""], true),
        (None, &[""], true),
        (Some("0"), &[], true),
        (Some("4"), &[], false),
    ] {
        for store in STORES {
            let bed = Bed::new(store, move |_| {
                let mut response = Response::builder().header(FRESH.0, FRESH.1);
                if let Some(length) = length {
                    response = response.header("content-length", length);
                }
                response.body(Scripted::of(chunks.iter().map(|chunk| Bytes::from_static(chunk.as_bytes())))).unwrap()
            })
            .await;
            bed.get("/x").await;
            let second = bed.get("/x").await;
            assert_eq!(second.is_hit(), kept, "{store:?} {length:?} {chunks:?}");
            assert_eq!(second.text(), chunks.concat());
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_breaks_for_its_client_and_is_asked_for_again() {
    for store in STORES {
        let bed = Bed::new(store, |parts| {
            let body = Scripted::of(["one", "two"]);
            let body = if parts.headers.contains_key("x-break") { body.breaks() } else { body };
            Response::builder().header(FRESH.0, FRESH.1).body(body).unwrap()
        })
        .await;
        assert!(bed.read(request(Method::GET, "/x", &[("x-break", "1")])).await.is_err());
        assert_eq!(bed.read(request(Method::GET, "/x", &[])).await.unwrap(), "onetwo");
        assert_eq!((bed.get("/x").await.text(), bed.calls.get()), ("onetwo", 2));
    }
}

#[tokio::test]
async fn trailers_come_with_the_whole_and_not_with_a_part() {
    for store in STORES {
        let bed = Bed::new(store, |_| {
            let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-sum"), "7".parse().unwrap())]);
            let body = Scripted::of(["0123"]).trailers(trailers);
            Response::builder().header(FRESH.0, FRESH.1).header(TAGGED.0, TAGGED.1).body(body).unwrap()
        })
        .await;
        bed.get("/x").await;
        assert_eq!(bed.get("/x").await.trailers.unwrap()["x-sum"], "7");
        let part = bed.get_with("/x", &[("range", "bytes=1-2")]).await;
        assert_eq!((part.status.as_u16(), part.text(), &part.trailers), (206, "12", &None));
    }
}

#[tokio::test]
async fn a_part_is_cut_out_of_the_whole_and_never_taken_for_it() {
    for store in STORES {
        let bed = Bed::new(store, |parts| match (parts.uri.path(), parts.headers.get("range")) {
            ("/empty", _) => response(200, &[FRESH, TAGGED], ""),
            ("/weak", _) => response(200, &[FRESH, ("etag", "W/\"1\"")], "0123456789"),
            (_, Some(_)) => response(206, &[FRESH, TAGGED, ("content-range", "bytes 0-3/10")], "0123"),
            (_, None) => response(200, &[FRESH, TAGGED], "0123456789"),
        })
        .await;
        // On a miss: what comes is passed on, and the next one is given the whole.
        let part = bed.get_with("/x", &[("range", "bytes=0-3")]).await;
        assert_eq!((part.status.as_u16(), part.text()), (206, "0123"));
        let whole = bed.get("/x").await;
        assert_eq!((whole.is_hit(), whole.status.as_u16(), whole.text()), (false, 200, "0123456789"));
        for (range, condition, status, body) in [
            ("bytes=-4", None, 206, "6789"),
            ("bytes=-40", None, 206, "0123456789"),
            ("bytes=-0", None, 416, ""),
            ("bytes=10-20", None, 416, ""),
            ("bytes=0-0", None, 206, "0"),
            ("bytes=0-3,2-5", None, 200, "0123456789"), // several, overlapping: the whole is as good
            ("bytes=0-0,-1", None, 200, "0123456789"),
            ("bytes=0-3", Some("\"1\""), 206, "0123"),
            ("bytes=0-3", Some("W/\"1\""), 200, "0123456789"),
            ("bytes=0-3", Some("\"2\""), 200, "0123456789"),
            ("bytes=0-3", Some("Fri, 15 Jan 2027 08:00:00 GMT"), 200, "0123456789"),
        ] {
            let fields: Vec<_> =
                std::iter::once(("range", range)).chain(condition.map(|tag| ("if-range", tag))).collect();
            let reply = bed.get_with("/x", &fields).await;
            assert!(reply.is_hit());
            assert_eq!((reply.status.as_u16(), reply.text()), (status, body), "{store:?} {fields:?}");
        }
        bed.get("/empty").await;
        let empty = bed.get_with("/empty", &[("range", "bytes=0-")]).await;
        assert_eq!((empty.is_hit(), empty.status.as_u16(), empty.text()), (true, 200, ""), "nothing to cut: all of it");
        bed.get("/weak").await;
        let weak = bed.get_with("/weak", &[("range", "bytes=0-3"), ("if-range", "W/\"1\"")]).await;
        assert_eq!((weak.is_hit(), weak.status.as_u16()), (true, 200), "a weak tag vouches for no octets");
    }
}

/// An entry under `/x`, asked for by HEAD when it is stale; the tag and the length that the HEAD is answered with.
async fn judged_by_head(store: Store, etag: &'static str, length: &'static str) -> Bed {
    let bed = Bed::new(store, move |parts| match parts.method {
        Method::HEAD => response(200, &[FRESH, ("etag", etag), ("content-length", length), ("x-note", "new")], ""),
        _ => response(200, &[FRESH, TAGGED, ("content-length", "4"), ("x-note", "old")], "body"),
    })
    .await;
    bed.get("/x").await;
    let head = bed.send(request(Method::HEAD, "/x", &[])).await;
    assert_eq!((head.is_hit(), head.header("content-length"), head.text()), (true, "4", ""));
    bed.hand.advance(Duration::from_secs(61));
    let asked = bed.send(request(Method::HEAD, "/x", &[])).await;
    assert_eq!((asked.is_hit(), asked.header("etag")), (false, etag));
    bed
}

#[tokio::test]
async fn head_is_answered_like_get_and_ends_what_it_shows_to_be_another() {
    for (etag, length) in [("\"2\"", "4"), ("\"1\"", "5")] {
        for store in STORES {
            let bed = judged_by_head(store, etag, length).await;
            let get = bed.get("/x").await;
            assert_eq!((get.is_hit(), get.text(), get.header("x-note")), (false, "body", "old"));
            assert_eq!(bed.last_seen().get("if-none-match"), None, "{store:?}: nothing is left to be validated");
        }
    }
}

#[tokio::test]
async fn head_freshens_what_it_shows_to_be_the_same() {
    for store in STORES {
        let get = judged_by_head(store, "\"1\"", "4").await.get("/x").await;
        assert_eq!((get.is_hit(), get.text(), get.header("x-note")), (true, "body", "new"), "{store:?}");
    }
}

#[tokio::test]
async fn a_304_changes_what_it_names_and_doubles_nothing() {
    for store in STORES {
        let bed = Bed::new(store, |parts| match parts.headers.contains_key("if-none-match") {
            true => response(304, &[FRESH, TAGGED, ("link", "</c>"), ("link", "</d>"), ("vary", "x-a")], ""),
            false => {
                let fields = [FRESH, TAGGED, ("link", "</a>"), ("link", "</b>"), ("allow", "GET"), ("allow", "PUT")];
                let mut response = response(200, &fields, "body");
                response.headers_mut().insert("vary", "x-a".parse().unwrap());
                response.headers_mut().insert("content-length", "4".parse().unwrap());
                response
            }
        })
        .await;
        bed.get("/x").await;
        for _ in 0..3 {
            bed.hand.advance(Duration::from_secs(61));
            for is_hit in [false, true] {
                let reply = bed.get("/x").await;
                assert_eq!((reply.is_hit(), reply.text(), reply.header("content-length")), (is_hit, "body", "4"));
                for (name, values) in [
                    ("link", &["</c>", "</d>"][..]),
                    ("allow", &["GET", "PUT"]),
                    ("vary", &["x-a"]),
                    ("etag", &["\"1\""]),
                ] {
                    assert_eq!(reply.headers.get_all(name).iter().collect::<Vec<_>>(), values, "{store:?} {name}");
                }
                for once in ["date", "age", "cache-status", "cache-control"] {
                    assert!(reply.headers.get_all(once).iter().count() <= 1, "{store:?} {once}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_304_that_keeps_the_copy_from_others_ends_it() {
    for (name, value) in [
        ("cache-control", "private, max-age=60"),
        ("cache-control", "no-store, max-age=60"),
        ("cdn-cache-control", "private"),
        ("vary", "*"),
        ("cache-groups", "unreadable"),
    ] {
        for store in STORES {
            let bed = Bed::new(store, move |parts| match parts.headers.contains_key("if-none-match") {
                true => response(304, &[TAGGED, (name, value)], ""),
                false => response(200, &[FRESH, TAGGED], "body"),
            })
            .await;
            bed.get("/x").await;
            bed.hand.advance(Duration::from_secs(61));
            let validated = bed.get("/x").await;
            assert_eq!((validated.status.as_u16(), validated.text()), (200, "body"), "it is this client's still");
            let next = bed.get("/x").await;
            assert_eq!(
                (next.is_hit(), bed.last_seen().get("if-none-match")),
                (false, None),
                "{store:?} {name}: {value}"
            );
        }
    }
}

/// To a question that nobody asked: no condition was sent, since there was nothing to be validated with.
#[tokio::test]
async fn a_304_that_nobody_asked_for_becomes_nobody_s_entry() {
    for store in STORES {
        let bed = Bed::new(store, |parts| match parts.headers.contains_key("x-odd") {
            true => response(304, &[FRESH, TAGGED], ""),
            false => {
                response(200, &[("cache-control", "max-age=60, stale-while-revalidate=0, stale-if-error=600")], "body")
            }
        })
        .await;
        assert_eq!(bed.get_with("/x", &[("x-odd", "1")]).await.status, 304);
        assert_eq!((bed.get("/x").await.text(), bed.get("/x").await.is_hit()), ("body", true));
        bed.hand.advance(Duration::from_secs(61));
        let odd = bed.get_with("/x", &[("x-odd", "1")]).await;
        assert_eq!(bed.last_seen().get("if-none-match"), None);
        assert!(!odd.is_hit());
        let next = bed.get("/x").await;
        assert_eq!((next.is_hit(), next.status.as_u16(), next.text()), (false, 200, "body"), "{store:?}");
    }
}

#[tokio::test]
async fn a_client_with_a_copy_of_its_own_is_told_so_and_the_entry_is_whole() {
    for store in STORES {
        let bed = Bed::new(store, |parts| {
            assert!(!parts.headers.contains_key("if-none-match") && !parts.headers.contains_key("if-modified-since"));
            response(200, &[FRESH, TAGGED, ("last-modified", "Fri, 01 Jan 2021 00:00:00 GMT")], "body")
        })
        .await;
        for (number, (name, value, status)) in [
            ("if-none-match", "\"1\"", 304),
            ("if-none-match", "\"2\"", 200),
            ("if-modified-since", "Fri, 01 Jan 2021 00:00:00 GMT", 304),
        ]
        .into_iter()
        .enumerate()
        {
            let uri = format!("/{number}");
            assert_eq!(bed.get_with(&uri, &[(name, value)]).await.status, status, "{name}: {value}");
            for _ in 0..1_000 {
                bed.cache.settled().await;
                if bed.get_with(&uri, &[("cache-control", "only-if-cached")]).await.is_hit() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let whole = bed.get(&uri).await;
            assert_eq!((whole.is_hit(), whole.status.as_u16(), whole.text()), (true, 200, "body"));
        }
    }
}
