//! Counting requests beside other crates, in one process: what a request costs more than the same without it, and what Redis has to do for ten thousand
//! of them.
//!
//! `peer-events`
//!
//! All are wrapped around the same axum router with a template for a route, asked in turns, the response read to its end. `metrics` is used as axum's
//! own example has it, a middleware with a counter and a histogram of three labels; axum-prometheus with its defaults; both record into
//! metrics-exporter-prometheus. The article counts each request in Redis, by INCR and ZINCRBY through fred.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use buttress::events::{Events, EventsLayer, Select, Window};
use buttress::redis::Redis;
use buttress_tests::RedisServer;
use fred::interfaces::{ClientLike as _, KeysInterface as _, SortedSetsInterface as _};
use http_body_util::BodyExt as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use report::{Target, claim, median};
use tower::Service as _;

#[path = "../../report.rs"]
#[expect(dead_code, reason = "the benches of the workspace use all of it")]
mod report;

/// Requests in a round.
const REQUESTS: u32 = 20_000;
const PATHS: u32 = 1_000_000;
/// Requests in a second, where Redis is measured.
const PACE: u32 = 10_000;
const SECONDS: u32 = 10;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let rounds = std::env::var("BENCH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(15);
    let prometheus = PrometheusBuilder::new().install_recorder().expect("the only one");
    let server = RedisServer::start();
    let redis = Redis::connect(&server.url()).expect("a URL");
    let embedded = Events::embedded();
    let shared = Events::options().redis(redis);
    let contestants = [
        ("bare", router()),
        ("ours", router().layer(EventsLayer::new(embedded.clone()))),
        ("ours, with Redis", router().layer(EventsLayer::new(shared.clone()))),
        ("metrics", router().layer(from_fn(track))),
        ("axum-prometheus", router().layer(axum_prometheus::PrometheusMetricLayer::new())),
    ];
    for threads in [1, 2] {
        added_cost(&contestants, threads, rounds, &prometheus).await;
    }
    events_cost(&embedded, rounds);
    redis_cost(&shared, &server).await;
    random_paths(&server).await;
}

fn router() -> Router {
    Router::new().route("/products/{id}", get(async || "hello"))
}

/// As axum's example `prometheus-metrics` has it.
async fn track(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let path = request.extensions().get::<MatchedPath>().map_or_else(String::new, |path| path.as_str().to_owned());
    let method = request.method().to_string();
    let response = next.run(request).await;
    let labels = [("method", method), ("path", path), ("status", response.status().as_u16().to_string())];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_requests_duration_seconds", &labels).record(start.elapsed().as_secs_f64());
    response
}

// === requests ===

async fn ask(app: &mut Router, path: &'static str) {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let Ok::<_, Infallible>(response) = app.call(request).await;
    assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), "hello");
}

