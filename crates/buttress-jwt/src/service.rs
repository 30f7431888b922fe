//! The service: judge a request, and let it through or answer it.

use std::sync::Arc;
use std::task::{Context, Poll};

use buttress_core::{EitherBody, ResponseFuture};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, COOKIE, HeaderValue, VARY};
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::admission::{Pass, Verdict};
use crate::fault::Fault;
use crate::layer::Settings;
use crate::reason::Reason;
use crate::source::Place;

/// A service that lets through whom the rules let through. Made by [`JwtLayer`](crate::JwtLayer).
///
/// The inner service's error and readiness pass through as they are.
#[derive(Clone, Debug)]
pub struct JwtService<S> {
    inner: S,
    settings: Arc<Settings>,
}

/// How a response is marked on its way out.
type Wrap<R> = fn(Response<R>) -> Response<EitherBody<R>>;

// === impl JwtService ===

impl<S> JwtService<S> {
    pub(crate) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }
}

impl<S, B, R> Service<Request<B>> for JwtService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<EitherBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R, EitherBody<R>, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        self.settings.identity.strip(&mut parts.headers);
        let wait = match self.settings.judge(&parts) {
            Verdict::Wait(wait) => wait,
            verdict => {
                return match apply(&self.settings, &mut parts, verdict) {
                    Ok(wrap) => ResponseFuture::inner(self.inner.call(Request::from_parts(parts, body)), wrap),
                    Err(response) => ResponseFuture::early(response),
                };
            }
        };
        let clone = self.inner.clone();
        // The service that was made ready; the clone left behind is not.
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let settings = Arc::clone(&self.settings);
        ResponseFuture::boxed(async move {
            let verdict = settings.resume(&parts, wait).await;
            match apply(&settings, &mut parts, verdict) {
                Ok(wrap) => inner.call(Request::from_parts(parts, body)).await.map(wrap),
                Err(response) => Ok(response),
            }
        })
    }
}

/// Makes the request ready, or the answer that refuses it.
#[expect(clippy::result_large_err, reason = "what is refused is answered with it")]
fn apply<R>(settings: &Settings, parts: &mut Parts, verdict: Verdict) -> Result<Wrap<R>, Response<EitherBody<R>>> {
    let verdict = match verdict {
        Verdict::Admit(place, token) if !settings.introduce(parts, place, &token) => {
            Verdict::Refuse(Reason::Invalid(Fault::Claims), None)
        }
        verdict => verdict,
    };
    verdict.note();
    match verdict {
        Verdict::Pass(Pass::Open | Pass::Preflight) => Ok(EitherBody::wrap),
        Verdict::Pass(Pass::Anonymous) | Verdict::Admit(Place::Header, _) if settings.sources.cookie.is_none() => {
            Ok(EitherBody::wrap)
        }
        Verdict::Pass(Pass::Anonymous) | Verdict::Admit(Place::Header, _) => Ok(depends_on_cookie),
        Verdict::Admit(Place::Cookie, _) => Ok(for_one_person),
        Verdict::Admit(Place::Query, _) => Ok(for_one_person),
        Verdict::Refuse(reason, rule) => {
            let rule = rule.map(|rule| &settings.rules[rule]);
            let mut response = reason.refusal(rule, &settings.challenges).response(&parts.headers).map(EitherBody::own);
            response.extensions_mut().insert(reason);
            Err(response)
        }
        Verdict::Wait(_) => unreachable!("who waits is resumed, and is not told to wait again"),
    }
}

/// Somebody with a cookie would have been answered otherwise.
fn depends_on_cookie<R>(mut response: Response<R>) -> Response<EitherBody<R>> {
    response.headers_mut().append(VARY, HeaderValue::from(COOKIE));
    EitherBody::wrap(response)
}

/// Shared caches know that `Authorization` makes an answer one person's, but not that a cookie or a query does (RFC 9111 §3.5).
fn for_one_person<R>(mut response: Response<R>) -> Response<EitherBody<R>> {
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("private"));
    depends_on_cookie(response)
}
