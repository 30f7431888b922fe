//! What is purged is gone, what was fetched before and arrives after is not stored, and nothing is lost on the way.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use buttress::cache::{CacheLayer, CacheOptions, Key, Purge};
use buttress_tests::{body, counting};
use http::{Method, Request, Uri};
use tokio::sync::Semaphore;
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Bed, Body, STORES, Store, patient, request, response};

const FRESH: (&str, &str) = ("cache-control", "max-age=600");

fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

/// A store with a response under each of these URIs, tagged by its path.
async fn filled(store: Store, uris: &[&str]) -> Bed {
    let bed = Bed::new(store, |parts| {
        let tag = parts.uri.path().trim_start_matches('/').replace('/', " ");
        let groups = format!("\"{}\"", parts.uri.path().trim_start_matches('/'));
        response(200, &[FRESH, ("etag", "\"v1\""), ("surrogate-key", &tag), ("cache-groups", &groups)], "body")
    })
    .await;
    for uri in uris {
        bed.get(uri).await;
        assert!(bed.get(uri).await.is_hit(), "{uri}");
    }
    bed
}

/// After `purge` those of `gone` are fetched anew, and the others are there still.
async fn check(purge: impl Fn() -> Purge, gone: &[&str], there: &[&str]) {
    for store in STORES {
        let bed = filled(store, &[gone, there].concat()).await;
        let receipt = bed.cache.purge(purge()).await.unwrap();
        assert_eq!(receipt.is_shared(), matches!(store, Store::Redis));
        for uri in there {
            assert!(bed.get(uri).await.is_hit(), "{uri} is not concerned");
        }
        for uri in gone {
            assert!(!bed.get(uri).await.is_hit(), "{uri} is gone");
            assert!(bed.get(uri).await.is_hit(), "{uri} is stored again");
        }
        let next = bed.cache.purge(purge()).await.unwrap();
        assert!(next.generation() > receipt.generation());
    }
}

#[tokio::test]
async fn by_tag() {
    check(|| Purge::tag("a"), &["http://h/a", "http://h/a/b", "http://i/b/a"], &["http://h/b", "http://h/ab"]).await;
}

#[tokio::test]
async fn by_group_of_one_origin() {
    let group = || Purge::group(&uri("http://h:80/"), "a").unwrap();
    check(group, &["http://h/a", "http://H/a?b"], &["http://i/a", "http://h/a/b"]).await;
}

#[tokio::test]
async fn by_uri() {
    for (purged, gone, there) in [
        ("http://h/a", &["http://h/a", "https://h/a"][..], &["http://h/a?b", "http://h/a/", "http://i/a"][..]),
        ("https://H:443/a?b", &["https://h/a?b", "http://h/a?b"], &["http://h/a", "http://h/a?"]),
        ("http://h", &["http://h/"], &["http://h/a"]),
    ] {
        check(|| Purge::uri(&uri(purged)).unwrap(), gone, there).await;
    }
    assert!(Purge::uri(&uri("/a")).is_err());
}

#[tokio::test]
async fn by_prefix() {
    let prefix = || Purge::prefix(&uri("http://h/a/")).unwrap();
    check(prefix, &["http://h/a/", "http://h/a/b/c?d", "https://h/a/b"], &["http://h/a", "http://h/ab", "http://i/a/"])
        .await;
}

#[tokio::test]
async fn by_host() {
    let gone = ["http://h/a", "http://h:8080/a", "https://h/"];
    check(|| Purge::host("H").unwrap(), &gone, &["http://hh/a", "http://i/a"]).await;
    check(|| Purge::host("h:8080").unwrap(), &["http://h:8080/a"], &["http://h/a"]).await;
    for bad in ["", "a b", "user@h", "h/path"] {
        assert!(Purge::host(bad).is_err(), "{bad:?}");
    }
}

#[tokio::test]
async fn everything() {
    check(Purge::everything, &["http://h/a", "https://i/b?c"], &[]).await;
}

#[tokio::test]
async fn a_uri_goes_with_all_its_variants_whatever_its_key_says() {
    for store in STORES {
        let keyed = |layer: CacheLayer| {
            layer.key(|parts| match parts.headers.contains_key("x-own-key") {
                true => {
                    let mut key = Key::empty();
                    key.push(parts.uri.path());
                    key
                }
                false => Key::of(parts),
            })
        };
        let bed = Bed::with(store, keyed, |_| response(200, &[FRESH, ("vary", "accept-language")], "body")).await;
        let requests: [&[(&str, &str)]; 4] = [
            &[("accept-language", "de")],
            &[("accept-language", "en")],
            &[("x-forwarded-host", "j")],
            &[("x-own-key", "1")],
        ];
        for headers in requests {
            bed.get_with("http://h/a", headers).await;
            assert!(bed.get_with("http://h/a", headers).await.is_hit(), "{headers:?}");
        }
        bed.cache.purge(Purge::uri(&uri("http://h/a")).unwrap()).await.unwrap();
        for headers in requests {
            assert!(!bed.get_with("http://h/a", headers).await.is_hit(), "{store:?} {headers:?}");
        }
    }
}

