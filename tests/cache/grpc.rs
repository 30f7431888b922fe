//! Unary gRPC whose message is in the key, with a real server and client of tonic; and Connect, whose messages are in the query.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use buttress::cache::{Cache, CacheBody, CacheLayer, CacheOptions, ContentKeyLayer, GrpcMethod, Purge, Replay};
use buttress_tests::body::{self, Scripted};
use buttress_tests::{RedisServer, Strict, counting};
use bytes::{Buf as _, BufMut as _};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{BoxFuture, tokio_stream};
use tonic::server::NamedService;
use tonic::transport::{Channel, Endpoint, Server, server::TcpIncoming};
use tonic::{Code, Status};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _};

use crate::bed::{Bed, Reply, STORES, Store, connected, response};

const TTL: Duration = Duration::from_secs(60);

fn method(name: &str) -> GrpcMethod {
    GrpcMethod::new(name).unwrap()
}

async fn cache(store: Store) -> (Cache, Option<RedisServer>) {
    match store {
        Store::Embedded => (CacheOptions::new().embedded(), None),
        Store::Redis => {
            let server = RedisServer::start();
            (CacheOptions::new().capacity(0).redis(connected(&server).await), Some(server))
        }
    }
}

// === a service of tonic ===

/// Messages that are text.
#[derive(Clone, Copy, Default)]
struct Words;

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
struct Shop {
    client: tonic::client::Grpc<Channel>,
    cache: Cache,
    calls: Arc<AtomicUsize>,
    _redis: Option<RedisServer>,
}

