//! Beside the real flask-jwt-extended: what one side makes the other believes, and what one ends has ended on the other.

use std::time::Duration;

use buttress::core::ManualClock;
use buttress::jwt::{
    Algorithm, Issuer, JwtLayer, Key, Keys, Login, RefreshError, Revocation, Revocations, Rule, SigningKey, Token,
    TokenCookies, TrustedIssuer, Verifier, flask,
};
use buttress::redis::Redis;
use buttress_tests::RedisServer;
use serde_json::json;

use crate::bed::{now, until};

mod client;
mod service;

use client::{ask, bearer, log_in, ours};
use service::{Flask, SECRET};

fn keys() -> Keys {
    Keys::new([Key::secret(Algorithm::HS256, SECRET).expect("a good secret")])
}

fn verifier() -> Verifier {
    Verifier::new([TrustedIssuer::flask([Algorithm::HS256], keys())]).expect("a verifier")
}

/// What a service does that moves over.
fn guard(revocations: Revocations) -> JwtLayer {
    JwtLayer::new(verifier(), revocations).cookie(flask::ACCESS_COOKIE)
}

/// The list that both sides keep.
async fn shared(server: &RedisServer) -> Revocations {
    let redis = Redis::connect(&server.url()).expect("a URL");
    let revocations = Revocations::options().blacklist(flask::BLACKLIST).redis(redis);
    revocations.ready().await;
    revocations
}

fn believed(token: &str) -> Token {
    verifier().verify(token, now()).expect("a good token")
}

#[tokio::test]
async fn a_token_of_flask_opens_our_service() {
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &[]) else { return };
    let layer = guard(Revocations::embedded()).rule(Rule::required().under("/fresh").fresh(Duration::from_secs(60)));
    let new = ours(layer.rule(Rule::required().any_role(["reader"]).method(http::Method::PUT))).await;
    let login = log_in(old.url(), json!("ada")).await;

    assert_eq!(bearer(&new, "GET /protected", &login.access).await, 200);
    assert_eq!(bearer(&new, "PUT /protected", &login.access).await, 200);
    assert_eq!(bearer(&new, "GET /fresh", &login.access).await, 200);
    let answer = ask(&new, "GET /protected", &[("cookie", &login.cookies())], "").await;
    assert_eq!((answer.status.as_u16(), answer.body), (200, json!("ada")));

    let field = format!("Bearer {}", login.refresh);
    let renewed = ask(old.url(), "POST /refresh", &[("authorization", &field)], "").await;
    let renewed = renewed.body["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(bearer(&new, "GET /protected", &renewed).await, 200);
    assert_eq!(bearer(&new, "GET /fresh", &renewed).await, 401);
}

#[tokio::test]
async fn a_cookie_of_flask_acts_with_its_word() {
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &[]) else { return };
    let new = ours(guard(Revocations::embedded())).await;
    let (ada, bob) = (log_in(old.url(), json!("ada")).await, log_in(old.url(), json!("bob")).await);
    let cookies = ada.cookies();
    for (word, there, here) in [
        (Some(ada.word()), 200, 200),
        (Some(bob.word()), 401, 403),
        (Some(ada.cookie(flask::REFRESH_CSRF_COOKIE)), 401, 403),
        (Some(""), 401, 403),
        (None, 401, 403),
    ] {
        let mut fields = vec![("cookie", cookies.as_str())];
        fields.extend(word.map(|word| ("X-CSRF-TOKEN", word)));
        assert_eq!(ask(old.url(), "POST /protected", &fields, "").await.status, there, "there: {word:?}");
        assert_eq!(ask(&new, "POST /protected", &fields, "").await.status, here, "here: {word:?}");
    }
    let foreign = [("cookie", cookies.as_str()), ("X-CSRF-TOKEN", ada.word()), ("Origin", "https://evil.example")];
    assert_eq!(ask(&new, "POST /protected", &foreign, "").await.status, 403);
}

#[tokio::test]
async fn a_logout_there_holds_here() {
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &[]) else { return };
    let new = ours(guard(shared(&redis).await)).await;
    let (ada, bob) = (log_in(old.url(), json!("ada")).await, log_in(old.url(), json!("bob")).await);
    // Twice: the second time it is remembered as verified.
    for _ in 0..2 {
        assert_eq!(bearer(&new, "GET /protected", &ada.access).await, 200);
    }
    assert_eq!(bearer(old.url(), "DELETE /logout", &ada.access).await, 200);
    assert_eq!(bearer(&new, "GET /protected", &ada.access).await, 401);
    assert_eq!(ask(&new, "GET /protected", &[("cookie", &ada.cookies())], "").await.status, 401);
    assert_eq!(bearer(&new, "GET /protected", &bob.access).await, 200);
    let again = log_in(old.url(), json!("ada")).await;
    assert_eq!(bearer(&new, "GET /protected", &again.access).await, 200);
}

