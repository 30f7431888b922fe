//! What stands behind the cache: the upstream, or the demo.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tower_service::Service;

use crate::forward::Hop;
use crate::proxy::Proxy;

/// The body of an origin's response. Boxed, since only misses get here.
pub(crate) type OriginBody = UnsyncBoxBody<Bytes, tower::BoxError>;

/// The origin, for the requests of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    kind: Kind,
    hop: Hop,
}

/// Which origin it is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Demo(axum::Router),
    Upstream(Arc<Proxy>),
}

// === impl Origin ===

impl Origin {
    pub(crate) fn new(kind: Kind, hop: Hop) -> Self {
        Self { kind, hop }
    }
}

/// Always ready, and never fails: what goes wrong is a response.
impl Service<Request<Incoming>> for Origin {
    type Response = Response<OriginBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        match &mut self.kind {
            Kind::Demo(router) => {
                let response = Service::call(router, request);
                Box::pin(async { Ok(response.await?.map(|body| body.map_err(Into::into).boxed_unsync())) })
            }
            Kind::Upstream(proxy) => {
                let (proxy, hop) = (Arc::clone(proxy), self.hop);
                Box::pin(async move { Ok(proxy.answer(request, hop).await) })
            }
        }
    }
}

/// A body of the gateway's own.
pub(crate) fn own(body: Bytes) -> OriginBody {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}
