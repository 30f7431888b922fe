//! The body of a cached service: passed through, out of the store, or passed through while an entry fills.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::fill::Fill;

pin_project! {
    /// The body of a response that went through the cache.
    ///
    /// What is not stored passes through untouched: frames, trailers, size hint, `is_end_stream`, errors and
    /// back-pressure. What is being stored passes through as well, frame by frame, while the entry fills beside it.
    pub struct CacheBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        Inner { #[pin] body: B },
        Stored { data: Option<Bytes>, trailers: Option<HeaderMap> },
        Filling { filling: Filling<B> },
    }
}

/// A body that is stored while it passes.
struct Filling<B> {
    /// Boxed, so that it can be taken along when the client leaves before the end.
    body: Option<Pin<Box<B>>>,
    fill: Option<Fill>,
    /// What to do with the two when the client leaves. A pointer, so that dropping needs no bounds on `B`.
    leave: fn(Pin<Box<B>>, Fill),
}

// === impl CacheBody ===

impl<B> CacheBody<B> {
    /// The inner service's body, untouched.
    pub(crate) fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    /// A complete body out of the store.
    pub(crate) fn stored(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self { kind: Kind::Stored { data: (!data.is_empty()).then_some(data), trailers } }
    }

    /// No body: what a HEAD, a 304 or a 416 has.
    pub(crate) fn empty() -> Self {
        Self::stored(Bytes::new(), None)
    }

    /// The inner service's body, stored while it passes.
    pub(crate) fn filling(body: B, fill: Fill, leave: fn(Pin<Box<B>>, Fill)) -> Self {
        let filling = Filling { body: Some(Box::pin(body)), fill: Some(fill), leave };
        Self { kind: Kind::Filling { filling } }
    }
}

impl<B> Body for CacheBody<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProj::Inner { body } => body.poll_frame(cx),
            KindProj::Stored { data, trailers } => {
                let frame = data.take().map(Frame::data).or_else(|| trailers.take().map(Frame::trailers));
                Poll::Ready(frame.map(Ok))
            }
            KindProj::Filling { filling } => filling.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Stored { data, trailers } => data.is_none() && trailers.is_none(),
            Kind::Filling { filling } => filling.body.as_ref().is_none_or(|body| body.is_end_stream()),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Stored { data, .. } => SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64)),
            Kind::Filling { filling } => {
                filling.body.as_ref().map_or_else(|| SizeHint::with_exact(0), |body| body.size_hint())
            }
        }
    }
}

impl<B> fmt::Debug for CacheBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Inner { .. } => "CacheBody::Inner",
            Kind::Stored { .. } => "CacheBody::Stored",
            Kind::Filling { .. } => "CacheBody::Filling",
        })
    }
}

/// An empty body, for middleware that must make up a response.
impl<B> Default for CacheBody<B> {
    fn default() -> Self {
        Self::empty()
    }
}

// === impl Filling ===

impl<B: Body<Data = Bytes>> Filling<B> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(body.as_mut().poll_frame(cx));
        self.fill = match (self.fill.take(), &frame) {
            (Some(fill), Some(Ok(frame))) => fill.take_frame(frame),
            (Some(fill), None) => {
                fill.finish();
                None
            }
            (_, Some(Err(_)) | None) | (None, _) => None, // dropping an unfinished fill lets a follower try again
        };
        // A server that knows the length does not ask for the end: the last frame must do.
        if body.is_end_stream()
            && let Some(fill) = self.fill.take()
        {
            fill.finish();
        }
        Poll::Ready(frame)
    }
}

impl<B> Drop for Filling<B> {
    fn drop(&mut self) {
        if let (Some(body), Some(fill)) = (self.body.take(), self.fill.take()) {
            (self.leave)(body, fill);
        }
    }
}
