//! Memoized values: stored, found, kept apart, and given up.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use buttress::cache::Cache;
use buttress::cache::memo::{Memo, MemoError};
use serde::{Deserialize, Serialize};

use crate::bed::{STORES, Store};
use crate::memo_bed::{Fleet, Numbers, SECOND};

#[tokio::test]
async fn a_value_is_loaded_once_and_is_there_until_its_end() {
    for store in STORES {
        for capacity in [64 << 20, 0] {
            if capacity == 0 && matches!(store, Store::Embedded) {
                continue;
            }
            let fleet = Fleet::with(store, 1, capacity).await;
            let memo = Memo::<str, usize>::new(&fleet.caches[0], "n").ttl(60 * SECOND);
            let numbers = Numbers::default();
            assert!(memo.peek("a").await.is_none());
            for _ in 0..3 {
                assert_eq!(numbers.of(&memo, "a").await, 1, "{store:?}");
                fleet.settled().await;
            }
            assert_eq!((numbers.of(&memo, "b").await, memo.peek("a").await.as_deref()), (2, Some(&1)));
            fleet.hand.advance(61 * SECOND);
            assert!(memo.peek("a").await.is_none());
            assert_eq!(numbers.of(&memo, "a").await, 3);
        }
    }
}

#[tokio::test]
async fn a_hit_is_the_value_itself_and_no_copy() {
    let memo = Memo::<u8, String>::new(&Cache::embedded(), "n");
    let ask = || memo.get_or_try_insert_with(&1, |_| async { Ok::<_, Infallible>("text".to_owned()) });
    assert!(Arc::ptr_eq(&ask().await.unwrap(), &ask().await.unwrap()));
}

