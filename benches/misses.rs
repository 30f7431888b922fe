//! Claim: 1,000 concurrent misses on one key are one call of the service, whether Redis is there or not.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use buttress::cache::{Cache, CacheLayer, CacheOptions};
use buttress::redis::Redis;
use buttress_benches::report::{Target, claim};
use buttress_benches::{answer, connected, request};
use buttress_tests::RedisServer;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tower::{Layer as _, ServiceExt as _};

const MISSES: usize = 1_000;
/// As long as the service takes: all misses are there by then.
const SLOW: Duration = Duration::from_millis(500);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    report("embedded", Cache::embedded()).await;
    let server = RedisServer::start();
    let redis = connected(Redis::connect(&server.url()).expect("a valid URL")).await;
    report("in Redis", CacheOptions::new().capacity(0).redis(redis)).await;
}

async fn report(store: &str, cache: Cache) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let service = CacheLayer::new(cache).layer(tower::service_fn(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async {
            tokio::time::sleep(SLOW).await;
            Ok::<_, Infallible>(answer(Bytes::from_static(b"slow")))
        }
    }));
    let requests: Vec<_> = (0..MISSES)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move {
                let response = service.oneshot(request("/slow")).await.expect("the service never fails");
                let collapsed =
                    response.headers()["cache-status"].to_str().is_ok_and(|text| text.contains("collapsed"));
                let body = response.into_body().collect().await.expect("the body never fails").to_bytes();
                assert_eq!(body, "slow");
                collapsed
            })
        })
        .collect();
    let mut collapsed = 0;
    for request in requests {
        collapsed += usize::from(request.await.expect("no request panics"));
    }
    let calls = calls.load(Ordering::Relaxed);
    println!("{store}: {MISSES} requests, {collapsed} waited for another's answer");
    let name = format!("calls of the service for {MISSES} concurrent misses on one key, {store}");
    claim(&name, Target::Exactly(1.0), count(calls), "");
}

fn count(calls: usize) -> f64 {
    f64::from(u32::try_from(calls).expect("few"))
}
