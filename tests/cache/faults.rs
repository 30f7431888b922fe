//! A Redis that is full, evicts, refuses, is slow, or holds what no process of this version has written: requests are answered as
//! if nothing were stored, and nothing that was purged comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use buttress::cache::{CacheLayer, CacheOptions, Purge};
use buttress::core::ManualClock;
use buttress::redis::Redis;
use buttress_tests::{CuttingProxy, RedisServer, Reply};
use http::Method;
use tokio::time::{Instant, sleep, timeout};

use crate::bed::{Bed, Store, patient, request, response};

const FRESH: (&str, &str) = ("cache-control", "max-age=600");
const RECORDS: &str = "buttress:cache:v1:{??????????????????????}";
const LEDGER: &str = "buttress:cache:v1:{tags}";

/// A process without memory of its own, so that all it knows comes from Redis. Its origin tells the revision.
fn process(redis: Redis, revision: &Arc<AtomicUsize>) -> Bed {
    let hand = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let cache = CacheOptions::new().capacity(0).clock(hand.clock()).redis(redis);
    let revision = Arc::clone(revision);
    Bed::over(
        cache,
        hand,
        |layer: CacheLayer| layer.early_refresh(0.0),
        move |parts| {
            let tag = parts.uri.path()[1..].to_owned();
            let mut body = format!("{} ", revision.load(Ordering::SeqCst)).into_bytes();
            body.resize(20_000, b'x');
            response(200, &[FRESH, ("surrogate-key", &tag)], body)
        },
    )
}

/// The revision that a process answers with.
async fn revision_of(process: &Bed, uri: &str) -> (usize, bool) {
    let reply = process.get(uri).await;
    (reply.text().split(' ').next().unwrap().parse().unwrap(), reply.is_hit())
}

