//! The future of a layer's response: passed through, known at once, or boxed beside a round trip.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;

type Boxed<R, E> = Pin<Box<dyn Future<Output = Result<Response<R>, E>> + Send>>;

pin_project! {
    /// The response of a layer whose inner service answers `Response<B>` by the future `F`, and which itself answers
    /// `Response<R>`.
    ///
    /// Which of the three ways was taken stays private, so that a boxed one may become a named one later. Only the
    /// boxed way allocates; layers keep it for requests that wait for a store or for another request.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, B, R, E> {
        #[pin]
        kind: Kind<F, B, R, E>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<F, B, R, E> {
        Inner { #[pin] future: F, wrap: fn(Response<B>) -> Response<R> },
        Early { response: Option<Response<R>> },
        Boxed { future: Boxed<R, E> },
    }
}

// === impl ResponseFuture ===

impl<F, B, R, E> ResponseFuture<F, B, R, E> {
    /// The inner service's own future; `wrap` puts its response into the layer's body type.
    pub fn inner(future: F, wrap: fn(Response<B>) -> Response<R>) -> Self {
        Self { kind: Kind::Inner { future, wrap } }
    }

    /// A response that is known already.
    pub fn early(response: Response<R>) -> Self {
        Self { kind: Kind::Early { response: Some(response) } }
    }

    /// A response that takes more than the inner service.
    pub fn boxed(future: impl Future<Output = Result<Response<R>, E>> + Send + 'static) -> Self {
        Self { kind: Kind::Boxed { future: Box::pin(future) } }
    }
}

impl<F, B, R, E> Future for ResponseFuture<F, B, R, E>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProj::Inner { future, wrap } => {
                let response = ready!(future.poll(cx))?;
                Poll::Ready(Ok(wrap(response)))
            }
            KindProj::Early { response } => {
                Poll::Ready(Ok(response.take().expect("a ResponseFuture is not polled after it is ready")))
            }
            KindProj::Boxed { future } => future.as_mut().poll(cx),
        }
    }
}

impl<F, B, R, E> fmt::Debug for ResponseFuture<F, B, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Inner { .. } => "ResponseFuture::Inner",
            Kind::Early { .. } => "ResponseFuture::Early",
            Kind::Boxed { .. } => "ResponseFuture::Boxed",
        })
    }
}
