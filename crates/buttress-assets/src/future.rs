//! The future of a response: the service's own, and the reading of a content that gets a tag.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::ETAG;
use http::{Response, response};
use http_body::Body;
use pin_project_lite::pin_project;

use crate::body::{AssetsBody, End};
use crate::exchange::Exchange;
use crate::tag::Hasher;

pin_project! {
    /// The future of an [`AssetsService`](crate::AssetsService). It is not boxed.
    #[must_use = "futures do nothing unless polled"]
    pub struct AssetsFuture<F, B> {
        #[pin]
        state: State<F, B>,
        exchange: Exchange,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, B> {
        Calling { #[pin] future: F },
        Reading { reading: Option<Reading<B>> },
    }
}

/// A content while it is read.
struct Reading<B> {
    parts: response::Parts,
    body: Pin<Box<B>>,
    hasher: Hasher,
    /// What came, uncopied as long as it came in one piece.
    first: Bytes,
    rest: BytesMut,
    /// As many bytes are still to come, by what the service has announced.
    left: u64,
}

/// How reading a content ends.
enum Outcome<E> {
    Complete(End<E>),
    /// There is more than was announced; what is longer than it says gets no tag.
    TooLong,
}

// === impl AssetsFuture ===

impl<F, B> AssetsFuture<F, B> {
    pub(crate) fn new(future: F, exchange: Exchange) -> Self {
        Self { state: State::Calling { future }, exchange }
    }
}

impl<F, B, E> Future for AssetsFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes>,
{
    type Output = Result<Response<AssetsBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Calling { future } => {
                    let (mut parts, body) = ready!(future.poll(cx))?.into_parts();
                    let Some(length) = this.exchange.say(&mut parts, body.size_hint().exact()) else {
                        return Poll::Ready(Ok(this.exchange.answer(parts, AssetsBody::inner(body))));
                    };
                    this.state.set(State::Reading { reading: Some(Reading::new(parts, body, length)) });
                }
                StateProj::Reading { reading } => {
                    let outcome = ready!(reading.as_mut().expect(POLLED_AGAIN).poll(cx));
                    let reading = reading.take().expect(POLLED_AGAIN);
                    return Poll::Ready(Ok(reading.finish(outcome, this.exchange)));
                }
            }
        }
    }
}

const POLLED_AGAIN: &str = "an AssetsFuture is not polled after it is ready";

impl<F, B> fmt::Debug for AssetsFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Calling { .. } => "AssetsFuture::Calling",
            State::Reading { .. } => "AssetsFuture::Reading",
        })
    }
}

// === impl Reading ===

impl<B: Body<Data = Bytes>> Reading<B> {
    fn new(parts: response::Parts, body: B, left: u64) -> Self {
        Self { parts, body: Box::pin(body), hasher: Hasher::new(), first: Bytes::new(), rest: BytesMut::new(), left }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome<B::Error>> {
        loop {
            let frame = match ready!(self.body.as_mut().poll_frame(cx)) {
                None => return Poll::Ready(Outcome::Complete(End::Nothing)),
                Some(Err(error)) => return Poll::Ready(Outcome::Complete(End::Error(error))),
                Some(Ok(frame)) => frame,
            };
            match frame.into_data() {
                Ok(data) => {
                    let is_too_long = data.len() as u64 > self.left;
                    self.left = self.left.saturating_sub(data.len() as u64);
                    self.hasher.update(&data);
                    self.keep(data);
                    if is_too_long {
                        return Poll::Ready(Outcome::TooLong);
                    }
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        return Poll::Ready(Outcome::Complete(End::Trailers(trailers)));
                    }
                }
            }
        }
    }

    fn keep(&mut self, data: Bytes) {
        if self.first.is_empty() {
            self.first = data;
        } else {
            if self.rest.is_empty() {
                self.rest.extend_from_slice(&self.first);
            }
            self.rest.extend_from_slice(&data);
        }
    }

    /// Gives a content that is whole its tag, and answers. One that broke is passed on as far as it came, with its error.
    fn finish(mut self, outcome: Outcome<B::Error>, exchange: &Exchange) -> Response<AssetsBody<B>> {
        let bytes = if self.rest.is_empty() { self.first } else { self.rest.freeze() };
        let is_whole = self.left == 0;
        match outcome {
            Outcome::TooLong => Response::from_parts(self.parts, AssetsBody::resumed(bytes, self.body)),
            Outcome::Complete(end) if !is_whole || matches!(end, End::Error(_)) => {
                Response::from_parts(self.parts, AssetsBody::read(bytes, end, false))
            }
            Outcome::Complete(end) => {
                self.parts.headers.insert(ETAG, self.hasher.tag());
                exchange.answer(self.parts, AssetsBody::read(bytes, end, true))
            }
        }
    }
}