#[tokio::test]
async fn a_logout_here_holds_there() {
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &[]) else { return };
    let revocations = shared(&redis).await;
    let new = ours(guard(revocations.clone())).await;
    let other_process = ours(guard(shared(&redis).await)).await;
    for by in [Revocation::token, Revocation::login_of] {
        let (ada, bob) = (log_in(old.url(), json!("ada")).await, log_in(old.url(), json!("bob")).await);
        assert_eq!(bearer(old.url(), "GET /protected", &ada.access).await, 200);
        revocations.revoke(by(&believed(&ada.access))).await.expect("it is told");
        for url in [old.url(), &new, &other_process] {
            assert_eq!(bearer(url, "GET /protected", &ada.access).await, 401, "{url}");
            assert_eq!(bearer(url, "GET /protected", &bob.access).await, 200, "{url}");
        }
    }
}

#[tokio::test]
async fn a_refresh_token_of_flask_opens_nothing() {
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &[]) else { return };
    let new = ours(guard(Revocations::embedded())).await;
    let login = log_in(old.url(), json!("ada")).await;
    assert_eq!(bearer(&new, "GET /protected", &login.refresh).await, 401);
    let cookie = format!("{}={}", flask::ACCESS_COOKIE, login.refresh);
    assert_eq!(ask(&new, "GET /protected", &[("cookie", &cookie)], "").await.status, 401);
}

#[tokio::test]
async fn what_flask_would_refuse_is_refused() {
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &[]) else { return };
    let Some(stranger) = Flask::start(&redis, &[("JWT_SECRET_KEY", &SECRET.to_lowercase())]) else { return };
    let new = ours(guard(Revocations::embedded())).await;
    let login = log_in(old.url(), json!("ada")).await;
    let (signed, signature) = login.access.rsplit_once('.').expect("three parts");
    let (_, payload) = signed.split_once('.').expect("three parts");
    let other = log_in(old.url(), json!("bob")).await.access;
    for token in [
        log_in(stranger.url(), json!("ada")).await.access,
        format!("{}.{signature}", other.rsplit_once('.').expect("three parts").0),
        format!("{signed}."),
        format!("eyJhbGciOiJub25lIn0.{payload}."), // {"alg":"none"}
    ] {
        assert!([401, 422].contains(&bearer(old.url(), "GET /protected", &token).await), "there: {token}");
        assert_eq!(bearer(&new, "GET /protected", &token).await, 401, "here: {token}");
    }
}

#[tokio::test]
async fn a_token_ends_when_it_says() {
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &[]) else { return };
    let clock = ManualClock::at(now());
    let new = ours(guard(Revocations::options().clock(clock.clock()).embedded())).await;
    let token = log_in(old.url(), json!("ada")).await.access;
    let end = believed(&token).claims().expires();
    for (at, status) in [(end - Duration::from_secs(1), 200), (end, 401)] {
        clock.set(at);
        assert_eq!(bearer(&new, "GET /protected", &token).await, status);
    }
}

#[tokio::test]
async fn longer_lives_have_to_be_said() {
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &[("JWT_ACCESS_TOKEN_EXPIRES", "3600")]) else { return };
    let token = log_in(old.url(), json!("ada")).await.access;
    let trusted = TrustedIssuer::flask([Algorithm::HS256], keys());
    for (trusted, fine) in [(trusted.clone(), false), (trusted.max_lifetime(Duration::from_secs(3600)), true)] {
        assert_eq!(Verifier::new([trusted]).expect("a verifier").verify(&token, now()).is_ok(), fine);
    }
}

#[tokio::test]
async fn a_subject_is_text() {
    let redis = RedisServer::start();
    let Some(strict) = Flask::start(&redis, &[]) else { return };
    let Some(lax) = Flask::start(&redis, &[("JWT_VERIFY_SUB", "false")]) else { return };
    let new = ours(guard(Revocations::embedded())).await;
    let number = log_in(lax.url(), json!(7)).await.access;
    assert_eq!(bearer(lax.url(), "GET /protected", &number).await, 200);
    assert_eq!(bearer(strict.url(), "GET /protected", &number).await, 422);
    assert_eq!(bearer(&new, "GET /protected", &number).await, 401);
    let text = log_in(lax.url(), json!("7")).await.access;
    assert_eq!(bearer(&new, "GET /protected", &text).await, 200);
}

