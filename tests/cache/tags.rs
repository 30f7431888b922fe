//! By what a response can be purged: how it says so, and for how long that holds.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use buttress::cache::{Cache, CacheLayer, CacheOptions, Purge};
use buttress_tests::{RedisServer, body, counting};
use http::{Method, Uri};
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Bed, Body, STORES, Store, patient, request, response};

const FRESH: (&str, &str) = ("cache-control", "max-age=600");

fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

#[tokio::test]
async fn tags_go_no_further_unless_they_should() {
    for store in STORES {
        for forwarded in [false, true] {
            let settings = |layer: CacheLayer| layer.forward_tags(forwarded);
            let fields = [FRESH, ("surrogate-key", "a"), ("cache-tag", "b"), ("cache-groups", "\"c\"")];
            let bed = Bed::with(store, settings, move |_| response(200, &fields, "body")).await;
            let (miss, hit) = (bed.get("/x").await, bed.get("/x").await);
            assert_eq!(
                (miss.header("surrogate-key"), miss.header("cache-tag")),
                match forwarded {
                    true => ("a", "b"),
                    false => ("", ""),
                }
            );
            assert!(hit.is_hit());
            assert_eq!(
                (miss.header("cache-groups"), hit.header("cache-groups")),
                ("\"c\"", "\"c\""),
                "these are standard"
            );
        }
    }
}

#[tokio::test]
async fn what_says_its_tags_in_a_way_nobody_can_read_is_not_stored() {
    for store in STORES {
        for (name, value) in [("cache-groups", "token"), ("cache-groups", "\"a\", (\"b\")"), ("cache-tag", "\u{e4}")] {
            let bed = Bed::new(store, move |_| response(200, &[FRESH, (name, value)], "body")).await;
            bed.get("/x").await;
            assert!(!bed.get("/x").await.is_hit(), "{name}: {value}");
        }
    }
}

#[tokio::test]
async fn a_change_takes_its_groups_along() {
    for store in STORES {
        for (method, status, gone) in [("POST", 204, true), ("POST", 500, false), ("GET", 200, false)] {
            let bed = Bed::new(store, move |parts| match parts.uri.path() {
                "/change" => response(status, &[("cache-group-invalidation", "\"a\"")], ""),
                _ => response(200, &[FRESH, ("cache-groups", "\"a\", \"b\"")], "body"),
            })
            .await;
            bed.get("http://h/x").await;
            bed.get("http://i/x").await;
            bed.send(request(method.parse().unwrap(), "http://h/change", &[])).await;
            assert_eq!(bed.get("http://h/x").await.is_hit(), !gone, "{method} {status}");
            assert!(bed.get("http://i/x").await.is_hit(), "another origin's group");
        }
    }
}

#[tokio::test]
async fn an_entry_keeps_its_tags_when_it_is_validated() {
    for store in STORES {
        let bed = Bed::new(store, |parts| match parts.headers.contains_key("if-none-match") {
            true => response(304, &[("cache-control", "max-age=60"), ("etag", "\"v1\"")], ""),
            false => response(200, &[("cache-control", "max-age=60"), ("etag", "\"v1\""), ("cache-tag", "a")], "body"),
        })
        .await;
        bed.get("/x").await;
        bed.hand.advance(Duration::from_secs(61));
        bed.get("/x").await;
        assert!(bed.get("/x").await.is_hit());
        bed.cache.purge(Purge::tag("a")).await.unwrap();
        assert!(!bed.get("/x").await.is_hit());
    }
}

#[tokio::test]
async fn an_entry_that_takes_another_s_place_has_its_own_tags() {
    for store in STORES {
        let revision = Arc::new(AtomicUsize::new(0));
        let now = Arc::clone(&revision);
        let bed = Bed::new(store, move |_| {
            let tags = ["old both", "new both"][now.load(Ordering::SeqCst).min(1)];
            response(200, &[FRESH, ("surrogate-key", tags)], "body")
        })
        .await;
        bed.get("/x").await;
        revision.store(1, Ordering::SeqCst);
        bed.cache.purge(Purge::tag("old")).await.unwrap();
        assert!(!bed.get("/x").await.is_hit());
        for (tag, still_there) in [("old", true), ("new", false), ("both", false)] {
            bed.get("/x").await;
            bed.cache.purge(Purge::tag(tag)).await.unwrap();
            assert_eq!(bed.get("/x").await.is_hit(), still_there, "{store:?} {tag}");
        }
    }
}

