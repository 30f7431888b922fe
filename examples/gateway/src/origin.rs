//! What stands behind the cache: the upstream, or the demo.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use buttress::assets::AssetsLayer;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tower_layer::Layer as _;
use tower_service::Service;

use crate::forward::Hop;
use crate::proxy::Proxy;

/// The body of an origin's response. Boxed, since only misses get here.
pub(crate) type OriginBody = UnsyncBoxBody<Bytes, tower::BoxError>;

/// An answer, boxed likewise.
type Answer = Pin<Box<dyn Future<Output = Result<Response<OriginBody>, Infallible>> + Send>>;

/// The origin, for the requests of one connection, behind the headers of assets if they are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    bare: Bare,
    assets: Option<AssetsLayer>,
}

/// The origin itself.
#[derive(Clone, Debug)]
struct Bare {
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
    pub(crate) fn new(kind: Kind, hop: Hop, assets: Option<AssetsLayer>) -> Self {
        Self { bare: Bare { kind, hop }, assets }
    }
}

/// Always ready, and never fails: what goes wrong is a response.
impl Service<Request<Incoming>> for Origin {
    type Response = Response<OriginBody>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Answer {
        let Some(assets) = &self.assets else { return self.bare.call(request) };
        let response = assets.layer(self.bare.clone()).call(request);
        Box::pin(async { Ok(response.await?.map(BodyExt::boxed_unsync)) })
    }
}

// === impl Bare ===

impl Service<Request<Incoming>> for Bare {
    type Response = Response<OriginBody>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Answer {
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
