//! The life of a token, on either store: login, refresh, the end.

use std::time::Duration;

use buttress::core::{Clock, ManualClock};
use buttress::jwt::{
    Issuer, Kind, Login, RefreshError, Revocation, Revocations, SigningKey, Standing, Token, Verifier,
};
use buttress::redis::Redis;
use buttress_tests::RedisServer;

use crate::bed::{ISSUER, now};

/// An issuer, and what believes its tokens.
struct Office {
    issuer: Issuer,
    verifier: Verifier,
    revocations: Revocations,
    _server: Option<RedisServer>,
}

fn key() -> SigningKey {
    SigningKey::secret(buttress::jwt::Algorithm::HS256, crate::bed::secret()).expect("a good secret")
}

impl Office {
    fn of(revocations: Revocations, redis: Option<Redis>, server: Option<RedisServer>) -> Self {
        let issuer = Issuer::new(ISSUER, "shop", key(), revocations.clone()).expect("an issuer");
        let issuer = match redis {
            Some(redis) => issuer.redis(redis),
            None => issuer,
        };
        let verifier = Verifier::new([issuer.trusted()]).expect("a verifier");
        Self { issuer, verifier, revocations, _server: server }
    }

    /// One on each store.
    async fn both() -> [Self; 2] {
        let server = RedisServer::start();
        let redis = Redis::connect(&server.url()).expect("a URL");
        let shared = Revocations::options().redis(redis.clone());
        shared.ready().await;
        [Self::of(Revocations::embedded(), None, None), Self::of(shared, Some(redis), Some(server))]
    }

    fn token(&self, access: &str) -> Token {
        self.verifier.verify(access, now()).expect("a good access token")
    }

    async fn standing(&self, access: &str) -> Standing {
        self.revocations.check(&self.token(access)).await
    }
}

#[tokio::test]
async fn a_login_goes_on_from_token_to_token() {
    for office in Office::both().await {
        let login = Login::new("ada").scope("a b").claim("plan", "gold").claim("sub", "eve").acr("pwd");
        let first = office.issuer.login(login).await.unwrap();
        let second = office.issuer.refresh(first.refresh()).await.unwrap();
        let (before, after) = (office.token(first.access()), office.token(second.access()));
        for token in [&before, &after] {
            let claims = token.claims();
            assert_eq!((claims.subject(), claims.scopes().count()), (Some("ada"), 2));
            assert_eq!(claims.get("plan").and_then(|plan| plan.as_str()), Some("gold"));
            assert_eq!(claims.get("acr").and_then(|acr| acr.as_str()), Some("pwd"));
        }
        assert_eq!(before.claims().session(), after.claims().session());
        assert_eq!(before.claims().authenticated(), after.claims().authenticated());
        assert_ne!(before.claims().id(), after.claims().id());
        assert!(before.is_fresh(now()) && !after.is_fresh(now()));
        // Neither kind of token is taken for the other.
        assert!(office.verifier.verify(first.refresh(), now()).is_err());
        assert!(matches!(office.issuer.refresh(second.access()).await, Err(RefreshError::Invalid(_))));
    }
}

#[tokio::test]
async fn a_copy_of_a_refresh_token_ends_the_login() {
    for office in Office::both().await {
        let first = office.issuer.login(Login::new("ada")).await.unwrap();
        let second = office.issuer.refresh(first.refresh()).await.unwrap();
        let third = office.issuer.refresh(second.refresh()).await.unwrap();
        assert_eq!(office.standing(third.access()).await, Standing::Good);
        assert!(matches!(office.issuer.refresh(first.refresh()).await, Err(RefreshError::Reused)));
        for access in [first.access(), second.access(), third.access()] {
            assert_eq!(office.standing(access).await, Standing::Revoked(Kind::Session));
        }
        assert!(matches!(office.issuer.refresh(third.refresh()).await, Err(RefreshError::Ended)));
        // Another login of the same person goes on.
        let other = office.issuer.login(Login::new("ada")).await.unwrap();
        assert_eq!(office.standing(other.access()).await, Standing::Good);
    }
}

