//! Clients that come while a body does read along: the service is asked once, and nobody waits for a slow neighbour.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use buttress::cache::{Cache, CacheBody, CacheLayer, CacheOptions};
use buttress::core::BoxError;
use buttress_tests::body::{self, Broken, Slow, Tap};
use buttress_tests::{Calls, RedisServer, counting};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Body, STORES, Store, patient, request};

const MIB: usize = 1 << 20;

/// A cached service whose bodies come when a test says so.
struct Downloads {
    service: BoxCloneSyncService<Request<Body>, Response<CacheBody<Slow>>, Infallible>,
    taps: Arc<Mutex<Vec<Tap>>>,
    calls: Calls,
    _redis: Option<RedisServer>,
}

impl Downloads {
    /// Bodies of so many bytes, or of a length that nobody knows.
    async fn new(store: Store, length: Option<usize>) -> Self {
        let options = CacheOptions::new().capacity(256 << 20);
        let (cache, redis) = match store {
            Store::Embedded => (options.embedded(), None),
            Store::Redis => {
                let server = RedisServer::start();
                (options.redis(patient(&server).await), Some(server))
            }
        };
        let taps = Arc::new(Mutex::new(Vec::new()));
        let (origin, calls) = counting({
            let taps = Arc::clone(&taps);
            move |request: Request<Body>| {
                let (tap, body) = body::slow();
                if request.method() == Method::GET {
                    taps.lock().unwrap().push(tap);
                }
                let mut response = Response::builder().header("cache-control", "max-age=60").header("etag", "\"1\"");
                if let Some(length) = length {
                    response = response.header("content-length", length);
                }
                async move { Ok::<_, Infallible>(response.body(body).unwrap()) }
            }
        });
        let layer = CacheLayer::new(cache).max_body(64 << 20).wait(Duration::from_secs(20));
        Self { service: BoxCloneSyncService::new(layer.layer(origin)), taps, calls, _redis: redis }
    }

    async fn open(&self) -> Response<CacheBody<Slow>> {
        self.ask(Method::GET, &[]).await
    }

    async fn ask(&self, method: Method, headers: &[(&str, &str)]) -> Response<CacheBody<Slow>> {
        self.service.clone().oneshot(request(method, "/file", headers)).await.unwrap()
    }

    /// The writing end of the body of a call.
    fn tap(&self, call: usize) -> Tap {
        self.taps.lock().unwrap()[call].clone()
    }

    /// Ends the bodies of all calls.
    fn end(&self) {
        self.taps.lock().unwrap().clear();
    }
}

/// A MiB that no other MiB of the body is like.
fn piece(number: usize) -> Bytes {
    let mut piece = vec![u8::try_from(number).unwrap(); MIB];
    for (place, page) in piece.chunks_mut(4096).enumerate() {
        page[0] = u8::try_from(place).unwrap();
    }
    piece.into()
}

async fn read(body: &mut CacheBody<Slow>, length: usize) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < length {
        read.extend_from_slice(&body.frame().await.expect("more comes").unwrap().into_data().unwrap());
    }
    read
}

async fn rest(body: CacheBody<Slow>) -> Result<(Bytes, Option<HeaderMap>), BoxError> {
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned();
    Ok((collected.to_bytes(), trailers))
}

