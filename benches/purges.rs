//! Claims: a purge in one process is effective in another one's memory within 50 ms; what a tag costs in Redis.
//!
//! Two caches with memory of their own stand for two processes on one Redis. The first purges a tag and says when that was
//! acknowledged; the second is asked without a pause, and the time counts until it no longer answers with the old response.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use buttress::cache::{Cache, CacheLayer, CacheOptions, Purge};
use buttress::redis::Redis;
use buttress_benches::report::{Target, claim};
use buttress_benches::{answer, connected, request};
use buttress_tests::RedisServer;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _};

const PURGES: usize = 1_000;
const TAGS: usize = 10_000;
/// Ten tags on each entry.
const TAGS_EACH: usize = 10;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let server = RedisServer::start();
    propagation(&server).await;
    memory(&server).await;
}

async fn propagation(server: &RedisServer) {
    let revision = Arc::new(AtomicU64::new(0));
    let (one, _) = process(server, &revision).await;
    let (_, other) = process(server, &revision).await;
    let (mut times, mut asked_in_process) = (Vec::new(), 0u32);
    for _ in 0..PURGES {
        while other().await != revision.load(Ordering::SeqCst) {}
        let before = revision.fetch_add(1, Ordering::SeqCst);
        one.purge(Purge::tag("a")).await.expect("redis is there");
        let purged = Instant::now();
        while other().await == before {
            asked_in_process += 1;
        }
        times.push(purged.elapsed().as_secs_f64() * 1_000.0);
    }
    times.sort_by(f64::total_cmp);
    println!("{PURGES} purges, {asked_in_process} answers of the other process after them that were old still");
    claim("p99 from a purge to the other process, milliseconds", Target::AtMost(50.0), times[PURGES * 99 / 100], "ms");
    claim("… median", Target::None, times[PURGES / 2], "ms");
    claim("… worst case", Target::AtMost(1_000.0), times[PURGES - 1], "ms");
}

/// A process: its cache, and a way to ask it for the revision that it serves.
async fn process(server: &RedisServer, revision: &Arc<AtomicU64>) -> (Cache, impl AsyncFn() -> u64 + use<>) {
    let cache = CacheOptions::new().redis(connected(Redis::connect(&server.url()).expect("a valid URL")).await);
    let revision = Arc::clone(revision);
    let service = CacheLayer::new(cache.clone()).layer(tower::service_fn(move |_| {
        let mut response = answer(Bytes::from(revision.load(Ordering::SeqCst).to_string()));
        response.headers_mut().insert("surrogate-key", http::HeaderValue::from_static("a"));
        async { Ok::<_, Infallible>(response) }
    }));
    let ask = async move || {
        let response = service.clone().oneshot(request("/x")).await.expect("the service never fails");
        let body = response.into_body().collect().await.expect("the body never fails").to_bytes();
        std::str::from_utf8(&body).ok().and_then(|text| text.parse().ok()).expect("a number")
    };
    (cache, ask)
}

async fn memory(server: &RedisServer) {
    let redis = connected(Redis::connect(&server.url()).expect("a valid URL")).await;
    let cache = CacheOptions::new().capacity(0).prefix("memory").redis(redis);
    let next = Arc::new(AtomicU64::new(0));
    let numbers = Arc::clone(&next);
    let service = CacheLayer::new(cache.clone()).layer(tower::service_fn(move |_| {
        let first = numbers.fetch_add(1, Ordering::Relaxed) * TAGS_EACH as u64;
        let tags: Vec<_> = (first..first + TAGS_EACH as u64).map(|tag| tag.to_string()).collect();
        let mut response = answer(Bytes::from(vec![b'x'; 1024]));
        response.headers_mut().insert("surrogate-key", tags.join(" ").try_into().expect("digits and spaces"));
        async { Ok::<_, Infallible>(response) }
    }));
    for number in 0..TAGS / TAGS_EACH {
        let response = service.clone().oneshot(request(&format!("/{number}"))).await.expect("it never fails");
        response.into_body().collect().await.expect("the body never fails");
    }
    cache.settled().await;
    let usage = |pattern: &str| {
        let keys = server.cli(&["KEYS", pattern]);
        let bytes: i64 = keys.array().iter().map(|key| server.cli(&["MEMORY", "USAGE", &key.text()]).int()).sum();
        (keys.array().len(), f64::from(u32::try_from(bytes).expect("few")))
    };
    let (tags, bytes) = usage("memory:cache:v1:{tags}:*");
    assert_eq!(tags, TAGS, "a stamp for each tag");
    claim(
        "bytes in Redis per tag (MEMORY USAGE)",
        Target::None,
        bytes / f64::from(u32::try_from(TAGS).expect("few")),
        "bytes",
    );
    let (entries, bytes) = usage("memory:cache:v1:{??????????????????????}");
    let entries = f64::from(u32::try_from(entries).expect("few"));
    claim("bytes in Redis per 1 KiB entry with ten tags", Target::None, bytes / entries, "bytes");

    let before = server.cli(&["DBSIZE"]).int();
    for number in 0..PURGES {
        let uri = format!("http://shop.example/{number}/").parse().expect("a URI");
        cache.purge(Purge::prefix(&uri).expect("it has a host")).await.expect("redis is there");
    }
    let grown = server.cli(&["DBSIZE"]).int() - before;
    claim("keys that 1,000 purges of paths leave behind", Target::Exactly(0.0), grown as f64, "");
    let (_, ledger) = usage("memory:cache:v1:{tags}");
    claim("bytes of the ledger after them", Target::None, ledger, "bytes");
}
