//! What a response says of the session, to browsers and to caches.

use buttress::core::{Outage, Personal};
use buttress::redis::Redis;
use buttress::session::{Session, SessionCookie, SessionErrorKind, SessionLayer, Sessions};
use buttress_tests::RedisServer;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};

use crate::browser::{Answer, Browser, Handler, both, handler, key, said, text};

/// An application that says itself how its answers are cached.
fn app() -> Handler {
    handler(async |path, session| {
        match &path[1..] {
            "read" => drop(session.get::<u8>("n").await?),
            "write" => drop(session.incr("n", 1).await?),
            "renew" => session.renew().await?,
            "logout" => session.logout().await?,
            _ => {}
        }
        Ok(cacheable())
    })
}

fn cacheable() -> Answer {
    let mut response = text("");
    let headers = response.headers_mut();
    headers.insert("cache-control", HeaderValue::from_static("public, max-age=60"));
    headers.insert("cdn-cache-control", HeaderValue::from_static("max-age=600"));
    headers.insert("surrogate-control", HeaderValue::from_static("max-age=600"));
    headers.insert("expires", HeaderValue::from_static("Thu, 01 Jan 2099 00:00:00 GMT"));
    headers.insert("vary", HeaderValue::from_static("accept"));
    response
}

fn field<'a>(response: &'a Response<Bytes>, name: &str) -> Vec<&'a str> {
    response.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test]
async fn it_depends_on_the_cookie_when_the_session_was_asked_and_is_kept_nowhere_with_one() {
    both(
        |options| options,
        async |sessions| {
            let (browser, app) = (Browser::new(&SessionLayer::new(sessions)), app());
            let public = &["public, max-age=60"][..];
            for (path, cache_control, vary, targeted) in [
                ("/", public, &["accept"][..], true),
                ("/read", public, &["accept", "cookie"], true),
                ("/write", &["no-store"], &["accept", "cookie"], false),
                ("/", public, &["accept"], true),
                ("/read", public, &["accept", "cookie"], true),
                ("/write", public, &["accept", "cookie"], true),
                ("/renew", &["no-store"], &["accept", "cookie"], false),
                ("/logout", &["no-store"], &["accept", "cookie"], false),
            ] {
                let response = browser.ask(&app, path).await;
                assert_eq!(field(&response, "cache-control"), cache_control, "{path}");
                assert_eq!(field(&response, "vary"), vary, "{path}");
                for name in ["cdn-cache-control", "surrogate-control", "expires"] {
                    assert_eq!(response.headers().contains_key(name), targeted, "{path} {name}");
                }
            }
        },
    )
    .await;
}

#[tokio::test]
async fn what_says_nothing_of_caches_is_private_once_it_was_asked() {
    let plain = handler(async |path, session| {
        if path == "/read" {
            session.subject().await?;
        }
        let mut response = text("");
        if path == "/read" {
            response.headers_mut().insert("vary", HeaderValue::from_static("Accept, COOKIE"));
        }
        Ok(response)
    });
    let browser = Browser::new(&SessionLayer::new(Sessions::embedded(key())));
    assert_eq!(field(&browser.ask(&plain, "/").await, "cache-control"), [""; 0]);
    let response = browser.ask(&plain, "/read").await;
    assert_eq!(field(&response, "cache-control"), ["private"]);
    assert_eq!(field(&response, "vary"), ["Accept, COOKIE"], "it was said already");
}

#[tokio::test]
async fn a_cache_sees_that_the_session_was_asked_and_not_the_cookie() {
    let sessions = Sessions::embedded(key());
    for (layer, keeps) in
        [(SessionLayer::new(sessions.clone()), false), (SessionLayer::new(sessions).keep_cookie(), true)]
    {
        let browser = Browser::new(&layer);
        browser.ask(&app(), "/write").await;
        let service = tower::service_fn(move |mut request: http::Request<()>| async move {
            let personal = Personal::of(request.extensions_mut());
            let session = request.extensions().get::<Session>().unwrap().clone();
            let before = personal.is_marked();
            session.subject().await.unwrap();
            let fields = request.headers().get_all("cookie").iter().map(|field| field.to_str().unwrap().to_owned());
            let fields = fields.collect::<Vec<_>>().join("|").replace(&session_cookie(&request), "ours");
            Ok::<_, std::convert::Infallible>(text(format!("{before} {} {fields}", personal.is_marked())))
        });
        let ours = browser.cookie().unwrap();
        let request = http::Request::get("/").header("cookie", format!("a=1; {ours}; b=2")).body(()).unwrap();
        let response = tower::ServiceExt::oneshot(tower::Layer::layer(&layer, service), request).await.unwrap();
        let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
        assert_eq!(body, if keeps { "false true a=1; ours; b=2" } else { "false true a=1; b=2" });
    }
}

/// The session's cookie in a request, or what is found nowhere.
fn session_cookie(request: &http::Request<()>) -> String {
    let field = request.headers().get("cookie").map_or("", |field| field.to_str().unwrap());
    field.split("; ").find(|pair| pair.starts_with("__Host-sid=")).unwrap_or("\0").to_owned()
}

