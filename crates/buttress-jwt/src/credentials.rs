//! What somebody sends to log in.

use std::collections::BTreeMap;
use std::fmt;

use buttress_core::BoxError;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::request::Parts;
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;

use crate::endpoint_reply::Refused;
use crate::json;

/// What somebody sent to log in: the fields of a form or of a JSON object.
#[derive(Clone, Default)]
pub struct Credentials {
    fields: BTreeMap<String, String>,
    headers: HeaderMap,
}

const LONGEST_BODY: usize = 8 * 1024;

// === impl Credentials ===

impl Credentials {
    /// A field by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// The headers of the request.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(crate) async fn read<B>(parts: &Parts, body: B) -> Result<Self, Refused>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let body = Limited::new(body, LONGEST_BODY).collect().await.map_err(|_| Refused::Body)?.to_bytes();
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let fields = match kind.as_str() {
            _ if body.is_empty() => BTreeMap::new(),
            "application/json" => from_json(&body)?,
            "application/x-www-form-urlencoded" => from_form(&body)?,
            _ => return Err(Refused::Body),
        };
        Ok(Self { fields, headers: parts.headers.clone() })
    }
}

fn from_json(body: &[u8]) -> Result<BTreeMap<String, String>, Refused> {
    let members = json::object(body).map_err(|_| Refused::Malformed)?;
    let texts = members.into_iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((name, text)),
        _ => None,
    });
    Ok(texts.collect())
}

fn from_form(body: &[u8]) -> Result<BTreeMap<String, String>, Refused> {
    let mut fields = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(body) {
        // Of two that are named alike, nobody knows which was meant.
        if fields.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(Refused::Malformed);
        }
    }
    Ok(fields)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.fields.keys()).finish()
    }
}
