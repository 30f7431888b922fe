//! The admin listener: is it alive, is it ready, what has been counted; and orders.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use buttress::core::Refusal;
use buttress::events::{Dashboard, DashboardBody};
use buttress::redis::Redis;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use http::uri::Authority;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tower_service::Service as _;

use crate::jwt::Guard;
use crate::shutdown::Shutdown;
use crate::stack::Stack;
use crate::{explain, logins, purge, revoke};

/// What the admin listener answers from.
pub(crate) struct Admin {
    /// Of the token, so that comparing takes the same time whatever is sent.
    token: Option<blake3::Hash>,
    metrics: Option<PrometheusHandle>,
    redis: Option<Redis>,
    dashboard: Option<Dashboard>,
    stack: Stack,
    shutdown: Shutdown,
    was_ready: AtomicBool,
}

type AdminBody = Either<Full<Bytes>, DashboardBody>;

const DASHBOARD: &str = "/dashboard";
/// The text format of Prometheus.
const EXPOSITION: &str = "text/plain; version=0.0.4";
/// An order is short.
const LONGEST_ORDER: usize = 64 << 10;

/// Serves until the task is aborted.
pub(crate) async fn serve(listener: TcpListener, admin: Admin) {
    let admin = Arc::new(admin);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let admin = Arc::clone(&admin);
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let admin = Arc::clone(&admin);
                async move { Ok::<_, Infallible>(admin.answer(request).await) }
            });
            let mut server = auto::Builder::new(TokioExecutor::new());
            server.http1().timer(TokioTimer::new());
            if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "an admin connection ended badly");
            }
        });
    }
}

// === impl Admin ===

