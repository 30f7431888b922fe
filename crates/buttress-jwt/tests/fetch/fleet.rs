//! Several processes that share their keys through one Redis.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use buttress_core::ManualClock;
use buttress_redis::{Mode, Redis, seal};
use buttress_tests::{Answer, Counters, FakeRedis, RedisServer, Reply};
use tokio::task::JoinSet;

use crate::bed::{AWAY, Service, UNKNOWN, eventually, hand};
use crate::issuer::{Issuer, set};
use crate::signer::Signer;

/// Each with a connection of its own, as processes have.
fn fleet(size: usize, issuer: &Issuer, redis: &RedisServer, hand: &ManualClock) -> Vec<Service> {
    (0..size).map(|_| member(issuer, redis, hand)).collect()
}

fn member(issuer: &Issuer, redis: &RedisServer, hand: &ManualClock) -> Service {
    Service::with(issuer.url().timeout(Duration::from_secs(20)).redis(connect(redis), "test"), hand)
}

/// A busy machine is no reason to go alone.
fn connect(redis: &RedisServer) -> Redis {
    let patient = Redis::options().deadline(Duration::from_secs(5)).body_deadline(Duration::from_secs(5));
    patient.connect_deadline(Duration::from_secs(5)).connect(&redis.url()).unwrap()
}

async fn ready(fleet: &[Service]) {
    eventually("all have keys", || fleet.iter().all(Service::is_ready)).await;
}

#[tokio::test]
async fn a_fleet_asks_once() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let (issuer, redis, hand) = (Issuer::start(&[&old]).await, RedisServer::start(), hand());
    let fleet = fleet(4, &issuer, &redis, &hand);
    ready(&fleet).await;
    assert_eq!(issuer.asked(), 1);

    // A new key: whoever meets it first asks for all.
    hand.advance(Duration::from_secs(60));
    issuer.publish(&[&old, &new]);
    for service in &fleet {
        assert_eq!(service.ask(&new.token(service.now())).await, Ok(()));
    }
    assert_eq!(issuer.asked(), 2);

    // Time passes: one asks, the others take what it got.
    issuer.publish(&[&new]);
    hand.advance(Duration::from_secs(11 * 60));
    let token = old.token(hand.clock().now());
    eventually("nobody believes the old key", || fleet.iter().all(|service| !service.believes(&token))).await;
    assert_eq!(issuer.asked(), 3);
}

#[tokio::test]
async fn names_that_nobody_has_are_asked_for_once_by_a_fleet_at_once() {
    let signer = Signer::new("known");
    let (issuer, redis, hand) = (Issuer::start(&[&signer]).await, RedisServer::start(), hand());
    let fleet = fleet(4, &issuer, &redis, &hand);
    ready(&fleet).await;
    hand.advance(Duration::from_secs(31));
    let mut flood = JoinSet::new();
    for n in 0..400 {
        let service = fleet[n % 4].clone();
        let token = signer.token_naming(&n.to_string(), "", service.now());
        flood.spawn(async move { service.ask(&token).await });
    }
    assert!(flood.join_all().await.into_iter().all(|answer| answer == UNKNOWN));
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn what_the_fleet_asked_for_a_moment_ago_proves_nothing_for_long() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let (issuer, redis, hand) = (Issuer::start(&[&old]).await, RedisServer::start(), hand());
    let fleet = fleet(2, &issuer, &redis, &hand);
    ready(&fleet).await;
    hand.advance(Duration::from_secs(60));
    assert_eq!(fleet[0].ask(&new.token(hand.clock().now())).await, UNKNOWN);
    issuer.publish(&[&old, &new]);
    hand.advance(Duration::from_secs(20));
    assert_eq!(fleet[1].ask(&new.token(hand.clock().now())).await, UNKNOWN); // the fleet has asked enough
    assert_eq!(issuer.asked(), 2);
    hand.advance(Duration::from_secs(30));
    assert_eq!(fleet[1].ask(&new.token(hand.clock().now())).await, Ok(()));
    assert_eq!(issuer.asked(), 3);
}

#[tokio::test]
async fn who_starts_while_the_issuer_is_away_takes_the_copy_of_the_others() {
    let signer = Signer::new("known");
    let (issuer, redis, hand) = (Issuer::start(&[&signer]).await, RedisServer::start(), hand());
    let first = member(&issuer, &redis, &hand);
    ready(std::slice::from_ref(&first)).await;
    eventually("there is a copy", || redis.cli(&["DBSIZE"]).int() == 1).await; // the lease is gone
    issuer.down().await;
    drop(first);

    hand.advance(Duration::from_secs(23 * 60 * 60));
    let late = member(&issuer, &redis, &hand);
    assert_eq!(late.ask(&signer.token(late.now())).await, Ok(()));

    // Beyond the ceiling the copy is worth no more than one's own.
    hand.advance(Duration::from_secs(60 * 60));
    eventually("the keys are let go", || !late.is_ready()).await;
    let url = issuer.url().redis(connect(&redis), "test").timeout(Duration::from_millis(500));
    let too_late = Service::with(url, &hand);
    assert_eq!(too_late.ask(&signer.token(hand.clock().now())).await, AWAY);
}

