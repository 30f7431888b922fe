//! Reading what a request says before the cache is asked: QUERY, and unary calls of gRPC.
//!
//! ```
//! use std::time::Duration;
//! use buttress_cache::{Cache, CacheLayer, ContentKeyLayer, GrpcMethod};
//! use tower::ServiceBuilder;
//!
//! let layers = ServiceBuilder::new()
//!     // Outside of the cache: what it reads becomes part of the key.
//!     .layer(ContentKeyLayer::new().grpc(GrpcMethod::new("/shop.Prices/Get")?.ttl(Duration::from_secs(10))))
//!     .layer(CacheLayer::new(Cache::embedded()));
//! # let _ = layers;
//! # Ok::<(), buttress_cache::InvalidMethod>(())
//! ```
//!
//! A QUERY (RFC 10008) is a GET whose question stands in its content. Its answers are stored like those of a GET, under a key
//! that says the URI, the content, and its `Content-Type`, `Content-Encoding`, `Content-Language` and `Content-Location`. Nothing is
//! normalised: the same question in other words is another entry. What forgets a URI (an unsafe method's success,
//! [`Purge::uri`](crate::Purge::uri)) forgets the answers to all its questions.
//!
//! A unary call of gRPC is a POST, and only its service knows that it changes nothing: so each method has to be
//! [named](ContentKeyLayer::grpc). The key says the URI, the message, the encodings, and the metadata that were named for the method.
//! An answer is stored with its trailers, and only once those say `grpc-status: 0` after one message. A mutation by
//! another method forgets nothing: give the answers `surrogate-key` metadata and [purge](crate::Cache::purge) by it. A failed
//! call is never answered with a stale answer (`stale-if-error`), since its HTTP status is 200.
//!
//! A request is passed on without a look-up, whole and as the client sent it, when its content is longer than
//! [`max_content`](ContentKeyLayer::max_content), breaks off, ends in trailers, or is not one message.

use std::sync::Arc;
use std::task::{Context, Poll};

use buttress_core::{ResponseFuture, is_grpc};
use bytes::Bytes;
use http::{Method, Request, Response, request};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::grpc::GrpcMethod;
use crate::keyed::{Beside, Keyed};
use crate::policy;
use crate::replay::Replay;

/// Makes the content of a request part of the key that the [`CacheLayer`](crate::CacheLayer) inside looks it up by.
///
/// Without it QUERY and gRPC pass the cache. Other requests go through it unread. The service inside gets the body as
/// [`Replay`], whatever was read.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ContentKeyLayer {
    settings: Arc<Settings>,
}

/// A service that reads the content of some requests first. Made by [`ContentKeyLayer`].
///
/// The inner service's error and readiness pass through as they are. The readied service is held while a content is read, as
/// it would be by a handler that reads it.
#[derive(Clone, Debug)]
pub struct ContentKeyService<S> {
    inner: S,
    settings: Arc<Settings>,
}

#[derive(Clone, Debug)]
struct Settings {
    query: bool,
    methods: Vec<GrpcMethod>,
    max_content: usize,
}

/// What becomes of a request.
#[derive(Debug)]
enum Plan {
    /// It goes on as it is.
    Pass,
    /// It may change something: what it makes outdated may lie under keys with a content.
    Mark,
    /// Its content is read.
    Query,
    /// Its message is read: it calls the method in this place of the list.
    Grpc(usize),
}

// === impl ContentKeyLayer ===

impl ContentKeyLayer {
    /// For QUERY, and no gRPC.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the content of a QUERY is read. Default: yes. Cost: one round trip to Redis more for each request through this layer
    /// that may change something, since it has to forget the answers to all questions about its URI.
    pub fn query(mut self, yes: bool) -> Self {
        self.set().query = yes;
        self
    }

    /// A unary method whose answers may be stored. Default: none. Cost: each is compared with the path of each gRPC request.
    pub fn grpc(mut self, method: GrpcMethod) -> Self {
        self.set().methods.push(method);
        self
    }

    /// The longest content that is read, in bytes. Default: 64 KiB. Costs as much memory for each request that waits for its
    /// content; a request with more is passed on as it comes, and its answer is not stored.
    pub fn max_content(mut self, bytes: usize) -> Self {
        self.set().max_content = bytes;
        self
    }

    fn set(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }
}

impl<S> Layer<S> for ContentKeyLayer {
    type Service = ContentKeyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ContentKeyService { inner, settings: Arc::clone(&self.settings) }
    }
}

// === impl ContentKeyService ===

impl<S, B, R> Service<Request<B>> for ContentKeyService<S>
where
    S: Service<Request<Replay<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes, Error: Send> + Send + 'static,
    R: 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R, R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let plan = self.settings.plan(&parts);
        if let Plan::Query | Plan::Grpc(_) = plan {
            let (mut inner, settings) = (self.take_ready(), Arc::clone(&self.settings));
            return ResponseFuture::boxed(async move {
                let body = Replay::read(body, settings.max_content).await;
                if let Some(keyed) = settings.keyed(&plan, &parts, &body) {
                    parts.extensions.insert(keyed);
                }
                inner.call(Request::from_parts(parts, body)).await
            });
        }
        if let Plan::Mark = plan {
            parts.extensions.insert(Beside);
        }
        ResponseFuture::inner(self.inner.call(Request::from_parts(parts, Replay::untouched(body))), |response| response)
    }
}

impl<S: Clone> ContentKeyService<S> {
    /// The service that was made ready; the clone left behind is not.
    fn take_ready(&mut self) -> S {
        let clone = self.inner.clone();
        std::mem::replace(&mut self.inner, clone)
    }
}

// === impl Settings ===

impl Settings {
    fn plan(&self, parts: &request::Parts) -> Plan {
        match &parts.method {
            &Method::GET | &Method::HEAD => Plan::Pass,
            &Method::QUERY if self.query => Plan::Query,
            &Method::POST if is_grpc(&parts.headers) => {
                let path = parts.uri.path();
                self.methods.iter().position(|method| method.path() == path).map_or(Plan::Pass, Plan::Grpc)
            }
            method if self.query && policy::may_change(method) => Plan::Mark,
            _ => Plan::Pass,
        }
    }

    /// What the content that was read adds to the key; nothing if the request is not one to look up.
    fn keyed<B: Body<Data = Bytes>>(&self, plan: &Plan, parts: &request::Parts, body: &Replay<B>) -> Option<Keyed> {
        let content = body.content()?;
        match *plan {
            Plan::Query => Some(Keyed::query(&parts.headers, content)),
            Plan::Grpc(place) => Keyed::grpc(&self.methods[place], &parts.headers, content),
            Plan::Pass | Plan::Mark => None,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { query: true, methods: Vec::new(), max_content: 64 << 10 }
    }
}