#[tokio::test]
async fn the_cookie_is_as_it_was_ordered() {
    let layer = SessionLayer::new(Sessions::embedded(key()));
    let plain = layer.clone().cookie(SessionCookie::new().name("s").persistent().dangerous_plain_http()).unwrap();
    for (layer, start, end) in [
        (layer, "__Host-sid=", "; Path=/; Secure; HttpOnly; SameSite=Lax"),
        (plain, "s=", "; Path=/; HttpOnly; SameSite=Lax; Max-Age=86400"),
    ] {
        let response = Browser::new(&layer).ask(&app(), "/write").await;
        let line = field(&response, "set-cookie")[0];
        assert!(line.starts_with(start) && line.ends_with(end), "{line}");
        assert_eq!(line.len(), start.len() + 43 + end.len());
    }
    let layer = SessionLayer::new(Sessions::embedded(key()));
    assert!(layer.cookie(SessionCookie::new().domain("example.org")).is_err());
}

#[tokio::test]
async fn without_redis_it_is_refused_or_goes_on_as_the_layer_says_and_the_cookie_stays() {
    let server = RedisServer::start();
    let sessions = Sessions::options(key()).redis(Redis::connect(&server.url()).unwrap());
    let closed = Browser::new(&SessionLayer::new(sessions.clone()));
    closed.ask(&app(), "/write").await;
    let open = closed.with(&SessionLayer::new(sessions).outage(Outage::Open));
    let lenient = handler(async |path, session: Session| {
        let n = session.get::<u8>("n").await;
        let written = if path == "/write" { session.incr("n", 1).await.map(drop) } else { Ok(()) };
        let n = n.map_err(|error| error.kind());
        Ok(text(format!("{n:?} {:?} {}", written.map_err(|error| error.kind()), session.is_unavailable().await)))
    });
    assert_eq!(said(&closed.ask(&lenient, "/").await), (200, "Ok(Some(1)) Ok(()) false"));
    server.kill();
    for path in ["/", "/write"] {
        let response = closed.ask(&lenient, path).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "whatever the handler makes of it");
        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!(response.extensions().get(), Some(&SessionErrorKind::Away));
        assert!(!response.headers().contains_key("set-cookie"));
    }
    assert_eq!(closed.ask(&handler(async |_, _| Ok(text(""))), "/").await.status(), 200, "who does not ask goes on");
    for (path, expected) in [("/", "Ok(None) Ok(()) true"), ("/write", "Ok(None) Err(Away) true")] {
        let response = open.ask(&lenient, path).await;
        assert_eq!(said(&response), (200, expected));
        assert_eq!(response.extensions().get(), Some(&SessionErrorKind::Away), "marked");
        assert!(!response.headers().contains_key("set-cookie"));
    }
}

#[tokio::test]
async fn commands_are_counted() {
    let server = RedisServer::start();
    let sessions = crate::bed::patient(Sessions::options(key()), &server.url());
    let layer = SessionLayer::new(sessions);
    let app = handler(async |path, session| {
        match &path[1..] {
            "read" => drop(session.get::<u8>("n").await?),
            "write" => drop(session.incr("n", 1).await?),
            "much" => {
                session.incr("n", 1).await?;
                session.insert("a", "b").await?;
                session.update("l", |list: &mut Vec<u8>| list.push(1)).await?;
                session.flash(buttress::session::Level::Info, "x").await?;
            }
            "same" => session.insert("a", "b").await?,
            _ => {}
        }
        Ok(text(""))
    });
    let browser = Browser::new(&layer);
    browser.ask(&app, "/write").await;
    browser.ask(&app, "/write").await; // both scripts are known by now
    let calls = || {
        let stats = server.cli(&["INFO", "commandstats"]).text();
        let asked = ["cmdstat_evalsha:", "cmdstat_eval:", "cmdstat_hgetall:"];
        let calls = stats.lines().filter(|line| asked.iter().any(|asked| line.starts_with(asked)));
        calls.map(|line| line.split(['=', ',']).nth(1).unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    let prefetching = browser.with(&layer.clone().prefetch());
    let forged = Browser::new(&layer);
    forged.plant("__Host-sid", &"A".repeat(43));
    for (what, browser, path, expected) in [
        ("untouched", &browser, "/", 0),
        ("read", &browser, "/read", 1),
        ("written", &browser, "/write", 2),
        ("much written", &browser, "/much", 2),
        ("what it is already", &browser, "/same", 1),
        ("read, prefetched", &prefetching, "/read", 1),
        ("a visitor who reads", &Browser::new(&layer), "/read", 0),
        ("a visitor who writes", &Browser::new(&layer), "/write", 1),
        ("a forged cookie", &forged, "/read", 0),
    ] {
        let before = calls();
        assert_eq!(browser.ask(&app, path).await.status(), 200);
        assert_eq!(calls() - before, expected, "{what}");
    }
}
