//! Tokens to try things with, signed by hand, and services to ask.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use buttress::core::Clock;
use buttress::jwt::{Algorithm, JwtLayer, Key, Keys, Revocations, Token, TrustedIssuer, Verifier};
use buttress::redis::Redis;
use buttress_tests::RedisServer;
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::Full;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::crypto::aws_lc;
use tower::{Layer as _, ServiceExt as _};

pub(crate) const ISSUER: &str = "https://accounts.example";
pub(crate) const AUDIENCE: &str = "shop";

/// Good for HS512 too.
pub(crate) fn secret() -> [u8; 64] {
    std::array::from_fn(|n| u8::try_from(n).expect("small").wrapping_mul(37) ^ 0x5a)
}

pub(crate) fn keys() -> Keys {
    Keys::new([Key::secret(Algorithm::HS256, secret()).expect("a good secret")])
}

pub(crate) fn trusted() -> TrustedIssuer {
    TrustedIssuer::new(ISSUER, AUDIENCE, [Algorithm::HS256], keys())
}

pub(crate) fn verifier() -> Verifier {
    Verifier::new([trusted()]).expect("a verifier")
}

pub(crate) fn now() -> SystemTime {
    Clock::system().now()
}

pub(crate) fn seconds() -> u64 {
    now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A token of the issuer for the audience with these further claims, as JSON members. It was issued ten seconds ago and ends in five minutes.
pub(crate) fn signed(claims: &str) -> String {
    let comma = if claims.is_empty() { "" } else { "," };
    let now = seconds();
    let (iat, exp) = (now - 10, now + 300);
    let payload = format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","iat":{iat},"exp":{exp}{comma}{claims}}}"#);
    sign(r#"{"alg":"HS256","typ":"JWT"}"#, &payload)
}

/// Signs whatever this is with the secret.
pub(crate) fn sign(header: &str, payload: &str) -> String {
    sign_with(&EncodingKey::from_secret(&secret()), jsonwebtoken::Algorithm::HS256, header, payload)
}

pub(crate) fn sign_with(key: &EncodingKey, algorithm: jsonwebtoken::Algorithm, header: &str, payload: &str) -> String {
    let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let message = format!("{}.{}", part(header), part(payload));
    let signer = (aws_lc::DEFAULT_PROVIDER.signer_factory)(&algorithm, key).expect("a signer");
    let signature = signer.try_sign(message.as_bytes()).expect("a signature");
    format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// A token that the verifier believes.
pub(crate) fn token(claims: &str) -> Token {
    verifier().verify(&signed(claims), now()).expect("a good token")
}

pub(crate) fn shared(server: &RedisServer) -> Revocations {
    let redis = Redis::connect(&server.url()).expect("a URL");
    Revocations::options().redis(redis)
}

/// Waits for something real to happen, within ten seconds.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..1000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come true within ten seconds: {what}");
}

/// What the layer answers to this bearer: the status over HTTP, and that of gRPC.
pub(crate) fn answered(verifier: &Verifier, token: &str) -> (u16, String) {
    let layer = JwtLayer::new(verifier.clone(), Revocations::embedded());
    let ask = |kind: &str| {
        let service = tower::service_fn(|_: Request<()>| {
            std::future::ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
        });
        let bearer = http::HeaderValue::try_from(format!("Bearer {token}")).expect("a field");
        let request = Request::post("/")
            .header("content-type", kind)
            .header("authorization", bearer)
            .body(())
            .expect("a request");
        let answer = layer.layer(service).oneshot(request).now_or_never().expect("at once");
        answer.unwrap_or_else(|never| match never {})
    };
    let grpc = ask("application/grpc");
    let code = grpc.headers().get("grpc-status").map_or("0", |code| code.to_str().expect("text"));
    assert_eq!(grpc.status(), 200, "a gRPC client reads nothing else");
    (ask("application/json").status().as_u16(), code.to_owned())
}
