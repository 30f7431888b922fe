//! The audit finds what poisons a cache, and nothing where the service says what it looks at.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};

use buttress::cache::{Cache, CacheLayer, Key};
use http::{HeaderMap, Method};

use crate::bed::{Body, request, response};

/// What is found where a service answers so.
async fn findings(
    layer: CacheLayer,
    answer: impl Fn(&HeaderMap) -> (Vec<(&'static str, String)>, String) + Clone,
) -> Vec<String> {
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (fields, body) = answer(request.headers());
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let response = response(200, &fields, body);
        async { Ok::<_, Infallible>(response) }
    });
    let audit = layer.audit(service, || request(Method::GET, "http://h/x", &[])).await.unwrap();
    assert!(audit.is_stored());
    audit.findings().iter().map(ToString::to_string).collect()
}

fn layer() -> CacheLayer {
    CacheLayer::new(Cache::embedded())
}

fn fresh() -> (&'static str, String) {
    ("cache-control", "max-age=60".to_owned())
}

fn value(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map_or(String::new(), |value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_service_that_looks_at_nothing_is_clean() {
    assert_eq!(findings(layer(), |_| (vec![fresh()], "body".to_owned())).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_looked_at_and_not_said_is_found() {
    for (name, expected) in [
        ("cookie", vec!["cookie changes the body"]),
        ("x-forwarded-for", vec!["x-forwarded-for changes the body"]),
        ("origin", vec!["origin changes the body"]),
        ("x-forwarded-host", vec![]), // part of the key
        ("x-original-url", vec![]),
    ] {
        let found = findings(layer(), move |headers| (vec![fresh()], value(headers, name))).await;
        assert_eq!(found, expected, "{name}");
    }
    let cors = |headers: &HeaderMap| {
        (vec![fresh(), ("access-control-allow-origin", value(headers, "origin"))], "body".to_owned())
    };
    assert_eq!(findings(layer(), cors).await, ["origin changes the field access-control-allow-origin"]);
}

#[tokio::test]
async fn what_is_said_or_keyed_is_no_finding() {
    let varies = |headers: &HeaderMap| (vec![fresh(), ("vary", "Cookie".to_owned())], value(headers, "cookie"));
    assert!(findings(layer(), varies).await.is_empty());
    let keyed = layer().key(|parts| {
        let mut key = Key::of(parts);
        key.push(parts.headers.get("x-country").map_or(&b""[..], |country| country.as_bytes()));
        key
    });
    assert!(findings(keyed, |headers| (vec![fresh()], value(headers, "x-country"))).await.is_empty());
    let passed = layer().bypass(|parts| parts.headers.contains_key("cookie"));
    assert!(findings(passed, |headers| (vec![fresh()], value(headers, "cookie"))).await.is_empty());
}

#[tokio::test]
async fn what_changes_each_time_is_left_out() {
    let number = std::sync::Arc::new(AtomicU64::new(0));
    let volatile = move |_: &HeaderMap| {
        (vec![fresh(), ("x-request-id", number.fetch_add(1, Ordering::SeqCst).to_string())], "body".to_owned())
    };
    assert!(findings(layer(), volatile).await.is_empty());
}

#[tokio::test]
async fn what_is_not_stored_is_not_audited() {
    let service = tower::service_fn(|_: http::Request<Body>| async {
        Ok::<_, Infallible>(response(200, &[("cache-control", "private")], "body"))
    });
    let audit = layer().audit(service, || request(Method::GET, "http://h/x", &[])).await.unwrap();
    assert!(!audit.is_stored() && audit.findings().is_empty());
}
