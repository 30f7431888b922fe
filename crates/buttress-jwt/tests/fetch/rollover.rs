//! Keys come and go.

use std::pin::pin;
use std::time::Duration;

use buttress_jwt::{Fault, Unverified};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::bed::{Service, Trap, UNKNOWN, eventually};
use crate::issuer::{Issuer, set};
use crate::signer::Signer;

#[tokio::test]
async fn a_token_by_a_new_key_has_the_keys_asked_for_once() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let issuer = Issuer::start(&[&old]).await;
    let service = Service::ready(issuer.url()).await;
    assert_eq!(service.ask(&old.token(service.now())).await, Ok(()));
    assert_eq!(issuer.asked(), 1);

    issuer.publish(&[&old, &new]);
    assert!(!service.believes(&new.token(service.now())));
    assert_eq!(service.ask(&new.token(service.now())).await, Ok(()));
    assert_eq!(service.ask(&old.token(service.now())).await, Ok(()));
    assert_eq!(issuer.asked(), 2);
    assert_eq!(issuer.last_line(), "GET /jwks.json?policy=a HTTP/1.1"); // and no name of a key in it
}

#[tokio::test]
async fn an_answer_that_was_asked_for_before_the_token_came_proves_nothing() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let issuer = Issuer::start(&[&old]).await;
    let service = Service::ready(issuer.url()).await;
    let allowed = issuer.hesitate();
    service.advance(11 * 60);
    eventually("the issuer is asked because it is time", || issuer.asked() == 2).await;

    issuer.publish(&[&old, &new]);
    let token = new.token(service.now());
    let mut waiting = pin!(service.ask(&token));
    assert!(timeout(Duration::ZERO, &mut waiting).await.is_err());
    allowed.notify_one();
    assert_eq!(waiting.await, Ok(()));
    assert_eq!(issuer.asked(), 3);
}

#[tokio::test]
async fn a_token_that_was_verified_is_refused_once_its_key_is_withdrawn() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let issuer = Issuer::start(&[&old, &new]).await;
    let service = Service::ready(issuer.url()).await;
    let (by_old, by_new) = (old.token(service.now()), new.token(service.now()));
    assert!(service.believes(&by_old) && service.believes(&by_new));

    issuer.publish(&[&new]);
    service.advance(11 * 60);
    eventually("the old key is gone", || !service.believes(&by_old)).await;
    assert!(service.believes(&by_new));
    assert_eq!(issuer.asked(), 2);
    assert_eq!(service.ask(&by_old).await, UNKNOWN);
}

#[tokio::test]
async fn a_flood_of_invented_names_is_one_question_in_half_a_minute() {
    let signer = Signer::new("known");
    let issuer = Issuer::start(&[&signer]).await;
    let service = Service::ready(issuer.url()).await;
    for round in 1..=3 {
        let mut flood = JoinSet::new();
        for n in 0..1_000 {
            let token = signer.token_naming(&format!("{round}-{n}"), "", service.now());
            let service = service.clone();
            flood.spawn(async move { service.ask(&token).await });
        }
        assert!(flood.join_all().await.into_iter().all(|answer| answer == UNKNOWN));
        // Nor does what comes after it.
        service.advance(29);
        for n in 0..1_000 {
            let token = signer.token_naming(&format!("{round}+{n}"), "", service.now());
            assert_eq!(service.ask(&token).await, UNKNOWN);
        }
        assert_eq!(issuer.asked(), 1 + round);
        service.advance(1);
    }
}

#[tokio::test]
async fn a_name_that_was_not_there_is_remembered_for_a_while() {
    let signer = Signer::new("known");
    let issuer = Issuer::start(&[&signer]).await;
    let service = Service::ready(issuer.url()).await;
    // When, which name, and how often the issuer has been asked by then.
    for (advance, kid, asked) in [(0, "a", 2), (31, "a", 2), (0, "b", 3), (31, "a", 2 + 1), (60, "a", 4), (1, "a", 4)] {
        service.advance(advance);
        assert_eq!(service.ask(&signer.token_naming(kid, "", service.now())).await, UNKNOWN);
        assert_eq!(issuer.asked(), asked, "{kid}");
    }
    // A change of the keys has it forgotten.
    issuer.publish(&[&signer, &Signer::new("new")]);
    for (kid, asked) in [("c", 5), ("a", 6)] {
        service.advance(31);
        assert_eq!(service.ask(&signer.token_naming(kid, "", service.now())).await, UNKNOWN);
        assert_eq!(issuer.asked(), asked, "{kid}");
    }
}

#[tokio::test]
async fn a_key_that_does_not_fit_is_not_asked_for() {
    let signer = Signer::new("known");
    let issuer = Issuer::start(&[]).await;
    let jwk = signer.jwk().replace("P-256", "P-384").replace(r#""kid""#, r#""alg":"ES384","kid""#);
    let ed25519 = r#"{"kty":"OKP","crv":"Ed25519","kid":"known","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    issuer.publish_jwks(&set([jwk, ed25519.to_owned()]), "");
    let service = Service::ready(issuer.url()).await;
    assert_eq!(service.ask(&signer.token(service.now())).await, UNKNOWN);
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_token_may_name_no_key() {
    let (signer, late) = (Signer::new("known"), Signer::new("late"));
    let issuer = Issuer::start(&[]).await;
    let ed25519 = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    issuer.publish_jwks(&set([ed25519.to_owned()]), "");
    let service = Service::ready(issuer.url()).await;
    assert_eq!(service.ask(&signer.nameless_token(service.now())).await, UNKNOWN);
    assert_eq!(issuer.asked(), 2);
    issuer.publish(&[&signer]);
    service.advance(121);
    assert_eq!(service.ask(&signer.nameless_token(service.now())).await, Ok(()));
    assert_eq!(issuer.asked(), 3);
    // Where a key fits, it is the signature that is wrong, and nobody is asked.
    service.advance(31);
    let wrong = Err(Unverified::Disbelieved(Fault::Signature));
    assert_eq!(service.ask(&late.nameless_token(service.now())).await, wrong);
    assert_eq!(issuer.asked(), 3);
}

#[tokio::test]
async fn where_a_token_says_that_its_key_lies_nobody_looks() {
    let (signer, attacker) = (Signer::new("known"), Signer::new("attacker"));
    let issuer = Issuer::start(&[&signer]).await;
    let trap = Trap::set();
    let service = Service::ready(issuer.url()).await;
    let place = trap.url();
    for members in [
        format!(r#","jku":"{place}""#),
        format!(r#","x5u":"{place}""#),
        format!(r#","jwk":{}"#, attacker.jwk()),
        format!(r#","jku":"{place}","jwk":{},"x5c":["MIIB"]"#, attacker.jwk()),
    ] {
        assert_eq!(service.ask(&attacker.token_naming(&place, &members, service.now())).await, UNKNOWN);
        service.advance(31);
    }
    assert!(issuer.asked() > 1);
    // Had somebody looked, it would have been by now: the issuer was asked in between.
    assert!(!trap.caught());
}

#[tokio::test]
async fn the_issuer_says_how_long_its_keys_are_fresh() {
    let signer = Signer::new("known");
    let issuer = Issuer::away(&[]);
    issuer.publish_jwks(&set([signer.jwk()]), "cache-control: public, max-age=90\r\n");
    issuer.up().await;
    let service = Service::ready(issuer.url()).await;
    service.advance(100);
    eventually("the issuer is asked again", || issuer.asked() == 2).await;
}
