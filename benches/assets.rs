//! Claims: what the layer for assets says of a response costs at most 150 ns beyond the bare service, and allocates nothing
//! but the header's place in its table. Beside them: what a tag made of the content costs.
//!
//! The bare service has its response ready, so the difference is the layer's own. Both are measured in turns.

use std::alloc::System;
use std::convert::Infallible;
use std::future::{Future as _, Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use buttress::assets::{AssetsLayer, Build, CacheControl, Rule};
use buttress_benches::report::{Target, claim, median};
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED,
};
use http::{Request, Response, Uri};
use http_body_util::Full;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower::{Layer as _, Service};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const FOR_EVER: &str = "public, max-age=31536000, immutable";

type Answer = fn(Request<()>) -> Ready<Result<Response<Full<Bytes>>, Infallible>>;

static BODY: [u8; 1024] = [b'x'; 1024];

/// Named by the MD5 of its content, which is [`BODY`].
const HASHED: &str = "/assets/app-7265f4d211b5.js";

fn main() {
    let rounds = std::env::var("BENCH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(15);
    let build = Build::options().file(&HASHED[1..], BODY.as_slice()).tags(false).load().expect("a build");
    let minute = CacheControl::new().public().max_age(Duration::from_secs(60));
    let globbed = Rule::new().glob("/files/**/*.{bin,dat}").expect("a glob").cache(minute.clone());
    let given = (0..20).map(|number| Rule::new().prefix(&format!("/area-{number}/")).cache(minute.clone()));
    let twenty = given.fold(AssetsLayer::new(), AssetsLayer::rule);
    let plain = AssetsLayer::new();

    let image = "max-age=86400, stale-while-revalidate=604800";
    for (name, layer, path, media_type, says) in [
        ("an image, by the table", plain.clone(), "/images/logo.png", "image/png", image),
        ("a page, by the table", plain.clone(), "/index.html", "text/html; charset=utf-8", "no-cache"),
        ("a hashed script that is vouched for", plain.clone().build(build), HASHED, "text/javascript", FOR_EVER),
        ("a glob", plain.clone().rule(globbed), "/files/a/b/c.bin", "application/x-thing", "public, max-age=60"),
        ("an image behind twenty other rules", twenty, "/images/logo.png", "image/png", image),
    ] {
        let said = ask(&mut layer.layer(tower::service_fn(answer_of(media_type))), &shared(path));
        assert_eq!(said.headers()[CACHE_CONTROL], says, "{name}");
        let is_promised = name.contains("table") || name.contains("vouched");
        let target = if is_promised { Target::AtMost(150.0) } else { Target::None };
        let cost = cost(&layer, answer_of(media_type), path, rounds);
        claim(&format!("ns that the layer takes: {name}"), target, cost, "ns");
    }
    let script = answer_of("image/png");
    let beyond = allocations(&mut plain.layer(tower::service_fn(script)), "/images/logo.png")
        - allocations(&mut tower::service_fn(with_field as Answer), "/images/logo.png");
    claim("allocations beyond those of a handler that sets the field", Target::Exactly(0.0), beyond, "");
    hashing(rounds);
}

// === Cost ===

fn cost(layer: &AssetsLayer, answer: Answer, path: &str, rounds: usize) -> f64 {
    const COUNT: u32 = 100_000;
    let path = &shared(path);
    let (mut bare, mut wrapped) = (tower::service_fn(answer), layer.layer(tower::service_fn(answer)));
    let mut differences = Vec::with_capacity(rounds);
    for _ in 0..=rounds {
        let one = time(&mut bare, path, COUNT);
        let other = time(&mut wrapped, path, COUNT);
        differences.push(other - one);
    }
    median(&differences[1..])
}

/// Nanoseconds for one request.
fn time<S, B>(service: &mut S, path: &Bytes, count: u32) -> f64
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let begun = now();
    for _ in 0..count {
        black_box(ask(service, path));
    }
    (now() - begun).as_nanos() as f64 / f64::from(count)
}