#[tokio::test]
async fn an_issuer_and_an_audience_are_checked() {
    let redis = RedisServer::start();
    let names = [("JWT_ENCODE_ISSUER", "https://shop.example"), ("JWT_ENCODE_AUDIENCE", "shop")];
    let checks = [("JWT_DECODE_ISSUER", "https://shop.example"), ("JWT_DECODE_AUDIENCE", "shop")];
    let Some(named) = Flask::start(&redis, &[names, checks].concat()) else { return };
    let Some(plain) = Flask::start(&redis, &[]) else { return };
    let named = log_in(named.url(), json!("ada")).await.access;
    let plain = log_in(plain.url(), json!("ada")).await.access;
    let of = |issuer: &str, audience: &str| {
        TrustedIssuer::new(issuer, audience, [Algorithm::HS256], keys()).only_flask_tokens()
    };
    let unnamed = TrustedIssuer::flask([Algorithm::HS256], keys());
    let shop = of("https://shop.example", "shop");
    for (trusted, of_named, of_plain) in [
        (vec![shop.clone()], true, false),
        (vec![of("https://other.example", "shop")], false, false),
        (vec![of("https://shop.example", "cart")], false, false),
        (vec![unnamed.clone()], false, true),
        (vec![shop, unnamed], true, true),
    ] {
        let verifier = Verifier::new(trusted.clone()).expect("a verifier");
        assert_eq!(verifier.verify(&named, now()).is_ok(), of_named, "{trusted:?}");
        assert_eq!(verifier.verify(&plain, now()).is_ok(), of_plain, "{trusted:?}");
    }
}

#[tokio::test]
async fn a_guessable_secret_has_to_be_called_so() {
    const WEAK: &str = "super-secret";
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &[("JWT_SECRET_KEY", WEAK)]) else { return };
    assert!(Key::secret(Algorithm::HS256, WEAK).is_err());
    let keys = Keys::new([Key::dangerous_weak_secret(Algorithm::HS256, WEAK).expect("a secret")]);
    let verifier = Verifier::new([TrustedIssuer::flask([Algorithm::HS256], keys)]).expect("a verifier");
    assert!(verifier.verify(&log_in(old.url(), json!("ada")).await.access, now()).is_ok());
}

#[tokio::test]
async fn while_redis_hangs_nobody_is_taken_for_logged_in_or_out() {
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &[]) else { return };
    let new = ours(guard(shared(&redis).await)).await;
    let (ada, bob) = (log_in(old.url(), json!("ada")).await, log_in(old.url(), json!("bob")).await);
    assert_eq!(bearer(old.url(), "DELETE /logout", &ada.access).await, 200);
    redis.stop();
    for token in [&ada.access, &bob.access] {
        assert_eq!(bearer(&new, "GET /protected", token).await, 503);
    }
    redis.cont();
    until("redis is asked again", async || bearer(&new, "GET /protected", &bob.access).await == 200).await;
    assert_eq!(bearer(&new, "GET /protected", &ada.access).await, 401);
}

/// The side that makes tokens, moved over.
fn issuer_of_flask(revocations: &Revocations) -> Issuer {
    let key = SigningKey::secret(Algorithm::HS256, SECRET).expect("a good secret");
    Issuer::flask(key, revocations.clone()).expect("an issuer")
}

#[tokio::test]
async fn a_token_of_ours_opens_flask() {
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &[]) else { return };
    let issuer = issuer_of_flask(&Revocations::embedded());
    let tokens = issuer.login(Login::new("ada")).await.expect("tokens");
    let field = format!("Bearer {}", tokens.access());
    let answer = ask(old.url(), "GET /protected", &[("authorization", &field)], "").await;
    assert_eq!((answer.status.as_u16(), answer.body), (200, json!({ "sub": "ada", "fresh": true })));
    assert_eq!(bearer(old.url(), "GET /fresh", tokens.access()).await, 200);

    let (access, word) = (tokens.access(), believed(tokens.access()));
    let word = word.claims().get("csrf").and_then(|word| word.as_str()).expect("a word");
    let cookie = format!("{}={access}", TokenCookies::flask().access_name());
    for (word, status) in [(word, 200), ("another", 401)] {
        let fields = [("cookie", cookie.as_str()), ("X-CSRF-TOKEN", word)];
        assert_eq!(ask(old.url(), "POST /protected", &fields, "").await.status, status, "{word}");
    }

    let next = issuer.refresh(tokens.refresh()).await.expect("tokens");
    assert_eq!(bearer(old.url(), "GET /protected", next.access()).await, 200);
    assert_eq!(bearer(old.url(), "GET /fresh", next.access()).await, 401);
}

