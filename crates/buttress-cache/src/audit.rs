//! Looking for cache poisoning before somebody else does: a test for your service.
//!
//! A response that depends on something which is not in its key is served to all who share the key (Kettle, *Practical Web
//! Cache Poisoning*, 2018). The audit asks the service, without a cache, the same question again and again, each time with
//! one more field, and reports where the answer is another one although the key is the same.
//!
//! ```
//! use buttress_cache::{Cache, CacheLayer};
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{Empty, Full};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // It looks at a cookie, and does not say so in `Vary`.
//! let careless = tower::service_fn(|request: Request<Empty<Bytes>>| async move {
//!     let page = if request.headers().contains_key("cookie") { "your page" } else { "log in" };
//!     Response::builder().header("cache-control", "max-age=60").body(Full::new(Bytes::from(page)))
//! });
//! let layer = CacheLayer::new(Cache::embedded());
//! let audit = layer.audit(careless, || Request::get("http://shop.example/").body(Empty::new()).unwrap()).await?;
//! assert!(audit.is_stored());
//! assert_eq!(audit.findings()[0].to_string(), "cookie changes the body");
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeSet;
use std::fmt;

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, request};
use http_body::Body;
use tower_service::Service;

use buttress_rfc9111::vary::VaryFields;

use crate::admit::{Admission, Times};
use crate::exchange::Exchange;
use crate::layer::CacheLayer;
use crate::policy::{self, Plan};
use crate::reader::next_frame;

/// Fields that services are known to look at, each with a value that changes what they do if they do.
const PROBES: [(&str, &str); 24] = [
    ("accept", "application/vnd.audit+json"),
    ("accept-language", "tlh"),
    ("authorization", "Basic YXVkaXQ6YXVkaXQ="),
    ("cf-connecting-ip", "192.0.2.66"),
    ("cookie", "session=audit; user=audit; theme=audit; lang=tlh"),
    ("forwarded", "for=192.0.2.66;host=audit.invalid;proto=https"),
    ("origin", "https://audit.invalid"),
    ("referer", "https://audit.invalid/"),
    ("save-data", "on"),
    ("sec-ch-ua-mobile", "?1"),
    ("true-client-ip", "192.0.2.66"),
    ("user-agent", "Mozilla/5.0 (iPhone) audit.invalid"),
    ("x-api-version", "audit"),
    ("x-country", "audit"),
    ("x-forwarded-for", "192.0.2.66"),
    ("x-forwarded-host", "audit.invalid"),
    ("x-forwarded-proto", "audit"),
    ("x-host", "audit.invalid"),
    ("x-http-method-override", "POST"),
    ("x-original-url", "/audit.invalid"),
    ("x-real-ip", "192.0.2.66"),
    ("x-requested-with", "XMLHttpRequest"),
    ("x-rewrite-url", "/audit.invalid"),
    ("x-user", "audit"),
];

/// What an audit has found.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    stored: bool,
    findings: Vec<Finding>,
}

/// A field that changes the response and not its key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    input: &'static str,
    changed: String,
}

/// A response, as far as it can be compared.
struct Answer {
    head: http::response::Parts,
    body: Bytes,
}

// === impl CacheLayer ===

impl CacheLayer {
    /// Audits a service for one request, which is made anew each time. Asks the service some thirty times, and stores
    /// nothing.
    ///
    /// What differs between two answers to the same request (a date, a nonce) is left out of the comparison.
    ///
    /// # Errors
    ///
    /// That of the service. Its bodies are read as far as they come.
    pub async fn audit<S, B, R>(&self, mut service: S, make: impl Fn() -> Request<B>) -> Result<Audit, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>>,
        R: Body,
    {
        let (plain, again) = (ask(&mut service, make()).await?, ask(&mut service, make()).await?);
        let request = make().into_parts().0;
        if !self.is_stored(&request, &plain) {
            return Ok(Audit::default());
        }
        let mut audit = Audit { stored: true, findings: Vec::new() };
        for (input, value) in PROBES {
            let mut altered = make();
            altered.headers_mut().insert(HeaderName::from_static(input), HeaderValue::from_static(value));
            let parts = head_of(&altered);
            if self.shares_key(&request, &parts, &plain.head.headers) {
                let answer = ask(&mut service, altered).await?;
                let changes = plain.changes(&again, &answer).into_iter();
                audit.findings.extend(changes.map(|changed| Finding { input, changed }));
            }
        }
        Ok(audit)
    }

