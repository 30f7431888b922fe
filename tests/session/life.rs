//! What a session is from request to request.

use buttress::session::{Level, Session, SessionErrorKind, SessionLayer};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::browser::{Browser, Handler, at_rest, both, handler, said, text};

/// An application for most of it.
fn app() -> Handler {
    handler(async |path, session| {
        Ok(match &path[1..] {
            "read" => text(format!("{:?}", session.get::<String>("a").await?)),
            "write" => {
                session.insert("a", "written").await?;
                text("done")
            }
            "remove" => text(format!("{:?}", session.remove::<String>("a").await?)),
            "count" => text(session.incr("n", 1).await?.to_string()),
            "push" => {
                let all = session.update("list", |list: &mut Vec<u8>| list.push(1)).await?;
                text(all.len().to_string())
            }
            "fields" => text(session.fields().await?.join(",")),
            "empty" => text(session.is_empty().await?.to_string()),
            "clear" => {
                session.clear().await?;
                text("done")
            }
            "number" => text(format!("{:?}", session.get::<u8>("a").await.map_err(|error| error.kind()))),
            "fails" => {
                session.insert("a", "of an error").await?;
                session.renew().await?;
                session.login("ada").await?;
                let mut response = text("failed");
                *response.status_mut() = StatusCode::BAD_GATEWAY;
                response
            }
            "large" => {
                let error = session.insert("a", &"x".repeat(2000)).await.unwrap_err();
                text(error.kind().as_str())
            }
            "names" => {
                let none = session.insert("", &1).await.unwrap_err().kind();
                let long = session.incr(&"n".repeat(257), 1).await.unwrap_err().kind();
                text(format!("{none:?} {long:?}"))
            }
            "flash" => {
                session.flash(Level::Success, "saved").await?;
                session.flash(Level::Error, "not <all>").await?;
                text("done")
            }
            "flashes" => {
                let flashes = session.flashes().await?;
                let words = flashes.iter().map(|flash| format!("{}:{}", flash.level.as_str(), flash.message));
                text(words.collect::<Vec<_>>().join(" "))
            }
            "nothing" => text(""),
            path => unreachable!("{path}"),
        })
    })
}

