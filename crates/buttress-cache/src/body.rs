//! The body of a cached service: passed through, out of the store, or read while it fills an entry.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use buttress_core::BoxError;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::assembly::Assembly;
use crate::growing::Source;
use crate::reader::Reader;
use crate::shadow::Comparison;

pin_project! {
    /// The body of a response that went through the cache.
    ///
    /// What is not stored passes through untouched: frames, trailers, size hint, `is_end_stream`, errors and
    /// back-pressure. What is being stored passes through as well, frame by frame, while the entry fills beside it.
    ///
    /// Its error is the inner body's, boxed: a response that comes out of the store in parts, or is read while another request
    /// fetches it, can break in ways of its own.
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
        Assembled { parts: Box<Assembly> },
        Filling { reader: Reader },
        Compared { body: Pin<Box<CacheBody<B>>>, comparison: Option<Box<Comparison>> },
    }
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

    /// A body out of the store, in parts.
    pub(crate) fn assembled(parts: Assembly) -> Self {
        Self { kind: Kind::Assembled { parts: Box::new(parts) } }
    }

    /// No body: what a HEAD, a 304 or a 416 has.
    pub(crate) fn empty() -> Self {
        Self::stored(Bytes::new(), None)
    }

    /// A body that is compared with a stored one while it is read.
    pub(crate) fn compared(body: Self, comparison: Comparison) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>>,
    {
        if body.is_end_stream() {
            comparison.finish(); // nobody will ask for the end
            return body;
        }
        let (body, comparison) = (Box::pin(body), Some(Box::new(comparison)));
        Self { kind: Kind::Compared { body, comparison } }
    }

    /// A body that is stored while it is read.
    pub(crate) fn filling(reader: Reader) -> Self {
        Self { kind: Kind::Filling { reader } }
    }
}

impl<B> Body for CacheBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().kind.project() {
            KindProj::Inner { body } => body.poll_frame(cx).map_err(Into::into),
            KindProj::Stored { data, trailers } => {
                let frame = data.take().map(Frame::data).or_else(|| trailers.take().map(Frame::trailers));
                Poll::Ready(frame.map(Ok))
            }
            KindProj::Assembled { parts } => parts.poll_frame(cx),
            KindProj::Filling { reader } => reader.poll_frame(cx),
            KindProj::Compared { body, comparison } => {
                let frame = ready!(body.as_mut().poll_frame(cx));
                match &frame {
                    Some(Ok(frame)) => {
                        if let (Some(comparison), Some(data)) = (comparison.as_mut(), frame.data_ref()) {
                            comparison.take(data);
                        }
                    }
                    Some(Err(_)) => *comparison = None,
                    None => {}
                }
                if (frame.is_none() || body.is_end_stream())
                    && let Some(comparison) = comparison.take()
                {
                    comparison.finish();
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Stored { data, trailers } => data.is_none() && trailers.is_none(),
            Kind::Assembled { parts } => parts.is_end_stream(),
            Kind::Filling { reader } => reader.is_end_stream(),
            Kind::Compared { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Stored { data, .. } => SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64)),
            Kind::Assembled { parts } => parts.size_hint(),
            Kind::Filling { reader } => reader.size_hint(),
            Kind::Compared { body, .. } => body.size_hint(),
        }
    }
}

impl<B> fmt::Debug for CacheBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Inner { .. } => "CacheBody::Inner",
            Kind::Stored { .. } => "CacheBody::Stored",
            Kind::Assembled { .. } => "CacheBody::Assembled",
            Kind::Filling { .. } => "CacheBody::Filling",
            Kind::Compared { .. } => "CacheBody::Compared",
        })
    }
}

/// An empty body, for middleware that must make up a response.
impl<B> Default for CacheBody<B> {
    fn default() -> Self {
        Self::empty()
    }
}

// === Source ===

pin_project! {
    /// A body whose error is boxed.
    struct Boxing<B> {
        #[pin]
        body: B,
    }
}

/// A body of whatever type, to be read by several.
pub(crate) fn source<B>(body: B) -> Source
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    Box::pin(Boxing { body })
}

impl<B> Body for Boxing<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.project().body.poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
