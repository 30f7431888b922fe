//! Several processes with one Redis: what is revoked in one is refused in all.

use buttress::jwt::{Kind, Revocation, Standing};
use buttress_tests::RedisServer;

use crate::bed::{ISSUER, shared, token, until};

#[tokio::test]
async fn what_one_revokes_all_refuse() {
    let server = RedisServer::start();
    let (one, other) = (shared(&server), shared(&server));
    one.ready().await;
    other.ready().await;
    let ada = token(r#""sub":"ada","jti":"1""#);
    assert_eq!(other.check(&ada).await, Standing::Good);
    one.revoke(Revocation::token(&ada)).await.unwrap();
    assert_eq!(one.check(&ada).await, Standing::Revoked(Kind::Token));
    until("the other hears", async || other.check(&ada).await == Standing::Revoked(Kind::Token)).await;
}

#[tokio::test]
async fn who_comes_later_knows_it_too() {
    let server = RedisServer::start();
    let one = shared(&server);
    one.ready().await;
    one.revoke(Revocation::subject(ISSUER, "ada")).await.unwrap();
    drop(one);
    let later = shared(&server);
    later.ready().await;
    assert_eq!(later.check(&token(r#""sub":"ada""#)).await, Standing::Revoked(Kind::Subject));
    assert_eq!(later.check(&token(r#""sub":"bob""#)).await, Standing::Good);
}

#[tokio::test]
async fn a_flushed_redis_is_told_again() {
    let server = RedisServer::start();
    let (one, other) = (shared(&server), shared(&server));
    one.ready().await;
    other.ready().await;
    let ada = token(r#""sub":"ada","jti":"1""#);
    one.revoke(Revocation::token(&ada)).await.unwrap();
    until("the other hears", async || other.check(&ada).await != Standing::Good).await;
    drop(one);
    assert_eq!(server.cli(&["FLUSHALL"]).text(), "OK");
    until("the loss is noticed", async || !other.is_ready()).await;
    other.ready().await;
    let new = shared(&server);
    new.ready().await;
    assert_eq!(new.check(&ada).await, Standing::Revoked(Kind::Token));
}

#[tokio::test]
async fn without_redis_nothing_is_known_for_good() {
    let server = RedisServer::start();
    let one = shared(&server);
    one.ready().await;
    let (ada, bob) = (token(r#""sub":"ada","jti":"1""#), token(r#""sub":"bob","jti":"2""#));
    server.stop();
    assert_eq!(one.check(&ada).await, Standing::Good, "known as of a moment ago");
    until("that is too old", async || one.check(&bob).await == Standing::Unknown).await;
    assert!(one.revoke(Revocation::token(&ada)).await.is_err());
    assert_eq!(one.check(&ada).await, Standing::Revoked(Kind::Token), "it holds here");
    server.cont();
    one.ready().await;
    assert_eq!(one.check(&bob).await, Standing::Good);
    let other = shared(&server);
    other.ready().await;
    until("the other hears", async || other.check(&ada).await == Standing::Revoked(Kind::Token)).await;
}
