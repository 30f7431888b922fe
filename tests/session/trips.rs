//! How often Redis is asked: each step that `commit.rs` names is one round trip, and that a session was seen costs one more now and then.

use std::time::Duration;

use buttress::session::{Session, SessionLayer, Sessions};
use buttress_tests::RedisServer;

use crate::bed::{Gate, patient};
use crate::browser::{Browser, Handler, handler, key, said, text};

fn app() -> Handler {
    handler(async |path, session: Session| {
        match path.as_str() {
            "/write" => drop(session.incr("n", 1).await?),
            "/renew" => session.renew().await?,
            "/login" => drop(session.login("ada").await?),
            "/bob" => drop(session.login("bob").await?),
            "/logout" => session.logout().await?,
            _ => drop(session.get::<u32>("n").await?),
        }
        Ok(text(""))
    })
}

/// How often Redis ran this command.
fn calls(server: &RedisServer, command: &str) -> u64 {
    let line = server.info(&format!("cmdstat_{command}")).unwrap_or_default();
    line.split(['=', ',']).nth(1).map_or(0, |calls| calls.parse().expect("a number"))
}

#[tokio::test]
async fn each_step_is_one_round_trip() {
    let server = RedisServer::start();
    let gate = Gate::before(server.addr()).await;
    let sessions = gate.sessions(Sessions::options(key()));
    let layer = SessionLayer::new(sessions.clone());
    let walk = [
        ("a visitor's login: create, enlist", "/login", 2),
        ("a new id: load, create, freeze, move", "/renew", 4),
        ("proved again: load, create, freeze, move", "/login", 4),
        ("written: load, commit", "/write", 2),
        ("logged out: load, doom, end, end of the former, strike, end", "/logout", 6),
        ("a visitor's write: create", "/write", 1),
        ("a visitor's new id: load, create, freeze", "/renew", 3),
        ("a login: load, create, enlist, freeze", "/login", 4),
        ("another one's: load, doom, end, strike, end, create, enlist", "/bob", 7),
        ("logged out: load, doom, end, strike, end", "/logout", 5),
    ];
    // The first time around, Redis has to be told the scripts.
    for is_counted in [false, true] {
        let browser = Browser::new(&layer);
        for (what, path, expected) in walk {
            let before = gate.asked();
            assert_eq!(browser.ask(&app(), path).await.status(), 200, "{what}");
            let asked = gate.asked() - before;
            assert!(!is_counted || asked == expected, "{what}: {asked}");
        }
        assert_eq!(browser.cookie(), None);
    }
    assert_eq!(sessions.list("ada").await.unwrap(), []);
}

#[tokio::test]
async fn that_it_was_seen_is_noted_now_and_then() {
    const IDLE: Duration = Duration::from_secs(1000);
    let server = RedisServer::start();
    let layer = SessionLayer::new(patient(Sessions::options(key()).idle(IDLE), &server.url()));
    let browser = Browser::new(&layer);
    for path in ["/write", "/read"] {
        assert_eq!(browser.ask(&app(), path).await.status(), 200);
    }
    let session = server.cli(&["KEYS", "*"]).array()[0].text();
    let now = || server.cli(&["TIME"]).array()[0].text().parse::<u64>().expect("seconds") * 1000;
    // So many seconds ago it was seen; whether it is noted that it was seen now.
    for (seconds, is_noted) in [(0, false), (90, false), (101, true), (0, false), (999, true)] {
        if seconds > 0 {
            let seen = (now() - seconds * 1000).to_string();
            drop(server.cli(&["HSET", &session, "t", &seen]));
            drop(server.cli(&["PEXPIRE", &session, &(1_000_000 - seconds * 1000).to_string()]));
        }
        let count = || (calls(&server, "evalsha"), calls(&server, "hset"), calls(&server, "pexpireat"));
        let before = count();
        assert_eq!(said(&browser.ask(&app(), "/read").await).0, 200);
        let noted = u64::from(is_noted);
        assert_eq!(count(), (before.0 + noted, before.1 + noted, before.2 + noted), "{seconds} seconds");
        let lives = server.cli(&["PTTL", &session]).int();
        assert!(!is_noted || (990_000..=1_000_000).contains(&lives), "{lives}");
    }
}
