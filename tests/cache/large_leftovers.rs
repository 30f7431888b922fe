//! Parts that nothing leads to any more go soon, and take nothing along that is good.

use std::time::Duration;

use buttress::cache::Purge;
use buttress_tests::body;
use buttress_tests::{RedisServer, Reply as Said};
use http::{Method, Response};
use http_body_util::BodyExt as _;

use crate::bed::{Bed, Store, request, response};
use crate::memo_bed::{Numbers, SECOND};

const MIB: usize = 1 << 20;

/// The parts in Redis that stay for longer than those who read them need.
fn lasting_parts(redis: &RedisServer) -> Vec<String> {
    let Said::Array(found) = redis.cli(&["KEYS", "*:part:*"]) else { panic!("KEYS answers a list") };
    let names = found.into_iter().map(|name| match name {
        Said::Bulk(name) => String::from_utf8(name).unwrap(),
        other => panic!("not a name: {other:?}"),
    });
    names.filter(|name| redis.cli(&["PTTL", name]).int() > 300_000).collect()
}

/// A service whose file of two parts and a rest is another one for each call.
async fn files() -> Bed {
    let numbers = Numbers::default();
    Bed::new(Store::Redis, move |_| {
        let number = u8::try_from(numbers.next()).unwrap();
        response(200, &[("cache-control", "max-age=600"), ("surrogate-key", "file")], vec![number; 2 * MIB + 9])
    })
    .await
}

#[tokio::test]
async fn the_parts_of_what_was_purged_do_not_stay() {
    let bed = files().await;
    bed.get("/file").await;
    bed.cache.purge(Purge::tag("file")).await.unwrap();
    assert_eq!(bed.get("/file").await.body[0], 2);
    assert_eq!(lasting_parts(bed.redis.as_ref().unwrap()).len(), 3, "those of the second fill");
}

#[tokio::test]
async fn the_parts_of_what_was_changed_do_not_stay() {
    let bed = files().await;
    bed.get("/file").await;
    bed.send(request(Method::POST, "/file", &[])).await;
    assert_eq!(bed.get("/file").await.body[0], 3);
    assert_eq!(lasting_parts(bed.redis.as_ref().unwrap()).len(), 3, "those of the second fill");
}

#[tokio::test]
async fn the_parts_of_what_was_refused_do_not_stay() {
    let bed = Bed::new(Store::Redis, |_| {
        let body = body::Scripted::of((0..3).map(|_| vec![7; MIB]));
        Response::builder().header("cache-control", "max-age=600").body(body).unwrap()
    })
    .await;
    let mut body = bed.open(request(Method::GET, "/file", &[])).await.into_body();
    body.frame().await.unwrap().unwrap();
    // Somebody else changes it meanwhile.
    let redis = bed.redis.as_ref().unwrap();
    let Said::Array(leases) = redis.cli(&["KEYS", "*:lease"]) else { panic!() };
    assert_eq!(leases.len(), 1);
    let Said::Bulk(lease) = &leases[0] else { panic!() };
    assert_eq!(redis.cli(&["DEL", std::str::from_utf8(lease).unwrap()]).int(), 1);
    body.collect().await.unwrap();
    for _ in 0..500 {
        if lasting_parts(redis).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("they stay: {:?}", lasting_parts(redis));
}

#[tokio::test]
async fn who_reads_an_old_body_too_slowly_does_not_end_the_new_one() {
    let bed = files().await;
    bed.get("/file").await;
    let redis = bed.redis.as_ref().unwrap();
    let old = lasting_parts(redis);
    let mut slow = bed.open(request(Method::GET, "/file", &[])).await.into_body();
    slow.frame().await.unwrap().unwrap();
    bed.hand.advance(601 * SECOND);
    assert_eq!(bed.get("/file").await.body[0], 2);
    assert!(bed.get("/file").await.is_hit());
    // Five minutes later the old parts are gone.
    old.iter().for_each(|part| drop(redis.cli(&["DEL", part])));
    assert!(slow.collect().await.is_err());
    bed.cache.settled().await;
    assert!(bed.get("/file").await.is_hit(), "the second fill is as good as before");
}
