//! Several processes on one Redis: each cache here is one, with memory of its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use buttress::cache::{Cache, CacheBody, CacheLayer, CacheOptions};
use buttress::core::ManualClock;
use buttress_tests::body::{self, Scripted};
use buttress_tests::{RedisServer, Resp};
use http::{Method, Request, Response};
use tokio::sync::Semaphore;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Body, patient, request, response};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

type Service = BoxCloneSyncService<Request<Body>, Response<CacheBody<Scripted>>, Infallible>;

type Answer = dyn Fn(usize, &http::request::Parts) -> Response<Scripted> + Send + Sync;

/// Processes that share a Redis and an origin.
struct Fleet {
    server: RedisServer,
    hand: ManualClock,
    caches: Vec<Cache>,
    services: Vec<Service>,
    origin: Arc<Origin>,
}

/// An origin that answers as often as it is let.
struct Origin {
    calls: AtomicUsize,
    gate: Semaphore,
    /// For requests with `x-late`.
    late: Semaphore,
    answer: Box<Answer>,
}

// === impl Fleet ===

impl Fleet {
    async fn new(
        processes: usize,
        answer: impl Fn(usize, &http::request::Parts) -> Response<Scripted> + Send + Sync + 'static,
    ) -> Self {
        let (server, hand) =
            (RedisServer::start(), ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)));
        let origin = Arc::new(Origin {
            calls: AtomicUsize::new(0),
            gate: Semaphore::new(0),
            late: Semaphore::new(0),
            answer: Box::new(answer),
        });
        let (mut caches, mut services) = (Vec::new(), Vec::new());
        for _ in 0..processes {
            let cache = CacheOptions::new().clock(hand.clock()).redis(patient(&server).await);
            let called = Arc::clone(&origin);
            let inner = tower::service_fn(move |request: Request<Body>| {
                let called = Arc::clone(&called);
                async move { Ok::<_, Infallible>(called.call(&request.into_parts().0).await) }
            });
            services.push(BoxCloneSyncService::new(CacheLayer::new(cache.clone()).layer(inner)));
            caches.push(cache);
        }
        Self { server, hand, caches, services, origin }
    }

    /// Sends a request to one process.
    fn ask(&self, process: usize, request: Request<Body>) -> tokio::task::JoinHandle<(String, String)> {
        let service = self.services[process].clone();
        tokio::spawn(async move {
            let (parts, body, _) = body::collect(service.oneshot(request).await.unwrap()).await;
            let status = parts.headers.get("cache-status").map_or("", |status| status.to_str().unwrap());
            (String::from_utf8(body.to_vec()).unwrap(), status.to_owned())
        })
    }

    async fn get(&self, process: usize) -> (String, String) {
        let answer = self.ask(process, get()).await.unwrap();
        self.caches[process].settled().await;
        answer
    }

    fn open(&self) {
        self.origin.gate.add_permits(10_000);
    }

    fn calls(&self) -> usize {
        self.origin.calls.load(Ordering::SeqCst)
    }

    async fn called(&self, times: usize) {
        while self.calls() < times {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The names of records, with `end` behind.
    fn keys(&self, end: &str) -> Vec<String> {
        let keys = self.server.cli(&["KEYS", &format!("buttress:cache:v1:{{??????????????????????}}{end}")]);
        keys.array().iter().map(|key| key.text()).collect()
    }

    fn line(&self) -> Resp {
        self.server.line().unwrap()
    }
}

// === impl Origin ===

impl Origin {
    async fn call(&self, parts: &http::request::Parts) -> Response<Scripted> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let gate = if parts.headers.contains_key("x-late") { &self.late } else { &self.gate };
        gate.acquire().await.unwrap().forget();
        (self.answer)(number, parts)
    }
}

