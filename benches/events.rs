//! What counting a request costs, beside the same service bare: nanoseconds and allocations. And what a flush costs Redis.

use std::convert::Infallible;
use std::time::Instant;

use buttress::events::{Events, EventsBody, EventsLayer};
use buttress::redis::Redis;
use buttress_benches::report::{Target, claim, median};
use buttress_tests::RedisServer;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower::{Layer as _, Service, service_fn};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const REQUESTS: usize = 100_000;
const ROUNDS: usize = 15;
const PROFILED: usize = 20_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("profile") => return profile(),
        Some("bare") => return ask(&mut hello(), PROFILED),
        _ => {}
    }
    requests();
    for series in [50, 2000] {
        flush(series).await;
    }
}

/// One after the other, with the body read to its end; all at once, since nothing waits.
fn ask<S, B>(service: &mut S, times: usize)
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body<Data = Bytes, Error = Infallible>,
{
    for _ in 0..times {
        let request = Request::get("/products/7").body(Empty::new()).expect("a request");
        let answer = service.call(request).now_or_never();
        let Some(Ok(response)) = answer else { panic!("it answers at once") };
        std::hint::black_box(response.into_body().collect().now_or_never());
    }
}

type Hello = fn(Request<Empty<Bytes>>) -> std::future::Ready<Result<Response<Full<Bytes>>, Infallible>>;

fn hello() -> tower::util::ServiceFn<Hello> {
    service_fn(|_| std::future::ready(Ok(Response::new(Full::new(Bytes::from_static(b"hello"))))))
}

fn counted(
    events: &Events,
) -> impl Service<Request<Empty<Bytes>>, Response = Response<EventsBody<Full<Bytes>>>, Error = Infallible> {
    EventsLayer::new(events.clone()).prefixes(["/assets", "/products"]).layer(hello())
}

/// Some requests and nothing else, for callgrind; and so many bare ones.
fn profile() {
    let events = Events::embedded();
    ask(&mut counted(&events), PROFILED);
}

#[expect(clippy::disallowed_methods, reason = "a stopwatch")]
fn requests() {
    let events = Events::embedded();
    let (mut bare, mut counted) = (hello(), counted(&events));
    let (mut nanos, mut clock) = ([Vec::new(), Vec::new()], Vec::new());
    for _ in 0..ROUNDS {
        let mut time = |n: usize, step: &mut dyn FnMut()| {
            let begun = Instant::now();
            step();
            nanos[n].push(begun.elapsed().as_nanos() as f64 / REQUESTS as f64);
        };
        time(0, &mut || ask(&mut bare, REQUESTS));
        time(1, &mut || ask(&mut counted, REQUESTS));
        let begun = Instant::now();
        for _ in 0..REQUESTS {
            std::hint::black_box(Instant::now());
        }
        clock.push(begun.elapsed().as_nanos() as f64 / REQUESTS as f64);
    }
    let added: Vec<_> = nanos[1].iter().zip(&nanos[0]).map(|(counted, bare)| counted - bare).collect();
    println!(
        "the bare service takes {:.0} ns, a look at the clock {:.0} ns, and there are two",
        median(&nanos[0]),
        median(&clock)
    );
    claim("a counted request: time added", Target::AtMost(100.0), median(&added), "ns");

    let allocations = |step: &mut dyn FnMut()| {
        step();
        let region = Region::new(ALLOCATOR);
        step();
        region.change().allocations as f64 / REQUESTS as f64
    };
    let (bare, counted) =
        (allocations(&mut || ask(&mut bare, REQUESTS)), allocations(&mut || ask(&mut counted, REQUESTS)));
    claim("a counted request: allocations added", Target::AtMost(0.001), counted - bare, "");
}

/// Each series is a distribution with thirty buckets, in three steps.
#[expect(clippy::disallowed_methods, reason = "a stopwatch")]
async fn flush(series: usize) {
    let server = RedisServer::start();
    let events = Events::options().most_series(4000).redis(Redis::connect(&server.url()).expect("a URL"));
    let names: Vec<_> = (0..series).map(|n| n.to_string()).collect();
    events.flush().await.expect("Redis is there");
    let (mut times, mut scripts) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for name in &names {
            (0..30).for_each(|n| events.observe("took", &[("route", name)], 0.001 * 1.05_f64.powi(n)));
        }
        assert_eq!(server.cli(&["CONFIG", "RESETSTAT"]).text(), "OK");
        let begun = Instant::now();
        events.flush().await.expect("Redis is there");
        let took = begun.elapsed().as_secs_f64() * 1000.0;
        if round > 0 {
            times.push(took);
            scripts.push(longest_script(&server));
        }
    }
    let all = format!("a flush of {series} series");
    claim(&format!("{all}: time"), Target::None, median(&times), "ms");
    claim(
        &format!("{all}: its scripts, on the average"),
        Target::AtMost(20.0),
        scripts.iter().copied().fold(0.0, f64::max),
        "ms",
    );
}

/// Milliseconds of a script, on the average of one flush.
fn longest_script(server: &RedisServer) -> f64 {
    let stats = server.cli(&["INFO", "commandstats"]).text();
    let script = stats.lines().find(|line| line.starts_with("cmdstat_evalsha")).expect("scripts were run");
    let micros = script.split("usec_per_call=").nth(1).and_then(|rest| rest.split(',').next()?.parse::<f64>().ok());
    micros.expect("a time") / 1000.0
}
