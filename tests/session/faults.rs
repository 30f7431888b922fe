//! Redis suffers, and nobody sees another one's session, loses a write that was acknowledged, or is given another cookie. What it holds is lost only where
//! that is said.

use std::time::Duration;

use buttress::redis::Redis;
use buttress::session::{Session, SessionErrorKind, SessionLayer, Sessions};
use buttress_tests::{CuttingProxy, RedisServer};
use tokio::time::sleep;

use crate::bed::{patient, until};
use crate::browser::{Browser, handler, key, said, text};
use crate::visitors::{Crowd, Seen};

fn at(url: &str) -> Sessions {
    Sessions::options(key()).redis(Redis::connect(url).expect("a URL"))
}

/// What the crowd sees of it while Redis suffers, when it has been noticed.
async fn suffer(crowd: &Crowd) -> Seen {
    sleep(Duration::from_millis(600)).await;
    crowd.take();
    sleep(Duration::from_millis(800)).await;
    let seen = crowd.take();
    println!("{} good, {} without, {} refused, p99 {:?}", seen.good, seen.without, seen.refused.len(), seen.p99());
    seen
}

/// Nothing is to be had, and that is said at once.
fn check_refused_at_once(seen: &Seen) {
    assert_eq!(seen.good, 0);
    assert!(seen.without > 50 && seen.refused.len() > 50, "{} {}", seen.without, seen.refused.len());
    assert!(seen.p99() < Duration::from_millis(40), "{:?}", seen.p99());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_redis() {
    let server = RedisServer::start();
    let crowd = Crowd::begin(&[&at(&server.url()), &at(&server.url())]).await;
    server.stop();
    check_refused_at_once(&suffer(&crowd).await);
    server.cont();
    crowd.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_killed_and_comes_back_with_all_of_it() {
    let server = RedisServer::with().arg("appendonly", "yes").arg("appendfsync", "always").start();
    let sessions = at(&server.url());
    let crowd = Crowd::begin(&[&sessions, &at(&server.url())]).await;
    let browser = Browser::new(&SessionLayer::new(sessions));
    let app = handler(async |path, session: Session| {
        match path.as_str() {
            "/login" => drop(session.login("ada").await?),
            "/logout" => session.logout().await?,
            "/renew" => session.renew().await?,
            _ => {}
        }
        Ok(text(session.subject().await?.unwrap_or_default()))
    });
    until("she is logged in", async || browser.ask(&app, "/login").await.status() == 200).await;
    let cookie = browser.cookie();
    server.kill();
    check_refused_at_once(&suffer(&crowd).await);
    for path in ["/logout", "/renew", "/login", "/"] {
        let response = browser.ask(&app, path).await;
        assert_eq!(response.status(), 503);
        assert_eq!(response.extensions().get(), Some(&SessionErrorKind::Away));
        assert_eq!(browser.cookie(), cookie, "{path} leaves the cookie");
    }
    server.restart();
    crowd.until_well().await;
    until("she still is", async || said(&browser.ask(&app, "/").await) == (200, "ada")).await;
    until("and may leave", async || browser.ask(&app, "/logout").await.status() == 200).await;
    assert_eq!(browser.cookie(), None);
    crowd.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_empty() {
    let server = RedisServer::start();
    let crowd = Crowd::begin(&[&at(&server.url()), &at(&server.url())]).await;
    crowd.may_lose_all();
    server.restart();
    crowd.until_well().await;
    until("each of them has begun anew", async || crowd.seen().begun_anew >= 8).await;
    crowd.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_flushed() {
    let server = RedisServer::start();
    let crowd = Crowd::begin(&[&at(&server.url()), &at(&server.url())]).await;
    crowd.may_lose_all();
    for _ in 0..10 {
        assert_eq!(server.cli(&["FLUSHALL"]).text(), "OK");
        sleep(Duration::from_millis(30)).await;
    }
    crowd.until_well().await;
    until("each of them has begun anew", async || crowd.seen().begun_anew >= 8).await;
    crowd.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_killed() {
    let server = RedisServer::start();
    let crowd = Crowd::begin(&[&at(&server.url()), &at(&server.url())]).await;
    for _ in 0..20 {
        assert!(!server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).is_error());
        sleep(Duration::from_millis(30)).await;
    }
    crowd.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_lost() {
    let server = RedisServer::start();
    let proxy = CuttingProxy::start(server.addr()).await;
    let crowd = Crowd::begin(&[&at(&proxy.url()), &at(&server.url())]).await;
    for cuts in 0..15 {
        proxy.cut_after("EVALSHA");
        until("the line was cut", async || proxy.cuts() > cuts).await;
    }
    proxy.swallow_existing();
    suffer(&crowd).await;
    proxy.freeze_existing();
    suffer(&crowd).await;
    for _ in 0..3 {
        let disturbed = proxy.disturbed();
        proxy.add_reply(b"$5\r\nwrong\r\n");
        until("a reply too many", async || proxy.disturbed() > disturbed).await;
        proxy.lose_replies();
        until("replies too few", async || proxy.disturbed() > disturbed + 1).await;
        crowd.until_well().await;
    }
    crowd.end().await;
}

/// It answers, and takes nothing.
async fn takes_nothing(suffer_by: &[&str], recover_by: &[&str], lets_read: bool) {
    let server = RedisServer::start();
    let crowd = Crowd::begin(&[&at(&server.url()), &at(&server.url())]).await;
    let sessions = patient(Sessions::options(key()), &server.url());
    let browser = Browser::new(&SessionLayer::new(sessions.clone()));
    let app = handler(async |path, session: Session| {
        match path.as_str() {
            "/write" => session.insert("a", &1).await?,
            "/renew" => session.renew().await?,
            "/login" => drop(session.login("ada").await?),
            _ => {}
        }
        Ok(text(format!("{:?} {:?}", session.subject().await?, session.get::<u8>("a").await?)))
    });
    for path in ["/login", "/write"] {
        until("she is there", async || browser.ask(&app, path).await.status() == 200).await;
    }
    for key in server.cli(&["KEYS", "*"]).array().iter().map(buttress_tests::Reply::text) {
        if !key.contains("{of:") {
            drop(server.cli(&["HSET", &key, "t", "1000"])); // so that it is worth noting that it is seen
        }
    }
    assert_eq!(server.cli(suffer_by).text(), "OK");
    let seen = suffer(&crowd).await;
    assert!(seen.good == 0 && seen.refused.len() > 50, "{} {}", seen.good, seen.refused.len());
    let cookie = browser.cookie();
    for path in ["/write", "/renew", "/login"] {
        let response = browser.ask(&app, path).await;
        // What changes nothing need not be written.
        assert_eq!(response.status(), if path == "/write" && lets_read { 200 } else { 503 }, "{path}");
        assert_eq!(browser.cookie(), cookie);
    }
    // With a line, and while there is none.
    for _ in 0..30 {
        let response = browser.ask(&app, "/").await;
        if lets_read {
            assert_eq!(said(&response), (200, "Some(\"ada\") Some(1)"));
        } else {
            assert_eq!(response.status(), 503, "what has ended elsewhere could be read here");
            assert!(sessions.end_all("eve").await.is_err(), "she may have logged in elsewhere");
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(server.cli(recover_by).text(), "OK");
    until("she still is", async || said(&browser.ask(&app, "/").await) == (200, "Some(\"ada\") Some(1)")).await;
    crowd.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_lets_read() {
    takes_nothing(&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"], true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_waits_for_replicas_lets_read() {
    let by = |count| ["CONFIG", "SET", "min-replicas-to-write", count];
    takes_nothing(&by("1"), &by("0"), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_becomes_a_replica_is_left() {
    let elsewhere = RedisServer::start();
    elsewhere.stop(); // it keeps what it has, since its new master never answers
    takes_nothing(&["REPLICAOF", "127.0.0.1", &elsewhere.port().to_string()], &["REPLICAOF", "NO", "ONE"], false).await;
}

#[tokio::test]
async fn a_full_redis_lets_people_out() {
    let server = RedisServer::start();
    let sessions = patient(Sessions::options(key()), &server.url());
    let layer = SessionLayer::new(sessions.clone());
    let app = handler(async |path, session: Session| {
        match path.as_str() {
            "/login" => drop(session.login("ada").await?),
            "/logout" => session.logout().await?,
            "/shrink" => {
                session.remove::<String>("a").await?;
                session.insert("b", &1).await?;
            }
            "/write" => session.insert("a", "x").await?,
            _ => {}
        }
        Ok(text(format!("{:?} {:?}", session.subject().await?, session.fields().await?)))
    });
    let browsers: Vec<_> = (0..3).map(|_| Browser::new(&layer)).collect();
    for browser in &browsers {
        assert_eq!(browser.ask(&app, "/login").await.status(), 200);
    }
    assert_eq!(browsers[0].ask(&app, "/write").await.status(), 200);
    assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", "1"]).text(), "OK");
    assert_eq!(browsers[2].ask(&app, "/write").await.status(), 503);
    // Whole or not at all, as Redis has it.
    let shrunk = browsers[0].ask(&app, "/shrink").await.status() == 200;
    let expected = if shrunk { "Some(\"ada\") [\"b\"]" } else { "Some(\"ada\") [\"a\"]" };
    assert_eq!(said(&browsers[0].ask(&app, "/").await), (200, expected));
    assert_eq!(browsers[0].ask(&app, "/logout").await.status(), 200);
    assert_eq!(browsers[0].cookie(), None);
    assert_eq!(sessions.list("ada").await.unwrap().len(), 2);
    assert_eq!(sessions.end_all("ada").await.unwrap(), 2);
    assert_eq!(said(&browsers[1].ask(&app, "/").await), (200, "None []"));
    assert_eq!(sessions.list("ada").await.unwrap(), []);
}
