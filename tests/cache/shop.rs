//! A unary service of tonic behind a cache, on a socket, with a client of tonic.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use buttress::cache::{Cache, CacheLayer, CacheOptions, ContentKeyLayer};
use buttress_tests::RedisServer;
use bytes::{Buf as _, BufMut as _};
use http::{Request, Response};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{BoxFuture, tokio_stream};
use tonic::server::NamedService;
use tonic::transport::{Channel, Endpoint, Server, server::TcpIncoming};
use tower::{Service, ServiceBuilder};

use crate::bed::{Store, patient};

/// Messages that are text.
#[derive(Clone, Copy, Default)]
pub(crate) struct Words;

impl Codec for Words {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Words {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, item: String, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put_slice(item.as_bytes());
        Ok(())
    }
}

impl Decoder for Words {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let mut bytes = vec![0; from.remaining()];
        from.copy_to_slice(&mut bytes);
        String::from_utf8(bytes).map(Some).map_err(|_| Status::invalid_argument("not text"))
    }
}

/// Answers each call with its own number.
#[derive(Clone, Default)]
struct Prices(Arc<AtomicUsize>);

impl NamedService for Prices {
    const NAME: &'static str = "shop.Prices";
}

impl Prices {
    fn answer(&self, request: &tonic::Request<String>) -> Result<String, Status> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        let tenant = request.metadata().get("x-tenant").map_or("", |tenant| tenant.to_str().unwrap());
        match request.get_ref().as_str() {
            "unknown" => Err(Status::not_found(number.to_string())),
            item => Ok(format!("{item}{tenant} {number}")),
        }
    }
}

impl Service<Request<tonic::body::Body>> for Prices {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let prices = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Words);
            let one = |request: tonic::Request<String>| {
                let answer = prices.answer(&request).map(|answer| {
                    let mut answer = tonic::Response::new(answer);
                    if request.metadata().contains_key("x-tagged") {
                        answer.metadata_mut().insert("surrogate-key", "prices".parse().unwrap());
                    }
                    answer
                });
                std::future::ready(answer)
            };
            let several = |request: tonic::Request<String>| {
                let answers = [prices.answer(&request), Ok("more".to_owned())];
                std::future::ready(Ok(tonic::Response::new(tokio_stream::iter(answers))))
            };
            Ok(match request.uri().path() {
                "/shop.Prices/Watch" => grpc.server_streaming(Tower(several), request).await,
                _ => grpc.unary(Tower(one), request).await,
            })
        })
    }
}

/// A function as the kind of service that tonic calls.
#[derive(Clone)]
struct Tower<F>(F);

impl<F, Answer, T> Service<tonic::Request<String>> for Tower<F>
where
    F: FnMut(tonic::Request<String>) -> Answer,
    Answer: Future<Output = Result<tonic::Response<T>, Status>>,
{
    type Response = tonic::Response<T>;
    type Error = Status;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<String>) -> Answer {
        (self.0)(request)
    }
}

/// The service behind a cache, and a client of it.
pub(crate) struct Shop {
    pub(crate) client: tonic::client::Grpc<Channel>,
    pub(crate) cache: Cache,
    calls: Arc<AtomicUsize>,
    _redis: Option<RedisServer>,
}

impl Shop {
    pub(crate) async fn open(store: Store, content: ContentKeyLayer) -> Self {
        let (cache, redis) = cache(store).await;
        let prices = Prices::default();
        let calls = Arc::clone(&prices.0);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let layers = ServiceBuilder::new().layer(content).layer(CacheLayer::new(cache.clone())).into_inner();
        let server = Server::builder().layer(layers).add_service(prices);
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self { client: tonic::client::Grpc::new(channel), cache, calls, _redis: redis }
    }

    pub(crate) async fn ask(&self, name: &'static str, item: &str) -> Result<tonic::Response<String>, Status> {
        self.ask_with(name, item, &[]).await
    }

    pub(crate) async fn ask_with(
        &self,
        name: &'static str,
        item: &str,
        metadata: &[(&'static str, &'static str)],
    ) -> Result<tonic::Response<String>, Status> {
        let mut request = tonic::Request::new(item.to_owned());
        for (key, value) in metadata {
            request.metadata_mut().insert(*key, value.parse().unwrap());
        }
        let mut client = self.client.clone();
        client.ready().await.unwrap();
        let answer = client.unary(request, name.parse().unwrap(), Words).await;
        self.cache.settled().await;
        answer
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

pub(crate) fn is_hit<T>(answer: &tonic::Response<T>) -> bool {
    let status = answer.metadata().get("cache-status").map_or("", |status| status.to_str().unwrap());
    status.split(';').any(|part| part.trim() == "hit")
}

/// An empty cache by the real clock, and its Redis.
pub(crate) async fn cache(store: Store) -> (Cache, Option<RedisServer>) {
    match store {
        Store::Embedded => (CacheOptions::new().embedded(), None),
        Store::Redis => {
            let server = RedisServer::start();
            (CacheOptions::new().capacity(0).redis(patient(&server).await), Some(server))
        }
    }
}
