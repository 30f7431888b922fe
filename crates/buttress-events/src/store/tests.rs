//! What every store does, in memory and in Redis alike.

use std::collections::BTreeMap;

use buttress_core::{Clock, ManualClock};
use buttress_redis::Redis;
use buttress_tests::RedisServer;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;
use crate::backing::Backing;
use crate::memory::MemoryStore;
use crate::redis::RedisStore;
use crate::series::SeriesRef;

const MOST: usize = 10;

fn in_memory() -> Backing {
    Backing::Memory(MemoryStore::new(Clock::system(), Keep::default(), MOST, 1 << 20))
}

/// A machine with more to do than cores stands still for longer than a server would.
fn redis_of(server: &RedisServer) -> RedisStore {
    let redis = Redis::connect(&server.url()).unwrap().with_script_deadline(Duration::from_secs(5));
    RedisStore::new(redis, "test".to_owned(), Keep::default(), MOST)
}

fn in_redis(server: &RedisServer) -> Backing {
    Backing::Redis(redis_of(server))
}

/// A store in memory, and one in Redis.
async fn both(check: impl AsyncFn(&Backing)) {
    check(&in_memory()).await;
    let server = RedisServer::start();
    check(&in_redis(&server)).await;
}

fn tally(count: u64, values: &[f64]) -> Tally {
    let mut tally = Tally { count, ..Tally::default() };
    values.iter().for_each(|value| tally.observe(*value));
    tally
}

/// A write of the current minute.
fn write(now: u64, lane: u32, number: u64, what: What) -> Write {
    Write { step: Step::Minute, start: Step::Minute.start(now), lane, number, what }
}

fn name(name: &str, reserved: bool) -> Name {
    let series = Series::new(SeriesRef { name, labels: &[("a", "b")] });
    Name { id: series.id, text: series.text(), reserved }
}

fn done(added: Added) -> bool {
    matches!(added, Added::Done(_))
}

#[tokio::test]
async fn what_is_added_twice_counts_once() {
    both(async |store| {
        let now = store.now().await.unwrap();
        let of =
            |lane, number, count| write(now, lane, number, What::Counts(vec![(Id(1), tally(count, &[0.5, 0.25]))]));
        assert!(done(store.add(&of(0, 1, 1)).await.unwrap()));
        assert!(matches!(store.add(&of(0, 1, 1)).await.unwrap(), Added::Again(_)));
        assert!(done(store.add(&of(1, 1, 10)).await.unwrap()), "another lane");
        assert!(done(store.add(&of(0, 3, 100)).await.unwrap()), "the next batch");
        assert!(matches!(store.add(&of(0, 2, 1000)).await.unwrap(), Added::Again(_)), "an earlier one that was late");
        let found = store.counts(Step::Minute, Step::Minute.start(now)).await.unwrap();
        assert_eq!(found[&Id(1)].count, 111 + 6);
        assert_eq!((found[&Id(1)].sum, found[&Id(1)].buckets.count()), (2.25, 6));
    })
    .await;
}

