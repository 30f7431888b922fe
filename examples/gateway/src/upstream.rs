//! The service behind the gateway, reached over HTTP.

use std::error::Error;

use buttress::core::Refusal;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::config::{Problem, Proxy};
use crate::forward::{self, Hop, Step};
use crate::origin::{OriginBody, own};
use crate::{target, upgrade};

/// Passes requests on, keeps connections, and says in a problem document what went wrong.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, Incoming>,
    scheme: Scheme,
    authority: Authority,
    proxy: Proxy,
}

// === impl Upstream ===

impl Upstream {
    pub(crate) fn new(uri: Uri, proxy: Proxy) -> Result<Self, Problem> {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.enforce_http(false);
        http.set_connect_timeout(Some(proxy.connect_timeout));
        let provider = rustls::crypto::ring::default_provider();
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(provider)
            .map_err(|error| Problem::new("--upstream", &uri, error))?
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .http2_only(proxy.http2)
            .build(tls);
        let parts = uri.into_parts();
        let scheme = parts.scheme.expect("the configuration has a scheme");
        let authority = parts.authority.expect("the configuration has an authority");
        Ok(Self { client, scheme, authority, proxy })
    }

    /// Passes a request on. Bodies stream both ways.
    pub(crate) async fn send(&self, request: Request<Incoming>, hop: Hop) -> Response<OriginBody> {
        let (mut parts, body) = request.into_parts();
        if let Step::Answer(answer) = forward::request(&mut parts, hop, self.proxy.forwarded) {
            return answer.map(own);
        }
        parts.uri = target::at(&parts.uri, self.scheme.clone(), self.authority.clone());
        let asked = parts.headers.clone();
        let mut request = Request::from_parts(parts, body);
        let client_side = upgrade::wanted(&mut request);
        let mut response = match tokio::time::timeout(self.proxy.timeout, self.client.request(request)).await {
            Err(_) => {
                return refuse(&asked, StatusCode::GATEWAY_TIMEOUT, "upstream-timeout", "the upstream took too long");
            }
            Ok(Err(error)) => return unreachable(&asked, &error),
            Ok(Ok(response)) => response,
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let upstream_side = hyper::upgrade::on(&mut response);
            let Some(client_side) = client_side else {
                return refuse(
                    &asked,
                    StatusCode::BAD_GATEWAY,
                    "upstream-protocol",
                    "the upstream changed the protocol unasked",
                );
            };
            upgrade::splice(client_side, upstream_side);
        }
        if !forward::response(&mut response) {
            return refuse(
                &asked,
                StatusCode::BAD_GATEWAY,
                "upstream-coding",
                "the upstream's transfer coding is not known here",
            );
        }
        response.map(|body| body.map_err(Into::into).boxed_unsync())
    }
}

/// The upstream gave no answer. What exactly it was is for the log; the client learns what it can act on.
fn unreachable(asked: &HeaderMap, error: &hyper_util::client::legacy::Error) -> Response<OriginBody> {
    let cause = root_cause(error).to_string();
    tracing::warn!(%error, cause, "the upstream did not answer");
    let timed_out = cause.contains("timed out") || cause.contains("deadline has elapsed");
    match error.is_connect() {
        true if timed_out => refuse(asked, StatusCode::GATEWAY_TIMEOUT, "upstream-timeout", "no connection in time"),
        true => refuse(asked, StatusCode::BAD_GATEWAY, "upstream-unreachable", "the upstream cannot be reached"),
        false => refuse(asked, StatusCode::BAD_GATEWAY, "upstream-broken", "the upstream broke off or made no sense"),
    }
}

fn root_cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    error.source().map_or(error, root_cause)
}

fn refuse(asked: &HeaderMap, status: StatusCode, reason: &'static str, detail: &'static str) -> Response<OriginBody> {
    Refusal::new(status, reason).detail(detail).response(asked).map(own)
}