#[tokio::test]
async fn each_of_many_groups_is_one_of_the_response() {
    for store in STORES {
        for (count, is_stored) in [(33, true), (64, true), (65, false)] {
            let bed = Bed::new(store, move |_| {
                let groups: Vec<_> =
                    (0..count).map(|number| format!("\"a group of some length, number {number}\"")).collect();
                response(200, &[FRESH, ("cache-groups", &groups.join(", "))], "body")
            })
            .await;
            for group in [0, 32, count - 1] {
                bed.get("http://h/x").await;
                assert_eq!(bed.get("http://h/x").await.is_hit(), is_stored, "{store:?} {count}");
                let name = format!("a group of some length, number {group}");
                bed.cache.purge(Purge::group(&uri("http://h"), name.to_uppercase()).unwrap()).await.unwrap();
                assert_eq!(bed.get("http://h/x").await.is_hit(), is_stored, "case counts");
                bed.cache.purge(Purge::group(&uri("http://h"), name).unwrap()).await.unwrap();
                assert!(!bed.get("http://h/x").await.is_hit(), "{store:?} {count}: {group}");
            }
        }
    }
}

/// A tag that nothing has carried yet has no stamp. That it was not among the last purges is what vouches for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_new_is_stored_though_others_are_purged_all_the_time() {
    for store in STORES {
        let server = matches!(store, Store::Redis).then(RedisServer::start);
        let cache = match &server {
            Some(server) => CacheOptions::new().redis(patient(server).await),
            None => Cache::embedded(),
        };
        let (origin, calls) = counting(|request: http::Request<Body>| async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            Ok::<_, Infallible>(response(200, &[FRESH, ("surrogate-key", &request.uri().path()[1..])], "body"))
        });
        let service = CacheLayer::new(cache.clone()).layer(origin);
        let purges = tokio::spawn({
            let cache = cache.clone();
            async move {
                for number in 0.. {
                    cache.purge(Purge::tag(format!("other-{number}"))).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        });
        for turn in 0..2 {
            for number in 0..10 {
                let request = request(Method::GET, &format!("http://h/new-{number}"), &[]);
                body::collect(service.clone().oneshot(request).await.unwrap()).await;
                cache.settled().await;
            }
            assert_eq!(calls.get(), 10, "{store:?}, turn {turn}");
        }
        purges.abort();
    }
}

/// The purge of a tag is known from its stamp and from the list of the last ones. Whichever is lost, and when both are, what was
/// begun before is not stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_whose_traces_are_lost_is_no_less_a_purge() {
    const STAMPS: &str = "buttress:cache:v1:{tags}:??????????????????????";
    const RECENT: &str = "buttress:cache:v1:{tags}:recent";
    for lost in [&[STAMPS][..], &[RECENT], &[STAMPS, RECENT]] {
        let server = RedisServer::start();
        let cache = CacheOptions::new().redis(patient(&server).await);
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let (origin, calls) = counting({
            let gate = Arc::clone(&gate);
            move |_: http::Request<Body>| {
                let gate = Arc::clone(&gate);
                async move {
                    gate.acquire().await.unwrap().forget();
                    Ok::<_, Infallible>(response(200, &[FRESH, ("surrogate-key", "a")], "body"))
                }
            }
        });
        let service = CacheLayer::new(cache.clone()).layer(origin);
        let ask = || tokio::spawn(service.clone().oneshot(request(Method::GET, "http://h/x", &[])));
        let before = ask();
        while calls.get() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // By another process, which remembers nothing here.
        let other = CacheOptions::new().redis(patient(&server).await);
        for tag in ["b", "a", "c"] {
            other.purge(Purge::tag(tag)).await.unwrap();
        }
        for pattern in lost {
            for key in server.cli(&["KEYS", pattern]).array() {
                assert_eq!(server.cli(&["DEL", &key.text()]).int(), 1);
            }
        }
        other.purge(Purge::tag("d")).await.unwrap();
        gate.add_permits(10);
        body::collect(before.await.unwrap().unwrap()).await;
        cache.settled().await;
        body::collect(ask().await.unwrap().unwrap()).await;
        assert_eq!(calls.get(), 2, "without {lost:?}");
    }
}
