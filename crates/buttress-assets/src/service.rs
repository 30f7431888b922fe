//! The service: note what is asked, ask the service inside, and say of its answer what is to be said.

use std::sync::Arc;
use std::task::{Context, Poll};

use buttress_core::BoxError;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::body::AssetsBody;
use crate::build;
use crate::conditions::{Conditions, Hide};
use crate::exchange::Exchange;
use crate::future::AssetsFuture;
use crate::layer::Settings;
use crate::served::Asked;

/// What a browser sends with `script` when it fetches a service worker.
const SERVICE_WORKER: HeaderName = HeaderName::from_static("service-worker");

/// A service whose responses say how long they may be kept. Made by [`AssetsLayer`](crate::AssetsLayer).
///
/// The inner service's error and readiness pass through as they are.
#[derive(Clone, Debug)]
pub struct AssetsService<S> {
    inner: S,
    settings: Arc<Settings>,
}

// === impl AssetsService ===

impl<S> AssetsService<S> {
    pub(crate) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }
}

impl<S, B, R> Service<Request<B>> for AssetsService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Response = Response<AssetsBody<R>>;
    type Error = S::Error;
    type Future = AssetsFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let asked = Asked::of(&request);
        let conditions =
            Conditions::take(&asked.method, request.headers_mut(), || hide(&self.settings, asked.uri.path()));
        let exchange = Exchange { asked, conditions, settings: Arc::clone(&self.settings) };
        AssetsFuture::new(self.inner.call(request), exchange)
    }
}

/// What the service is not to see of a request: conditions that the layer judges, and a `Range` where the tag of a part could
/// not be told without the whole.
fn hide(settings: &Settings, path: &str) -> Hide {
    let index = settings.index();
    let one_mtime = settings.has_one_mtime(index.as_deref());
    let is_tagged = || {
        let path = build::decoded(path);
        let content = index.as_ref().and_then(|index| index.file(&path)?.content.as_ref());
        content.is_some_and(|content| content.tag.is_some())
    };
    match () {
        () if one_mtime && !is_tagged() => Hide::Ranges,
        () if one_mtime || !settings.pass_conditions || is_tagged() => Hide::Conditions,
        () => Hide::Nothing,
    }
}

// === impl Asked ===

impl Asked {
    fn of<B>(request: &Request<B>) -> Self {
        let mut this = Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            authorized: false,
            service_worker: false,
        };
        for (name, value) in request.headers() {
            this.authorized |= *name == AUTHORIZATION;
            this.service_worker |= *name == SERVICE_WORKER && *value == "script";
        }
        this
    }
}
