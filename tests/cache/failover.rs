//! Nothing that was purged is served again, when a master dies, and while a cluster moves the slot of the ledger.
//!
//! The origin answers with its revision, so that whatever is too old shows.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use buttress::cache::{Cache, CacheBody, CacheLayer, CacheOptions, Purge};
use buttress::redis::Redis;
use buttress_tests::body::{self, Scripted};
use buttress_tests::load::turn;
use buttress_tests::{RedisCluster, RedisSentinel};
use http::{Method, Request, Response};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Body, request, response};

/// How far another process may be behind, and what a busy machine adds.
const BEHIND: Duration = Duration::from_millis(1_500);
const URIS: usize = 20;

struct Process {
    cache: Cache,
    service: BoxCloneSyncService<Request<Body>, Response<CacheBody<Scripted>>, Infallible>,
}

/// Two processes before one origin.
struct Pair {
    revision: Arc<AtomicU64>,
    processes: [Process; 2],
}

// === impl Process ===

impl Process {
    async fn on(url: &str, revision: &Arc<AtomicU64>) -> Self {
        let redis = Redis::connect(url).unwrap();
        while !redis.is_up() {
            sleep(Duration::from_millis(5)).await;
        }
        let (cache, revision) = (CacheOptions::new().redis(redis), Arc::clone(revision));
        let origin = tower::service_fn(move |_: Request<Body>| {
            let revision = revision.load(Ordering::SeqCst).to_string();
            let fields = [("cache-control", "max-age=600"), ("surrogate-key", "a")];
            async move { Ok::<_, Infallible>(response(200, &fields, revision)) }
        });
        Self { service: BoxCloneSyncService::new(CacheLayer::new(cache.clone()).layer(origin)), cache }
    }

    /// The oldest revision among all URIs.
    async fn oldest(&self) -> u64 {
        let mut oldest = u64::MAX;
        for number in 0..URIS {
            let request = request(Method::GET, &format!("http://h/{number}"), &[]);
            let (_, body, _) = body::collect(self.service.clone().oneshot(request).await.unwrap()).await;
            oldest = oldest.min(std::str::from_utf8(&body).unwrap().parse().unwrap());
        }
        oldest
    }
}

// === impl Pair ===

impl Pair {
    async fn on(url: &str) -> Self {
        let revision = Arc::new(AtomicU64::new(1));
        let processes = [Process::on(url, &revision).await, Process::on(url, &revision).await];
        Self { revision, processes }
    }

    /// A new revision, and a purge of the old one; whether Redis has taken it. Then neither process serves the old one.
    async fn purge(&self) -> bool {
        let revision = self.revision.fetch_add(1, Ordering::SeqCst) + 1;
        if self.processes[0].cache.purge(Purge::tag("a")).await.is_err() {
            return false;
        }
        assert!(self.processes[0].oldest().await >= revision, "its own purge, at once");
        let purged = Instant::now();
        while self.processes[1].oldest().await < revision {
            assert!(purged.elapsed() < BEHIND, "another's purge, after {:?}", purged.elapsed());
            sleep(Duration::from_millis(5)).await;
        }
        true
    }

    async fn fill(&self) {
        for process in &self.processes {
            process.oldest().await;
            process.cache.settled().await;
        }
    }

    /// For a while, neither serves anything older.
    async fn watch(&self, revision: u64, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            for process in &self.processes {
                let oldest = process.oldest().await;
                assert!(oldest >= revision, "{oldest} instead of {revision}, after {:?}", begun.elapsed());
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_dies_takes_no_purge_along_that_was_replicated() {
    let (_turn, group) = (turn().await, block_in_place(RedisSentinel::start));
    let pair = Pair::on(&group.url()).await;
    for _ in 0..3 {
        pair.fill().await;
        assert!(pair.purge().await);
    }
    pair.fill().await;
    let revision = pair.revision.fetch_add(1, Ordering::SeqCst) + 1;
    pair.processes[0].cache.purge(Purge::tag("a")).await.unwrap();
    sleep(BEHIND).await; // announced, and replicated
    group.master().kill();
    pair.watch(revision, Duration::from_secs(1)).await;
    for _ in 0..1_000 {
        if group.has_failed_over() {
            break;
        }
        pair.watch(revision, Duration::from_millis(20)).await;
    }
    pair.watch(revision, Duration::from_secs(1)).await;
    for _ in 0..500 {
        if pair.purge().await {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("purges do not work again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_ledger_moves_in_a_cluster_no_purge_is_lost() {
    let (_turn, cluster) = (turn().await, block_in_place(|| RedisCluster::start(3, 0)));
    let pair = Pair::on(&cluster.url()).await;
    let slot = cluster.slot("buttress:cache:v1:{tags}");
    let (mut from, mut done) = (cluster.owner(slot), 0);
    for _ in 0..4 {
        pair.fill().await;
        let to = (from + 1) % 3;
        block_in_place(|| cluster.begin_migration(slot, from, to));
        done += usize::from(pair.purge().await);
        while block_in_place(|| cluster.migrate_keys(slot, from, to, 1)) > 0 {
            done += usize::from(pair.purge().await);
        }
        block_in_place(|| cluster.finish_migration(slot, to));
        for _ in 0..200 {
            if pair.purge().await {
                done += 1;
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        from = to;
    }
    assert!(done >= 4, "{done} purges were taken");
}
