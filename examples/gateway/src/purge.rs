//! `POST /purge` of the admin listener.
//!
//! ```text
//! curl -H 'Content-Type: application/json' -d '{"tag": "product-7"}' http://127.0.0.1:8081/purge
//! {"generation":1767528000000000,"shared":true}
//! ```
//!
//! One of `tag`, `uri`, `prefix`, `host` and `everything`, or `group` together with `origin`; `"soft": true` with any of them.

use buttress::cache::{Cache, InvalidPurge, Purge};
use buttress::core::Refusal;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, Uri};
use serde::Deserialize;

use crate::orders::{self, Bad, answer, refuse};

/// What is to be purged, as it is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Order {
    tag: Option<String>,
    uri: Option<String>,
    prefix: Option<String>,
    host: Option<String>,
    group: Option<String>,
    origin: Option<String>,
    everything: bool,
    soft: bool,
}

/// Carries out an order.
pub(crate) async fn purge(cache: &Cache, headers: &HeaderMap, body: &[u8]) -> Response<Bytes> {
    let purge = match orders::read(headers, body).and_then(|order: Order| order.purge().map_err(Bad::Order)) {
        Ok(purge) => purge,
        Err(bad) => return refuse(headers, bad),
    };
    match cache.purge(purge).await {
        Ok(receipt) => answer(&serde_json::json!({"generation": receipt.generation(), "shared": receipt.is_shared()})),
        Err(error) => {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not-purged").detail(error.to_string()).response(headers)
        }
    }
}

// === impl Order ===

impl Order {
    fn purge(self) -> Result<Purge, String> {
        let Self { tag, uri, prefix, host, group, origin, everything, soft } = self;
        let invalid = |error: InvalidPurge| error.to_string();
        let mut purges = Vec::new();
        if everything {
            purges.push(Purge::everything());
        }
        if let Some(tag) = tag {
            purges.push(Purge::tag(tag));
        }
        if let Some(uri) = uri {
            purges.push(Purge::uri(&parsed(&uri)?).map_err(invalid)?);
        }
        if let Some(prefix) = prefix {
            purges.push(Purge::prefix(&parsed(&prefix)?).map_err(invalid)?);
        }
        if let Some(host) = host {
            purges.push(Purge::host(&host).map_err(invalid)?);
        }
        match (group, origin) {
            (Some(group), Some(origin)) => purges.push(Purge::group(&parsed(&origin)?, group).map_err(invalid)?),
            (None, None) => {}
            _ => return Err("group and origin belong together".to_owned()),
        }
        match (purges.pop(), purges.is_empty()) {
            (Some(purge), true) => Ok(if soft { purge.soft() } else { purge }),
            _ => Err("exactly one of tag, uri, prefix, host, group and everything is wanted".to_owned()),
        }
    }
}

fn parsed(uri: &str) -> Result<Uri, String> {
    uri.parse().map_err(|_| format!("not a uri: {uri:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(order: &str, is_good: bool) {
        let order = serde_json::from_str::<Order>(order).map_err(|error| error.to_string());
        assert_eq!(order.and_then(Order::purge).is_ok(), is_good);
    }

    #[test]
    fn an_order_names_one_thing() {
        check(r#"{"tag": "a"}"#, true);
        check(r#"{"uri": "http://h/a?b", "soft": true}"#, true);
        check(r#"{"prefix": "http://h/a/"}"#, true);
        check(r#"{"host": "h"}"#, true);
        check(r#"{"everything": true}"#, true);
        check(r#"{"group": "a", "origin": "http://h"}"#, true);
        check(r#"{}"#, false);
        check(r#"{"everything": false}"#, false);
        check(r#"{"tag": "a", "host": "h"}"#, false);
        check(r#"{"group": "a"}"#, false);
        check(r#"{"uri": "/a"}"#, false);
        check(r#"{"uri": "not a uri"}"#, false);
        check(r#"{"tags": "a"}"#, false);
        check("[]", false);
    }
}
