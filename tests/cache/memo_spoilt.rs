//! What is made of something outdated, private, foreign or too much; and loaders that wait for each other.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use buttress::cache::memo::Memo;
use buttress::cache::{Cache, CacheBody, CacheLayer, CacheOptions, Purge};
use buttress_tests::body;
use buttress_tests::{RedisServer, counting};
use http::{Method, Request, Response};
use tokio::sync::Semaphore;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Body, Reply, STORES, Store, patient, request, response};
use crate::memo_bed::{Fleet, Numbers, SECOND};

type Pages = BoxCloneSyncService<Request<Body>, Response<CacheBody<body::Scripted>>, Infallible>;

/// A cached service that makes its page of this memo, by this key.
fn pages(cache: &Cache, memo: Memo<u32, usize>, numbers: Numbers, tag: &'static str) -> Pages {
    let (origin, _) = counting(move |_: Request<Body>| {
        let (memo, numbers) = (memo.clone(), numbers.clone());
        async move {
            let load = move |loading: buttress::cache::memo::Loading<usize>| {
                loading.tag(tag);
                async move { Ok::<_, Infallible>(numbers.next()) }
            };
            let number = memo.get_or_try_insert_with(&1, load).await.unwrap();
            Ok::<_, Infallible>(response(200, &[("cache-control", "max-age=600")], number.to_string()))
        }
    });
    BoxCloneSyncService::new(CacheLayer::new(cache.clone()).layer(origin))
}

async fn ask(service: &Pages) -> Reply {
    let response = service.clone().oneshot(request(Method::GET, "/page", &[])).await.unwrap();
    let (parts, body, trailers) = body::collect(response).await;
    Reply { status: parts.status, headers: parts.headers, body, trailers }
}

