//! Announcements of changed keys, and the moments in which there are none.

use std::time::Duration;

use buttress_redis::{Change, Feed, Mode, Redis, Script};
use buttress_tests::{RedisCluster, RedisServer};
use tokio::time::{Instant, timeout};

const MINUTE: Option<Duration> = Some(Duration::from_secs(60));

/// The next change; fails after five seconds.
async fn next(feed: &mut Feed) -> Change {
    timeout(Duration::from_secs(5), feed.next()).await.expect("a change within five seconds")
}

async fn seeing(feed: &mut Feed) {
    assert_eq!(next(feed).await, Change::Everything);
    while !feed.sight().sees() {
        next(feed).await;
    }
}

fn keys(keys: &[&'static str]) -> Change {
    Change::Keys(keys.iter().map(|key| key.as_bytes().into()).collect())
}

#[tokio::test]
async fn changes_under_the_prefix_are_announced() {
    static FOUR: Script = Script::new("four", "for i = 1, 4 do redis.call('SET', 'p:' .. i, 'v') end");
    let server = RedisServer::start();
    let redis = Redis::connect(&server.url()).unwrap();
    let mut feed = redis.watch("p:");
    seeing(&mut feed).await;
    let sequence = feed.sight().sequence("p:a");

    redis.set("other", "v", MINUTE, Mode::Always).await.unwrap();
    redis.set("p:a", "v", MINUTE, Mode::Always).await.unwrap();
    assert_eq!(next(&mut feed).await, keys(&["p:a"]));
    assert_ne!(feed.sight().sequence("p:a"), sequence);
    redis.delete("p:a").await.unwrap();
    assert_eq!(next(&mut feed).await, keys(&["p:a"]));
    redis.run::<&str>(&FOUR, &[], &[]).await.unwrap();
    let Change::Keys(four) = next(&mut feed).await else { panic!("everything") };
    assert_eq!(four.len(), 4);

    redis.set("p:brief", "v", Some(Duration::from_millis(20)), Mode::Always).await.unwrap();
    assert_eq!(next(&mut feed).await, keys(&["p:brief"]));
    assert_eq!(next(&mut feed).await, keys(&["p:brief"]), "its end is a change too");
}

#[tokio::test]
async fn a_flush_is_noticed_by_everyone() {
    let server = RedisServer::start();
    let redis = Redis::connect(&server.url()).unwrap();
    let (mut one, mut two) = (redis.watch("p:"), redis.watch("p:"));
    seeing(&mut one).await;
    seeing(&mut two).await;
    for command in ["flushall", "flushdb"] {
        let flushed = Instant::now();
        assert_eq!(server.cli(&[command]).text(), "OK");
        assert_eq!(next(&mut one).await, Change::Everything, "{command}");
        assert_eq!(next(&mut two).await, Change::Everything, "{command}");
        assert!(flushed.elapsed() < Duration::from_millis(500), "{:?}", flushed.elapsed());
    }
    assert!(timeout(Duration::from_millis(300), one.next()).await.is_err(), "one flush is told once");
}

#[tokio::test]
async fn a_lost_connection_is_told_and_announcements_begin_anew() {
    let server = RedisServer::start();
    let redis = Redis::connect(&server.url()).unwrap();
    let mut feed = redis.watch("p:");
    seeing(&mut feed).await;
    let sight = feed.sight();
    assert_eq!(sight.blind_since(), None);
    let before = Instant::now();

    server.kill();
    assert_eq!(next(&mut feed).await, Change::Everything);
    assert!(sight.blind_since().is_some_and(|since| since <= before + Duration::from_millis(200)));
    assert!(timeout(Duration::from_millis(100), feed.next()).await.is_err(), "blind once is told once");

    server.restart();
    assert_eq!(next(&mut feed).await, Change::Everything);
    assert_eq!(sight.blind_since(), None);
    redis.set("p:a", "v", MINUTE, Mode::Always).await.unwrap_or_default();
    while !redis.set("p:b", "v", MINUTE, Mode::Always).await.unwrap_or_default() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    loop {
        if next(&mut feed).await == keys(&["p:b"]) {
            break;
        }
    }
}

#[tokio::test]
async fn sight_moves_on_while_the_server_answers_and_stays_while_it_hangs() {
    let server = RedisServer::start();
    let redis = Redis::connect(&server.url()).unwrap();
    let mut feed = redis.watch("p:");
    seeing(&mut feed).await;
    let sight = feed.sight();
    let watching = tokio::spawn(async move {
        loop {
            feed.next().await;
        }
    });

    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(sight.seen_until().elapsed() < Duration::from_millis(350), "{:?}", sight.seen_until().elapsed());
    server.stop();
    let stopped = Instant::now();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(sight.seen_until() < stopped);
    assert!(!sight.sees());
    server.cont();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(sight.sees() && sight.seen_until() > stopped);
    watching.abort();
}

#[tokio::test]
async fn every_node_of_a_cluster_announces() {
    let cluster = RedisCluster::start(3, 0);
    let redis = Redis::connect(&cluster.url()).unwrap();
    let mut feed = redis.watch("p:");
    seeing(&mut feed).await;
    for number in 0..30 {
        let key = format!("p:{number}");
        redis.set(&key, "v", MINUTE, Mode::Always).await.unwrap();
        assert_eq!(next(&mut feed).await, Change::Keys(vec![key.into()]));
    }
    for node in cluster.nodes() {
        assert_eq!(node.cli(&["flushall"]).text(), "OK");
        assert_eq!(next(&mut feed).await, Change::Everything);
    }
}
