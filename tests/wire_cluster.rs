//! A cluster in its steady state, while slots migrate, and while masters fail: answers, misses or refusals, never
//! another key's value.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use buttress_redis::{Error, ErrorKind, Mode, Redis, Rejection, Reply, Script};
use buttress_tests::load::turn;
use buttress_tests::{Load, RedisCluster, Sample};
use bytes::Bytes;
use tokio::task::block_in_place;
use tokio::time::sleep;

const KEYS: u64 = 256;
/// One key of so many lies in the slot that migrates.
const MIGRATING: u64 = 2;
const CALLERS: usize = 64;
const ENOUGH: usize = 20_000;
const DEADLINE: Duration = ms(100);
/// What a busy machine adds to a deadline before the task runs again; here it runs six servers as well.
const SLACK: Duration = ms(250);

static ECHO: Script = Script::new("echo", "return {KEYS[1], ARGV[1]}");

/// What a caller received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Right,
    Missing,
    Refused(&'static str),
    Wrong,
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_all_nodes_are_served() {
    let (_turn, cluster) = (turn().await, block_in_place(|| RedisCluster::start(3, 0)));
    let redis = connect(&cluster).await;
    fill(&redis).await;
    for node in cluster.nodes() {
        assert!(node.cli(&["DBSIZE"]).int() > 20, "the keys are spread");
    }
    let keys: Vec<_> = (0..KEYS).map(key).collect();
    let found = redis.get_many(&keys).await.expect("served");
    assert!((0..KEYS).zip(&found).all(|(number, found)| found.as_ref() == Some(&value(number))));
    for number in 0..KEYS {
        assert_eq!(judge(number, redis.get(key(number)).await), Seen::Right);
        assert_eq!(echo(&redis, number).await, Seen::Right);
    }
    assert!(redis.delete(key(7)).await.expect("served"));
    assert_eq!(redis.get(key(7)).await.expect("served"), None);

    let error = redis.run(&ECHO, &["a", "b"], &[]).await.expect_err("two slots");
    assert_eq!(error.kind(), ErrorKind::Rejected(Rejection::Moving), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_migrates_under_load_gives_nobody_a_wrong_value() {
    let (_turn, cluster) = (turn().await, block_in_place(|| RedisCluster::start(3, 0)));
    let redis = connect(&cluster).await;
    fill(&redis).await;
    let slot = cluster.slot(&key(0));
    let right = Arc::new(AtomicUsize::new(0));
    let load = Load::start(CALLERS, ms(1), reads(&redis, &right));

    let (mut from, mut rounds) = (cluster.owner(slot), 0);
    while rounds < 40 && (rounds < 6 || right.load(Ordering::Relaxed) < ENOUGH) {
        let to = (from + 1) % 3;
        block_in_place(|| cluster.begin_migration(slot, from, to));
        // A few keys at a time: clients are sent to one node for some keys and to another for others.
        while block_in_place(|| cluster.migrate_keys(slot, from, to, 16)) > 0 {
            sleep(ms(15)).await;
        }
        block_in_place(|| cluster.finish_migration(slot, to));
        sleep(ms(50)).await;
        (from, rounds) = (to, rounds + 1);
    }
    let seen = tally(&load.end().await);
    let (asked, moved) = (errors(&cluster, "ASK"), errors(&cluster, "MOVED"));
    println!("{rounds} migrations: {seen:?}; {asked} times ASK, {moved} times MOVED");
    assert!(asked > 20 && moved > 0, "clients were sent on: {asked} times ASK, {moved} times MOVED");
    assert_eq!(count(&seen, Seen::Wrong), 0, "{seen:?}");
    assert!(count(&seen, Seen::Right) >= ENOUGH, "{seen:?}");
    all_right_soon(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn masters_that_hang_and_die_are_replaced() {
    let (_turn, cluster) = (turn().await, block_in_place(|| RedisCluster::start(3, 1)));
    let redis = connect(&cluster).await;
    fill(&redis).await;
    block_in_place(|| cluster.await_replicas());

    let right = Arc::new(AtomicUsize::new(0));
    let load = Load::start(CALLERS, ms(2), reads(&redis, &right));
    sleep(ms(300)).await;
    for (fault, node) in [("SIGSTOP", 0), ("kill -9", 1)] {
        let broke = load.now();
        match fault {
            "SIGSTOP" => cluster.nodes()[node].stop(),
            _ => cluster.nodes()[node].kill(),
        }
        let heir = &cluster.nodes()[node + 3];
        let promoted = until(&load, broke, async || heir.info("role").as_deref() == Some("master")).await;
        let back = until(&load, broke, async || serves_all(&redis).await).await;
        println!("{fault}: promoted after {promoted:?}, all keys served after {back:?}");
        assert!(back < ms(10_000), "all keys after {back:?}");
    }
    let samples = load.end().await;
    let (seen, worst) = (tally(&samples), samples.iter().map(|sample| sample.took).max().expect("calls"));
    println!("failovers: {seen:?}; worst call {worst:?}");
    assert_eq!(count(&seen, Seen::Wrong), 0, "{seen:?}");
    assert!(worst <= DEADLINE + SLACK, "a call took {worst:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_that_the_url_names_may_be_the_one_that_fails() {
    let (_turn, cluster) = (turn().await, block_in_place(|| RedisCluster::start(3, 1)));
    let one = format!("redis-cluster://127.0.0.1:{}", cluster.nodes()[0].port());
    let redis = Redis::options().deadline(DEADLINE).connect(&one).expect("a good URL");
    sleep(ms(500)).await;
    fill(&redis).await;
    block_in_place(|| cluster.await_replicas());
    cluster.nodes()[0].kill();
    for _ in 0..100 {
        if serves_all(&redis).await {
            return;
        }
        sleep(ms(100)).await;
    }
    panic!("ten seconds later: {:?}", redis.health());
}

// === The callers ===

fn reads(redis: &Redis, right: &Arc<AtomicUsize>) -> impl Fn(u64) -> Boxed<Seen> + Clone + Send + 'static + use<> {
    let (redis, right) = (redis.clone(), Arc::clone(right));
    move |number| {
        let (redis, right) = (redis.clone(), Arc::clone(&right));
        Box::pin(async move {
            let seen = match number / CALLERS as u64 % 8 {
                0 => echo(&redis, number).await,
                1 => read_pair(&redis, number).await,
                _ => judge(number, redis.get(key(number)).await),
            };
            right.fetch_add(usize::from(seen == Seen::Right), Ordering::Relaxed);
            seen
        })
    }
}

async fn read_pair(redis: &Redis, number: u64) -> Seen {
    let numbers = [number, number + 1];
    match redis.get_many(&numbers.map(key)).await {
        Ok(found) => found.into_iter().zip(numbers).map(|(one, number)| judge(number, Ok(one))).max().expect("two"),
        Err(error) => Seen::Refused(error.as_str()),
    }
}

async fn echo(redis: &Redis, number: u64) -> Seen {
    let expected = Reply::List(vec![Reply::Bytes(key(number).into()), Reply::Bytes(value(number))]);
    match redis.run(&ECHO, &[key(number)], &[value(number)]).await {
        Ok(reply) if reply == expected => Seen::Right,
        Ok(_) => Seen::Wrong,
        Err(error) => Seen::Refused(error.as_str()),
    }
}

fn judge(number: u64, answer: Result<Option<Bytes>, Error>) -> Seen {
    match answer {
        Ok(Some(bytes)) if bytes == value(number) => Seen::Right,
        Ok(Some(_)) => Seen::Wrong,
        Ok(None) => Seen::Missing,
        Err(error) => Seen::Refused(error.as_str()),
    }
}

fn tally(samples: &[Sample<Seen>]) -> BTreeMap<Seen, usize> {
    let mut tally = BTreeMap::new();
    for sample in samples {
        *tally.entry(sample.outcome).or_default() += 1;
    }
    tally
}

fn count(tally: &BTreeMap<Seen, usize>, seen: Seen) -> usize {
    tally.get(&seen).copied().unwrap_or_default()
}

// === Helpers ===

async fn connect(cluster: &RedisCluster) -> Redis {
    let redis = Redis::options().deadline(DEADLINE).connect(&cluster.url()).expect("a good URL");
    for _ in 0..150 {
        if redis.set("k", "v", None, Mode::Always).await.is_ok() {
            return redis;
        }
        sleep(ms(20)).await;
    }
    panic!("not connected within three seconds: {:?}", redis.health());
}

async fn fill(redis: &Redis) {
    for number in 0..KEYS {
        // Its first connection may still be on its way, and the machine busy.
        while redis.set(key(number), value(number), None, Mode::Always).await.is_err() {
            sleep(ms(5)).await;
        }
    }
}

async fn serves_all(redis: &Redis) -> bool {
    for number in 0..KEYS {
        if judge(number, redis.get(key(number)).await) != Seen::Right {
            return false;
        }
    }
    true
}

async fn all_right_soon(redis: &Redis) {
    for _ in 0..100 {
        if serves_all(redis).await {
            return;
        }
        sleep(ms(20)).await;
    }
    panic!("two seconds after the last migration not all keys are served");
}

async fn until(load: &Load<Seen>, since: Duration, mut is_so: impl AsyncFnMut() -> bool) -> Duration {
    while !is_so().await {
        assert!(load.now() - since < ms(20_000), "not within twenty seconds");
        sleep(ms(20)).await;
    }
    load.now() - since
}

fn errors(cluster: &RedisCluster, code: &str) -> u64 {
    let on = |node: &buttress_tests::RedisServer| {
        let count = node.info(&format!("errorstat_{code}"))?;
        count.strip_prefix("count=")?.parse::<u64>().ok()
    };
    cluster.nodes().iter().filter_map(on).sum()
}

/// Half of the keys share the slot that migrates, the rest lie anywhere.
fn key(number: u64) -> String {
    let number = number % KEYS;
    if number.is_multiple_of(MIGRATING) { format!("{{tag}}:{number}") } else { format!("key {number}") }
}

fn value(number: u64) -> Bytes {
    format!("the value of {} and of no other", number % KEYS).into()
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
