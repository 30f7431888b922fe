//! The future of a response: what was done to the session is kept between the service's answer and ours.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use buttress_core::EitherBody;
use http::Response;
use http::header::HeaderValue;
use pin_project_lite::pin_project;

use crate::answer::{self, Settled};
use crate::visit::Visit;

type Prefetch = Pin<Box<dyn Future<Output = ()> + Send>>;
type Settling = Pin<Box<dyn Future<Output = Settled> + Send>>;

pin_project! {
    /// The response of a [`SessionService`](crate::SessionService). Only what has to ask where sessions are kept allocates.
    #[must_use = "futures do nothing unless polled"]
    pub struct SessionFuture<F, R> {
        #[pin]
        inner: F,
        visit: Arc<Visit>,
        prefetch: Option<Prefetch>,
        content_type: Option<HeaderValue>,
        settling: Option<(Option<Response<R>>, Settling)>,
    }
}

// === impl SessionFuture ===

impl<F, R> SessionFuture<F, R> {
    pub(crate) fn new(
        inner: F,
        visit: Arc<Visit>,
        prefetch: Option<Arc<Visit>>,
        content_type: Option<HeaderValue>,
    ) -> Self {
        let prefetch = prefetch.map(|visit| -> Prefetch { Box::pin(async move { visit.prefetch().await }) });
        Self { inner, visit, prefetch, content_type, settling: None }
    }
}

impl<F, R, E> Future for SessionFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<EitherBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.settling.is_none() {
            // Beside the service, in the same task: whoever waits for the session is woken by this.
            if let Some(prefetch) = this.prefetch
                && prefetch.as_mut().poll(cx).is_ready()
            {
                *this.prefetch = None;
            }
            let response = match ready!(this.inner.poll(cx)) {
                Ok(response) => response,
                Err(error) => {
                    this.visit.state().late = true;
                    return Poll::Ready(Err(error));
                }
            };
            match answer::conclude(this.visit, response.status(), response.headers()) {
                Some(settled) => {
                    return Poll::Ready(Ok(settled.answer(this.visit, response, this.content_type.as_ref())));
                }
                None => {
                    let visit = Arc::clone(this.visit);
                    *this.settling = Some((Some(response), Box::pin(async move { answer::settle(&visit).await })));
                }
            }
        }
        let (response, settling) = this.settling.as_mut().expect("it was set above");
        let settled = ready!(settling.as_mut().poll(cx));
        let response = response.take().expect("a SessionFuture is not polled after it is ready");
        Poll::Ready(Ok(settled.answer(this.visit, response, this.content_type.as_ref())))
    }
}

impl<F, R> fmt::Debug for SessionFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionFuture")
    }
}