fn is_collapsed(response: &Response<CacheBody<Slow>>) -> bool {
    response.headers()["cache-status"].to_str().unwrap().split("; ").any(|word| word == "collapsed")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_client_of_a_slow_download_reads_while_it_comes() {
    const LENGTH: usize = 50;
    for store in STORES {
        let downloads = Downloads::new(store, Some(LENGTH * MIB)).await;
        let mut first = downloads.open().await.into_body();
        let tap = downloads.tap(0);
        for number in 0..3 {
            tap.data(piece(number));
            assert!(read(&mut first, MIB).await == piece(number));
        }
        let second = downloads.open().await;
        assert!(is_collapsed(&second));
        let mut second = second.into_body();
        assert_eq!(second.size_hint().lower(), 3 * MIB as u64);
        for number in 0..3 {
            assert!(read(&mut second, MIB).await == piece(number), "what came before");
        }
        for number in 3..LENGTH {
            tap.data(piece(number));
            // Now the one asks for it, now the other; the third comes late and reads it all.
            let (one, other) = if number % 2 == 0 { (&mut first, &mut second) } else { (&mut second, &mut first) };
            assert!(read(one, MIB).await == piece(number));
            assert!(read(other, MIB).await == piece(number));
        }
        let third = downloads.open().await;
        drop(tap);
        downloads.end();
        assert!(rest(first).await.unwrap().0.is_empty());
        assert!(rest(second).await.unwrap().0.is_empty());
        let expected: Vec<u8> = (0..LENGTH).flat_map(piece).collect();
        assert!(rest(third.into_body()).await.unwrap().0 == expected);
        let hit = downloads.open().await;
        let status = hit.headers()["cache-status"].to_str().unwrap();
        assert!(status.contains("; hit"), "{store:?}: {status}");
        assert!(rest(hit.into_body()).await.unwrap().0 == expected);
        assert_eq!(downloads.calls.get(), 1);
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_keeps_nobody_waiting() {
    let downloads = Downloads::new(Store::Embedded, Some(2 * MIB)).await;
    let idle = downloads.open().await;
    let mut second = downloads.open().await.into_body();
    let tap = downloads.tap(0);
    for number in 0..2 {
        tap.data(piece(number));
        assert!(read(&mut second, MIB).await == piece(number));
    }
    drop(tap);
    downloads.end();
    assert!(rest(idle.into_body()).await.unwrap().0 == [piece(0), piece(1)].concat());
    assert_eq!(downloads.calls.get(), 1);
}

#[tokio::test]
async fn a_client_that_waits_is_woken_when_another_one_reads() {
    let downloads = Downloads::new(Store::Embedded, Some(2 * MIB)).await;
    let (first, second) = (downloads.open().await, downloads.open().await);
    // Each waits in a task of its own; who of them asked the service last is not known.
    let readers = [first, second].map(|response| tokio::spawn(rest(response.into_body())));
    for number in 0..2 {
        tokio::task::yield_now().await;
        downloads.tap(0).data(piece(number));
    }
    downloads.end();
    for reader in readers {
        let read = tokio::time::timeout(Duration::from_secs(20), reader).await.expect("nobody is forgotten");
        assert!(read.unwrap().unwrap().0 == [piece(0), piece(1)].concat());
    }
}

#[tokio::test]
async fn the_first_client_may_leave() {
    for store in STORES {
        let downloads = Downloads::new(store, Some(3 * MIB)).await;
        let mut first = downloads.open().await.into_body();
        let tap = downloads.tap(0);
        tap.data(piece(0));
        assert!(read(&mut first, MIB).await == piece(0));
        let second = downloads.open().await;
        drop(first);
        tap.data(piece(1));
        tap.data(piece(2));
        drop(tap);
        downloads.end();
        assert!(rest(second.into_body()).await.unwrap().0 == [piece(0), piece(1), piece(2)].concat());
        assert_eq!(downloads.calls.get(), 1);
    }
}

#[tokio::test]
async fn when_all_have_left_a_long_transfer_stops() {
    let downloads = Downloads::new(Store::Embedded, Some(50 * MIB)).await;
    let (first, second) = (downloads.open().await, downloads.open().await);
    let tap = downloads.taps.lock().unwrap().remove(0);
    tap.data(piece(0));
    drop((first, second));
    tokio::time::timeout(Duration::from_secs(20), tap.abandoned()).await.expect("nobody reads on");
}

#[tokio::test]
async fn whoever_reads_along_learns_that_it_broke() {
    for store in STORES {
        let downloads = Downloads::new(store, Some(3 * MIB)).await;
        let (first, second) = (downloads.open().await, downloads.open().await);
        let tap = downloads.tap(0);
        tap.data(piece(0));
        tap.breaks();
        let second = rest(second.into_body()).await.unwrap_err();
        assert!(!second.is::<Broken>(), "that there was an error, not whose");
        assert!(rest(first.into_body()).await.unwrap_err().is::<Broken>(), "the error of the service");
        drop(downloads.open().await);
        assert_eq!(downloads.calls.get(), 2, "nothing was stored");
    }
}

#[tokio::test]
async fn a_body_that_ends_too_soon_is_no_whole_one_to_those_who_read_along() {
    let downloads = Downloads::new(Store::Embedded, Some(3 * MIB)).await;
    let (first, second) = (downloads.open().await, downloads.open().await);
    downloads.tap(0).data(piece(0));
    downloads.end();
    assert!(rest(second.into_body()).await.is_err());
    assert_eq!(rest(first.into_body()).await.unwrap().0.len(), MIB, "as the service has it");
}

#[tokio::test]
async fn what_was_changed_meanwhile_is_not_read_along() {
    for store in STORES {
        let downloads = Downloads::new(store, Some(2 * MIB)).await;
        let first = downloads.open().await;
        downloads.ask(Method::POST, &[]).await;
        let second = downloads.open().await;
        assert_eq!(downloads.calls.get(), 3, "a request after the change is not answered from before it");
        downloads.tap(0).data([piece(0), piece(0)].concat());
        downloads.tap(1).data([piece(1), piece(1)].concat());
        downloads.end();
        assert!(rest(second.into_body()).await.unwrap().0[..MIB] == piece(1));
        assert!(rest(first.into_body()).await.unwrap().0[..MIB] == piece(0));
        let third = rest(downloads.open().await.into_body()).await.unwrap().0;
        assert!(third[..MIB] == piece(1), "and what was fetched before it is not stored");
    }
}

#[tokio::test]
async fn a_copy_that_is_good_is_confirmed_before_the_body_has_come() {
    let downloads = Downloads::new(Store::Embedded, Some(2 * MIB)).await;
    let _first = downloads.open().await;
    let second = downloads.ask(Method::GET, &[("if-none-match", "\"1\"")]).await;
    assert_eq!((second.status(), downloads.calls.get()), (StatusCode::NOT_MODIFIED, 1));
}

#[tokio::test]
async fn those_who_read_along_get_the_trailers() {
    let downloads = Downloads::new(Store::Embedded, Some(2 * MIB)).await;
    let (first, second) = (downloads.open().await, downloads.open().await);
    downloads.tap(0).data([piece(0), piece(1)].concat());
    downloads.tap(0).trailers(HeaderMap::from_iter([(http::HeaderName::from_static("x-sum"), "7".parse().unwrap())]));
    downloads.end();
    for response in [second, first, downloads.open().await] {
        assert_eq!(rest(response.into_body()).await.unwrap().1.expect("trailers")["x-sum"], "7");
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_is_waited_for() {
    // Nobody knows whether it can be kept: so it is not shared before it is.
    let downloads = Downloads::new(Store::Embedded, None).await;
    let first = downloads.open().await;
    let service = downloads.service.clone();
    let second = tokio::spawn(async move { service.oneshot(request(Method::GET, "/file", &[])).await.unwrap() });
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    downloads.tap(0).data([piece(0), piece(1)].concat());
    downloads.end();
    assert!(rest(first.into_body()).await.is_ok());
    let second = second.await.unwrap();
    assert!(is_collapsed(&second));
    assert!(rest(second.into_body()).await.unwrap().0 == [piece(0), piece(1)].concat());
}

/// A body that panics when it is read.
struct Panics;

impl http_body::Body for Panics {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("on purpose")
    }
}

#[tokio::test]
async fn a_body_that_panics_hangs_nobody() {
    let (origin, _) = counting(|_: Request<Body>| async {
        let response = Response::builder().header("cache-control", "max-age=60").header("content-length", 5 << 20);
        Ok::<_, Infallible>(response.body(Panics).unwrap())
    });
    let service = CacheLayer::new(Cache::embedded()).layer(origin);
    let ask = || service.clone().oneshot(request(Method::GET, "/file", &[]));
    let (first, second) = (ask().await.unwrap(), ask().await.unwrap());
    let first = tokio::spawn(async move { first.into_body().collect().await.map(|_| ()) });
    assert!(first.await.unwrap_err().is_panic());
    let second = tokio::time::timeout(Duration::from_secs(20), second.into_body().collect()).await.expect("no hang");
    assert!(second.is_err());
}
