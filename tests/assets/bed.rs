//! A site to try things on: a directory behind `ServeDir` and the layer, asked by hand.

use std::path::Path;
use std::time::{Duration, SystemTime};

use buttress::assets::{AssetsLayer, Build};
use buttress::core::BoxError;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use tempfile::TempDir;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tower_http::services::ServeDir;

pub(crate) type Asked = Request<Empty<Bytes>>;
pub(crate) type Answered = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// A service to ask.
#[derive(Clone, Debug)]
pub(crate) struct Site(BoxCloneSyncService<Asked, Answered, BoxError>);

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A directory with these files, all of one hour ago.
pub(crate) fn dir(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for (path, content) in files {
        write(dir.path(), path, content, Duration::from_secs(3600));
    }
    dir
}

/// Writes a file that was changed so long ago.
pub(crate) fn write(dir: &Path, path: &str, content: &str, ago: Duration) {
    let file = dir.join(path);
    std::fs::create_dir_all(file.parent().expect("it lies in a directory")).expect("a directory");
    std::fs::write(&file, content).expect("a file");
    touch(&file, buttress::core::Clock::system().now() - ago);
}

/// Sets a file's time of modification.
pub(crate) fn touch(file: &Path, time: SystemTime) {
    let file = std::fs::File::options().write(true).open(file).expect("the file is there");
    file.set_modified(time).expect("its time can be set");
}

/// Named by the MD5 of its content, so that it needs no manifest.
pub(crate) const HASHED: (&str, &str) = ("assets/app-0cc175b9c0f1.js", "a");

/// A service that answers everything so, behind the layer.
pub(crate) fn says(layer: &AssetsLayer, status: u16, lines: &'static str, body: &'static str) -> Site {
    Site::over(layer.layer(service_fn(move |_: Asked| async move { Ok::<_, BoxError>(made(status, lines, body)) })))
}

pub(crate) fn made(status: u16, lines: &str, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status.try_into().expect("a status");
    *response.headers_mut() = headers(lines);
    response
}

pub(crate) fn trusting() -> AssetsLayer {
    AssetsLayer::new().build(Build::options().trust("/assets/").load().expect("a build"))
}

// === impl Site ===

impl Site {
    /// `ServeDir` over a directory, behind the layer.
    pub(crate) fn new(dir: &TempDir, layer: AssetsLayer) -> Self {
        Self::over(layer.layer(ServeDir::new(dir.path())))
    }

    pub(crate) fn over<S, B>(service: S) -> Self
    where
        S: Service<Asked, Response = Response<B>, Error: Into<BoxError>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let boxed = service
            .map_err(Into::into)
            .map_response(|response: Response<B>| response.map(|body| body.map_err(Into::into).boxed_unsync()));
        Self(BoxCloneSyncService::new(boxed))
    }

    pub(crate) async fn get(&self, path: &str, lines: &str) -> Reply {
        self.ask("GET", path, lines).await
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, lines: &str) -> Reply {
        let mut request = Request::builder().method(method).uri(path).body(Empty::new()).expect("a request");
        *request.headers_mut() = headers(lines);
        let (parts, body) = self.0.clone().oneshot(request).await.expect("a response").into_parts();
        let body = body.collect().await.expect("a body that does not break").to_bytes();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }
}

/// Fields written as they stand on the wire.
pub(crate) fn headers(lines: &str) -> HeaderMap {
    lines.lines().fold(HeaderMap::new(), |mut all, line| {
        let (name, value) = line.split_once(": ").expect("a colon");
        all.append(HeaderName::try_from(name).expect("a name"), HeaderValue::from_str(value).expect("a value"));
        all
    })
}

// === impl Reply ===

impl Reply {
    /// All lines of a field, joined; empty if there is none.
    pub(crate) fn field(&self, name: &str) -> String {
        let lines = self.headers.get_all(name).iter().map(|line| line.to_str().expect("visible ASCII"));
        lines.collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn cache_control(&self) -> String {
        self.field("cache-control")
    }

    pub(crate) fn is_immutable(&self) -> bool {
        self.cache_control() == "public, max-age=31536000, immutable"
    }

    /// What a 304 has to repeat of the 200 (RFC 9110 section 15.4.5).
    pub(crate) fn repeated(&self) -> Vec<(&'static str, String)> {
        let names = ["cache-control", "cdn-cache-control", "content-location", "etag", "expires", "vary"];
        names.map(|name| (name, self.field(name))).into()
    }

    #[track_caller]
    pub(crate) fn is(&self, status: StatusCode) -> &Self {
        assert_eq!(self.status, status.as_u16(), "{self:?}");
        self
    }
}
