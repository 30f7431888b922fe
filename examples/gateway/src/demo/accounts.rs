//! Somebody to log in as, and what only they may see.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use buttress::jwt::{Credentials, Issuer, Login, Token, TokenEndpoints};
use http::StatusCode;
use http::header::CACHE_CONTROL;

const KNOWN: [(&str, &str, &str); 2] =
    [("ada", "lovelace", "orders:read orders:write"), ("bob", "builder", "orders:read")];

pub(super) fn routes(issuer: Option<&Issuer>) -> Router {
    let accounts = Router::new().route("/account", get(account)).route("/account/close", post(close));
    match issuer {
        Some(issuer) => {
            let endpoints = TokenEndpoints::new(issuer.clone(), who);
            accounts.route_service("/auth/{*action}", endpoints)
        }
        None => accounts,
    }
}

/// Whom these credentials are of.
async fn who(credentials: Credentials) -> Result<Option<Login>, tower::BoxError> {
    let given = (credentials.get("username"), credentials.get("password"));
    let known = KNOWN.iter().find(|(name, password, _)| given == (Some(*name), Some(*password)));
    Ok(known.map(|(name, _, scope)| Login::new(*name).scope(*scope)))
}

async fn account(token: Option<Token>) -> impl IntoResponse {
    let subject = token.as_ref().and_then(|token| token.claims().subject()).unwrap_or("nobody");
    ([(CACHE_CONTROL, "private, no-store")], format!("the account of {subject}\n"))
}

async fn close() -> StatusCode {
    StatusCode::NO_CONTENT
}
