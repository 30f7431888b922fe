//! Files: one whose name changes with its content, one whose does not, and a large one.

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH, LAST_MODIFIED};
use http_body_util::StreamBody;
use hyper::body::Frame;

const SCRIPT: &str = "document.title = 'Buttress';\n";
const STYLE: &str = "body { font-family: sans-serif }\n";

const CHUNK: usize = 64 << 10;
const CHUNKS: usize = 64;

pub(super) fn routes() -> Router {
    Router::new()
        .route("/assets/app-5f2d9c81.js", get(script))
        .route("/assets/plain.css", get(style))
        .route("/big", get(big))
}

/// The name holds a digest of the content: it may be kept for ever.
async fn script() -> impl IntoResponse {
    ([(CACHE_CONTROL, "public, max-age=31536000, immutable"), (CONTENT_TYPE, "text/javascript")], SCRIPT)
}

/// It may change under its name: kept, and asked about each time.
async fn style(headers: HeaderMap) -> Response {
    const TAG: &str = "\"plain-1\"";
    let fields = [(CACHE_CONTROL, "no-cache"), (ETAG, TAG), (LAST_MODIFIED, "Thu, 01 Jan 2026 00:00:00 GMT")];
    if headers.get(IF_NONE_MATCH).is_some_and(|tag| tag == TAG) {
        return (StatusCode::NOT_MODIFIED, fields).into_response();
    }
    (fields, [(CONTENT_TYPE, "text/css")], STYLE).into_response()
}

/// Four MiB, sent piece by piece.
async fn big() -> Response {
    let chunk = Bytes::from((0..CHUNK).map(|at| b'a' + (at % 26) as u8).collect::<Vec<_>>());
    let mut left = CHUNKS;
    let frames = futures_util::stream::poll_fn(move |_| {
        left = left.wrapping_sub(1);
        let frame = (left < CHUNKS).then(|| Ok::<_, std::convert::Infallible>(Frame::data(chunk.clone())));
        std::task::Poll::Ready(frame)
    });
    let fields = [
        (CACHE_CONTROL, "max-age=60".to_owned()),
        (CONTENT_LENGTH, (CHUNK * CHUNKS).to_string()),
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (ETAG, "\"big-1\"".to_owned()),
    ];
    (fields, Body::new(StreamBody::new(frames))).into_response()
}