#[tokio::test]
async fn what_is_written_is_read_by_the_next_request() {
    both(
        |options| options,
        async |sessions| {
            let (browser, app) = (Browser::new(&SessionLayer::new(sessions)), app());
            let steps = [
                ("/read", "None"),
                ("/empty", "true"),
                ("/write", "done"),
                ("/read", "Some(\"written\")"),
                ("/number", "Err(Unreadable)"),
                ("/count", "1"),
                ("/count", "2"),
                ("/push", "1"),
                ("/push", "2"),
                ("/fields", "a,list,n"),
                ("/empty", "false"),
                ("/remove", "Some(\"written\")"),
                ("/remove", "None"),
                ("/fields", "list,n"),
                ("/clear", "done"),
                ("/fields", ""),
            ];
            for (path, expected) in steps {
                let response = browser.ask(&app, path).await;
                assert_eq!(said(&response), (200, expected), "{path}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_visitor_who_writes_nothing_has_no_cookie() {
    both(
        |options| options,
        async |sessions| {
            let (browser, app) = (Browser::new(&SessionLayer::new(sessions)), app());
            for path in ["/nothing", "/read", "/remove", "/clear", "/flashes", "/fails"] {
                let response = browser.ask(&app, path).await;
                assert!(!response.headers().contains_key("set-cookie"), "{path}");
            }
            let response = browser.ask(&app, "/count").await;
            assert!(response.headers().contains_key("set-cookie"));
            let response = browser.ask(&app, "/count").await;
            assert!(!response.headers().contains_key("set-cookie"), "it is set once");
        },
    )
    .await;
}

#[tokio::test]
async fn an_error_leaves_all_as_it_was() {
    both(
        |options| options,
        async |sessions| {
            let (browser, app) = (Browser::new(&SessionLayer::new(sessions.clone())), app());
            browser.ask(&app, "/write").await;
            let cookie = browser.cookie();
            assert_eq!(said(&browser.ask(&app, "/fails").await), (502, "failed"));
            assert_eq!(browser.cookie(), cookie, "no new id");
            assert_eq!(said(&browser.ask(&app, "/read").await).1, "Some(\"written\")");
            assert_eq!(sessions.list("ada").await.unwrap(), [], "and nobody is logged in");

            let keeping = Browser::new(&SessionLayer::new(sessions.clone()).keep_on_error());
            assert_eq!(said(&keeping.ask(&app, "/fails").await), (502, "failed"));
            assert_eq!(said(&keeping.ask(&app, "/read").await).1, "Some(\"of an error\")");
            assert_eq!(sessions.list("ada").await.unwrap().len(), 1);
        },
    )
    .await;
}

#[tokio::test]
async fn it_is_bounded() {
    both(
        |options| options.most_bytes(1000),
        async |sessions| {
            let (browser, app) = (Browser::new(&SessionLayer::new(sessions)), app());
            assert_eq!(said(&browser.ask(&app, "/large").await), (200, "session-too-large"));
            assert_eq!(said(&browser.ask(&app, "/names").await), (200, "Name Name"));
            assert_eq!(browser.cookie(), None);
        },
    )
    .await;
}

#[tokio::test]
async fn messages_are_shown_once() {
    both(
        |options| options,
        async |sessions| {
            let (browser, app) = (Browser::new(&SessionLayer::new(sessions)), app());
            browser.ask(&app, "/flash").await;
            assert_eq!(said(&browser.ask(&app, "/fields").await).1, "", "they are no field");
            assert_eq!(said(&browser.ask(&app, "/flashes").await).1, "success:saved error:not <all>");
            assert_eq!(said(&browser.ask(&app, "/flashes").await).1, "");
        },
    )
    .await;
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Shopper {
    visits: u32,
    cart: Vec<String>,
    coupon: Option<String>,
}

#[tokio::test]
async fn a_session_is_a_type_as_well() {
    let app = handler(async |path, session: Session| {
        let shopper = session.typed::<Shopper>();
        match &path[1..] {
            "add" => drop(shopper.update(|all| all.cart.push("tea".to_owned())).await?),
            "visit" => drop(shopper.update(|all| (all.visits, all.coupon) = (all.visits + 1, None)).await?),
            "coupon" => drop(shopper.update(|all| all.coupon = Some("x".to_owned())).await?),
            "both" => {
                session.incr("visits", 10).await?;
                shopper.update(|all| all.visits *= 2).await?;
                session.insert("other", &true).await?;
            }
            _ => {}
        }
        let Shopper { visits, cart, coupon } = shopper.get().await?;
        Ok(text(format!("{visits} {cart:?} {coupon:?} {}", session.fields().await?.join(","))))
    });
    both(
        |options| options,
        async |sessions| {
            let browser = Browser::new(&SessionLayer::new(sessions));
            for (path, expected) in [
                ("/", "0 [] None "),
                ("/add", "0 [\"tea\"] None cart"),
                ("/coupon", "0 [\"tea\"] Some(\"x\") cart,coupon"),
                ("/visit", "1 [\"tea\"] None cart,visits"),
                ("/both", "22 [\"tea\"] None cart,other,visits"),
                ("/", "22 [\"tea\"] None cart,other,visits"),
            ] {
                assert_eq!(said(&browser.ask(&app, path).await), (200, expected), "{path}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn two_requests_at_the_same_time_lose_nothing_of_each_other() {
    both(
        |options| options,
        async |sessions| {
            let layer = SessionLayer::new(sessions);
            let browser = Browser::new(&layer);
            browser.ask(&app(), "/write").await;
            // Both have read before either writes.
            let gate = std::sync::Arc::new(tokio::sync::Barrier::new(2));
            let slow = handler(move |path: String, session: Session| {
                let gate = std::sync::Arc::clone(&gate);
                async move {
                    session.get::<String>("a").await?;
                    gate.wait().await;
                    session.insert(&path[1..], "mine").await?;
                    session.incr("n", 1).await?;
                    session.update("list", |list: &mut Vec<u8>| list.push(1)).await?;
                    session.typed::<Shopper>().update(|all| all.visits += 1).await?;
                    Ok(text(""))
                }
            });
            let (one, other) = tokio::join!(browser.ask(&slow, "/one"), browser.ask(&slow, "/other"));
            assert_eq!((one.status(), other.status()), (StatusCode::OK, StatusCode::OK));
            let check = handler(async |_, session| {
                let list = session.get::<Vec<u8>>("list").await?.unwrap_or_default();
                let n = session.get::<u8>("n").await?;
                let visits = session.typed::<Shopper>().get().await?.visits;
                Ok(text(format!("{} {n:?} {} {visits}", session.fields().await?.join(","), list.len())))
            });
            assert_eq!(said(&browser.ask(&check, "/").await).1, "a,list,n,one,other,visits Some(2) 2 2");
        },
    )
    .await;
}

#[tokio::test]
async fn a_write_after_the_response_is_an_error() {
    both(
        |options| options,
        async |sessions| {
            let (sender, mut kept) = tokio::sync::mpsc::unbounded_channel();
            let keeps = handler(move |_, session: Session| {
                let sender = sender.clone();
                async move {
                    session.insert("a", "in time").await?;
                    session.save().await?;
                    session.insert("b", "in time").await?;
                    sender.send(session).expect("somebody waits");
                    Ok(text(""))
                }
            });
            let browser = Browser::new(&SessionLayer::new(sessions));
            browser.ask(&keeps, "/").await;
            let session = kept.recv().await.expect("a session");
            for error in [
                session.insert("a", "late").await.unwrap_err(),
                session.incr("n", 1).await.unwrap_err(),
                session.login("ada").await.unwrap_err(),
                session.logout().await.unwrap_err(),
                session.renew().await.unwrap_err(),
            ] {
                assert_eq!(error.kind(), SessionErrorKind::Late);
            }
            assert_eq!(session.get::<String>("a").await.unwrap().as_deref(), Some("in time"), "it can be read");
            assert_eq!(said(&browser.ask(&app(), "/fields").await).1, "a,b");
        },
    )
    .await;
}

#[tokio::test]
async fn sealed_fields_are_read_by_their_cookie_alone() {
    let server = buttress_tests::RedisServer::start();
    let redis = buttress::redis::Redis::connect(&server.url()).unwrap();
    let options = buttress::session::Sessions::options(crate::browser::key());
    let layer = SessionLayer::new(options.seal_fields().redis(redis));
    let (browser, app) = (Browser::new(&layer), app());
    for (path, expected) in [("/write", "done"), ("/count", "1"), ("/count", "2"), ("/push", "1"), ("/push", "2")] {
        assert_eq!(said(&browser.ask(&app, path).await), (200, expected), "{path}");
    }
    let keys = server.cli(&["KEYS", "*"]);
    let key = keys.array()[0].text();
    let shown = at_rest(&server);
    assert!(shown.contains("=list") && !shown.contains("written"), "{shown}");

    // One in another's place is none, and the rest is read.
    let sealed = server.cli(&["HGET", &key, "=n"]);
    let buttress_tests::Reply::Bulk(sealed) = sealed else { panic!("{sealed:?}") };
    drop(server.cli(&[&b"HSET"[..], key.as_bytes(), b"=a", &sealed]));
    assert_eq!(said(&browser.ask(&app, "/read").await).1, "None");
    assert_eq!(said(&browser.ask(&app, "/count").await).1, "3");
}