#[tokio::test]
async fn what_is_purged_softly_is_validated() {
    let purges: [fn() -> Purge; 4] = [
        || Purge::tag("a"),
        || Purge::uri(&uri("http://h/a")).unwrap(),
        || Purge::prefix(&uri("http://h/")).unwrap(),
        Purge::everything,
    ];
    for store in STORES {
        for purge in purges {
            let bed = filled(store, &["http://h/a"]).await;
            bed.cache.purge(purge().soft()).await.unwrap();
            assert!(!bed.get("http://h/a").await.is_hit());
            assert_eq!(bed.last_seen()["if-none-match"], "\"v1\"");
            assert!(bed.get("http://h/a").await.is_hit());
        }
    }
}

#[tokio::test]
async fn what_is_purged_softly_stands_in_while_it_is_refreshed() {
    for store in STORES {
        let fields = [("cache-control", "max-age=600, stale-while-revalidate=60"), ("cache-tag", "a")];
        let bed = Bed::new(store, move |_| response(200, &fields, "body")).await;
        bed.get("/x").await;
        bed.cache.purge(Purge::tag("a").soft()).await.unwrap();
        assert!(bed.get("/x").await.is_hit(), "stale, while it is refreshed");
        for _ in 0..500 {
            if bed.calls.get() == 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(bed.calls.get(), 2);
    }
}

#[tokio::test]
async fn a_fill_that_spans_a_purge_is_not_stored() {
    let purges: [fn() -> Purge; 4] = [
        || Purge::tag("a"), // of which nobody had heard before
        || Purge::uri(&uri("http://h/a")).unwrap(),
        || Purge::host("h").unwrap(),
        Purge::everything,
    ];
    for store in STORES {
        for purge in purges {
            let gate = Arc::new(Semaphore::new(0));
            let revision = Arc::new(AtomicUsize::new(0));
            let (origin, calls) = counting({
                let (gate, revision) = (Arc::clone(&gate), Arc::clone(&revision));
                move |_: Request<Body>| {
                    let (gate, revision) = (Arc::clone(&gate), revision.load(Ordering::SeqCst));
                    async move {
                        gate.acquire().await.unwrap().forget();
                        Ok::<_, Infallible>(response(200, &[FRESH, ("surrogate-key", "a")], revision.to_string()))
                    }
                }
            });
            let server = matches!(store, Store::Redis).then(buttress_tests::RedisServer::start);
            let cache = match &server {
                Some(server) => CacheOptions::new().redis(patient(server).await),
                None => CacheOptions::new().embedded(),
            };
            let service = CacheLayer::new(cache.clone()).layer(origin);
            let ask = || {
                let service = service.clone();
                tokio::spawn(async move {
                    let response = service.oneshot(request(Method::GET, "http://h/a", &[])).await.unwrap();
                    body::collect(response).await.1
                })
            };
            let before = ask();
            while calls.get() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            revision.store(1, Ordering::SeqCst);
            cache.purge(purge()).await.unwrap();
            let after = ask(); // while the fill is under way still
            tokio::time::sleep(Duration::from_millis(20)).await;
            gate.add_permits(10);
            assert_eq!(before.await.unwrap(), "0", "it asked before the purge");
            assert_eq!(after.await.unwrap(), "1", "{store:?}: who asks after it has nothing that was begun before");
            cache.settled().await;
            assert_eq!(ask().await.unwrap(), "1", "{store:?}: what came late was not stored");
            cache.settled().await;
            assert_eq!(ask().await.unwrap(), "1");
            assert!(calls.get() <= 3, "{store:?}: what was fetched after it is stored");
        }
    }
}

#[tokio::test]
async fn a_lost_stamp_or_ledger_is_a_miss() {
    for lost in ["buttress:cache:v1:{tags}:*", "buttress:cache:v1:{tags}"] {
        let bed = filled(Store::Redis, &["http://h/a"]).await;
        bed.cache.purge(Purge::tag("other")).await.unwrap();
        let server = bed.redis.as_ref().unwrap();
        // As an eviction takes it: nobody announces it. Another process, which never knew it, must not believe the entry.
        for key in server.cli(&["KEYS", lost]).array() {
            assert_eq!(server.cli(&["DEL", &key.text()]).int(), 1);
        }
        let other = CacheOptions::new().clock(bed.hand.clock()).redis(patient(server).await);
        let (origin, calls) = counting(|_: Request<Body>| async {
            Ok::<_, Infallible>(response(200, &[FRESH, ("surrogate-key", "a")], "body"))
        });
        let service = CacheLayer::new(other.clone()).layer(origin);
        for expected in [1, 1] {
            body::collect(service.clone().oneshot(request(Method::GET, "http://h/a", &[])).await.unwrap()).await;
            other.settled().await;
            assert_eq!(calls.get(), expected, "{lost}");
        }
    }
}

#[tokio::test]
async fn a_purge_that_does_not_reach_redis_is_an_error() {
    let bed = filled(Store::Redis, &["http://h/a"]).await;
    bed.redis.as_ref().unwrap().kill();
    let purges =
        [Purge::tag("a"), Purge::everything(), Purge::uri(&uri("http://h/a")).unwrap(), Purge::host("h").unwrap()];
    for purge in purges {
        let error = bed.cache.purge(purge).await.unwrap_err();
        assert!(error.to_string().contains("may not have reached redis"), "{error}");
    }
}
