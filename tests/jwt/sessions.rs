//! Tokens that were made for a session end with it, in every process.

use std::sync::Arc;

use buttress::core::EndLogin;
use buttress::jwt::{Issuer, Login, RefreshError, SigningKey, Standing, Verifier};
use buttress::redis::Redis;
use buttress::session::{CookieKey, Session, SessionLayer, Sessions};
use buttress_tests::RedisServer;
use http::{Request, Response};
use std::convert::Infallible;
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{now, shared, until};

async fn issuer(server: &RedisServer) -> Issuer {
    let key = SigningKey::secret(buttress::jwt::Algorithm::HS256, [0x5a_u8, 1, 2, 3, 4, 5, 6, 7].repeat(8)).unwrap();
    let issuer = Issuer::new("https://shop.example", "shop", key, shared(server)).unwrap();
    let redis = Redis::connect(&server.url()).unwrap();
    until("Redis is there", async || redis.is_up()).await;
    issuer.redis(redis)
}

#[tokio::test]
async fn the_end_of_a_session_is_the_end_of_its_tokens_everywhere() {
    let server = RedisServer::start();
    let one = issuer(&server).await;
    let elsewhere = shared(&server);
    elsewhere.ready().await;
    let verifier = Verifier::new([one.trusted()]).unwrap();
    // Two logins for one session, and one for another.
    let first = one.login(Login::new("ada").session("s1")).await.unwrap();
    let second = one.login(Login::new("ada").session("s1")).await.unwrap();
    let other = one.login(Login::new("ada").session("s2")).await.unwrap();
    let first = one.refresh(first.refresh()).await.expect("the second login has not disturbed the first");
    let believed = |access: &str| verifier.verify(access, now()).expect("a good token");
    for tokens in [&first, &second, &other] {
        assert_eq!(elsewhere.check(&believed(tokens.access())).await, Standing::Good);
    }
    let ends: Arc<dyn EndLogin> = Arc::new(one.clone());
    ends.end_login("s1").await.unwrap();
    ends.end_login("s1").await.expect("once more is no error");
    for tokens in [&first, &second] {
        let token = believed(tokens.access());
        until("the other process hears", async || elsewhere.check(&token).await != Standing::Good).await;
        assert!(matches!(one.refresh(tokens.refresh()).await, Err(RefreshError::Ended)));
    }
    assert_eq!(elsewhere.check(&believed(other.access())).await, Standing::Good);
    one.refresh(other.refresh()).await.expect("the other session goes on");
}

#[tokio::test]
async fn what_cannot_be_told_leaves_the_session_and_can_be_tried_again() {
    let server = RedisServer::start();
    let one = issuer(&server).await;
    let sessions = Sessions::options(CookieKey::random()).ends(Arc::new(one.clone())).embedded();
    let layer = SessionLayer::new(sessions.clone());
    let issuer = one.clone();
    let service = tower::service_fn(move |request: Request<()>| {
        let issuer = issuer.clone();
        async move {
            let session = request.extensions().get::<Session>().expect("a session");
            let sid = session.login("ada").await.expect("logged in");
            let tokens = issuer.login(Login::new("ada").session(sid)).await.expect("tokens");
            Ok::<_, Infallible>(Response::new(tokens.access().to_owned()))
        }
    });
    let response = layer.layer(service).oneshot(Request::new(())).await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body()).await;
    let access = String::from_utf8(body.unwrap().to_bytes().to_vec()).unwrap();
    let token = Verifier::new([one.trusted()]).unwrap().verify(&access, now()).unwrap();
    let elsewhere = shared(&server);
    elsewhere.ready().await;
    assert_eq!(elsewhere.check(&token).await, Standing::Good);
    server.stop();
    sessions.end_all("ada").await.expect_err("nobody could be told");
    assert_eq!(sessions.list("ada").await.unwrap().len(), 1, "it goes on, and is listed");
    server.cont();
    until("it is tried again", async || sessions.end_all("ada").await.is_ok()).await;
    until("all hear", async || matches!(elsewhere.check(&token).await, Standing::Revoked(_))).await;
}