#[tokio::test]
async fn members_are_ranked_once_and_the_highest_are_kept() {
    both(async |store| {
        let now = store.now().await.unwrap();
        let start = Step::Minute.start(now);
        let first: Vec<_> = (0..600_u64).map(|n| (n.to_string().into(), n + 1)).collect();
        let second: Vec<_> = (300..1200_u64).map(|n| (n.to_string().into(), 1)).collect();
        for members in [&first, &first, &second] {
            let number = if members.len() == 600 { 1 } else { 2 };
            store.add(&write(now, 0, number, What::Members(Id(7), members.clone()))).await.unwrap();
        }
        let found = store.ranking(Step::Minute, start, Id(7)).await.unwrap();
        assert_eq!(found.len(), MOST_RANKED);
        assert_eq!(found[0], ("599".into(), 601), "added up, and once");
        assert_eq!(found.iter().filter(|(_, count)| *count > 1).count(), 599, "only of the lowest some went");
        assert_eq!(store.ranking(Step::Minute, start, Id(8)).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn visitors_are_counted_once_to_within_a_few_percent() {
    both(async |store| {
        let day = Step::Day.start(store.now().await.unwrap());
        for chunk in (0..5000_u64).collect::<Vec<_>>().chunks(1000) {
            let hashes: Vec<_> = chunk.iter().map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
            let write = Write { step: Step::Day, start: day, lane: 0, number: 1, what: What::Visitors(Id(1), hashes) };
            assert!(done(store.add(&write).await.unwrap()));
            assert!(done(store.add(&write).await.unwrap()));
        }
        let found = store.visitors(day, Id(1)).await.unwrap();
        assert!((4750..=5250).contains(&found), "{found}");
        assert_eq!(store.visitors(day, Id(2)).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn nothing_is_added_to_a_step_that_has_not_begun_or_is_forgotten() {
    both(async |store| {
        let now = store.now().await.unwrap();
        let counts = || What::Counts(vec![(Id(1), tally(1, &[]))]);
        for what in [counts(), What::Members(Id(2), vec![("a".into(), 1)]), What::Visitors(Id(3), vec![1])] {
            let future = Write { start: Step::Minute.start(now) + 120_000, ..write(now, 0, 1, what) };
            assert!(matches!(store.add(&future).await.unwrap(), Added::Future(_)), "{future:?}");
        }
        let old = Write { start: Step::Minute.start(now) - 9 * 3_600_000, ..write(now, 0, 1, counts()) };
        assert!(done(store.add(&old).await.unwrap()));
        assert!(store.counts(Step::Minute, old.start).await.unwrap().is_empty());
        assert!(store.counts(Step::Minute, Step::Minute.start(now) + 120_000).await.unwrap().is_empty());
    })
    .await;
}

/// A server's clock is put back at times, and the one that replaces it may be behind: what has arrived must not be added to an earlier step as well.
#[tokio::test]
async fn what_was_added_is_known_when_the_clock_was_put_back() {
    let hand = ManualClock::at(std::time::UNIX_EPOCH + Duration::from_secs(1_000_000 * 60));
    let store = Backing::Memory(MemoryStore::new(hand.clock(), Keep::default(), MOST, 1 << 20));
    let now = store.now().await.unwrap();
    let writes = [What::Counts(vec![(Id(1), tally(1, &[]))]), What::Members(Id(2), vec![("a".into(), 1)])];
    let writes = writes.map(|what| write(now, 3, 7, what));
    for write in &writes {
        assert!(done(store.add(write).await.unwrap()));
    }
    hand.set(hand.clock().now() - Duration::from_secs(90));
    for write in &writes {
        assert!(matches!(store.add(write).await.unwrap(), Added::Again(_)), "{write:?}");
    }
    // The clock of a Redis cannot be put back here; but a step that has not begun can be made to have the batch.
    let server = RedisServer::start();
    let store = redis_of(&server);
    let now = Store::now(&store).await.unwrap();
    for mut write in writes {
        write.start = Step::Minute.start(now) + 120_000;
        let key = match &write.what {
            What::Members(ranking, _) => crate::key::ranking("test", Step::Minute, write.start, *ranking)[1].clone(),
            _ => crate::key::counts("test", Step::Minute, write.start),
        };
        assert_eq!(server.cli(&["HSET", &key, &format!("~{}.3", store.instance()), "7"]).int(), 1);
        assert!(matches!(store.add(&write).await.unwrap(), Added::Again(_)), "{write:?}");
        write.number += 1;
        assert!(matches!(store.add(&write).await.unwrap(), Added::Future(_)), "{write:?}");
    }
}

#[tokio::test]
async fn names_are_capped_but_for_those_that_are_reserved() {
    both(async |store| {
        let day = Step::Day.start(store.now().await.unwrap());
        let names: Vec<_> = (0..MOST + 3).map(|n| name(&n.to_string(), false)).collect();
        let refused = store.enroll(day, &names).await.unwrap();
        assert_eq!(refused, names[MOST..].iter().map(|name| name.id).collect::<Vec<_>>());
        assert_eq!(store.enroll(day, &names[..MOST]).await.unwrap(), [], "those that are known stay");
        assert_eq!(store.enroll(day, &[name("more", true)]).await.unwrap(), []);
        let mut found: Vec<_> = store.names(day).await.unwrap().into_iter().map(|series| series.id).collect();
        let mut expected: Vec<_> = names[..MOST].iter().map(|name| name.id).chain([name("more", true).id]).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(store.names(day - Step::Day.millis()).await.unwrap(), [], "of another day");
    })
    .await;
}

#[tokio::test]
async fn the_first_salt_is_everybodys() {
    both(async |store| {
        let day = Step::Day.start(store.now().await.unwrap());
        assert_eq!(store.salt(day, [1; 32]).await.unwrap(), [1; 32]);
        assert_eq!(store.salt(day, [2; 32]).await.unwrap(), [1; 32]);
        assert_eq!(store.salt(day + Step::Day.millis(), [3; 32]).await.unwrap(), [3; 32]);
        // Of a day that is over for so long nobody keeps one; its visitors are brought all the same.
        assert_eq!(store.salt(day - 3 * Step::Day.millis(), [4; 32]).await.unwrap(), [4; 32]);
    })
    .await;
}

/// Random writes, some sent twice and some late, to both: they always agree, and with what was meant.
#[tokio::test]
async fn both_agree_on_whatever_comes() {
    let server = RedisServer::start();
    let stores = [in_memory(), in_redis(&server)];
    let now = stores[1].now().await.unwrap();
    let start = Step::Minute.start(now) - Step::Minute.millis();
    let value = prop_oneof![Just(0.0), 1e-9..1e9_f64];
    let one = (0..4_u32, 1..30_u64, 0..6_u64, 1..1_000_000_u64, prop::collection::vec(value, 0..20), 1..3_usize);
    let all = prop::collection::vec(one, 300).new_tree(&mut TestRunner::deterministic()).unwrap().current();
    let (mut last, mut meant) = (HashMap::new(), BTreeMap::<Id, Tally>::new());
    for (lane, number, id, count, values, times) in all {
        let tally = tally(count, &values);
        let what = What::Counts(vec![(Id(id), tally.clone())]);
        let write = Write { start, ..write(now, lane, number, what) };
        let seen = last.entry(lane).or_insert(0);
        if *seen < number {
            *seen = number;
            meant.entry(Id(id)).or_default().merge(&tally);
        }
        for _ in 0..times {
            let [one, other] = [stores[0].add(&write).await.unwrap(), stores[1].add(&write).await.unwrap()];
            assert_eq!(done(one), done(other), "{write:?}");
        }
    }
    for store in stores {
        let found: BTreeMap<_, _> = store.counts(Step::Minute, start).await.unwrap().into_iter().collect();
        assert_eq!(found.keys().collect::<Vec<_>>(), meant.keys().collect::<Vec<_>>());
        for (id, tally) in &found {
            assert_eq!((tally.count, &tally.buckets), (meant[id].count, &meant[id].buckets));
            assert!((tally.sum - meant[id].sum).abs() <= 1e-9 * meant[id].sum, "{} {}", tally.sum, meant[id].sum);
        }
    }
}

#[tokio::test]
async fn what_is_no_count_is_replaced_and_counted() {
    let server = RedisServer::start();
    let store = in_redis(&server);
    let now = store.now().await.unwrap();
    let start = Step::Minute.start(now);
    let key = crate::key::counts("test", Step::Minute, start);
    let text = Id(1).text();
    let garbage = ["HSET", &key, &text, "garbage", "k", &crate::key::mark(&key), "other", "\u{1}"];
    assert_eq!(server.cli(&garbage).int(), 3);
    assert!(store.counts(Step::Minute, start).await.unwrap().is_empty());
    let counts = What::Counts(vec![(Id(1), tally(3, &[]))]);
    assert!(done(store.add(&write(now, 0, 1, counts.clone())).await.unwrap()));
    assert_eq!(store.counts(Step::Minute, start).await.unwrap()[&Id(1)].count, 3);
    assert_eq!(server.cli(&["DEL", &key]).int(), 1);
    assert_eq!(server.cli(&["SET", &key, "a string"]).text(), "OK");
    assert!(matches!(store.add(&write(now, 0, 2, counts)).await.unwrap(), Added::Other(_)));
    assert!(store.counts(Step::Minute, start).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_key_has_its_end() {
    let server = RedisServer::start();
    let store = in_redis(&server);
    let now = store.now().await.unwrap();
    let day = Step::Day.start(now);
    store.salt(day, [1; 32]).await.unwrap();
    store.enroll(day, &[name("a", false)]).await.unwrap();
    for step in [Step::Minute, Step::Hour, Step::Day] {
        for (lane, what) in
            (0..).zip([What::Counts(vec![(Id(1), tally(1, &[]))]), What::Members(Id(2), vec![("a".into(), 1)])])
        {
            store.add(&Write { step, start: step.start(now), lane, number: 1, what }).await.unwrap();
        }
    }
    store
        .add(&Write { step: Step::Day, start: day, lane: 9, number: 1, what: What::Visitors(Id(1), vec![1]) })
        .await
        .unwrap();
    let keys = server.cli(&["KEYS", "test:events:v1:*"]);
    assert_eq!(keys.array().len(), 2 + 3 + 2 * 3 + 1);
    for key in keys.array() {
        let lives = server.cli(&["PTTL", &key.text()]).int();
        assert!(lives > 0, "{} lives for ever", key.text());
    }
    let minute = crate::key::counts("test", Step::Minute, Step::Minute.start(now));
    let lives = server.cli(&["PTTL", &minute]).int();
    assert!((8 * 3_600_000..=8 * 3_600_000 + 60_000).contains(&lives), "{lives}");
}

#[tokio::test]
async fn a_store_in_memory_takes_no_more_than_its_capacity() {
    let store = MemoryStore::new(Clock::system(), Keep::default(), MOST, 100_000);
    let now = store.now().await.unwrap();
    for ago in (0..400).rev() {
        let start = Step::Minute.start(now) - ago * Step::Minute.millis();
        let counts = (0..20).map(|n| (Id(n), tally(1, &[0.1, 1.0, 10.0]))).collect();
        let members = (0..100).map(|n: u32| (n.to_string().into(), 1)).collect();
        for (lane, what) in (0..).zip([What::Counts(counts), What::Members(Id(1), members)]) {
            store.add(&Write { step: Step::Minute, start, lane, number: ago + 1, what }).await.unwrap();
        }
    }
    assert!(store.weight() <= 100_000, "{}", store.weight());
    let latest = store.counts(Step::Minute, Step::Minute.start(now)).await.unwrap();
    assert_eq!(latest.len(), 20, "the latest is there");
    assert!(store.counts(Step::Minute, Step::Minute.start(now) - 399 * 60_000).await.unwrap().is_empty());
}
