//! What a fault of Redis costs its callers: one deadline at most, then a refusal at once, and soon after it heals nothing.
//!
//! Bounds have room for a loaded machine of two cores; the measured values are printed (`--nocapture`). One fault at a
//! time: each test waits for its turn.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use buttress_redis::{Error, ErrorKind, Mode, Redis, Script};
use buttress_tests::load::{percentile, resident_bytes, turn};
use buttress_tests::{CuttingProxy, Load, RedisServer, Sample};
use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

/// The default.
const DEADLINE: Duration = ms(50);
/// What a busy machine adds to a deadline before the task runs again.
const SLACK: Duration = ms(150);
/// The promise for a refusal; held by 99 of 100, since the machine may pause any task.
const AT_ONCE: Duration = ms(5);
/// From the fault until nobody waits for it any more.
const NOTICED: Duration = ms(400);
/// Twice the promise of 500 ms.
const RECOVERY: Duration = ms(1_000);
const CALLERS: usize = 64;
/// Callers with large values, which a busy machine moves more slowly.
const FEW: usize = 16;
const MIB: usize = 1 << 20;

static COUNT: Script = Script::new("count", "return redis.call('INCR', KEYS[1])");

type Answer = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// What callers saw before, during and after a fault.
struct Ordeal {
    samples: Vec<Sample<Result<(), Error>>>,
    broke: Duration,
    healed: Duration,
    grown: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_costs_one_deadline() {
    let (_turn, server) = (turn().await, RedisServer::start());
    let redis = connect(&server.url());
    let ordeal = Ordeal::of(CALLERS, mixed(&redis), ms(1_200), async || server.kill(), async || server.restart()).await;
    ordeal.check("kill -9", DEADLINE, 16 * MIB);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_server_costs_one_deadline() {
    let (_turn, server) = (turn().await, RedisServer::start());
    let redis = connect(&server.url());
    let ordeal = Ordeal::of(CALLERS, mixed(&redis), ms(1_500), async || server.stop(), async || server.cont()).await;
    ordeal.check("SIGSTOP", DEADLINE, 16 * MIB);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_server_does_not_pile_up_large_values() {
    let (_turn, server) = (turn().await, RedisServer::start());
    let redis = connect(&server.url());
    let ordeal = Ordeal::of(FEW, large(&redis), ms(1_500), async || server.stop(), async || server.cont()).await;
    // Each caller holds a value and sends a copy; the queue's bytes are bounded by 32 MiB.
    ordeal.check("SIGSTOP, SET 100 kB", DEADLINE, 64 * MIB);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_is_left_for_a_new_connection() {
    let (_turn, server) = (turn().await, RedisServer::start());
    let proxy = CuttingProxy::start(server.addr()).await;
    let redis = connect(&proxy.url());
    // It never heals: only a new connection helps, so recovery counts from the fault.
    let ordeal = Ordeal::of(CALLERS, mixed(&redis), ms(0), async || proxy.swallow_existing(), async || ()).await;
    ordeal.check("black hole", DEADLINE, 16 * MIB);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_with_full_buffers_is_left_as_well() {
    let (_turn, server) = (turn().await, RedisServer::start());
    let proxy = CuttingProxy::start(server.addr()).await;
    let redis = connect(&proxy.url());
    let ordeal = Ordeal::of(FEW, large(&redis), ms(0), async || proxy.freeze_existing(), async || ()).await;
    ordeal.check("black hole, SET 100 kB", DEADLINE, 64 * MIB);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_at_the_start_is_found_when_it_comes() {
    let (_turn, server) = (turn().await, RedisServer::start());
    server.kill();
    let began = Instant::now();
    let redis = connect(&server.url());
    assert!(began.elapsed() < ms(50), "connecting waits for nobody");
    let ordeal = Ordeal::of(CALLERS, mixed(&redis), ms(1_000), async || (), async || server.restart()).await;
    ordeal.check("away at the start", DEADLINE, 16 * MIB);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_says_so_and_the_command_is_not_sent_again() {
    let (_turn, server) = (turn().await, RedisServer::start());
    let proxy = CuttingProxy::start(server.addr()).await;
    let redis = connect(&proxy.url());
    served(async || redis.run(&COUNT, &["warm"], &[]).await).await;

    proxy.cut_after("EVALSHA");
    let error = redis.run(&COUNT, &["counted"], &[]).await.expect_err("the reply is lost");
    assert!(error.kind().may_have_happened(), "{error}");
    sleep(ms(500)).await;
    assert_eq!((proxy.cuts(), server.cli(&["GET", "counted"]).text()), (1, "1".to_owned()));
    let again = served(async || redis.run(&COUNT, &["other"], &[]).await).await;
    assert_eq!(again.as_int(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_line_times_out_without_being_given_up() {
    let (_turn, server) = (turn().await, RedisServer::start());
    let proxy = CuttingProxy::start(server.addr()).await;
    let redis = connect(&proxy.url());
    served(async || redis.set("k", "v", None, Mode::Always).await).await;
    let lines = proxy.lines();

    proxy.delay(DEADLINE + ms(30)); // beyond a command's deadline, within a probe's
    let began = Instant::now();
    let error = redis.get("k").await.expect_err("too slow");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(began.elapsed() < DEADLINE + SLACK, "{:?}", began.elapsed());
    proxy.delay(Duration::ZERO);
    let value = served(async || redis.get("k").await).await;
    assert_eq!((value.as_deref(), proxy.lines()), (Some(&b"v"[..]), lines), "the connection is the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_last_handle_closes_the_sockets() {
    let (_turn, server) = (turn().await, RedisServer::start());
    let clients =
        || server.cli(&["CLIENT", "LIST"]).text().lines().filter(|line| line.contains("name=buttress")).count();
    let redis = connect(&server.url());
    let other = redis.clone();
    served(async || redis.set("k", "v", None, Mode::Always).await).await;
    served(async || redis.bodies().set("k", "v", None, Mode::Always).await).await;
    drop(redis);
    served(async || other.get("k").await).await;
    assert!(clients() >= 2, "data and bodies");
    drop(other);
    let closed = timeout(ms(2_000), async {
        while clients() > 0 {
            sleep(ms(10)).await;
        }
    });
    assert!(closed.await.is_ok(), "{}", server.cli(&["CLIENT", "LIST"]).text());
}

// === impl Ordeal ===

impl Ordeal {
    /// Lets callers work, breaks something for a while, heals it, and looks on for another second.
    async fn of<F, Call>(
        callers: usize,
        call: F,
        outage: Duration,
        hurt: impl AsyncFnOnce(),
        heal: impl AsyncFnOnce(),
    ) -> Self
    where
        F: Fn(u64) -> Call + Clone + Send + 'static,
        Call: Future<Output = Result<(), Error>> + Send,
    {
        let load = Load::start(callers, ms(2), call);
        sleep(ms(300)).await;
        let (before, broke) = (resident_bytes(), load.now());
        hurt().await;
        sleep(outage).await;
        let mut held = resident_bytes();
        heal().await;
        let healed = load.now();
        for _ in 0..10 {
            held = held.max(resident_bytes());
            sleep(ms(100)).await;
        }
        Self { samples: load.end().await, broke, healed, grown: held.saturating_sub(before) }
    }

    fn check(&self, fault: &str, deadline: Duration, memory: usize) {
        let (worst, refused, recovery) = (self.worst(), self.refusals(), self.recovery());
        let p50 = percentile(refused.clone(), 50);
        let p99 = percentile(refused.clone(), 99);
        println!(
            "{fault}: worst call {worst:?}; {} refusals, p50 {p50:?}, p99 {p99:?}; back after {recovery:?}; \
             memory +{} KiB; {:?}",
            refused.len(),
            self.grown / 1024,
            self.kinds()
        );
        assert!(worst <= deadline + SLACK, "a call took {worst:?}");
        if self.healed - self.broke > NOTICED * 2 {
            assert!(refused.len() > 1_000, "callers are refused at once while it lasts: {}", refused.len());
            assert!(p99 <= AT_ONCE, "99 of 100 refusals take {p99:?}");
            assert_eq!(self.slow_once_noticed(), 0, "nobody waits once the fault is noticed");
        }
        assert!(recovery <= RECOVERY, "back after {recovery:?}");
        assert!(self.share_of_good_at_the_end() > 0.8, "{:?}", self.kinds());
        assert!(self.grown <= memory, "memory grew by {} KiB", self.grown / 1024);
    }

    fn worst(&self) -> Duration {
        self.samples.iter().map(|sample| sample.took).max().expect("there were calls")
    }

    fn during(&self) -> impl Iterator<Item = &Sample<Result<(), Error>>> {
        self.samples.iter().filter(|sample| sample.at > self.broke + NOTICED && sample.ended() < self.healed)
    }

    fn refusals(&self) -> Vec<Duration> {
        let refused = |error: &Error| error.kind() == ErrorKind::Unavailable;
        self.during().filter(|sample| sample.outcome.as_ref().is_err_and(refused)).map(|sample| sample.took).collect()
    }

    /// Calls that were sent, or waited, although the fault was known. Served ones never occur while it lasts.
    fn slow_once_noticed(&self) -> usize {
        let sent = |error: &Error| error.kind() != ErrorKind::Unavailable;
        self.during().filter(|sample| sample.outcome.as_ref().err().is_none_or(sent)).count()
    }

    /// From the healing to the end of the first call that succeeded and had begun after the fault.
    fn recovery(&self) -> Duration {
        // Right after the fault, replies that were on their way may still arrive.
        let failing = self.samples.iter().filter(|sample| sample.ended() > self.broke && sample.outcome.is_err());
        let first_failure = failing.map(Sample::ended).min().unwrap_or(self.broke);
        let good = self.samples.iter().filter(|sample| sample.outcome.is_ok() && sample.at >= first_failure);
        good.map(Sample::ended).min().expect("it came back").saturating_sub(self.healed)
    }

    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    fn share_of_good_at_the_end(&self) -> f64 {
        let end = self.samples.last().expect("there were calls").at;
        let last: Vec<_> = self.samples.iter().filter(|sample| sample.at + ms(300) > end).collect();
        last.iter().filter(|sample| sample.outcome.is_ok()).count() as f64 / last.len() as f64
    }

    fn kinds(&self) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for sample in &self.samples {
            *kinds.entry(sample.outcome.as_ref().map_or_else(Error::as_str, |()| "ok")).or_default() += 1;
        }
        kinds
    }
}

// === Helpers ===

/// Reads, writes, counts and reads of many, in turn.
fn mixed(redis: &Redis) -> impl Fn(u64) -> Answer + Clone + use<> {
    let redis = redis.clone();
    move |number| {
        let redis = redis.clone();
        Box::pin(async move {
            let key = format!("k{}", number % 1_000);
            match number / CALLERS as u64 % 4 {
                0 => redis.set(&key, "value", Some(ms(60_000)), Mode::Always).await.map(drop),
                1 => redis.get(&key).await.map(drop),
                2 => redis.run(&COUNT, &["{c}ounter"], &[]).await.map(drop),
                _ => redis.get_many(&[key.as_str(), "other"]).await.map(drop),
            }
        })
    }
}

/// Writes of 100 kB on the connection for small values, which is where they hurt most.
fn large(redis: &Redis) -> impl Fn(u64) -> Answer + Clone + use<> {
    let (redis, value) = (redis.clone(), Bytes::from(vec![b'x'; 100_000]));
    move |number| {
        let (redis, value) = (redis.clone(), value.clone());
        Box::pin(async move { redis.set(format!("k{}", number % 64), &value, None, Mode::Always).await.map(drop) })
    }
}

/// The answer of a healthy server, which may be busy.
async fn served<T>(call: impl AsyncFn() -> Result<T, Error>) -> T {
    for _ in 0..100 {
        if let Ok(answer) = call().await {
            return answer;
        }
        sleep(ms(20)).await;
    }
    panic!("not served within two seconds");
}

fn connect(url: &str) -> Redis {
    Redis::options().deadline(DEADLINE).connect(url).expect("the URL is good")
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
