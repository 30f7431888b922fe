//! `No-Vary-Search` in several processes, of which not all know what a path has said.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use buttress::cache::{Cache, CacheBody, CacheLayer, CacheOptions, Purge};
use buttress::core::ManualClock;
use buttress_tests::body::{self, Scripted};
use buttress_tests::{Calls, RedisServer, counting};
use http::{Method, Request, Response};
use tokio::sync::Semaphore;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Body, patient, request, response};
use crate::no_vary_search::{hand, no_utm};

/// A process with memory of its own, on a Redis that it shares.
#[derive(Clone)]
struct Process {
    service: BoxCloneSyncService<Request<Body>, Response<CacheBody<Scripted>>, Infallible>,
    cache: Cache,
    calls: Calls,
    hand: ManualClock,
}

impl Process {
    /// Its origin answers as often as `gate` lets it.
    async fn new(server: &RedisServer, hand: &ManualClock, gate: Arc<Semaphore>) -> Self {
        Self::answering(server, hand, gate, no_utm).await
    }

    async fn answering(
        server: &RedisServer,
        hand: &ManualClock,
        gate: Arc<Semaphore>,
        answer: impl Fn(&http::request::Parts) -> Response<Scripted> + Clone + Send + Sync + 'static,
    ) -> Self {
        let cache = CacheOptions::new().clock(hand.clock()).redis(patient(server).await);
        let (origin, calls) = counting(move |request: Request<Body>| {
            let (gate, answer) = (Arc::clone(&gate), answer.clone());
            async move {
                let (parts, _) = request.into_parts();
                gate.acquire().await.unwrap().forget();
                let change = parts.method == Method::POST;
                Ok::<_, Infallible>(if change { response(204, &[], "") } else { answer(&parts) })
            }
        });
        // Longer than a busy machine takes: who waits in vain calls for itself.
        let layer =
            CacheLayer::new(cache.clone()).no_vary_search(true).early_refresh(0.0).wait(Duration::from_secs(60));
        Self { service: BoxCloneSyncService::new(layer.layer(origin)), cache, calls, hand: hand.clone() }
    }

    /// The body, and whether it came out of the store.
    async fn send(&self, method: Method, uri: &str) -> (String, bool) {
        let response = self.service.clone().oneshot(request(method, uri, &[])).await.unwrap();
        let (parts, body, _) = body::collect(response).await;
        self.cache.settled().await;
        let status = parts.headers["cache-status"].to_str().unwrap().to_owned();
        (String::from_utf8(body.to_vec()).unwrap(), status.contains("; hit"))
    }

    async fn get(&self, uri: &str) -> (String, bool) {
        self.send(Method::GET, uri).await
    }

    /// Until it has answered so: for what other processes have to be told.
    async fn gets(&self, uri: &str, expected: &str) {
        for _ in 0..500 {
            if self.get(uri).await.0 == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            self.hand.advance(Duration::from_millis(10)); // past what it believes by itself
        }
        panic!("{uri} did not become {expected}: {:?}", self.get(uri).await);
    }
}

fn open() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(10_000))
}

#[tokio::test]
async fn a_process_that_knows_nothing_of_the_path_finds_what_another_stored() {
    let (server, hand) = (RedisServer::start(), hand());
    let (one, other) = (Process::new(&server, &hand, open()).await, Process::new(&server, &hand, open()).await);
    one.get("/x?utm=1").await;
    assert_eq!(other.get("/x?utm=2").await, ("/x?utm=1".to_owned(), true));
    assert_eq!(other.get("/x?utm=3").await, ("/x?utm=1".to_owned(), true), "and from its memory then");
    assert_eq!((one.calls.get(), other.calls.get()), (1, 0));
}

