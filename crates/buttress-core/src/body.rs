//! The body of a response that came either from the inner service or from the layer.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;

/// An error of any kind, as tower and hyper pass it on.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

pin_project! {
    /// The inner service's body, untouched, or a complete one of the layer's own.
    ///
    /// Trailers, size hints, `is_end_stream` and errors of the inner body pass through as they are.
    /// The inner body's data must be [`Bytes`], as it is for hyper, axum and tonic.
    #[derive(Debug)]
    pub struct EitherBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    #[derive(Debug)]
    enum Kind<B> {
        Inner { #[pin] body: B },
        Own { #[pin] body: Full<Bytes> },
    }
}

// === impl EitherBody ===

impl<B> EitherBody<B> {
    /// The inner service's body.
    pub fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    /// A body of the layer's own.
    pub fn own(body: Bytes) -> Self {
        Self { kind: Kind::Own { body: Full::new(body) } }
    }

    /// The inner service's response, its body wrapped.
    pub fn wrap(response: Response<B>) -> Response<Self> {
        response.map(Self::inner)
    }
}

impl<B> Body for EitherBody<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProj::Inner { body } => body.poll_frame(cx),
            KindProj::Own { body } => body.poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Own { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Own { body } => body.size_hint(),
        }
    }
}

/// An empty own body: what a layer answers with when it has nothing to say.
impl<B> Default for EitherBody<B> {
    fn default() -> Self {
        Self::own(Bytes::new())
    }
}
