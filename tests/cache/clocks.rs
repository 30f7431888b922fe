//! Clocks that disagree, are set back, or come to their end: nothing lives longer than it said.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use buttress::cache::CacheOptions;
use buttress::core::ManualClock;
use buttress_tests::RedisServer;

use crate::bed::{Bed, STORES, Store, patient, response};

const BEGIN: u64 = 1_800_000_000;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Two processes whose clocks are so many seconds off, one origin that says the true time, and a lifetime of a minute.
async fn check_skew(skews: [i64; 2], allowed: u64, least_hits: u32) {
    let server = RedisServer::start();
    let truth = Arc::new(AtomicU64::new(0));
    let mut processes = Vec::new();
    for skew in skews {
        let hand = ManualClock::at(at(BEGIN.saturating_add_signed(skew)));
        let cache = CacheOptions::new().clock(hand.clock()).redis(patient(&server).await);
        let truth = Arc::clone(&truth);
        processes.push(Bed::over(
            cache,
            hand,
            |layer| layer.early_refresh(0.0),
            move |_| response(200, &[("cache-control", "max-age=60")], truth.load(Ordering::SeqCst).to_string()),
        ));
    }
    let mut hits = 0;
    for _ in 0..40 {
        let now = truth.fetch_add(10, Ordering::SeqCst) + 10;
        for process in &processes {
            process.hand.advance(Duration::from_secs(10));
            let reply = process.get("/x").await;
            let made: u64 = reply.text().parse().unwrap();
            assert!(now - made <= 60 + allowed, "{skews:?}: {} seconds old", now - made);
            hits += u32::from(reply.is_hit());
        }
    }
    assert!(hits >= least_hits, "{skews:?}: {hits} hits");
}

#[tokio::test]
async fn processes_whose_clocks_are_minutes_apart_serve_nothing_for_longer_than_it_lives() {
    check_skew([0, 0], 0, 60).await;
    check_skew([1, 0], 1, 60).await;
    check_skew([30, 0], 2, 20).await;
    // Further apart than a response lives, each takes what the other has stored for too old or too young.
    check_skew([300, 0], 2, 0).await;
    check_skew([0, -300], 2, 0).await;
}

#[tokio::test]
async fn a_process_that_begins_again_with_its_clock_set_back_believes_nothing_from_later() {
    let bed = Bed::new(Store::Redis, |_| response(200, &[("cache-control", "max-age=60")], "body")).await;
    bed.get("/x").await;
    assert!(bed.get("/x").await.is_hit());
    bed.hand.set(at(BEGIN - 3_600));
    assert!(!bed.get("/x").await.is_hit());
    assert!(bed.get("/x").await.is_hit(), "and puts its own in its place");
    bed.hand.advance(Duration::from_secs(61));
    assert!(!bed.get("/x").await.is_hit());
}

#[tokio::test]
async fn the_shortest_and_the_longest_lifetimes_are_kept_as_such() {
    for store in STORES {
        let settings = |layer: buttress::cache::CacheLayer| layer.default_ttl(Duration::from_millis(1));
        let bed = Bed::with(store, settings, |parts| match parts.uri.path() {
            "/short" => response(200, &[], "body"),
            _ => {
                let long =
                    "max-age=4294967296, stale-while-revalidate=99999999999, stale-if-error=99999999999999999999";
                response(200, &[("cache-control", long), ("etag", "\"1\"")], "body")
            }
        })
        .await;
        for _ in 0..3 {
            assert!(!bed.get("/short").await.is_hit(), "{store:?}: a millisecond is less than a second");
        }
        bed.get("/long").await;
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        bed.hand.advance(year * 60);
        let late = bed.get("/long").await;
        assert_eq!((late.is_hit(), late.header("age")), (true, "1892160000"), "{store:?}");
        let Some(server) = &bed.redis else { continue };
        for key in server.cli(&["KEYS", "*{??????????????????????}"]).array() {
            let left = server.cli(&["PTTL", &key.text()]).int();
            let most = i64::try_from((year * 10).as_millis()).unwrap();
            assert!(left != -1 && left <= most, "{left}"); // -2: just gone
        }
    }
}

#[tokio::test]
async fn an_entry_that_redis_would_keep_for_ever_ends_all_the_same() {
    let fields = [("cache-control", "max-age=60"), ("surrogate-key", "a")];
    let bed = Bed::new(Store::Redis, move |_| response(200, &fields, "body")).await;
    bed.get("/x").await;
    let server = bed.redis.as_ref().unwrap();
    for key in server.cli(&["KEYS", "*"]).array() {
        let _was_mortal = server.cli(&["PERSIST", &key.text()]).int();
    }
    assert!(bed.get("/x").await.is_hit());
    bed.hand.advance(Duration::from_secs(61));
    assert!(!bed.get("/x").await.is_hit());
    bed.cache.purge(buttress::cache::Purge::tag("a")).await.unwrap();
    assert!(!bed.get("/x").await.is_hit());
    for key in server.cli(&["KEYS", "*{??????????????????????}"]).array() {
        assert!(server.cli(&["PTTL", &key.text()]).int() > 0, "what took its place is mortal");
    }
}

/// The clock of Redis orders purges, and follows the last one where it is set back: a purge is later than all before it.
#[tokio::test]
async fn purges_are_in_order_though_redis_sets_its_clock_back() {
    let bed =
        Bed::new(Store::Redis, |_| response(200, &[("cache-control", "max-age=60"), ("surrogate-key", "a")], "body"))
            .await;
    let server = bed.redis.as_ref().unwrap();
    let before = bed.cache.purge(buttress::cache::Purge::tag("a")).await.unwrap();
    // As a clock leaves it that was an hour ahead.
    let ahead = (before.generation() + 3_600_000_000).to_string();
    assert_eq!(server.cli(&["HSET", "buttress:cache:v1:{tags}", "generation", &ahead]).int(), 0);
    for _ in 0..3 {
        let receipt = bed.cache.purge(buttress::cache::Purge::tag("a")).await.unwrap();
        assert!(receipt.generation() > ahead.parse().unwrap());
        bed.get("/x").await;
        assert!(bed.get("/x").await.is_hit());
    }
}
