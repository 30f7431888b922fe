//! The demo origin: slow, varying, failing and private resources, to see with `curl` what the cache makes of them.

mod files;
mod products;
mod special;

use axum::Router;
use axum::routing::get;

/// A router with its state inside.
pub(crate) fn origin() -> Router {
    Router::new()
        .route("/", get(|| async { index("http://127.0.0.1:8080") }))
        .merge(products::routes())
        .merge(files::routes())
        .merge(special::routes())
}

/// What to try, and what will be seen.
pub(crate) fn curl_lines(base: &str) -> Vec<(String, &'static str)> {
    let lines: [(&str, &str); 11] = [
        ("curl -si BASE/products/1", "takes 300 ms; again: a hit, at once, with its Age"),
        ("curl -si BASE/products/1 -H 'If-None-Match: \"1-0\"'", "304 from the store: the client's copy is good"),
        ("curl -si -X POST BASE/products/1", "a change: the stored product is forgotten, the next GET makes it anew"),
        (
            "curl -si BASE/greeting -H 'Accept-Language: de'",
            "one URI, several languages: a variant each, whatever the spelling",
        ),
        ("curl -s BASE/big -o /dev/null && curl -si BASE/big -H 'Range: bytes=0-31'", "206 out of the stored whole"),
        ("curl -sI BASE/assets/app-5f2d9c81.js", "HEAD, answered from the store once a GET has filled it"),
        ("seq 20 | xargs -P20 -I{} curl -s BASE/report", "two seconds for all twenty: one call of the origin"),
        ("curl -si BASE/flaky; sleep 6; curl -si BASE/flaky", "the second time the origin fails: stale-if-error"),
        ("curl -si BASE/private", "no-store: made anew for each request"),
        ("curl -si BASE/products/1 -H 'Cache-Control: only-if-cached'", "from the store, or 504"),
        ("curl -si BASE/products/1001", "404, remembered for five seconds"),
    ];
    lines.map(|(command, effect)| (command.replace("BASE", base), effect)).into()
}

fn index(base: &str) -> String {
    let lines = curl_lines(base).into_iter().map(|(command, effect)| format!("# {effect}\n{command}\n"));
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
    async fn every_line_to_try_names_a_resource_that_is_there() {
        let router = super::origin();
        for (command, _) in super::curl_lines("http://h") {
            let paths = command.split([' ', ';']).filter_map(|word| word.strip_prefix("http://h"));
            for path in paths.map(|path| path.trim_end_matches(';')) {
                let method = if command.contains("-X POST") { "POST" } else { "GET" };
                let expected = if path.ends_with("1001") { 404 } else { 200 };
                let status = ask(&router, method, path).await.status().as_u16();
                assert!(
                    status == expected || (method, status) == ("POST", 204) || path == "/flaky",
                    "{command}: {status}"
                );
            }
        }
    }

    #[tokio::test]
    async fn a_change_changes_the_product() {
        let router = super::origin();
        let tag = |response: &Response| response.headers()["etag"].clone();
        let before = tag(&ask(&router, "GET", "/products/7").await);
        assert_eq!(ask(&router, "POST", "/products/7").await.status(), 204);
        assert_ne!(tag(&ask(&router, "GET", "/products/7").await), before);
    }

    #[tokio::test]
    async fn the_big_body_is_as_long_as_it_says() {
        let response = ask(&super::origin(), "GET", "/big").await;
        let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), length);
    }
}
