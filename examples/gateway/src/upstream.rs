//! The service behind the gateway: its connections, and one request over one of them.

use std::time::Duration;

use http::header::{CONNECTION, HOST, UPGRADE};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use hyper::body::{Body as _, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::config::{Problem, Proxy};
use crate::failure::Failure;
use crate::target;
use crate::tls;
use crate::upload::Upload;
use crate::upstream_http2::Http2;

/// Shorter than what servers usually keep an idle connection for, so that few are closed under a request.
const IDLE: Duration = Duration::from_secs(30);

pub(crate) type Connector = HttpsConnector<HttpConnector>;

/// Sends requests on, and keeps connections. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    scheme: Scheme,
    authority: Authority,
    transport: Transport,
}

#[derive(Clone, Debug)]
enum Transport {
    Http1(Client<Connector, Upload>),
    Http2(Http2),
}

// === impl Upstream ===

impl Upstream {
    pub(crate) fn new(uri: Uri, proxy: &Proxy) -> Result<Self, Problem> {
        let connector = connector(&uri, proxy)?;
        let transport = if proxy.http2 {
            Transport::Http2(Http2::new(connector, uri.clone(), proxy.connect_timeout))
        } else {
            Transport::Http1(pool(connector))
        };
        let parts = uri.into_parts();
        let scheme = parts.scheme.expect("the configuration has a scheme");
        let authority = parts.authority.expect("the configuration has an authority");
        Ok(Self { scheme, authority, transport })
    }

    /// Whether what only HTTP/1.1 has can be asked of it: another protocol, or to wait for `100 Continue`.
    pub(crate) fn is_http1(&self) -> bool {
        matches!(self.transport, Transport::Http1(_))
    }

    /// Sends a request whose `Host` is the client's. Bodies stream both ways.
    pub(crate) async fn send(&self, request: Request<Upload>) -> Result<Response<Incoming>, Failure> {
        match &self.transport {
            Transport::Http1(pool) => self.send_http1(pool, request).await,
            Transport::Http2(connection) => connection.send(self.http2_form(request)).await,
        }
    }

    /// A kept connection may be closed by the upstream in the moment of its use. What is safe to repeat and has no body
    /// is sent once more then (RFC 9110 section 9.2.2).
    async fn send_http1(
        &self,
        pool: &Client<Connector, Upload>,
        mut request: Request<Upload>,
    ) -> Result<Response<Incoming>, Failure> {
        *request.uri_mut() = target::at(request.uri(), self.scheme.clone(), self.authority.clone());
        let again = is_repeatable(&request).then(|| copy(&request));
        match (pool.request(request).await.map_err(|error| failure(&error)), again) {
            (Err(Failure::UpstreamBroken), Some(again)) => pool.request(again).await.map_err(|error| failure(&error)),
            (result, _) => result,
        }
    }

    /// In HTTP/2 the host travels as `:authority`. A `Host` beside it could only contradict it.
    fn http2_form(&self, mut request: Request<Upload>) -> Request<Upload> {
        let host = request.headers_mut().remove(HOST);
        let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let authority = authority.unwrap_or_else(|| self.authority.clone());
        *request.uri_mut() = target::at(request.uri(), self.scheme.clone(), authority);
        *request.version_mut() = Version::HTTP_2;
        request.headers_mut().remove(CONNECTION);
        request
    }
}

/// One version of HTTP by ALPN: a pool for HTTP/1.1 that were given HTTP/2 would send the upstream's own authority
/// beside the client's `Host`.
fn connector(uri: &Uri, proxy: &Proxy) -> Result<Connector, Problem> {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(proxy.connect_timeout));
    let builder = HttpsConnectorBuilder::new();
    let builder = match &proxy.ca {
        Some(ca) => builder.with_tls_config(tls::trusting(ca)?),
        None => builder
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .map_err(|error| Problem::new("--upstream", uri, error))?,
    };
    let builder = builder.https_or_http();
    Ok(match proxy.http2 {
        true => builder.enable_http2().wrap_connector(tcp),
        false => builder.enable_http1().wrap_connector(tcp),
    })
}

fn pool(connector: Connector) -> Client<Connector, Upload> {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector)
}

fn failure(error: &Error) -> Failure {
    let failure = if error.is_connect() { Failure::of_connecting(error) } else { Failure::of_asking(error) };
    tracing::debug!(cause = ?error, reason = failure.as_str(), "an exchange with the upstream failed");
    failure
}

fn is_repeatable(request: &Request<Upload>) -> bool {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    is_safe && request.body().is_end_stream() && !request.headers().contains_key(UPGRADE)
}

fn copy(request: &Request<Upload>) -> Request<Upload> {
    let mut copy = Request::new(Upload::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = HeaderMap::clone(request.headers());
    copy
}
