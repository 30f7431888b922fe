//! What one process purges or changes is out of the other processes' memory: at once while they hear of it, and within a
//! bound while they do not. By the real clock, since it is real time that is promised.

use std::convert::Infallible;
use std::time::Duration;

use buttress::cache::{Cache, CacheBody, CacheLayer, CacheOptions, Purge};
use buttress::redis::Redis;
use buttress_tests::body::{self, Scripted};
use buttress_tests::{Calls, CuttingProxy, RedisServer, counting};
use http::{Method, Request, Response};
use tokio::time::{Instant, sleep};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Body, patient, request, response};

/// How far a process may be behind.
const BOUND: Duration = Duration::from_millis(1_000);
/// For a machine that does something else as well.
const GRACE: Duration = Duration::from_millis(1_500);

struct Process {
    cache: Cache,
    service: BoxCloneSyncService<Request<Body>, Response<CacheBody<Scripted>>, Infallible>,
    calls: Calls,
}

// === impl Process ===

impl Process {
    async fn on(redis: Redis) -> Self {
        let cache = CacheOptions::new().local_max_stale(BOUND).redis(redis);
        let (origin, calls) = counting(|request: Request<Body>| async move {
            let answer = match *request.method() {
                Method::GET => response(200, &[("cache-control", "max-age=600"), ("surrogate-key", "a")], "body"),
                _ => response(204, &[], ""),
            };
            Ok::<_, Infallible>(answer)
        });
        let service = BoxCloneSyncService::new(CacheLayer::new(cache.clone()).layer(origin));
        Self { cache, service, calls }
    }

    async fn send(&self, method: Method) -> bool {
        let response = self.service.clone().oneshot(request(method, "http://h/x", &[])).await.unwrap();
        let (parts, ..) = body::collect(response).await;
        self.cache.settled().await;
        parts.headers["cache-status"].to_str().unwrap().contains("; hit")
    }

    async fn hits(&self) -> bool {
        self.send(Method::GET).await
    }

    /// Waits until it answers from its own memory: Redis is asked for nothing any more.
    async fn is_warm(&self, server: &RedisServer) {
        self.hits().await;
        for _ in 0..500 {
            let before = commands(server, "get");
            assert!(self.hits().await && self.hits().await);
            if commands(server, "get") == before {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("it goes on asking Redis");
    }
}

/// How often a command was carried out.
fn commands(server: &RedisServer, name: &str) -> u64 {
    let line = server.info(&format!("cmdstat_{name}")).unwrap_or_default();
    line.split(',').find_map(|part| part.strip_prefix("calls=")?.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hits_in_process_cost_no_round_trip_while_changes_are_announced() {
    let server = RedisServer::start();
    let process = Process::on(patient(&server).await).await;
    process.is_warm(&server).await;
    sleep(BOUND * 2).await; // longer than it would believe itself alone
    let before = commands(&server, "get");
    for _ in 0..100 {
        assert!(process.hits().await);
    }
    // The canary is looked after now and then.
    assert!(commands(&server, "get") - before <= 2, "{}", commands(&server, "get") - before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_in_one_process_reaches_the_memory_of_the_other() {
    let server = RedisServer::start();
    let (one, other) = (Process::on(patient(&server).await).await, Process::on(patient(&server).await).await);
    let purges: [fn() -> Purge; 4] = [
        || Purge::tag("a"),
        || Purge::uri(&"http://h/x".parse().unwrap()).unwrap(),
        || Purge::host("h").unwrap(),
        Purge::everything,
    ];
    for purge in purges {
        one.is_warm(&server).await;
        other.is_warm(&server).await;
        let calls = other.calls.get();
        one.cache.purge(purge()).await.unwrap();
        let purged = Instant::now();
        while other.hits().await {
            assert!(purged.elapsed() < GRACE, "still served after {:?}", purged.elapsed());
        }
        assert_eq!(other.calls.get(), calls + 1);
    }
    one.is_warm(&server).await;
    other.is_warm(&server).await;
    one.send(Method::POST).await;
    let changed = Instant::now();
    while other.hits().await {
        assert!(changed.elapsed() < GRACE, "still served {:?} after the change", changed.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_announcements_do_not_arrive_the_bound_holds() {
    let server = RedisServer::start();
    let proxy = CuttingProxy::start(server.addr()).await;
    let one = Process::on(patient(&server).await).await;
    let far = Redis::connect(&proxy.url()).unwrap();
    while !far.is_up() {
        sleep(Duration::from_millis(5)).await;
    }
    let other = Process::on(far).await;
    for cut in [CuttingProxy::swallow_existing, CuttingProxy::freeze_existing] {
        one.is_warm(&server).await;
        other.is_warm(&server).await;
        cut(&proxy);
        one.cache.purge(Purge::tag("a")).await.unwrap();
        let purged = Instant::now();
        while other.hits().await {
            assert!(purged.elapsed() < BOUND + GRACE, "still served after {:?}", purged.elapsed());
            sleep(Duration::from_millis(5)).await;
        }
        // What it has now is not what was purged, however often it loses the connection.
        for _ in 0..50 {
            other.hits().await;
            sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_flush_nothing_is_served_that_was_there_before() {
    let server = RedisServer::start();
    let (one, other) = (Process::on(patient(&server).await).await, Process::on(patient(&server).await).await);
    one.is_warm(&server).await;
    other.is_warm(&server).await;
    assert_eq!(server.cli(&["FLUSHALL"]).text(), "OK");
    let flushed = Instant::now();
    let (ones, others) = (one.calls.get(), other.calls.get());
    while one.calls.get() + other.calls.get() == ones + others {
        one.hits().await;
        other.hits().await;
        assert!(flushed.elapsed() < BOUND + GRACE, "still served after {:?}", flushed.elapsed());
    }
    one.is_warm(&server).await;
    other.is_warm(&server).await;
    one.cache.purge(Purge::tag("a")).await.unwrap();
    let purged = Instant::now();
    while other.hits().await {
        assert!(purged.elapsed() < BOUND + GRACE, "purges work as before");
    }
}
