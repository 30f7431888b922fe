//! `No-Vary-Search`: equivalent queries find one response, by its own word and no further.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use buttress::cache::{CacheLayer, CacheOptions, Key, Purge};
use buttress::core::ManualClock;
use buttress_tests::body::{self, Scripted};
use buttress_tests::counting;
use http::{Method, Request, Response};
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Bed, Body, STORES, Store, request, response};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const NO_UTM: (&str, &str) = ("no-vary-search", r#"key-order, params=("utm")"#);
const NONE: (&str, &str) = ("no-vary-search", "params");

pub(crate) fn hand() -> ManualClock {
    ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
}

async fn bed(
    store: Store,
    answer: impl Fn(&http::request::Parts) -> Response<Scripted> + Send + Sync + 'static,
) -> Bed {
    Bed::with(store, |layer| layer.no_vary_search(true).early_refresh(0.0), answer).await
}

/// The path and the query.
fn target(parts: &http::request::Parts) -> String {
    parts.uri.to_string()
}

pub(crate) fn no_utm(parts: &http::request::Parts) -> Response<Scripted> {
    response(200, &[FRESH, NO_UTM], target(parts))
}

#[tokio::test]
async fn equivalent_queries_are_one_response() {
    for store in STORES {
        let bed = bed(store, no_utm).await;
        assert_eq!(bed.get("/a?b=1&c=2&utm=x").await.text(), "/a?b=1&c=2&utm=x");
        for like in ["/a?b=1&c=2&utm=x", "/a?b=1&c=2&utm=y", "/a?c=2&b=1", "/a?c=%32&b=1&utm=", "/a?c=2&utm&b=1"] {
            let reply = bed.get(like).await;
            assert!(reply.is_hit(), "{store:?} {like}");
            assert_eq!((reply.text(), reply.header("no-vary-search")), ("/a?b=1&c=2&utm=x", NO_UTM.1));
        }
        for other in ["/a?b=1", "/a?b=2&c=2", "/a", "/a?b=1&c=2&d", "/a?B=1&c=2"] {
            let reply = bed.get(other).await;
            assert_eq!((reply.text(), reply.is_hit()), (other, false), "{store:?}");
        }
        assert!(bed.get("/a?utm=z").await.is_hit(), "no query is an empty one");
        assert_eq!(bed.calls.get(), 6);
    }
}

#[tokio::test]
async fn without_the_setting_each_query_is_its_own() {
    for store in STORES {
        let bed = Bed::new(store, no_utm).await;
        bed.get("/a?b=1").await;
        for uri in ["/a?b=1&utm=x", "/a?utm=x"] {
            let reply = bed.get(uri).await;
            assert_eq!((reply.text(), reply.is_hit()), (uri, false));
        }
        if let Some(server) = &bed.redis {
            let names = server.cli(&["KEYS", "buttress:cache:v1:{??????????????????????}"]);
            assert_eq!(names.array().len(), 3, "and nothing is remembered of the path");
        }
    }
}

/// How many GETs Redis was sent for a request, those within scripts included. What watches the connection asks now and then, too:
/// the fewest of several.
async fn fewest_gets(bed: &Bed, uri: impl Fn(u32) -> String) -> u32 {
    let server = bed.redis.as_ref().unwrap();
    let mut fewest = u32::MAX;
    for number in 0..5 {
        assert_eq!(server.cli(&["CONFIG", "RESETSTAT"]).text(), "OK");
        bed.get(&uri(number)).await;
        let stats = server.cli(&["INFO", "commandstats"]).text();
        let (_, gets) = stats.split_once("cmdstat_get:calls=").unwrap();
        fewest = fewest.min(gets.split(',').next().unwrap().parse().unwrap());
    }
    fewest
}

#[tokio::test]
async fn the_setting_costs_a_miss_one_question_and_a_hit_none() {
    for (setting, miss) in [(false, 3), (true, 4)] {
        let settings = |layer: CacheLayer| layer.no_vary_search(setting);
        let bed = Bed::with(Store::Redis, settings, |_| response(200, &[FRESH], "body")).await;
        bed.get("/first").await;
        // The lookup, the claim, the fill; and what the path said.
        assert_eq!(fewest_gets(&bed, |number| format!("/x?{number}")).await, miss, "{setting}");
        assert_eq!(fewest_gets(&bed, |_| "/x?0".to_owned()).await, 1, "{setting}");
    }
}

#[tokio::test]
async fn a_layer_without_the_setting_does_not_find_what_one_with_it_stored() {
    let hand = hand();
    let cache = CacheOptions::new().clock(hand.clock()).embedded();
    let (origin, calls) = counting(|request: Request<Body>| {
        let answer = response(200, &[FRESH, NO_UTM], request.uri().to_string());
        async move { Ok::<_, Infallible>(answer) }
    });
    let with = CacheLayer::new(cache.clone()).no_vary_search(true).layer(origin.clone());
    let without = CacheLayer::new(cache).layer(origin);
    for uri in ["/a?b=1&utm=x", "/a?b=1"] {
        let response = with.clone().oneshot(request(Method::GET, uri, &[])).await.unwrap();
        body::collect(response).await;
    }
    assert_eq!(calls.get(), 1);
    let response = without.oneshot(request(Method::GET, "/a?b=1", &[])).await.unwrap();
    assert_eq!(body::collect(response).await.1, "/a?b=1");
    assert_eq!(calls.get(), 2);
}

#[tokio::test]
async fn a_response_answers_no_other_path_and_no_other_host() {
    for store in STORES {
        let bed = bed(store, |parts| response(200, &[FRESH, NONE], target(parts))).await;
        bed.get("http://a.example/x?1").await;
        assert!(bed.get("http://a.example/x?2").await.is_hit(), "{store:?}");
        for other in ["http://a.example/y?1", "http://a.example/x/?1", "http://b.example/x?1", "https://a.example/x?1"]
        {
            let reply = bed.get(other).await;
            assert_eq!((reply.text(), reply.is_hit()), (other, false), "{store:?}");
        }
        let forged = bed.get_with("http://a.example/x?2", &[("x-forwarded-host", "evil.example")]).await;
        assert!(!forged.is_hit(), "{store:?}");
        // Named as a path's record is: it must not be taken for one.
        for name in ["no-vary-search", "params"] {
            assert!(!bed.get_with("http://a.example/x?2", &[("forwarded", name)]).await.is_hit());
        }
    }
}

#[tokio::test]
async fn a_response_does_not_stand_in_for_one_that_lacks_the_field() {
    for store in STORES {
        let bed = bed(store, |parts| match parts.uri.query() {
            Some("q=plain") => response(200, &[FRESH], target(parts)),
            _ => response(200, &[FRESH, NONE], target(parts)),
        })
        .await;
        bed.get("/x?q=plain").await;
        bed.get("/x?q=1").await;
        let reply = bed.get("/x?q=plain").await;
        assert_eq!((reply.text(), reply.is_hit()), ("/x?q=plain", true), "{store:?}");
        assert_eq!(bed.get("/x?q=2").await.text(), "/x?q=1");
        // Fetched again, for a client that insists, it says that the path is not what it was taken for.
        bed.get_with("/x?q=plain", &[("cache-control", "no-cache")]).await;
        let reply = bed.get("/x?q=3").await;
        assert_eq!((reply.text(), reply.is_hit()), ("/x?q=3", false), "{store:?}");
    }
}

#[tokio::test]
async fn an_error_or_a_redirect_says_nothing_of_other_queries() {
    for store in STORES {
        for status in [404, 410, 301, 308] {
            let bed = bed(store, move |parts| match parts.uri.query() {
                Some("bad") => response(status, &[FRESH, NONE], "bad"),
                _ => response(200, &[FRESH], target(parts)),
            })
            .await;
            assert_eq!(bed.get("/x?bad").await.status, status);
            assert!(bed.get("/x?bad").await.is_hit(), "{store:?} {status}: to its own query it is an answer");
            for good in ["/x?1", "/x", "/x?2"] {
                let reply = bed.get(good).await;
                assert_eq!((reply.text(), reply.is_hit()), (good, false), "{store:?} {status}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_stored_says_nothing_of_its_path() {
    for store in STORES {
        let bed = bed(store, |parts| match parts.uri.query() {
            Some("one") => response(200, &[("cache-control", "private"), NONE], target(parts)),
            _ => response(200, &[FRESH], target(parts)),
        })
        .await;
        for uri in ["/x?one", "/x?two", "/x?one", "/x?three"] {
            let reply = bed.get(uri).await;
            assert_eq!((reply.text(), reply.is_hit()), (uri, false), "{store:?}");
        }
    }
}

#[tokio::test]
async fn a_field_that_cannot_be_read_or_is_too_long_is_as_if_absent() {
    let long = format!("params=(\"{}\")", "a".repeat(2000));
    for field in ["params=(", "params=1", "except=(\"a\")", long.as_str()] {
        for store in STORES {
            let field = field.to_owned();
            let bed = bed(store, move |parts| response(200, &[FRESH, ("no-vary-search", &field)], target(parts))).await;
            bed.get("/x?a=1").await;
            assert!(bed.get("/x?a=1").await.is_hit());
            assert!(!bed.get("/x?a=2").await.is_hit(), "{store:?}");
        }
    }
}

#[tokio::test]
async fn another_policy_takes_the_place_of_the_first() {
    for store in STORES {
        let bed = bed(store, |parts| {
            let only = ("no-vary-search", r#"params=("a")"#);
            let fields = if parts.headers.contains_key("new") { [FRESH, only] } else { [FRESH, NONE] };
            response(200, &fields, target(parts))
        })
        .await;
        bed.get("/x?a=1&b=1").await;
        assert!(bed.get("/x?a=2&b=2").await.is_hit());
        bed.get_with("/x?a=3&b=3", &[("new", "yes"), ("cache-control", "no-cache")]).await;
        assert_eq!(bed.get("/x?a=4&b=3").await.text(), "/x?a=3&b=3", "{store:?}");
        let reply = bed.get_with("/x?a=1&b=2", &[("new", "yes")]).await;
        assert_eq!((reply.text(), reply.is_hit()), ("/x?a=1&b=2", false), "{store:?}: b counts by now");
    }
}

#[tokio::test]
async fn variants_and_equivalent_queries_go_together() {
    for store in STORES {
        let bed = bed(store, |parts| {
            let language = parts.headers.get("accept-language").map_or("", |value| value.to_str().unwrap());
            response(200, &[FRESH, NO_UTM, ("vary", "accept-language")], format!("{language} {}", target(parts)))
        })
        .await;
        let ask = async |uri, language| bed.get_with(uri, &[("accept-language", language)]).await;
        assert_eq!(ask("/x?utm=1", "de").await.text(), "de /x?utm=1");
        assert_eq!(ask("/x?utm=2", "en").await.text(), "en /x?utm=2");
        for (uri, language, text) in [("/x?utm=3", "de", "de /x?utm=1"), ("/x", "en", "en /x?utm=2")] {
            let reply = ask(uri, language).await;
            assert_eq!((reply.text(), reply.is_hit()), (text, true), "{store:?}");
        }
        assert!(!ask("/x?utm=4", "fr").await.is_hit());
        assert_eq!(bed.calls.get(), 3, "{store:?}");
    }
}

#[tokio::test]
async fn a_stale_response_is_validated_by_whichever_query_comes() {
    for store in STORES {
        let bed = bed(store, |parts| match parts.headers.contains_key("if-none-match") {
            true => response(304, &[FRESH, NO_UTM, ("etag", "\"1\"")], ""),
            false => response(200, &[FRESH, NO_UTM, ("etag", "\"1\"")], target(parts)),
        })
        .await;
        bed.get("/x?utm=1").await;
        bed.hand.advance(Duration::from_secs(61));
        let reply = bed.get("/x?utm=2").await;
        assert_eq!(reply.text(), "/x?utm=1", "{store:?}");
        assert!(reply.header("cache-status").contains("fwd-status=304"), "{}", reply.header("cache-status"));
        assert!(bed.get("/x?utm=3").await.is_hit());
        assert_eq!(bed.calls.get(), 2);
    }
}

#[tokio::test]
async fn a_stale_entry_that_gains_or_loses_the_field_is_found_no_more_where_it_was() {
    for store in STORES {
        let bed = bed(store, |parts| match parts.headers.get("want").map(|want| want.as_bytes()) {
            Some(b"field") => response(200, &[FRESH, NONE], "field"),
            _ => response(200, &[FRESH], "plain"),
        })
        .await;
        bed.get("/x?1").await;
        bed.hand.advance(Duration::from_secs(61));
        assert_eq!(bed.get_with("/x?1", &[("want", "field")]).await.text(), "field");
        for uri in ["/x?1", "/x?2"] {
            assert_eq!(bed.get(uri).await.text(), "field", "{store:?}");
        }
        bed.hand.advance(Duration::from_secs(61));
        assert_eq!(bed.get("/x?1").await.text(), "plain");
        assert!(bed.get("/x?1").await.is_hit(), "{store:?}");
        assert!(!bed.get("/x?2").await.is_hit(), "{store:?}");
    }
}

#[tokio::test]
async fn large_bodies_answer_equivalent_queries_too() {
    for store in STORES {
        let bed = bed(store, |_| response(200, &[FRESH, NO_UTM], vec![b'x'; (2 << 20) + 3])).await;
        bed.get("/x?utm=1").await;
        let reply = bed.get("/x?utm=2").await;
        assert!(reply.is_hit(), "{store:?}");
        assert_eq!(reply.body.len(), (2 << 20) + 3);
    }
}

#[tokio::test]
async fn a_large_body_that_gains_the_field_by_validation_is_soon_found_by_equivalent_queries() {
    for store in STORES {
        let bed = bed(store, |parts| match parts.headers.contains_key("if-none-match") {
            true => response(304, &[FRESH, NO_UTM, ("etag", "\"1\"")], ""),
            false if parts.uri.query() == Some("utm=1") => {
                response(200, &[FRESH, ("etag", "\"1\"")], vec![b'x'; 2 << 20])
            }
            false => response(200, &[FRESH, NO_UTM, ("etag", "\"1\"")], vec![b'x'; 2 << 20]),
        })
        .await;
        bed.get("/x?utm=1").await;
        bed.hand.advance(Duration::from_secs(61));
        assert_eq!(bed.get("/x?utm=1").await.body.len(), 2 << 20);
        for uri in ["/x?utm=2", "/x?utm=3"] {
            assert_eq!(bed.get(uri).await.body.len(), 2 << 20);
        }
        for uri in ["/x?utm=4", "/x?utm=1"] {
            assert!(bed.get(uri).await.is_hit(), "{store:?} {uri}");
        }
    }
}

#[tokio::test]
async fn a_change_of_any_equivalent_uri_outdates_the_response() {
    for store in STORES {
        let bed = bed(store, |parts| match parts.method {
            Method::POST => response(204, &[("location", "/moved?utm=9")], ""),
            _ => no_utm(parts),
        })
        .await;
        for (uri, like) in [("/x?a=1&utm=1", "/x?a=1"), ("/moved?utm=1", "/moved?utm=2")] {
            bed.get(uri).await;
            assert!(bed.get(like).await.is_hit());
        }
        bed.send(request(Method::POST, "/x?utm=7&a=1", &[])).await;
        for like in ["/x?a=1", "/moved?utm=2"] {
            assert!(!bed.get(like).await.is_hit(), "{store:?} {like}");
        }
    }
}

#[tokio::test]
async fn a_change_through_a_layer_without_the_setting_outdates_the_response_too() {
    let cache = CacheOptions::new().clock(hand().clock()).embedded();
    let (origin, calls) = counting(|request: Request<Body>| {
        let (parts, _) = request.into_parts();
        async move {
            Ok::<_, Infallible>(match parts.method {
                Method::POST => response(201, &[("location", "/x?utm=9")], ""),
                _ => no_utm(&parts),
            })
        }
    });
    let (api, pages) = (CacheLayer::new(cache.clone()), CacheLayer::new(cache).no_vary_search(true));
    let (api, pages) = (api.layer(origin.clone()), pages.layer(origin));
    for utm in 1..4 {
        let uri = format!("/x?utm={utm}");
        body::collect(pages.clone().oneshot(request(Method::GET, &uri, &[])).await.unwrap()).await;
    }
    assert_eq!(calls.get(), 1);
    body::collect(api.oneshot(request(Method::POST, "/new", &[])).await.unwrap()).await;
    let after = pages.oneshot(request(Method::GET, "/x?utm=4", &[])).await.unwrap();
    assert_eq!(body::collect(after).await.1, "/x?utm=4");
}

#[tokio::test]
async fn a_purge_of_any_equivalent_uri_takes_the_response() {
    for store in STORES {
        for soft in [false, true] {
            let bed = bed(store, no_utm).await;
            for uri in ["/x?a=1&utm=1", "/y?utm=1"] {
                bed.get(uri).await;
            }
            let purge = Purge::uri(&"http://example.com/x?utm=7&a=1".parse().unwrap()).unwrap();
            bed.cache.purge(if soft { purge.soft() } else { purge }).await.unwrap();
            assert!(!bed.get("/x?a=1&utm=2").await.is_hit(), "{store:?}, soft: {soft}");
            assert!(bed.get("/x?a=1&utm=3").await.is_hit(), "what came after is good");
            assert!(bed.get("/y?utm=2").await.is_hit(), "{store:?}, soft: {soft}: another path stays");
        }
    }
}

#[tokio::test]
async fn a_key_of_ones_own_is_not_touched() {
    for store in STORES {
        let settings = |layer: CacheLayer| layer.no_vary_search(true).key(Key::of);
        let bed = Bed::with(store, settings, no_utm).await;
        bed.get("/x?utm=1").await;
        assert!(!bed.get("/x?utm=2").await.is_hit(), "{store:?}");
    }
}

#[tokio::test]
async fn a_prefix_and_a_host_hold_what_answers_many_queries() {
    for store in STORES {
        let bed = bed(store, no_utm).await;
        for (purge, is_hit) in [
            (Purge::prefix(&"http://example.com/x".parse().unwrap()).unwrap(), false),
            (Purge::prefix(&"http://example.com/other".parse().unwrap()).unwrap(), true),
            (Purge::host("example.com").unwrap(), false),
            (Purge::host("other.example").unwrap(), true),
        ] {
            bed.get("/x?utm=1").await;
            bed.cache.purge(purge.clone()).await.unwrap();
            assert_eq!(bed.get("/x?utm=2").await.is_hit(), is_hit, "{store:?} {purge:?}");
        }
    }
}