#[tokio::test]
async fn a_process_that_knows_nothing_of_the_path_changes_and_purges_for_all() {
    let (server, hand) = (RedisServer::start(), hand());
    let one = Process::new(&server, &hand, open()).await;
    for change in ["post", "purge"] {
        let first = format!("/x?utm=first-{change}");
        let second = format!("/x?utm=second-{change}");
        one.cache.purge(Purge::everything()).await.unwrap();
        one.get(&first).await;
        assert!(one.get("/x").await.1);
        let stranger = Process::new(&server, &hand, open()).await;
        match change {
            "post" => drop(stranger.send(Method::POST, "/x?utm=3").await),
            _ => {
                let purge = Purge::uri(&"http://example.com/x?utm=4".parse().unwrap()).unwrap();
                assert!(stranger.cache.purge(purge).await.unwrap().is_shared());
            }
        }
        assert_eq!(stranger.get(&second).await, (second.clone(), false), "{change}");
        one.gets("/x?utm=5", &second).await; // within milliseconds
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fill_that_a_change_of_an_equivalent_uri_overtook_is_not_stored() {
    let (server, hand, gate) = (RedisServer::start(), hand(), Arc::new(Semaphore::new(0)));
    let slow = Process::new(&server, &hand, Arc::clone(&gate)).await;
    let other = Process::new(&server, &hand, open()).await;
    let fill = tokio::spawn({
        let slow = slow.clone();
        async move { slow.get("/x?utm=old").await }
    });
    while slow.calls.get() < 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    other.send(Method::POST, "/x?utm=7").await; // nobody knows yet that these are equivalent
    gate.add_permits(10_000);
    assert_eq!(fill.await.unwrap().0, "/x?utm=old");
    assert_eq!(other.get("/x?utm=new").await, ("/x?utm=new".to_owned(), false));
    slow.gets("/x?utm=9", "/x?utm=new").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misses_of_equivalent_queries_in_four_processes_are_one_call_once_the_path_is_known() {
    let (server, hand, gate) = (RedisServer::start(), hand(), Arc::new(Semaphore::new(1)));
    let mut processes = Vec::new();
    for _ in 0..4 {
        processes.push(Process::new(&server, &hand, Arc::clone(&gate)).await);
    }
    processes[0].get("/x?utm=0").await;
    hand.advance(Duration::from_secs(61)); // past its end; what the path said is known still
    let requests: Vec<_> = (0..80)
        .map(|number| {
            let process = processes[number % 4].clone();
            tokio::spawn(async move { process.get(&format!("/x?utm={number}")).await.0 })
        })
        .collect();
    let calls = || processes.iter().map(|process| process.calls.get()).sum::<usize>();
    while calls() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await; // for whoever else would call
    gate.add_permits(10_000);
    let mut bodies = Vec::new();
    for request in requests {
        bodies.push(request.await.unwrap());
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    assert_eq!(calls(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_misses_on_one_uri_are_one_call_although_its_response_lies_elsewhere() {
    let (server, hand, gate) = (RedisServer::start(), hand(), Arc::new(Semaphore::new(0)));
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(Process::new(&server, &hand, Arc::clone(&gate)).await);
    }
    let requests: Vec<_> = (0..60)
        .map(|number| {
            let process = processes[number % 3].clone();
            tokio::spawn(async move { process.get("/x?utm=1").await.0 })
        })
        .collect();
    let calls = || processes.iter().map(|process| process.calls.get()).sum::<usize>();
    while calls() < 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await; // for whoever else would call
    gate.add_permits(10_000);
    for request in requests {
        assert_eq!(request.await.unwrap(), "/x?utm=1");
    }
    assert_eq!(calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_path_said_once_hands_nobody_the_answer_to_another_question() {
    let (server, hand, gate) = (RedisServer::start(), hand(), Arc::new(Semaphore::new(1)));
    // One page that somebody provoked speaks for the whole path; the others are told apart by the query.
    let answer = |parts: &http::request::Parts| {
        let fields = [("cache-control", "max-age=60"), ("no-vary-search", "params")];
        let said = if parts.uri.query() == Some("provoked") { &fields[..] } else { &fields[..1] };
        response(200, said, parts.uri.to_string())
    };
    let mut processes = Vec::new();
    for _ in 0..2 {
        processes.push(Process::answering(&server, &hand, Arc::clone(&gate), answer).await);
    }
    processes[0].get("/x?provoked").await;
    assert_eq!(processes[1].get("/x?other").await, ("/x?provoked".to_owned(), true), "it says so");
    hand.advance(Duration::from_secs(61));
    // Past its end, all of them queue for one fetch; what comes of it is for the one who led only.
    let requests: Vec<_> = (0..40)
        .map(|number| {
            let (process, uri) = (processes[number % 2].clone(), format!("/x?{}", number / 4));
            tokio::spawn(async move { (process.get(&uri).await.0, uri) })
        })
        .collect();
    gate.add_permits(10_000);
    for request in requests {
        let (body, uri) = request.await.unwrap();
        assert_eq!(body, uri);
    }
    assert_eq!(processes[1].get("/x?1").await, ("/x?1".to_owned(), true));
}
