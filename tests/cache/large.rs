//! Large bodies lie in parts: what is served of them is whole, of one fill, and not more than was asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use buttress_tests::body::{self, Scripted};
use buttress_tests::{Counters, Reply};
use bytes::Bytes;
use http::{Method, Response};
use http_body_util::BodyExt as _;

use crate::bed::{Bed, STORES, Store, request, response};

const MIB: usize = 1 << 20;
/// Two parts and a rest.
const LENGTH: usize = 2 * MIB + 100_000;
const BAD: &str = "buttress_cache_bad_records_total";

/// A body that differs in each part and in each revision.
fn file(revision: u64) -> Bytes {
    let mut file = vec![u8::try_from(revision).unwrap(); LENGTH];
    for (place, page) in file.chunks_mut(5000).enumerate() {
        page[0] = (place % 251) as u8;
    }
    file.into()
}

/// A service whose file has a new revision for each call, and says so.
async fn files(store: Store, cache_control: &'static str) -> Bed {
    let revision = AtomicU64::new(0);
    Bed::new(store, move |_| {
        let revision = revision.fetch_add(1, Ordering::Relaxed) + 1;
        response(200, &[("cache-control", cache_control), ("etag", &format!("\"{revision}\""))], file(revision))
    })
    .await
}

fn parts(bed: &Bed) -> Vec<String> {
    let Some(redis) = &bed.redis else { return Vec::new() };
    let Reply::Array(found) = redis.cli(&["KEYS", "*:part:*"]) else { panic!("KEYS answers a list") };
    let mut names: Vec<_> = found
        .into_iter()
        .map(|name| match name {
            Reply::Bulk(name) => String::from_utf8(name).unwrap(),
            other => panic!("not a name: {other:?}"),
        })
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_large_body_comes_back_as_it_went_in() {
    for store in STORES {
        let bed = files(store, "max-age=60").await;
        assert!(bed.get("/file").await.body == file(1));
        let hit = bed.get("/file").await;
        assert!(hit.is_hit() && hit.body == file(1), "{store:?}");
        assert_eq!(bed.calls.get(), 1);
        let head = bed.send(request(Method::HEAD, "/file", &[])).await;
        assert_eq!((head.is_hit(), head.header("content-length")), (true, &*LENGTH.to_string()));
    }
}

#[tokio::test]
async fn a_range_takes_what_it_asks_for_out_of_the_parts() {
    for store in STORES {
        let bed = files(store, "max-age=60").await;
        bed.get("/file").await;
        let whole = file(1);
        for (range, first, last) in [
            ("bytes=0-9", 0, 9),
            ("bytes=10-1048575", 10, MIB - 1),
            ("bytes=1048570-1048585", MIB - 6, MIB + 9),
            ("bytes=1048576-1048576", MIB, MIB),
            ("bytes=5-2100000", 5, 2_100_000),
            ("bytes=-70000", LENGTH - 70_000, LENGTH - 1),
            ("bytes=2097152-", 2 * MIB, LENGTH - 1),
        ] {
            let reply = bed.get_with("/file", &[("range", range)]).await;
            assert_eq!((reply.status.as_u16(), reply.is_hit()), (206, true), "{range}");
            assert!(reply.body == whole.slice(first..=last), "{store:?}: {range}");
        }
        let beyond = bed.get_with("/file", &[("range", "bytes=9000000-")]).await;
        assert_eq!((beyond.status.as_u16(), bed.calls.get()), (416, 1));
    }
}

#[tokio::test]
async fn a_part_that_is_gone_is_a_miss_before_the_first_byte() {
    let bed = files(Store::Redis, "max-age=60").await;
    bed.get("/file").await;
    let middle = parts(&bed).remove(1);
    assert_eq!(bed.redis.as_ref().unwrap().cli(&["DEL", &middle]).int(), 1);
    let next = bed.get("/file").await;
    assert!(!next.is_hit() && next.body == file(2));
    assert!(bed.get("/file").await.is_hit(), "and it was stored again");
}

#[tokio::test]
async fn a_part_that_is_lost_after_the_first_byte_breaks_the_body_and_ends_the_entry() {
    let counters = Counters::install();
    let bed = files(Store::Redis, "max-age=60").await;
    bed.get("/file").await;
    let mut hit = bed.open(request(Method::GET, "/file", &[])).await.into_body();
    hit.frame().await.unwrap().unwrap();
    let redis = bed.redis.as_ref().unwrap();
    parts(&bed).iter().for_each(|part| drop(redis.cli(&["DEL", part])));
    let before = counters.get(BAD);
    assert!(hit.collect().await.is_err(), "a body that lacks a part is not passed off as whole");
    assert!(counters.get(BAD) > before);
    bed.cache.settled().await;
    let next = bed.get("/file").await;
    assert!(!next.is_hit() && next.body == file(2));
}

#[tokio::test]
async fn a_part_that_says_something_else_is_not_believed() {
    let bed = files(Store::Redis, "max-age=60").await;
    bed.get("/file").await;
    let redis = bed.redis.as_ref().unwrap();
    let names = parts(&bed);
    // The first part under the name of the second: the record says which it is.
    assert_eq!(redis.cli(&["COPY", &names[0], &names[1], "REPLACE"]).int(), 1);
    assert!(bed.read(request(Method::GET, "/file", &[])).await.is_err());
    assert!(bed.get("/file").await.body == file(2));
}

#[tokio::test]
async fn who_reads_the_old_body_reads_it_to_the_end_while_a_new_one_is_stored() {
    for store in STORES {
        let bed = files(store, "max-age=60").await;
        bed.get("/file").await;
        let mut old = bed.open(request(Method::GET, "/file", &[])).await.into_body();
        let mut read = old.frame().await.unwrap().unwrap().into_data().unwrap().to_vec();
        bed.send(request(Method::POST, "/file", &[])).await;
        let new = bed.get("/file").await;
        assert!(new.body == file(3), "the change was call 2");
        read.extend_from_slice(&old.collect().await.unwrap().to_bytes());
        assert!(read == file(1), "{store:?}: no part of another fill");
        assert!(bed.get("/file").await.body == file(3));
    }
}

#[tokio::test]
async fn parts_whose_body_broke_are_taken_back() {
    let bed = Bed::new(Store::Redis, |_| {
        let body = Scripted::of((0..3).map(|_| vec![7; MIB])).breaks();
        Response::builder().header("cache-control", "max-age=60").body(body).unwrap()
    })
    .await;
    assert!(bed.read(request(Method::GET, "/file", &[])).await.is_err());
    for _ in 0..200 {
        bed.cache.settled().await;
        if parts(&bed).is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("parts are left: {:?}", parts(&bed));
}

#[tokio::test]
async fn a_validation_keeps_the_parts_and_their_time_begins_anew() {
    for store in STORES {
        let bed = Bed::new(store, |parts| {
            let fields = [("cache-control", "max-age=60"), ("etag", "\"1\"")];
            match parts.headers.contains_key("if-none-match") {
                true => response(304, &fields, ""),
                false => response(200, &fields, file(1)),
            }
        })
        .await;
        bed.get("/file").await;
        let names = parts(&bed);
        let redis = bed.redis.as_ref();
        names.iter().for_each(|name| drop(redis.unwrap().cli(&["PEXPIRE", name, "60000"])));
        bed.hand.advance(std::time::Duration::from_secs(61));
        let validated = bed.get("/file").await;
        assert!(validated.header("cache-status").contains("fwd-status=304") && validated.body == file(1));
        assert!(bed.get("/file").await.is_hit());
        assert_eq!(parts(&bed), names, "the same parts");
        for name in &names {
            let left = redis.unwrap().cli(&["PTTL", name]).int();
            assert!(left > 600_000, "{left} ms: as long as the entry, which is kept ten minutes past its end");
        }
    }
}

#[tokio::test]
async fn the_parts_of_what_was_replaced_do_not_stay_for_long() {
    let bed = files(Store::Redis, "max-age=60").await;
    bed.get("/file").await;
    let old = parts(&bed);
    bed.hand.advance(std::time::Duration::from_secs(61));
    assert!(bed.get("/file").await.body == file(2));
    let redis = bed.redis.as_ref().unwrap();
    let left = |name: &String| redis.cli(&["PTTL", name]).int();
    assert!(old.iter().map(left).all(|left| (1..=300_000).contains(&left)), "for those who read them");
    let new: Vec<_> = parts(&bed).into_iter().filter(|name| !old.contains(name)).collect();
    assert!(new.len() == 3 && new.iter().map(left).all(|left| left > 600_000));
}

#[tokio::test]
async fn what_this_process_has_no_room_for_is_a_miss_and_not_a_broken_body() {
    use buttress::cache::{CacheLayer, CacheOptions};
    use tower::{Layer as _, ServiceExt as _};

    let cache = CacheOptions::new().capacity(8 << 20).embedded();
    let (origin, calls) = buttress_tests::counting(|_: http::Request<crate::bed::Body>| async {
        Ok::<_, std::convert::Infallible>(response(200, &[("cache-control", "max-age=60")], vec![1; 5 * MIB]))
    });
    let service = Arc::new(CacheLayer::new(cache.clone()).layer(origin));
    for round in 0..3 {
        for number in 0..6 {
            let uri = format!("/{number}");
            let response = service.as_ref().clone().oneshot(request(Method::GET, &uri, &[])).await.unwrap();
            assert_eq!(body::collect(response).await.1.len(), 5 * MIB, "round {round}");
        }
    }
    assert!(calls.get() >= 6);
    assert!(cache.weight() <= 9 << 20, "{} bytes", cache.weight());
}