#[tokio::test]
async fn a_token_of_ours_says_what_flask_checks() {
    let redis = RedisServer::start();
    let checks = [("JWT_DECODE_ISSUER", "https://shop.example"), ("JWT_DECODE_AUDIENCE", "shop")];
    let Some(old) = Flask::start(&redis, &checks) else { return };
    let issuer = |name, audience| {
        let key = SigningKey::secret(Algorithm::HS256, SECRET).expect("a good secret");
        Issuer::new(name, audience, key, Revocations::embedded()).expect("an issuer").flask_tokens()
    };
    for (name, audience, status) in [
        ("https://shop.example", "shop", 200),
        ("https://other.example", "shop", 422),
        ("https://shop.example", "cart", 422),
    ] {
        let issuer = issuer(name, audience);
        let tokens = issuer.login(Login::new("ada")).await.expect("tokens");
        assert_eq!(bearer(old.url(), "GET /protected", tokens.access()).await, status, "{name} {audience}");
        assert_eq!(bearer(old.url(), "POST /refresh", tokens.refresh()).await, 422, "that is for its issuer alone");
        let next = issuer.refresh(tokens.refresh()).await.expect("tokens");
        let verifier = Verifier::new([issuer.trusted()]).expect("a verifier");
        assert!(verifier.verify(next.access(), now()).is_ok());
        assert!(verifier.verify(next.refresh(), now()).is_err());
    }
    let nameless = issuer_of_flask(&Revocations::embedded()).login(Login::new("ada")).await.expect("tokens");
    assert_eq!(bearer(old.url(), "GET /protected", nameless.access()).await, 422);
}

#[tokio::test]
async fn a_login_of_ours_ends_on_both_sides() {
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &[]) else { return };
    let revocations = shared(&redis).await;
    let issuer = issuer_of_flask(&revocations);
    // This side believes the tokens of both.
    let verifier = Verifier::new([issuer.trusted()]).expect("a verifier");
    let new = ours(JwtLayer::new(verifier.clone(), revocations)).await;
    let theirs = log_in(old.url(), json!("ada")).await.access;
    let (here, there) = (issuer.login(Login::new("ada")).await, issuer.login(Login::new("ada")).await);
    let (here, there) = (here.expect("tokens"), there.expect("tokens"));
    for token in [&theirs, here.access(), there.access()] {
        assert_eq!(bearer(&new, "GET /protected", token).await, 200);
        assert_eq!(bearer(old.url(), "GET /protected", token).await, 200);
    }
    assert_eq!(bearer(old.url(), "DELETE /logout", there.access()).await, 200);
    for token in [&theirs, here.access()] {
        issuer.logout(&verifier.verify(token, now()).expect("a good token")).await.expect("it is told");
    }
    for token in [&theirs, here.access(), there.access()] {
        assert_eq!(bearer(&new, "GET /protected", token).await, 401);
        assert_eq!(bearer(old.url(), "GET /protected", token).await, 401);
    }
    assert_eq!(bearer(old.url(), "DELETE /logout", there.refresh()).await, 200);
    assert!(matches!(issuer.refresh(there.refresh()).await, Err(RefreshError::Ended)));
    issuer.revoke(here.refresh()).await.expect("it is told");
    assert_eq!(bearer(old.url(), "POST /refresh", here.refresh()).await, 401);
}

#[tokio::test]
async fn flask_hears_later_of_what_redis_missed_or_lost() {
    let redis = RedisServer::start();
    let Some(old) = Flask::start(&redis, &[]) else { return };
    let revocations = shared(&redis).await;
    let token = log_in(old.url(), json!("ada")).await.access;
    redis.stop();
    assert!(revocations.revoke(Revocation::token(&believed(&token))).await.is_err(), "it is not told yet");
    redis.cont();
    let refused = async || bearer(old.url(), "GET /protected", &token).await == 401;
    until("it is told", refused).await;
    assert_eq!(redis.cli(&["FLUSHALL"]).text(), "OK");
    until("it is told again", refused).await;
}