impl Shop {
    async fn open(store: Store, content: ContentKeyLayer) -> Self {
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

    async fn ask(&self, name: &'static str, item: &str) -> Result<tonic::Response<String>, Status> {
        self.ask_with(name, item, &[]).await
    }

    async fn ask_with(
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

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

fn is_hit<T>(answer: &tonic::Response<T>) -> bool {
    let status = answer.metadata().get("cache-status").map_or("", |status| status.to_str().unwrap());
    status.split(';').any(|part| part.trim() == "hit")
}

const GET: &str = "/shop.Prices/Get";

#[tokio::test]
async fn the_same_message_is_answered_once_and_another_one_anew() {
    for store in STORES {
        let shop = Shop::open(store, ContentKeyLayer::new().grpc(method(GET).ttl(TTL))).await;
        let first = shop.ask(GET, "tea").await.unwrap();
        assert!(!is_hit(&first));
        let second = shop.ask(GET, "tea").await.unwrap();
        assert!(is_hit(&second), "{store:?}");
        assert_eq!((first.get_ref().as_str(), second.get_ref().as_str()), ("tea 0", "tea 0"), "{store:?}");
        assert_eq!(second.metadata().get("content-type"), first.metadata().get("content-type"));
        assert_eq!(shop.ask(GET, "milk").await.unwrap().get_ref(), "milk 1", "{store:?}");
        assert_eq!(shop.ask(GET, "").await.unwrap().get_ref(), " 2", "{store:?}");
        assert!(is_hit(&shop.ask(GET, "").await.unwrap()), "{store:?}");
    }
}

#[tokio::test]
async fn a_call_that_fails_is_not_stored() {
    for store in STORES {
        let shop = Shop::open(store, ContentKeyLayer::new().grpc(method(GET).ttl(TTL))).await;
        for number in 0..3 {
            let status = shop.ask(GET, "unknown").await.unwrap_err();
            assert_eq!((status.code(), status.message()), (Code::NotFound, &*number.to_string()), "{store:?}");
        }
    }
}

#[tokio::test]
async fn what_was_not_named_passes_untouched() {
    for store in STORES {
        let shop = Shop::open(store, ContentKeyLayer::new().grpc(method(GET).ttl(TTL))).await;
        for number in 0..2 {
            let answer = shop.ask("/shop.Prices/List", "tea").await.unwrap();
            assert_eq!(answer.get_ref(), &format!("tea {number}"), "{store:?}");
            assert!(answer.metadata().get("cache-status").is_none(), "{store:?}");
        }
    }
}

#[tokio::test]
async fn a_stream_passes_even_if_it_was_named() {
    const WATCH: &str = "/shop.Prices/Watch";
    for store in STORES {
        let shop = Shop::open(store, ContentKeyLayer::new().grpc(method(WATCH).ttl(TTL))).await;
        for number in 0..2 {
            let mut client = shop.client.clone();
            client.ready().await.unwrap();
            let request = tonic::Request::new("tea".to_owned());
            let mut answers =
                client.server_streaming(request, WATCH.parse().unwrap(), Words).await.unwrap().into_inner();
            assert_eq!(answers.message().await.unwrap().unwrap(), format!("tea {number}"), "{store:?}");
            assert_eq!(answers.message().await.unwrap().unwrap(), "more", "{store:?}");
            assert_eq!(answers.message().await.unwrap(), None, "{store:?}");
            shop.cache.settled().await;
        }
    }
}

#[tokio::test]
async fn whoever_says_who_asks_is_answered_alone() {
    for store in STORES {
        let shop = Shop::open(store, ContentKeyLayer::new().grpc(method(GET).ttl(TTL))).await;
        for metadata in [("authorization", "Bearer a"), ("cookie", "a=b")] {
            let calls = shop.calls();
            for _ in 0..2 {
                assert!(!is_hit(&shop.ask_with(GET, metadata.0, &[metadata]).await.unwrap()), "{store:?}");
            }
            assert_eq!(shop.calls(), calls + 2, "{store:?} {metadata:?}");
        }
    }
}

#[tokio::test]
async fn of_the_metadata_only_what_is_named_parts_the_answers() {
    for store in STORES {
        let by_tenant = method(GET).ttl(TTL).metadata([HeaderName::from_static("x-tenant")]);
        let shop = Shop::open(store, ContentKeyLayer::new().grpc(by_tenant)).await;
        let ask = |metadata| shop.ask_with(GET, "tea", metadata);
        assert_eq!(ask(&[("x-tenant", "a")]).await.unwrap().get_ref(), "teaa 0", "{store:?}");
        assert_eq!(ask(&[("x-tenant", "b")]).await.unwrap().get_ref(), "teab 1", "{store:?}");
        for noise in [("grpc-timeout", "9S"), ("traceparent", "00-a"), ("x-request-id", "1")] {
            let answer = shop.ask_with(GET, "tea", &[("x-tenant", "a"), noise]).await.unwrap();
            assert!(is_hit(&answer), "{store:?} {noise:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_is_purged_by_its_tag() {
    for store in STORES {
        let shop = Shop::open(store, ContentKeyLayer::new().grpc(method(GET).ttl(TTL))).await;
        let ask = || shop.ask_with(GET, "tea", &[("x-tagged", "yes")]);
        ask().await.unwrap();
        assert!(is_hit(&ask().await.unwrap()), "{store:?}");
        shop.cache.purge(Purge::tag("prices")).await.unwrap();
        assert!(!is_hit(&ask().await.unwrap()), "{store:?}");
    }
}

// === answers that tonic does not give ===

const MESSAGE: &[u8] = b"\0\0\0\0\x03tea";

fn call(body: &'static [u8]) -> Request<Scripted> {
    let request = Request::post(format!("http://shop.example{GET}")).header("content-type", "application/grpc");
    request.body(Scripted::of([body])).unwrap()
}

fn ended(status: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    trailers.insert("x-took", HeaderValue::from_static("12ms"));
    trailers
}

fn answer(fields: &[(&str, &str)], chunks: &[&'static [u8]]) -> Response<Scripted> {
    let mut answer = Response::builder().header("content-type", "application/grpc");
    for (name, value) in fields {
        answer = answer.header(*name, *value);
    }
    answer.body(Scripted::of(chunks.iter().copied()).hides_length()).unwrap()
}

type Cached = BoxCloneSyncService<Request<Scripted>, Response<CacheBody<Scripted>>, Infallible>;

async fn send(service: Cached, cache: Cache, request: Request<Scripted>) -> Reply {
    let (parts, body, trailers) = body::collect(service.oneshot(request).await.unwrap()).await;
    cache.settled().await;
    Reply { status: parts.status, headers: parts.headers, body, trailers }
}

/// How often the service is asked when the same call is made three times; and the last answer.
async fn asked_of(
    store: Store,
    method: GrpcMethod,
    make: impl Fn() -> Request<Scripted>,
    answer: impl Fn() -> Response<Scripted> + Clone + Send + Sync + 'static,
) -> (usize, Reply) {
    let (cache, _redis) = cache(store).await;
    let (origin, calls) = counting(move |_: Request<Replay<Scripted>>| {
        let answer = answer();
        async move { Ok::<_, Infallible>(answer) }
    });
    let layers = ServiceBuilder::new().layer(ContentKeyLayer::new().grpc(method)).layer(CacheLayer::new(cache.clone()));
    let service = Cached::new(layers.layer_fn(Strict::new).service(origin));
    let mut last = None;
    for _ in 0..3 {
        last = Some(send(service.clone(), cache.clone(), make()).await);
    }
    (calls.get(), last.unwrap())
}

#[tokio::test]
async fn a_hit_ends_in_the_trailers_of_the_call() {
    for store in STORES {
        let well = || answer(&[], &[MESSAGE]).map(|body| body.trailers(ended("0")));
        let (calls, hit) = asked_of(store, method(GET).ttl(TTL), || call(MESSAGE), well).await;
        assert_eq!((calls, hit.is_hit()), (1, true), "{store:?}");
        assert_eq!((&hit.body[..], hit.trailers), (MESSAGE, Some(ended("0"))), "{store:?}");
    }
}

#[tokio::test]
async fn only_one_message_that_is_said_to_have_gone_well_is_stored() {
    const HALF: &[u8] = b"\0\0\0\0\x09tea";
    for store in STORES {
        for (name, chunks, status) in [
            ("a failure behind the message", &[MESSAGE][..], Some("13")),
            ("no word of how it ended", &[MESSAGE], None),
            ("two messages", &[MESSAGE, MESSAGE], Some("0")),
            ("no message", &[], Some("0")),
            ("half a message", &[HALF], Some("0")),
        ] {
            for with_length in [false, true] {
                let make = move || {
                    let length = chunks.concat().len().to_string();
                    let fields = [("content-length", length.as_str())];
                    let answer = answer(if with_length { &fields } else { &[] }, chunks);
                    match status {
                        Some(status) => answer.map(|body| body.trailers(ended(status))),
                        None => answer,
                    }
                };
                let (calls, last) = asked_of(store, method(GET).ttl(TTL), || call(MESSAGE), make).await;
                assert_eq!(calls, 3, "{store:?} {name}");
                assert_eq!(last.body, chunks.concat(), "{store:?} {name}");
                assert_eq!(last.trailers, status.map(ended), "{store:?} {name}");
            }
        }
        let early = || answer(&[("grpc-status", "0")], &[MESSAGE]).map(|body| body.trailers(ended("0")));
        assert_eq!(asked_of(store, method(GET).ttl(TTL), || call(MESSAGE), early).await.0, 3, "{store:?}");
    }
}

#[tokio::test]
async fn a_question_that_is_not_one_message_passes() {
    for store in STORES {
        for content in [&b""[..], b"\0\0\0\0", b"\0\0\0\0\x04tea", b"\0\0\0\0\x02tea", b"\0\0\0\0\0\0\0\0\0\0"] {
            let well = || answer(&[], &[MESSAGE]).map(|body| body.trailers(ended("0")));
            let (calls, last) = asked_of(store, method(GET).ttl(TTL), || call(content), well).await;
            assert_eq!((calls, last.header("cache-status")), (3, ""), "{store:?} {content:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_says_itself_for_how_long_it_is_good() {
    for store in STORES {
        for (ttl, fields, stored) in [
            (None, &[][..], false),
            (None, &[("cache-control", "max-age=60")], true),
            (Some(TTL), &[("cache-control", "no-store")], false),
            (Some(TTL), &[("cache-control", "private")], false),
            (Some(TTL), &[("set-cookie", "a=b")], false),
        ] {
            let named = ttl.map_or_else(|| method(GET), |ttl| method(GET).ttl(ttl));
            let make = move || answer(fields, &[MESSAGE]).map(|body| body.trailers(ended("0")));
            let (calls, _) = asked_of(store, named, || call(MESSAGE), make).await;
            assert_eq!(calls == 1, stored, "{store:?} {ttl:?} {fields:?}");
        }
    }
}

/// They wait until it is known that the call went well: then they have its answer, and otherwise each its own.
#[tokio::test]
async fn many_equal_calls_at_once_are_one_if_it_goes_well() {
    for store in STORES {
        for (status, expected) in [("0", 1), ("14", 20)] {
            let (cache, _redis) = cache(store).await;
            let gate = Arc::new(tokio::sync::Semaphore::new(0));
            let (origin, calls) = counting({
                let gate = Arc::clone(&gate);
                move |_: Request<Replay<Scripted>>| {
                    let gate = Arc::clone(&gate);
                    async move {
                        gate.acquire().await.unwrap().forget();
                        Ok::<_, Infallible>(answer(&[], &[MESSAGE]).map(|body| body.trailers(ended(status))))
                    }
                }
            });
            let service = CacheLayer::new(cache.clone()).layer(origin);
            let service = Cached::new(ContentKeyLayer::new().grpc(method(GET).ttl(TTL)).layer(service));
            let asking: Vec<_> = (0..20)
                .map(|_| {
                    let (service, cache) = (service.clone(), cache.clone());
                    tokio::spawn(async move { send(service, cache, call(MESSAGE)).await })
                })
                .collect();
            while calls.get() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            gate.add_permits(1000);
            for one in asking {
                assert_eq!(one.await.unwrap().trailers, Some(ended(status)), "{store:?}");
            }
            assert_eq!(calls.get(), expected, "{store:?} {status}");
        }
    }
}

// === Connect ===

#[tokio::test]
async fn connect_by_get_is_cached_as_any_get() {
    let uri =
        |message: &str, encoding: &str| format!("{GET}?connect=v1&encoding={encoding}&base64=1&message={message}");
    for store in STORES {
        let bed = Bed::new(store, |parts| {
            let fields = [("cache-control", "max-age=60"), ("content-type", "application/proto")];
            response(200, &fields, parts.uri.query().unwrap().to_owned())
        })
        .await;
        for (message, encoding) in [("dGVh", "proto"), ("bWlsaw", "proto"), ("dGVh", "json"), ("", "proto")] {
            let uri = uri(message, encoding);
            let (first, second) = (bed.get(&uri).await, bed.get(&uri).await);
            assert!(!first.is_hit() && second.is_hit(), "{store:?} {uri}");
            assert!(first.body == second.body && uri.ends_with(second.text()));
        }
        assert_eq!(bed.calls.get(), 4, "{store:?}");
    }
}
