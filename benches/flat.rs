//! Claim: after a million purges of distinct tags, as many of distinct URIs, and as many stored URIs as a minute allows, memory is
//! what it was before, in Redis and in the process, once what was written has expired.
//!
//! Time is not moved: the stamps of purged tags live for a minute, the entries for five seconds, and it waits for Redis to
//! expire them. `BENCH_SECONDS` makes less of it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use buttress::cache::{Cache, CacheLayer, CacheOptions, Purge};
use buttress::redis::Redis;
use buttress_benches::report::{Target, claim};
use buttress_benches::{connected, request};
use buttress_tests::RedisServer;
use buttress_tests::load::resident_bytes;
use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer as _, ServiceExt as _};

/// So many at once.
const TASKS: u64 = 64;
/// What the process may keep of responses; it is full before anything is measured.
const CAPACITY: u64 = 16 << 20;
/// Past the life of a stamp, until Redis has found what has expired.
const PATIENCE: Duration = Duration::from_secs(180);

/// What there is at a moment.
#[derive(Clone, Copy, Debug)]
struct Held {
    keys: i64,
    redis: i64,
    process: i64,
}

/// The most that there was in Redis while something went on.
#[derive(Debug, Default)]
struct Peak {
    keys: AtomicI64,
    redis: AtomicI64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let seconds = std::env::var("BENCH_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let (purges, time) = seconds.map_or((1_000_000, 60), |seconds: u64| (20_000 * seconds, 2 * seconds));
    let server = Arc::new(RedisServer::start());
    let redis = connected(Redis::connect(&server.url()).expect("a valid URL")).await;
    let cache = CacheOptions::new().capacity(CAPACITY).redis(redis);
    let next = Arc::new(AtomicU64::new(0));

    // The ledger of purges and the canary by which a flush is noticed: these stay.
    cache.purge(Purge::host("elsewhere.example").expect("a host")).await.expect("redis is there");
    while Held::now(&server).keys < 2 {
        sleep(Duration::from_millis(5)).await;
    }
    let empty = Held::now(&server);
    // Once around, so that what a process allocates once is there.
    store(&cache, &next, Duration::from_secs(5)).await;
    until_expired(&server, empty.keys).await;
    purge(&cache, 70_000, |number| Purge::tag(number.to_string())).await;
    let before = Held { process: Held::now(&server).process, ..empty };
    println!("before: {before:?}");

    for (what, make) in [("tags", by_tag as fn(u64) -> Purge), ("URIs", by_uri)] {
        let begun = Instant::now();
        let (_, peak) = watched(&server, purge(&cache, purges, make)).await;
        println!("{purges} purges of distinct {what} in {:.0?}, at most {peak:?}", begun.elapsed());
        let (bytes, keys) = peak.beyond(before);
        claim(&format!("bytes in Redis per live stamp, purging {what}"), Target::None, bytes / keys, "bytes");
    }
    let (stored, peak) = watched(&server, store(&cache, &next, Duration::from_secs(time))).await;
    println!("{stored} distinct URIs stored in {time} s, at most {peak:?}");
    until_expired(&server, before.keys).await;
    let after = Held::now(&server);
    println!("after: {after:?}");
    let what = format!("{purges} purges of tags, as many of URIs and {stored} stored");
    claim(&format!("keys left of {what}"), Target::Exactly(0.0), (after.keys - before.keys) as f64, "");
    claim("… MiB in Redis", Target::AtMost(2.0), mib(after.redis - before.redis), "MiB");
    claim("… MiB in the process", Target::AtMost(32.0), mib(after.process - before.process), "MiB");
}

fn by_tag(number: u64) -> Purge {
    Purge::tag(format!("product-{number}"))
}

fn by_uri(number: u64) -> Purge {
    Purge::uri(&format!("http://shop.example/products/{number}").parse().expect("a URI")).expect("it has a host")
}

async fn purge(cache: &Cache, count: u64, make: impl Fn(u64) -> Purge + Copy + Send + 'static) {
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let cache = cache.clone();
            tokio::spawn(async move {
                for number in (task..count).step_by(TASKS as usize) {
                    cache.purge(make(number)).await.expect("redis is there");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no purge fails");
    }
}

/// Stores URIs that nobody has asked for, each with a tag of its own, for as long; how many.
async fn store(cache: &Cache, next: &Arc<AtomicU64>, time: Duration) -> u64 {
    let service = CacheLayer::new(cache.clone()).layer(tower::service_fn(|request: http::Request<_>| {
        let _: &http_body_util::Empty<Bytes> = request.body();
        let tag = request.uri().path().to_owned();
        let fields = Response::builder().header("cache-control", "max-age=5").header("surrogate-key", tag);
        let response = fields.body(Full::new(Bytes::from_static(&[b'x'; 1024]))).expect("a valid response");
        async { Ok::<_, Infallible>(response) }
    }));
    let (first, begun) = (next.load(Ordering::Relaxed), Instant::now());
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (service, next) = (service.clone(), Arc::clone(next));
            tokio::spawn(async move {
                while begun.elapsed() < time {
                    let path = format!("/{}", next.fetch_add(1, Ordering::Relaxed));
                    let response = service.clone().oneshot(request(&path)).await.expect("it never fails");
                    response.into_body().collect().await.expect("the body never fails");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no request fails");
    }
    cache.settled().await;
    next.load(Ordering::Relaxed) - first
}

/// What something comes to, and the most that was in Redis meanwhile.
async fn watched<T>(server: &Arc<RedisServer>, work: impl Future<Output = T>) -> (T, Arc<Peak>) {
    let peak = Arc::new(Peak::default());
    let watch = tokio::spawn({
        let (server, peak) = (Arc::clone(server), Arc::clone(&peak));
        async move {
            loop {
                let held = tokio::task::block_in_place(|| Held::now(&server));
                peak.keys.fetch_max(held.keys, Ordering::Relaxed);
                peak.redis.fetch_max(held.redis, Ordering::Relaxed);
                sleep(Duration::from_millis(500)).await;
            }
        }
    });
    let done = work.await;
    watch.abort();
    (done, peak)
}

/// Waits until Redis has found all that has expired.
async fn until_expired(server: &RedisServer, keys: i64) {
    let gone = async {
        while Held::now(server).keys > keys {
            sleep(Duration::from_millis(500)).await;
        }
        sleep(Duration::from_secs(2)).await; // its tables shrink a little later
    };
    if timeout(PATIENCE, gone).await.is_err() {
        println!("after {PATIENCE:?} there are {} keys still", Held::now(server).keys);
    }
}

// === impl Held ===

impl Held {
    fn now(server: &RedisServer) -> Self {
        let redis = server.info("used_memory").and_then(|bytes| bytes.parse().ok()).expect("a number");
        let process = i64::try_from(resident_bytes()).expect("less than an exbibyte");
        Self { keys: server.cli(&["DBSIZE"]).int(), redis, process }
    }
}

// === impl Peak ===

impl Peak {
    /// Bytes and keys beyond what there was.
    fn beyond(&self, before: Held) -> (f64, f64) {
        let (bytes, keys) = (self.redis.load(Ordering::Relaxed), self.keys.load(Ordering::Relaxed));
        ((bytes - before.redis) as f64, (keys - before.keys).max(1) as f64)
    }
}

fn mib(bytes: i64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
