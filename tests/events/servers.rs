//! Requests over sockets, with real servers and clients.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use buttress::events::{Events, EventsLayer, Select};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;

use crate::requests::report;

/// Waits until so many requests have ended: the server may have to notice.
async fn ended(events: &Events, select: &Select, count: u64) {
    let waits = async {
        while report(events).await.count(select) < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waits).await.expect("they end");
    assert_eq!(report(events).await.count(select), count);
}

#[tokio::test]
async fn axum_and_a_client_that_leaves() {
    let events = Events::embedded();
    let endless = || async {
        let chunks = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from("chunk")), ()))
        });
        Body::from_stream(chunks)
    };
    let hello = || async { ([("content-type", "text/plain")], "hello") };
    let app = Router::new()
        .route("/hello", get(hello))
        .route("/endless", get(endless))
        .layer(EventsLayer::new(events.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });

    for http2 in [false, true] {
        let client = Client::builder(TokioExecutor::new()).http2_only(http2).build_http::<Empty<Bytes>>();
        for method in [Method::GET, Method::HEAD, Method::GET] {
            let request = Request::builder().method(method).uri(format!("http://{address}/hello"));
            let response = client.request(request.body(Empty::new()).unwrap()).await.unwrap();
            drop(response.into_body().collect().await.unwrap());
        }
        let mut response = client.get(format!("http://{address}/endless").parse().unwrap()).await.unwrap();
        assert!(response.body_mut().frame().await.is_some());
        drop((response, client));
    }
    ended(&events, &Select::requests().route("/hello").status("2xx"), 6).await;
    ended(&events, &Select::requests().route("/endless").status("cancelled"), 2).await;
    assert_eq!(report(&events).await.count(&Select::requests()), 8);
}

#[tokio::test]
async fn tonic_and_calls_that_fail() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;

    let events = Events::embedded();
    let (reporter, health) = tonic_health::server::health_reporter();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let layer =
        EventsLayer::new(events.clone()).prefixes(["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"]);
    tokio::spawn(tonic::transport::Server::builder().layer(layer).add_service(health).serve_with_incoming(incoming));
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut client = HealthClient::new(endpoint.connect().await.unwrap());
    let ask = || HealthCheckRequest { service: "shop".to_owned() };

    assert_eq!(client.check(ask()).await.unwrap_err().code(), tonic::Code::NotFound);
    reporter.set_service_status("shop", tonic_health::ServingStatus::Serving).await;
    client.check(ask()).await.unwrap();
    let mut watch = client.watch(ask()).await.unwrap().into_inner();
    assert!(watch.message().await.unwrap().is_some());
    drop(watch);

    let check = Select::requests().route("/grpc.health.v1.Health/Check");
    ended(&events, &check.clone().status("4xx"), 1).await;
    ended(&events, &check.status("2xx"), 1).await;
    ended(&events, &Select::requests().route("/grpc.health.v1.Health/Watch").status("cancelled"), 1).await;
}
