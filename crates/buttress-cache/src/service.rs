//! The service: bypass, answer at once from this process, or go through an [`Exchange`].

use std::sync::Arc;
use std::task::{Context, Poll};

use buttress_core::{BoxError, ResponseFuture};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::body::CacheBody;
use crate::cache::Cache;
use crate::exchange::Exchange;
use crate::layer::Settings;
use crate::policy::{self, Plan};
use crate::shadow;

/// A service that answers from a [`Cache`] what it may. Made by [`CacheLayer`](crate::CacheLayer).
///
/// The inner service's error and readiness pass through as they are. The readied service is held while the store is
/// asked, so a concurrency limit inside counts lookups too.
#[derive(Clone, Debug)]
pub struct CacheService<S> {
    inner: S,
    cache: Cache,
    settings: Arc<Settings>,
}

/// What a request is being fetched for, by cache and key. A layer that is applied twice would wait for itself.
#[derive(Clone, Default)]
struct Within(Vec<(usize, u128)>);

// === impl CacheService ===

impl<S> CacheService<S> {
    pub(crate) fn new(inner: S, cache: Cache, settings: Arc<Settings>) -> Self {
        Self { inner, cache, settings }
    }

    /// The cache that this service answers from.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }
}

impl<S, B, R> Service<Request<B>> for CacheService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Body + Send + 'static,
    R: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<CacheBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R, CacheBody<R>, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        match policy::on_request(&parts, !body.is_end_stream(), &self.settings) {
            Plan::Untouched => {
                let response = self.inner.call(Request::from_parts(parts, body));
                ResponseFuture::inner(response, |response| response.map(CacheBody::inner))
            }
            Plan::Forward(why) => {
                let (inner, cache, settings) = self.take_ready();
                ResponseFuture::boxed(crate::forward::forward(inner, cache, settings, parts, body, why))
            }
            Plan::Lookup(asked) => {
                let mut exchange = Exchange::new(&self.cache, &self.settings, parts, asked);
                if let Some(report) = self.settings.shadow.clone() {
                    return ResponseFuture::boxed(shadow::watch(exchange, report, self.take_ready().0, body));
                }
                if let Some(response) = exchange.answer_at_once() {
                    return ResponseFuture::early(response);
                }
                if !Within::enter(&mut exchange) {
                    let response = self.inner.call(Request::from_parts(exchange.parts, body));
                    return ResponseFuture::inner(response, |response| response.map(CacheBody::inner));
                }
                ResponseFuture::boxed(exchange.answer(self.take_ready().0, body))
            }
        }
    }
}

impl<S: Clone> CacheService<S> {
    /// The service that was made ready; the clone left behind is not.
    fn take_ready(&mut self) -> (S, Cache, Arc<Settings>) {
        let clone = self.inner.clone();
        (std::mem::replace(&mut self.inner, clone), self.cache.clone(), Arc::clone(&self.settings))
    }
}

// === impl Within ===

impl Within {
    /// Notes in a request what it is fetched for; false if it was there already.
    fn enter(exchange: &mut Exchange) -> bool {
        let here = (exchange.cache.id(), exchange.place.plain());
        let within: &mut Self = exchange.parts.extensions.get_or_insert_default();
        let is_new = !within.0.contains(&here);
        if is_new {
            within.0.push(here);
        }
        is_new
    }
}
