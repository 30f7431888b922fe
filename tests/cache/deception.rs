//! Attacks that a cache makes possible: a response made for one request and kept for others (poisoning), an error provoked and
//! kept (denial of service), and a page of one's own under a name that looks like everybody's (deception).

use std::time::Duration;

use buttress_tests::body::Scripted;
use http::{Method, Response, request};

use crate::bed::{Bed, STORES, request, response};

const FRESH: (&str, &str) = ("cache-control", "public, max-age=60");

/// Every field that services are known to build responses from. With a proxy in front they come with each request, and are part
/// of what is asked for; without one, whoever sends them gets an answer of its own.
#[tokio::test]
async fn a_field_that_steers_the_service_steers_nobody_else_s_answer() {
    const STEERING: [(&str, &str, &str); 20] = [
        ("x-forwarded-host", "evil.example", "good.example"),
        ("x-forwarded-scheme", "nothttps", "https"),
        ("x-forwarded-proto", "ws", "https"),
        ("x-forwarded-port", "123", "443"),
        ("x-forwarded-prefix", "/evil", "/good"),
        ("x-forwarded-server", "evil.example", "good.example"),
        ("x-forwarded-ssl", "off", "on"),
        ("x-host", "evil.example", "good.example"),
        ("x-original-host", "evil.example", "good.example"),
        ("x-original-url", "/admin", "/x"),
        ("x-original-uri", "/admin", "/x"),
        ("x-rewrite-url", "/admin", "/x"),
        ("x-http-method-override", "DELETE", "GET"),
        ("x-http-method", "DELETE", "GET"),
        ("x-method-override", "DELETE", "GET"),
        ("forwarded", "host=evil.example", "host=good.example"),
        ("forwarded", "for=1.2.3.4;host=evil.example", "for=5.6.7.8;host=good.example"),
        ("forwarded", "for=\"x;host=evil.example\"", "for=x"),
        ("forwarded", "for=1.2.3.4, for=x;proto=ws", "for=1.2.3.4, for=x;proto=https"),
        ("host", "evil.example", "example.com"),
    ];
    for store in STORES {
        let bed = Bed::new(store, |parts| {
            let said: String = STEERING
                .iter()
                .flat_map(|(name, ..)| parts.headers.get_all(*name))
                .map(|value| format!("{};", value.to_str().unwrap()))
                .collect();
            response(200, &[FRESH], said)
        })
        .await;
        for (number, (name, evil, good)) in STEERING.into_iter().enumerate() {
            let uri = format!("http://example.com/{number}");
            let poisoned = bed.get_with(&uri, &[(name, evil)]).await;
            assert!(poisoned.text().contains(evil));
            let plain = bed.get(&uri).await;
            assert!(!plain.is_hit() && !plain.text().contains(evil), "{store:?}: without a proxy, {name}: {evil}");
            let proxied = bed.get_with(&uri, &[(name, good)]).await;
            assert!(!proxied.text().contains(evil), "{store:?}: behind a proxy, {name}: {evil}");
            assert!(bed.get_with(&uri, &[(name, good)]).await.is_hit(), "and it is a key like any other");
        }
    }
}

#[tokio::test]
async fn who_forwards_for_whom_does_not_split_the_cache() {
    for store in STORES {
        let bed = Bed::new(store, |_| response(200, &[FRESH], "body")).await;
        bed.get_with("/x", &[("forwarded", "for=192.0.2.1;host=a.example;proto=https")]).await;
        for same in
            ["For=192.0.2.2; host=a.example;proto=https", "host=a.example;by=_x;proto=https;for=\"[2001:db8::1]:80\""]
        {
            assert!(bed.get_with("/x", &[("forwarded", same)]).await.is_hit(), "{store:?} {same}");
        }
        bed.get_with("/y", &[("x-forwarded-for", "192.0.2.1")]).await;
        assert!(bed.get_with("/y", &[("x-forwarded-for", "192.0.2.2")]).await.is_hit());
    }
}

