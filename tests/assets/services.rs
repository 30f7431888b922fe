//! Over services that are no `ServeDir`: handlers without tags, proxies that validate by themselves, bodies that misbehave.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress::assets::{AssetsBody, AssetsLayer, CacheControl, Mode, Rule};
use buttress_tests::Strict;
use buttress_tests::body::{self, Scripted};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::bed::{Asked, Site, headers};

type Service = BoxCloneSyncService<Asked, Response<Scripted>, Infallible>;
/// The requests that reached a handler.
type Seen = Arc<Mutex<Vec<HeaderMap>>>;

/// A handler that answers with these fields and this body, and notes the requests that reach it.
fn handler(status: u16, lines: &str, body: impl Fn() -> Scripted + Send + Sync + 'static) -> (Service, Seen) {
    let seen = Seen::default();
    let (notes, fields, body) = (Arc::clone(&seen), headers(lines), Arc::new(body));
    let service = service_fn(move |request: Asked| {
        notes.lock().unwrap().push(request.headers().clone());
        let mut response = Response::new(body());
        *response.status_mut() = status.try_into().expect("a status");
        *response.headers_mut() = fields.clone();
        async { Ok(response) }
    });
    (BoxCloneSyncService::new(service), seen)
}

/// An answer whose body is left to the test.
async fn open(service: Service) -> Response<AssetsBody<Scripted>> {
    let request = Request::get("/a.css").body(Empty::<Bytes>::new()).expect("a request");
    AssetsLayer::new().layer(service).oneshot(request).await.expect("an answer")
}

fn text() -> Scripted {
    Scripted::of(["0123", "456789"])
}

#[tokio::test]
async fn a_short_body_without_a_validator_gets_a_tag_of_its_content() {
    let (service, _) = handler(200, "Content-Type: text/css", text);
    let site = Site::over(AssetsLayer::new().layer(service));
    let first = site.get("/a.css", "").await;
    let tag = first.field("etag");
    assert!(tag.starts_with('"') && tag.len() == 24, "{tag}");
    assert_eq!(&first.body[..], b"0123456789");
    assert_eq!(site.get("/a.css", "").await.field("etag"), tag);
    assert_eq!(site.get("/a.css", &format!("If-None-Match: \"x\", {tag}")).await.status, 304);
    let part = site.get("/a.css", &format!("Range: bytes=3-5\nIf-Range: {tag}")).await;
    assert_eq!((part.status, &part.body[..], part.field("content-range").as_str()), (206, &b"345"[..], "bytes 3-5/10"));
    let (other, _) = handler(200, "Content-Type: text/css", || Scripted::of(["0123456780"]));
    assert_ne!(Site::over(AssetsLayer::new().layer(other)).get("/a.css", "").await.field("etag"), tag);
}

#[tokio::test]
async fn what_is_not_hashed() {
    let long = || Scripted::of([Bytes::from(vec![b'x'; 2000])]);
    for (lines, body, status) in [
        ("Content-Type: text/css", (|| text().hides_length()) as fn() -> Scripted, 200),
        ("Content-Type: text/css", long, 200),
        ("Content-Type: text/css\nSet-Cookie: a=b", text, 200),
        ("Content-Type: text/css\nCache-Control: no-store", text, 200),
        ("Content-Type: text/css\nAccept-Ranges: bytes", text, 200),
        ("Content-Type: text/css", text, 404),
        ("Content-Type: text/css\nContent-Range: bytes 0-9/20", text, 206),
    ] {
        let (service, _) = handler(status, lines, body);
        let site = Site::over(AssetsLayer::new().hash_up_to(1000).layer(service));
        assert_eq!(site.get("/a.css", "").await.field("etag"), "", "{status} {lines}");
        assert_eq!(site.ask("POST", "/a.css", "").await.field("etag"), "");
    }
    let (service, _) = handler(200, "ETag: \"own\"\nContent-Type: text/css", text);
    assert_eq!(Site::over(AssetsLayer::new().layer(service)).get("/a.css", "").await.field("etag"), "\"own\"");
}

#[tokio::test]
async fn time_and_length_make_a_weak_tag() {
    let lines = "Content-Type: text/css\nContent-Length: 10\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT";
    let (service, _) = handler(200, lines, text);
    let site = Site::over(AssetsLayer::new().layer(service));
    let tag = site.get("/a.css", "").await.field("etag");
    assert!(tag.starts_with("W/\""), "{tag}");
    assert_eq!(site.get("/a.css", &format!("If-None-Match: {tag}")).await.status, 304);
    let whole = site.get("/a.css", &format!("Range: bytes=0-1\nIf-Range: {tag}")).await;
    assert_eq!((whole.status, whole.body.len()), (200, 10), "a weak tag does not do for a part");
}

