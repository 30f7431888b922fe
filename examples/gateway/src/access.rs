//! One line for each request, at debug. Nothing is read or formatted unless someone listens.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::CACHE_STATUS;
use http::{Method, Request, Response, Uri, Version};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tracing::{Level, debug, enabled};

pin_project! {
    /// A response on its way, and what will be said of it.
    #[must_use = "futures do nothing unless polled"]
    pub(crate) struct Logged<F> {
        #[pin]
        inner: F,
        line: Option<Box<Line>>,
    }
}

/// What was asked, and when.
#[derive(Debug)]
pub(crate) struct Line {
    start: Instant,
    method: Method,
    uri: Uri,
    version: Version,
}

// === impl Logged ===

impl<F> Logged<F> {
    pub(crate) fn new(line: Option<Box<Line>>, inner: F) -> Self {
        Self { inner, line }
    }
}

impl<F, B, E> Future for Logged<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        if let (Some(line), Ok(response)) = (this.line.take(), &result) {
            line.say(response);
        }
        Poll::Ready(result)
    }
}

// === impl Line ===

impl Line {
    /// What will be said of this request, if someone listens.
    pub(crate) fn of<B>(request: &Request<B>) -> Option<Box<Self>> {
        enabled!(Level::DEBUG).then(|| {
            let (method, uri) = (request.method().clone(), request.uri().clone());
            Box::new(Self { start: Instant::now(), method, uri, version: request.version() })
        })
    }

    /// The query stays out: it may hold what does not belong into a log.
    fn say<B>(&self, response: &Response<B>) {
        debug!(
            method = %self.method,
            path = self.uri.path(),
            version = ?self.version,
            status = response.status().as_u16(),
            cache = response.headers().get(CACHE_STATUS).and_then(|value| value.to_str().ok()),
            micros = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX),
            "answered"
        );
    }
}