#[tokio::test]
async fn a_page_that_was_made_of_what_a_soft_purge_outdated_is_not_fresh() {
    for store in STORES {
        let fleet = Fleet::new(store, 1).await;
        let cache = &fleet.caches[0];
        let numbers = Numbers::default();
        let memo = Memo::<u32, usize>::new(cache, "n").ttl(600 * SECOND).stale_for(600 * SECOND);
        let pages = pages(cache, memo, numbers.clone(), "team");
        assert_eq!(ask(&pages).await.text(), "1");
        fleet.settled().await;
        assert!(ask(&pages).await.is_hit());
        cache.purge(Purge::tag("team").soft()).await.unwrap();
        let _stale_for_now = ask(&pages).await;
        for _ in 0..200 {
            if numbers.calls() == 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(numbers.calls(), 2, "{store:?}: it was refreshed");
        tokio::time::sleep(Duration::from_millis(100)).await;
        fleet.settled().await;
        assert_eq!(ask(&pages).await.text(), "2", "{store:?}");
    }
}

#[tokio::test]
async fn a_page_of_a_value_that_was_made_of_very_many_goes_with_each_of_them() {
    let cache = Cache::embedded();
    let (parts, whole) = (Memo::<u32, usize>::new(&cache, "parts"), Memo::<u32, usize>::new(&cache, "whole"));
    let (origin, _) = counting({
        let parts = parts.clone();
        move |_: Request<Body>| {
            let (parts, whole) = (parts.clone(), whole.clone());
            async move {
                let load = move |_| async move {
                    let keys: Vec<_> = (0..1100).collect();
                    let load = |missing: Vec<u32>| async move {
                        Ok::<HashMap<u32, usize>, Infallible>(missing.into_iter().map(|n| (n, 1)).collect())
                    };
                    let mut sum = 0;
                    for keys in keys.chunks(100) {
                        let found = parts.get_many_or_try_insert_with(keys, load).await.unwrap();
                        sum += found.into_iter().flatten().map(|number| *number).sum::<usize>();
                    }
                    Ok::<_, Infallible>(sum)
                };
                let sum = whole.get_or_try_insert_with(&1, load).await.unwrap();
                Ok::<_, Infallible>(response(200, &[("cache-control", "max-age=600")], sum.to_string()))
            }
        }
    });
    let pages: Pages = BoxCloneSyncService::new(CacheLayer::new(cache.clone()).layer(origin));
    assert_eq!(ask(&pages).await.text(), "1100");
    for key in [0, 1099] {
        parts.invalidate(&key).await.unwrap();
        assert!(!ask(&pages).await.is_hit(), "it was made of {key}");
    }
}

#[tokio::test]
async fn a_page_that_was_made_of_a_cached_page_goes_with_what_that_was_made_of() {
    let cache = Cache::embedded();
    let numbers = Numbers::default();
    let memo = Memo::<u32, usize>::new(&cache, "n");
    let inner = pages(&cache, memo.clone(), numbers, "team");
    let (origin, _) = counting(move |_: Request<Body>| {
        let inner = inner.clone();
        async move {
            let part = ask(&inner).await;
            Ok::<_, Infallible>(response(200, &[("cache-control", "max-age=600")], part.body))
        }
    });
    let outer = BoxCloneSyncService::new(CacheLayer::new(cache.clone()).layer(origin));
    let ask = async || {
        let response = outer.clone().oneshot(request(Method::GET, "/outer", &[])).await.unwrap();
        body::collect::<CacheBody<body::Scripted>>(response).await.1
    };
    assert_eq!(ask().await, "1");
    memo.invalidate(&1).await.unwrap();
    assert_eq!(ask().await, "2");
}

#[tokio::test]
async fn pages_are_stored_that_use_values_of_another_cache() {
    let server = RedisServer::start();
    let cache = CacheOptions::new().redis(patient(&server).await);
    for values in [cache.clone(), Cache::embedded()] {
        let memo = Memo::new(&values, "n");
        let pages = pages(&cache, memo, Numbers::default(), "team");
        cache.purge(Purge::everything()).await.unwrap();
        ask(&pages).await;
        cache.settled().await;
        assert!(ask(&pages).await.is_hit(), "of {values:?}");
    }
}

#[tokio::test]
async fn what_was_made_of_a_value_for_its_caller_alone_is_for_its_caller_alone() {
    let cache = Cache::embedded();
    let memo = Memo::<u32, usize>::new(&cache, "n");
    let (origin, _) = counting({
        let numbers = Numbers::default();
        move |_: Request<Body>| {
            let (memo, numbers) = (memo.clone(), numbers.clone());
            async move {
                let load = move |loading: buttress::cache::memo::Loading<usize>| async move {
                    loading.no_store();
                    Ok::<_, Infallible>(numbers.next())
                };
                let number = memo.get_or_try_insert_with(&1, load).await.unwrap();
                Ok::<_, Infallible>(response(200, &[("cache-control", "max-age=600")], number.to_string()))
            }
        }
    });
    let pages: Pages = BoxCloneSyncService::new(CacheLayer::new(cache).layer(origin));
    assert_eq!(ask(&pages).await.text(), "1");
    assert_eq!(ask(&pages).await.text(), "2");
}

#[tokio::test]
async fn a_batch_does_not_wait_in_full_for_what_another_process_found_absent() {
    let fleet = Fleet::new(Store::Redis, 2).await;
    let memos = [0, 1].map(|process| Memo::<u32, usize>::new(&fleet.caches[process], "n").wait(60 * SECOND));
    let (begun, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let load = {
        let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
        move |_: Vec<u32>| {
            let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
            async move {
                begun.add_permits(1);
                gate.acquire().await.unwrap().forget();
                Ok::<_, Infallible>(HashMap::new())
            }
        }
    };
    let batches: Vec<_> = memos
        .into_iter()
        .map(|memo| {
            let load = load.clone();
            tokio::spawn(async move { memo.get_many_or_try_insert_with(&[1], load).await.unwrap() })
        })
        .collect();
    begun.acquire().await.unwrap().forget();
    tokio::time::sleep(Duration::from_millis(300)).await; // the other one has asked by now
    gate.add_permits(2);
    for batch in batches {
        let found = tokio::time::timeout(10 * SECOND, batch).await.expect("it is not there, and nobody has to wait");
        assert_eq!(found.unwrap(), [None]);
    }
}

#[tokio::test]
async fn a_value_of_very_many_tags_is_a_value() {
    let memo = Memo::<u32, usize>::new(&Cache::embedded(), "n");
    let load = |loading: buttress::cache::memo::Loading<usize>| async move {
        (0..33_000).for_each(|number| loading.tag(number.to_string()));
        Ok::<_, Infallible>(1)
    };
    assert_eq!(memo.get_or_try_insert_with(&1, load).await.as_deref(), Ok(&1));
}

#[tokio::test]
async fn a_batch_waits_for_another_process_even_behind_a_batch_that_does() {
    let fleet = Fleet::new(Store::Redis, 2).await;
    let memos = [0, 1, 1].map(|process| Memo::<u32, usize>::new(&fleet.caches[process], "n").wait(20 * SECOND));
    let (calls, gate) = (Numbers::default(), Arc::new(Semaphore::new(0)));
    let load = {
        let (calls, gate) = (calls.clone(), Arc::clone(&gate));
        move |missing: Vec<u32>| {
            let (calls, gate) = (calls.clone(), Arc::clone(&gate));
            async move {
                calls.next();
                gate.acquire().await.unwrap().forget();
                Ok::<_, Infallible>(missing.into_iter().map(|n| (n, 1)).collect::<HashMap<_, _>>())
            }
        }
    };
    let mut batches = Vec::new();
    for memo in memos {
        let load = load.clone();
        batches.push(tokio::spawn(async move { memo.get_many_or_try_insert_with(&[1], load).await.unwrap() }));
        while calls.calls() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let called = calls.calls();
    gate.add_permits(10);
    for batch in batches {
        batch.await.unwrap();
    }
    assert_eq!(called, 1, "one loads, in all processes");
}

/// Takes half a minute, in which the clock that matters is that of Redis.

#[tokio::test]
async fn a_value_that_takes_half_a_minute_is_stored_too() {
    let fleet = Fleet::new(Store::Redis, 1).await;
    let memo = Memo::<u32, usize>::new(&fleet.caches[0], "n");
    let load = |_| async {
        tokio::time::sleep(Duration::from_secs(34)).await;
        Ok::<_, Infallible>(1)
    };
    memo.get_or_try_insert_with(&1, load).await.unwrap();
    fleet.settled().await;
    assert!(memo.peek(&1).await.is_some());
}
