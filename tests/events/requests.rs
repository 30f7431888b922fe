//! Each request is counted once, when it has ended, as what it was.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use buttress::events::{Events, EventsLayer, Report, Select, Window};
use buttress_tests::body::{Scripted, slow};
use buttress_tests::{Strict, counting};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Empty, Full};
use tower::{BoxError, Layer as _, ServiceExt as _, service_fn};
use tower_service::Service as _;

const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "cancelled"];

pub(crate) async fn report(events: &Events) -> Report {
    events.flush().await.unwrap();
    events.read(Window::minutes(3)).await.unwrap()
}

/// How the requests ended that were counted: one letter of its class for each.
async fn ended(events: &Events) -> String {
    let report = report(events).await;
    let of = |class: &str| report.count(&Select::requests().status(class)) as usize;
    CLASSES.iter().map(|class| class[..1].repeat(of(class))).collect()
}

fn get_request() -> Request<Empty<Bytes>> {
    Request::builder().uri("/a").body(Empty::new()).unwrap()
}

/// What becomes of a response that a service gives, if its client does this with it.
async fn served<B, F>(
    method: Method,
    response: Response<B>,
    client: impl FnOnce(Response<buttress::events::EventsBody<B>>) -> F,
) -> String
where
    B: Body + Send + 'static,
    F: Future<Output = ()>,
{
    let events = Events::embedded();
    let mut response = Some(response);
    let (service, _) = counting(move |_: Request<Empty<Bytes>>| {
        let response = response.take().unwrap();
        async move { Ok::<_, Infallible>(response) }
    });
    let mut service = EventsLayer::new(events.clone()).layer(service);
    let request = Request::builder().method(method).uri("/a").body(Empty::new()).unwrap();
    client(service.call(request).await.unwrap()).await;
    ended(&events).await
}

async fn read_all<B: Body<Data = Bytes>>(response: Response<B>) {
    drop(response.into_body().collect().await);
}

fn status<B>(status: u16, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

#[tokio::test]
async fn a_request_is_what_its_response_is() {
    for (code, expected) in [(200, "2"), (304, "3"), (404, "4"), (503, "5"), (999, "5")] {
        assert_eq!(
            served(Method::GET, status(code, Full::new(Bytes::from("hello"))), read_all).await,
            expected,
            "{code}"
        );
    }
}

#[tokio::test]
async fn it_is_over_when_all_has_been_taken_or_nothing_will_be() {
    let whole = || status(200, Full::new(Bytes::from("hello")));
    let dropped = async |response: Response<_>| drop(response);
    assert_eq!(served(Method::GET, whole(), dropped).await, "c", "nobody read it");
    assert_eq!(served(Method::HEAD, whole(), dropped).await, "2", "nobody reads the body of a HEAD");
    assert_eq!(served(Method::GET, status(304, Full::new(Bytes::from("x"))), dropped).await, "3");
    assert_eq!(served(Method::GET, status(200, Empty::<Bytes>::new()), async |response| drop(response)).await, "2");
    // A server that has sent as many bytes as were announced asks for no more.
    let last_byte =
        async |response: Response<buttress::events::EventsBody<Full<Bytes>>>| drop(response.into_body().frame().await);
    assert_eq!(served(Method::GET, whole(), last_byte).await, "2");
}

#[tokio::test]
async fn who_goes_away_half_way_has_cancelled() {
    let chunks = status(200, Scripted::of(["one", "two", "three"]));
    assert_eq!(served(Method::GET, chunks, async |response| drop(response.into_body().frame().await)).await, "c");
    let chunks = status(500, Scripted::of(["one", "two"]));
    assert_eq!(served(Method::GET, chunks, async |response| drop(response)).await, "c");

    let events = Events::embedded();
    let (service, _) =
        counting(|_: Request<Empty<Bytes>>| std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>());
    let mut service = EventsLayer::new(events.clone()).layer(service);
    let mut call = Box::pin(service.call(get_request()));
    assert!(futures_util::poll!(&mut call).is_pending());
    drop(call);
    assert_eq!(ended(&events).await, "c", "before there was a response");
}

#[tokio::test]
async fn what_breaks_has_failed() {
    let (tap, body) = slow();
    let broken = async |response: Response<_>| {
        assert!(tap.data("half"));
        assert!(tap.breaks());
        read_all(response).await;
    };
    assert_eq!(served(Method::GET, status(200, body), broken).await, "5");

    let events = Events::embedded();
    let service = service_fn(|_: Request<Empty<Bytes>>| async { Err::<Response<Full<Bytes>>, BoxError>("no".into()) });
    let error = EventsLayer::new(events.clone()).layer(service).oneshot(get_request()).await.unwrap_err();
    assert_eq!((error.to_string(), ended(&events).await.as_str()), ("no".to_owned(), "5"));
}

#[tokio::test]
async fn a_call_of_grpc_is_what_its_trailers_say() {
    let field = |name: &'static str, value: &'static str| (name.parse().unwrap(), HeaderValue::from_static(value));
    let call = |trailers: &[(&'static str, &'static str)]| {
        let trailers = HeaderMap::from_iter(trailers.iter().map(|(name, value)| field(name, value)));
        let mut response = status(200, Scripted::of(["message"]).trailers(trailers));
        response.headers_mut().extend([field("content-type", "application/grpc+proto")]);
        response
    };
    for (code, expected) in [("0", "2"), ("1", "c"), ("5", "4"), ("14", "5")] {
        assert_eq!(served(Method::POST, call(&[("grpc-status", code)]), read_all).await, expected, "{code}");
    }
    let mut refused = status(200, Empty::<Bytes>::new());
    refused.headers_mut().extend([field("content-type", "application/grpc"), field("grpc-status", "16")]);
    assert_eq!(served(Method::POST, refused, async |response| drop(response)).await, "4", "trailers only");
}

#[tokio::test(start_paused = true)]
async fn a_request_takes_until_the_last_byte() {
    let events = Events::embedded();
    let (tap, body) = slow();
    let mut body = Some(body);
    let (service, _) = counting(move |_: Request<Empty<Bytes>>| {
        let body = body.take().unwrap();
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, Infallible>(Response::new(body))
        }
    });
    let response = EventsLayer::new(events.clone()).layer(service).oneshot(get_request()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(tap.data("late"));
    drop(tap);
    read_all(response).await;
    let took = report(&events).await.quantile(&Select::requests(), 0.5).unwrap();
    assert!((took / 4.0 - 1.0).abs() < 0.023, "{took}");
}

#[tokio::test]
async fn the_body_passes_as_it_is() {
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("7"))]);
    let scripted = Scripted::of(["one", "two"]).trailers(trailers.clone());
    let hint = scripted.size_hint();
    served(Method::GET, status(200, scripted), async |response| {
        assert_eq!((response.body().size_hint().exact(), response.body().is_end_stream()), (hint.exact(), false));
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers(), Some(&trailers));
        assert_eq!(body.to_bytes(), "onetwo");
    })
    .await;
}

