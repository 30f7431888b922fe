//! `POST /revoke` of the admin listener.
//!
//! ```text
//! curl -H 'Content-Type: application/json' -d '{"issuer": "https://shop.example", "subject": "ada"}' http://127.0.0.1:8081/revoke
//! {"revoked":true}
//! ```
//!
//! One of `token` (a `jti`), `session`, `subject`, `client` and `key`, together with `issuer`; `issuer` alone; or `"everything": true`.

use buttress::core::Refusal;
use buttress::jwt::{Revocation, Revocations};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use serde::Deserialize;

use crate::orders::{self, Bad, answer, refuse};

/// What is to be revoked, as it is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Order {
    issuer: Option<String>,
    token: Option<String>,
    session: Option<String>,
    subject: Option<String>,
    client: Option<String>,
    key: Option<String>,
    everything: bool,
}

/// Carries out an order.
pub(crate) async fn revoke(revocations: Option<&Revocations>, headers: &HeaderMap, body: &[u8]) -> Response<Bytes> {
    let Some(revocations) = revocations else {
        return Refusal::new(StatusCode::NOT_FOUND, "no-tokens").detail("there is no table [jwt]").response(headers);
    };
    let revocation = match orders::read(headers, body).and_then(|order: Order| order.revocation().map_err(Bad::Order)) {
        Ok(revocation) => revocation,
        Err(bad) => return refuse(headers, bad),
    };
    match revocations.revoke(revocation).await {
        Ok(()) => answer(&serde_json::json!({"revoked": true})),
        Err(error) => {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not-told").detail(error.to_string()).response(headers)
        }
    }
}

// === impl Order ===

impl Order {
    fn revocation(self) -> Result<Revocation, String> {
        let Self { issuer, token, session, subject, client, key, everything } = self;
        type Of = fn(&str, &str) -> Revocation;
        let named: [(Option<String>, Of); 5] = [
            (token, Revocation::id),
            (session, Revocation::session),
            (subject, Revocation::subject),
            (client, Revocation::client),
            (key, Revocation::key),
        ];
        let mut named = named.into_iter().filter_map(|(name, of)| Some((name?, of)));
        match (everything, issuer, named.next(), named.next()) {
            (true, None, None, _) => Ok(Revocation::everything()),
            (false, Some(issuer), None, _) => Ok(Revocation::issuer(&issuer)),
            (false, Some(issuer), Some((name, of)), None) => Ok(of(&issuer, &name)),
            _ => {
                Err("wanted: issuer, with at most one of token, session, subject, client and key; or everything"
                    .to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_names_one_thing() {
        for (order, is_good) in [
            (r#"{"issuer": "a", "subject": "b"}"#, true),
            (r#"{"issuer": "a", "token": "b"}"#, true),
            (r#"{"issuer": "a", "key": "b"}"#, true),
            (r#"{"issuer": "a"}"#, true),
            (r#"{"everything": true}"#, true),
            (r#"{}"#, false),
            (r#"{"subject": "b"}"#, false),
            (r#"{"issuer": "a", "subject": "b", "client": "c"}"#, false),
            (r#"{"issuer": "a", "everything": true}"#, false),
            (r#"{"user": "a"}"#, false),
        ] {
            let read = serde_json::from_str::<Order>(order).map_err(|error| error.to_string());
            assert_eq!(read.and_then(Order::revocation).is_ok(), is_good, "{order}");
        }
    }
}