    fn is_stored(&self, request: &request::Parts, answer: &Answer) -> bool {
        let (cache, settings) = self.parts();
        let Plan::Lookup(asked) = policy::on_request(request, false, settings) else { return false };
        let exchange = Exchange::new(cache, settings, request.clone(), asked);
        let (now, moment) = (cache.now(), cache.coherence().moment());
        let times = Times { sent: now, moment, received: now };
        matches!(
            exchange.admit(&answer.head, times, Some(answer.body.len() as u64), Some(Vec::new())),
            Admission::Store(_)
        )
    }

    /// Whether a request would be answered with the response to another one.
    fn shares_key(&self, request: &request::Parts, other: &request::Parts, response: &HeaderMap) -> bool {
        let (_, settings) = self.parts();
        if !matches!(policy::on_request(other, false, settings), Plan::Lookup(_)) {
            return false;
        }
        let vary = VaryFields::of(response);
        let variant = |headers: &HeaderMap| vary.key(headers, &settings.normalization).ok();
        settings.key_of(request) == settings.key_of(other) && variant(&request.headers) == variant(&other.headers)
    }
}

async fn ask<S, B, R>(service: &mut S, request: Request<B>) -> Result<Answer, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    std::future::poll_fn(|cx| service.poll_ready(cx)).await?;
    let (head, body) = service.call(request).await?.into_parts();
    let (mut body, mut read) = (Box::pin(body), BytesMut::new());
    while let Some(Ok(frame)) = next_frame(&mut body).await {
        if let Ok(mut data) = frame.into_data() {
            while data.has_remaining() {
                let chunk = data.chunk().len();
                read.extend_from_slice(data.chunk());
                data.advance(chunk);
            }
        }
    }
    Ok(Answer { head, body: read.freeze() })
}

fn head_of<B>(request: &Request<B>) -> request::Parts {
    let mut parts = Request::new(()).into_parts().0;
    parts.method = request.method().clone();
    parts.uri = request.uri().clone();
    parts.version = request.version();
    parts.headers = request.headers().clone();
    parts
}

// === impl Answer ===

impl Answer {
    /// What is another thing in `other`, of what is the same in `self` and `again`.
    fn changes(&self, again: &Self, other: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.head.status == again.head.status && self.head.status != other.head.status {
            changes.push(format!("the status to {}", StatusCode::as_u16(&other.head.status)));
        }
        let names: BTreeSet<_> =
            self.head.headers.keys().chain(other.head.headers.keys()).map(|name| name.as_str()).collect();
        for name in names {
            let [one, two, three] = [self, again, other].map(|answer| answer.head.headers.get_all(name));
            if one == two && one != three {
                changes.push(format!("the field {name}"));
            }
        }
        if self.body == again.body && self.body != other.body {
            changes.push("the body".to_owned());
        }
        changes
    }
}

// === impl Audit ===

impl Audit {
    /// Whether the response is one that would be stored. If not, there is nothing to be found.
    #[must_use]
    pub const fn is_stored(&self) -> bool {
        self.stored
    }

    /// What was found. Each is either to be named in `Vary`, to be put into the [key](CacheLayer::key), or to be ignored by the
    /// service.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

// === impl Finding ===

impl Finding {
    /// The request field that was added.
    #[must_use]
    pub const fn input(&self) -> &'static str {
        self.input
    }

    /// What it changes.
    #[must_use]
    pub fn changed(&self) -> &str {
        &self.changed
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} changes {}", self.input, self.changed)
    }
}
