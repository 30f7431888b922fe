//! `POST /logins` of the admin listener: where somebody is logged in by a session, and that it ends.
//!
//! ```text
//! curl -H 'Content-Type: application/json' -d '{"subject": "ada"}' http://127.0.0.1:8081/logins
//! {"logins":[{"label":"curl/8.5.0","seen":1795525000,"sid":"…","since":1795524000,"until":1795610400}]}
//! curl -H 'Content-Type: application/json' -d '{"subject": "ada", "end": "all"}' http://127.0.0.1:8081/logins
//! {"ended":1}
//! ```
//!
//! `end` is `all`, or the `sid` of one.

use std::time::{SystemTime, UNIX_EPOCH};

use buttress::core::Refusal;
use buttress::session::{Device, SessionError, Sessions};
use bytes::Bytes;
use http::{HeaderMap, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::orders::{self, answer, refuse};

/// Whose logins, and what becomes of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    subject: String,
    end: Option<String>,
}

/// Carries out an order.
pub(crate) async fn logins(sessions: Option<&Sessions>, headers: &HeaderMap, body: &[u8]) -> Response<Bytes> {
    let Some(sessions) = sessions else {
        let refusal = Refusal::new(http::StatusCode::NOT_FOUND, "no-sessions");
        return refusal.detail("there is no table [session]").response(headers);
    };
    match orders::read(headers, body) {
        Err(bad) => refuse(headers, bad),
        Ok(order) => match carry_out(sessions, order).await {
            Ok(done) => answer(&done),
            Err(error) => Refusal::new(error.kind().status(), error.kind().as_str()).response(headers),
        },
    }
}

async fn carry_out(sessions: &Sessions, order: Order) -> Result<Value, SessionError> {
    let Order { subject, end } = order;
    Ok(match end.as_deref() {
        None => json!({ "logins": sessions.list(&subject).await?.iter().map(told).collect::<Vec<_>>() }),
        Some("all") => json!({ "ended": sessions.end_all(&subject).await? }),
        Some(sid) => json!({ "ended": usize::from(sessions.end(&subject, sid).await?) }),
    })
}

fn told(device: &Device) -> Value {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let Device { sid, label, since, seen, until, .. } = device;
    json!({ "sid": sid, "label": label, "since": seconds(*since), "seen": seconds(*seen), "until": seconds(*until) })
}
