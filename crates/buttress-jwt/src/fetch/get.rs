//! One question to the issuer, and every way in which its answer can be none.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HeaderValue, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

use super::policy;
use super::published::LARGEST;
use crate::keys::KeyError;

/// Asks one URL. The connection is not kept: it would idle for minutes.
pub(super) struct Getter {
    uri: Uri,
    timeout: Duration,
    roots: Option<Arc<RootCertStore>>,
    /// Made at the first question: reading the machine's certificates takes a while.
    client: Option<Https>,
}

type Https = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// What the issuer answered.
pub(super) struct Answer {
    pub(super) body: Bytes,
    pub(super) max_age: Option<Duration>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    Timeout,
    Connection(String),
    Status(StatusCode),
    TooLarge,
    Unusable(KeyError),
    Roots(String),
    /// Another process of the fleet asked, and has no answer either.
    Elsewhere,
}

const MEDIA_TYPES: HeaderValue =
    HeaderValue::from_static("application/jwk-set+json, application/json;q=0.9, */*;q=0.1");
/// Some servers refuse those that have no name.
const NAME: HeaderValue = HeaderValue::from_static(concat!("buttress-jwt/", env!("CARGO_PKG_VERSION")));

// === impl Getter ===

impl Getter {
    pub(super) fn new(uri: &Uri, timeout: Duration, roots: Option<Arc<RootCertStore>>) -> Self {
        Self { uri: uri.clone(), timeout, roots, client: None }
    }

    /// Asks, and waits for the whole answer. Its content is not looked at.
    pub(super) async fn get(&mut self) -> Result<Answer, Trouble> {
        tokio::time::timeout(self.timeout, self.ask()).await.unwrap_or(Err(Trouble::Timeout))
    }

    async fn ask(&mut self) -> Result<Answer, Trouble> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(ACCEPT, MEDIA_TYPES);
        request.headers_mut().insert(USER_AGENT, NAME);

        let answer = self.client().await?.request(request).await;
        let (head, body) = answer.map_err(|error| broken(&error))?.into_parts();
        // Not a redirection either: whoever can have one sent would name the keys.
        if head.status != StatusCode::OK {
            return Err(Trouble::Status(head.status));
        }
        let body = Limited::new(body, LARGEST)
            .collect()
            .await
            .map_err(|error| if error.is::<LengthLimitError>() { Trouble::TooLarge } else { broken(error.as_ref()) })?;
        Ok(Answer { body: body.to_bytes(), max_age: policy::max_age(&head.headers) })
    }

    async fn client(&mut self) -> Result<&Https, Trouble> {
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                let roots = match &self.roots {
                    Some(roots) => Arc::clone(roots),
                    None => machine_roots().await?,
                };
                client(roots, self.uri.scheme_str() == Some("http"))?
            }
        };
        Ok(self.client.insert(client))
    }
}

/// By a provider that is named: the process's own depends on which features somebody else switched on.
fn client(roots: Arc<RootCertStore>, plain: bool) -> Result<Https, Trouble> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Trouble::Roots(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new().with_tls_config(config);
    let connector = if plain { connector.https_or_http() } else { connector.https_only() };
    Ok(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector.enable_http1().build()))
}

async fn machine_roots() -> Result<Arc<RootCertStore>, Trouble> {
    let read = tokio::task::spawn_blocking(|| {
        let mut roots = RootCertStore::empty();
        // Machines hold certificates that do not parse; the others serve.
        let (added, _ignored) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        (added > 0).then(|| Arc::new(roots))
    });
    let roots = read.await.map_err(|error| Trouble::Roots(error.to_string()))?;
    roots.ok_or_else(|| Trouble::Roots("no root certificates on this machine".to_owned()))
}

/// With its causes: the outer ones only say that something happened.
fn broken(error: &(dyn Error + 'static)) -> Trouble {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    Trouble::Connection(causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")))
}

// === impl Trouble ===

impl Trouble {
    /// The word used in metrics.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connection(_) => "connection",
            Self::Status(_) => "status",
            Self::TooLarge => "too-large",
            Self::Unusable(_) => "unusable",
            Self::Roots(_) => "roots",
            Self::Elsewhere => "elsewhere",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no answer in time"),
            Self::Connection(why) | Self::Roots(why) => f.write_str(why),
            Self::Status(status) => write!(f, "status {status}"),
            Self::TooLarge => write!(f, "more than {LARGEST} bytes"),
            Self::Unusable(why) => why.fmt(f),
            Self::Elsewhere => f.write_str("another process asked, and has no answer either"),
        }
    }
}
