//! Many requests for what is not there.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use buttress::cache::{Cache, CacheLayer, CacheOptions};
use buttress::core::ManualClock;
use buttress_tests::body::{self, Scripted};
use buttress_tests::{Strict, counting};
use http::{Method, Request, Response};
use tokio::sync::Semaphore;
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Body, request, response};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

/// Sends `count` requests at once, opens the gate once they all wait, and gives the bodies.
async fn all_at_once<S, F>(service: S, gate: Arc<Semaphore>, count: usize, make: F) -> Vec<String>
where
    S: tower::Service<Request<Body>, Response = Response<buttress::cache::CacheBody<Scripted>>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    F: Fn(usize) -> Request<Body>,
{
    let started = Arc::new(AtomicUsize::new(0));
    let requests: Vec<_> = (0..count)
        .map(|number| {
            let (service, request, started) = (service.clone(), make(number), Arc::clone(&started));
            tokio::spawn(async move {
                started.fetch_add(1, Ordering::SeqCst);
                let (_, body, _) = body::collect(service.oneshot(request).await.unwrap()).await;
                String::from_utf8(body.to_vec()).unwrap()
            })
        })
        .collect();
    while started.load(Ordering::SeqCst) < count {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(count * 4);
    let mut bodies = Vec::new();
    for request in requests {
        bodies.push(request.await.unwrap());
    }
    bodies
}

#[tokio::test]
async fn ten_thousand_misses_on_one_key_are_one_call() {
    let gate = Arc::new(Semaphore::new(0));
    let (origin, calls) = counting({
        let gate = Arc::clone(&gate);
        move |_: Request<Body>| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                Ok::<_, Infallible>(response(200, &[FRESH], "body"))
            }
        }
    });
    let service = CacheLayer::new(Cache::embedded()).layer(origin);
    let bodies = all_at_once(service, gate, 10_000, |_| request(Method::GET, "/x", &[])).await;
    assert!(bodies.iter().all(|body| body == "body"));
    assert_eq!(calls.get(), 1);
}

#[tokio::test]
async fn what_cannot_be_shared_is_not_queued_for() {
    let gate = Arc::new(Semaphore::new(0));
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (origin, calls) = counting({
        let (gate, inside, most) = (Arc::clone(&gate), Arc::clone(&inside), Arc::clone(&most));
        move |_: Request<Body>| {
            let (gate, inside, most) = (Arc::clone(&gate), Arc::clone(&inside), Arc::clone(&most));
            async move {
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                inside.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, Infallible>(response(200, &[("cache-control", "no-store")], "own"))
            }
        }
    });
    let service = CacheLayer::new(Cache::embedded()).layer(origin);
    // The first round learns that nothing can be shared; the second does not queue at all.
    all_at_once(service.clone(), Arc::clone(&gate), 10, |_| request(Method::GET, "/x", &[])).await;
    let drained = gate.available_permits();
    gate.forget_permits(drained);
    most.store(0, Ordering::SeqCst);
    all_at_once(service, gate, 20, |_| request(Method::GET, "/x", &[])).await;
    assert_eq!(calls.get(), 30);
    assert_eq!(most.load(Ordering::SeqCst), 20, "all at once");
}

#[tokio::test]
async fn an_error_is_not_handed_to_all() {
    let gate = Arc::new(Semaphore::new(0));
    let broken = Arc::new(AtomicBool::new(true));
    let (origin, calls) = counting({
        let (gate, broken) = (Arc::clone(&gate), Arc::clone(&broken));
        move |_: Request<Body>| {
            let (gate, broken) = (Arc::clone(&gate), Arc::clone(&broken));
            async move {
                gate.acquire().await.unwrap().forget();
                let status = if broken.swap(false, Ordering::SeqCst) { 503 } else { 200 };
                Ok::<_, Infallible>(response(status, &[FRESH], status.to_string()))
            }
        }
    });
    let service = CacheLayer::new(Cache::embedded()).layer(origin);
    let bodies = all_at_once(service, gate, 100, |_| request(Method::GET, "/x", &[])).await;
    assert_eq!(bodies.iter().filter(|body| *body == "503").count(), 1, "only the one that met it");
    assert_eq!(calls.get(), 2, "one try, one more");
}

