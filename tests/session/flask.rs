//! Beside the real Flask-Session: what it stores, and what one side ends.

use std::time::Duration;

use buttress::redis::Redis;
use buttress::session::flask::FlaskSessions;
use buttress_tests::RedisServer;
use serde_json::{Map, Value, json};

mod service;

use service::{Flask, SECRET, SIGNED};

const JSON: (&str, &str) = ("SESSION_SERIALIZATION_FORMAT", "json");

fn on(server: &RedisServer) -> FlaskSessions {
    FlaskSessions::new(Redis::connect(&server.url()).expect("a URL"))
}

/// What `/fill` puts into every session.
fn everywhere() -> Value {
    json!({
        "user": "ada",
        "_permanent": true,
        "_flashes": [["greeting", "welcome"]],
        "nothing": null,
        "yes": true,
        "count": 3,
        "small": i64::MIN,
        "big": u64::MAX,
        "ratio": 0.5,
        "text": "é \"quoted\" \\ \u{2028}",
        "list": [1, ["two", { "three": 3 }], {}],
        "pair": [1, "two"],
        "bytes": "/wA=",
        "cart": "12345678-1234-5678-1234-567812345678",
        "seen": "2024-01-02T03:04:05Z",
    })
}

/// And into those that Flask-Session writes itself; the time with a zone by the format.
fn filled(elsewhere: &str) -> Map<String, Value> {
    let many: Map<_, _> = (0..300).map(|n| (n.to_string(), json!(n))).collect();
    let Value::Object(further) = json!({
        "micros": "2024-01-02T03:04:05.678900Z",
        "born": "1900-01-02T03:04:05.000006Z",
        "local": "2024-01-02T03:04:05",
        "elsewhere": elsewhere,
        "day": "2024-01-02",
        "for": "P1DT2S",
        "price": "1.50",
        "tags": [7],
        "numbers": { "1": "one", "1.5": "more" },
        "nan": null,
        "many": many,
        "long": "x".repeat(70_000),
    }) else {
        unreachable!("an object")
    };
    everywhere().as_object().cloned().into_iter().flatten().chain(further).collect()
}

#[tokio::test]
async fn a_session_is_read_whatever_its_format() {
    let redis = RedisServer::start();
    let (in_utc, in_its_zone) = ("2024-01-02T01:04:05Z", "2024-01-02T03:04:05+02:00");
    for (settings, sessions, elsewhere) in [
        (vec![], on(&redis), in_utc),
        (vec![JSON], on(&redis), in_its_zone),
        (SIGNED.to_vec(), on(&redis).signed(SECRET), in_utc),
        ([&[JSON], &SIGNED[..]].concat(), on(&redis).signed("the next one").signed(SECRET), in_its_zone),
        (
            vec![("SESSION_KEY_PREFIX", "{shop}:"), ("SESSION_COOKIE_NAME", "sid"), ("SESSION_ID_LENGTH", "64")],
            on(&redis).key_prefix("{shop}:").cookie_name("sid"),
            in_utc,
        ),
    ] {
        let Some(old) = Flask::start(&redis, &settings) else { return };
        let ada = old.log_in("ada").await;
        let small = sessions.read(&ada.headers()).await.expect("redis is there").expect("a session");
        assert_eq!((small.len(), &small["user"]), (3, &json!("ada")), "{settings:?}");
        ada.ask("POST /fill").await;
        for _ in 0..2 {
            let session = sessions.read(&ada.headers()).await.expect("redis is there");
            assert_eq!(session, Some(filled(elsewhere)), "{settings:?}");
        }
        assert_eq!(ada.who().await, "ada", "it goes on there");
        assert_eq!(sessions.take(&ada.headers()).await.expect("redis is there"), Some(filled(elsewhere)));
        assert_eq!(ada.who().await, json!(null), "and ends there");
    }
}

#[tokio::test]
async fn the_tags_of_flask_s_own_json_are_understood_where_they_are_told() {
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &[("TAGGED", "true")]) else { return };
    let ada = old.log_in("ada").await;
    ada.ask("POST /fill").await;
    let session = on(&redis).tagged_json().read(&ada.headers()).await.expect("redis is there");
    assert_eq!(session.map(Value::Object), Some(everywhere()));
    let plain = on(&redis).read(&ada.headers()).await.expect("redis is there").expect("a session");
    assert_eq!(plain["pair"], json!({ " t": [1, "two"] }));
}

#[tokio::test]
async fn a_logout_there_holds_here() {
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &[]) else { return };
    let (ada, bob, sessions) = (old.log_in("ada").await, old.log_in("bob").await, on(&redis));
    assert!(sessions.read(&ada.headers()).await.expect("redis is there").is_some());
    ada.ask("POST /logout").await;
    assert_eq!(sessions.read(&ada.headers()).await.expect("redis is there"), None);
    assert_eq!(sessions.take(&ada.headers()).await.expect("redis is there"), None);
    assert!(!sessions.end(&ada.headers()).await.expect("redis is there"));
    assert_eq!(sessions.take(&bob.headers()).await.expect("redis is there").expect("his")["user"], json!("bob"));
}

