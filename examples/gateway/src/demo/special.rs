//! What needs care: variants, a private page, a report that takes long, a service that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_LANGUAGE, HeaderMap, VARY};

pub(super) fn routes() -> Router {
    let (seen, made, asked) = (counter(), counter(), counter());
    Router::new()
        .route("/greeting", get(greeting))
        .route("/private", get(move || private(next(&seen))))
        .route("/report", get(move || report(next(&made))))
        .route("/flaky", get(move || flaky(next(&asked))))
}

async fn greeting(headers: HeaderMap) -> impl IntoResponse {
    let wanted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let first = wanted.split([',', ';', '-']).next().unwrap_or("").trim().to_ascii_lowercase();
    let (language, greeting) = match first.as_str() {
        "de" => ("de", "Guten Tag\n"),
        "fr" => ("fr", "Bonjour\n"),
        _ => ("en", "Good day\n"),
    };
    ([(CACHE_CONTROL, "max-age=60"), (VARY, "Accept-Language"), (CONTENT_LANGUAGE, language)], greeting)
}

async fn private(number: u64) -> impl IntoResponse {
    ([(CACHE_CONTROL, "private, no-store")], format!("visit number {number}\n"))
}

async fn report(number: u64) -> impl IntoResponse {
    tokio::time::sleep(Duration::from_secs(2)).await;
    ([(CACHE_CONTROL, "max-age=60")], format!("report number {number}\n"))
}

/// Fails every second time.
async fn flaky(number: u64) -> Response {
    if number.is_multiple_of(2) {
        return (StatusCode::SERVICE_UNAVAILABLE, [(CACHE_CONTROL, "no-store")], "out of order\n").into_response();
    }
    ([(CACHE_CONTROL, "max-age=5, stale-if-error=300")], format!("answer number {number}\n")).into_response()
}

fn counter() -> Arc<AtomicU64> {
    Arc::default()
}

fn next(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed) + 1
}