fn ask<S, B>(service: &mut S, path: &Bytes) -> Response<B>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let mut request = Request::new(());
    // As hyper makes it: out of a buffer that is shared.
    *request.uri_mut() = Uri::from_maybe_shared(path.clone()).expect("a path");
    let mut future = pin!(service.call(request));
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response,
        Poll::Ready(Err(never)) => match never {},
        Poll::Pending => unreachable!("everything is ready"),
    }
}

fn shared(path: &str) -> Bytes {
    let path = Bytes::copy_from_slice(path.as_bytes());
    drop(path.clone()); // from now on a clone does not allocate
    path
}

#[expect(clippy::disallowed_methods, reason = "a stopwatch")]
fn now() -> Instant {
    Instant::now()
}

// === Allocations ===

/// How often one request allocates.
fn allocations<S, B>(service: &mut S, path: &str) -> f64
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    const COUNT: u32 = 1000;
    let path = &shared(path);
    drop(ask(service, path));
    let region = Region::new(ALLOCATOR);
    for _ in 0..COUNT {
        drop(black_box(ask(service, path)));
    }
    let change = region.change();
    f64::from(u32::try_from(change.allocations + change.reallocations).expect("few")) / f64::from(COUNT)
}

// === Answers ===

fn answer_of(media_type: &'static str) -> Answer {
    match media_type {
        "image/png" => |_| ready(Ok(answer("image/png"))),
        "text/javascript" => |_| ready(Ok(answer("text/javascript"))),
        "application/x-thing" => |_| ready(Ok(answer("application/x-thing"))),
        _ => |_| ready(Ok(answer("text/html; charset=utf-8"))),
    }
}

/// As a file service answers, with a tag of its own.
fn answer(media_type: &'static str) -> Response<Full<Bytes>> {
    let fields = [
        (CONTENT_TYPE, media_type),
        (ACCEPT_RANGES, "bytes"),
        (LAST_MODIFIED, "Thu, 01 Jan 2026 00:00:00 GMT"),
        (ETAG, "\"18a2b-400\""),
        (CONTENT_LENGTH, "1024"),
    ];
    with_fields(&fields, Bytes::from_static(&BODY))
}

fn with_field(_: Request<()>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    let mut response = answer("image/png");
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=86400"));
    ready(Ok(response))
}

fn with_fields(fields: &[(HeaderName, &'static str)], body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    for (name, value) in fields {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

// === Hashing ===

fn hashing(rounds: usize) {
    const SIZES: [(&str, usize, u32, Answer, Answer); 2] = [
        ("1 KiB", 1 << 10, 20_000, |_| untagged(1 << 10), |_| tagged(1 << 10)),
        ("1 MiB", 1 << 20, 200, |_| untagged(1 << 20), |_| tagged(1 << 20)),
    ];
    let layer = AssetsLayer::new();
    for (name, size, count, untagged, tagged) in SIZES {
        let path = &shared("/a.png");
        let (mut bare, mut hashed) = (layer.layer(tower::service_fn(tagged)), layer.layer(tower::service_fn(untagged)));
        let tag = ask(&mut hashed, path).headers().get(ETAG).cloned();
        assert!(tag.is_some_and(|tag| tag != "\"own\""), "the content was read");
        let rounds = (0..rounds).map(|_| time(&mut hashed, path, count) - time(&mut bare, path, count));
        let cost = median(&rounds.collect::<Vec<_>>());
        claim(&format!("ns for a tag made of {name}"), Target::None, cost, "ns");
        claim("… GB/s", Target::None, size as f64 / cost, "GB/s");
    }
}

fn untagged(size: usize) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    ready(Ok(with_fields(&[(CONTENT_TYPE, "image/png")], zeros(size))))
}

fn tagged(size: usize) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    ready(Ok(with_fields(&[(CONTENT_TYPE, "image/png"), (ETAG, "\"own\"")], zeros(size))))
}

fn zeros(size: usize) -> Bytes {
    static ZEROS: [u8; 1 << 20] = [0; 1 << 20];
    Bytes::from_static(&ZEROS[..size])
}
