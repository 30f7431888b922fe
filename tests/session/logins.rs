//! Who is logged in, where, and until when.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress::core::{EndLogin, Ending, ManualClock};
use buttress::session::{CookieKey, Session, SessionErrorKind, SessionLayer, Sessions};
use http::StatusCode;
use tokio::sync::Barrier;

use crate::browser::{Browser, Handler, both, handler, key, said, text};

/// `/login/NAME`, `/logout`, and who it is.
fn app() -> Handler {
    handler(async |path, session| {
        let mut parts = path[1..].split('/');
        match parts.next().unwrap_or_default() {
            "login" => {
                let sid = session.login(parts.next().unwrap_or_default()).await?;
                assert_eq!(session.sid().await?, Some(sid));
            }
            "logout" => session.logout().await?,
            "destroy" => session.destroy().await?,
            "renew" => session.renew().await?,
            "write" => session.insert("a", &parts.next()).await?,
            "farewell" => {
                session.logout().await?;
                session.flash(buttress::session::Level::Info, "bye").await?;
            }
            "switch" => {
                session.logout().await?;
                session.login("eve").await?;
            }
            "csrf" => return Ok(text(session.csrf_token().await?)),
            "is-csrf" => {
                let presented = parts.next().unwrap_or_default();
                return Ok(text(session.is_csrf_token(presented).await?.to_string()));
            }
            "sid" => return Ok(text(session.sid().await?.unwrap_or_default())),
            _ => {}
        }
        let (who, a) = (session.subject().await?, session.get::<String>("a").await?);
        Ok(text(format!("{} {}", who.unwrap_or("nobody".to_owned()), a.unwrap_or_default())))
    })
}

#[tokio::test]
async fn who_knew_the_id_before_a_login_is_not_logged_in_with_it() {
    both(
        |options| options,
        async |sessions| {
            let (victim, app) = (Browser::new(&SessionLayer::new(sessions)), app());
            victim.ask(&app, "/write/cart").await;
            let attacker = victim.stolen();
            let before = victim.cookie();
            assert_eq!(said(&victim.ask(&app, "/login/ada").await).1, "ada cart");
            assert_ne!(victim.cookie(), before, "a new id");
            assert_eq!(said(&victim.ask(&app, "/").await).1, "ada cart", "what was in it stays");
            assert_eq!(said(&attacker.ask(&app, "/").await).1, "nobody cart", "as it was, for requests on their way");
            let written = attacker.ask(&app, "/write/evil").await;
            assert_eq!(written.status(), StatusCode::CONFLICT, "and nothing is written by it");
            assert!(!written.headers().contains_key("set-cookie"));
            assert_eq!(attacker.ask(&app, "/logout").await.status(), StatusCode::CONFLICT);
            assert_eq!(said(&victim.ask(&app, "/").await).1, "ada cart");
        },
    )
    .await;
}

#[tokio::test]
async fn a_new_id_leaves_requests_on_their_way_logged_in() {
    both(
        |options| options,
        async |sessions| {
            let (browser, app) = (Browser::new(&SessionLayer::new(sessions)), app());
            browser.ask(&app, "/login/ada").await;
            let on_its_way = browser.stolen();
            browser.ask(&app, "/renew").await;
            assert_ne!(browser.cookie(), on_its_way.cookie());
            assert_eq!(said(&on_its_way.ask(&app, "/write/late").await), (200, "ada late"));
            assert_eq!(said(&browser.ask(&app, "/").await).1, "ada late", "it is one session");
            assert_eq!(on_its_way.ask(&app, "/renew").await.status(), StatusCode::OK);
            browser.ask(&app, "/logout").await;
            assert_eq!(said(&on_its_way.ask(&app, "/").await).1, "nobody ", "and it ends as one");
        },
    )
    .await;
}

#[tokio::test]
async fn without_grace_the_old_id_is_nothing_at_once() {
    both(
        |options| options.grace(Duration::ZERO),
        async |sessions| {
            let (browser, app) = (Browser::new(&SessionLayer::new(sessions)), app());
            browser.ask(&app, "/login/ada").await;
            let old = browser.stolen();
            browser.ask(&app, "/renew").await;
            assert_eq!(said(&old.ask(&app, "/").await).1, "nobody ");
            assert_eq!(said(&browser.ask(&app, "/").await).1, "ada ");
        },
    )
    .await;
}

