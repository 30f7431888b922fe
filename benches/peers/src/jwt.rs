//! The layer beside other crates that check tokens for tower and axum, in the same process: one token of 520 or 820 bytes, seen again and
//! again, in front of the same trivial service. Ours remembers it, and asks on every request whether it was revoked, which the peers do not.
//!
//! `peer-jwt`
//!
//! All are asked in turns, and every answer is looked at. All use one cryptography, aws-lc: it is the layers that are compared. The peers
//! read the claims as a type on every request; ours does so when a handler asks for it, and none does.

use std::convert::Infallible;
use std::future::{Future as _, Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use axum::middleware::from_extractor_with_state;
use axum_jwt_auth::{Decoder, LocalDecoder};
use buttress::jwt::{
    Algorithm, Issuer, JwtLayer, Keys, Login, Revocation, Revocations, SigningKey, TrustedIssuer, Verifier,
};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Empty;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{DecodingKey, EncodingKey, Validation};
use report::{Target, claim, median};
use serde::Deserialize;
use tower::{Layer, Service, service_fn};
use tower_oauth2_resource_server::server::OAuth2ResourceServer;
use tower_oauth2_resource_server::tenant::TenantConfiguration;
use tower_oauth2_resource_server::validation::ClaimsValidationSpec;

#[path = "../../report.rs"]
#[expect(dead_code, reason = "the benches of the workspace use all of it")]
mod report;

const RSA: &str = include_str!("../../keys/rsa.pem");
const SECRET: &[u8] = b"a secret for nothing but to measure with: 0123456789";
const ISSUER: &str = "https://accounts.example";
const AUDIENCE: &str = "shop";
const KEY: &str = "k";
const COUNT: u32 = 5_000;

/// What an application would have the peers read.
#[derive(Clone, Deserialize)]
#[expect(dead_code, reason = "only parsed")]
struct Claims {
    sub: String,
    scope: String,
    roles: Vec<String>,
}

/// A service that is called with a token.
type Ask = Box<dyn FnMut(&HeaderValue) -> StatusCode>;

fn main() {
    // axum-jwt-auth has the other provider compiled as well, and jsonwebtoken does not choose between two.
    jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default().expect("the first");
    let rounds = std::env::var("BENCH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(15);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for algorithm in [Algorithm::HS256, Algorithm::RS256] {
        runtime.block_on(contest(algorithm, rounds));
    }
}

async fn contest(algorithm: Algorithm, rounds: usize) {
    let revocations = crowded().await;
    let signing = signing(algorithm);
    let token = token(signing.clone(), revocations.clone()).await;
    let bearer = |token: &str| HeaderValue::try_from(format!("Bearer {token}")).expect("a field");
    let (good, forged) = (bearer(&token), bearer(&forged(&token)));

    let mut asked = [
        ("the bare service", asked(service_fn(answer))),
        ("ours", asked(ours(&signing, revocations.clone(), None).layer(service_fn(answer)))),
        ("ours without memory", asked(ours(&signing, revocations, Some(0)).layer(service_fn(answer)))),
        ("tower-oauth2-resource-server", resource_server(algorithm).await),
        ("axum-jwt-auth", extractor(algorithm)),
    ];
    for (name, ask) in &mut asked[1..] {
        assert_eq!((ask(&good), ask(&forged)), (StatusCode::OK, StatusCode::UNAUTHORIZED), "{name}");
    }
    let mut times = asked.each_ref().map(|_| Vec::new());
    for _ in 0..=rounds {
        for ((_, ask), times) in asked.iter_mut().zip(&mut times) {
            times.push(time(|| assert_eq!(black_box(ask(&good)), StatusCode::OK)));
        }
    }
    let [bare, times @ ..] = times.map(|times| median(&times[1..]));
    let times = times.map(|time| time - bare);
    let names = asked[1..].iter().map(|(name, _)| *name);
    let each: Vec<_> = names.clone().zip(times).map(|(name, time)| format!("{name} {time:.0} ns")).collect();
    println!("{algorithm}: {} bytes, repeated; beyond the bare service {}", token.len(), each.join(", "));
    for (peer, time) in names.zip(times).skip(2) {
        let what = format!("{algorithm} repeated, the whole layer with 100,000 revocations, of {peer}");
        claim(&what, Target::None, times[0] / time, "×");
    }
}

// === the contestants ===

fn ours(signing: &SigningKey, revocations: Revocations, memory: Option<u64>) -> JwtLayer {
    let keys = Keys::new([signing.verifying()]);
    let verifier = Verifier::new([TrustedIssuer::new(ISSUER, AUDIENCE, [signing.algorithm()], keys)]);
    let verifier = verifier.expect("a verifier");
    JwtLayer::new(if let Some(bytes) = memory { verifier.remember(bytes) } else { verifier }, revocations)
}

async fn resource_server(algorithm: Algorithm) -> Ask {
    let checks = ClaimsValidationSpec::new().iss(ISSUER).aud(&vec![AUDIENCE.to_owned()]).exp(true);
    let set = JwkSet { keys: vec![jwk(algorithm)] };
    let tenant = TenantConfiguration::static_builder(serde_json::to_string(&set).expect("JSON"))
        .claims_validation(checks)
        .allowed_algorithms(&[algorithm.as_str().parse().expect("an algorithm")])
        .build();
    let server = OAuth2ResourceServer::<Claims>::builder().add_tenant(tenant.expect("a tenant")).build().await;
    asked(server.expect("a server").into_layer().layer(service_fn(answer)))
}

fn extractor(algorithm: Algorithm) -> Ask {
    let mut validation = Validation::new(algorithm.as_str().parse().expect("an algorithm"));
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    let key = DecodingKey::from_jwk(&jwk(algorithm)).expect("a key");
    let decoder: Decoder<Claims> = Arc::new(LocalDecoder::new(vec![key], validation).expect("a decoder"));
    asked(from_extractor_with_state::<axum_jwt_auth::Claims<Claims>, _>(decoder).layer(service_fn(answer)))
}

// === what they are asked ===

fn signing(algorithm: Algorithm) -> SigningKey {
    let key = match algorithm {
        Algorithm::HS256 => SigningKey::secret(algorithm, SECRET),
        _ => SigningKey::pem(algorithm, RSA),
    };
    key.expect("a key").named(KEY)
}

/// The same key, as the peers take it.
fn jwk(algorithm: Algorithm) -> Jwk {
    let key = match algorithm {
        Algorithm::HS256 => EncodingKey::from_secret(SECRET),
        _ => EncodingKey::from_rsa_pem(RSA.as_bytes()).expect("PEM"),
    };
    let mut jwk = Jwk::from_encoding_key(&key, algorithm.as_str().parse().expect("an algorithm")).expect("a key");
    jwk.common.key_id = Some(KEY.to_owned());
    jwk
}

async fn token(signing: SigningKey, revocations: Revocations) -> String {
    let issuer = Issuer::new(ISSUER, AUDIENCE, signing, revocations).expect("an issuer");
    let login = Login::new("ada").scope("orders:read orders:write profile").claim("roles", ["admin", "support"]);
    issuer.login(login).await.expect("tokens").access().to_owned()
}

/// With another signature: the first character of it is changed.
fn forged(token: &str) -> String {
    let (claims, signature) = token.rsplit_once('.').expect("three parts");
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{claims}.{first}{}", &signature[1..])
}

/// With as many revocations as a large site has in a day.
async fn crowded() -> Revocations {
    let revocations = Revocations::embedded();
    for number in 0..100_000 {
        let name = number.to_string();
        let revocation = match number % 3 {
            0 => Revocation::id(ISSUER, &name),
            1 => Revocation::session(ISSUER, &name),
            _ => Revocation::subject(ISSUER, &name),
        };
        revocations.revoke(revocation).await.expect("revoked");
    }
    revocations
}

fn answer(_: Request<()>) -> Ready<Result<Response<Empty<bytes::Bytes>>, Infallible>> {
    ready(Ok(Response::new(Empty::new())))
}

/// Nobody here has anything to wait for: one poll is the whole answer.
fn asked<S, B>(mut service: S) -> Ask
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + 'static,
{
    Box::new(move |bearer| {
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        let mut request = Request::new(());
        request.headers_mut().insert("authorization", bearer.clone());
        match pin!(service.call(request)).poll(&mut context) {
            Poll::Ready(Ok(response)) => response.status(),
            Poll::Pending => panic!("it waits"),
        }
    })
}

/// Nanoseconds for one.
fn time(mut act: impl FnMut()) -> f64 {
    let begun = now();
    for _ in 0..COUNT {
        act();
    }
    let passed: Duration = now() - begun;
    passed.as_nanos() as f64 / f64::from(COUNT)
}

#[expect(clippy::disallowed_methods, reason = "a stopwatch")]
fn now() -> Instant {
    Instant::now()
}
