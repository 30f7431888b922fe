//! What the layer answers while keys come and go.

use std::convert::Infallible;

use buttress_core::ManualClock;
use buttress_jwt::{Algorithm, JwtLayer, Keys, Reason, Revocations, TrustedIssuer, Verifier};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

use crate::bed::{eventually, hand};
use crate::issuer::Issuer;
use crate::signer::Signer;

/// The status and the reason with which a layer answers, before a service that says yes to all.
async fn ask(verifier: &Verifier, hand: &ManualClock, token: &str) -> (StatusCode, Option<Reason>) {
    let layer = JwtLayer::new(verifier.clone(), Revocations::options().clock(hand.clock()).embedded());
    let service = ServiceBuilder::new().layer(layer).service(service_fn(|_: Request<Empty<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    }));
    let request = Request::get("/").header("authorization", format!("Bearer {token}"));
    let response = service.oneshot(request.body(Empty::new()).unwrap()).await.unwrap();
    (response.status(), response.extensions().get().copied())
}

#[tokio::test]
async fn keys_that_are_away_are_nobodys_fault_and_keys_that_are_none_are() {
    let (signer, new, hand) = (Signer::new("known"), Signer::new("new"), hand());
    let issuer = Issuer::away(&[&signer]);
    let keys = Keys::url(issuer.url().clock(hand.clock()));
    let trusted = TrustedIssuer::new("https://issuer", "us", [Algorithm::ES256], keys);
    let verifier = Verifier::new([trusted]).unwrap();
    let now = || hand.clock().now();
    let away = (StatusCode::SERVICE_UNAVAILABLE, Some(Reason::KeysAway));
    assert_eq!(ask(&verifier, &hand, &signer.token(now())).await, away);

    issuer.up().await;
    eventually("there are keys", || {
        hand.advance(std::time::Duration::from_secs(1));
        verifier.is_ready()
    })
    .await;
    let fine = (StatusCode::OK, None);
    assert_eq!(ask(&verifier, &hand, &signer.token(now())).await, fine);
    assert_eq!(ask(&verifier, &hand, &new.token(now())).await.0, StatusCode::UNAUTHORIZED);

    issuer.publish(&[&signer, &new]);
    hand.advance(std::time::Duration::from_secs(121)); // its name was not there a moment ago
    assert_eq!(ask(&verifier, &hand, &new.token(now())).await, fine);
}