#[tokio::test]
async fn what_is_somebody_elses_does_not_go_over() {
    both(
        |options| options,
        async |sessions| {
            let (browser, app) = (Browser::new(&SessionLayer::new(sessions.clone())), app());
            browser.ask(&app, "/login/ada").await;
            browser.ask(&app, "/write/secret").await;
            assert_eq!(said(&browser.ask(&app, "/login/ada").await).1, "ada secret", "the same again");
            assert_eq!(sessions.list("ada").await.unwrap().len(), 1, "is one login");
            let old = browser.stolen();
            assert_eq!(said(&browser.ask(&app, "/login/eve").await).1, "eve ");
            assert_eq!(said(&browser.ask(&app, "/").await).1, "eve ");
            assert_eq!(said(&old.ask(&app, "/").await).1, "nobody ", "the other one has ended");
            assert_eq!(sessions.list("ada").await.unwrap(), []);
            assert_eq!(said(&browser.ask(&app, "/write/more").await).1, "eve more");
            assert_eq!(said(&browser.ask(&app, "/switch").await).1, "eve ", "a logout between forgets");
            assert_eq!(sessions.list("eve").await.unwrap().len(), 1);
        },
    )
    .await;
}

#[tokio::test]
async fn who_logs_out_is_out_everywhere_and_what_comes_after_is_new() {
    both(
        |options| options,
        async |sessions| {
            let layer = SessionLayer::new(sessions.clone()).clear_site_data(["cache", "storage"]);
            let app = app();
            for (path, expected, keeps) in [("/logout", 200, false), ("/destroy", 200, false), ("/farewell", 200, true)]
            {
                let browser = Browser::new(&layer);
                browser.ask(&app, "/login/ada").await;
                let copy = browser.stolen();
                let response = browser.ask(&app, path).await;
                assert_eq!((response.status().as_u16(), browser.cookie().is_some()), (expected, keeps), "{path}");
                assert_eq!(response.headers().contains_key("clear-site-data"), !keeps, "{path}");
                assert_eq!(said(&copy.ask(&app, "/").await).1, "nobody ", "{path}");
                assert_eq!(sessions.list("ada").await.unwrap(), [], "{path}");
                let written = copy.ask(&app, "/write/x").await;
                assert_eq!(said(&written), (200, "nobody x"), "{path}: a session of its own");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn an_ended_session_is_not_written_to_and_the_writer_learns() {
    both(
        |options| options,
        async |sessions| {
            for ignores in [false, true] {
                let layer = SessionLayer::new(sessions.clone());
                let layer = if ignores { layer.ignore_ended() } else { layer };
                let (browser, app) = (Browser::new(&layer), app());
                browser.ask(&app, "/login/ada").await;
                let gate = Arc::new(Barrier::new(2));
                let inside = Arc::clone(&gate);
                let slow = handler(move |_, session: Session| {
                    let gate = Arc::clone(&inside);
                    async move {
                        session.insert("a", "late").await?;
                        gate.wait().await;
                        gate.wait().await;
                        let saved = session.save().await.map_err(|error| error.kind());
                        Ok(text(format!("{saved:?}")))
                    }
                });
                let end = async {
                    gate.wait().await;
                    assert_eq!(sessions.end_all("ada").await.unwrap(), 1);
                    gate.wait().await;
                };
                let (response, ()) = tokio::join!(browser.ask(&slow, "/"), end);
                if ignores {
                    assert_eq!(said(&response), (200, "Err(Ended)"));
                } else {
                    assert_eq!(response.status(), StatusCode::CONFLICT);
                    assert_eq!(response.extensions().get(), Some(&SessionErrorKind::Ended));
                }
                assert!(!response.headers().contains_key("set-cookie"), "the browser may have a newer one");
                assert_eq!(said(&browser.ask(&app, "/").await).1, "nobody ");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn logins_are_listed_and_ended_one_by_one() {
    both(
        |options| options,
        async |sessions| {
            let layer = SessionLayer::new(sessions.clone());
            let browsers: Vec<_> = (0..4).map(|_| Browser::new(&layer)).collect();
            let app = app();
            for browser in &browsers {
                browser.ask(&app, "/login/ada").await;
            }
            let sid = async |n: usize| said(&browsers[n].ask(&app, "/sid").await).1.to_owned();
            let devices = sessions.list("ada").await.unwrap();
            assert_eq!(devices.len(), 4);
            for device in &devices {
                assert_eq!(device.label, "test browser");
                assert!(device.since <= device.seen && device.seen < device.until);
            }
            assert_eq!(sessions.list("eve").await.unwrap(), []);

            assert!(!sessions.end("eve", &sid(0).await).await.unwrap(), "not hers");
            assert!(sessions.end("ada", &sid(0).await).await.unwrap());
            assert!(!sessions.end("ada", "nonsense").await.unwrap());
            let alive = async || {
                let mut alive = String::new();
                for browser in &browsers {
                    alive.push_str(if said(&browser.ask(&app, "/").await).1 == "ada " { "x" } else { "-" });
                }
                alive
            };
            assert_eq!(alive().await, "-xxx");
            browsers[1].ask(&app, "/renew").await;
            assert_eq!(sessions.end_others("ada", &sid(1).await).await.unwrap(), 2);
            assert_eq!(alive().await, "-x--");
            assert_eq!(sessions.list("ada").await.unwrap().len(), 1);
            assert_eq!(sessions.end_all("ada").await.unwrap(), 1);
            assert_eq!(alive().await, "----");
            assert_eq!(sessions.end_all("ada").await.unwrap(), 0);
        },
    )
    .await;
}

#[tokio::test]
async fn one_login_too_many_ends_the_oldest() {
    both(
        |options| options.most_logins(2),
        async |sessions| {
            let layer = SessionLayer::new(sessions.clone());
            let (first, second, third) = (Browser::new(&layer), Browser::new(&layer), Browser::new(&layer));
            let app = app();
            for browser in [&first, &second, &third] {
                browser.ask(&app, "/login/ada").await;
                tokio::time::sleep(Duration::from_millis(2)).await; // the oldest by its time
            }
            assert_eq!(said(&first.ask(&app, "/").await).1, "nobody ");
            assert_eq!(said(&second.ask(&app, "/").await).1, "ada ");
            assert_eq!(said(&third.ask(&app, "/").await).1, "ada ");
            assert_eq!(sessions.list("ada").await.unwrap().len(), 2);
        },
    )
    .await;
}

/// What hangs on sessions, and can be told to fail.
#[derive(Default)]
struct Tokens {
    ended: Mutex<Vec<String>>,
    fails: Mutex<bool>,
}

impl EndLogin for Tokens {
    fn end_login<'a>(&'a self, login: &'a str) -> Ending<'a> {
        Box::pin(async move {
            if *self.fails.lock().unwrap() {
                return Err("away".into());
            }
            self.ended.lock().unwrap().push(login.to_owned());
            Ok(())
        })
    }
}

#[tokio::test]
async fn what_hangs_on_a_session_ends_with_it_or_it_goes_on() {
    let tokens = Arc::new(Tokens::default());
    both(
        |options| options.ends(tokens.clone()),
        async |sessions| {
            let (browser, app) = (Browser::new(&SessionLayer::new(sessions.clone())), app());
            browser.ask(&app, "/login/ada").await;
            let sid = said(&browser.ask(&app, "/sid").await).1.to_owned();
            *tokens.fails.lock().unwrap() = true;
            let response = browser.ask(&app, "/logout").await;
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(browser.cookie().is_some() && !response.headers().contains_key("set-cookie"));
            assert_eq!(sessions.end_all("ada").await.unwrap_err().kind(), SessionErrorKind::Hanging);
            assert_eq!(said(&browser.ask(&app, "/").await).1, "ada ", "it can be tried again");
            *tokens.fails.lock().unwrap() = false;
            assert_eq!(browser.ask(&app, "/logout").await.status(), StatusCode::OK);
            assert!(tokens.ended.lock().unwrap().contains(&sid));
            assert_eq!(said(&browser.ask(&app, "/").await).1, "nobody ");

            browser.ask(&app, "/login/ada").await;
            let sid = said(&browser.ask(&app, "/sid").await).1.to_owned();
            browser.ask(&app, "/renew").await;
            assert_eq!(said(&browser.ask(&app, "/sid").await).1, sid, "it stays when the id changes");
            sessions.end_all("ada").await.unwrap();
            assert!(tokens.ended.lock().unwrap().contains(&sid));
        },
    )
    .await;
}

#[tokio::test]
async fn a_login_is_as_fresh_as_the_last_proof() {
    let hand = ManualClock::at(std::time::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let sessions = Sessions::options(key()).clock(hand.clock()).embedded();
    let browser = Browser::new(&SessionLayer::new(sessions));
    let fresh = handler(async |path, session| {
        if path == "/login" {
            session.login("ada").await?;
        }
        Ok(text(session.is_fresh(Duration::from_secs(300)).await?.to_string()))
    });
    for (path, seconds, expected) in [
        ("/", 0, "false"),
        ("/login", 0, "true"),
        ("/", 300, "true"),
        ("/", 1, "false"),
        ("/login", 9, "true"),
        ("/", 1, "true"),
    ] {
        hand.advance(Duration::from_secs(seconds));
        assert_eq!(said(&browser.ask(&fresh, path).await).1, expected, "{path} {seconds}");
    }
}

#[tokio::test]
async fn it_ends_when_it_is_not_used_and_when_it_is_old() {
    let hand = ManualClock::at(std::time::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let options = Sessions::options(key()).idle(Duration::from_secs(600)).longest(Duration::from_secs(3600));
    let browser = Browser::new(&SessionLayer::new(options.clock(hand.clock()).embedded()));
    let app = app();
    browser.ask(&app, "/login/ada").await;
    for _ in 0..7 {
        hand.advance(Duration::from_secs(500));
        assert_eq!(said(&browser.ask(&app, "/").await).1, "ada ");
    }
    hand.advance(Duration::from_secs(101));
    assert_eq!(said(&browser.ask(&app, "/").await).1, "nobody ", "an hour old");
    browser.ask(&app, "/login/ada").await;
    hand.advance(Duration::from_secs(601));
    assert_eq!(said(&browser.ask(&app, "/").await).1, "nobody ", "ten minutes unused");
}

#[tokio::test]
async fn the_word_of_forms_is_the_sessions_own_and_new_after_a_login() {
    both(
        |options| options,
        async |sessions| {
            let layer = SessionLayer::new(sessions);
            let (browser, stranger, app) = (Browser::new(&layer), Browser::new(&layer), app());
            let word = said(&browser.ask(&app, "/csrf").await).1.to_owned();
            assert_eq!(said(&browser.ask(&app, "/csrf").await).1, word);
            for (who, presented, expected) in [
                (&browser, &*word, "true"),
                (&browser, "", "false"),
                (&stranger, &word, "false"),
                (&stranger, "", "false"),
            ] {
                assert_eq!(said(&who.ask(&app, &format!("/is-csrf/{presented}")).await).1, expected);
            }
            browser.ask(&app, "/login/ada").await;
            assert_eq!(said(&browser.ask(&app, &format!("/is-csrf/{word}")).await).1, "false");
            assert_ne!(said(&browser.ask(&app, "/csrf").await).1, word);
        },
    )
    .await;
}

#[tokio::test]
async fn a_former_key_is_believed_and_its_cookie_sealed_anew() {
    let new_key = CookieKey::new(*b"another one with enough entropy.").unwrap();
    let server = buttress_tests::RedisServer::start();
    let redis = buttress::redis::Redis::connect(&server.url()).unwrap();
    let old = SessionLayer::new(Sessions::options(key()).redis(redis.clone()));
    let both_keys = Sessions::options(new_key.clone()).former_key(key()).redis(redis.clone());
    let new = SessionLayer::new(Sessions::options(new_key).redis(redis));
    let app = app();
    let browser = Browser::new(&old);
    browser.ask(&app, "/login/ada").await;
    let rotating = browser.with(&SessionLayer::new(both_keys));
    let before = rotating.cookie();
    assert_eq!(said(&rotating.ask(&app, "/").await).1, "ada ");
    assert_ne!(rotating.cookie(), before);
    assert_eq!(said(&rotating.with(&new).ask(&app, "/").await).1, "ada ", "the old key can go");
    assert_eq!(said(&browser.with(&new).ask(&app, "/").await).1, "nobody ");
}
