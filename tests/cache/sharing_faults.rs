//! Bodies that break, panic or end unasked, under one who reads and under those who read along.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use buttress::cache::{Cache, CacheBody, CacheLayer};
use buttress_tests::body::{self, Broken};
use buttress_tests::counting;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Body, request};
use crate::memo_bed::{Numbers, SECOND};

const MIB: usize = 1 << 20;

enum Act {
    Data(Bytes),
    Break,
}

/// A body that knows its length.
struct Exact {
    acts: mpsc::UnboundedReceiver<Act>,
    left: u64,
}

impl http_body::Body for Exact {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(match ready!(self.acts.poll_recv(cx)) {
            Some(Act::Data(data)) => {
                self.left -= data.len() as u64;
                Some(Ok(Frame::data(data)))
            }
            Some(Act::Break) => Some(Err(Broken)),
            None => None,
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

type Service = BoxCloneSyncService<Request<Body>, Response<CacheBody<Exact>>, Infallible>;

/// A service whose one body of a MiB, of which the response does not say the length, does what it is told.
fn download() -> (mpsc::UnboundedSender<Act>, Service) {
    let (sender, acts) = mpsc::unbounded_channel();
    let acts = Arc::new(Mutex::new(Some(acts)));
    let (origin, _) = counting(move |_: Request<Body>| {
        let acts = acts.lock().unwrap().take().expect("it is asked once");
        let response = Response::builder().header("cache-control", "max-age=60");
        let response = response.body(Exact { acts, left: MIB as u64 }).unwrap();
        async move { Ok::<_, Infallible>(response) }
    });
    let layer = CacheLayer::new(Cache::embedded()).wait(Duration::from_secs(20));
    (sender, BoxCloneSyncService::new(layer.layer(origin)))
}

async fn open(service: &Service) -> CacheBody<Exact> {
    service.clone().oneshot(request(Method::GET, "/file", &[])).await.unwrap().into_body()
}

#[tokio::test]
async fn a_body_that_broke_does_not_pass_off_what_came_as_all() {
    let (acts, service) = download();
    let mut first = open(&service).await;
    acts.send(Act::Data(vec![1; 1000].into())).ok().unwrap();
    first.frame().await.unwrap().unwrap();
    let second = open(&service).await;
    assert_eq!(second.size_hint().exact(), Some(MIB as u64));
    acts.send(Act::Break).ok().unwrap();
    assert!(first.frame().await.unwrap().is_err());
    // A server asks for the hint now, and would say `Content-Length: 1000`, and never see the error behind it.
    assert_eq!(second.size_hint().exact(), None);
}

#[tokio::test]
async fn shadow_mode_tells_of_a_body_whose_end_nobody_asks_for() {
    let reports = Numbers::default();
    let taps = Arc::new(Mutex::new(Vec::new()));
    let (origin, _) = counting({
        let taps = Arc::clone(&taps);
        move |_: Request<Body>| {
            let (tap, body) = body::slow();
            tap.data("body");
            taps.lock().unwrap().push(tap);
            let response = Response::builder().header("cache-control", "max-age=60").header("content-length", "4");
            async move { Ok::<_, Infallible>(response.body(body).unwrap()) }
        }
    });
    let told = reports.clone();
    let layer = CacheLayer::new(Cache::embedded()).shadow(move |_| {
        told.next();
    });
    let service = layer.layer(origin);
    for _ in 0..2 {
        let response = service.clone().oneshot(request(Method::GET, "/file", &[])).await.unwrap();
        // As a server does that was told the length.
        let mut body = response.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "body");
    }
    assert_eq!(reports.calls(), 1, "the second answer was compared with the first");
}

/// A body that waits, and panics when it is asked once too often.
struct Touchy {
    given: bool,
    panics: Arc<std::sync::atomic::AtomicBool>,
}

impl http_body::Body for Touchy {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        assert!(!self.panics.load(std::sync::atomic::Ordering::Relaxed), "the body's own bug");
        match std::mem::replace(&mut self.given, true) {
            false => Poll::Ready(Some(Ok(Frame::data(vec![1; 1000].into())))),
            true => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(MIB as u64)
    }
}

#[tokio::test]
async fn a_body_that_panics_under_one_reader_leaves_no_other_waiting() {
    let panics = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (origin, _) = counting({
        let panics = Arc::clone(&panics);
        move |_: Request<Body>| {
            let response = Response::builder().header("cache-control", "max-age=60");
            let response = response.body(Touchy { given: false, panics: Arc::clone(&panics) }).unwrap();
            async move { Ok::<_, Infallible>(response) }
        }
    });
    let service = CacheLayer::new(Cache::embedded()).layer(origin);
    let open = || service.clone().oneshot(request(Method::GET, "/file", &[]));
    let mut first = open().await.unwrap().into_body();
    first.frame().await.unwrap().unwrap();
    let mut second = open().await.unwrap().into_body();
    second.frame().await.unwrap().unwrap();
    let second = tokio::spawn(async move { second.frame().await.is_none_or(|frame| frame.is_err()) });
    tokio::time::sleep(Duration::from_millis(50)).await; // it waits
    panics.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(tokio::spawn(async move { drop(first.frame().await) }).await.is_err(), "it panicked");
    assert!(tokio::time::timeout(5 * SECOND, second).await.expect("the other one is told").unwrap());
}
