//! The cache on a Redis that dies, hangs, comes back, and holds what others wrote.

use std::time::{Duration, SystemTime};

use buttress::cache::{CacheLayer, CacheOptions};
use buttress::core::ManualClock;
use buttress_tests::{RedisServer, Reply, counting};
use http::{Method, Request};
use std::convert::Infallible;
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Bed, Body, Store, connected, patient, request, response};

const FRESH: (&str, &str) = ("cache-control", "max-age=600");

#[tokio::test]
async fn another_process_answers_from_what_this_one_stored() {
    let server = RedisServer::start();
    let mut services = Vec::new();
    let mut counts = Vec::new();
    for _ in 0..2 {
        let cache = CacheOptions::new().redis(patient(&server).await);
        let (origin, calls) =
            counting(|_: Request<Body>| async { Ok::<_, Infallible>(response(200, &[FRESH], "body")) });
        services.push((CacheLayer::new(cache.clone()).layer(origin), cache));
        counts.push(calls);
    }
    for (service, cache) in services {
        let response = service.oneshot(request(Method::GET, "/x", &[])).await.unwrap();
        buttress_tests::body::collect(response).await;
        cache.settled().await;
    }
    assert_eq!((counts[0].get(), counts[1].get()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_or_hangs_costs_no_request() {
    for hangs in [false, true] {
        let server = RedisServer::start();
        let hand = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let cache = CacheOptions::new().clock(hand.clock()).capacity(0).redis(connected(&server).await);
        let bed = Bed::over(cache, hand, |layer| layer, |_| response(200, &[FRESH], "body"));
        bed.get("/x").await;
        assert!(bed.get("/x").await.is_hit());
        if hangs {
            server.stop()
        } else {
            server.kill()
        }
        let mut slowest = Duration::ZERO;
        for _ in 0..50 {
            let before = tokio::time::Instant::now();
            let reply = bed.get("/x").await;
            slowest = slowest.max(before.elapsed());
            assert_eq!((reply.status.as_u16(), reply.text()), (200, "body"));
            assert!(!reply.is_hit());
        }
        // A lookup and a write, each a deadline of the large-value connection at most; generous for a busy machine.
        assert!(slowest < Duration::from_secs(2), "hangs: {hangs}, slowest {slowest:?}");
        if hangs {
            server.cont();
        } else {
            server.restart();
        }
        let mut hit = false;
        for _ in 0..500 {
            hit = bed.get("/x").await.is_hit();
            if hit {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(hit, "hits again after it is back");
    }
}

#[tokio::test]
async fn a_record_that_is_not_one_is_a_miss() {
    let bed = Bed::new(Store::Redis, |_| response(200, &[FRESH], "body")).await;
    let server = bed.redis.as_ref().unwrap();
    bed.get("/x").await;
    let key = server.cli(&["KEYS", "buttress:cache:v1:{??????????????????????}"]).array()[0].text();
    assert!(key.starts_with("buttress:cache:v1:{"), "{key}");
    let good = raw(server, &key);
    for spoil in [
        (|good: &mut Vec<u8>| good.truncate(good.len() / 2)) as fn(&mut Vec<u8>),
        |good| good.clear(),
        |good| *good.last_mut().unwrap() ^= 1,
        |good| good[40] ^= 0x10,
        |good| good[26] = 9, // the version, behind the wire's own 24 bytes
        |good| good.extend_from_slice(b"more"),
    ] {
        let mut bad = good.clone();
        spoil(&mut bad);
        assert_eq!(server.cli(&[b"SET".as_slice(), key.as_bytes(), &bad]).text(), "OK");
        let reply = bed.get("/x").await;
        assert_eq!((reply.is_hit(), reply.text()), (false, "body"));
        assert!(bed.get("/x").await.is_hit(), "the miss has put it right");
    }
    assert_eq!(server.cli(&["DEL", &key]).int(), 1);
    assert_eq!(server.cli(&["LPUSH", &key, "not a string"]).int(), 1);
    let reply = bed.get("/x").await;
    assert_eq!((reply.is_hit(), reply.text()), (false, "body"));
}

#[tokio::test]
async fn one_string_per_entry_which_expires_by_itself() {
    let bed = Bed::new(Store::Redis, |_| response(200, &[FRESH], "x".repeat(1024))).await;
    let server = bed.redis.as_ref().unwrap();
    for number in 0..10 {
        bed.get(&format!("/{number}")).await;
    }
    let entries = server.cli(&["KEYS", "buttress:cache:v1:{??????????????????????}"]);
    assert_eq!(entries.array().len(), 10);
    for key in entries.array() {
        let ttl = server.cli(&["TTL", &key.text()]).int();
        assert!((500..=600).contains(&ttl), "{ttl}");
        assert_eq!(server.cli(&["TYPE", &key.text()]).text(), "string");
    }
    // Beside them, once for all: the ledger of purges, and the canary by which a flush is noticed.
    assert!(server.cli(&["DBSIZE"]).int() <= 12);
}

#[tokio::test]
async fn a_process_starts_while_redis_is_away() {
    let server = RedisServer::start();
    server.kill();
    let redis = buttress::redis::Redis::connect(&server.url()).unwrap();
    let cache = CacheOptions::new().capacity(0).redis(redis);
    let (origin, calls) = counting(|_: Request<Body>| async { Ok::<_, Infallible>(response(200, &[FRESH], "body")) });
    let service = CacheLayer::new(cache.clone()).layer(origin);
    let ask = || async {
        let response = service.clone().oneshot(request(Method::GET, "/x", &[])).await.unwrap();
        let (_, body, _) = buttress_tests::body::collect(response).await;
        assert_eq!(body, "body");
        cache.settled().await;
    };
    ask().await;
    server.restart();
    let mut before = calls.get();
    for _ in 0..500 {
        ask().await;
        if calls.get() == before {
            return;
        }
        before = calls.get();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no hit within five seconds of Redis being there");
}

fn raw(server: &RedisServer, key: &str) -> Vec<u8> {
    match server.cli(&["GET", key]) {
        Reply::Bulk(bytes) => bytes,
        other => panic!("{key} holds {other:?}"),
    }
}