impl Admin {
    pub(crate) fn new(
        token: Option<String>,
        metrics: Option<PrometheusHandle>,
        redis: Option<Redis>,
        stack: Stack,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            token: token.map(|token| blake3::hash(token.as_bytes())),
            metrics,
            redis,
            dashboard: stack.counting().map(|counting| Dashboard::new(counting.events.clone())),
            stack,
            shutdown,
            was_ready: AtomicBool::new(false),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<AdminBody> {
        let whole = |response: Response<Bytes>| response.map(|body| Either::Left(Full::new(body)));
        if let Some(refusal) = self.refusal(request.method(), request.uri().path(), request.headers()) {
            return whole(refusal.response(request.headers()));
        }
        match request.uri().path().strip_prefix(DASHBOARD) {
            Some("") => whole(redirect(&format!("{DASHBOARD}/"))),
            Some(rest) if rest.starts_with('/') => match &self.dashboard {
                Some(dashboard) => {
                    let Ok(answer) = dashboard.clone().call(request).await;
                    answer.map(Either::Right)
                }
                None => whole(not_found(request.headers())),
            },
            _ => whole(self.order(request).await),
        }
    }

    /// Why this is not for whoever asks.
    fn refusal(&self, method: &Method, path: &str, headers: &HeaderMap) -> Option<Refusal> {
        // A web page whose name was made to lead here must neither give orders nor read what a business does.
        let is_private = method == Method::POST || path.starts_with(DASHBOARD);
        if self.token.is_none() && is_private && !is_local(headers) {
            let refusal = Refusal::new(StatusCode::FORBIDDEN, "not-local");
            return Some(refusal.detail("without a token the admin listener is asked by its address or as localhost"));
        }
        (!self.admits(method, headers)).then(|| {
            Refusal::new(StatusCode::UNAUTHORIZED, "no-token")
                .detail("the admin listener wants its bearer token; to look, a browser may send it as a password")
                .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer, Basic realm=\"gateway\""))
        })
    }

    async fn order(&self, request: Request<Incoming>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        let headers = &parts.headers;
        match (&parts.method, parts.uri.path()) {
            (&Method::GET | &Method::HEAD, "/healthz") => text("alive\n"),
            (&Method::GET | &Method::HEAD, "/readyz") if self.shutdown.is_ending() => {
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "ending").response(headers)
            }
            (&Method::GET | &Method::HEAD, "/readyz") => self.ready(headers),
            (&Method::GET | &Method::HEAD, "/metrics") => self.metrics(),
            (&Method::GET | &Method::HEAD, "/metrics/cluster") => self.cluster(headers).await,
            (&Method::POST, path @ ("/purge" | "/explain" | "/peek" | "/revoke" | "/logins")) => {
                let Ok(body) = Limited::new(body, LONGEST_ORDER).collect().await.map(Collected::to_bytes) else {
                    return Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "long-order").response(headers);
                };
                match path {
                    "/purge" => purge::purge(self.stack.cache(), headers, &body).await,
                    "/revoke" => {
                        let revocations = self.stack.guard().map(|guard| &guard.revocations);
                        revoke::revoke(revocations, headers, &body).await
                    }
                    "/logins" => {
                        let sessions = self.stack.visitors().map(|visitors| &visitors.sessions);
                        logins::logins(sessions, headers, &body).await
                    }
                    "/peek" => explain::peek(&self.stack, headers, &body).await,
                    _ => explain::explain(&self.stack, headers, &body).await,
                }
            }
            _ => not_found(headers),
        }
    }

    /// A browser sends a password by itself, whoever has it ask: that is enough to look, and not for an order.
    fn admits(&self, method: &Method, headers: &HeaderMap) -> bool {
        let Some(token) = self.token else { return true };
        let sent = headers.get(AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
        let password = || {
            let sent = sent.strip_prefix(b"Basic ").filter(|_| method != Method::POST)?;
            let pair = data_encoding::BASE64.decode(sent).ok()?;
            let colon = pair.iter().position(|byte| *byte == b':')?;
            Some(blake3::hash(&pair[colon + 1..]))
        };
        sent.strip_prefix(b"Bearer ").map(blake3::hash).or_else(password) == Some(token)
    }

    /// Ready as long as it listens: the cache serves without Redis too, only slower. But not before tokens could be checked once: a gateway that
    /// has just begun is not the one to send people to. What Redis does is said all the same.
    fn ready(&self, headers: &HeaderMap) -> Response<Bytes> {
        let guarded = self.stack.guard().is_none_or(Guard::is_ready);
        if !self.was_ready.fetch_or(guarded, Ordering::Relaxed) && !guarded {
            let why = "what was revoked, or by whom, is not known yet";
            return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not-yet").detail(why).response(headers);
        }
        text(match &self.redis {
            None => "ready\n",
            Some(redis) if redis.is_up() => "ready, redis is up\n",
            Some(_) => "ready, redis is away\n",
        })
    }

    fn metrics(&self) -> Response<Bytes> {
        let Some(metrics) = &self.metrics else { return text("") };
        metrics.run_upkeep();
        let mut response = text(metrics.render());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(EXPOSITION));
        response
    }

    /// What all gateways that share the Redis have counted together.
    async fn cluster(&self, headers: &HeaderMap) -> Response<Bytes> {
        let Some(counting) = self.stack.counting() else { return text("") };
        match counting.events.prometheus().await {
            Ok(totals) => {
                let mut response = text(totals);
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(EXPOSITION));
                response
            }
            Err(error) => {
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "counts-away").detail(error.to_string()).response(headers)
            }
        }
    }
}

fn not_found(headers: &HeaderMap) -> Response<Bytes> {
    Refusal::new(StatusCode::NOT_FOUND, "no-such-page")
        .detail("there are GET /dashboard/, /healthz, /readyz, /metrics and /metrics/cluster, and POST /purge, /revoke, /logins, /explain and /peek")
        .response(headers)
}

fn redirect(to: &str) -> Response<Bytes> {
    let mut response = text("");
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().extend(HeaderValue::try_from(to).map(|to| (LOCATION, to)));
    response
}

/// Whether a request was sent to an address or to localhost. A web page whose name was made to lead here says its own name.
fn is_local(headers: &HeaderMap) -> bool {
    let authority = headers.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    authority.is_none_or(|authority| {
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok()
    })
}

fn text(body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
