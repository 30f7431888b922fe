//! Each verb against a real server.

use std::time::Duration;

use buttress_redis::{ErrorKind, Mode, Redis, RedisOptions, Reply, Script};
use buttress_tests::{Certificates, RedisCluster, RedisSentinel, RedisServer};
use bytes::Bytes;

const MINUTE: Option<Duration> = Some(Duration::from_secs(60));

/// A busy machine may take its time with the first connection.
fn patient() -> RedisOptions {
    Redis::options().deadline(Duration::from_secs(5))
}

#[tokio::test]
async fn what_is_set_is_got_until_it_is_deleted() {
    let server = RedisServer::start();
    let redis = patient().connect(&server.url()).unwrap();
    let binary: &[u8] = b"\x00\xff\r\n$-1\r\n";

    assert_eq!(redis.get("k").await.unwrap(), None);
    assert!(!redis.contains("k").await.unwrap());
    assert!(redis.set("k", binary, MINUTE, Mode::Always).await.unwrap());
    assert_eq!(redis.get("k").await.unwrap().as_deref(), Some(binary));
    assert!(redis.contains("k").await.unwrap());
    assert!(redis.set("k", "", None, Mode::Always).await.unwrap());
    assert_eq!(redis.get("k").await.unwrap().as_deref(), Some(&b""[..]));
    assert!(redis.delete("k").await.unwrap());
    assert!(!redis.delete("k").await.unwrap());
    assert_eq!(redis.get("k").await.unwrap(), None);
}

#[tokio::test]
async fn if_absent_leaves_what_is_there() {
    let server = RedisServer::start();
    let redis = patient().connect(&server.url()).unwrap();
    assert!(redis.set("k", "first", MINUTE, Mode::IfAbsent).await.unwrap());
    assert!(!redis.set("k", "second", MINUTE, Mode::IfAbsent).await.unwrap());
    assert_eq!(redis.get("k").await.unwrap().as_deref(), Some(&b"first"[..]));
}

#[tokio::test]
async fn a_value_lives_for_its_ttl() {
    let server = RedisServer::start();
    let redis = patient().connect(&server.url()).unwrap();
    let ttl = |key: &str| server.cli(&["pttl", key]).int();

    redis.set("brief", "v", Some(Duration::from_millis(30)), Mode::Always).await.unwrap();
    redis.set("zero", "v", Some(Duration::ZERO), Mode::Always).await.unwrap();
    redis.set("long", "v", MINUTE, Mode::Always).await.unwrap();
    redis.set("ever", "v", None, Mode::Always).await.unwrap();
    redis.set("absurd", "v", Some(Duration::MAX), Mode::Always).await.unwrap();
    assert!(ttl("absurd") > 60_000);
    assert!((1..=60_000).contains(&ttl("long")));
    assert_eq!(ttl("ever"), -1);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!((ttl("brief"), ttl("zero")), (-2, -2));

    assert!(redis.touch("ever", Duration::from_secs(5)).await.unwrap());
    assert!((1..=5_000).contains(&ttl("ever")));
    assert!(!redis.touch("nothing", Duration::from_secs(5)).await.unwrap());
}