/// What is served in place of an error is stale: those who wait may not have it without asking. They ask together, not in turn.
#[tokio::test]
async fn nobody_queues_for_a_broken_service_that_has_something_stale() {
    const FIELDS: (&str, &str) = ("cache-control", "max-age=10, stale-if-error=600");
    let gate = Arc::new(Semaphore::new(1));
    let (asked, inside, most) = <(Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let (origin, calls) = counting({
        let (gate, inside, most) = (Arc::clone(&gate), Arc::clone(&inside), Arc::clone(&most));
        move |_: Request<Body>| {
            let status = if asked.fetch_add(1, Ordering::SeqCst) == 0 { 200 } else { 503 };
            let (gate, inside, most) = (Arc::clone(&gate), Arc::clone(&inside), Arc::clone(&most));
            async move {
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                tokio::task::yield_now().await; // so that whoever may come does
                inside.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, Infallible>(response(status, &[FIELDS], status.to_string()))
            }
        }
    });
    let hand = ManualClock::at(SystemTime::UNIX_EPOCH);
    let service = CacheLayer::new(CacheOptions::new().clock(hand.clock()).embedded()).layer(origin);
    body::collect(service.clone().oneshot(request(Method::GET, "/x", &[])).await.unwrap()).await;
    hand.advance(Duration::from_secs(11));
    let bodies = all_at_once(service, gate, 100, |_| request(Method::GET, "/x", &[])).await;
    assert!(bodies.iter().all(|body| body == "200"), "everybody has the stale one");
    assert_eq!((calls.get(), most.load(Ordering::SeqCst)), (101, 98), "one try, one more, and then all at once");
}

#[tokio::test]
async fn a_leader_that_leaves_or_panics_hurts_nobody() {
    for panics in [false, true] {
        let gate = Arc::new(Semaphore::new(0));
        let first = Arc::new(AtomicBool::new(true));
        let (origin, calls) = counting({
            let (gate, first) = (Arc::clone(&gate), Arc::clone(&first));
            move |_: Request<Body>| {
                let (gate, is_first) = (Arc::clone(&gate), first.swap(false, Ordering::SeqCst));
                async move {
                    gate.acquire().await.unwrap().forget();
                    assert!(!(is_first && panics), "the leader panics, as it should here");
                    Ok::<_, Infallible>(response(200, &[FRESH], "body"))
                }
            }
        });
        let service = CacheLayer::new(Cache::embedded()).layer(origin);
        let leader = tokio::spawn(service.clone().oneshot(request(Method::GET, "/x", &[])));
        while calls.get() == 0 {
            tokio::task::yield_now().await;
        }
        let followers = tokio::spawn(all_at_once(service, Arc::clone(&gate), 50, |_| request(Method::GET, "/x", &[])));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        if !panics {
            leader.abort();
        }
        let bodies = tokio::time::timeout(Duration::from_secs(5), followers).await.expect("nobody hangs").unwrap();
        assert!(bodies.iter().all(|body| body == "body"));
        assert!(calls.get() <= 3, "{} calls", calls.get());
    }
}

#[tokio::test]
async fn the_service_that_was_made_ready_is_the_one_that_is_called() {
    let (origin, _) = counting(|_: Request<Body>| async { Ok::<_, Infallible>(response(200, &[FRESH], "body")) });
    let mut service = CacheLayer::new(Cache::embedded()).layer(Strict::new(origin));
    for method in [Method::GET, Method::GET, Method::POST, Method::HEAD] {
        let response = service.ready().await.unwrap();
        tower::Service::call(response, request(method, "/x", &[])).await.unwrap();
    }
}