#[tokio::test]
async fn a_full_redis_takes_purges_and_changes_though_it_takes_no_entries() {
    let server = RedisServer::start();
    let revision = Arc::new(AtomicUsize::new(0));
    let (one, other) = (process(patient(&server).await, &revision), process(patient(&server).await, &revision));
    let purges: [fn() -> Option<Purge>; 5] = [
        || Some(Purge::tag("x")),
        || Some(Purge::uri(&"http://h/x".parse().unwrap()).unwrap()),
        || Some(Purge::host("h").unwrap()),
        || Some(Purge::everything()),
        || None, // a change
    ];
    for purge in purges {
        revision_of(&one, "http://h/x").await;
        assert!(revision_of(&other, "http://h/x").await.1);
        assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", "1"]).text(), "OK");
        let now = revision.fetch_add(1, Ordering::SeqCst) + 1;
        match purge() {
            Some(purge) => assert!(one.cache.purge(purge).await.unwrap().is_shared()),
            None => drop(one.send(request(Method::POST, "http://h/x", &[])).await),
        }
        for process in [&one, &other, &one, &other] {
            assert_eq!(revision_of(process, "http://h/x").await, (now, false), "{:?}", purge());
        }
        assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", "0"]).text(), "OK");
    }
    assert!(!revision_of(&one, "http://h/x").await.1);
    assert!(revision_of(&other, "http://h/x").await.1, "there is room again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_redis_evicts_is_a_miss_and_brings_nothing_back() {
    for policy in ["allkeys-lru", "volatile-lru", "allkeys-random"] {
        let server = RedisServer::with().arg("maxmemory", "3mb").arg("maxmemory-policy", policy).start();
        let revision = Arc::new(AtomicUsize::new(0));
        let (one, other) = (process(patient(&server).await, &revision), process(patient(&server).await, &revision));
        let (mut purged, mut hits) = ([0; 100], 0);
        for round in 0..400 {
            let place = (round * 37) % 100;
            let uri = format!("http://h/{place}");
            if round % 4 == 0 {
                let now = revision.fetch_add(1, Ordering::SeqCst) + 1;
                one.cache.purge(Purge::tag(place.to_string())).await.unwrap();
                purged[place] = now;
                if round % 80 == 0 {
                    one.cache.purge(Purge::host("h").unwrap()).await.unwrap();
                    purged = [now; 100];
                }
                // As long as a process may be behind; each asks Redis for all else.
                other.hand.advance(Duration::from_secs(2));
                one.hand.advance(Duration::from_secs(2));
                sleep(Duration::from_millis(5)).await;
            }
            for process in [&one, &other] {
                let (seen, is_hit) = revision_of(process, &uri).await;
                hits += usize::from(is_hit);
                if is_hit && seen < purged[place] {
                    // Announcements are heard within the bound, by the clock on the wall.
                    sleep(Duration::from_millis(1_500)).await;
                    let (seen, _) = revision_of(process, &uri).await;
                    assert!(seen >= purged[place], "{policy}: {seen} of {}", purged[place]);
                }
            }
        }
        let evicted: usize = server.info("evicted_keys").unwrap().parse().unwrap();
        assert!(evicted > 20 && hits > 100, "{policy}: {evicted} evicted, {hits} hits");
    }
}

#[tokio::test]
async fn a_lost_ledger_vouches_for_nothing_that_was_there_before() {
    let server = RedisServer::start();
    let revision = Arc::new(AtomicUsize::new(0));
    let one = process(patient(&server).await, &revision);
    revision_of(&one, "http://h/x").await;
    revision.store(1, Ordering::SeqCst);
    one.cache.purge(Purge::host("h").unwrap()).await.unwrap();
    // The purge, too, is lost with it.
    assert_eq!(server.cli(&["DEL", LEDGER]).int(), 1);
    let other = process(patient(&server).await, &revision);
    assert_eq!(revision_of(&other, "http://h/x").await, (1, false));
    assert_eq!(revision_of(&other, "http://h/x").await, (1, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_answers_or_not_and_takes_no_purge() {
    let master = RedisServer::with().arg("repl-diskless-sync-delay", 0).start();
    let revision = Arc::new(AtomicUsize::new(0));
    let one = process(patient(&master).await, &revision);
    revision_of(&one, "http://h/x").await;
    let replica = RedisServer::with().replica_of(&master).start();
    while replica.info("master_link_status").as_deref() != Some("up") {
        sleep(Duration::from_millis(5)).await;
    }
    let other = process(patient(&replica).await, &revision);
    for _ in 0..20 {
        assert_eq!(revision_of(&other, "http://h/x").await.0, 0);
        assert_eq!(revision_of(&other, "http://h/y").await, (0, false), "nothing is stored there");
    }
    for purge in [Purge::tag("x"), Purge::everything(), Purge::uri(&"http://h/x".parse().unwrap()).unwrap()] {
        assert!(other.cache.purge(purge).await.is_err());
    }
}

#[tokio::test]
async fn a_redis_that_refuses_or_is_slow_costs_a_bounded_time() {
    let server = RedisServer::with().password("secret").start();
    let proxy = CuttingProxy::start(server.addr()).await;
    proxy.delay(Duration::from_secs(1));
    let revision = Arc::new(AtomicUsize::new(0));
    let wrong = format!("redis://:wrong@{}", server.addr());
    let slow = proxy.url().replace("redis://", "redis://:secret@");
    let nobody = format!("redis://127.0.0.1:{}", buttress_tests::port::free());
    for (why, url) in [("a wrong password", wrong), ("slow", slow), ("refuses", nobody)] {
        let process = process(Redis::connect(&url).unwrap(), &revision);
        let begun = Instant::now();
        for _ in 0..20 {
            let before = Instant::now();
            assert_eq!(revision_of(&process, "http://h/x").await, (0, false), "{why}");
            assert!(before.elapsed() < Duration::from_secs(2), "{why}: {:?}", before.elapsed());
        }
        // Once it is known to be away, it is not asked.
        assert!(begun.elapsed() < Duration::from_secs(8), "{why}: {:?}", begun.elapsed());
        let purge = timeout(Duration::from_secs(5), process.cache.purge(Purge::tag("x"))).await.expect("in time");
        assert!(purge.is_err(), "{why}");
    }
}

/// What another version may have written in a deployment that is under way, and what nobody has.
#[tokio::test]
async fn what_no_process_of_this_version_wrote_is_a_miss_and_is_put_right() {
    let bed = Bed::new(Store::Redis, |_| response(200, &[FRESH, ("vary", "x-v"), ("cache-tag", "a")], "body")).await;
    let server = bed.redis.as_ref().unwrap();
    bed.get("/x").await;
    let keys = server.cli(&["KEYS", RECORDS]);
    let mut records: Vec<_> = keys
        .array()
        .iter()
        .map(|key| {
            let Reply::Bulk(sealed) = server.cli(&["GET", &key.text()]) else { panic!("{} is there", key.text()) };
            (key.text(), buttress_redis::unseal(key.text().as_bytes(), sealed.into()).unwrap())
        })
        .collect();
    // A variant, and then the list: without that, the variants of another one would be looked for.
    records.sort_by_key(|(_, record)| record[3]);
    assert_eq!(records.len(), 2);
    for (key, record) in &records {
        let changed = |place: usize, to: u8| {
            let mut record = record.to_vec();
            record[place] = to;
            record
        };
        for bad in [
            changed(2, record[2] - 1),
            changed(2, record[2] + 1), // versions
            changed(3, b'z'),          // kinds
            changed(0, 0),
            record[..record.len() - 1].to_vec(),
            record[..4].to_vec(),
            Vec::new(),
            [&record[..], b"more"].concat(),
        ] {
            let sealed = buttress_redis::seal(key.as_bytes(), &bad).unwrap();
            // On a machine that is busy, what the cache has written before may come after.
            let is_miss = async || {
                assert_eq!(server.cli(&[b"SET".as_slice(), key.as_bytes(), &sealed]).text(), "OK");
                !bed.get("/x").await.is_hit()
            };
            assert!(is_miss().await || is_miss().await, "{}", bad.escape_ascii());
            let is_right = async || bed.get("/x").await.is_hit();
            assert!(is_right().await || is_right().await, "{} was put right", bad.escape_ascii());
        }
    }
}

/// Two keys with one digest: forced, by a record that is sealed for the other's name.
#[tokio::test]
async fn a_record_of_another_key_under_the_same_digest_is_a_miss() {
    let bed = Bed::new(Store::Redis, |parts| response(200, &[FRESH], parts.uri.path().to_owned())).await;
    let server = bed.redis.as_ref().unwrap();
    bed.get("/a").await;
    let a = server.cli(&["KEYS", RECORDS]).array()[0].text();
    bed.get("/b").await;
    let b = server.cli(&["KEYS", RECORDS]).array().iter().map(Reply::text).find(|key| *key != a).unwrap();
    let Reply::Bulk(sealed) = server.cli(&["GET", &a]) else { panic!("{a} holds something") };
    let record = buttress_redis::unseal(a.as_bytes(), sealed.into()).unwrap();
    let forged = buttress_redis::seal(b.as_bytes(), &record).unwrap();
    assert_eq!(server.cli(&[b"SET".as_slice(), b.as_bytes(), &forged]).text(), "OK");
    let reply = bed.get("/b").await;
    assert_eq!((reply.text(), reply.is_hit()), ("/b", false));
    assert!(bed.get("/b").await.is_hit());
}

#[tokio::test]
async fn a_ledger_or_a_stamp_that_cannot_be_read_purges_too_much() {
    for spoil in [
        (|server: &RedisServer| server.cli(&["HSET", LEDGER, "99999999999999999", "xnew kind\nof sweep"]))
            as fn(&RedisServer) -> Reply,
        |server| server.cli(&["HSET", LEDGER, "floor", "99999999999999999"]),
        |server| {
            let stamps = server.cli(&["KEYS", &format!("{LEDGER}:*")]);
            server.cli(&["SET", &stamps.array()[0].text(), "v2:1:2:3"])
        },
        |server| {
            assert_eq!(server.cli(&["DEL", LEDGER]).int(), 1);
            server.cli(&["LPUSH", LEDGER, "no hash"])
        },
    ] {
        let server = RedisServer::start();
        let revision = Arc::new(AtomicUsize::new(0));
        let one = process(patient(&server).await, &revision);
        revision_of(&one, "http://h/x").await;
        assert!(!spoil(&server).is_error());
        revision.store(1, Ordering::SeqCst);
        let other = process(patient(&server).await, &revision);
        assert_eq!(revision_of(&other, "http://h/x").await, (1, false));
    }
}
