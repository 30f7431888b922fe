//! What lies where a session of Flask-Session should, and Redis when it is not well.

use std::time::Duration;

use buttress::redis::{ErrorKind, Redis};
use buttress::session::flask::FlaskSessions;
use buttress_tests::{Counters, RedisCluster, RedisServer};
use http::HeaderMap;
use http::header::COOKIE;
use serde_json::json;
use tokio::task::block_in_place;
use tokio::time::Instant;

const ID: &str = "iZbCz9QdR3YbU3cH2L3Xw0aR1nJ5m1bC-_8yQ2kL0sA";
const KEY: &str = "session:iZbCz9QdR3YbU3cH2L3Xw0aR1nJ5m1bC-_8yQ2kL0sA";
/// `{"user": "ada"}` in msgpack.
const RECORD: &[u8] = b"\x81\xa4user\xa3ada";
const COUNTER: &str = "buttress_session_flask_lookups_total";

fn headers() -> HeaderMap {
    HeaderMap::from_iter([(COOKIE, format!("session={ID}").parse().expect("a field"))])
}

fn on(url: &str) -> FlaskSessions {
    FlaskSessions::new(Redis::connect(url).expect("a URL"))
}

fn put(server: &RedisServer, record: &[u8]) {
    assert_eq!(server.cli(&[b"SET", KEY.as_bytes(), record]).text(), "OK");
}

#[tokio::test]
async fn what_is_no_session_is_none_and_stays() {
    let counters = Counters::default();
    let _recording = metrics::set_default_local_recorder(&counters);
    let redis = RedisServer::start();
    let sessions = on(&redis.url()).max_record(1000);
    let long = [b"{\"long\":\"", &[b'x'; 1000][..], b"\"}"].concat();
    for record in [&b""[..], b"\xff", b"[]", &RECORD[..5], b"\x80\x04}\x94.", b"{\"n\":18446744073709551616}", &long] {
        put(&redis, record);
        let (before, stored) = (counters.get(COUNTER), redis.cli(&["GET", KEY]));
        assert_eq!(sessions.read(&headers()).await.expect("redis is there"), None, "{record:?}");
        assert_eq!(sessions.take(&headers()).await.expect("redis is there"), None, "{record:?}");
        assert_eq!(counters.get(COUNTER), before + 2, "{record:?}");
        assert_eq!(redis.cli(&["GET", KEY]), stored, "{record:?}");
    }
    for command in [["RPUSH", KEY, "x"], ["SADD", KEY, "x"], ["PFADD", KEY, "x"]] {
        assert!(redis.cli(&["DEL", KEY]).int() >= 0);
        assert!(redis.cli(&command).int() >= 0);
        assert_eq!(sessions.read(&headers()).await.expect("redis is there"), None, "{command:?}");
        assert_eq!(sessions.take(&headers()).await.expect("redis is there"), None, "{command:?}");
        assert_eq!(redis.cli(&["EXISTS", KEY]).int(), 1, "{command:?}");
    }
}

#[tokio::test]
async fn who_sends_no_cookie_costs_nothing() {
    let redis = RedisServer::start();
    let sessions = on(&redis.url());
    put(&redis, RECORD);
    redis.stop();
    for field in ["", "a=1; b=2", "session=", "session=short", "session=../../../../../etc/passwd"] {
        let headers = HeaderMap::from_iter([(COOKIE, field.parse().expect("a field"))]);
        assert_eq!(sessions.read(&headers).await.expect("redis is not asked"), None, "{field}");
        assert_eq!(sessions.take(&headers).await.expect("redis is not asked"), None, "{field}");
        assert!(!sessions.end(&headers).await.expect("redis is not asked"), "{field}");
    }
    redis.cont();
}