#[tokio::test]
async fn many_are_got_in_their_order() {
    let server = RedisServer::start();
    let redis = patient().connect(&server.url()).unwrap();
    for key in ["a", "b", "c"] {
        redis.set(key, key.repeat(3), MINUTE, Mode::Always).await.unwrap();
    }
    assert_eq!(server.cli(&["set", "b", "by hand"]).text(), "OK");
    let found = redis.get_many(&["c", "missing", "b", "a", "a"]).await.unwrap();
    let found: Vec<_> = found.iter().map(Option::as_deref).collect();
    assert_eq!(found, [Some(&b"ccc"[..]), None, None, Some(b"aaa"), Some(b"aaa")]);
    assert!(redis.get_many::<&str>(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn large_values_go_through_their_own_connection() {
    let server = RedisServer::start();
    let redis = patient().connect(&server.url()).unwrap();
    assert_eq!(redis.get("body").await.unwrap(), None);
    assert!(!server.cli(&["client", "list"]).text().contains("name=buttress:bodies"));
    let bodies = redis.bodies();
    let body = vec![7_u8; 5 << 20];
    bodies.set("body", &body, MINUTE, Mode::Always).await.unwrap();
    assert_eq!(bodies.get("body").await.unwrap().as_deref(), Some(&body[..]));
    assert_eq!(redis.get("body").await.unwrap().as_deref(), Some(&body[..]));
    let named = server.cli(&["client", "list"]).text();
    assert!(named.contains("name=buttress:data") && named.contains("name=buttress:bodies"), "{named}");
}

#[tokio::test]
async fn a_script_is_loaded_when_the_server_does_not_know_it() {
    static ADD: Script = Script::new("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])");
    static SHAPES: Script = Script::new("shapes", "return {1, 'two', {false, ARGV[1]}}");
    let server = RedisServer::start();
    let redis = patient().connect(&server.url()).unwrap();
    let three = [Bytes::from_static(b"3")];

    assert_eq!(redis.run(&ADD, &["sum"], &three).await.unwrap(), Reply::Int(3));
    assert_eq!(redis.run(&ADD, &["sum"], &three).await.unwrap(), Reply::Int(6));
    assert_eq!(server.cli(&["script", "flush"]).text(), "OK");
    assert_eq!(redis.run(&ADD, &["sum"], &three).await.unwrap(), Reply::Int(9));
    let bytes = |text: &'static str| Reply::Bytes(Bytes::from_static(text.as_bytes()));
    let nested = Reply::List(vec![Reply::Nil, bytes("3")]);
    assert_eq!(
        redis.run::<&str>(&SHAPES, &[], &three).await.unwrap(),
        Reply::List(vec![Reply::Int(1), bytes("two"), nested])
    );
}

#[tokio::test]
async fn a_consumer_takes_what_was_pushed() {
    let server = RedisServer::start();
    let redis = patient().connect(&server.url()).unwrap();
    let mut consumer = redis.consumer();

    assert_eq!(redis.push("jobs", "one").await.unwrap(), 1);
    assert_eq!(consumer.take("jobs", Duration::from_secs(1)).await.unwrap().as_deref(), Some(&b"one"[..]));
    assert_eq!(consumer.take("jobs", Duration::from_millis(50)).await.unwrap(), None);

    let waiting = tokio::spawn(async move { consumer.take("jobs", Duration::from_secs(5)).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    redis.push("jobs", "two").await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().as_deref(), Some(&b"two"[..]));

    assert_eq!(redis.publish("nobody", "message").await.unwrap(), 0);
}

#[tokio::test]
async fn a_client_of_one_s_own_lends_its_configuration() {
    let server = RedisServer::with().password("secret").start();
    let url = format!("redis://:secret@127.0.0.1:{}/2", server.port());
    let own = fred::clients::Client::new(fred::types::config::Config::from_url(&url).unwrap(), None, None, None);
    let redis = Redis::from(&own);
    redis.set("k", "v", MINUTE, Mode::Always).await.unwrap();
    let mut line = server.line().unwrap();
    line.ask(&["select", "2"]).unwrap();
    assert_eq!(line.ask(&["exists", "k"]).unwrap().int(), 1);
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let server = RedisServer::start();
    let redis = patient().connect(&format!("unix://{}?db=1", server.socket().display())).unwrap();
    redis.set("k", "v", MINUTE, Mode::Always).await.unwrap();
    assert_eq!(redis.get("k").await.unwrap().as_deref(), Some(&b"v"[..]));
    let mut line = server.line().unwrap();
    line.ask(&["select", "1"]).unwrap();
    assert_eq!(line.ask(&["exists", "k"]).unwrap().int(), 1);
}

#[tokio::test]
async fn tls_is_spoken_to_whom_the_authority_vouches_for() {
    let files = Certificates::new();
    let server = RedisServer::with().tls(&files.ca(), &files.cert(), &files.key()).start();
    let redis = patient().certificate_authority(std::fs::read(files.ca()).unwrap()).connect(&server.url()).unwrap();
    redis.set("k", "v", MINUTE, Mode::Always).await.unwrap();
    assert_eq!(redis.get("k").await.unwrap().as_deref(), Some(&b"v"[..]));

    let stranger = Certificates::new();
    let redis = patient().certificate_authority(std::fs::read(stranger.ca()).unwrap()).connect(&server.url()).unwrap();
    let error = redis.get("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("InvalidCertificate"), "{error}");
}

#[tokio::test]
async fn a_cluster_keeps_each_key_on_its_node() {
    let cluster = RedisCluster::start(3, 0);
    let redis = patient().connect(&cluster.url()).unwrap();
    let keys: Vec<_> = (0..50).map(|number| format!("key:{number}")).collect();
    for key in &keys {
        redis.set(key, format!("value of {key}"), MINUTE, Mode::Always).await.unwrap();
    }
    for (key, value) in keys.iter().zip(redis.get_many(&keys).await.unwrap()) {
        assert_eq!(value.unwrap(), format!("value of {key}"));
    }
    static BOTH: Script = Script::new("both", "return redis.call('EXISTS', KEYS[1], KEYS[2])");
    redis.set("{tag}:a", "v", MINUTE, Mode::Always).await.unwrap();
    assert_eq!(redis.run(&BOTH, &["{tag}:a", "{tag}:b"], &[]).await.unwrap(), Reply::Int(1));
    assert!(redis.delete(&keys[0]).await.unwrap());
    assert_eq!(redis.get(&keys[0]).await.unwrap(), None);
}

#[tokio::test]
async fn the_master_is_the_one_that_the_sentinels_name() {
    let sentinel = RedisSentinel::start();
    let redis = patient().connect(&sentinel.url()).unwrap();
    redis.set("k", "v", MINUTE, Mode::Always).await.unwrap();
    assert_eq!(redis.get("k").await.unwrap().as_deref(), Some(&b"v"[..]));
}
