//! What the server says of the keys it may drop, and whom it tells.

use std::time::Duration;

use buttress_redis::{Eviction, Mode, Redis, RedisOptions};
use buttress_tests::{RedisCluster, RedisServer};

/// A busy machine may take its time with the first connection.
fn patient() -> RedisOptions {
    Redis::options().deadline(Duration::from_secs(5))
}

#[track_caller]
fn told(server: &RedisServer, command: &[&str]) {
    let reply = server.cli(command);
    assert!(!reply.is_error(), "{reply:?}");
}

/// What a user is told who may do this beside the greeting.
async fn seen_with(server: &RedisServer, rights: &[&str]) -> Option<Eviction> {
    let user = ["acl", "setuser", "asker", "reset", "on", ">pw", "~*", "+ping", "+hello"];
    told(server, &[&user, rights].concat());
    let redis = patient().username("asker").password("pw").connect(&server.url()).unwrap();
    let seen = redis.eviction().await.unwrap();
    assert!(redis.is_up());
    seen
}

#[tokio::test]
async fn the_policy_and_the_limit_are_told() {
    let server = RedisServer::start();
    let redis = patient().connect(&server.url()).unwrap();
    let seen = redis.eviction().await.unwrap().unwrap();
    assert_eq!((seen.policy.as_str(), seen.maxmemory, seen.evicted_keys), ("noeviction", 0, Some(0)));
    assert!(!seen.may_drop_keys());

    told(&server, &["config", "set", "maxmemory-policy", "allkeys-lru"]);
    assert!(!redis.eviction().await.unwrap().unwrap().may_drop_keys(), "there is no limit");
    for key in ["a", "b", "c"] {
        redis.set(key, "v", None, Mode::Always).await.unwrap();
    }
    told(&server, &["config", "set", "maxmemory", "1"]);
    let seen = redis.eviction().await.unwrap().unwrap();
    assert_eq!((seen.policy.as_str(), seen.maxmemory), ("allkeys-lru", 1));
    assert!(seen.may_drop_keys());
    assert_eq!(seen.evicted_keys, Some(3));
    told(&server, &["config", "set", "maxmemory-policy", "noeviction"]);
    assert!(!redis.eviction().await.unwrap().unwrap().may_drop_keys());
}

#[tokio::test]
async fn one_of_two_ways_to_ask_is_enough() {
    let server = RedisServer::with().arg("maxmemory", "100mb").arg("maxmemory-policy", "volatile-ttl").start();
    let seen = |evicted_keys| {
        move |seen: Option<Eviction>| {
            let seen = seen.expect("an answer");
            assert_eq!((seen.policy.as_str(), seen.maxmemory), ("volatile-ttl", 100 << 20));
            assert_eq!(seen.evicted_keys, evicted_keys);
        }
    };
    seen(Some(0))(seen_with(&server, &["+info"]).await);
    seen(None)(seen_with(&server, &["+config|get"]).await);
    assert_eq!(seen_with(&server, &[]).await, None);
}

#[tokio::test]
async fn commands_that_do_not_exist_are_as_good_as_refused() {
    let server = RedisServer::with().arg("rename-command", "config none").start();
    let redis = patient().connect(&server.url()).unwrap();
    assert_eq!(redis.eviction().await.unwrap().map(|seen| seen.policy).as_deref(), Some("noeviction"));
}

#[tokio::test]
async fn any_node_of_a_cluster_tells() {
    let cluster = RedisCluster::start(3, 0);
    for node in cluster.nodes() {
        told(node, &["config", "set", "maxmemory-policy", "allkeys-lfu"]);
    }
    let redis = patient().connect(&cluster.url()).unwrap();
    assert_eq!(redis.eviction().await.unwrap().map(|seen| seen.policy).as_deref(), Some("allkeys-lfu"));
}
