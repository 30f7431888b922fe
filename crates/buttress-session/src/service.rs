//! The service: give a request its session, and keep what was done before the response begins.

use std::sync::Arc;
use std::task::{Context, Poll};

use buttress_core::{EitherBody, Personal, cookie};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::future::SessionFuture;
use crate::id::Sealed;
use crate::layer::Settings;
use crate::policy::MOST_CANDIDATES;
use crate::session::Session;
use crate::visit::Visit;

/// A service whose requests have a session. Made by [`SessionLayer`](crate::SessionLayer).
///
/// The inner service's error and readiness pass through as they are. A request that does not ask for its session costs one look at its cookies and an
/// allocation.
#[derive(Clone)]
pub struct SessionService<S> {
    inner: S,
    settings: Arc<Settings>,
}

// === impl SessionService ===

impl<S> SessionService<S> {
    pub(crate) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }
}

impl<S, B, R> Service<Request<B>> for SessionService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body<Data = Bytes>,
{
    type Response = Response<EitherBody<R>>;
    type Error = S::Error;
    type Future = SessionFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let name = &self.settings.cookie.name;
        let candidates = candidates(&parts.headers, name);
        let has_cookie = candidates.as_ref().is_none_or(|candidates| !candidates.is_empty());
        let label = self.settings.label(&parts);
        if !self.settings.keeps_cookie {
            cookie::remove(&mut parts.headers, name);
        }
        let personal = Personal::of(&mut parts.extensions);
        let visit = Arc::new(Visit::new(Arc::clone(&self.settings), candidates, label, personal));
        parts.extensions.insert(Session::<crate::session::Map>::new(Arc::clone(&visit)));
        let content_type = parts.headers.get(CONTENT_TYPE).cloned();
        let prefetch = (self.settings.prefetches && has_cookie).then(|| Arc::clone(&visit));
        SessionFuture::new(self.inner.call(Request::from_parts(parts, body)), visit, prefetch, content_type)
    }
}

impl<S: std::fmt::Debug> std::fmt::Debug for SessionService<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// The cookies of this name that could be sealed ids, each once. `None` if there are too many to be looked at.
fn candidates(headers: &HeaderMap, name: &str) -> Option<Vec<Sealed>> {
    let mut found = Vec::new();
    for sealed in cookie::values(headers, name).filter_map(Sealed::parse) {
        if found.contains(&sealed) {
            continue;
        }
        if found.len() == MOST_CANDIDATES {
            return None;
        }
        found.push(sealed);
    }
    Some(found)
}
