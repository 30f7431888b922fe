//! Requests to either service, and a service of ours to send them to.

use axum::routing::{any, get};
use axum::{Extension, Router};
use buttress::jwt::{JwtLayer, Token, flask};
use bytes::Bytes;
use http::{Request, StatusCode, header::SET_COOKIE};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    cookies: Vec<(String, String)>,
}

/// What a login gives.
pub(crate) struct Login {
    /// In the body.
    pub(crate) access: String,
    pub(crate) refresh: String,
    /// In cookies, with the words.
    answer: Answer,
}

/// The service that people move to: `/protected` tells who is calling, as the old one does.
pub(crate) async fn ours(layer: JwtLayer) -> String {
    let who = async |Extension(token): Extension<Token>| token.claims().subject().unwrap_or_default().to_owned();
    let app = Router::new().route("/protected", any(who)).route("/fresh", get(who)).layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
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

/// The status that a request with a bearer token is answered.
pub(crate) async fn bearer(url: &str, what: &str, token: &str) -> u16 {
    ask(url, what, &[("authorization", &format!("Bearer {token}"))], "").await.status.as_u16()
}

/// Logs in at the old service.
pub(crate) async fn log_in(url: &str, username: Value) -> Login {
    let body = json!({ "username": username }).to_string();
    let answer = ask(url, "POST /login", &[("content-type", "application/json")], &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let token = |name: &str| answer.body[name].as_str().expect("a token").to_owned();
    Login { access: token("access_token"), refresh: token("refresh_token"), answer }
}

// === impl Login ===

impl Login {
    /// A cookie that was set.
    pub(crate) fn cookie(&self, name: &str) -> &str {
        let found = self.answer.cookies.iter().find(|(other, _)| other == name);
        &found.unwrap_or_else(|| panic!("no cookie {name}")).1
    }

    /// What a browser sends back: all of them.
    pub(crate) fn cookies(&self) -> String {
        let pairs: Vec<_> = self.answer.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    /// The word that requests with the access token repeat.
    pub(crate) fn word(&self) -> &str {
        self.cookie(flask::ACCESS_CSRF_COOKIE)
    }
}
