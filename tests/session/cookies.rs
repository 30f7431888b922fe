//! Over sockets, under axum and tonic: no cookie but the browser's own is a session.

use std::net::SocketAddr;
use std::task::{Context, Poll};

use axum::Router;
use axum::routing::get;
use buttress::redis::Redis;
use buttress::session::{CookieKey, Session, SessionCookie, SessionError, SessionLayer, Sessions};
use buttress_tests::RedisServer;
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;

use crate::browser::{at_rest, key};

async fn name(session: Session) -> Result<String, SessionError> {
    Ok(session.get("name").await?.unwrap_or("nobody".to_owned()))
}

async fn begin(session: Session, uri: http::Uri) -> Result<(), SessionError> {
    session.insert("name", uri.query().unwrap_or_default()).await
}

async fn login(session: Session) -> Result<(), SessionError> {
    session.login("ada").await.map(drop)
}

async fn logout(session: Session) -> Result<(), SessionError> {
    session.logout().await
}

async fn serve(layer: SessionLayer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let routes = [("/name", get(name)), ("/begin", get(begin)), ("/login", get(login)), ("/logout", get(logout))];
    let app = routes.into_iter().fold(Router::new(), |app, (path, route)| app.route(path, route)).layer(layer);
    tokio::spawn(async { axum::serve(listener, app).await });
    address
}

/// The answer to a GET with these cookie fields, as bytes, by HTTP/1.1 or HTTP/2.
async fn ask(address: SocketAddr, version: Version, path: &str, cookies: &[&[u8]]) -> Response<Bytes> {
    let mut client = Client::builder(TokioExecutor::new());
    let client = client.http2_only(version == Version::HTTP_2).build_http::<Empty<Bytes>>();
    let mut request = Request::get(format!("http://{address}{path}")).body(Empty::new()).expect("a request");
    for cookie in cookies {
        request.headers_mut().append("cookie", HeaderValue::from_bytes(cookie).expect("a field"));
    }
    let (parts, body) = client.request(request).await.expect("an answer").into_parts();
    Response::from_parts(parts, body.collect().await.expect("a body").to_bytes())
}

/// A new session with this name in it: the pair of its cookie.
async fn session(address: SocketAddr, name: &str) -> String {
    let response = ask(address, Version::HTTP_11, &format!("/begin?{name}"), &[]).await;
    pair(response.headers()).expect("a cookie")
}

fn pair(headers: &HeaderMap) -> Option<String> {
    let line = headers.get("set-cookie")?.to_str().expect("text");
    line.split(';').next().map(str::to_owned)
}

/// The same cookie with another value.
fn with(pair: &str, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let (name, value) = pair.split_once('=').expect("a pair");
    let mut bytes = BASE64URL_NOPAD.decode(value.as_bytes()).expect("base64url");
    change(&mut bytes);
    format!("{name}={}", BASE64URL_NOPAD.encode(&bytes)).into_bytes()
}

