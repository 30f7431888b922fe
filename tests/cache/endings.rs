//! Requests, fills and runtimes that come to an end before their time: nobody waits for the dead, and nothing half done is kept.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use buttress::cache::{Cache, CacheBody, CacheLayer, CacheOptions};
use buttress_tests::body::{self, Scripted, Slow, Tap};
use buttress_tests::{RedisServer, counting};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use tokio::sync::{Semaphore, mpsc};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Body, STORES, Store, patient, request, response};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

fn get() -> Request<Body> {
    request(Method::GET, "/x", &[])
}

async fn cache(store: Store) -> (Cache, Option<RedisServer>) {
    match store {
        Store::Embedded => (Cache::embedded(), None),
        Store::Redis => {
            let server = RedisServer::start();
            (CacheOptions::new().capacity(0).redis(patient(&server).await), Some(server))
        }
    }
}

#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

/// How a leader's fetch goes.
#[derive(Clone, Copy, Debug)]
enum Leader {
    Fails,
    HasTooMuch,
    IsCutOff,
    Breaks,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_a_leader_ends_those_who_follow_are_served() {
    for store in STORES {
        for ends in [Leader::Fails, Leader::HasTooMuch, Leader::IsCutOff, Leader::Breaks] {
            let (cache, _server) = cache(store).await;
            let gate = Arc::new(Semaphore::new(0));
            let first = Arc::new(AtomicUsize::new(0));
            let (origin, calls) = counting({
                let gate = Arc::clone(&gate);
                move |_: Request<Body>| {
                    let (gate, number) = (Arc::clone(&gate), first.fetch_add(1, Ordering::SeqCst));
                    async move {
                        gate.acquire().await.unwrap().forget();
                        match ends {
                            _ if number > 0 => Ok(response(200, &[FRESH], "body")),
                            Leader::Fails => Err(Refused),
                            Leader::HasTooMuch => Ok(response(200, &[FRESH], vec![b'x'; 5_000])),
                            Leader::IsCutOff | Leader::Breaks => {
                                let body = Scripted::of(["bo"]).hides_length();
                                let body = if matches!(ends, Leader::Breaks) { body.breaks() } else { body };
                                let response = Response::builder().header(FRESH.0, FRESH.1);
                                Ok(response.header("content-length", 4).body(body).unwrap())
                            }
                        }
                    }
                }
            });
            let service = CacheLayer::new(cache.clone()).max_body(1_000).layer(origin);
            let ask = || {
                let service = service.clone();
                tokio::spawn(async move {
                    match service.oneshot(get()).await {
                        Ok(response) => response.into_body().collect().await.map(|body| body.to_bytes()).map_err(drop),
                        Err(Refused) => Err(()),
                    }
                })
            };
            let leader = ask();
            while calls.get() == 0 {
                tokio::task::yield_now().await;
            }
            let followers: Vec<_> = (0..20).map(|_| ask()).collect();
            let gone = ask();
            tokio::time::sleep(Duration::from_millis(20)).await;
            gone.abort(); // its client has left
            gate.add_permits(100);
            let led = leader.await.unwrap();
            assert_eq!(led.is_err(), matches!(ends, Leader::Fails | Leader::Breaks), "{ends:?}");
            for follower in followers {
                let served =
                    tokio::time::timeout(Duration::from_secs(4), follower).await.expect("nobody waits for the dead");
                assert_eq!(served.unwrap(), Ok(Bytes::from_static(b"body")), "{store:?} {ends:?}");
            }
            cache.settled().await;
            assert_eq!(ask().await.unwrap().unwrap(), "body");
        }
    }
}

type SlowService = BoxCloneSyncService<Request<Body>, Response<CacheBody<Slow>>, Infallible>;

/// A service whose bodies come as the test hands them over.
fn slow_service(layer: CacheLayer) -> (SlowService, mpsc::UnboundedReceiver<Tap>) {
    let (sender, taps) = mpsc::unbounded_channel();
    let origin = tower::service_fn(move |_: Request<Body>| {
        let (tap, body) = body::slow();
        sender.send(tap).unwrap();
        async { Ok::<_, Infallible>(Response::builder().header(FRESH.0, FRESH.1).body(body).unwrap()) }
    });
    (BoxCloneSyncService::new(layer.layer(origin)), taps)
}

#[test]
fn a_runtime_that_ends_with_fills_under_way_leaves_nothing_behind() {
    let cache = Cache::embedded();
    let (service, mut taps) = slow_service(CacheLayer::new(cache.clone()));
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let first = runtime();
    let (open, tap) = first.block_on(async {
        let open = service.clone().oneshot(get()).await.unwrap();
        let tap = taps.recv().await.unwrap();
        tap.data("half");
        // One that follows, and goes down with the runtime.
        tokio::spawn(service.clone().oneshot(get()));
        tokio::task::yield_now().await;
        (open, tap)
    });
    drop(first);
    drop(open); // the server lets go of it where there is no runtime any more
    assert!(!tap.data("more"), "nobody reads on");
    assert!(cache.is_empty());
    runtime().block_on(async {
        let answer = tokio::spawn(service.clone().oneshot(get()));
        let tap =
            tokio::time::timeout(Duration::from_secs(4), taps.recv()).await.expect("nobody leads any more").unwrap();
        tap.data("whole");
        drop(tap);
        assert_eq!(body::collect(answer.await.unwrap().unwrap()).await.1, "whole");
        assert_eq!(body::collect(service.oneshot(get()).await.unwrap()).await.1, "whole");
    });
}

#[tokio::test]
async fn what_was_filled_before_the_end_is_in_redis_once_it_has_settled() {
    let server = RedisServer::start();
    let cache = CacheOptions::new().redis(patient(&server).await);
    let (service, mut taps) = slow_service(CacheLayer::new(cache.clone()));
    let mut open = Vec::new();
    for number in 0..20 {
        let response = service.clone().oneshot(request(Method::GET, &format!("/{number}"), &[])).await.unwrap();
        let tap = taps.recv().await.unwrap();
        tap.data("body");
        open.push((response, (number % 2 == 0).then_some(tap)));
    }
    // Half of them end; of the others the clients are still served when the process is told to go.
    let mut cut = Vec::new();
    for (response, tap) in open {
        match tap {
            None => drop(body::collect(response).await),
            Some(tap) => cut.push((response, tap)),
        }
    }
    cache.settled().await;
    drop((cut, service, cache));
    let records = server.cli(&["KEYS", "buttress:cache:v1:{??????????????????????}"]);
    assert_eq!(records.array().len(), 10);
}
