//! Requests to either service, and a service of ours to send them to.

use axum::routing::{any, get};
use axum::{Extension, Router};
use buttress::jwt::{JwtLayer, Token, flask};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::asking::Answer;
pub(crate) use crate::asking::ask;

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
        self.answer.cookies()
    }

    /// The word that requests with the access token repeat.
    pub(crate) fn word(&self) -> &str {
        self.cookie(flask::ACCESS_CSRF_COOKIE)
    }
}
