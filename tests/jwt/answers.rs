//! What a caller is answered, and what the service behind sees.

use std::convert::Infallible;

use buttress::core::Identified;
use buttress::core::Outage;
use buttress::jwt::{Jwt, JwtLayer, Reason, Revocation, Revocations, Rule, Token};
use buttress::redis::Redis;
use buttress_tests::Strict;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::bed::{signed, token, verifier};

/// What the service behind was asked, as far as a test wants to know.
#[derive(Clone, Debug, Default)]
struct Seen {
    headers: HeaderMap,
    target: String,
    subject: Option<String>,
    identified: bool,
}

fn layer() -> JwtLayer {
    JwtLayer::new(verifier(), Revocations::embedded())
}

/// Sends a request through the layer to a service that answers with what it has seen.
async fn ask(layer: &JwtLayer, method: &str, target: &str, fields: &[(&str, &str)]) -> Response<Bytes> {
    let echo = service_fn(|request: Request<Full<Bytes>>| async move {
        let seen = Seen {
            headers: request.headers().clone(),
            target: request.uri().to_string(),
            subject: request.extensions().get::<Token>().and_then(|token| token.claims().subject().map(str::to_owned)),
            identified: request.extensions().get::<Identified>().is_some(),
        };
        let mut response = Response::new(Full::new(Bytes::from_static(b"fine")));
        response.extensions_mut().insert(seen);
        Ok::<_, Infallible>(response)
    });
    let request = Request::builder().method(method).uri(target).header("host", "here.example");
    let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = request.body(Full::default()).expect("a request");
    let (parts, body) = layer.layer(Strict::new(echo)).oneshot(request).await.expect("an answer").into_parts();
    Response::from_parts(parts, body.collect().await.expect("a body").to_bytes())
}

fn seen(response: &Response<Bytes>) -> &Seen {
    response.extensions().get().expect("the service was asked")
}

#[tokio::test]
async fn a_good_token_goes_on_without_itself() {
    let bearer = format!("Bearer {}", signed(r#""sub":"ada""#));
    let layer = layer().identity(HeaderName::from_static("x-user"), "sub");
    let fields = [("authorization", bearer.as_str()), ("x_user", "admin"), ("x-user", "admin"), ("accept", "a/b")];
    let response = ask(&layer, "GET", "/?q=1", &fields).await;
    let seen = seen(&response);
    assert_eq!(seen.subject.as_deref(), Some("ada"));
    assert_eq!(seen.headers.get("authorization"), None);
    assert_eq!(seen.headers["x-user"], "ada");
    assert_eq!(seen.headers.get("x_user"), None);
    assert_eq!((seen.target.as_str(), &seen.headers["accept"]), ("/?q=1", &http::HeaderValue::from_static("a/b")));
    assert!(seen.identified);
    let kept = ask(&layer.keep_token(), "GET", "/", &fields).await;
    assert_eq!(self::seen(&kept).headers["authorization"], bearer.as_str());
}

#[tokio::test]
async fn who_has_no_token_is_asked_for_one() {
    let layer = layer().realm("shop").rule(Rule::optional().under("/shop")).rule(Rule::open().under("/public"));
    let response = ask(&layer, "GET", "/", &[]).await;
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], r#"Bearer realm="shop""#);
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.extensions().get(), Some(&Reason::NoToken));
    for target in ["/shop", "/public/a"] {
        let response = ask(&layer, "GET", target, &[]).await;
        assert_eq!(seen(&response).subject, None, "{target}");
    }
    // One that is no good is refused where it might be missing, and not looked at where nobody asks.
    let bad = [("authorization", "Bearer a.b.c")];
    assert_eq!(ask(&layer, "GET", "/shop", &bad).await.status(), 401);
    assert_eq!(ask(&layer, "GET", "/public/a", &bad).await.status(), 200);
    let preflight = [("origin", "https://x"), ("access-control-request-method", "PUT")];
    assert_eq!(ask(&layer, "OPTIONS", "/", &preflight).await.status(), 200);
    assert_eq!(ask(&layer, "OPTIONS", "/", &[]).await.status(), 401);
}

#[tokio::test]
async fn what_was_revoked_is_refused_at_once() {
    let revocations = Revocations::embedded();
    let layer = JwtLayer::new(verifier(), revocations.clone());
    let claims = r#""sub":"ada","jti":"1""#;
    let bearer = format!("Bearer {}", signed(claims));
    assert_eq!(ask(&layer, "GET", "/", &[("authorization", &bearer)]).await.status(), 200);
    revocations.revoke(Revocation::token(&token(claims))).await.expect("revoked");
    let response = ask(&layer, "GET", "/", &[("authorization", &bearer)]).await;
    assert_eq!(response.status(), 401);
    assert!(response.headers()["www-authenticate"].to_str().expect("text").contains("invalid_token"));
}

#[tokio::test]
async fn a_cookie_is_a_token_for_its_own_page() {
    let layer = layer().cookie("__Host-access_token");
    let cookie = format!("a=1; __Host-access_token={}; b=2", signed(r#""sub":"ada","csrf":"word""#));
    let response = ask(&layer, "GET", "/", &[("cookie", &cookie)]).await;
    assert_eq!(seen(&response).headers["cookie"], "a=1; b=2");
    assert_eq!(
        (&response.headers()["vary"], &response.headers()["cache-control"]),
        (&"cookie".parse().unwrap(), &"private".parse().unwrap())
    );
    assert_eq!(ask(&layer, "POST", "/", &[("cookie", &cookie)]).await.status(), 403);
    assert_eq!(ask(&layer, "POST", "/", &[("cookie", &cookie), ("x-csrf-token", "word")]).await.status(), 200);
}

#[tokio::test]
async fn claims_are_a_type_or_no_claims() {
    #[derive(serde::Deserialize)]
    struct Account {
        #[expect(dead_code, reason = "only that it is there")]
        plan: String,
    }
    let layer = layer().claims::<Account>();
    for (claims, status) in [(r#""plan":"gold""#, 200), (r#""plan":1"#, 401), ("", 401)] {
        let bearer = format!("Bearer {}", signed(claims));
        assert_eq!(ask(&layer, "GET", "/", &[("authorization", &bearer)]).await.status(), status, "{claims}");
    }
    assert!(Jwt::<Account>::of(&token(r#""plan":"gold""#)).is_ok());
}

#[tokio::test]
async fn while_redis_is_away_the_setting_decides() {
    let bearer = format!("Bearer {}", signed(r#""sub":"ada","jti":"1""#));
    let fields = [("authorization", bearer.as_str())];
    for (outage, status) in [(Outage::Closed, 503), (Outage::Open, 200)] {
        let nowhere = Redis::connect("redis://127.0.0.1:1").expect("a URL");
        let revocations = Revocations::options().redis(nowhere);
        let layer = JwtLayer::new(verifier(), revocations.clone()).outage(outage);
        let response = ask(&layer, "GET", "/", &fields).await;
        assert_eq!(response.status(), status, "{outage:?}");
        if outage == Outage::Closed {
            assert_eq!(response.headers()["retry-after"], "1");
            assert_eq!(response.headers().get("www-authenticate"), None, "the token may be good");
            assert_eq!(response.extensions().get(), Some(&Reason::Unknown));
        }
        // What was revoked here is refused, whatever the setting.
        let told = revocations.revoke(Revocation::token(&token(r#""sub":"ada","jti":"1""#))).await;
        assert!(told.is_err(), "nobody else knows");
        assert_eq!(ask(&layer, "GET", "/", &fields).await.status(), 401, "{outage:?}");
    }
}