#[tokio::test]
async fn without_redis_each_asks_for_itself() {
    let signer = Signer::new("known");
    let (issuer, redis, hand) = (Issuer::start(&[&signer]).await, RedisServer::start(), hand());
    redis.kill();
    let fleet: Vec<_> = (0..3)
        .map(|_| Service::with(issuer.url().redis(Redis::connect(&redis.url()).unwrap(), "test"), &hand))
        .collect();
    ready(&fleet).await;
    assert_eq!(issuer.asked(), 3);
}

#[tokio::test]
async fn a_redis_that_hangs_is_done_without() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let (issuer, redis, hand) = (Issuer::start(&[&old]).await, RedisServer::start(), hand());
    let service = Service::with(issuer.url().redis(Redis::connect(&redis.url()).unwrap(), "test"), &hand);
    ready(std::slice::from_ref(&service)).await;
    redis.stop();
    issuer.publish(&[&old, &new]);
    assert_eq!(service.ask(&new.token(service.now())).await, Ok(()));
    redis.cont();
}

#[tokio::test]
async fn a_process_that_died_while_it_asked_is_waited_for_and_no_longer() {
    let signer = Signer::new("known");
    let (issuer, redis, hand) = (Issuer::start(&[&signer]).await, RedisServer::start(), hand());
    let service = member(&issuer, &redis, &hand);
    ready(std::slice::from_ref(&service)).await;
    let copy = keys_of(&redis).remove(0);
    assert_eq!(redis.cli(&["SET", &format!("{copy}:lease"), "of the dead", "PX", "1500"]).text(), "OK");
    assert_eq!(redis.cli(&["DEL", &copy]).int(), 1);

    let next = member(&issuer, &redis, &hand);
    assert_eq!(next.ask(&signer.token(next.now())).await, Ok(()));
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn who_gets_the_lease_looks_whether_somebody_was_quicker() {
    let (signer, issuer) = (Signer::new("known"), Issuer::away(&[]));
    let copy = [head(1, at(1_764_000_000)), set([signer.jwk()]).into_bytes()].concat();
    let is_leased = AtomicBool::new(false);
    // Where there is no copy until one has the lease on it.
    let redis = FakeRedis::start(move |command| {
        if command.name() == "SET" && command.arg(1).ends_with(b":lease") {
            is_leased.store(true, Ordering::SeqCst);
        }
        (command.name() == "GET" && is_leased.load(Ordering::SeqCst)).then(|| {
            let sealed = seal(command.arg(1), &copy).unwrap();
            Answer::Say([format!("${}\r\n", sealed.len()).as_bytes(), &sealed, b"\r\n"].concat())
        })
    })
    .await;
    let patient = Redis::options().body_deadline(Duration::from_secs(5)).connect(&redis.url()).unwrap();
    let service = Service::new(issuer.url().redis(patient, "test"));
    assert_eq!(service.ask(&signer.token(service.now())).await, Ok(()));
}

#[tokio::test]
async fn a_copy_that_is_not_understood_is_none() {
    let signer = Signer::new("known");
    let (issuer, redis, hand) = (Issuer::start(&[&signer]).await, RedisServer::start(), hand());
    let first = member(&issuer, &redis, &hand);
    ready(std::slice::from_ref(&first)).await;
    eventually("there is a copy", || redis.cli(&["DBSIZE"]).int() == 1).await;
    drop(first);

    let (name, wire) = (keys_of(&redis).remove(0), connect(&redis));
    let counters = Counters::install();
    let keys = set([Signer::new("known").jwk()]).into_bytes(); // not the issuer's
    for (what, record, is_counted) in [
        ("another version", [head(2, at(1_764_000_000)), keys.clone()].concat(), true),
        ("cut off", head(1, at(1_764_000_000))[..10].to_vec(), true),
        ("from the future", [head(1, at(1_764_000_000 + 3_600)), keys.clone()].concat(), false),
        ("beyond any time", [head(1, [0xff; 8]), keys].concat(), true),
        ("no keys", [head(1, at(1_764_000_000)), b"{}".to_vec()].concat(), false),
    ] {
        wire.set(&name, record, None, Mode::Always).await.unwrap();
        let counted = counters.get("buttress_jwt_bad_records_total");
        let (asked, service) = (issuer.asked(), member(&issuer, &redis, &hand));
        assert_eq!(service.ask(&signer.token(service.now())).await, Ok(()), "{what}");
        assert_eq!(issuer.asked(), asked + 1, "{what}");
        assert_eq!(counters.get("buttress_jwt_bad_records_total") > counted, is_counted, "{what}");
    }
    // Written by somebody who is no process of ours: not even looked at.
    assert_eq!(redis.cli(&["SET", &name, "{}"]).text(), "OK");
    let service = member(&issuer, &redis, &hand);
    assert_eq!(service.ask(&signer.token(service.now())).await, Ok(()));
}

/// What stands in front of a key set: the version, when it was fetched, and that the issuer did not say for how long.
fn head(version: u8, at: [u8; 8]) -> Vec<u8> {
    [&[0xB7, b'k', version][..], &at, &[0xff; 8]].concat()
}

fn at(seconds: u64) -> [u8; 8] {
    (seconds * 1000).to_le_bytes()
}

fn keys_of(redis: &RedisServer) -> Vec<String> {
    let Reply::Array(names) = redis.cli(&["KEYS", "test:jwt:v1:{keys}:*"]) else { panic!("a list") };
    names.iter().map(Reply::text).filter(|name| !name.ends_with(":lease")).collect()
}
