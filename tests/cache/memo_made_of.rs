//! Many values at once; and what was made of a value goes when the value goes.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use buttress::cache::memo::{Memo, MemoError};
use buttress::cache::{CacheLayer, Purge};
use buttress_tests::body;
use buttress_tests::{RedisServer, counting};
use http::{Method, Request};
use tokio::sync::Semaphore;
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Body, STORES, request, response};
use crate::memo_bed::{Fleet, Numbers, SECOND};

#[tokio::test]
async fn a_value_that_was_loaded_before_a_purge_is_not_stored_after_it() {
    for store in STORES {
        let fleet = Fleet::new(store, 1).await;
        let memo = Memo::<u8, usize>::new(&fleet.caches[0], "n");
        let (begun, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let slow = tokio::spawn({
            let (memo, begun, gate) = (memo.clone(), Arc::clone(&begun), Arc::clone(&gate));
            async move {
                let load = move |_| async move {
                    begun.add_permits(1);
                    gate.acquire().await.unwrap().forget();
                    Ok::<_, Infallible>(1)
                };
                *memo.get_or_try_insert_with(&1, load).await.unwrap()
            }
        });
        begun.acquire().await.unwrap().forget();
        memo.invalidate(&1).await.unwrap();
        gate.add_permits(1);
        assert_eq!(slow.await.unwrap(), 1, "for who asked before");
        fleet.settled().await;
        assert!(memo.peek(&1).await.is_none(), "{store:?}");
    }
}

#[tokio::test]
async fn a_batch_is_one_round_trip_and_one_load() {
    for store in STORES {
        let fleet = Fleet::new(store, 2).await;
        let memo = Memo::<u32, String>::new(&fleet.caches[0], "n").negative_ttl(5 * SECOND);
        let (calls, asked) = (Numbers::default(), Arc::new(std::sync::Mutex::new(Vec::new())));
        let load = {
            let (calls, asked) = (calls.clone(), Arc::clone(&asked));
            move |missing: Vec<u32>| {
                calls.next();
                asked.lock().unwrap().push(missing.clone());
                // Of odd numbers there is none.
                let found = missing.into_iter().filter(|n| n % 2 == 0).map(|n| (n, n.to_string()));
                let found: HashMap<_, _> = found.collect();
                async { Ok::<_, Infallible>(found) }
            }
        };
        let text = |values: Vec<Option<Arc<String>>>| -> Vec<String> {
            values.into_iter().map(|value| value.map_or("-".to_owned(), |value| value.to_string())).collect()
        };
        let none = memo.get_many_or_try_insert_with(&[], load.clone()).await.unwrap();
        assert_eq!((text(none).len(), calls.calls()), (0, 0));
        let some = memo.get_many_or_try_insert_with(&[4, 3, 4, 2], load.clone()).await.unwrap();
        assert_eq!((text(some), calls.calls()), (["4", "-", "4", "2"].map(str::to_owned).to_vec(), 1));
        fleet.settled().await;
        let more = memo.get_many_or_try_insert_with(&[2, 3, 6, 4], load.clone()).await.unwrap();
        assert_eq!(text(more), ["2", "-", "6", "4"].map(str::to_owned));
        assert_eq!(*asked.lock().unwrap(), [vec![4, 3, 2], vec![6]], "each once, and only what is missing");
        fleet.settled().await;

        // Another process has nothing in its memory.
        let other = Memo::<u32, String>::new(&fleet.caches[1], "n").negative_ttl(5 * SECOND);
        other.get_many_or_try_insert_with(&[4], load.clone()).await.unwrap();
        if let Some(redis) = &fleet.redis {
            let reads = || reads(redis);
            let before = reads();
            let all = other.get_many_or_try_insert_with(&[2, 3, 6], load.clone()).await.unwrap();
            assert_eq!(text(all), ["2", "-", "6"].map(str::to_owned));
            assert!(reads() - before <= 3, "the records at once; what is not known of their tags besides");
        }
        assert_eq!(calls.calls(), 2);
    }
}

/// How many commands read records.
fn reads(redis: &RedisServer) -> u64 {
    let stats = match redis.cli(&["INFO", "commandstats"]) {
        buttress_tests::Reply::Bulk(text) => String::from_utf8(text).unwrap(),
        other => panic!("{other:?}"),
    };
    let calls = |name: &str| {
        let line = stats.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:")))?;
        line.split("calls=").nth(1)?.split(',').next()?.parse::<u64>().ok()
    };
    calls("get").unwrap_or(0) / 100 + calls("mget").unwrap_or(0)
}

#[tokio::test]
async fn a_batch_that_fails_stores_nothing_and_takes_nothing_from_others() {
    for store in STORES {
        let fleet = Fleet::new(store, 1).await;
        let memo = Memo::<u32, usize>::new(&fleet.caches[0], "n");
        Numbers::default().of(&memo, &1).await;
        fleet.settled().await;
        let failed = memo.get_many_or_try_insert_with(&[1, 2], |_| async { Err::<HashMap<u32, usize>, _>("down") });
        assert_eq!(failed.await.unwrap_err(), MemoError::Load("down"));
        assert!(memo.peek(&1).await.is_some() && memo.peek(&2).await.is_none());
        assert_eq!(Numbers::default().of(&memo, &2).await, 1, "nobody waits for a batch that failed");
    }
}

#[tokio::test]
async fn batches_that_want_the_same_do_not_wait_for_each_other_for_ever() {
    for store in STORES {
        let fleet = Fleet::new(store, 2).await;
        let numbers = Numbers::default();
        let batches = [(0, [1, 2, 3]), (0, [3, 2, 1]), (1, [2, 1, 3]), (1, [3, 1, 4])].map(|(process, keys)| {
            let memo = Memo::<u32, usize>::new(&fleet.caches[process], "n");
            let numbers = numbers.clone();
            tokio::spawn(async move {
                let load = move |missing: Vec<u32>| {
                    numbers.next();
                    async move { Ok::<_, Infallible>(missing.into_iter().map(|n| (n, n as usize * 10)).collect()) }
                };
                memo.get_many_or_try_insert_with(&keys, load).await.unwrap()
            })
        });
        for batch in batches {
            let values = tokio::time::timeout(20 * SECOND, batch).await.expect("bounded").unwrap();
            assert!(values.iter().all(Option::is_some));
        }
        assert!(numbers.calls() <= 4, "{}", numbers.calls());
    }
}

#[tokio::test]
async fn what_purges_a_value_purges_the_pages_that_were_made_with_it() {
    for store in STORES {
        for warm in [false, true] {
            let fleet = Fleet::new(store, 2).await;
            let revision = Arc::new(AtomicUsize::new(1));
            let services = [0, 1].map(|process| {
                let memo = Memo::<u32, usize>::new(&fleet.caches[process], "users");
                let revision = Arc::clone(&revision);
                let (origin, _) = counting(move |_: Request<Body>| {
                    let (memo, revision) = (memo.clone(), Arc::clone(&revision));
                    async move {
                        let load = move |loading: buttress::cache::memo::Loading<usize>| async move {
                            loading.tag("team-3");
                            Ok::<_, Infallible>(revision.load(Ordering::Relaxed))
                        };
                        let user = memo.get_or_try_insert_with(&7, load).await.unwrap();
                        Ok::<_, Infallible>(response(200, &[("cache-control", "max-age=600")], user.to_string()))
                    }
                });
                CacheLayer::new(fleet.caches[process].clone()).layer(origin)
            });
            let get = async |process: usize| {
                let response = services[process].clone().oneshot(request(Method::GET, "/page", &[])).await.unwrap();
                assert!(!response.headers().keys().any(|name| name.as_str().contains("tag")));
                let text = body::collect::<_>(response).await.1;
                fleet.settled().await;
                String::from_utf8(text.to_vec()).unwrap()
            };
            let users = Memo::<u32, usize>::new(&fleet.caches[0], "users");
            if warm {
                // A hit says what it is made of, as a load does.
                Numbers::default().of(&users, &7).await;
                fleet.settled().await;
            }
            fleet.is_listening().await;
            for process in [0, 1] {
                assert_eq!(get(process).await, "1");
            }
            for (round, way) in ["value", "tag", "memo"].into_iter().enumerate() {
                revision.store(round + 2, Ordering::Relaxed);
                assert_eq!(get(0).await, (round + 1).to_string(), "nothing was purged yet");
                match way {
                    "value" => users.invalidate(&7).await.unwrap(),
                    "tag" => fleet.caches[0].purge(Purge::tag("team-3")).await.unwrap(),
                    _ => users.clear().await.unwrap(),
                };
                assert_eq!(get(0).await, (round + 2).to_string(), "{store:?} {warm} {way}");
                let mut other = get(1).await;
                for _ in 0..200 {
                    if other == (round + 2).to_string() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    other = get(1).await;
                }
                assert_eq!(other, (round + 2).to_string(), "and in the other process");
            }
        }
    }
}

#[tokio::test]
async fn what_purges_a_value_purges_the_values_that_were_made_of_it() {
    for store in STORES {
        let fleet = Fleet::new(store, 1).await;
        let (users, teams) = (Memo::new(&fleet.caches[0], "users"), Memo::new(&fleet.caches[0], "teams"));
        let revision = Arc::new(AtomicUsize::new(1));
        let team = async || {
            let (users, revision) = (users.clone(), Arc::clone(&revision));
            let load = move |_| async move {
                let user = move |_| async move { Ok::<_, Infallible>(revision.load(Ordering::Relaxed)) };
                let user: Arc<usize> = users.get_or_try_insert_with(&7_u32, user).await.unwrap();
                Ok::<_, Infallible>(format!("team of {user}"))
            };
            let team: Arc<String> = teams.get_or_try_insert_with("three", load).await.unwrap();
            fleet.settled().await;
            team.to_string()
        };
        assert_eq!(team().await, "team of 1");
        revision.store(2, Ordering::Relaxed);
        assert_eq!(team().await, "team of 1");
        users.invalidate(&7).await.unwrap();
        assert_eq!(team().await, "team of 2", "{store:?}");
    }
}
