//! Files: one whose name changes with its content, one whose does not, and a large one.

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use buttress::assets::{AssetsLayer, Build};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http_body_util::StreamBody;
use hyper::body::Frame;

/// Assets as a build leaves them: the script's name holds the MD5 of its content, the style's does not.
const ASSETS: [(&str, &str, &str); 2] = [
    ("/assets/app-cca18e5b02a2.js", "text/javascript", "document.title = 'Buttress';\n"),
    ("/assets/plain.css", "text/css", "body { font-family: sans-serif }\n"),
];

const CHUNK: usize = 64 << 10;
const CHUNKS: usize = 64;

pub(super) fn routes() -> Router {
    let assets = ASSETS.into_iter().fold(Router::new(), |router, (path, media_type, content)| {
        router.route(path, get(move || async move { ([(CONTENT_TYPE, media_type)], content) }))
    });
    assets.layer(AssetsLayer::new().build(build())).route("/big", get(big))
}

/// What the layer knows of them. It says what may be kept how long, and answers who has them already.
fn build() -> Build {
    let embedded =
        ASSETS.into_iter().fold(Build::options(), |options, (path, _, content)| options.file(path, content.as_bytes()));
    embedded.load().expect("nothing has to be read")
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