#[tokio::test]
async fn a_copy_lives_no_longer_than_its_record() {
    let redis = RedisServer::start();
    for (left, grace, most) in [("3000", Duration::from_secs(60), 3000), ("900000", Duration::from_secs(60), 60_000)] {
        put(&redis, RECORD);
        assert_eq!(redis.cli(&["PEXPIRE", KEY, left]).int(), 1);
        assert!(on(&redis.url()).grace(grace).take(&headers()).await.expect("redis is there").is_some());
        let left = redis.cli(&["PTTL", &format!("{{{KEY}}}:taken")]).int();
        assert!((1..=most).contains(&left), "{left}");
    }
}

#[tokio::test]
async fn what_flask_writes_after_a_takeover_counts() {
    let redis = RedisServer::start();
    let sessions = on(&redis.url());
    for user in ["ada", "bob"] {
        put(&redis, &[b"\x81\xa4user\xa3", user.as_bytes()].concat());
        assert_eq!(sessions.take(&headers()).await.expect("redis is there").expect("one")["user"], json!(user));
    }
}

#[tokio::test]
async fn a_full_redis_gives_sessions_away() {
    let redis = RedisServer::start();
    put(&redis, RECORD);
    assert_eq!(redis.cli(&["CONFIG", "SET", "maxmemory", "1"]).text(), "OK");
    assert!(on(&redis.url()).take(&headers()).await.expect("nothing is added").is_some());
}

#[tokio::test]
async fn while_redis_hangs_nobody_waits_for_long_and_nothing_is_lost() {
    let redis = RedisServer::start();
    let sessions = on(&redis.url()).grace(Duration::from_secs(60));
    put(&redis, RECORD);
    assert!(sessions.read(&headers()).await.expect("redis is there").is_some());
    redis.stop();
    let began = Instant::now();
    assert!(sessions.take(&headers()).await.is_err());
    assert!(sessions.read(&headers()).await.is_err());
    assert!(began.elapsed() < Duration::from_secs(15));
    redis.cont();
    // What was asked meanwhile may have been done by now: then the copy is found.
    while sessions.take(&headers()).await.map_or_else(|_| true, |session| session.expect("not lost")["user"] != "ada") {
        assert!(began.elapsed() < Duration::from_secs(45), "redis is not asked again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_given_again() {
    let redis = RedisServer::start();
    put(&redis, RECORD);
    // As somebody has taken it whose connection ended before the answer came.
    assert_eq!(redis.cli(&["RENAME", KEY, &format!("{{{KEY}}}:taken")]).text(), "OK");
    let sessions = on(&redis.url());
    assert_eq!(sessions.read(&headers()).await.expect("redis is there"), None);
    for _ in 0..2 {
        assert!(sessions.take(&headers()).await.expect("redis is there").is_some());
    }
}

#[tokio::test]
async fn without_redis_there_is_an_error_and_no_guess() {
    let redis = RedisServer::start();
    let sessions = on(&redis.url());
    put(&redis, RECORD);
    assert!(sessions.read(&headers()).await.expect("redis is there").is_some());
    redis.kill();
    for _ in 0..3 {
        let kind = sessions.take(&headers()).await.expect_err("redis is gone").kind();
        assert!(matches!(kind, ErrorKind::Disconnected | ErrorKind::Unavailable | ErrorKind::TimedOut), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_a_copy_lies_beside_its_record() {
    let cluster = block_in_place(|| RedisCluster::start(3, 0));
    for prefix in ["session:", "{shop}:", ""] {
        let key = format!("{prefix}{ID}");
        let owner = &cluster.nodes()[cluster.owner(cluster.slot(&key))];
        assert_eq!(owner.cli(&[b"SET", key.as_bytes(), RECORD]).text(), "OK");
        let sessions = on(&cluster.url()).key_prefix(prefix);
        for _ in 0..2 {
            let session = sessions.take(&headers()).await.expect("redis is there").expect("a session");
            assert_eq!(session["user"], json!("ada"), "{prefix}");
        }
        assert!(sessions.end(&headers()).await.expect("redis is there"), "{prefix}");
        assert_eq!(sessions.take(&headers()).await.expect("redis is there"), None, "{prefix}");
    }
}
