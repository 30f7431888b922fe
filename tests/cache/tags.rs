//! By what a response can be purged: how it says so, and for how long that holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use buttress::cache::{CacheLayer, Purge};
use http::Uri;

use crate::bed::{Bed, STORES, request, response};

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