/// Nanoseconds of a request, with so many threads that ask at the same time.
async fn nanos(app: &Router, threads: u32) -> f64 {
    let tasks: Vec<_> = (0..threads)
        .map(|_| {
            let mut app = app.clone();
            tokio::spawn(async move {
                let begun = Instant::now();
                for _ in 0..REQUESTS {
                    ask(&mut app, "/products/7").await;
                }
                begun.elapsed().as_nanos() as f64 / f64::from(REQUESTS)
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.expect("every answer was good"));
    }
    all.iter().sum::<f64>() / all.len() as f64
}

async fn added_cost(contestants: &[(&str, Router)], threads: u32, rounds: usize, prometheus: &PrometheusHandle) {
    let mut all = vec![Vec::new(); contestants.len()];
    for round in 0..=rounds {
        for ((_, app), nanos_of) in contestants.iter().zip(&mut all) {
            let nanos = nanos(app, threads).await;
            if round > 0 {
                nanos_of.push(nanos);
            }
        }
        prometheus.run_upkeep();
    }
    // Of the same round each, so that what the machine does meanwhile is in both.
    let added = |n: usize| median(&all[n].iter().zip(&all[0]).map(|(nanos, bare)| nanos - bare).collect::<Vec<_>>());
    println!("{threads} thread(s): the bare router takes {:.0} ns", median(&all[0]));
    for (n, (name, _)) in contestants.iter().enumerate().skip(1) {
        let target = if name.starts_with("ours") { Target::AtMost(100.0) } else { Target::None };
        claim(&format!("{threads} thread(s), {name}: added to a request"), target, added(n), "ns");
    }
    claim(&format!("{threads} thread(s): added by metrics, of ours"), Target::AtLeast(1.0), added(3) / added(1), "×");
    claim(&format!("{threads} thread(s): added by axum-prometheus, of ours"), Target::AtLeast(1.0), added(4) / added(1), "×");
}

// === events ===

fn events_cost(events: &Events, rounds: usize) {
    let counter = events.counter("sold", &[("plan", "pro")]);
    let labels = [("plan", "pro"), ("region", "eu"), ("kind", "new")];
    let members: Vec<_> = (0..1000).map(|n| format!("article-{n}")).collect();
    let handle = metrics::counter!("sold_total", "plan" => "pro");
    let plan = std::hint::black_box("pro".to_owned());
    type Step<'a> = (&'a str, Box<dyn Fn(usize) + 'a>);
    let steps: [Step<'_>; 8] = [
        ("Counter::add", Box::new(|_| counter.add(1))),
        ("metrics, a counter that is held", Box::new(|_| handle.increment(1))),
        ("record", Box::new(|_| events.record("login"))),
        ("add with 3 labels", Box::new(|_| events.add("sold", &labels, 1))),
        (
            "metrics::counter! with 3 labels",
            Box::new(|_| metrics::counter!("sold_total", "plan" => plan.clone(), "region" => "eu", "kind" => "new").increment(1)),
        ),
        ("observe", Box::new(|n| events.observe("upload.bytes", &[], n as f64))),
        ("rank", Box::new(|n| events.rank("article", &members[n % members.len()], 1))),
        ("unique", Box::new(|n| events.unique("people", (n % 1000).to_le_bytes()))),
    ];
    for (name, step) in steps {
        let times = (0..=rounds).map(|_| {
            let begun = Instant::now();
            (0..REQUESTS as usize).for_each(&step);
            begun.elapsed().as_nanos() as f64 / f64::from(REQUESTS)
        });
        claim(name, Target::None, median(&times.collect::<Vec<_>>()[1..]), "ns");
    }
}

// === Redis ===

/// Commands, those inside of scripts too; and microseconds of its processor.
fn worked(server: &RedisServer) -> [f64; 2] {
    let stats = server.cli(&["INFO", "commandstats"]).text();
    let calls = stats.lines().filter(|line| !line.contains("cmdstat_info"));
    let calls = calls.filter_map(|line| line.split("calls=").nth(1)?.split(',').next()?.parse::<f64>().ok());
    let cpu = ["used_cpu_user", "used_cpu_sys"].map(|name| server.info(name).and_then(|text| text.parse::<f64>().ok()));
    [calls.sum(), cpu.into_iter().flatten().sum::<f64>() * 1e6]
}

/// Asks at a steady pace; what Redis has done for ten thousand requests.
async fn steadily(app: Router, server: &RedisServer) -> [f64; 2] {
    let before = worked(server);
    let begun = Instant::now();
    for tenth in 1..=SECONDS * 10 {
        let asked = (0..4).map(|_| {
            let mut app = app.clone();
            tokio::spawn(async move {
                for _ in 0..PACE / 40 {
                    ask(&mut app, "/products/7").await;
                }
            })
        });
        for task in asked.collect::<Vec<_>>() {
            task.await.expect("every answer was good");
        }
        tokio::time::sleep(Duration::from_millis(u64::from(tenth) * 100).saturating_sub(begun.elapsed())).await;
    }
    let after = worked(server);
    [0, 1].map(|n| (after[n] - before[n]) / f64::from(SECONDS))
}

async fn redis_cost(events: &Events, server: &RedisServer) {
    events.flush().await.expect("Redis is there");
    let ours = steadily(router().layer(EventsLayer::new(events.clone())), server).await;
    let client = fred::types::Builder::from_config(fred::types::config::Config::from_url(&server.url()).expect("a URL"));
    let client = client.build().expect("a client");
    client.init().await.expect("connected");
    let counted = from_fn(move |request: Request, next: Next| {
        let client = client.clone();
        async move {
            let path = request.uri().path().to_owned();
            let _: i64 = client.incr("article:requests").await.expect("counted");
            let _: f64 = client.zincrby("article:paths", 1.0, path).await.expect("counted");
            next.run(request).await
        }
    });
    let article = steadily(router().layer(counted), server).await;
    println!("10,000 requests, of Redis: ours {:.0} commands, {:.0} µs; the article's {:.0} commands, {:.0} µs", ours[0], ours[1], article[0], article[1]);
    claim("commands of Redis for 10,000 requests in a second, of the article's", Target::AtMost(0.02), ours[0] / article[0], "×");
    claim("time of Redis for them, of the article's", Target::None, ours[1] / article[1], "×");
}

/// A million paths that nobody has routed, and a million that somebody made routes of.
async fn random_paths(server: &RedisServer) {
    let events = Events::options().prefix("paths").redis(Redis::connect(&server.url()).expect("a URL"));
    let layers = [EventsLayer::new(events.clone()), EventsLayer::new(events.clone()).route(|parts| Some(parts.uri.path().into()))];
    let mut apps = layers.map(|layer| router().layer(layer));
    let mut before = 0;
    for n in 0..PATHS {
        for app in &mut apps {
            let request = Request::get(format!("/{n}/{}", n.wrapping_mul(2_654_435_761))).body(Body::empty()).expect("a request");
            let Ok::<_, Infallible>(response) = app.call(request).await;
            drop(response.into_body().collect().await);
        }
        if n == PATHS / 20 {
            before = buttress_tests::load::resident_bytes();
        }
    }
    let grown = buttress_tests::load::resident_bytes().saturating_sub(before);
    events.flush().await.expect("Redis is there");
    let counted = events.read(Window::hours(2)).await.expect("Redis is there").count(&Select::requests());
    assert_eq!(counted, 2 * u64::from(PATHS), "and all are counted");
    claim("a million random paths: memory grown after the first 50,000", Target::AtMost(4.0), grown as f64 / f64::from(1 << 20), "MiB");
}