#[tokio::test]
async fn keys_that_look_alike_are_two() {
    #[derive(Debug, Serialize)]
    enum Any {
        Text(&'static str),
        Number(u64),
        Pair(&'static str, &'static str),
        Maybe(Option<u64>),
        Float(f64),
        Bytes(Vec<u8>),
    }
    let memo = Memo::<Any, usize>::new(&Cache::embedded(), "n");
    let numbers = Numbers::default();
    let keys = [
        Any::Text("1"),
        Any::Number(1),
        Any::Pair("a", "bc"),
        Any::Pair("ab", "c"),
        Any::Text(""),
        Any::Number(0),
        Any::Maybe(None),
        Any::Maybe(Some(0)),
        Any::Float(0.0),
        Any::Float(-0.0),
        Any::Float(f64::NAN),
        Any::Bytes(vec![0xff, 0xfe]),
        Any::Bytes(vec![7; 100_000]),
    ];
    for (place, key) in keys.iter().enumerate() {
        assert_eq!(numbers.of(&memo, key).await, place + 1, "{key:?}");
    }
    for (place, key) in keys.iter().enumerate() {
        assert_eq!(numbers.of(&memo, key).await, place + 1, "{key:?}");
    }
}

#[tokio::test]
async fn deployments_with_other_types_or_versions_do_not_read_each_other() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Before {
        count: u64,
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct After {
        name: String,
        count: u64,
    }
    for store in STORES {
        let fleet = Fleet::new(store, 1).await;
        let cache = &fleet.caches[0];
        let before = Memo::<u8, Before>::new(cache, "n");
        before.get_or_try_insert_with(&1, |_| async { Ok::<_, Infallible>(Before { count: 5 }) }).await.unwrap();
        fleet.settled().await;
        let after = Memo::<u8, After>::new(cache, "n");
        assert!(after.peek(&1).await.is_none());
        let load = |_| async { Ok::<_, Infallible>(After { name: "a".into(), count: 6 }) };
        let found = after.get_or_try_insert_with(&1, load).await.unwrap();
        assert_eq!((&*found.name, found.count), ("a", 6));
        assert_eq!(before.peek(&1).await.unwrap().count, 5);
        assert!(Memo::<u8, Before>::new(cache, "n").version(2).peek(&1).await.is_none());
        assert!(Memo::<u8, Before>::new(cache, "m").peek(&1).await.is_none());
    }
}

#[tokio::test]
async fn that_there_is_none_is_remembered_as_long_as_it_should_be() {
    for store in STORES {
        let fleet = Fleet::new(store, 1).await;
        let numbers = Numbers::default();
        let ask = async |memo: &Memo<u8, usize>| {
            let numbers = numbers.clone();
            let load = move |_| async move {
                numbers.next();
                Ok::<Option<usize>, Infallible>(None)
            };
            memo.get_or_try_insert_optional_with(&1, load).await.unwrap()
        };
        let memo = Memo::new(&fleet.caches[0], "forgets");
        for _ in 0..2 {
            assert_eq!(ask(&memo).await, None);
        }
        assert_eq!(numbers.calls(), 2, "not by default");
        let memo = Memo::new(&fleet.caches[0], "remembers").negative_ttl(5 * SECOND);
        for _ in 0..2 {
            assert_eq!(ask(&memo).await, None);
            fleet.settled().await;
        }
        assert_eq!(numbers.calls(), 3);
        assert!(memo.peek(&1).await.is_none());
        assert_eq!(Numbers::default().of(&memo, &1).await, 1, "who has a value need not believe it");
        fleet.settled().await;
        assert_eq!(ask(&memo).await.as_deref(), Some(&1), "and then there is one");
        fleet.hand.advance(61 * SECOND);
        assert_eq!((ask(&memo).await, numbers.calls()), (None, 4));
    }
}

#[tokio::test]
async fn what_is_stale_is_given_while_it_is_refreshed_once() {
    for store in STORES {
        let fleet = Fleet::new(store, 2).await;
        let memos = [0, 1]
            .map(|process| Memo::<u8, usize>::new(&fleet.caches[process], "n").ttl(10 * SECOND).stale_for(60 * SECOND));
        let numbers = Numbers::default();
        numbers.of(&memos[0], &1).await;
        fleet.settled().await;
        fleet.hand.advance(11 * SECOND);
        for memo in memos.iter().cycle().take(6) {
            let value = numbers.of(memo, &1).await;
            assert!(value <= 2, "{value}");
        }
        for _ in 0..500 {
            if memos[0].peek(&1).await.as_deref() == Some(&2) && memos[1].peek(&1).await.as_deref() == Some(&2) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!((memos[1].peek(&1).await.as_deref(), numbers.calls()), (Some(&2), 2), "{store:?}");
        fleet.hand.advance(71 * SECOND);
        assert_eq!(numbers.of(&memos[0], &1).await, 3, "past the window it is waited for");
    }
}

#[tokio::test]
async fn a_stale_value_takes_the_place_of_an_error_where_it_may() {
    for store in STORES {
        let fleet = Fleet::new(store, 1).await;
        let memo = Memo::<u8, usize>::new(&fleet.caches[0], "n").ttl(10 * SECOND).stale_on_error(60 * SECOND);
        Numbers::default().of(&memo, &1).await;
        fleet.settled().await;
        let fails = || memo.get_or_try_insert_with(&1, |_| async { Err::<usize, _>("down") });
        fleet.hand.advance(30 * SECOND);
        assert_eq!(fails().await.as_deref(), Ok(&1));
        fleet.hand.advance(60 * SECOND);
        assert_eq!(fails().await.unwrap_err(), MemoError::Load("down"));
    }
}

#[tokio::test]
async fn what_is_written_is_read_from_then_on() {
    for store in STORES {
        let fleet = Fleet::new(store, 1).await;
        let memo = Memo::<u8, usize>::new(&fleet.caches[0], "n");
        Numbers::default().of(&memo, &1).await;
        fleet.settled().await;
        memo.insert(&1, 9).await.unwrap();
        assert_eq!(memo.peek(&1).await.as_deref(), Some(&9));
    }
}

#[tokio::test]
async fn while_redis_is_away_values_are_loaded_and_remembered_here() {
    let fleet = Fleet::new(Store::Redis, 1).await;
    fleet.redis.as_ref().unwrap().kill();
    let memo = Memo::<u8, usize>::new(&fleet.caches[0], "n");
    let numbers = Numbers::default();
    assert_eq!(numbers.of(&memo, &1).await, 1);
    assert!(memo.invalidate(&1).await.is_err() && memo.clear().await.is_err(), "an error, and no silence");
    assert!(numbers.calls() <= 2);
}

#[tokio::test]
async fn garbage_is_a_miss() {
    let fleet = Fleet::with(Store::Redis, 1, 0).await;
    let redis = fleet.redis.as_ref().unwrap();
    let memo = Memo::<u8, String>::new(&fleet.caches[0], "n");
    let numbers = Memo::<u8, usize>::new(&fleet.caches[0], "n");
    Numbers::default().of(&numbers, &1).await;
    fleet.settled().await;
    let buttress_tests::Reply::Array(names) = redis.cli(&["KEYS", "*cache:v1:*"]) else { panic!("a list") };
    for name in names {
        let buttress_tests::Reply::Bulk(name) = name else { panic!("a name") };
        if !name.windows(6).any(|part| part == b"{tags}") {
            assert_ne!(redis.cli(&[b"APPEND".as_slice(), &name, b"garbage"]).int(), 0);
        }
    }
    assert_eq!(Numbers::default().of(&numbers, &1).await, 1, "loaded anew");
    assert!(memo.peek(&1).await.is_none());
}

#[tokio::test]
async fn a_value_for_ever_is_kept_for_a_very_long_time() {
    for store in STORES {
        let fleet = Fleet::new(store, 1).await;
        let memo = Memo::<u8, usize>::new(&fleet.caches[0], "n")
            .ttl(Duration::MAX)
            .stale_for(Duration::MAX)
            .stale_on_error(Duration::MAX)
            .jitter(f64::NAN)
            .early_refresh(f64::INFINITY);
        assert_eq!(Numbers::default().of(&memo, &1).await, 1);
        fleet.settled().await;
        fleet.hand.advance(1_000_000 * SECOND);
        assert_eq!(memo.peek(&1).await.as_deref(), Some(&1));
    }
}
