//! The future of a response: one that is dropped was cancelled.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::body::EventsBody;
use crate::policy::Class;
use crate::request::Counted;

pin_project! {
    /// The response of an [`EventsService`](crate::EventsService).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct EventsFuture<F> {
        #[pin]
        inner: F,
        counted: Option<Counted>,
    }
}

// === impl EventsFuture ===

impl<F> EventsFuture<F> {
    pub(crate) fn new(inner: F, counted: Option<Counted>) -> Self {
        Self { inner, counted }
    }
}

impl<F, R, E> Future for EventsFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
{
    type Output = Result<Response<EventsBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(cx));
        let counted = this.counted.take();
        Poll::Ready(match answer {
            Ok(response) => Ok(EventsBody::wrap(response, counted)),
            Err(error) => {
                if let Some(counted) = counted {
                    counted.end(Class::ServerError);
                }
                Err(error)
            }
        })
    }
}