/// What a service answers to a request that somebody has made bad on purpose, with the lifetime that it gives to everything.
fn provoked(parts: &request::Parts) -> Response<Scripted> {
    let length = |name| parts.headers.get(name).map_or(0, |value: &http::HeaderValue| value.len());
    let status = match () {
        () if length("x-oversized") > 8_000 => 431,
        () if length("x-meta") > 0 => 400,
        () if length("x-http-method-override") > 0 => 405,
        () if length("x-method-override") > 0 => 404,
        () if length("x-forwarded-scheme") > 0 => 301,
        () if length("expect") > 0 => 417,
        () if length("accept") > 0 => 406,
        () if length("x-status") > 0 => parts.headers["x-status"].to_str().unwrap().parse().unwrap(),
        () => 200,
    };
    response(status, &[FRESH, ("location", "https://example.com/")], status.to_string())
}

#[tokio::test]
async fn an_error_that_one_client_provokes_is_served_to_no_other() {
    let oversized = "x".repeat(9_000);
    for store in STORES {
        let settings = |layer: buttress::cache::CacheLayer| layer.default_ttl(Duration::from_secs(60));
        let bed = Bed::with(store, settings, provoked).await;
        let provocations = [
            ("x-oversized", oversized.as_str(), 431),
            ("x-meta", "\u{1}", 400),
            ("x-http-method-override", "POST", 405),
            ("x-method-override", "DELETE", 404),
            ("x-forwarded-scheme", "http", 301),
            ("expect", "x", 417),
            ("accept", "x/x", 406),
        ];
        for (number, (name, value, status)) in provocations.into_iter().enumerate() {
            let uri = format!("/{number}");
            let mut bad = request(Method::GET, &uri, &[]);
            // `http` takes no control characters but the tab: what it refuses never gets here.
            let value = http::HeaderValue::from_str(value).unwrap_or(http::HeaderValue::from_static("\t"));
            bad.headers_mut().insert(http::HeaderName::from_static(name), value);
            assert_eq!(bed.send(bad).await.status, status, "{name}");
            let next = bed.get(&uri).await;
            assert_eq!((next.status.as_u16(), next.is_hit()), (200, false), "{store:?} {name}");
        }
        for status in
            ["400", "401", "403", "405", "406", "408", "413", "414", "421", "429", "431", "451", "500", "501", "503"]
        {
            let uri = format!("/status/{status}");
            assert_eq!(bed.get_with(&uri, &[("x-status", status)]).await.text(), status);
            assert_eq!(bed.get(&uri).await.text(), "200", "{store:?} {status}");
        }
    }
}

/// A service that shows an account under whatever comes behind its name, as many frameworks do.
fn account(parts: &request::Parts) -> Response<Scripted> {
    let user = parts.headers.get("cookie").map_or("nobody", |cookie| cookie.to_str().unwrap()).to_owned();
    let says = parts.headers.get("x-says").map(|says| says.to_str().unwrap());
    match says {
        None => response(200, &[("content-type", "text/html")], user),
        Some(says) => response(200, &[("content-type", "text/html"), ("cache-control", says)], user),
    }
}

#[tokio::test]
async fn a_name_that_looks_like_an_asset_makes_no_page_public() {
    const NAMES: [&str; 12] = [
        "/account/x.css",
        "/account/x.js",
        "/account/logo.png",
        "/account;x.css",
        "/account%2fx.css",
        "/account%2Fx.css",
        "/account%00x.css",
        "/account%23x.css",
        "/account%3fx.css",
        "/static/..%2faccount",
        "/account%0ax.ico",
        "/account?x.css",
    ];
    for store in STORES {
        for says in [None, Some("private"), Some("no-store"), Some("private, max-age=60"), Some("no-cache")] {
            let settings = |layer: buttress::cache::CacheLayer| layer.default_ttl(Duration::from_secs(60));
            let bed = Bed::with(store, settings, account).await;
            for name in NAMES {
                let mut victim = vec![("cookie", "victim")];
                victim.extend(says.map(|says| ("x-says", says)));
                assert_eq!(bed.get_with(name, &victim).await.text(), "victim", "the bait");
                for thief in [&[][..], &[("cookie", "thief")]] {
                    let reply = bed.get_with(name, thief).await;
                    assert_ne!(reply.text(), "victim", "{store:?} {name} {says:?}");
                }
            }
        }
    }
}
