//! A refresh behind what is stale: it may fail, take too long, or come too late, and nobody is served worse for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use buttress::cache::{Cache, CacheBody, CacheLayer, CacheOptions};
use buttress::core::ManualClock;
use buttress_tests::body::{self, Scripted};
use buttress_tests::{Calls, RedisServer, counting};
use http::{Method, Request, Response};
use tokio::sync::Semaphore;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Bed, Body, STORES, Store, patient, request, response};

const FIELDS: (&str, &str) = ("cache-control", "max-age=10, stale-while-revalidate=2");

/// A service that lets no call through but the first until it is told to, and the number that it gave.
struct Origin {
    cache: Cache,
    service: BoxCloneSyncService<Request<Body>, Response<CacheBody<Scripted>>, Infallible>,
    calls: Calls,
    hand: ManualClock,
    gate: Arc<Semaphore>,
    _server: Option<RedisServer>,
}

// === impl Origin ===

impl Origin {
    async fn new(store: Store) -> Self {
        let hand = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let options = CacheOptions::new().clock(hand.clock());
        let server = matches!(store, Store::Redis).then(RedisServer::start);
        let cache = match &server {
            Some(server) => options.capacity(0).redis(patient(server).await),
            None => options.embedded(),
        };
        let gate = Arc::new(Semaphore::new(1));
        let (numbers, gated) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&gate));
        let (origin, calls) = counting(move |_: Request<Body>| {
            let (gate, number) = (Arc::clone(&gated), numbers.fetch_add(1, Ordering::SeqCst));
            async move {
                gate.acquire().await.unwrap().forget();
                Ok::<_, Infallible>(response(200, &[FIELDS], number.to_string()))
            }
        });
        let layer = CacheLayer::new(cache.clone()).early_refresh(0.0);
        let service = BoxCloneSyncService::new(layer.layer(origin));
        Self { cache, service, calls, hand, gate, _server: server }
    }

    fn ask(&self) -> tokio::task::JoinHandle<(String, bool)> {
        let (service, cache) = (self.service.clone(), self.cache.clone());
        tokio::spawn(async move {
            let asked = service.oneshot(request(Method::GET, "/x", &[]));
            // Whoever waits for a gate that nobody opens shall fail, and not hang.
            let asked = tokio::time::timeout(Duration::from_secs(60), asked).await.expect("an answer within a minute");
            let (parts, body, _) = body::collect(asked.unwrap()).await;
            cache.settled().await;
            let is_hit = parts.headers["cache-status"].to_str().unwrap().contains("; hit");
            (String::from_utf8(body.to_vec()).unwrap(), is_hit)
        })
    }

    async fn called(&self, times: usize) {
        let called = async {
            while self.calls.get() < times {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), called).await.expect("the service is asked");
    }
}

#[tokio::test]
async fn a_refresh_that_fails_is_tried_again_and_what_is_stale_stands_in_until_its_end() {
    for store in STORES {
        let bed = Bed::new(store, |parts| match parts.headers.contains_key("if-none-match") {
            true => response(500, &[], "broken"),
            false => response(200, &[FIELDS, ("etag", "\"1\"")], "body"),
        })
        .await;
        bed.get("/x").await;
        bed.hand.advance(Duration::from_secs(11));
        for tried in 2..6 {
            let stale = bed.get("/x").await;
            assert_eq!((stale.is_hit(), stale.text()), (true, "body"));
            for _ in 0..2_000 {
                if bed.seen.lock().unwrap().len() == tried {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(bed.calls.get(), tried, "one try each");
            // The lease of the one that failed is given back in a task.
            tokio::time::sleep(Duration::from_millis(5)).await;
            bed.cache.settled().await;
        }
        bed.hand.advance(Duration::from_secs(1));
        assert_eq!(bed.get("/x").await.status, 500, "{store:?}: its window has ended");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_ends_while_it_is_refreshed_makes_nobody_wait_in_vain() {
    for store in STORES {
        let origin = Origin::new(store).await;
        assert_eq!(origin.ask().await.unwrap(), ("0".to_owned(), false));
        origin.hand.advance(Duration::from_secs(11));
        assert_eq!(origin.ask().await.unwrap(), ("0".to_owned(), true));
        origin.called(2).await;
        for _ in 0..5 {
            assert_eq!(origin.ask().await.unwrap(), ("0".to_owned(), true), "while one refreshes");
        }
        assert_eq!(origin.calls.get(), 2, "{store:?}");
        origin.hand.advance(Duration::from_secs(1));
        let late: Vec<_> = (0..5).map(|_| origin.ask()).collect();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(late.iter().all(|late| !late.is_finished()), "nothing may be served any more");
        origin.gate.add_permits(100);
        for late in late {
            assert_eq!(late.await.unwrap().0, "1", "{store:?}: what the refresh brought");
        }
        assert_eq!(origin.calls.get(), 2);
    }
}

#[tokio::test]
async fn what_must_be_revalidated_is_never_served_stale() {
    for store in STORES {
        for forbids in ["must-revalidate", "proxy-revalidate", "no-cache"] {
            let bed = Bed::new(store, move |parts| match parts.headers.contains_key("x-break") {
                true => response(503, &[], "broken"),
                false => {
                    let fields = format!("max-age=10, stale-while-revalidate=60, stale-if-error=60, {forbids}");
                    response(200, &[("cache-control", fields.as_str()), ("etag", "\"1\"")], "body")
                }
            })
            .await;
            bed.get("/x").await;
            bed.hand.advance(Duration::from_secs(11));
            assert_eq!(bed.get_with("/x", &[("x-break", "1")]).await.status, 503, "{store:?} {forbids}");
            assert!(!bed.get_with("/x", &[("cache-control", "max-stale")]).await.is_hit(), "{store:?} {forbids}");
        }
    }
}