fn get() -> Request<Body> {
    request(Method::GET, "/x", &[])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_misses_in_four_processes_are_one_call() {
    let fleet = Fleet::new(4, |_, _| response(200, &[FRESH], "body")).await;
    let requests: Vec<_> = (0..1000).map(|number| fleet.ask(number % 4, get())).collect();
    fleet.called(1).await;
    tokio::time::sleep(Duration::from_millis(100)).await; // for whoever else would call
    fleet.open();
    for request in requests {
        assert_eq!(request.await.unwrap().0, "body");
    }
    assert_eq!(fleet.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lease_of_a_process_that_died_ends_by_itself() {
    let fleet = Fleet::new(2, |_, _| response(200, &[FRESH], "body")).await;
    let first = fleet.ask(0, get());
    fleet.called(1).await;
    // As a process that was killed leaves it: a lease that nobody renews.
    let lease = fleet.keys(":lease").pop().expect("the first process has it");
    assert_eq!(fleet.line().ask(&["SET", &lease, "the token of a dead process", "PX", "1500"]).unwrap().text(), "OK");
    let before = tokio::time::Instant::now();
    let second = fleet.ask(1, get());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(fleet.calls(), 1, "it waits for the lease");
    fleet.called(2).await;
    assert!(before.elapsed() < Duration::from_secs(4), "{:?}", before.elapsed());
    fleet.open();
    assert_eq!((first.await.unwrap().0, second.await.unwrap().0), ("body".to_owned(), "body".to_owned()));
    fleet.caches[1].settled().await;
    assert_eq!(fleet.keys("").len(), 1, "and what came of it is stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lost_its_lease_and_comes_late_is_not_stored() {
    let fleet = Fleet::new(2, |number, _| response(200, &[FRESH], number.to_string())).await;
    let first = fleet.ask(0, request(Method::GET, "/x", &[("x-late", "1")]));
    fleet.called(1).await;
    let lease = fleet.keys(":lease").pop().expect("the first process has it");
    assert_eq!(fleet.line().ask(&["DEL", &lease]).unwrap().int(), 1); // as if it had not been renewed
    fleet.open();
    assert_eq!(fleet.get(1).await.0, "1");
    fleet.origin.late.add_permits(1);
    assert_eq!(first.await.unwrap().0, "0", "its client has what was fetched");
    fleet.caches[0].settled().await;
    fleet.hand.advance(Duration::from_secs(2)); // past what each process believes by itself
    for process in [0, 1] {
        let (body, status) = fleet.get(process).await;
        assert_eq!(body, "1", "{status}");
        assert!(status.contains("; hit"), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_kept_for_as_long_as_the_fill_takes() {
    let fleet = Fleet::new(2, |_, _| response(200, &[FRESH], "body")).await;
    let first = fleet.ask(0, get());
    fleet.called(1).await;
    let second = fleet.ask(1, get());
    tokio::time::sleep(Duration::from_millis(3_000)).await; // longer than a lease
    assert_eq!(fleet.calls(), 1);
    fleet.open();
    first.await.unwrap();
    let (body, status) = second.await.unwrap();
    assert_eq!(body, "body");
    assert!(status.contains("; hit"), "{status}");
    assert_eq!(fleet.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fill_that_a_change_overtook_is_not_stored() {
    let fleet = Fleet::new(2, |number, parts| match parts.method {
        Method::POST => response(204, &[], ""),
        _ => response(200, &[FRESH], number.to_string()),
    })
    .await;
    let first = fleet.ask(0, get());
    fleet.called(1).await;
    let change = fleet.ask(1, request(Method::POST, "/x", &[]));
    fleet.called(2).await;
    // Whoever came second may go first: what counts is that the GET was sent before the change and ends after it.
    fleet.origin.gate.add_permits(1);
    tokio::time::sleep(Duration::from_millis(50)).await;
    fleet.open();
    change.await.unwrap();
    first.await.unwrap();
    for cache in &fleet.caches {
        cache.settled().await;
    }
    fleet.hand.advance(Duration::from_secs(2)); // past what each process believes by itself
    let (body, _) = fleet.get(1).await;
    assert_ne!(body, "0", "made before the change");
    assert_eq!(fleet.get(0).await.0, body, "both know the same now");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_shared_is_known_to_the_fleet() {
    let fleet = Fleet::new(2, |number, _| response(200, &[("cache-control", "private")], number.to_string())).await;
    fleet.open();
    fleet.get(0).await;
    let waiting = fleet.origin.gate.available_permits();
    fleet.origin.gate.forget_permits(waiting);
    let requests: Vec<_> = (0..20).map(|_| fleet.ask(1, get())).collect();
    fleet.called(21).await; // all at once: nobody has answered yet
    fleet.open();
    for request in requests {
        request.await.unwrap();
    }
    assert!(fleet.keys(":lease").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_entry_is_refreshed_once_for_all() {
    const FIELDS: (&str, &str) = ("cache-control", "max-age=10, stale-while-revalidate=600");
    let fleet = Fleet::new(3, |number, _| response(200, &[FIELDS], number.to_string())).await;
    fleet.open();
    fleet.get(0).await;
    let permits = fleet.origin.gate.available_permits();
    fleet.origin.gate.forget_permits(permits);
    fleet.hand.advance(Duration::from_secs(11));
    for process in [0, 1, 2, 0, 1, 2] {
        let (body, status) = fleet.ask(process, get()).await.unwrap();
        assert_eq!(body, "0");
        assert!(status.contains("; hit"), "{status}");
    }
    fleet.called(2).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fleet.calls(), 2, "one refresh");
    fleet.open();
    for process in 0..3 {
        let found = async {
            while fleet.get(process).await.0 != "1" {
                fleet.hand.advance(Duration::from_millis(500));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), found).await.expect("every process sees it");
    }
    assert_eq!(fleet.calls(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_is_not_handed_to_another_process() {
    let fleet = Fleet::new(2, |number, _| {
        let status = if number == 0 { 503 } else { 200 };
        response(status, &[FRESH], status.to_string())
    })
    .await;
    let first = fleet.ask(0, get());
    fleet.called(1).await;
    let second = fleet.ask(1, get());
    tokio::time::sleep(Duration::from_millis(50)).await;
    fleet.open();
    assert_eq!((first.await.unwrap().0, second.await.unwrap().0), ("503".to_owned(), "200".to_owned()));
    assert_eq!(fleet.calls(), 2);
}
