//! A response that was made with what only its caller has: nobody else gets it, whatever its fields say.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress::cache::{Cache, CacheLayer, CacheOptions};
use buttress::core::Personal;
use buttress::session::{CookieKey, Session, SessionLayer, Sessions};
use buttress_tests::RedisServer;
use buttress_tests::body::{self, Slow, Tap};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, Service, ServiceExt as _};

use crate::bed::{Bed, Body, STORES, connected, request, response};

const FRESH: (&str, &str) = ("cache-control", "public, max-age=60");

/// Throws the switch, as whoever reads a caller's own state does.
fn mark(parts: &http::request::Parts) {
    parts.extensions.get::<Personal>().expect("the cache has left one").mark();
}

#[tokio::test]
async fn it_is_stored_nowhere() {
    for store in STORES {
        let bed = Bed::new(store, |parts| {
            if parts.uri.path() == "/mine" {
                mark(parts);
            }
            response(200, &[FRESH], "body")
        })
        .await;
        for call in 1..=3 {
            assert!(!bed.get("/mine").await.is_hit());
            assert_eq!(bed.calls.get(), call);
        }
        bed.get("/everybodys").await;
        assert!(bed.get("/everybodys").await.is_hit());
    }
}

#[tokio::test]
async fn what_is_nobodys_is_stored_although_the_last_one_was_somebodys() {
    for store in STORES {
        let bed = Bed::new(store, |parts| {
            if parts.headers.contains_key("x-me") {
                mark(parts);
            }
            response(200, &[FRESH], "body")
        })
        .await;
        bed.get_with("/x", &[("x-me", "1")]).await;
        bed.get("/x").await;
        assert!(bed.get("/x").await.is_hit(), "{store:?}");
        assert!(bed.get_with("/x", &[("x-me", "1")]).await.is_hit(), "it is for all");
    }
}

#[tokio::test]
async fn what_was_personal_before_the_cache_is_too() {
    let bed = Bed::new(STORES[0], |_| response(200, &[FRESH], "body")).await;
    let mut asked = request(Method::GET, "/x", &[]);
    Personal::of(asked.extensions_mut()).mark();
    bed.send(asked).await;
    assert!(!bed.get("/x").await.is_hit(), "its answer is not for others");
    let mut asked = request(Method::GET, "/x", &[]);
    Personal::of(asked.extensions_mut()).mark();
    assert!(bed.send(asked).await.is_hit(), "but those of others are for it");
}

#[tokio::test]
async fn those_who_wait_get_answers_of_their_own() {
    for store in STORES {
        let number = AtomicUsize::new(0);
        let bed = Bed::new(store, move |parts| {
            mark(parts);
            response(200, &[FRESH], number.fetch_add(1, Ordering::SeqCst).to_string())
        })
        .await;
        let all = futures_util::future::join_all((0..8).map(|_| bed.get("/x"))).await;
        let mut bodies: Vec<_> = all.iter().map(|reply| reply.text().to_owned()).collect();
        bodies.sort();
        bodies.dedup();
        assert_eq!(bodies.len(), 8);
    }
}

#[tokio::test]
async fn a_validation_or_a_refresh_for_one_says_nothing_of_the_others() {
    for store in STORES {
        let personal = Arc::new(AtomicUsize::new(0));
        let is_personal = Arc::clone(&personal);
        let swr = ("cache-control", "public, max-age=10, stale-while-revalidate=60");
        let bed = Bed::new(store, move |parts| {
            if is_personal.load(Ordering::SeqCst) == 1 {
                mark(parts);
            }
            let validated = parts.headers.contains_key("if-none-match");
            let cache_control = if parts.uri.path() == "/swr" { swr } else { FRESH };
            response(
                if validated { 304 } else { 200 },
                &[cache_control, ("etag", "\"1\"")],
                if validated { "" } else { "x" },
            )
        })
        .await;
        for (path, pause) in [("/x", 61), ("/swr", 11)] {
            personal.store(0, Ordering::SeqCst);
            bed.get(path).await;
            assert!(bed.get(path).await.is_hit());
            bed.hand.advance(Duration::from_secs(pause));
            personal.store(1, Ordering::SeqCst);
            let calls = bed.calls.get();
            for more in 1..=2 {
                assert_eq!(bed.get(path).await.text(), "x");
                while bed.calls.get() < calls + more {
                    tokio::task::yield_now().await; // the refresh runs behind
                }
                bed.cache.settled().await;
            }
            // It is as stale as before: each asks anew.
            assert_eq!(bed.calls.get(), calls + 2, "{path}");
        }
    }
}

/// A service whose one body comes through a tap, and the switch of each of its requests.
type Switches = Arc<Mutex<Vec<(Tap, Personal)>>>;

fn slow(
    length: u64,
) -> (
    impl Service<
        Request<Body>,
        Response = Response<impl http_body::Body<Data = Bytes, Error: std::fmt::Debug>>,
        Error = Infallible,
        Future: Send,
    > + Clone,
    Switches,
) {
    let switches = Switches::default();
    let seen = Arc::clone(&switches);
    let origin = tower::service_fn(move |request: Request<Body>| {
        let (tap, body): (Tap, Slow) = body::slow();
        let personal = request.extensions().get::<Personal>().expect("a switch").clone();
        seen.lock().unwrap().push((tap, personal));
        async move {
            let response = Response::builder().header(FRESH.0, FRESH.1).header("content-length", length);
            Ok::<_, Infallible>(response.body(body).unwrap())
        }
    });
    (CacheLayer::new(Cache::embedded()).layer(origin), switches)
}

