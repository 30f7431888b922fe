//! The wire follows a failover that a sentinel decides on, of a dead master and of a hung one, and no acknowledged write
//! goes to a master that is one no more.

use std::time::Duration;

use buttress_redis::{Error, ErrorKind, Mode, Redis};
use buttress_tests::load::{percentile, resident_bytes, turn};
use buttress_tests::{Load, RedisSentinel, RedisServer, Sample};
use tokio::task::block_in_place;
use tokio::time::sleep;

const DEADLINE: Duration = ms(50);
/// What a busy machine adds to a deadline before the task runs again.
const SLACK: Duration = ms(150);
/// From the fault until nobody waits for it any more.
const NOTICED: Duration = ms(400);
/// Twice the promise of 5 s; the sentinel alone waits for one second.
const FAILOVER: Duration = ms(10_000);
const CALLERS: usize = 32;

type Write = Sample<Result<u64, Error>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_master_is_followed_by_its_replica() {
    let (_turn, group) = (turn().await, block_in_place(RedisSentinel::start));
    fail_over(&group, "kill -9", RedisServer::kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_master_is_left_and_gets_no_write_when_it_wakes() {
    let (_turn, group) = (turn().await, block_in_place(RedisSentinel::start));
    fail_over(&group, "SIGSTOP", RedisServer::stop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_whose_sentinel_is_away_is_unavailable_until_it_comes() {
    let (_turn, group) = (turn().await, block_in_place(RedisSentinel::start));
    group.sentinel().stop();
    let redis = connect(&group);
    for _ in 0..3 {
        assert_eq!(redis.get("k").await.expect_err("no sentinel, no master").kind(), ErrorKind::Unavailable);
    }
    group.sentinel().cont();
    until_written(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_that_knows_no_such_group_is_told_apart_from_silence() {
    let (_turn, group) = (turn().await, block_in_place(RedisSentinel::start));
    let redis = Redis::connect(&group.url().replace("main", "other")).expect("a good URL");
    sleep(ms(300)).await;
    let error = redis.get("k").await.expect_err("no such group");
    assert!(!error.kind().may_have_happened(), "{error}");
}

/// Callers write all the while. The master fails, the replica takes over, the master comes back to find itself replaced.
async fn fail_over(group: &RedisSentinel, fault: &str, hurt: impl FnOnce(&RedisServer)) {
    let redis = connect(group);
    until_written(&redis).await;
    let load = Load::start(CALLERS, ms(2), {
        let redis = redis.clone();
        move |number| {
            let redis = redis.clone();
            async move { redis.set(key(number), "v", None, Mode::Always).await.map(|_| number) }
        }
    });
    sleep(ms(300)).await;
    let (broke, before) = (load.now(), resident_bytes());
    hurt(group.master());
    let promoted = until(|| group.has_failed_over(), &load).await - broke;
    let back = until(|| redis.is_up(), &load).await;
    let grown = resident_bytes().saturating_sub(before);
    if group.master().pid().is_some() {
        group.master().cont();
    }
    sleep(ms(1_500)).await;
    let writes = load.end().await;
    check(&writes, broke, back);

    let first = writes
        .iter()
        .filter(|write| write.at > broke && write.outcome.is_ok())
        .map(Sample::ended)
        .find(|end| *end > broke + NOTICED);
    let failover = first.expect("it came back") - broke;
    println!("{fault}: promoted after {promoted:?}, writes after {failover:?}, memory +{} KiB", grown / 1024);
    assert!(failover < FAILOVER, "writes again after {failover:?}");
    assert!(grown < 16 << 20, "memory grew by {} KiB", grown / 1024);

    // Whatever was acknowledged since is where it belongs.
    let acked: Vec<_> = writes
        .iter()
        .filter(|write| write.at > broke + failover)
        .filter_map(|write| write.outcome.as_ref().ok())
        .collect();
    assert!(acked.len() > 500, "{} writes after the failover", acked.len());
    assert_eq!(missing(group.replica(), &acked), 0, "of {} acknowledged writes", acked.len());
}

fn check(writes: &[Write], broke: Duration, back: Duration) {
    let worst = writes.iter().map(|write| write.took).max().expect("there were calls");
    let during = writes.iter().filter(|write| write.at > broke + NOTICED && write.ended() < back);
    let refused: Vec<_> = during.filter(|write| write.outcome.is_err()).map(|write| write.took).collect();
    let p99 = percentile(refused.clone(), 99);
    println!("worst call {worst:?}; {} refusals, p99 {p99:?}", refused.len());
    assert!(worst <= DEADLINE + SLACK, "a call took {worst:?}");
    assert!(refused.len() > 500 && p99 <= ms(5), "{} refusals, 99 of 100 within {p99:?}", refused.len());
}

fn missing(server: &RedisServer, acked: &[&u64]) -> usize {
    let mut line = server.line().expect("the new master is up");
    let present: i64 = acked
        .chunks(500)
        .map(|some| {
            let command: Vec<_> =
                std::iter::once("EXISTS".to_owned()).chain(some.iter().map(|number| key(**number))).collect();
            line.ask(&command).expect("answered").int()
        })
        .sum();
    acked.len() - usize::try_from(present).expect("a count")
}

async fn until(is_so: impl Fn() -> bool, load: &Load<Result<u64, Error>>) -> Duration {
    for _ in 0..1_000 {
        if is_so() {
            return load.now();
        }
        sleep(ms(20)).await;
    }
    panic!("not within twenty seconds");
}

async fn until_written(redis: &Redis) {
    for _ in 0..250 {
        if redis.set("k", "v", None, Mode::Always).await.is_ok() {
            return;
        }
        sleep(ms(20)).await;
    }
    panic!("no write within five seconds: {:?}", redis.health());
}

fn connect(group: &RedisSentinel) -> Redis {
    Redis::options().deadline(DEADLINE).connect(&group.url()).expect("a good URL")
}

fn key(number: u64) -> String {
    format!("write {number}")
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
