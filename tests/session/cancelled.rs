//! Requests that nobody waits for, that panic, fail or write too late: what was told to nobody happened whole or not at all, and what was told is kept.

use std::sync::Arc;

use buttress::session::{Session, SessionError, SessionErrorKind, SessionLayer, Sessions};
use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use tokio::sync::{Notify, mpsc};
use tower::{Layer as _, ServiceExt as _};

use crate::bed::Stepped;
use crate::browser::{Browser, Handler, both, handler, said, text};
use crate::stage::{Op, World, defaults, grace_is_over};

/// Writes a field, does this as well, and has enough of its own [`save`](Session::save) when it is told so.
fn impatient(also: Op, enough: &Arc<Notify>) -> Handler {
    let enough = Arc::clone(enough);
    handler(move |_, session: Session| {
        let enough = Arc::clone(&enough);
        async move {
            session.insert("mine", &true).await?;
            match also {
                Op::Renew => session.renew().await?,
                Op::Login => drop(session.login("ada").await?),
                _ => {}
            }
            tokio::select! {
                saved = session.save() => saved?,
                () = enough.notified() => {}
            }
            Ok(text("well"))
        }
    })
}

#[tokio::test]
async fn a_save_that_was_not_waited_for_is_done_with_the_response() {
    let world = World::new(defaults).await;
    let (gate, sessions) = &world.processes[0];
    for (also, is_logged_in) in
        [(Op::Write, false), (Op::Renew, false), (Op::Renew, true), (Op::Login, false), (Op::Login, true)]
    {
        for scripts in 1.. {
            let first = world.begin(is_logged_in).await;
            let browser = Arc::new(first.with(&SessionLayer::new(sessions.clone())));
            let (asking, enough) = (Arc::clone(&browser), Arc::new(Notify::new()));
            let app = impatient(also, &enough);
            let request = Stepped::begin(gate, async move { asking.ask(&app, "/").await }).await;
            for _ in 0..scripts {
                if !request.is_done() {
                    request.step().await;
                }
            }
            let is_over = request.is_done();
            enough.notify_one();
            let response = request.finish().await;
            let what = format!("{also:?}, {is_logged_in}, after {scripts} scripts");
            assert_eq!(said(&response), (200, "well"), "{what}");
            assert_eq!(browser.cookie() != first.cookie(), also != Op::Write, "{what}");
            grace_is_over(&world.server);
            let view = world.view(&browser).await;
            assert_eq!(view.fields, ["first", "mine"], "{what}");
            assert_eq!(view.who == "ada", is_logged_in || also == Op::Login, "{what}");
            if view.who == "ada" {
                assert_eq!(world.free.list("ada").await.unwrap().len(), 1, "{what}");
                assert_eq!(world.free.end_all("ada").await.unwrap(), 1, "{what}");
                assert_eq!(world.view(&browser).await.who, "", "{what}");
            }
            if is_over {
                assert!(scripts > 1, "it was interrupted");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_response_waits_for_a_save_beside_it() {
    let world = World::new(defaults).await;
    let (gate, sessions) = &world.processes[0];
    let first = world.begin(false).await;
    let browser = Arc::new(first.with(&SessionLayer::new(sessions.clone())));
    let asking = Arc::clone(&browser);
    let app = handler(async |_, session: Session| {
        session.login("ada").await?;
        let same = session.clone();
        let saving = tokio::spawn(async move { same.save().await });
        tokio::task::yield_now().await;
        assert!(!saving.is_finished());
        Ok(text("well"))
    });
    let request = Stepped::begin(gate, async move { asking.ask(&app, "/").await }).await;
    request.step().await; // it is loaded
    assert!(!request.is_done(), "its login is on its way, and the answer has to say by which id");
    assert_eq!(said(&request.finish().await), (200, "well"));
    assert_eq!(world.view(&browser).await.who, "ada");
}

#[tokio::test]
async fn what_failed_is_not_saved_later() {
    both(
        |options| options,
        async |sessions| {
            let browser = Browser::new(&SessionLayer::new(sessions));
            let begin = handler(async |_, session: Session| session.insert("a", &1).await.map(|()| text("")));
            browser.ask(&begin, "/").await;
            let (sender, mut kept) = mpsc::unbounded_channel();
            let fails = handler(move |_, session: Session| {
                let sender = sender.clone();
                async move {
                    session.insert("a", &2).await?;
                    session.logout().await?;
                    sender.send(session).expect("somebody waits");
                    let mut response = text("");
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    Ok(response)
                }
            });
            assert_eq!(browser.ask(&fails, "/").await.status(), 500);
            let session = kept.recv().await.expect("a session");
            assert_eq!(session.save().await.map_err(|error| error.kind()), Err(SessionErrorKind::Late));
            assert_eq!(reads(&browser).await, "1");
        },
    )
    .await;
}

#[tokio::test]
async fn a_handler_that_panics_or_fails_leaves_all_as_it_was() {
    both(
        |options| options,
        async |sessions| {
            let layer = SessionLayer::new(sessions.clone());
            let browser = Arc::new(Browser::new(&layer));
            let begin = handler(async |_, session: Session| session.insert("a", &1).await.map(|()| text("")));
            browser.ask(&begin, "/").await;
            let (same, app) = (
                Arc::clone(&browser),
                handler(async |path, session: Session| -> Result<_, _> {
                    session.insert("a", &2).await?;
                    session.login("ada").await?;
                    if path == "/update" {
                        session.update("a", |_: &mut u8| panic!("in an update")).await?;
                    }
                    panic!("in a handler")
                }),
            );
            for path in ["/", "/update"] {
                let (same, app) = (Arc::clone(&same), Arc::clone(&app));
                assert!(tokio::spawn(async move { same.ask(&app, path).await }).await.unwrap_err().is_panic());
            }
            let fails = tower::service_fn(async |request: Request<()>| {
                let session = request.extensions().get::<Session>().expect("a session").clone();
                session.insert("a", &3).await.expect("it is there");
                session.login("ada").await.expect("it is there");
                Err::<Response<Empty<Bytes>>, _>("the service has failed")
            });
            let request = Request::get("/").header(COOKIE, browser.cookie().expect("one")).body(()).unwrap();
            assert_eq!(layer.layer(fails).oneshot(request).await.unwrap_err(), "the service has failed");
            assert_eq!(reads(&browser).await, "1");
            assert_eq!(sessions.list("ada").await.unwrap(), []);
        },
    )
    .await;
}

#[tokio::test]
async fn a_body_that_writes_is_too_late() {
    both(
        |options| options,
        async |sessions| {
            let layer = SessionLayer::new(sessions);
            let service = tower::service_fn(async |request: Request<()>| {
                let session = request.extensions().get::<Session>().expect("a session").clone();
                session.insert("a", &1).await?;
                let body = futures_util::stream::once(async move {
                    let read = session.get::<u8>("a").await;
                    let late = session.insert("a", &2).await.map_err(|error| error.kind());
                    let saved = session.save().await.map_err(|error| error.kind());
                    let said = format!("{} {late:?} {saved:?}", read.unwrap().unwrap());
                    Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(said)))
                });
                Ok::<_, SessionError>(Response::new(StreamBody::new(Box::pin(body))))
            });
            let response = layer.layer(service).oneshot(Request::get("/").body(()).unwrap()).await.unwrap();
            let cookie = response.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "1 Err(Late) Ok(())", "there is nothing to be saved");
            let browser = Browser::new(&layer);
            let (name, value) = cookie.split_once('=').unwrap();
            browser.plant(name, value);
            assert_eq!(reads(&browser).await, "1");
        },
    )
    .await;
}

async fn reads(browser: &Browser) -> String {
    let app = handler(async |_, session: Session| {
        Ok(text(session.get::<u8>("a").await?.map(|a| a.to_string()).unwrap_or_default()))
    });
    said(&browser.ask(&app, "/").await).1.to_owned()
}

/// One process seals the fields of new sessions, and one does not yet.
#[tokio::test]
async fn sealing_that_is_switched_on_loses_nothing_of_requests_on_their_way() {
    let world = World::new(defaults).await;
    let first = world.begin(true).await;
    let sealing = Sessions::options(crate::browser::key()).seal_fields();
    let sealing = SessionLayer::new(crate::bed::patient(sealing, &world.server.url()));
    let renewed = first.with(&sealing);
    assert_eq!(renewed.ask(&crate::stage::app(), "/Renew/").await.status(), 200);
    for (number, layer) in [(1, &sealing), (2, &SessionLayer::new(world.free.clone()))] {
        let on_its_way = first.with(layer);
        assert_eq!(on_its_way.ask(&crate::stage::app(), &format!("/Write/{number}")).await.status(), 200);
        let seen = world.view(&on_its_way).await;
        assert_eq!(seen, world.view(&renewed).await);
        assert!(seen.fields.contains(&format!("of-{number}")), "{seen:?}");
    }
}
