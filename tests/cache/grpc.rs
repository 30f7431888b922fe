//! Unary gRPC whose message is in the key, with a real server and client of tonic; and Connect, whose messages are in the query.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use buttress::cache::{Cache, CacheBody, CacheLayer, ContentKeyLayer, GrpcMethod, Purge, Replay};
use buttress_tests::body::{self, Scripted};
use buttress_tests::{Strict, counting};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use tonic::Code;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceBuilder, ServiceExt as _};

use crate::bed::{Bed, Reply, STORES, Store, response};
use crate::shop::{Shop, Words, cache, is_hit};

const TTL: Duration = Duration::from_secs(60);

fn method(name: &str) -> GrpcMethod {
    GrpcMethod::new(name).unwrap()
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

/// A message that came says nothing of how its call will end.
#[tokio::test]
async fn nobody_reads_an_answer_along_that_may_fail_yet() {
    for store in STORES {
        let (cache, _redis) = cache(store).await;
        let (taps, mut tap) = tokio::sync::mpsc::unbounded_channel();
        let (origin, calls) = counting(move |_: Request<Replay<Scripted>>| {
            let (tap, body) = body::slow();
            taps.send(tap).unwrap();
            let answer = Response::builder().header("content-type", "application/grpc");
            let answer = answer.header("content-length", MESSAGE.len()).body(body).unwrap();
            async move { Ok::<_, Infallible>(answer) }
        });
        let layers = ServiceBuilder::new().layer(ContentKeyLayer::new().grpc(method(GET).ttl(TTL)));
        let service = layers.layer(CacheLayer::new(cache)).service(origin);
        let mut first = service.clone().oneshot(call(MESSAGE)).await.unwrap().into_body();
        let its = tap.recv().await.unwrap();
        assert!(its.data(MESSAGE));
        assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap(), MESSAGE);
        let mut second = tokio::spawn(service.oneshot(call(MESSAGE)));
        let early = tokio::time::timeout(Duration::from_millis(300), &mut second).await;
        assert!(early.is_err(), "{store:?}");
        assert!(its.trailers(ended("14")));
        drop(its);
        assert_eq!(first.frame().await.unwrap().unwrap().into_trailers().unwrap(), ended("14"));
        assert!(first.frame().await.is_none());
        second.await.unwrap().unwrap();
        assert_eq!(calls.get(), 2, "{store:?}");
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
