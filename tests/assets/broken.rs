//! Bodies that break off, lie about their length, come in pieces, or cost more than they give.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use buttress::assets::AssetsLayer;
use buttress::core::BoxError;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Empty};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::bed::headers;

/// Frames as given; says that it is `claims` bytes long.
struct Script {
    frames: VecDeque<Result<Frame<Bytes>, BoxError>>,
    claims: Option<u64>,
    read: Arc<AtomicU64>,
}

impl Body for Script {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = self.frames.pop_front();
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref) {
            self.read.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        self.claims.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

async fn through(
    layer: &AssetsLayer,
    request: &str,
    response: &'static str,
    claims: Option<u64>,
    frames: impl Fn() -> Vec<Result<Frame<Bytes>, BoxError>> + Clone + Send + Sync + 'static,
) -> (Response<buttress::assets::AssetsBody<Script>>, Arc<AtomicU64>) {
    let read = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&read);
    let service = layer.layer(service_fn(move |_: Request<Empty<Bytes>>| {
        let body = Script { frames: frames().into(), claims, read: Arc::clone(&counted) };
        let mut answer = Response::new(body);
        *answer.headers_mut() = headers(response);
        async move { Ok::<_, BoxError>(answer) }
    }));
    let mut asked = Request::builder().uri("/a.png").body(Empty::new()).expect("a request");
    *asked.headers_mut() = headers(request);
    (service.oneshot(asked).await.expect("a response"), read)
}

/// A server takes the length from the hint: what broke off would be sent as a whole, shorter one, and kept.
#[tokio::test]
async fn a_body_that_breaks_off_does_not_look_whole() {
    for error in [false, true] {
        let frames = move || {
            let data = Ok(Frame::data(Bytes::from_static(b"012")));
            if error { vec![data, Err("broken".into())] } else { vec![data] }
        };
        let (response, _) = through(&AssetsLayer::new(), "", "Content-Type: image/png", Some(10), frames).await;
        assert_eq!(response.headers().get("etag"), None);
        let exact = response.body().size_hint().exact();
        assert!(exact.is_none_or(|exact| exact == 10), "error {error}: looks like a whole one of {exact:?} bytes");
    }
}

#[tokio::test]
async fn a_part_of_what_broke_off_is_not_a_part_of_a_shorter_whole() {
    let frames = || vec![Ok(Frame::data(Bytes::from_static(b"012")))];
    let layer = AssetsLayer::new().one_mtime(true);
    let (response, _) = through(&layer, "Range: bytes=0-", "Content-Type: image/png", Some(10), frames).await;
    assert_ne!(response.headers().get("content-range").map(|range| range.as_bytes()), Some(&b"bytes 0-2/3"[..]));
}

#[tokio::test]
async fn errors_and_trailers_pass_through() {
    let frames = || vec![Ok(Frame::data(Bytes::from_static(b"0"))), Ok(Frame::trailers(headers("X-T: 1")))];
    for claims in [None, Some(1)] {
        let (response, _) = through(&AssetsLayer::new(), "", "Content-Type: image/png", claims, frames).await;
        assert_eq!(response.headers().contains_key("etag"), claims.is_some());
        let collected = response.into_body().collect().await.expect("no error");
        assert_eq!(
            collected.trailers().and_then(|all: &HeaderMap| all.get("x-t")).map(|value| value.as_bytes()),
            Some(&b"1"[..])
        );
    }
    let broken = || vec![Ok(Frame::data(Bytes::from_static(b"0"))), Err("broken".into())];
    for claims in [None, Some(1), Some(2)] {
        let (response, _) = through(&AssetsLayer::new(), "", "Content-Type: image/png", claims, broken).await;
        assert_eq!(response.into_body().collect().await.expect_err("broken").to_string(), "broken");
    }
    let long = || vec![Ok(Frame::data(Bytes::from_static(b"0"))), Ok(Frame::data(Bytes::from_static(b"123")))];
    let (response, _) = through(&AssetsLayer::new(), "", "Content-Type: image/png", Some(2), long).await;
    assert_eq!(response.headers().get("etag"), None);
    assert_eq!(response.into_body().collect().await.expect("no error").to_bytes(), "0123");
}

/// One byte asked for, and everything read: with one known tag each small request would cost a large file. Beyond 8 MiB the whole
/// is sent, so that nothing is read in vain.
#[tokio::test]
async fn the_last_byte_does_not_cost_the_whole_file() {
    let frames = || (0..1024).map(|_| Ok(Frame::data(Bytes::from_static(&[0; 65536])))).collect();
    let response = "Content-Type: image/png\nETag: \"v1\"\nAccept-Ranges: bytes";
    for (range, status, sent) in [("bytes=-1", 200, 1024 * 65536), ("bytes=8388608-8388608", 206, 1)] {
        let request = format!("Range: {range}\nIf-Range: \"v1\"");
        let (response, read) = through(&AssetsLayer::new(), &request, response, Some(1024 * 65536), frames).await;
        assert_eq!(response.status(), status, "{range}");
        let body = response.into_body().collect().await.expect("no error").to_bytes();
        assert_eq!(body.len(), sent, "{range}");
        let read = read.load(Ordering::Relaxed);
        assert!(read <= sent as u64 + (8 << 20) + 65536, "{read} bytes for {sent}");
    }
}

/// As hyper sends it: a client cannot tell the beginning from the whole, and keeps it for a day.
#[tokio::test]
async fn on_the_wire_what_breaks_off_is_seen_to_break_off() {
    for hash_up_to in [0, 1 << 20] {
        let text = on_the_wire(AssetsLayer::new().hash_up_to(hash_up_to)).await;
        assert!(!text.contains("content-length: 3\r\n"), "{hash_up_to}: complete, as far as anybody can see:\n{text}");
    }
}

async fn on_the_wire(layer: AssetsLayer) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let service = layer.layer(service_fn(|_: Request<hyper::body::Incoming>| async move {
        let frames = [Ok(Frame::data(Bytes::from_static(b"012"))), Err("broken".into())].into();
        let mut answer = Response::new(Script { frames, claims: Some(10), read: Arc::default() });
        *answer.headers_mut() = headers("Content-Type: image/png");
        Ok::<_, BoxError>(answer)
    }));
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let service = hyper_util::service::TowerToHyperService::new(service);
    let serving =
        hyper::server::conn::http1::Builder::new().serve_connection(hyper_util::rt::TokioIo::new(server), service);
    client.write_all(b"GET /a.png HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.expect("written");
    drop(serving.await);
    let mut text = String::new();
    client.read_to_string(&mut text).await.expect("read");
    text.to_ascii_lowercase()
}