#[tokio::test]
async fn only_one_session_that_was_sealed_here_is_believed() {
    let server = RedisServer::start();
    let redis = Redis::connect(&server.url()).unwrap();
    let address = serve(SessionLayer::new(Sessions::options(key()).redis(redis))).await;
    let (ada, eve) = (session(address, "ada").await, session(address, "eve").await);
    let own = ada.clone().into_bytes();
    let tossed = eve.clone().into_bytes();
    let forged = |n: u8| format!("__Host-sid={}", BASE64URL_NOPAD.encode(&[n; 32])).into_bytes();
    let value = ada.split_once('=').unwrap().1.to_owned();
    let other_name = |name: &str| [name.as_bytes(), b"=", eve.split_once('=').unwrap().1.as_bytes()].concat();
    let joined = |pairs: &[&[u8]]| vec![pairs.join(&b"; "[..])];
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for (what, cookies, expected) in [
            ("none", vec![], "nobody"),
            ("its own", vec![own.clone()], "ada"),
            ("a neighbour in Latin-1", joined(&[b"n\xe4me=\xff\xfe", &own, b"x"]), "ada"),
            ("an old version", joined(&[b"$Version=1", &own, b"$Path=/"]), "ada"),
            ("space and tab", vec![[b" \t".as_slice(), &own, b"\t "].concat()], "ada"),
            ("crumbs", vec![b"a=1".to_vec(), own.clone(), b"b=2".to_vec()], "ada"),
            ("the same twice", joined(&[&own, &own]), "ada"),
            ("another's first", joined(&[&tossed, &own]), "nobody"),
            ("another's last", joined(&[&own, &tossed]), "nobody"),
            ("another's in a field of its own", vec![own.clone(), tossed.clone()], "nobody"),
            ("a forged one first", joined(&[&forged(1), &own]), "ada"),
            ("a forged one last", joined(&[&own, &forged(1)]), "ada"),
            ("three forged ones", joined(&[&forged(1), &forged(2), &own, &forged(3)]), "ada"),
            ("more than are looked at", joined(&[&forged(1), &forged(2), &own, &forged(3), &forged(4)]), "nobody"),
            ("an empty one beside", joined(&[b"__Host-sid=", &own, b"__Host-sid"]), "ada"),
            ("U+2000 before the name", vec![other_name("\u{2000}__Host-sid")], "nobody"),
            ("U+0085 before the name", vec![other_name("\u{85}__Host-sid")], "nobody"),
            ("U+00A0 before the name", vec![other_name("\u{a0}__Host-sid")], "nobody"),
            ("U+2000 beside its own", joined(&[&other_name("\u{2000}__Host-sid"), &own]), "ada"),
            ("another case", vec![other_name("__host-sid")], "nobody"),
            ("without the prefix", vec![other_name("sid")], "nobody"),
            ("quoted", vec![format!("__Host-sid=\"{value}\"").into_bytes()], "nobody"),
            ("padded", vec![format!("__Host-sid={value}=").into_bytes()], "nobody"),
            ("percent-encoded", vec![format!("__Host-sid=%41{}", &value[1..]).into_bytes()], "nobody"),
            ("cut", vec![format!("__Host-sid={}", &value[..42]).into_bytes()], "nobody"),
            ("a tag of zeros", vec![with(&ada, |bytes| bytes[16..].fill(0))], "nobody"),
            ("another's tag", vec![with(&ada, |bytes| bytes[16..].reverse())], "nobody"),
            ("another's id", vec![with(&ada, |bytes| bytes[0] ^= 1)], "nobody"),
            ("a chosen id", vec![b"__Host-sid=attacker-chosen-id".to_vec()], "nobody"),
            ("an oversized one", vec![[b"__Host-sid=".as_slice(), &[b'A'; 8000]].concat()], "nobody"),
            ("not in UTF-8", vec![b"__Host-sid=\xff\xfe".to_vec()], "nobody"),
        ] {
            let fields: Vec<_> = cookies.iter().map(Vec::as_slice).collect();
            let response = ask(address, version, "/name", &fields).await;
            assert_eq!(response.body(), expected, "{what}, {version:?}");
            assert!(!response.headers().contains_key("set-cookie"), "{what}: nothing is planted or taken back");
        }
    }
}

#[tokio::test]
async fn a_chosen_id_is_never_adopted() {
    let address = serve(SessionLayer::new(Sessions::embedded(key()))).await;
    let planted = [
        b"__Host-sid=attacker-chosen-id".to_vec(),
        [b"__Host-sid=".as_slice(), &[b'A'; 43]].concat(),
        // Sealed, and of a session that is no more.
        {
            let gone = session(address, "gone").await.into_bytes();
            assert_eq!(ask(address, Version::HTTP_11, "/logout", &[&gone]).await.status(), 200);
            gone
        },
    ];
    for cookie in planted {
        let response = ask(address, Version::HTTP_11, "/begin?x", &[&cookie]).await;
        let given = pair(response.headers()).expect("a new id");
        assert_ne!(given.as_bytes(), cookie);
        assert_eq!(ask(address, Version::HTTP_11, "/name", &[&cookie]).await.body(), "nobody");
        assert_eq!(ask(address, Version::HTTP_11, "/name", &[given.as_bytes()]).await.body(), "x");
    }
}

#[tokio::test]
async fn a_planted_second_session_takes_nothing_away() {
    let plain = SessionCookie::new().dangerous_plain_http();
    let address = serve(SessionLayer::new(Sessions::embedded(key())).cookie(plain).unwrap()).await;
    let (victim, planted) = (session(address, "victim").await, session(address, "attacker").await);
    let both = format!("{planted}; {victim}").into_bytes();
    let response = ask(address, Version::HTTP_11, "/begin?mixed", &[&both]).await;
    assert_eq!(
        (response.status().as_u16(), pair(response.headers())),
        (400, None),
        "a write would replace one of them"
    );
    let response = ask(address, Version::HTTP_11, "/logout", &[&both]).await;
    assert_eq!((response.status().as_u16(), pair(response.headers())), (400, None));
    for (cookie, expected) in [(&victim, "victim"), (&planted, "attacker")] {
        assert_eq!(ask(address, Version::HTTP_11, "/name", &[cookie.as_bytes()]).await.body(), expected);
    }
    let response = ask(address, Version::HTTP_11, "/login", &[&both]).await;
    let new = pair(response.headers()).expect("a login begins anew");
    assert_eq!(
        ask(address, Version::HTTP_11, "/name", &[new.as_bytes()]).await.body(),
        "nobody",
        "with nothing of either"
    );
}

