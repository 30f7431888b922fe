//! The demo origin: slow, varying, failing and private resources, to see with `curl` what the cache makes of them.

mod accounts;
mod files;
mod products;
mod special;
mod visits;

use axum::Router;
use axum::routing::get;
use buttress::events::{Dashboard, Events};
use buttress::jwt::Issuer;
use http::Uri;
use http::header::{HOST, HeaderMap};

/// A router with its state inside.
pub(crate) fn origin(issuer: Option<&Issuer>, events: Option<&Events>) -> Router {
    let router = match events {
        Some(events) => Router::new().nest_service("/dashboard/", Dashboard::new(events.clone())),
        None => Router::new(),
    };
    router
        .route("/", get(index))
        .merge(products::routes(events))
        .merge(files::routes())
        .merge(special::routes())
        .merge(accounts::routes(issuer))
        .merge(visits::routes())
}

/// What to try, and what will be seen. Each line holds when it is run again.
pub(crate) fn curl_lines(base: &str) -> Vec<(String, String)> {
    let lines: [(&str, &str); 21] = [
        ("curl -si BASE/products/1", "takes 300 ms; again: a hit, at once, with its Age"),
        ("curl -si BASE/products/1 -H 'If-None-Match: \"1-0\"'", "304 from the store: the client's copy is good"),
        (
            "curl -s BASE/products/2; curl -s -X POST BASE/products/2; curl -si BASE/products/2",
            "a change: the stored product is forgotten, and made anew at a higher price",
        ),
        (
            "for l in fr 'de, en;q=0.5' 'en;q=0.50,DE'; do curl -si BASE/greeting -H \"Accept-Language: $l\"; done",
            "one URI, a variant for each language; the third answer is a hit, however the wish is spelled",
        ),
        ("curl -s BASE/big -o /dev/null; curl -si BASE/big -H 'Range: bytes=0-31'", "206 out of the stored whole"),
        (
            "curl -s BASE/assets/app-cca18e5b02a2.js; curl -sI BASE/assets/app-cca18e5b02a2.js",
            "immutable, since its name holds the MD5 of its content; HEAD, answered from a stored GET",
        ),
        (
            "curl -s BASE/assets/plain.css; curl -si BASE/assets/plain.css",
            "no-cache: stored, and validated each time; the origin says 304, the client gets the stored body",
        ),
        ("seq 20 | xargs -P20 -I{} curl -s BASE/report", "two seconds for all twenty: one call of the origin"),
        ("curl -si BASE/flaky; sleep 6; curl -si BASE/flaky", "the second time the origin fails: stale-if-error"),
        ("curl -si BASE/private; curl -si BASE/private", "no-store: made anew for each request"),
        ("curl -si BASE/products/3 -H 'Cache-Control: only-if-cached'", "504: not stored, and nobody may be asked"),
        ("curl -si BASE/account", "401: this page is somebody's"),
        (
            "curl -s -c jar BASE/auth/login -d 'username=ada&password=lovelace' >/dev/null; curl -si -b jar BASE/account",
            "logged in: two tokens in cookies that no script can read, and two words against forged requests",
        ),
        (
            "curl -si -b jar -c jar -X POST BASE/auth/refresh -H \"x-csrf-token: $(awk '/csrf_refresh/ {print $7}' jar)\"",
            "the refresh token is exchanged; whoever presents the old one later ends the login",
        ),
        (
            "cp jar old; curl -si -b jar -c jar -X POST BASE/auth/logout -H \"x-csrf-token: $(awk '/csrf_access/ {print $7}' jar)\"; curl -si -b old BASE/account",
            "logged out: the token that was good a moment ago is refused",
        ),
        (
            "curl -si -b visitor -c visitor BASE/visits; curl -si -b visitor -c visitor BASE/visits",
            "a session: its cookie is set once, and this page is never stored",
        ),
        (
            "seq 20 | xargs -P20 -I{} curl -s -b visitor BASE/visits >/dev/null; curl -s -b visitor BASE/visits",
            "twenty visits at the same time, and none is lost",
        ),
        (
            "curl -si -b visitor -X POST BASE/visits/forget; curl -s -b visitor BASE/visits",
            "the session ends: who kept its cookie begins anew",
        ),
        (
            "curl -s BASE/products/7; curl -s -X POST BASE/products/7; sleep 2; curl -s BASE/dashboard/api/overview",
            "what was counted, as JSON: requests, latencies, the cache's hits, prices that changed, products asked for",
        ),
        ("curl -sN -m 3 BASE/dashboard/live | head -c 600", "the same each second; in a browser: BASE/dashboard/"),
        ("curl -si BASE/products/1001; curl -si BASE/products/1001", "404, remembered for five seconds"),
    ];
    lines.map(|(command, effect)| (command.replace("BASE", base), effect.replace("BASE", base))).into()
}

async fn index(uri: Uri, headers: HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1:8080");
    let base = format!("{}://{host}", uri.scheme_str().unwrap_or("http"));
    let lines = curl_lines(&base).into_iter().map(|(command, effect)| format!("# {effect}\n{command}\n"));
    format!(
        "A demo origin behind the Buttress cache. Look at the Cache-Status and Age fields.\n\n{}",
        lines.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::response::Response;
    use http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    async fn ask(router: &axum::Router, method: &str, path: &str) -> Response {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn a_change_changes_the_product() {
        let router = super::origin(None, None);
        let tag = |response: &Response| response.headers()["etag"].clone();
        let before = tag(&ask(&router, "GET", "/products/7").await);
        assert_eq!(ask(&router, "POST", "/products/7").await.status(), 204);
        assert_ne!(tag(&ask(&router, "GET", "/products/7").await), before);
    }

    #[tokio::test]
    async fn the_big_body_is_as_long_as_it_says() {
        let response = ask(&super::origin(None, None), "GET", "/big").await;
        let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), length);
    }
}
