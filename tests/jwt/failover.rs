//! A replica takes over that has not heard of everything, or the old master wakes up and does not know that it was replaced.

use std::time::Duration;

use buttress::jwt::{Revocation, Revocations, RevokeError};
use buttress::redis::Redis;
use buttress_tests::{RedisCluster, RedisSentinel, RedisServer};
use tokio::task::block_in_place;

use crate::bed::{shared, until};
use crate::faults::Ordeal;

const NEWS: &str = "buttress:jwt:v1:{revoked}:news";

fn of(group: &RedisSentinel) -> Revocations {
    Revocations::options().redis(Redis::connect(&group.url()).expect("a URL"))
}

/// From now on the replica hears nothing, and those who are connected notice nothing.
fn cut_off_the_replica(master: &RedisServer) {
    assert_eq!(master.cli(&["CONFIG", "SET", "requirepass", "nobody knows"]).text(), "OK");
    let mut line = master.line().expect("the master is there");
    assert!(!line.ask(&["AUTH", "nobody knows"]).expect("an answer").is_error());
    assert!(!line.ask(&["CLIENT", "KILL", "TYPE", "replica"]).expect("an answer").is_error());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lagged_is_told_what_it_missed() {
    let group = block_in_place(RedisSentinel::start);
    let ordeal = Ordeal::begin(of(&group), of(&group)).await;
    let before = group.replica().cli(&["XLEN", NEWS]).int();
    cut_off_the_replica(group.master());
    for number in 0..10 {
        assert!(ordeal.hammer.revoke(&ordeal.one, &format!("missed-{number}")).await);
    }
    group.master().kill();
    assert_eq!(group.replica().cli(&["XLEN", NEWS]).int(), before, "the replica has missed them");
    ordeal.endure().await;
    until("the replica is promoted", async || group.has_failed_over()).await;
    ordeal.end(|| of(&group)).await;
    assert!(group.replica().cli(&["XLEN", NEWS]).int() >= before + 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_master_that_wakes_up_replaced_is_not_believed() {
    let group = block_in_place(RedisSentinel::start);
    let ordeal = Ordeal::begin(of(&group), of(&group)).await;
    group.master().stop();
    until("the replica is promoted", async || group.has_failed_over()).await;
    group.master().cont();
    for number in 0..50 {
        ordeal.hammer.revoke(&ordeal.one, &format!("one-{number}")).await;
        ordeal.hammer.revoke(&ordeal.other, &format!("other-{number}")).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ordeal.hammer.go_on().await;
    ordeal.end(|| of(&group)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_was_replaced_by_hand_is_left() {
    let group = block_in_place(RedisSentinel::start);
    let ordeal = Ordeal::begin(of(&group), of(&group)).await;
    assert_eq!(group.sentinel().cli(&["SENTINEL", "FAILOVER", "main"]).text(), "OK");
    for number in 0..100 {
        ordeal.hammer.revoke(&ordeal.one, &format!("one-{number}")).await;
        ordeal.hammer.revoke(&ordeal.other, &format!("other-{number}")).await;
        if number == 50 {
            // Who comes now is led to the new master.
            until("the replica is promoted", async || group.has_failed_over()).await;
            ordeal.hammer.check_newcomer(&of(&group)).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ordeal.hammer.go_on().await;
    ordeal.end(|| of(&group)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_becomes_a_replica_is_not_believed() {
    let (server, new) = (RedisServer::start(), RedisServer::start());
    let ordeal = Ordeal::begin(shared(&server), shared(&server)).await;
    // It keeps what it has, since its new master is never reached.
    new.stop();
    assert_eq!(server.cli(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]).text(), "OK");
    assert!(!ordeal.hammer.revoke(&ordeal.one, "read-only").await);
    ordeal.endure().await;
    assert!(!ordeal.one.is_ready() && !ordeal.other.is_ready());
    assert_eq!(server.cli(&["REPLICAOF", "NO", "ONE"]).text(), "OK");
    ordeal.end(|| shared(&server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_replicas_is_told_how_many_have_it_and_holds_up_nobody() {
    let server = RedisServer::with().arg("repl-diskless-sync-delay", 0).start();
    let redis = Redis::connect(&server.url()).expect("a URL");
    let one = Revocations::options().replicas(1, Duration::from_secs(2)).redis(redis.clone());
    one.ready().await;
    let waiting = tokio::spawn({
        let one = one.clone();
        async move { one.revoke(Revocation::everything()).await }
    });
    until("it is published", async || server.cli(&["XLEN", NEWS]).int() == 1).await;
    // Those who share the connection go on, for much longer than it would be left for silence.
    for _ in 0..50 {
        redis.contains("k").await.expect("it is not held up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!waiting.is_finished(), "it waits");
    let refused = waiting.await.expect("it does not panic").expect_err("there is no replica");
    assert!(matches!(refused, RevokeError::Replicas { asked: 1, have: 0 }), "{refused}");
    let replica = RedisServer::with().replica_of(&server).start();
    until("the replica is in step", async || replica.info("master_link_status").as_deref() == Some("up")).await;
    until("a replica has it", async || one.revoke(Revocation::everything()).await.is_ok()).await;
    assert!(replica.cli(&["XLEN", NEWS]).int() >= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_through_a_cluster_takes_its_revocations_along() {
    let cluster = block_in_place(|| RedisCluster::start(3, 0));
    let of = || Revocations::options().redis(Redis::connect(&cluster.url()).expect("a URL"));
    let ordeal = Ordeal::begin(of(), of()).await;
    let slot = cluster.slot("{revoked}");
    let (from, to) = (cluster.owner(slot), (cluster.owner(slot) + 1) % 3);
    cluster.begin_migration(slot, from, to);
    let mut moved = 0;
    while cluster.migrate_keys(slot, from, to, 1) > 0 {
        // Half of the keys here and half there: nothing can be asked that concerns both.
        moved += 1;
        ordeal.hammer.revoke(&ordeal.one, &format!("half-way-{moved}")).await;
    }
    ordeal.hammer.go_on().await;
    cluster.finish_migration(slot, to);
    ordeal.endure().await;
    ordeal.end(of).await;
}
