//! What the settings make of a lifetime: errors and absence, refreshes before the end, lifetimes that do not end together.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use buttress::cache::CacheLayer;
use buttress::core::ManualClock;
use http::StatusCode;

use crate::bed::{Bed, STORES, Store, response};

#[tokio::test]
async fn absence_is_remembered_for_a_short_time_and_errors_not_at_all() {
    const EXPLICIT: (&str, &str) = ("cache-control", "max-age=100");
    for store in STORES {
        for (status, fields, for_seconds) in [
            (404, &[][..], 10),
            (410, &[], 10),
            (404, &[EXPLICIT], 100),
            (410, &[EXPLICIT], 100),
            (200, &[], 3600),
            (301, &[EXPLICIT], 100),
            (400, &[EXPLICIT], 0),
            (403, &[EXPLICIT], 0),
            (405, &[EXPLICIT], 0),
            (405, &[], 0),
            (414, &[EXPLICIT], 0),
            (431, &[EXPLICIT], 0),
            (500, &[EXPLICIT], 0),
            (501, &[EXPLICIT], 0),
            (503, &[EXPLICIT], 100), // which is listed below
            (503, &[], 0),
        ] {
            let settings = |layer: CacheLayer| {
                layer.default_ttl(Duration::from_secs(3600)).keep_errors([StatusCode::SERVICE_UNAVAILABLE])
            };
            let bed = Bed::with(store, settings, move |_| response(status, fields, "body")).await;
            bed.get("/x").await;
            if for_seconds > 0 {
                bed.hand.advance(Duration::from_secs(for_seconds - 1));
                assert!(bed.get("/x").await.is_hit(), "{status} {fields:?}");
                bed.hand.advance(Duration::from_secs(1));
            }
            assert!(!bed.get("/x").await.is_hit(), "{status} {fields:?}");
        }
    }
}

/// Somebody provokes an error under a URI that is well otherwise: nobody else sees it.
#[tokio::test]
async fn an_error_that_a_client_provokes_is_its_own() {
    for store in STORES {
        let bed = Bed::new(store, |parts| match parts.headers.get("x-oversized") {
            Some(_) => response(431, &[("cache-control", "public, max-age=600")], "too large"),
            None => response(200, &[("cache-control", "public, max-age=600")], "body"),
        })
        .await;
        assert_eq!(bed.get_with("/x", &[("x-oversized", "1")]).await.status, 431);
        assert_eq!(bed.get("/x").await.text(), "body");
        let hit = bed.get("/x").await;
        assert!(hit.is_hit(), "{store:?} {}", hit.header("cache-status"));
    }
}

#[tokio::test]
async fn a_lifetime_becomes_shorter_by_a_random_part_and_never_longer() {
    for store in STORES {
        let fields = [("cache-control", "max-age=1000")];
        let bed = Bed::with(store, |layer| layer.jitter(0.2), move |_| response(200, &fields, "body")).await;
        let mut lifetimes = BTreeSet::new();
        for number in 0..40 {
            let uri = format!("/{number}");
            bed.get(&uri).await;
            let hit = bed.get(&uri).await;
            let (_, ttl) = hit.header("cache-status").split_once("ttl=").expect("it is a hit");
            lifetimes.insert(ttl.parse::<u32>().unwrap());
        }
        assert!(lifetimes.len() > 20, "{lifetimes:?}");
        assert!(lifetimes.first() >= Some(&799) && lifetimes.last() <= Some(&1000), "{lifetimes:?}");
    }
}

/// The origin takes 400 ms by the hand of the test. At its very end each request refreshes, long before none does.
#[tokio::test]
async fn a_dear_response_is_refreshed_in_the_background_before_its_end() {
    for (beta, left, expected) in [(1.0, 1, 190..=200), (1.0, 2_000, 0..=12), (1.0, 50_000, 0..=0), (0.0, 1, 0..=0)] {
        let mut refreshed = 0;
        for _ in 0..200 {
            let hand = Arc::new(OnceLock::<ManualClock>::new());
            let clock = Arc::clone(&hand);
            let answer = move |_: &http::request::Parts| {
                if let Some(hand) = clock.get() {
                    hand.advance(Duration::from_millis(400));
                }
                response(200, &[("cache-control", "max-age=60, must-revalidate")], "body")
            };
            let bed = Bed::with(Store::Embedded, |layer| layer.early_refresh(beta), answer).await;
            hand.set(bed.hand.clone()).unwrap();
            bed.get("/x").await;
            // Fresh for 60 s from the response, less the 400 ms that it may have been under way.
            bed.hand.advance(Duration::from_millis(59_600 - left));
            assert!(bed.get("/x").await.is_hit(), "whoever refreshes is answered from the store");
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            refreshed += bed.calls.get() - 1;
        }
        assert!(expected.contains(&refreshed), "beta {beta}, {left} ms left: {refreshed} of 200");
    }
}

#[tokio::test]
async fn absence_that_is_confirmed_is_remembered_for_a_short_time_again() {
    for store in STORES {
        let settings = |layer: CacheLayer| layer.default_ttl(Duration::from_secs(60));
        let bed = Bed::with(store, settings, |parts| match parts.headers.contains_key("if-none-match") {
            true => response(304, &[("etag", "\"1\"")], ""),
            false => response(404, &[("etag", "\"1\"")], "absent"),
        })
        .await;
        for turn in 0..3 {
            assert!(!bed.get("/x").await.is_hit(), "{store:?} {turn}");
            bed.hand.advance(Duration::from_secs(9));
            let hit = bed.get("/x").await;
            assert_eq!((hit.is_hit(), hit.status.as_u16()), (true, 404), "{store:?} {turn}");
            bed.hand.advance(Duration::from_secs(2));
        }
    }
}
