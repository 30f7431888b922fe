//! tower-sessions as it is released, with its sessions kept here.

use std::convert::Infallible;

use buttress::session::Sessions;
use buttress::session::tower_sessions::TowerSessionsStore;
use buttress_tests::RedisServer;
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response};
use time::OffsetDateTime;
use tower::{Layer as _, ServiceExt as _};
use tower_sessions::cookie::time;
use tower_sessions::session::{Id, Record};
use tower_sessions::{Expiry, SessionManagerLayer, SessionStore as _};

use crate::browser::{at_rest, both, key};

/// Asks an application of tower-sessions: the status, what it says, and the cookie that it sets.
async fn ask(sessions: &Sessions, cookie: &str, path: &'static str) -> (u16, String, Option<String>) {
    let layer = SessionManagerLayer::new(TowerSessionsStore::new(sessions.clone()))
        .with_expiry(Expiry::OnInactivity(time::Duration::hours(1)));
    let service = tower::service_fn(move |request: Request<String>| async move {
        let session = request.extensions().get::<tower_sessions::Session>().expect("a session").clone();
        match path {
            "/count" => {
                let n = session.get::<u64>("n").await.expect("read").unwrap_or(0) + 1;
                session.insert("n", n).await.expect("written");
                session.insert("name", "ada").await.expect("written");
            }
            "/remove" => drop(session.remove::<String>("name").await.expect("removed")),
            "/cycle" => session.cycle_id().await.expect("cycled"),
            "/flush" => session.flush().await.expect("flushed"),
            _ => {}
        }
        let n = session.get::<u64>("n").await.expect("read");
        let name = session.get::<String>("name").await.expect("read");
        Ok::<_, Infallible>(Response::new(format!("{n:?} {name:?}")))
    });
    let request = Request::get(path).header(COOKIE, cookie).body(String::new()).expect("a request");
    let response = layer.layer(service).oneshot(request).await.expect("an answer");
    let line = response.headers().get(SET_COOKIE).map(|line| line.to_str().expect("text"));
    let pair = line.map(|line| line.split(';').next().expect("a pair").to_owned());
    (response.status().as_u16(), response.into_body(), pair)
}

#[tokio::test]
async fn an_application_of_tower_sessions_goes_on() {
    both(|options| options, walk).await;
    both(|options| options.seal_fields(), walk).await;
}

async fn walk(sessions: Sessions) {
    assert_eq!(ask(&sessions, "", "/").await, (200, "None None".to_owned(), None));
    let (_, said, cookie) = ask(&sessions, "", "/count").await;
    let cookie = cookie.expect("a cookie");
    assert_eq!(said, "Some(1) Some(\"ada\")");
    assert_eq!(ask(&sessions, &cookie, "/count").await.1, "Some(2) Some(\"ada\")");
    assert_eq!(ask(&sessions, &cookie, "/remove").await.1, "Some(2) None");
    assert_eq!(ask(&sessions, &cookie, "/").await.1, "Some(2) None");
    let (_, said, next) = ask(&sessions, &cookie, "/cycle").await;
    let next = next.expect("another cookie");
    assert_eq!(said, "Some(2) None");
    assert_eq!(ask(&sessions, &cookie, "/").await.1, "None None", "the old id is nothing");
    assert_eq!(ask(&sessions, &next, "/").await.1, "Some(2) None");
    assert_eq!(ask(&sessions, &next, "/flush").await.1, "None None");
    assert_eq!(ask(&sessions, &next, "/").await.1, "None None");
    assert_eq!(ask(&sessions, "id=AAAAAAAAAAAAAAAAAAAAAA", "/").await.1, "None None");
}

fn record(id: Id) -> Record {
    let data = [("n".to_owned(), 1.into()), ("text".to_owned(), "x".into())];
    Record { id, data: data.into(), expiry_date: OffsetDateTime::now_utc() + time::Duration::hours(1) }
}

#[tokio::test]
async fn what_was_ended_stays_ended_and_the_writer_learns() {
    both(
        |options| options.most_bytes(100),
        async |sessions| {
            let store = TowerSessionsStore::new(sessions);
            let mut first = record(Id(7));
            store.create(&mut first).await.unwrap();
            assert_ne!(first.id, Id(7), "an id is never adopted");
            let found = store.load(&first.id).await.unwrap().unwrap();
            assert_eq!(found.data, first.data);
            assert!((found.expiry_date - first.expiry_date).abs() < time::Duration::milliseconds(2));

            let mut second = record(first.id);
            second.data.insert("long".to_owned(), "x".repeat(100).into());
            assert!(store.save(&second).await.unwrap_err().to_string().contains("larger"));
            assert_eq!(store.load(&first.id).await.unwrap().unwrap().data, first.data);

            store.delete(&first.id).await.unwrap();
            assert!(store.save(&first).await.unwrap_err().to_string().contains("ended"));
            assert_eq!(store.load(&first.id).await.unwrap(), None);
            store.delete(&first.id).await.unwrap();

            let mut past = record(Id(0));
            past.expiry_date = OffsetDateTime::now_utc() - time::Duration::seconds(1);
            store.create(&mut past).await.unwrap();
            assert_eq!(store.load(&past.id).await.unwrap(), None);
        },
    )
    .await;
}

#[tokio::test]
async fn neither_ids_nor_sealed_fields_lie_in_redis() {
    let server = RedisServer::start();
    let redis = buttress::redis::Redis::connect(&server.url()).unwrap();
    let sessions = Sessions::options(key()).seal_fields().redis(redis);
    let (_, _, cookie) = ask(&sessions, "", "/count").await;
    let cookie = cookie.unwrap();
    let id: Id = cookie.strip_prefix("id=").unwrap().parse().unwrap();
    let shown = at_rest(&server);
    assert!(shown.contains("=name") && !shown.contains("ada"), "{shown}");
    for secret in [id.to_string(), data_encoding::HEXLOWER.encode(&id.0.to_be_bytes())] {
        assert!(!shown.contains(&secret));
    }
    let store = TowerSessionsStore::new(sessions);
    server.kill();
    assert!(store.load(&id).await.is_err(), "away is not gone");
    assert!(store.save(&record(id)).await.is_err());
}
