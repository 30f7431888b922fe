//! Loaders: one for all who wait, and what becomes of those that fail, panic, leave, or wait for themselves.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use buttress::cache::memo::{Memo, MemoError};
use buttress::cache::{Cache, Purge};
use tokio::sync::Semaphore;

use crate::bed::STORES;
use crate::memo_bed::{Fleet, Numbers, SECOND};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_in_two_processes_are_one_load() {
    for store in STORES {
        let fleet = Fleet::new(store, 2).await;
        let (numbers, gate) = (Numbers::default(), Arc::new(Semaphore::new(0)));
        let callers: Vec<_> = (0..1000)
            .map(|caller| {
                let memo = Memo::<u8, usize>::new(&fleet.caches[caller % 2], "n").wait(30 * SECOND);
                let (numbers, gate) = (numbers.clone(), Arc::clone(&gate));
                tokio::spawn(async move {
                    let load = move |_| async move {
                        gate.acquire().await.unwrap().forget();
                        Ok::<_, Infallible>(numbers.next())
                    };
                    *memo.get_or_try_insert_with(&1, load).await.unwrap()
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        gate.add_permits(1000);
        for caller in callers {
            assert_eq!(caller.await.unwrap(), 1);
        }
        assert_eq!(numbers.calls(), 1, "{store:?}");
    }
}

#[tokio::test]
async fn an_error_is_its_callers_and_is_not_stored() {
    for store in STORES {
        let fleet = Fleet::new(store, 1).await;
        let memo = Memo::<u8, usize>::new(&fleet.caches[0], "n");
        for _ in 0..3 {
            let failed = memo.get_or_try_insert_with(&1, |_| async { Err::<usize, _>("no database") }).await;
            assert_eq!(failed.unwrap_err(), MemoError::Load("no database"));
        }
        assert_eq!(Numbers::default().of(&memo, &1).await, 1);
    }
}

#[tokio::test]
async fn of_many_who_wait_for_an_error_one_tries_again() {
    let memo = Memo::<u8, usize>::new(&Cache::embedded(), "n");
    let (numbers, gate) = (Numbers::default(), Arc::new(Semaphore::new(0)));
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let (memo, numbers, gate) = (memo.clone(), numbers.clone(), Arc::clone(&gate));
            tokio::spawn(async move {
                let load = move |_| async move {
                    gate.acquire().await.unwrap().forget();
                    let number = numbers.next();
                    if number == 1 { Err("the first fails") } else { Ok(number) }
                };
                memo.get_or_try_insert_with(&1, load).await.map(|value| *value)
            })
        })
        .collect();
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(50);
    let mut outcomes = Vec::new();
    for caller in callers {
        outcomes.push(caller.await.unwrap());
    }
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1);
    assert!(outcomes.iter().flatten().all(|&value| value == 2) && numbers.calls() == 2);
}

#[tokio::test]
async fn a_loader_says_for_how_long_with_which_tags_and_whether_at_all() {
    for store in STORES {
        let fleet = Fleet::new(store, 1).await;
        let memo = Memo::<u8, usize>::new(&fleet.caches[0], "n");
        let ask = async |key: u8, seconds: u64, store: bool| {
            let load = move |loading: buttress::cache::memo::Loading<usize>| async move {
                loading.ttl(Duration::from_secs(seconds));
                loading.tag("tagged");
                if !store {
                    loading.no_store();
                }
                Ok::<_, Infallible>(loading.stale().map_or(0, |stale| **stale + 1))
            };
            let value = *memo.get_or_try_insert_with(&key, load).await.unwrap();
            fleet.settled().await;
            value
        };
        for (key, seconds, store, is_stored) in [(1, 5, true, true), (2, 5, false, false), (3, 0, true, false)] {
            ask(key, seconds, store).await;
            assert_eq!(memo.peek(&key).await.is_some(), is_stored, "{key}");
        }
        fleet.hand.advance(6 * SECOND);
        assert!(memo.peek(&1).await.is_none());
        ask(4, 50, true).await;
        fleet.caches[0].purge(Purge::tag("tagged").soft()).await.unwrap();
        assert_eq!(ask(4, 50, true).await, 1, "the loader sees what it replaces");
        fleet.caches[0].purge(Purge::tag("tagged")).await.unwrap();
        assert!(memo.peek(&4).await.is_none());
    }
}

#[tokio::test]
async fn a_loader_goes_on_when_its_caller_leaves() {
    let memo = Memo::<u8, usize>::new(&Cache::embedded(), "n");
    let gate = Arc::new(Semaphore::new(0));
    let load = {
        let gate = Arc::clone(&gate);
        move |_| async move {
            gate.acquire().await.unwrap().forget();
            Ok::<_, Infallible>(7)
        }
    };
    let first = tokio::time::timeout(Duration::from_millis(20), memo.get_or_try_insert_with(&1, load));
    assert!(first.await.is_err(), "the caller has left");
    let second = tokio::spawn({
        let memo = memo.clone();
        async move { memo.get_or_try_insert_with(&1, |_| async { Err("another load") }).await.map(|value| *value) }
    });
    tokio::task::yield_now().await;
    gate.add_permits(1);
    assert_eq!(second.await.unwrap(), Ok(7));
}

#[tokio::test]
async fn a_loader_that_panics_hangs_nobody() {
    let memo = Memo::<u8, usize>::new(&Cache::embedded(), "n");
    let panics = memo.get_or_try_insert_with(&1, |_| async {
        assert!(std::hint::black_box(false), "on purpose");
        Ok::<_, Infallible>(1)
    });
    assert_eq!(panics.await.unwrap_err(), MemoError::Panicked);
    assert_eq!(Numbers::default().of(&memo, &1).await, 1);
}

#[tokio::test]
async fn a_loader_that_asks_for_its_own_key_is_told_so() {
    for store in STORES {
        let fleet = Fleet::new(store, 1).await;
        let memo = Memo::<u8, usize>::new(&fleet.caches[0], "n");
        let (outer, inner) = (memo.clone(), memo.clone());
        let result = outer
            .get_or_try_insert_with(&1, move |_| async move {
                let again = inner.clone();
                let two = inner.get_or_try_insert_with(&2, move |_| async move {
                    again.get_or_try_insert_with(&1, |_| async { Ok::<_, ()>(0) }).await.map(|_| 0).map_err(drop_load)
                });
                two.await.map(|two| *two).map_err(drop_load)
            })
            .await;
        let innermost = result.unwrap_err().into_load().unwrap();
        assert_eq!(innermost, "recursive", "by way of another key too");
    }
}

fn drop_load<E>(error: MemoError<E>) -> &'static str {
    match error {
        MemoError::Recursive => "recursive",
        MemoError::Load(_) => "recursive", // the inner one said so
        _ => "other",
    }
}

#[tokio::test]
async fn keys_whose_loaders_wait_for_each_other_do_so_for_a_bounded_time() {
    let memo = Memo::<u8, usize>::new(&Cache::embedded(), "n").wait(Duration::from_millis(50));
    let gate = Arc::new(tokio::sync::Barrier::new(2));
    let ask = |mine: u8, other: u8| {
        let (memo, gate) = (memo.clone(), Arc::clone(&gate));
        tokio::spawn(async move {
            let inner = memo.clone();
            let load = move |_| async move {
                gate.wait().await;
                let other = inner.get_or_try_insert_with(&other, |_| async { Ok::<_, Infallible>(1) }).await;
                Ok::<_, Infallible>(*other.unwrap() + 1)
            };
            *memo.get_or_try_insert_with(&mine, load).await.unwrap()
        })
    };
    let both = [ask(1, 2), ask(2, 1)];
    for one in both {
        let value = tokio::time::timeout(20 * SECOND, one).await.expect("bounded").unwrap();
        assert!((2..=3).contains(&value));
    }
}