#[tokio::test]
async fn a_logout_here_holds_there() {
    let redis = RedisServer::start();
    for (settings, sessions) in [(&[][..], on(&redis)), (&SIGNED[..], on(&redis).signed(SECRET))] {
        let Some(old) = Flask::start(&redis, settings) else { return };
        let (ada, bob) = (old.log_in("ada").await, old.log_in("bob").await);
        assert_eq!(ada.who().await, "ada");
        assert!(sessions.end(&ada.headers()).await.expect("redis is there"));
        assert_eq!((ada.who().await, bob.who().await), (json!(null), json!("bob")));
        assert!(!sessions.end(&ada.headers()).await.expect("redis is there"));
        // Also of one that was taken over a moment ago.
        assert!(sessions.take(&bob.headers()).await.expect("redis is there").is_some());
        assert!(sessions.end(&bob.headers()).await.expect("redis is there"));
        assert_eq!(sessions.take(&bob.headers()).await.expect("redis is there"), None);
    }
}

#[tokio::test]
async fn requests_of_one_page_take_the_same_session_over() {
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &[]) else { return };
    for (sessions, expected) in [(on(&redis), 16), (on(&redis).grace(Duration::ZERO), 1)] {
        let (ada, bob) = (old.log_in("ada").await, old.log_in("bob").await);
        let headers = ada.headers();
        let all = futures_util::future::join_all((0..16).map(|_| sessions.take(&headers))).await;
        let found: Vec<_> = all.into_iter().filter_map(|one| one.expect("redis is there")).collect();
        assert_eq!(found.len(), expected);
        assert!(found.iter().all(|session| session["user"] == "ada"));
        // It has ended all the same: nobody else reads it, and it goes for good.
        assert_eq!(sessions.read(&headers).await.expect("redis is there"), None);
        assert_eq!((ada.who().await, bob.who().await), (json!(null), json!("bob")));
        let left = redis.cli(&["PTTL", &format!("{{session:{}}}:taken", ada.id())]).int();
        assert!(if expected == 1 { left == -2 } else { (1..=10_000).contains(&left) }, "{left}");
    }
}

#[tokio::test]
async fn only_the_cookie_that_flask_would_take_is_taken() {
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &SIGNED) else { return };
    let (ada, bob) = (old.log_in("ada").await, old.log_in("bob").await);
    let sessions = on(&redis).signed(SECRET);
    let forged = format!("session={}.{}", ada.id(), bob.value().split_once('.').expect("signed").1);
    let both = format!("session={}; session={}", ada.value(), bob.value());
    for cookie in [
        &forged,
        &both,
        &format!("session={}", ada.id()),
        &format!("Session={}", ada.value()),
        &format!("session=\"{}\"", ada.value()),
    ] {
        let headers = [(http::header::COOKIE, cookie.parse().expect("a field"))].into_iter().collect();
        assert_eq!(sessions.take(&headers).await.expect("redis is there"), None, "{cookie}");
        assert!(!sessions.end(&headers).await.expect("redis is there"), "{cookie}");
    }
    for others in [on(&redis), on(&redis).signed(SECRET.to_lowercase()), sessions.clone().key_prefix("sessions:")] {
        assert_eq!(others.take(&ada.headers()).await.expect("redis is there"), None, "{others:?}");
    }
    assert!(sessions.take(&ada.headers()).await.expect("redis is there").is_some());
}

#[tokio::test]
async fn a_pickle_is_left_for_flask_to_write_anew() {
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &[("SESSION_REFRESH_EACH_REQUEST", "false")]) else { return };
    let (ada, sessions) = (old.log_in("ada").await, on(&redis));
    ada.ask("POST /age").await;
    assert_eq!(sessions.read(&ada.headers()).await.expect("redis is there"), None);
    assert_eq!(sessions.take(&ada.headers()).await.expect("redis is there"), None);
    assert_eq!(ada.who().await, "ada", "it is still there");
    ada.ask("POST /fill").await;
    assert_eq!(sessions.take(&ada.headers()).await.expect("redis is there"), Some(filled("2024-01-02T01:04:05Z")));
}

#[tokio::test]
async fn an_integer_that_would_be_rounded_is_left() {
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &[JSON]) else { return };
    let (ada, sessions) = (old.log_in("ada").await, on(&redis));
    ada.ask("POST /huge").await;
    assert_eq!(sessions.take(&ada.headers()).await.expect("redis is there"), None);
    assert_eq!(ada.who().await, "ada");
}
