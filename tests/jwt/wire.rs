//! Over sockets, under axum and tonic: what only the wire can do to a request.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use buttress::core::Outage;
use buttress::jwt::{JwtLayer, Revocation, Revocations, Rule, Token};
use buttress::redis::Redis;
use bytes::Bytes;
use http::{HeaderValue, Request, Version};
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;

use crate::bed::{ISSUER, signed, verifier};

async fn who(token: Option<Token>) -> String {
    token.and_then(|token| token.claims().subject().map(str::to_owned)).unwrap_or_default()
}

async fn serve(layer: JwtLayer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let app = Router::new().route("/{*path}", get(who).post(who)).layer(layer);
    tokio::spawn(async { axum::serve(listener, app).await });
    address
}

/// The status of a GET with these fields, as bytes, by HTTP/1.1 or HTTP/2.
async fn status(address: SocketAddr, version: Version, fields: &[(&'static str, &[u8])]) -> u16 {
    let mut client = Client::builder(TokioExecutor::new());
    let client = client.http2_only(version == Version::HTTP_2).build_http::<Empty<Bytes>>();
    let mut request = Request::get(format!("http://{address}/x")).body(Empty::new()).expect("a request");
    for (name, value) in fields {
        request.headers_mut().append(*name, HeaderValue::from_bytes(value).expect("a field"));
    }
    client.request(request).await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn cookies_are_read_as_they_came() {
    let address = serve(JwtLayer::new(verifier(), Revocations::embedded()).cookie("__Host-t")).await;
    let (ada, eve) = (signed(r#""sub":"ada""#), signed(r#""sub":"eve""#));
    let pair = |name: &[u8], token: &str| [name, b"=", token.as_bytes()].concat();
    let own = pair(b"__Host-t", &ada);
    let tossed = pair(b"__Host-t", &eve);
    let joined = |pairs: &[&[u8]]| pairs.join(&b"; "[..]);
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for (what, cookies, expected) in [
            ("its own", vec![own.clone()], 200),
            ("a neighbour in Latin-1", vec![joined(&[b"n\xe4me=\xff\xfe", &own, b"x"])], 200),
            ("an old version", vec![joined(&[b"$Version=1", &own, b"$Path=/"])], 200),
            ("another one first", vec![joined(&[&tossed, &own])], 400),
            ("another one last", vec![joined(&[&own, &tossed])], 400),
            ("another one in a field of its own", vec![own.clone(), tossed.clone()], 400),
            ("the same twice", vec![joined(&[&own, &own])], 200),
            ("U+2000 before the name", vec![pair("\u{2000}__Host-t".as_bytes(), &eve)], 401),
            ("U+0085 before the name", vec![pair("\u{85}__Host-t".as_bytes(), &eve)], 401),
            ("U+00A0 before the name", vec![pair("\u{a0}__Host-t".as_bytes(), &eve)], 401),
            ("those beside its own", vec![joined(&[&pair("\u{2000}__Host-t".as_bytes(), &eve), &own])], 200),
            ("another case", vec![pair(b"__host-t", &eve)], 401),
            ("quoted", vec![[b"__Host-t=\"", ada.as_bytes(), b"\""].concat()], 400),
        ] {
            let fields: Vec<_> = cookies.iter().map(|cookie| ("cookie", cookie.as_slice())).collect();
            assert_eq!(status(address, version, &fields).await, expected, "{what}, {version:?}");
        }
        let split: Vec<_> = [b"a=1".as_slice(), &own, b"b=2"].into_iter().map(|crumb| ("cookie", crumb)).collect();
        assert_eq!(status(address, version, &split).await, 200, "crumbs, {version:?}");
    }
}

#[tokio::test]
async fn credentials_are_one_or_none() {
    let address = serve(JwtLayer::new(verifier(), Revocations::embedded()).cookie("t").dangerous_query("t")).await;
    let token = signed(r#""sub":"ada""#);
    let bearer = format!("Bearer {token}");
    let cookie = format!("t={token}");
    for (what, fields, expected) in [
        ("a bearer", vec![("authorization", bearer.as_bytes())], 200),
        ("two", vec![("authorization", bearer.as_bytes()), ("authorization", bearer.as_bytes())], 400),
        ("a bearer and a cookie", vec![("authorization", bearer.as_bytes()), ("cookie", cookie.as_bytes())], 400),
        ("behind a tab", vec![("authorization", b"Bearer\tx.y.z".as_slice())], 400),
        ("behind a comma", vec![("authorization", b"Bearer a.b.c, Bearer d.e.f")], 400),
        ("not in UTF-8", vec![("authorization", b"Bearer \xff")], 400),
    ] {
        assert_eq!(status(address, Version::HTTP_11, &fields).await, expected, "{what}");
    }
}

#[tokio::test]
async fn a_grpc_client_reads_a_status() {
    use tonic::Code;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;

    let revocations = Revocations::embedded();
    let guard = JwtLayer::new(verifier(), revocations.clone()).otherwise(Rule::required().scope("health"));
    let nowhere = Redis::connect("redis://127.0.0.1:1").expect("a URL");
    let blind = JwtLayer::new(verifier(), Revocations::options().redis(nowhere)).outage(Outage::Closed);
    let mut ports = Vec::new();
    for layer in [guard, blind] {
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_service_status("shop", tonic_health::ServingStatus::Serving).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        ports.push(listener.local_addr().expect("an address"));
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        tokio::spawn(
            tonic::transport::Server::builder().layer(layer).add_service(health).serve_with_incoming(incoming),
        );
    }
    let ask = async |address: SocketAddr, bearer: &str| {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).expect("an endpoint");
        let mut client = HealthClient::new(endpoint.connect().await.expect("a connection"));
        let mut request = tonic::Request::new(HealthCheckRequest { service: "shop".to_owned() });
        if !bearer.is_empty() {
            request.metadata_mut().insert("authorization", bearer.parse().expect("a field"));
        }
        client.check(request).await.map_or_else(|status| status.code(), |_| Code::Ok)
    };
    let good = format!("Bearer {}", signed(r#""sub":"ada","jti":"1","scope":"health""#));
    let poor = format!("Bearer {}", signed(r#""sub":"ada""#));
    assert_eq!(ask(ports[0], "").await, Code::Unauthenticated);
    assert_eq!(ask(ports[0], "Bearer a.b.c").await, Code::Unauthenticated);
    assert_eq!(ask(ports[0], "Bearer a.b.c, d").await, Code::InvalidArgument);
    assert_eq!(ask(ports[0], &poor).await, Code::PermissionDenied);
    assert_eq!(ask(ports[0], &good).await, Code::Ok);
    assert_eq!(ask(ports[1], &good).await, Code::Unavailable, "nobody can say whether it was revoked");
    revocations.revoke(Revocation::subject(ISSUER, "ada")).await.expect("revoked");
    assert_eq!(ask(ports[0], &good).await, Code::Unauthenticated);
}
