//! What goes out: the dashboard's service, Prometheus text, OTLP by one process for all.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::post;
use buttress::events::{Dashboard, Events};
use buttress::redis::Redis;
use buttress_tests::RedisServer;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use prost::Message as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::bed::until;

async fn ask(dashboard: &Dashboard, method: Method, path: &str) -> Response<buttress::events::DashboardBody> {
    let request = Request::builder().method(method).uri(path).body(Empty::<Bytes>::new()).unwrap();
    let Ok::<_, Infallible>(response) = dashboard.clone().oneshot(request).await;
    response
}

async fn text<B: http_body::Body<Data = Bytes>>(response: Response<B>) -> String
where
    B::Error: std::fmt::Debug,
{
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap()
}

#[tokio::test]
async fn the_dashboard_answers_what_it_has_and_nothing_else() {
    let dashboard = Dashboard::new(Events::embedded());
    let table = [
        (Method::GET, "/", 200, "text/html; charset=utf-8"),
        (Method::HEAD, "/", 200, "text/html; charset=utf-8"),
        (Method::GET, "/mounted/anywhere/", 200, "text/html; charset=utf-8"),
        (Method::GET, "/page.js", 200, "text/javascript; charset=utf-8"),
        (Method::GET, "/chart.js", 200, "text/javascript; charset=utf-8"),
        (Method::GET, "/format.js", 200, "text/javascript; charset=utf-8"),
        (Method::GET, "/page.css", 200, "text/css; charset=utf-8"),
        (Method::GET, "/icon.svg", 200, "image/svg+xml"),
        (Method::GET, "/api/overview", 200, "application/json"),
        (Method::GET, "/api/overview?window=30d", 200, "application/json"),
        (Method::GET, "/api/overview?window=1y", 400, "application/problem+json"),
        (Method::HEAD, "/live", 200, "text/event-stream"),
        (Method::GET, "/overview", 404, "application/problem+json"),
        (Method::GET, "/../../etc/passwd", 404, "application/problem+json"),
        (Method::POST, "/", 405, "application/problem+json"),
        (Method::DELETE, "/api/overview", 405, "application/problem+json"),
    ];
    for (method, path, status, kind) in table {
        let response = ask(&dashboard, method.clone(), path).await;
        let found = (response.status().as_u16(), response.headers()["content-type"].to_str().unwrap());
        assert_eq!(found, (status, kind), "{method} {path}");
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(
            (&response.headers()["x-content-type-options"], &response.headers()["cache-control"]),
            (&"nosniff".parse().unwrap(), &"no-store".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn the_stream_begins_at_once_and_goes_on() {
    let events = Events::embedded();
    events.record("login");
    events.flush().await.unwrap();
    let response = ask(&Dashboard::new(events.clone()), Method::GET, "/live?window=24h").await;
    let mut body = response.into_body();
    let mut frame =
        async || String::from_utf8(body.frame().await.unwrap().unwrap().into_data().unwrap().into()).unwrap();
    assert_eq!(frame().await, "retry: 1000\n\n");
    for count in [1, 2] {
        let event = frame().await;
        let json = event.strip_prefix("event: overview\ndata: ").and_then(|rest| rest.strip_suffix("\n\n")).unwrap();
        let overview: Value = serde_json::from_str(json).unwrap();
        assert_eq!((&overview["window"]["name"], &overview["events"][0]["count"]), (&"24h".into(), &count.into()));
        events.record("login");
        events.flush().await.unwrap();
    }
}

#[tokio::test]
async fn without_redis_the_dashboard_says_so() {
    let server = RedisServer::start();
    let events = Events::options().redis(Redis::connect(&server.url()).unwrap());
    until("a flush", async || events.flush().await.is_ok()).await;
    server.kill();
    let dashboard = Dashboard::new(events.clone());
    until("it is said", async || {
        ask(&dashboard, Method::GET, "/api/overview").await.status() == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    let problem: Value =
        serde_json::from_str(&text(ask(&dashboard, Method::GET, "/api/overview").await).await).unwrap();
    assert_eq!(problem["reason"], "counts-away", "{problem}");
    assert_eq!(ask(&dashboard, Method::GET, "/").await.status(), StatusCode::OK, "the page is there, and says it too");
}

#[tokio::test]
async fn prometheus_hears_the_same_of_each_process() {
    let server = RedisServer::start();
    let start = || Events::options().redis(Redis::connect(&server.url()).unwrap());
    let both = [start(), start()];
    for (events, count) in both.iter().zip([2, 3]) {
        events.add("sold", &[("plan", "pro")], count);
        (0..count).for_each(|_| events.observe("took", &[], 0.25));
        events.rank("slug", "no counter", 1);
        until("a flush", async || events.flush().await.is_ok()).await;
    }
    for events in both {
        let text = events.prometheus().await.unwrap();
        let lines = [
            "# TYPE sold_total counter",
            "sold_total{plan=\"pro\"} 5",
            "took_bucket{le=\"0.25\"} 5",
            "took_bucket{le=\"0.125\"} 0",
            "took_count 5",
            "took_sum 1.25",
        ];
        for line in lines {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("slug") && !text.contains("ranking"), "{text}");
        // The grammar of the format, as far as we write it.
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("# TYPE ")) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            assert!(
                value.parse::<f64>().is_ok() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':'),
                "{line}"
            );
        }
    }
}

type Received = Arc<Mutex<Vec<ExportMetricsServiceRequest>>>;

/// One that takes what is pushed to it.
async fn collector() -> (String, Received) {
    let received = Received::default();
    let take = async |State(received): State<Received>, body: Body| {
        let bytes = body.collect().await.unwrap().to_bytes();
        received.lock().unwrap().push(ExportMetricsServiceRequest::decode(bytes).unwrap());
    };
    let app = Router::new().route("/v1/metrics", post(take)).with_state(Arc::clone(&received));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/metrics", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, received)
}

/// What was pushed last of a counter.
fn pushed(received: &Received, name: &str) -> Option<i64> {
    let received = received.lock().unwrap();
    let metrics = &received.last()?.resource_metrics[0].scope_metrics[0].metrics;
    let Some(Data::Sum(sum)) = &metrics.iter().find(|metric| metric.name == name)?.data else { return None };
    match sum.data_points[0].value {
        Some(Number::AsInt(count)) => Some(count),
        _ => None,
    }
}

#[tokio::test]
async fn one_process_pushes_for_all_and_another_takes_over() {
    let server = RedisServer::start();
    let start = || Events::options().redis(Redis::connect(&server.url()).unwrap());
    let both = [start(), start()];
    let (url, received) = collector().await;
    let every = Duration::from_millis(150);
    let pushers = both.each_ref().map(|events| tokio::spawn(events.push_otlp(&url, "shop", every).unwrap()));
    for events in &both {
        events.add("sold", &[], 2);
        until("a flush", async || events.flush().await.is_ok()).await;
    }
    until("totals are pushed", async || pushed(&received, "sold") == Some(4)).await;
    let leader = server.cli(&["GET", "buttress:events:v1:{leader}"]).text();
    let before = received.lock().unwrap().len();
    tokio::time::sleep(8 * every).await;
    let pushes = received.lock().unwrap().len() - before;
    assert!((1..=9).contains(&pushes), "{pushes} in eight turns: one pushes, not two");
    assert_eq!(server.cli(&["GET", "buttress:events:v1:{leader}"]).text(), leader, "and the same");

    // Whichever it is: its end is noticed, and totals go on where they were.
    pushers[0].abort();
    both[0].add("sold", &[], 1);
    both[0].flush().await.unwrap();
    until("totals are pushed", async || pushed(&received, "sold") == Some(5)).await;
    pushers[1].abort();
    let silent = received.lock().unwrap().len();
    tokio::time::sleep(4 * every).await;
    assert_eq!(received.lock().unwrap().len(), silent);
}
