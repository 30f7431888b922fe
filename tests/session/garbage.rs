//! Something else lies where a session or a list of logins should: it is no session, it is nobody's, and nothing else suffers.

use buttress::session::{Session, SessionLayer, Sessions};
use buttress_tests::{Counters, RedisServer};

use crate::bed::{Stepped, patient};
use crate::browser::{Browser, Handler, handler, key, said, text};
use crate::stage::{Op, World, defaults};

const FAR: &str = "9999999999999";
const NAME: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn app() -> Handler {
    handler(async |path, session: Session| {
        match path.as_str() {
            "/write" => drop(session.incr("n", 1).await?),
            "/renew" => session.renew().await?,
            "/login" => drop(session.login("ada").await?),
            "/logout" => session.logout().await?,
            _ => {}
        }
        let who = session.subject().await?.unwrap_or_default();
        Ok(text(format!("{who} {}", session.get::<u32>("n").await.map_or("?".to_owned(), |n| format!("{n:?}")))))
    })
}

/// What can lie under a session's key; `KEY` stands for it.
fn odd<'a>() -> Vec<(&'static str, Vec<Vec<&'a str>>)> {
    let good = ["HSET", "KEY", "v", "1", "n", "1", "c", "1", "e", FAR, "t", "1", "b", "3", "=n", "7"];
    let with = |name: &'a str, value: &'a str| vec![good.to_vec(), vec!["HSET", "KEY", name, value]];
    vec![
        ("a text", vec![vec!["SET", "KEY", "text"]]),
        ("a list", vec![vec!["RPUSH", "KEY", "a", "b"]]),
        ("nothing of a session", vec![vec!["HSET", "KEY", "name", "ada", "=n", "7"]]),
        ("another version", with("v", "2")),
        ("a version without a number", with("n", "one")),
        ("a negative version", with("n", "-1")),
        ("an end that is none", with("e", "soon")),
        ("an end beyond all numbers", with("e", "99999999999999999999999999999999")),
        ("an endless end", with("e", "inf")),
        ("an end that is over", with("e", "1")),
        ("no time", with("t", "")),
        ("a successor without a reason", with("to", NAME)),
        ("a successor that is none", vec![good.to_vec(), vec!["HSET", "KEY", "to", "x", "how", "renewed"]]),
        ("a successor that is not there", vec![good.to_vec(), vec!["HSET", "KEY", "to", NAME, "how", "renewed"]]),
        ("itself as its successor", vec![good.to_vec(), vec!["HSET", "KEY", "to", "SELF", "how", "renewed"]]),
        ("itself as its login", vec![good.to_vec(), vec!["HSET", "KEY", "to", "SELF", "how", "raised"]]),
        ("a key that was not wrapped", with("k", "text")),
        ("a subject without a login", with("s", "ada")),
    ]
}

/// The one session's key, and what is in the braces.
fn only_key(server: &RedisServer) -> (String, String) {
    let keys = server.cli(&["KEYS", "*"]);
    let [key] = keys.array() else { panic!("{keys:?}") };
    let name = key.text().split(['{', '}']).nth(1).expect("a tag").to_owned();
    (key.text(), name)
}

fn put(server: &RedisServer, commands: &[Vec<&str>]) {
    let (key, name) = only_key(server);
    drop(server.cli(&["DEL", &key]));
    for command in commands {
        let command = command.iter().map(|word| match *word {
            "KEY" => key.as_str(),
            "SELF" => name.as_str(),
            word => word,
        });
        assert!(!server.cli(&command.collect::<Vec<_>>()).is_error());
    }
}

