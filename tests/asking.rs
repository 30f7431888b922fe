//! Requests to a real service, whoever serves it; shared by the tests beside Flask.

use bytes::Bytes;
use http::{Request, StatusCode, header::SET_COOKIE};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    pub(crate) cookies: Vec<(String, String)>,
}

pub(crate) async fn ask(url: &str, what: &str, fields: &[(&str, &str)], body: &str) -> Answer {
    let (method, path) = what.split_once(' ').expect("a method and a path");
    let request = Request::builder().method(method).uri(format!("{url}{path}"));
    let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("a request");
    let client = Client::builder(TokioExecutor::new()).build_http();
    let (parts, body) = client.request(request).await.expect("an answer").into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    let cookie = |line: &http::HeaderValue| {
        let (name, rest) = line.to_str().ok()?.split_once('=')?;
        Some((name.to_owned(), rest.split(';').next()?.to_owned()))
    };
    Answer {
        status: parts.status,
        body: serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into()),
        cookies: parts.headers.get_all(SET_COOKIE).iter().filter_map(cookie).collect(),
    }
}

impl Answer {
    /// What a browser sends back: all of them.
    pub(crate) fn cookies(&self) -> String {
        let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }
}