#[tokio::test]
async fn who_reads_along_is_cut_off_when_it_becomes_personal() {
    let (service, switches) = slow(3 << 20);
    let ask = || service.clone().oneshot(request(Method::GET, "/x", &[]));
    let mut first = ask().await.unwrap().into_body();
    let (tap, personal) = switches.lock().unwrap()[0].clone();
    assert!(tap.data("for all"));
    assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap(), "for all");
    let mut follower = ask().await.unwrap().into_body();
    assert_eq!(follower.frame().await.unwrap().unwrap().into_data().unwrap(), "for all");
    assert_eq!(switches.lock().unwrap().len(), 1, "it reads along");
    personal.mark();
    assert!(tap.data("for one"));
    assert!(follower.frame().await.is_none_or(|frame| frame.is_err()), "nothing of it");
    drop(first);
    drop(tap);
    let again = ask().await.unwrap();
    assert_eq!(switches.lock().unwrap().len(), 2, "nothing was kept, and nobody waits: {:?}", again.headers());
}

#[tokio::test]
async fn a_follower_who_is_left_alone_reads_nothing_that_is_not_for_it() {
    let (service, switches) = slow(3 << 20);
    let ask = || service.clone().oneshot(request(Method::GET, "/x", &[]));
    let first = ask().await.unwrap().into_body();
    let mut follower = ask().await.unwrap().into_body();
    let (tap, personal) = switches.lock().unwrap()[0].clone();
    drop(first);
    personal.mark();
    assert!(tap.data("for one"));
    assert!(follower.frame().await.is_none_or(|frame| frame.is_err()));
}

#[tokio::test]
async fn the_one_who_asked_reads_all_of_what_became_personal() {
    for length in [11, 3 << 20] {
        let (service, switches) = slow(length);
        let mut body = service.clone().oneshot(request(Method::GET, "/x", &[])).await.unwrap().into_body();
        let (tap, personal) = switches.lock().unwrap().remove(0);
        assert!(tap.data("all "));
        personal.mark();
        assert!(tap.data("for one"));
        for part in ["all ", "for one"] {
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), part);
        }
        drop((tap, body));
        drop(service.oneshot(request(Method::GET, "/x", &[])).await.unwrap());
        assert_eq!(switches.lock().unwrap().len(), 1, "it was asked again");
    }
}

/// Says whose session it is, with fields that call it everybody's.
async fn page(request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    let session = request.extensions().get::<Session>().expect("a session").clone();
    let text = match request.uri().path() {
        "/login" => {
            let name = request.uri().query().expect("a name").to_owned();
            session.login(name).await.expect("logged in");
            "welcome".to_owned()
        }
        "/public" => "the same for all".to_owned(),
        _ => format!("{:?}", session.subject().await.expect("a session")),
    };
    Ok(Response::builder().header(FRESH.0, FRESH.1).body(text.into()).unwrap())
}

async fn visit<S, R>(service: &S, path: &str, cookie: &str) -> (String, bool, String)
where
    S: Service<Request<Body>, Response = Response<R>, Error = Infallible> + Clone,
    R: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let response = service.clone().oneshot(request(Method::GET, path, &[("cookie", cookie)])).await.unwrap();
    let field = |name| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let (is_hit, set) = (field("cache-status").contains("; hit"), field("set-cookie"));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (String::from_utf8(body.to_vec()).unwrap(), is_hit, set.split(';').next().unwrap_or_default().to_owned())
}

async fn nobody_reads_anothers_page<S, R>(service: S)
where
    S: Service<Request<Body>, Response = Response<R>, Error = Infallible> + Clone,
    R: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let (_, _, ada) = visit(&service, "/login?ada", "").await;
    let (_, _, eve) = visit(&service, "/login?eve", "").await;
    assert!(!ada.is_empty() && ada != eve);
    for _ in 0..2 {
        for (cookie, expected) in [(&*ada, "Some(\"ada\")"), (&eve, "Some(\"eve\")"), ("", "None"), ("other=1", "None")]
        {
            let (text, is_hit, set) = visit(&service, "/me", cookie).await;
            assert_eq!((&*text, is_hit, &*set), (expected, false, ""));
        }
    }
    visit(&service, "/public", &ada).await;
    for cookie in [&*ada, &eve, ""] {
        let (text, is_hit, _) = visit(&service, "/public", cookie).await;
        assert_eq!((&*text, is_hit), ("the same for all", true), "{cookie}");
    }
}

#[tokio::test]
async fn a_session_stays_its_own_in_either_order() {
    let redis = RedisServer::start();
    for shared in [false, true] {
        let cache = async || match shared {
            false => Cache::embedded(),
            true => CacheOptions::new().redis(connected(&redis).await),
        };
        let sessions = SessionLayer::new(Sessions::embedded(CookieKey::random()));
        let outside = sessions.layer(CacheLayer::new(cache().await).layer(tower::service_fn(page)));
        nobody_reads_anothers_page(outside).await;
        drop(redis.cli(&["FLUSHALL"]));
        let shares_cookies = CacheLayer::new(cache().await).share_cookies(true);
        nobody_reads_anothers_page(shares_cookies.layer(sessions.layer(tower::service_fn(page)))).await;
        drop(redis.cli(&["FLUSHALL"]));
    }
}
