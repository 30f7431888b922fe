//! Bodies that do what bodies rarely do: end in trailers, break in the middle, come slowly, hide their length.
//!
//! ```
//! use buttress_tests::body::{self, Scripted};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let whole = http::Response::new(Scripted::of(["one ", "two"]).hides_length());
//! let (_, bytes, trailers) = body::collect(whole).await;
//! assert_eq!((&bytes[..], trailers), (&b"one two"[..], None));
//! # });
//! ```

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Response, response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;

/// A body whose frames are known beforehand. Reports its exact length, unless told to hide it or to break.
#[derive(Debug, Default)]
pub struct Scripted {
    frames: VecDeque<Frame<Bytes>>,
    breaks: bool,
    hides_length: bool,
}

/// A body whose frames a test hands over one by one, through the [`Tap`] of [`slow`]. Its length is unknown.
#[derive(Debug)]
pub struct Slow {
    frames: mpsc::UnboundedReceiver<Result<Frame<Bytes>, Broken>>,
}

/// The writing end of a [`Slow`] body: dropping it ends the body cleanly.
#[derive(Clone, Debug)]
pub struct Tap {
    frames: mpsc::UnboundedSender<Result<Frame<Bytes>, Broken>>,
}

/// The error of a body that breaks on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// A slow body and its tap.
#[must_use]
pub fn slow() -> (Tap, Slow) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Tap { frames: sender }, Slow { frames: receiver })
}

/// Reads a response to its end.
///
/// # Panics
/// When the body breaks.
pub async fn collect<B>(response: Response<B>) -> (response::Parts, Bytes, Option<HeaderMap>)
where
    B: Body<Error: fmt::Debug>,
{
    let (parts, body) = response.into_parts();
    let collected = body.collect().await.expect("the body ends cleanly");
    let trailers = collected.trailers().cloned();
    (parts, collected.to_bytes(), trailers)
}

// === impl Scripted ===

impl Scripted {
    /// Chunks of data; none make an empty body.
    #[must_use]
    pub fn of<C: Into<Bytes>>(chunks: impl IntoIterator<Item = C>) -> Self {
        let frames = chunks.into_iter().map(|chunk| Frame::data(chunk.into())).collect();
        Self { frames, ..Self::default() }
    }

    /// Ends in these trailers.
    #[must_use]
    pub fn trailers(mut self, trailers: HeaderMap) -> Self {
        self.frames.push_back(Frame::trailers(trailers));
        self
    }

    /// Fails with [`Broken`] after its last frame. A broken body promises no length.
    #[must_use]
    pub const fn breaks(mut self) -> Self {
        self.breaks = true;
        self
    }

    /// Answers `size_hint` with "unknown".
    #[must_use]
    pub const fn hides_length(mut self) -> Self {
        self.hides_length = true;
        self
    }
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(match self.frames.pop_front() {
            Some(frame) => Some(Ok(frame)),
            None => std::mem::take(&mut self.breaks).then_some(Err(Broken)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && !self.breaks
    }

    fn size_hint(&self) -> SizeHint {
        if self.hides_length || self.breaks {
            return SizeHint::default();
        }
        SizeHint::with_exact(self.frames.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum())
    }
}

// === impl Slow ===

impl Body for Slow {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(ready!(self.frames.poll_recv(cx)))
    }
}

// === impl Tap ===

impl Tap {
    /// Hands over a chunk; `false` when nobody reads the body any more.
    pub fn data(&self, chunk: impl Into<Bytes>) -> bool {
        self.frames.send(Ok(Frame::data(chunk.into()))).is_ok()
    }

    /// Hands over trailers; `false` when nobody reads the body any more.
    pub fn trailers(&self, trailers: HeaderMap) -> bool {
        self.frames.send(Ok(Frame::trailers(trailers))).is_ok()
    }

    /// Breaks the body; `false` when nobody reads it any more.
    pub fn breaks(&self) -> bool {
        self.frames.send(Err(Broken)).is_ok()
    }

    /// Waits until the reader has dropped the body.
    pub async fn abandoned(&self) {
        self.frames.closed().await;
    }
}

// === impl Broken ===

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body broke on purpose")
    }
}

impl std::error::Error for Broken {}

impl From<Infallible> for Broken {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
