//! The body of a response: the service's, a part of it, or one that was read to be hashed.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

/// So much of a body is read to get at a part of it. A request for the last byte of a large file must not cost the file.
const MOST_SKIPPED: u64 = 8 << 20;

pin_project! {
    /// The body of a response that has passed an [`AssetsLayer`](crate::AssetsLayer).
    ///
    /// The service's own body passes through untouched, with its size hint, trailers and errors.
    #[derive(Debug)]
    pub struct AssetsBody<B: Body> {
        #[pin]
        kind: Kind<B, B::Error>,
    }
}

pin_project! {
    #[project = KindProj]
    #[derive(Debug)]
    enum Kind<B, E> {
        Inner { #[pin] body: B },
        // The bytes after `skip`, as many as are `left`.
        Part { #[pin] body: B, skip: u64, left: u64 },
        // `whole` as it was announced.
        Read { bytes: Bytes, end: End<E>, whole: bool },
        // What was read already, and the rest.
        Resumed { bytes: Bytes, body: Pin<Box<B>> },
    }
}

/// What came after the data of a body that was read.
#[derive(Debug)]
pub(crate) enum End<E> {
    Nothing,
    Trailers(HeaderMap),
    Error(E),
}

// === impl AssetsBody ===

impl<B: Body> AssetsBody<B> {
    pub(crate) fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    pub(crate) fn own(bytes: Bytes) -> Self {
        Self::read(bytes, End::Nothing, true)
    }

    /// The bytes from `first` to `last`, inclusive. What is before them in a body that was not read is read and dropped.
    pub(crate) fn part(self, first: u64, last: u64) -> Self {
        let kind = match self.kind {
            Kind::Inner { body } => Kind::Part { body, skip: first, left: last + 1 - first },
            Kind::Read { bytes, .. } => {
                let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(bytes.len());
                Kind::Read { bytes: bytes.slice(at(first)..at(last + 1)), end: End::Nothing, whole: true }
            }
            whole => whole,
        };
        Self { kind }
    }

    pub(crate) fn resumed(bytes: Bytes, body: Pin<Box<B>>) -> Self {
        Self { kind: Kind::Resumed { bytes, body } }
    }

    /// One that was read, to its end or as far as it came.
    pub(crate) fn read(bytes: Bytes, end: End<B::Error>, whole: bool) -> Self {
        Self { kind: Kind::Read { bytes, end, whole } }
    }

    /// Whether a part that begins there is worth reading what is before it, which nobody gets.
    pub(crate) fn is_cut_at(&self, first: u64) -> bool {
        matches!(self.kind, Kind::Read { .. }) || first <= MOST_SKIPPED
    }
}

impl<B: Body<Data = Bytes>> Body for AssetsBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProj::Inner { body } => body.poll_frame(cx),
            KindProj::Part { body, skip, left } => poll_part(body, skip, left, cx),
            KindProj::Read { bytes, end, .. } => Poll::Ready(next(bytes, end)),
            KindProj::Resumed { bytes, .. } if !bytes.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            KindProj::Resumed { body, .. } => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Part { left, .. } => *left == 0,
            Kind::Read { bytes, end, .. } => bytes.is_empty() && matches!(end, End::Nothing),
            Kind::Resumed { bytes, body } => bytes.is_empty() && body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Part { left, .. } => SizeHint::with_exact(*left),
            // What broke off must not look whole.
            Kind::Read { whole: false, .. } => SizeHint::default(),
            Kind::Read { bytes, .. } => SizeHint::with_exact(bytes.len() as u64),
            Kind::Resumed { .. } => SizeHint::default(), // it was wrong about that
        }
    }
}

/// Drops what is before the part, and stops where it ends. Trailers are of the whole, and stay away.
fn poll_part<B: Body<Data = Bytes>>(
    mut body: Pin<&mut B>,
    skip: &mut u64,
    left: &mut u64,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
    while *left > 0 {
        let Some(frame) = ready!(body.as_mut().poll_frame(cx)?) else { break };
        let Ok(mut data) = frame.into_data() else { continue };
        let before = usize::try_from(*skip).unwrap_or(usize::MAX).min(data.len());
        data.advance(before);
        *skip -= before as u64;
        data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= data.len() as u64;
        if !data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }
    Poll::Ready(None)
}

fn next<E>(bytes: &mut Bytes, end: &mut End<E>) -> Option<Result<Frame<Bytes>, E>> {
    if !bytes.is_empty() {
        return Some(Ok(Frame::data(std::mem::take(bytes))));
    }
    match std::mem::replace(end, End::Nothing) {
        End::Nothing => None,
        End::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
        End::Error(error) => Some(Err(error)),
    }
}

impl<B: Body> Default for AssetsBody<B> {
    /// Empty, as a 304 is.
    fn default() -> Self {
        Self::own(Bytes::new())
    }
}
