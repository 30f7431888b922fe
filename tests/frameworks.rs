//! The layers under axum, hyper and tonic, over sockets, with real clients.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use buttress::assets::AssetsLayer;
use buttress::cache::{Cache, CacheLayer};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{Layer as _, service_fn};

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Asks twice over a real connection; whether the second answer is the first one, out of the store.
async fn second_is_a_hit(address: SocketAddr) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let mut bodies = Vec::new();
    for hit in [false, true] {
        let response = client.get(format!("http://{address}/x").parse().unwrap()).await.unwrap();
        let status = response.headers()["cache-status"].to_str().unwrap().to_owned();
        assert_eq!(status.contains("; hit"), hit, "{status}");
        bodies.push(response.into_body().collect().await.unwrap().to_bytes());
    }
    assert_eq!(bodies[0], bodies[1]);
}

#[tokio::test]
async fn axum() {
    let made = Arc::new(AtomicUsize::new(0));
    let handler = move || {
        let number = made.fetch_add(1, Ordering::SeqCst);
        async move { ([("cache-control", "max-age=60")], number.to_string()) }
    };
    let app = Router::new().route("/x", get(handler)).layer(AssetsLayer::new());
    let app = app.layer(CacheLayer::new(Cache::embedded()));
    let (listener, address) = listener().await;
    tokio::spawn(async move { axum::serve(listener, app).await });
    second_is_a_hit(address).await;
}

#[tokio::test]
async fn hyper() {
    let made = Arc::new(AtomicUsize::new(0));
    let service = service_fn(move |_: Request<hyper::body::Incoming>| {
        let number = made.fetch_add(1, Ordering::SeqCst).to_string();
        let response = Response::builder().header("cache-control", "max-age=60").body(Full::new(Bytes::from(number)));
        async move { Ok::<_, Infallible>(response.unwrap()) }
    });
    let service = CacheLayer::new(Cache::embedded()).layer(AssetsLayer::new().layer(service));
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                drop(server.serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    second_is_a_hit(address).await;
}

#[tokio::test]
async fn tonic() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;

    let (reporter, health) = tonic_health::server::health_reporter();
    let (listener, address) = listener().await;
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = tonic::transport::Server::builder()
        .layer(CacheLayer::new(Cache::embedded()))
        .layer(AssetsLayer::new())
        .add_service(health);
    tokio::spawn(server.serve_with_incoming(incoming));
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut client = HealthClient::new(endpoint.connect().await.unwrap());
    let ask = || HealthCheckRequest { service: "shop".to_owned() };
    // An error travels in the headers, an answer ends in trailers, a stream goes on: all pass, and nothing is kept.
    assert_eq!(client.check(ask()).await.unwrap_err().code(), tonic::Code::NotFound);
    reporter.set_service_status("shop", tonic_health::ServingStatus::Serving).await;
    assert_eq!(client.check(ask()).await.unwrap().into_inner().status, 1);
    let mut watch = client.watch(ask()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
    reporter.set_service_status("shop", tonic_health::ServingStatus::NotServing).await;
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2);
    assert_eq!(client.check(ask()).await.unwrap().into_inner().status, 2, "not remembered");
}
