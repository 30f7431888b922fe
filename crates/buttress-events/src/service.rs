//! The service: look where a request goes, let it go, and count it when its response has ended.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::body::EventsBody;
use crate::future::EventsFuture;
use crate::layer::Settings;
use crate::policy::Verb;
use crate::request::Counted;

/// A service whose requests are counted. Made by [`EventsLayer`](crate::EventsLayer).
///
/// The inner service's error, readiness and body pass through as they are.
#[derive(Clone)]
pub struct EventsService<S> {
    inner: S,
    settings: Arc<Settings>,
}

// === impl EventsService ===

impl<S> EventsService<S> {
    pub(crate) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }
}

impl<S, B, R> Service<Request<B>> for EventsService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    type Response = Response<EventsBody<R>>;
    type Error = S::Error;
    type Future = EventsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let verb = Verb::of(request.method());
        let (request, route) = self.settings.look(request);
        let counted = route.map(|route| Counted::begin(&self.settings.events, route, verb));
        EventsFuture::new(self.inner.call(request), counted)
    }
}

impl<S: fmt::Debug> fmt::Debug for EventsService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventsService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