#[tokio::test]
async fn two_tabs_get_the_same_successor() {
    for office in Office::both().await {
        let first = office.issuer.login(Login::new("ada")).await.unwrap();
        let (one, other) = tokio::join!(office.issuer.refresh(first.refresh()), office.issuer.refresh(first.refresh()));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one.refresh(), other.refresh(), "to the octet, since this algorithm signs alike");
        let next = office.issuer.refresh(one.refresh()).await.unwrap();
        assert_eq!(office.standing(next.access()).await, Standing::Good);
        let again = office.issuer.refresh(other.refresh()).await.unwrap();
        assert_eq!(again.refresh(), next.refresh());
    }
}

#[tokio::test]
async fn without_grace_the_second_is_a_thief() {
    for office in Office::both().await {
        let issuer = office.issuer.clone().grace(Duration::ZERO);
        let first = issuer.login(Login::new("ada")).await.unwrap();
        issuer.refresh(first.refresh()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(matches!(issuer.refresh(first.refresh()).await, Err(RefreshError::Reused)));
    }
}

#[tokio::test]
async fn a_logout_ends_all_of_the_login_and_nothing_else() {
    for office in Office::both().await {
        let (one, other) = (Login::new("ada"), Login::new("ada"));
        let (one, other) = (office.issuer.login(one).await.unwrap(), office.issuer.login(other).await.unwrap());
        office.issuer.logout(&office.token(one.access())).await.unwrap();
        assert_eq!(office.standing(one.access()).await, Standing::Revoked(Kind::Session));
        assert!(matches!(office.issuer.refresh(one.refresh()).await, Err(RefreshError::Ended)));
        assert_eq!(office.standing(other.access()).await, Standing::Good);
        office.issuer.logout_everywhere("ada").await.unwrap();
        assert_eq!(office.standing(other.access()).await, Standing::Revoked(Kind::Subject));
        assert!(matches!(office.issuer.refresh(other.refresh()).await, Err(RefreshError::Ended)));
        // Who logs in again right away is another.
        tokio::time::sleep(Duration::from_millis(2)).await;
        let again = office.issuer.login(Login::new("ada")).await.unwrap();
        assert_eq!(office.standing(again.access()).await, Standing::Good);
    }
}

#[tokio::test]
async fn either_token_can_be_revoked_by_its_holder() {
    for office in Office::both().await {
        for by_refresh in [true, false] {
            let tokens = office.issuer.login(Login::new("ada")).await.unwrap();
            let token = if by_refresh { tokens.refresh() } else { tokens.access() };
            office.issuer.revoke(token).await.unwrap();
            assert_eq!(office.standing(tokens.access()).await, Standing::Revoked(Kind::Session));
            assert!(matches!(office.issuer.refresh(tokens.refresh()).await, Err(RefreshError::Ended)));
        }
        office.issuer.revoke("a.b.c").await.unwrap();
    }
}

#[tokio::test]
async fn keys_are_changed_under_way() {
    for office in Office::both().await {
        let old = office.issuer.login(Login::new("ada")).await.unwrap();
        office.issuer.rotate(SigningKey::random().named("new")).unwrap();
        let new = office.issuer.refresh(old.refresh()).await.unwrap();
        assert_eq!(office.token(new.access()).kid(), Some("new"));
        assert_eq!(office.standing(old.access()).await, Standing::Good);
        office.issuer.forget_keys();
        assert!(office.verifier.verify(old.access(), now()).is_err(), "although it was verified before");
        assert_eq!(office.standing(new.access()).await, Standing::Good);
        assert!(office.issuer.refresh(new.refresh()).await.is_ok());
    }
}

#[tokio::test]
async fn a_login_ends_with_time() {
    let hand = ManualClock::at(Clock::system().now());
    let revocations = Revocations::options().clock(hand.clock()).embedded();
    let issuer = Issuer::new(ISSUER, "shop", key(), revocations.clone()).unwrap();
    let issuer = issuer.refresh_lifetime(Duration::from_secs(1000)).longest_login(Duration::from_secs(2500));
    let verifier = Verifier::new([issuer.trusted()]).unwrap();
    let mut tokens = issuer.login(Login::new("ada")).await.unwrap();
    for _ in 0..2 {
        hand.advance(Duration::from_secs(900));
        tokens = issuer.refresh(tokens.refresh()).await.unwrap();
    }
    let token = verifier.verify(tokens.access(), hand.clock().now()).unwrap();
    let left = token.claims().expires().duration_since(hand.clock().now()).unwrap();
    assert!(left <= Duration::from_secs(700), "no token outlives its login: {left:?}");
    hand.advance(Duration::from_secs(700));
    assert!(issuer.refresh(tokens.refresh()).await.is_err());
    // Nothing is heard for too long.
    let tokens = issuer.login(Login::new("ada")).await.unwrap();
    hand.advance(Duration::from_secs(1031));
    assert!(matches!(issuer.refresh(tokens.refresh()).await, Err(RefreshError::Invalid(_))));
    // A subject that was revoked stays so as long as a refresh token lives.
    let tokens = issuer.login(Login::new("ada")).await.unwrap();
    revocations.revoke(Revocation::subject(ISSUER, "ada")).await.unwrap();
    hand.advance(Duration::from_secs(1000));
    assert!(matches!(issuer.refresh(tokens.refresh()).await, Err(RefreshError::Ended)));
}

#[tokio::test]
async fn nothing_that_lies_in_redis_can_be_presented() {
    let server = RedisServer::start();
    let redis = Redis::connect(&server.url()).expect("a URL");
    let revocations = Revocations::options().redis(redis.clone());
    revocations.ready().await;
    let office = Office::of(revocations, Some(redis), None);
    let tokens = office.issuer.login(Login::new("ada-lovelace")).await.unwrap();
    let tokens = office.issuer.refresh(tokens.refresh()).await.unwrap();
    office.issuer.logout(&office.token(tokens.access())).await.unwrap();
    office.issuer.logout_everywhere("ada-lovelace").await.unwrap();
    let other = office.issuer.login(Login::new("ada-lovelace")).await.unwrap();
    assert!(server.cli(&["SAVE"]).text() == "OK");
    let dump = std::fs::read(server.dir().join("dump.rdb")).expect("a dump");
    let has = |text: &str| dump.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("buttress:jwt:v1:"), "it is the right file");
    let secret = ["ada-lovelace", tokens.refresh(), other.refresh(), other.access()];
    assert!(secret.iter().all(|text| !has(text)), "subjects and tokens are nowhere at rest");
    assert!(!has(office.token(other.access()).claims().id().unwrap()));
}

#[tokio::test]
async fn without_redis_nobody_logs_in() {
    let server = RedisServer::start();
    let redis = Redis::connect(&server.url()).expect("a URL");
    let revocations = Revocations::options().redis(redis.clone());
    revocations.ready().await;
    let office = Office::of(revocations, Some(redis), None);
    let tokens = office.issuer.login(Login::new("ada")).await.unwrap();
    server.kill();
    crate::bed::until("redis is away", async || {
        matches!(office.issuer.login(Login::new("ada")).await, Err(RefreshError::Away(_)))
    })
    .await;
    assert!(matches!(office.issuer.refresh(tokens.refresh()).await, Err(RefreshError::Away(_))));
    // A logout holds here, and says that nobody else knows.
    assert!(office.issuer.logout(&office.token(tokens.access())).await.is_err());
    assert_eq!(office.standing(tokens.access()).await, Standing::Revoked(Kind::Session));
}
