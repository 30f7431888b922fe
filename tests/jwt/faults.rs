//! Redis suffers, and no revoked token is taken for good later than the bound after `revoke` has returned. What it holds is not lost here.

use std::time::Duration;

use buttress::jwt::{Revocations, Standing};
use buttress::redis::Redis;
use buttress_tests::{Counters, CuttingProxy, RedisServer};

use crate::bed::{shared, token, until};
use crate::hammer::Hammer;

/// Two processes under the hammer, each of which has revoked something.
pub(crate) struct Ordeal {
    pub(crate) one: Revocations,
    pub(crate) other: Revocations,
    pub(crate) hammer: Hammer,
}

// === impl Ordeal ===

impl Ordeal {
    pub(crate) async fn begin(one: Revocations, other: Revocations) -> Self {
        one.ready().await;
        other.ready().await;
        let hammer = Hammer::start(&[&one, &other]);
        assert!(hammer.revoke(&one, "before-1").await && hammer.revoke(&other, "before-2").await);
        hammer.until_known(&one).await;
        hammer.until_known(&other).await;
        Self { one, other, hammer }
    }

    /// What is revoked while it lasts, and what of that is due when it does.
    pub(crate) async fn endure(&self) {
        self.hammer.revoke(&self.one, "during-1").await;
        self.hammer.revoke(&self.other, "during-2").await;
        self.hammer.go_on().await;
    }

    /// All is well again within ten seconds, and whoever comes then knows all.
    pub(crate) async fn end(self, newcomer: impl FnOnce() -> Revocations) {
        let Self { one, other, hammer } = self;
        until("one is ready", async || one.is_ready()).await;
        until("the other is ready", async || other.is_ready()).await;
        hammer.until_known(&one).await;
        hammer.until_known(&other).await;
        until("redis takes it", async || hammer.revoke(&one, "after").await).await;
        hammer.until_known(&other).await;
        hammer.check_newcomer(&newcomer()).await;
        hammer.go_on().await;
        hammer.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_redis() {
    let server = RedisServer::start();
    let ordeal = Ordeal::begin(shared(&server), shared(&server)).await;
    server.stop();
    ordeal.endure().await;
    let good = token(r#""jti":"good""#);
    assert_eq!(ordeal.one.check(&good).await, Standing::Unknown, "too long ago");
    server.cont();
    ordeal.end(|| shared(&server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_killed() {
    let server = RedisServer::start();
    let ordeal = Ordeal::begin(shared(&server), shared(&server)).await;
    for _ in 0..20 {
        assert!(!server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).is_error());
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    ordeal.endure().await;
    ordeal.end(|| shared(&server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_that_is_lost() {
    let server = RedisServer::start();
    let proxy = CuttingProxy::start(server.addr()).await;
    let far = || Revocations::options().redis(Redis::connect(&proxy.url()).expect("a URL"));
    let ordeal = Ordeal::begin(far(), shared(&server)).await;
    for name in ["cut-1", "cut-2", "cut-3"] {
        proxy.cut_after("EVALSHA");
        ordeal.hammer.revoke(&ordeal.one, name).await;
        until("the line was cut", async || proxy.cuts() > 0).await;
    }
    ordeal.endure().await;
    ordeal.end(far).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_swallow_everything() {
    let server = RedisServer::start();
    let proxy = CuttingProxy::start(server.addr()).await;
    let far = || Revocations::options().redis(Redis::connect(&proxy.url()).expect("a URL"));
    let ordeal = Ordeal::begin(shared(&server), far()).await;
    proxy.swallow_existing();
    ordeal.endure().await;
    proxy.freeze_existing();
    ordeal.hammer.revoke(&ordeal.one, "frozen").await;
    ordeal.hammer.go_on().await;
    ordeal.end(far).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_refuses_and_is_told_later() {
    let server = RedisServer::start();
    let ordeal = Ordeal::begin(shared(&server), shared(&server)).await;
    assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", "1"]).text(), "OK");
    assert!(!ordeal.hammer.revoke(&ordeal.one, "full").await, "it is full");
    assert!(matches!(ordeal.one.check(&token(r#""sub":"full","jti":"full""#)).await, Standing::Revoked(_)));
    ordeal.endure().await;
    assert!(ordeal.one.is_ready() && ordeal.other.is_ready(), "what a full redis holds is still known");
    assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", "0"]).text(), "OK");
    ordeal.end(|| shared(&server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_are_forgotten() {
    let server = RedisServer::start();
    let ordeal = Ordeal::begin(shared(&server), shared(&server)).await;
    ordeal.hammer.tally();
    for name in ["a", "b", "c"] {
        assert_eq!(server.cli(&["SCRIPT", "FLUSH"]).text(), "OK");
        assert!(ordeal.hammer.revoke(&ordeal.one, name).await);
        ordeal.hammer.until_known(&ordeal.other).await;
    }
    ordeal.end(|| shared(&server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_cannot_be_written() {
    let server = RedisServer::with().arg("dbfilename", "none.rdb").start();
    let ordeal = Ordeal::begin(shared(&server), shared(&server)).await;
    // Where its file should be lies a directory.
    std::fs::create_dir(server.dir().join("none.rdb")).expect("a directory");
    assert_eq!(server.cli(&["CONFIG", "SET", "save", "3600 1"]).text(), "OK");
    drop(server.cli(&["BGSAVE"]));
    until("saving fails", async || server.info("rdb_last_bgsave_status").as_deref() == Some("err")).await;
    assert!(!ordeal.hammer.revoke(&ordeal.one, "unsaved").await);
    ordeal.endure().await;
    assert_eq!(server.cli(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]).text(), "OK");
    ordeal.end(|| shared(&server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_may_drop_keys_is_reported() {
    let gauges = Counters::install();
    let server = RedisServer::with().arg("maxmemory", "50mb").arg("maxmemory-policy", "allkeys-lru").start();
    let revocations = shared(&server);
    revocations.ready().await;
    until("it is reported", async || gauges.highest("buttress_jwt_eviction") > 0.5).await;
}
