//! Each verb against a real server.

mod support;

use std::time::Duration;

use buttress_redis::{Mode, Redis, Reply, Script};
use bytes::Bytes;
use support::{Server, connected, eventually};

const MINUTE: Option<Duration> = Some(Duration::from_secs(60));

#[tokio::test]
async fn what_is_set_is_got_until_it_is_deleted() {
    let server = Server::start(&[]);
    let redis = connected(&server).await;
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
    let server = Server::start(&[]);
    let redis = connected(&server).await;
    assert!(redis.set("k", "first", MINUTE, Mode::IfAbsent).await.unwrap());
    assert!(!redis.set("k", "second", MINUTE, Mode::IfAbsent).await.unwrap());
    assert_eq!(redis.get("k").await.unwrap().as_deref(), Some(&b"first"[..]));
}

#[tokio::test]
async fn a_value_lives_for_its_ttl() {
    let server = Server::start(&[]);
    let redis = connected(&server).await;
    let ttl = |key: &str| server.cli(&["pttl", key]).parse::<i64>().unwrap();

    redis.set("brief", "v", Some(Duration::from_millis(30)), Mode::Always).await.unwrap();
    redis.set("zero", "v", Some(Duration::ZERO), Mode::Always).await.unwrap();
    redis.set("long", "v", MINUTE, Mode::Always).await.unwrap();
    redis.set("ever", "v", None, Mode::Always).await.unwrap();
    redis.set("absurd", "v", Some(Duration::MAX), Mode::Always).await.unwrap();
    assert!(ttl("absurd") > 60_000);
    assert!((1..=60_000).contains(&ttl("long")));
    assert_eq!(ttl("ever"), -1);
    eventually("expired", || ttl("brief") == -2 && ttl("zero") == -2).await;

    assert!(redis.touch("ever", Duration::from_secs(5)).await.unwrap());
    assert!((1..=5_000).contains(&ttl("ever")));
    assert!(!redis.touch("nothing", Duration::from_secs(5)).await.unwrap());
}

#[tokio::test]
async fn many_are_got_in_their_order() {
    let server = Server::start(&[]);
    let redis = connected(&server).await;
    for key in ["a", "b", "c"] {
        redis.set(key, key.repeat(3), MINUTE, Mode::Always).await.unwrap();
    }
    server.cli(&["set", "b", "by hand"]);
    let found = redis.get_many(&["c", "missing", "b", "a", "a"]).await.unwrap();
    let found: Vec<_> = found.iter().map(Option::as_deref).collect();
    assert_eq!(found, [Some(&b"ccc"[..]), None, None, Some(b"aaa"), Some(b"aaa")]);
    assert!(redis.get_many::<&str>(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn large_values_go_through_their_own_connection() {
    let server = Server::start(&[]);
    let redis = connected(&server).await;
    assert_eq!(server.clients(), 1);
    let bodies = redis.bodies();
    let body = vec![7_u8; 5 << 20];
    bodies.set("body", &body, MINUTE, Mode::Always).await.unwrap();
    assert_eq!(bodies.get("body").await.unwrap().as_deref(), Some(&body[..]));
    assert_eq!(redis.get("body").await.unwrap().as_deref(), Some(&body[..]));
    assert_eq!(server.clients(), 2);
    let named = server.cli(&["client", "list"]);
    assert!(named.contains("name=buttress:data") && named.contains("name=buttress:bodies"), "{named}");
}

#[tokio::test]
async fn a_script_is_loaded_when_the_server_does_not_know_it() {
    static ADD: Script = Script::new("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])");
    static SHAPES: Script = Script::new("shapes", "return {1, 'two', {false, ARGV[1]}}");
    let server = Server::start(&[]);
    let redis = connected(&server).await;
    let three = [Bytes::from_static(b"3")];

    assert_eq!(redis.run(&ADD, &["sum"], &three).await.unwrap(), Reply::Int(3));
    assert_eq!(redis.run(&ADD, &["sum"], &three).await.unwrap(), Reply::Int(6));
    server.cli(&["script", "flush"]);
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
    let server = Server::start(&[]);
    let redis = connected(&server).await;
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
    let server = Server::start(&["--requirepass", "secret"]);
    let url = format!("redis://:secret@127.0.0.1:{}/2", server.port());
    let own = fred::clients::Client::new(fred::types::config::Config::from_url(&url).unwrap(), None, None, None);
    let redis = Redis::from(&own);
    redis.set("k", "v", MINUTE, Mode::Always).await.unwrap();
    assert_eq!(server.cli(&["--no-auth-warning", "-a", "secret", "-n", "2", "exists", "k"]), "1");
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("redis.sock");
    let server = Server::start(&["--unixsocket", socket.to_str().unwrap()]);
    let redis = Redis::connect(&format!("unix://{}?db=1", socket.display())).unwrap();
    redis.set("k", "v", MINUTE, Mode::Always).await.unwrap();
    assert_eq!(redis.get("k").await.unwrap().as_deref(), Some(&b"v"[..]));
    assert_eq!(server.cli(&["-n", "1", "exists", "k"]), "1");
}
