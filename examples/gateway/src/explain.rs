//! `POST /explain` and `POST /peek` of the admin listener: what would become of a request, and why; and what is stored for it.
//!
//! ```text
//! curl -H 'Content-Type: application/json' -d '{"uri": "http://127.0.0.1:8080/products/1"}' http://127.0.0.1:8081/explain
//! {"key":"…","outcome":"reused","reason":"fresh","stored":{"age":3,"fresh_for":27,"length":32,"status":200,…}}
//! ```

use std::collections::BTreeMap;

use buttress::cache::{Explanation, Stored};
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response, request};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::orders::{self, Bad, answer, refuse};
use crate::stack::Stack;

/// A request that is asked about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    uri: String,
    #[serde(default = "get")]
    method: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

/// Answers a question.
pub(crate) async fn explain(stack: &Stack, headers: &HeaderMap, body: &[u8]) -> Response<Bytes> {
    let request = orders::read(headers, body).and_then(|question: Question| question.request().map_err(Bad::Order));
    match request {
        Ok(parts) => answer(&json(&stack.layer_for(parts.uri.path()).explain(&parts).await)),
        Err(bad) => refuse(headers, bad),
    }
}

/// Shows what is stored for a request.
pub(crate) async fn peek(stack: &Stack, headers: &HeaderMap, body: &[u8]) -> Response<Bytes> {
    let request = orders::read(headers, body).and_then(|question: Question| question.request().map_err(Bad::Order));
    match request {
        Ok(parts) => {
            let stored = stack.layer_for(parts.uri.path()).peek(&parts).await;
            answer(&json!({ "stored": stored.as_ref().map(stored_json) }))
        }
        Err(bad) => refuse(headers, bad),
    }
}

fn json(explanation: &Explanation) -> Value {
    json!({
        "outcome": explanation.outcome(),
        "reason": explanation.reason(),
        "key": explanation.key(),
        "stored": explanation.stored().map(stored_json),
    })
}

fn stored_json(stored: &Stored) -> Value {
    let fields = stored.headers().iter();
    let fields = fields.map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]));
    json!({
        "status": stored.status().as_u16(),
        "headers": fields.collect::<Vec<_>>(),
        "age": stored.age().as_secs(),
        "fresh_for": stored.fresh_for(),
        "took_ms": u64::try_from(stored.took().as_millis()).unwrap_or(u64::MAX),
        "length": stored.body_len(),
        "tags": stored.tags(),
        "varies_on": stored.varies_on(),
        "purged_softly": stored.is_purged_softly(),
    })
}

fn get() -> String {
    "GET".to_owned()
}

// === impl Question ===

impl Question {
    fn request(self) -> Result<request::Parts, String> {
        let mut request = Request::builder().method(self.method.as_str()).uri(&self.uri);
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().map_err(|_| format!("not a field name: {name:?}"))?;
            let value = HeaderValue::from_str(value).map_err(|_| format!("not a field value: {value:?}"))?;
            request = request.header(name, value);
        }
        let (parts, ()) = request.body(()).map_err(|error| error.to_string())?.into_parts();
        if parts.uri.authority().is_none() {
            return Err(format!("not a uri with a host: {:?}", self.uri));
        }
        Ok(parts)
    }
}