#[tokio::test]
async fn what_lies_under_a_sessions_key_is_no_session() {
    let server = RedisServer::start();
    let layer = SessionLayer::new(patient(Sessions::options(key()), &server.url()));
    let prefetching = layer.clone().prefetch();
    for (what, commands) in odd() {
        for path in ["/", "/write", "/login", "/renew", "/logout"] {
            assert_eq!(server.cli(&["FLUSHALL"]).text(), "OK");
            let browser = Browser::new(&layer);
            browser.ask(&app(), "/write").await;
            put(&server, &commands);
            let cookie = browser.cookie();
            let same = browser.with(&prefetching);
            let (status, said) = {
                let response = same.ask(&app(), path).await;
                (response.status().as_u16(), String::from_utf8_lossy(response.body()).into_owned())
            };
            let expected = match path {
                "/write" => " Some(1)",
                "/login" => "ada None",
                _ => " None",
            };
            assert_eq!((status, said.as_str()), (200, expected), "{what}, {path}");
            match path {
                "/" | "/renew" => assert_eq!(same.cookie(), cookie, "{what}, {path}"),
                "/logout" => assert_eq!(same.cookie(), None, "{what}"),
                _ => {
                    assert_ne!(same.cookie(), cookie, "{what}, {path}: a session of its own");
                    assert_eq!(crate::browser::said(&same.ask(&app(), "/").await), (200, expected), "{what}, {path}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_size_that_is_none_is_no_matter() {
    let server = RedisServer::start();
    let layer = SessionLayer::new(patient(Sessions::options(key()), &server.url()));
    for size in ["", "many", "-1", "nan"] {
        assert_eq!(server.cli(&["FLUSHALL"]).text(), "OK");
        let browser = Browser::new(&layer);
        browser.ask(&app(), "/write").await;
        drop(server.cli(&["HSET", &only_key(&server).0, "b", size]));
        assert_eq!(said(&browser.ask(&app(), "/write").await), (200, " Some(2)"), "{size}");
        assert_eq!(said(&browser.ask(&app(), "/").await), (200, " Some(2)"), "{size}");
    }
}

/// It was a session when the request came, and is none when it writes.
#[tokio::test]
async fn what_takes_a_sessions_place_meanwhile_is_left_alone() {
    let world = World::new(defaults).await;
    let (gate, sessions) = &world.processes[0];
    for (what, commands) in odd() {
        for op in [Op::Write, Op::Renew, Op::Login, Op::Destroy] {
            let first = world.begin(false).await;
            let browser = first.with(&SessionLayer::new(sessions.clone()));
            let request = Stepped::begin(gate, op.run(0, browser, sessions.clone())).await;
            request.step().await; // it is loaded
            put(&world.server, &commands);
            let outcome = request.finish().await;
            // What looks whole to a script is written to, or goes on; a reply that makes no sense is an error.
            assert!([200, 409, 503].contains(&outcome.status), "{what}, {op:?}: {}", outcome.status);
            if what.starts_with("a text") || what.starts_with("another version") {
                let expected = if op == Op::Destroy { 200 } else { 409 };
                assert_eq!(outcome.status, expected, "{what}, {op:?}");
            }
            assert!(world.free.end_all("ada").await.is_ok(), "{what}, {op:?}");
        }
    }
}

#[tokio::test]
async fn what_lies_under_a_subjects_key_lets_nobody_in_and_is_said() {
    let counters = Counters::install();
    let server = RedisServer::start();
    let sessions = patient(Sessions::options(key()), &server.url());
    let layer = SessionLayer::new(sessions.clone());
    for command in [&["SET", "KEY", "text"][..], &["RPUSH", "KEY", "a"]] {
        assert_eq!(server.cli(&["FLUSHALL"]).text(), "OK");
        let (browser, visitor) = (Browser::new(&layer), Browser::new(&layer));
        browser.ask(&app(), "/login").await;
        visitor.ask(&app(), "/write").await;
        let keys = server.cli(&["KEYS", "*{of:*"]);
        let list = keys.array()[0].text();
        drop(server.cli(&["DEL", &list]));
        let command: Vec<_> = command.iter().map(|word| if *word == "KEY" { list.as_str() } else { word }).collect();
        assert!(!server.cli(&command).is_error());
        // Who is logged in stays so; that an end failed, or a login, is no secret.
        assert_eq!(said(&browser.ask(&app(), "/write").await), (200, "ada Some(1)"));
        assert!(sessions.end_all("ada").await.is_err() && sessions.list("ada").await.is_err());
        for (browser, path) in [(&visitor, "/login"), (&browser, "/logout")] {
            let cookie = browser.cookie();
            assert_eq!(browser.ask(&app(), path).await.status(), 503);
            assert_eq!(browser.cookie(), cookie);
        }
        assert_eq!(said(&visitor.ask(&app(), "/").await), (200, " Some(1)"), "as it was");
        assert_eq!(server.cli(&["DEL", &list]).int(), 1);
        assert_eq!(browser.ask(&app(), "/logout").await.status(), 200);
    }
    let before = counters.get("buttress_session_bad_records_total");
    assert_eq!(server.cli(&["FLUSHALL"]).text(), "OK");
    let browser = Browser::new(&layer);
    browser.ask(&app(), "/login").await;
    let list = server.cli(&["KEYS", "*{of:*"]).array()[0].text();
    for entry in ["", "text", "x - 1 9999999999999 + phone", &format!("{NAME} - 1 {FAR} ? phone")] {
        drop(server.cli(&["HSET", &list, "odd", entry]));
        assert_eq!(sessions.list("ada").await.unwrap().len(), 1, "{entry}");
        assert_eq!(sessions.end_all("ada").await.unwrap(), 1, "{entry}");
        assert_eq!(browser.ask(&app(), "/login").await.status(), 200);
    }
    assert!(counters.get("buttress_session_bad_records_total") >= before + 8, "counted each time");
}
