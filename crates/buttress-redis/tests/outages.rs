//! Redis away, hung, refusing, or holding what others wrote.

use std::time::Duration;

use buttress_redis::{Error, ErrorKind, Health, Mode, Redis, Rejection, Script};
use buttress_tests::RedisServer;
use tokio::time::Instant;

const MINUTE: Option<Duration> = Some(Duration::from_secs(60));

async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within five seconds: {what}");
}

async fn connected(server: &RedisServer) -> Redis {
    let redis = Redis::connect(&server.url()).unwrap();
    eventually("connected", || redis.is_up()).await;
    redis
}

#[track_caller]
fn told(server: &RedisServer, command: &[&str]) {
    let reply = server.cli(command);
    assert!(!reply.is_error(), "{reply:?}");
}

/// The lines of `CLIENT LIST` that are ours.
fn clients(server: &RedisServer) -> Vec<String> {
    let list = server.cli(&["client", "list"]).text();
    list.lines().filter(|line| line.contains("name=buttress")).map(str::to_owned).collect()
}

#[track_caller]
fn check<T: std::fmt::Debug>(result: Result<T, Error>, expected: Rejection) {
    let error = result.expect_err("a refusal");
    assert_eq!(error.kind(), ErrorKind::Rejected(expected), "{error}");
}

#[tokio::test]
async fn dropping_the_last_handle_closes_every_socket() {
    let server = RedisServer::start();
    let redis = connected(&server).await;
    let (other, bodies, mut consumer) = (redis.clone(), redis.bodies(), redis.consumer());
    bodies.set("k", "v", None, Mode::Always).await.unwrap();
    assert_eq!(consumer.take("jobs", Duration::from_millis(1)).await.unwrap(), None);
    assert_eq!(clients(&server).len(), 3);
    drop((redis, bodies));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(clients(&server).len(), 3);
    drop((other, consumer));
    eventually("closed", || clients(&server).is_empty()).await;
}

#[tokio::test]
async fn it_starts_while_redis_is_down_and_connects_later() {
    let server = RedisServer::start();
    server.kill();
    let redis = Redis::connect(&server.url()).unwrap();
    let asked = Instant::now();
    assert_eq!(redis.get("k").await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(asked.elapsed() < Duration::from_millis(50));
    assert!(matches!(redis.health(), Health::Down { .. }));

    server.restart();
    let up = Instant::now();
    eventually("connected", || redis.is_up()).await;
    assert!(up.elapsed() < Duration::from_millis(500), "{:?}", up.elapsed());
    assert!(matches!(redis.health(), Health::Up));
    assert_eq!(redis.get("k").await.unwrap(), None);
}

#[tokio::test]
async fn the_first_command_waits_for_the_first_connection() {
    let server = RedisServer::start();
    let redis = Redis::connect(&server.url()).unwrap();
    assert_eq!(redis.get("k").await.unwrap(), None);
}

#[tokio::test]
async fn a_killed_server_is_refused_at_once_and_found_again() {
    let server = RedisServer::start();
    let redis = connected(&server).await;
    server.kill();
    eventually("down", || !redis.is_up()).await;
    let asked = Instant::now();
    assert_eq!(redis.get("k").await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(asked.elapsed() < Duration::from_millis(5), "{:?}", asked.elapsed());

    server.restart();
    let up = Instant::now();
    eventually("up again", || redis.is_up()).await;
    assert!(up.elapsed() < Duration::from_millis(500), "{:?}", up.elapsed());
    assert!(redis.set("k", "v", None, Mode::Always).await.unwrap());
}

#[tokio::test]
async fn what_others_wrote_is_a_miss_and_costs_no_connection() {
    let server = RedisServer::start();
    let redis = connected(&server).await;
    let id = || clients(&server)[0].split(' ').next().unwrap().to_owned();
    let before = id();

    told(&server, &["set", "by-hand", "hello, this is longer than a header"]);
    told(&server, &["set", "short", "x"]);
    told(&server, &["lpush", "list", "x"]);
    redis.set("whole", "a value that is then cut", None, Mode::Always).await.unwrap();
    told(&server, &["eval", "redis.call('set', 'cut', string.sub(redis.call('get', 'whole'), 1, 30))", "0"]);
    told(&server, &["copy", "whole", "moved"]);
    for key in ["by-hand", "short", "list", "cut", "moved"] {
        assert_eq!(redis.get(key).await.unwrap(), None, "{key}");
    }
    assert_eq!(redis.get("whole").await.unwrap().as_deref(), Some(&b"a value that is then cut"[..]));
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(id(), before, "the connection was given up");
}

#[tokio::test]
async fn a_password_is_asked_for_and_may_be_wrong() {
    let server = RedisServer::with().password("secret").start();
    for login in ["", ":wrong@"] {
        let url = format!("redis://{login}127.0.0.1:{}", server.port());
        let redis = Redis::connect(&url).unwrap();
        check(redis.get("k").await, Rejection::Denied);
        let Health::Down { error, .. } = redis.health() else { panic!("not down") };
        assert!(error.to_string().starts_with("denied: "), "{error}");
    }
    let redis = Redis::options().password("secret").connect(&format!("redis://127.0.0.1:{}", server.port())).unwrap();
    let shown =
        format!("{redis:?} {:?} {:?} {:?}", redis.watch("p:"), redis.consumer(), Redis::options().password("secret"));
    assert!(!shown.contains("secret"), "{shown}");
    assert_eq!(redis.get("k").await.unwrap(), None);
}

#[tokio::test]
async fn refusals_are_classified() {
    static WRITE: Script = Script::new("write", "return redis.call('SET', KEYS[1], 'v')");
    let server = RedisServer::start();
    let redis = connected(&server).await;

    told(&server, &["config", "set", "maxmemory", "1"]);
    check(redis.set("k", "v", MINUTE, Mode::Always).await, Rejection::OutOfMemory);
    check(redis.run(&WRITE, &["k"], &[]).await, Rejection::OutOfMemory);
    told(&server, &["config", "set", "maxmemory", "0"]);
    assert!(redis.set("k", "v", MINUTE, Mode::Always).await.unwrap());

    told(&server, &["lpush", "list", "x"]);
    static ADD: Script = Script::new("add", "return redis.call('INCRBY', KEYS[1], 1)");
    check(redis.run(&ADD, &["list"], &[]).await, Rejection::WrongType);
    static BROKEN: Script = Script::new("broken", "return redis.nope()");
    check(redis.run::<&str>(&BROKEN, &[], &[]).await, Rejection::Other);

    told(&server, &["acl", "setuser", "reader", "on", ">pw", "~*", "+get", "+ping", "+hello"]);
    let reader = Redis::options().username("reader").password("pw").connect(&server.url()).unwrap();
    assert_eq!(reader.get("absent").await.unwrap(), None);
    check(reader.set("k", "v", MINUTE, Mode::Always).await, Rejection::Denied);
    assert!(reader.is_up());
}

#[tokio::test]
async fn a_master_that_became_a_replica_is_left() {
    let server = RedisServer::start();
    let redis = connected(&server).await;
    told(&server, &["replicaof", "127.0.0.1", "1"]);
    check(redis.set("k", "v", MINUTE, Mode::Always).await, Rejection::ReadOnly);
    told(&server, &["replicaof", "no", "one"]);
    let healed = Instant::now();
    while redis.set("k", "v", MINUTE, Mode::Always).await.is_err() {
        assert!(healed.elapsed() < Duration::from_millis(500));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
