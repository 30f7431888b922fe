//! What was verified before is asked again for all that may have changed; and what lies in a cache is not for everybody.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use buttress::cache::{Cache, CacheLayer};
use buttress::core::{BoxError, Identified};
use buttress::jwt::{Algorithm, Fault, JwtLayer, Key, Revocation, Revocations, TrustedIssuer, Verifier};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::bed::{AUDIENCE, ISSUER, keys, now, secret, signed, token, trusted};

type Site = BoxCloneSyncService<Request<Full<Bytes>>, Response<Bytes>, BoxError>;

#[test]
fn a_token_is_asked_each_time_for_its_time() {
    let verifier = Verifier::new([trusted()]).expect("a verifier");
    let token = signed("");
    assert!(verifier.verify(&token, now()).is_ok());
    assert!(verifier.verify(&token, now() + Duration::from_secs(329)).is_ok());
    assert_eq!(verifier.verify(&token, now() + Duration::from_secs(331)).err(), Some(Fault::Expired));
    assert_eq!(verifier.verify(&token, now() - Duration::from_secs(60)).err(), Some(Fault::Unborn));
    assert!(verifier.verify(&token, now()).is_ok(), "nothing that failed is remembered");
}

#[test]
fn a_key_that_goes_takes_its_tokens_along() {
    let keys = keys();
    let trusted = TrustedIssuer::new(ISSUER, AUDIENCE, [Algorithm::HS256], keys.clone());
    let verifier = Verifier::new([trusted]).expect("a verifier");
    let token = signed("");
    assert!(verifier.verify(&token, now()).is_ok());
    let another: [u8; 32] = std::array::from_fn(|at| secret()[at] ^ 1);
    keys.replace([Key::secret(Algorithm::HS256, another).expect("a secret")]);
    assert_eq!(verifier.verify(&token, now()).err(), Some(Fault::Signature));
    keys.replace([Key::secret(Algorithm::HS256, secret()).expect("a secret")]);
    assert!(verifier.verify(&token, now()).is_ok());
}

#[test]
fn tokens_that_are_nearly_alike_are_not_the_same() {
    let verifier = Verifier::new([trusted()]).expect("a verifier");
    let good = signed(&format!(r#""sub":"ada","x":"{}""#, "x".repeat(2000)));
    assert!(verifier.verify(&good, now()).is_ok());
    for at in [0, 30, 100, good.len() / 2, good.len() - 50, good.len() - 2] {
        let mut near = good.clone().into_bytes();
        near[at] = if near[at] == b'A' { b'B' } else { b'A' };
        let near = String::from_utf8(near).expect("ASCII");
        assert!(verifier.verify(&near, now()).is_err(), "at {at}");
    }
    assert!(verifier.verify(&good[..good.len() - 1], now()).is_err());
    assert!(verifier.verify(&format!("{good}A"), now()).is_err());
}

#[test]
fn another_policy_remembers_nothing_of_this_one() {
    let token = signed("");
    let lax = Verifier::new([trusted()]).expect("a verifier");
    assert!(lax.verify(&token, now()).is_ok());
    let strict = Verifier::new([trusted().only_access_tokens()]).expect("a verifier");
    assert_eq!(strict.verify(&token, now()).err(), Some(Fault::Kind));
    let other = Verifier::new([TrustedIssuer::new(ISSUER, "other", [Algorithm::HS256], keys())]).expect("a verifier");
    assert_eq!(other.verify(&token, now()).err(), Some(Fault::Audience));
}

/// The guard around a cache around a service that answers who asked, and counts.
fn site(revocations: &Revocations, says: &'static str, share: bool) -> (Site, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let service = service_fn(move |request: Request<Full<Bytes>>| {
        counted.fetch_add(1, Ordering::Relaxed);
        assert!(request.extensions().get::<Identified>().is_some());
        let user = request.headers()["x-user"].as_bytes().to_vec();
        let response = Response::builder().header("cache-control", says).body(Full::new(Bytes::from(user)));
        async move { Ok::<_, Infallible>(response.expect("a response")) }
    });
    let guard = JwtLayer::new(Verifier::new([trusted()]).expect("a verifier"), revocations.clone());
    let guard = guard.identity(http::HeaderName::from_static("x-user"), "sub");
    let cache = CacheLayer::new(Cache::embedded()).share_authorized(share);
    (BoxCloneSyncService::new(guard.layer(cache.layer(service)).map_err(never).and_then(read)), calls)
}

/// A response with all of its body.
async fn read<B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>>(
    response: Response<B>,
) -> Result<Response<Bytes>, BoxError> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
    Ok(Response::from_parts(parts, body))
}

async fn ask(site: &Site, subject: &str) -> (u16, Bytes) {
    let bearer = format!("Bearer {}", signed(&format!(r#""sub":"{subject}","jti":"of {subject}""#)));
    let request = Request::get("http://a.example/page").header("authorization", bearer).body(Full::default());
    let (parts, body) = site.clone().oneshot(request.expect("a request")).await.expect("an answer").into_parts();
    (parts.status.as_u16(), body)
}

#[tokio::test]
async fn what_was_made_for_one_is_not_for_the_next() {
    let revocations = Revocations::embedded();
    for (says, share) in [("max-age=60", false), ("max-age=60", true), ("public, max-age=60", false)] {
        let (site, calls) = site(&revocations, says, share);
        for subject in ["ada", "bob", "ada"] {
            assert_eq!(ask(&site, subject).await, (200, Bytes::from(subject.to_owned())), "{says} {share}");
        }
        assert_eq!(calls.load(Ordering::Relaxed), 3, "nothing was stored: {says} {share}");
    }
}

#[tokio::test]
async fn who_was_logged_out_reads_nothing_that_is_stored() {
    let revocations = Revocations::embedded();
    let (site, calls) = site(&revocations, "public, max-age=60", true);
    assert_eq!(ask(&site, "ada").await.0, 200);
    assert_eq!(
        ask(&site, "bob").await,
        (200, "ada".into()),
        "it says that it is for all, and the operator believes it"
    );
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    let bob = token(r#""sub":"bob","jti":"of bob""#);
    revocations.revoke(Revocation::token(&bob)).await.expect("revoked");
    assert_eq!(ask(&site, "bob").await.0, 401);
    assert_eq!(ask(&site, "ada").await.0, 200);
}

fn never(never: Infallible) -> BoxError {
    match never {}
}