/// The first byte of a stream does not wait for its last.
#[tokio::test]
async fn streams_pass() {
    let (tap, slow) = body::slow();
    let slow = Mutex::new(Some(slow));
    let service = service_fn(move |_: Asked| {
        let body = slow.lock().unwrap().take().expect("asked once");
        async { Ok::<_, Infallible>(Response::new(body)) }
    });
    let request = Request::get("/feed").body(Empty::<Bytes>::new()).expect("a request");
    let response = AssetsLayer::new().layer(service).oneshot(request).await.expect("an answer");
    assert!(response.headers().get("etag").is_none());
    let mut body = response.into_body();
    tap.data("first");
    let frame = body.frame().await.expect("a frame").expect("it does not break");
    assert_eq!(frame.into_data().expect("data"), "first");
    drop(tap);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn bodies_that_break_lie_or_end_in_trailers() {
    let trailers = headers("X-Sum: 1");
    let (service, _) = handler(200, "Content-Length: 10", || Scripted::of(["01234"]).breaks());
    let broken = open(service).await;
    assert!(broken.headers().get("etag").is_none());
    assert!(broken.into_body().collect().await.is_err(), "the error is passed on");

    let ending = trailers.clone();
    let (service, _) = handler(200, "Content-Length: 10", move || text().trailers(ending.clone()));
    let response = open(service).await;
    assert!(response.headers().contains_key("etag"));
    let (_, data, found) = body::collect(response).await;
    assert_eq!((&data[..], found), (&b"0123456789"[..], Some(trailers)));

    for announced in ["Content-Length: 4", "Content-Length: 40"] {
        let (service, _) = handler(200, announced, || text().hides_length());
        let response = open(service).await;
        assert!(response.headers().get("etag").is_none(), "{announced}");
        let (_, data, _) = body::collect(response).await;
        assert_eq!(&data[..], b"0123456789", "nothing is lost: {announced}");
    }
}

/// A proxy is asked as the client asks, and its 304 say what they say.
#[tokio::test]
async fn a_proxy_judges_by_itself_where_it_is_told_to() {
    let (service, seen) = handler(304, "ETag: \"own\"\nCache-Control: max-age=5", Scripted::default);
    let minute = CacheControl::new().max_age(Duration::from_secs(60));
    let layer = AssetsLayer::new().pass_conditions(true);
    let site = Site::over(layer.clone().layer(service.clone()));
    let lines = "If-None-Match: \"own\"\nRange: bytes=0-1\nIf-Range: \"own\"";
    let reply = site.get("/a.png", lines).await;
    assert_eq!((reply.status, reply.cache_control().as_str()), (304, "max-age=5"));
    assert_eq!(seen.lock().unwrap()[0], headers(lines));
    // What a rule may have overruled in the 200 is not brought back by the 304.
    let site = Site::over(layer.rule(Rule::new().cache(minute).mode(Mode::Override)).layer(service.clone()));
    assert_eq!(site.get("/a.png", "If-None-Match: \"own\"").await.cache_control(), "");
    // By default it sees none of it.
    let site = Site::over(AssetsLayer::new().layer(service));
    site.get("/a.png", lines).await;
    assert!(seen.lock().unwrap().last().unwrap().is_empty());
}

#[tokio::test]
async fn other_methods_are_none_of_its_business() {
    let (service, seen) = handler(200, "Content-Type: image/png\nETag: \"own\"", text);
    let site = Site::over(AssetsLayer::new().layer(service));
    for method in ["PUT", "POST", "DELETE", "OPTIONS"] {
        let lines = "If-Match: \"other\"\nIf-None-Match: \"own\"";
        let reply = site.ask(method, "/a.png", lines).await;
        assert_eq!((reply.status, reply.cache_control().as_str()), (200, ""), "{method}");
        assert_eq!(*seen.lock().unwrap().last().unwrap(), headers(lines), "{method}");
    }
}

#[tokio::test]
async fn somebodys_own_image_is_left_alone() {
    for lines in ["Set-Cookie: a=b", "Vary: Cookie", "Vary: *", "Cache-Control: private"] {
        let (service, _) = handler(200, &format!("Content-Type: image/png\n{lines}"), text);
        let own = if lines.starts_with("Cache") { "private" } else { "" };
        assert_eq!(
            Site::over(AssetsLayer::new().layer(service)).get("/a.png", "").await.cache_control(),
            own,
            "{lines}"
        );
    }
}

/// The service that was made ready is the one that is called, and its readiness is waited for.
#[tokio::test]
async fn the_ready_service_is_called() {
    let (service, _) = handler(200, "Content-Type: text/css", text);
    let layered = AssetsLayer::new().layer(Strict::new(service));
    for _ in 0..2 {
        let request = Request::get("/a.css").body(Empty::<Bytes>::new()).expect("a request");
        assert_eq!(layered.clone().oneshot(request).await.expect("an answer").status(), 200);
    }
    let failing = service_fn(|_: Asked| async { Err::<Response<Scripted>, _>("the service's own error") });
    let request = Request::get("/a.css").body(Empty::<Bytes>::new()).expect("a request");
    let error = AssetsLayer::new().layer(failing).oneshot(request).await.expect_err("it fails");
    assert_eq!(error, "the service's own error");
}