#[tokio::test]
async fn what_is_sealed_for_one_layer_is_nothing_to_another() {
    let sessions = Sessions::embedded(key());
    let shop = serve(SessionLayer::new(sessions.clone())).await;
    let cookie = SessionCookie::new().name("__Host-admin");
    let admin = serve(SessionLayer::new(sessions).cookie(cookie).unwrap()).await;
    let other_key = CookieKey::new(*b"another one with enough entropy.").unwrap();
    let stranger = serve(SessionLayer::new(Sessions::embedded(other_key))).await;
    let pair = session(shop, "shopper").await;
    let renamed = pair.replace("__Host-sid", "__Host-admin");
    assert_eq!(ask(shop, Version::HTTP_11, "/name", &[pair.as_bytes()]).await.body(), "shopper");
    assert_eq!(ask(admin, Version::HTTP_11, "/name", &[renamed.as_bytes()]).await.body(), "nobody");
    assert_eq!(ask(stranger, Version::HTTP_11, "/name", &[pair.as_bytes()]).await.body(), "nobody");
}

#[tokio::test]
async fn nothing_at_rest_takes_a_session_over() {
    let server = RedisServer::start();
    let redis = Redis::connect(&server.url()).unwrap();
    let address = serve(SessionLayer::new(Sessions::options(key()).redis(redis))).await;
    let pair = session(address, "ada").await;
    let id = BASE64URL_NOPAD.decode(pair.split_once('=').unwrap().1.as_bytes()).unwrap();
    let keys = server.cli(&["KEYS", "*"]);
    let at_rest = at_rest(&server);
    assert!(at_rest.contains("ada"), "{at_rest}");
    for secret in [&id[..16], &id[16..], &id] {
        for text in [BASE64URL_NOPAD.encode(secret), data_encoding::HEXLOWER.encode(secret)] {
            assert!(!at_rest.contains(&text));
        }
    }
    // Who reads the name out of Redis and puts it into a cookie has nothing.
    let name = keys.array()[0].text();
    let name = data_encoding::HEXLOWER.decode(name.split(['{', '}']).nth(1).unwrap().as_bytes()).unwrap();
    let cookie = with(&pair, |bytes| bytes[..16].copy_from_slice(&name));
    assert_eq!(ask(address, Version::HTTP_11, "/name", &[&cookie]).await.body(), "nobody");
}

#[tokio::test]
async fn a_grpc_client_reads_a_status() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;

    let nowhere = Redis::connect("redis://127.0.0.1:1").unwrap();
    let layer = SessionLayer::new(Sessions::options(key()).redis(nowhere));
    let sealed = session(serve(SessionLayer::new(Sessions::embedded(key()))).await, "x").await;
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("shop", tonic_health::ServingStatus::Serving).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let stack = tower::ServiceBuilder::new().layer(layer).layer(tower::layer::layer_fn(Asking)).into_inner();
    tokio::spawn(tonic::transport::Server::builder().layer(stack).add_service(health).serve_with_incoming(incoming));
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut client = HealthClient::new(endpoint.connect().await.unwrap());
    let check = || tonic::Request::new(HealthCheckRequest { service: "shop".to_owned() });
    assert!(client.check(check()).await.is_ok(), "a visitor's session needs no Redis");
    let mut request = check();
    request.metadata_mut().insert("cookie", sealed.parse().unwrap());
    assert_eq!(client.check(request).await.unwrap_err().code(), tonic::Code::Unavailable);
}

/// Asks for the session before the service does its work.
#[derive(Clone)]
struct Asking<S>(S);

impl<S, B> tower::Service<Request<B>> for Asking<S>
where
    S: tower::Service<Request<B>, Future: Send> + Clone + Send + 'static,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = futures_util::future::BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let session = request.extensions().get::<Session>().expect("a session").clone();
        let clone = self.0.clone();
        let mut inner = std::mem::replace(&mut self.0, clone);
        Box::pin(async move {
            session.subject().await.ok(); // the layer answers, whatever is made of the error
            inner.call(request).await
        })
    }
}
