//! The body of a response: a request has ended when its last byte was taken.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf as _;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::policy::{self, Class};
use crate::request::Counted;

pin_project! {
    /// The inner service's body, untouched. A request has ended when this was read to its end; dropped before, it was cancelled; one that fails has failed.
    #[derive(Debug)]
    pub struct EventsBody<B> {
        #[pin]
        inner: B,
        counted: Option<Counted>,
        class: Class,
        // How many bytes are still to come, if that is known: whoever has them all may not ask for more.
        left: Option<u64>,
        grpc: bool,
    }
}

// === impl EventsBody ===

impl<B: Body> EventsBody<B> {
    pub(crate) fn wrap(response: Response<B>, counted: Option<Counted>) -> Response<Self> {
        let (parts, inner) = response.into_parts();
        let grpc = policy::is_grpc(&parts.headers);
        let class = if grpc { Class::of_grpc(&parts.headers) } else { Class::of(parts.status) };
        let left = inner.size_hint().exact().filter(|_| !grpc);
        let is_over = |counted: &Counted| inner.is_end_stream() || policy::has_no_body(counted.verb, parts.status);
        let counted = match counted {
            Some(counted) if is_over(&counted) => {
                counted.end(class);
                None
            }
            counted => counted,
        };
        Response::from_parts(parts, Self { inner, counted, class, left, grpc })
    }
}

impl<B: Body> Body for EventsBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        let is_over = match &frame {
            None => true,
            Some(Err(_)) => {
                *this.class = Class::ServerError;
                true
            }
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref().filter(|_| *this.grpc) {
                    *this.class = Class::of_grpc(trailers);
                }
                let length = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                *this.left = this.left.map(|left| left.saturating_sub(length));
                *this.left == Some(0) || this.inner.is_end_stream()
            }
        };
        if is_over && let Some(counted) = this.counted.take() {
            counted.end(*this.class);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: Default> Default for EventsBody<B> {
    /// Of nobody's request.
    fn default() -> Self {
        Self { inner: B::default(), counted: None, class: Class::Success, left: None, grpc: false }
    }
}