#[tokio::test]
async fn the_readied_service_is_the_one_that_is_called() {
    let (service, calls) =
        counting(|_: Request<Empty<Bytes>>| async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::new()))) });
    let service = EventsLayer::new(Events::embedded()).layer(Strict::new(service));
    for _ in 0..3 {
        service.clone().oneshot(get_request()).await.unwrap();
    }
    assert_eq!(calls.get(), 3);
}

#[tokio::test]
async fn a_route_is_what_axum_matched_and_never_a_path() {
    let events = Events::embedded();
    let inner = Router::new().route("/{review}", get(|| async { "review" }));
    let app = Router::new().route("/products/{id}", get(|| async { "product" })).nest("/reviews", inner);
    let app = app.layer(EventsLayer::new(events.clone()));
    for path in ["/products/1", "/products/2", "/reviews/9", "/.env", "/wp-admin/setup.php", "/products/1/none"] {
        let request = Request::builder().uri(path).body(axum::body::Body::empty()).unwrap();
        read_all(app.clone().oneshot(request).await.unwrap()).await;
    }
    let routes = report(&events).await.top("route", &Select::requests(), 10);
    assert_eq!(routes, [("<unmatched>".into(), 3), ("/products/{id}".into(), 2), ("/reviews/{review}".into(), 1)]);
}

#[tokio::test]
async fn routes_can_be_told_and_requests_left_out() {
    let events = Events::embedded();
    let answer = |_: Request<Empty<Bytes>>| async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) };
    let layer = EventsLayer::new(events.clone()).route(|parts| parts.uri.path().split('/').nth(1).map(Into::into));
    let layer = layer.ignore(|parts| parts.uri.path() == "/health");
    for path in ["/shop/1", "/shop/2", "/blog", "/health"] {
        let request = Request::builder().uri(path).body(Empty::new()).unwrap();
        layer.layer(service_fn(answer)).oneshot(request).await.unwrap();
    }
    let routes = report(&events).await.top("route", &Select::requests(), 10);
    assert_eq!(routes, [("shop".into(), 2), ("blog".into(), 1)]);
}

#[tokio::test]
async fn visitors_are_counted_once_and_not_against_their_will() {
    let events = Events::embedded();
    let answer = |_: Request<Empty<Bytes>>| async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) };
    let address = |parts: &http::request::Parts| {
        let last = parts.headers.get("x-from")?.to_str().ok()?.parse().ok()?;
        Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))
    };
    let layer = EventsLayer::new(events.clone()).visitors(address);
    let table = [
        ("1", "a", None),
        ("1", "a", None),
        ("1", "b", None),
        ("2", "a", None),
        ("3", "a", Some("dnt")),
        ("4", "a", Some("sec-gpc")),
    ];
    for (from, agent, wish) in table {
        let mut request = Request::builder().header("x-from", from).header("user-agent", agent);
        if let Some(wish) = wish {
            request = request.header(wish, "1");
        }
        layer.layer(service_fn(answer)).oneshot(request.body(Empty::new()).unwrap()).await.unwrap();
    }
    let counted = report(&events).await.count(&Select::requests());
    let today = events.visitors("visitors", 1).await.unwrap()[0].1;
    assert_eq!((counted, today), (6, 3), "requests are counted in any case");
}
