//! QUERY (RFC 10008): a GET whose question stands in its content.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use buttress::cache::{Cache, CacheBody, CacheLayer, CacheOptions, ContentKeyLayer, Key, Purge, Replay};
use buttress::core::ManualClock;
use buttress_tests::body::{self, Scripted, slow};
use buttress_tests::{RedisServer, Strict};
use bytes::Bytes;
use http::header::ETAG;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;
use tokio::sync::Semaphore;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

use crate::bed::{Reply, STORES, Store, patient, response};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

type Asking = BoxBody<Bytes, body::Broken>;
type Asked = Request<Asking>;
type Answer = Response<CacheBody<Scripted>>;

/// A service that answers questions, cached with what they say.
struct Library {
    service: Mutex<BoxCloneSyncService<Asked, Answer, Infallible>>,
    cache: Cache,
    hand: ManualClock,
    /// The requests as the service saw them, with what it read of their bodies.
    seen: Arc<Mutex<Vec<(Method, String)>>>,
    /// What each question takes a permit of before it is answered.
    gate: Arc<Semaphore>,
    /// How many questions have come to it.
    came: Arc<AtomicUsize>,
    _redis: Option<RedisServer>,
}

impl Library {
    async fn new(store: Store) -> Self {
        Self::with(store, ContentKeyLayer::new(), |layer| layer, &[FRESH]).await
    }

    async fn with(
        store: Store,
        content: ContentKeyLayer,
        settings: impl FnOnce(CacheLayer) -> CacheLayer,
        fields: &'static [(&'static str, &'static str)],
    ) -> Self {
        let hand = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let options = CacheOptions::new().clock(hand.clock());
        let (cache, redis) = match store {
            Store::Embedded => (options.embedded(), None),
            Store::Redis => {
                let server = RedisServer::start();
                (options.capacity(0).redis(patient(&server).await), Some(server))
            }
        };
        let (seen, gate) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)));
        let came = Arc::new(AtomicUsize::new(0));
        let origin = service_fn({
            let (seen, gate, made) = (Arc::clone(&seen), Arc::clone(&gate), Arc::new(AtomicUsize::new(0)));
            let came = Arc::clone(&came);
            move |request: Request<Replay<Asking>>| {
                let (seen, gate, made) = (Arc::clone(&seen), Arc::clone(&gate), Arc::clone(&made));
                let came = Arc::clone(&came);
                async move {
                    let (parts, body) = request.into_parts();
                    if parts.method == Method::QUERY {
                        came.fetch_add(1, Ordering::SeqCst);
                        gate.acquire().await.unwrap().forget();
                    }
                    let (hint, question) = (body.size_hint().exact(), body.collect().await);
                    let Ok(question) = question.map(|question| question.to_bytes()) else {
                        seen.lock().unwrap().push((parts.method, "broken".to_owned()));
                        return Ok::<_, Infallible>(response(200, fields, "half a question"));
                    };
                    assert!(hint.is_none_or(|hint| hint == question.len() as u64));
                    let question = String::from_utf8(question.to_vec()).unwrap();
                    let number = made.fetch_add(1, Ordering::SeqCst);
                    let answer = format!("{} {question} {number}", parts.method);
                    seen.lock().unwrap().push((parts.method, question));
                    Ok(response(200, fields, answer))
                }
            }
        });
        let cached = settings(CacheLayer::new(cache.clone()));
        let service = ServiceBuilder::new().layer(content).layer(cached).layer_fn(Strict::new).service(origin);
        Self { service: Mutex::new(BoxCloneSyncService::new(service)), cache, hand, seen, gate, came, _redis: redis }
    }

    async fn send(&self, request: Asked) -> Reply {
        let service = self.service.lock().unwrap().clone();
        let (parts, body, trailers) = body::collect(service.oneshot(request).await.unwrap()).await;
        self.cache.settled().await;
        Reply { status: parts.status, headers: parts.headers, body, trailers }
    }

    async fn query(&self, question: &'static str) -> Reply {
        self.send(query("/books", &[], Scripted::of([question]))).await
    }

    /// Holds questions back at the service.
    fn close(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Waits until so many questions have come to the service.
    async fn came(&self, count: usize) {
        while self.came.load(Ordering::SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

fn asked(method: &str, uri: &str, fields: &[(&str, &str)], body: Asking) -> Asked {
    let mut request = Request::builder().method(method).uri(uri).header("host", "example.com");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}

fn query(uri: &str, fields: &[(&str, &str)], body: Scripted) -> Asked {
    asked("QUERY", uri, fields, BoxBody::new(body))
}

#[tokio::test]
async fn the_same_question_is_answered_once_and_another_one_anew() {
    for store in STORES {
        let library = Library::new(store).await;
        let first = library.query("cats").await;
        assert_eq!(first.header("cache-status"), "Buttress; fwd=uri-miss; ttl=60; stored", "{store:?}");
        let second = library.query("cats").await;
        assert!(second.is_hit() && second.body == first.body, "{store:?}");
        // However it comes.
        let in_pieces = Scripted::of(["c", "", "at", "s"]).hides_length();
        assert!(library.send(query("/books", &[], in_pieces)).await.is_hit(), "{store:?}");
        for (uri, fields, question) in [
            ("/books", &[][..], "dogs"),
            ("/books", &[], ""),
            ("/books", &[("content-type", "text/plain")], "cats"),
            ("/books", &[("content-type", "application/json")], "cats"),
            ("/books", &[("content-encoding", "identity")], "cats"),
            ("/books", &[("content-language", "en")], "cats"),
            ("/books?", &[], "cats"),
            ("/films", &[], "cats"),
        ] {
            let ask = || library.send(query(uri, fields, Scripted::of([question])));
            let (first, second) = (ask().await, ask().await);
            assert!(!first.is_hit() && second.is_hit(), "{store:?} {uri} {fields:?} {question:?}");
            assert_eq!(first.body, second.body);
        }
        assert_eq!(library.calls(), 9, "{store:?}");
    }
}

#[tokio::test]
async fn a_get_and_a_query_of_one_uri_share_nothing() {
    for store in STORES {
        let library = Library::new(store).await;
        let none = || BoxBody::new(Scripted::default());
        assert_eq!(library.send(asked("GET", "/books", &[], none())).await.text(), "GET  0");
        assert_eq!(library.query("").await.text(), "QUERY  1");
        assert_eq!(library.send(asked("GET", "/books", &[], none())).await.text(), "GET  0");
        assert_eq!(library.query("").await.text(), "QUERY  1");
        library.query("cats").await;
        let head = library.send(asked("HEAD", "/books", &[], none())).await;
        assert!(head.is_hit() && head.header("content-length") == "6", "{store:?}: that of the GET");
    }
}

#[tokio::test]
async fn a_custom_key_is_extended_by_the_content() {
    for store in STORES {
        let by_host = |layer: CacheLayer| {
            layer.key(|parts| {
                let mut key = Key::empty();
                key.push(parts.headers.get("host").map_or(&b""[..], |host| host.as_bytes()));
                key
            })
        };
        let library = Library::with(store, ContentKeyLayer::new(), by_host, &[FRESH]).await;
        let (one, other) = (library.query("cats").await, library.query("dogs").await);
        assert_ne!(one.body, other.body);
        let elsewhere = library.send(query("/films", &[], Scripted::of(["cats"]))).await;
        assert!(elsewhere.is_hit() && elsewhere.body == one.body, "{store:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_whole_passes_whole_and_is_not_stored() {
    for store in STORES {
        let small = ContentKeyLayer::new().max_content(4);
        let library = Library::with(store, small, |layer| layer, &[FRESH]).await;
        fn with_trailers() -> Scripted {
            let trailers = HeaderMap::from_iter([(ETAG, HeaderValue::from_static("\"a\""))]);
            Scripted::of(["cats"]).trailers(trailers)
        }
        for (number, body) in
            [|| Scripted::of(["puppies"]), || Scripted::of(["pup", "pies"]).hides_length(), with_trailers]
                .into_iter()
                .enumerate()
        {
            for _ in 0..2 {
                let reply = library.send(query("/books", &[], body())).await;
                assert_eq!(reply.header("cache-status"), "Buttress; fwd=method", "{store:?} {number}");
                let expected = if number == 2 { "QUERY cats" } else { "QUERY puppies" };
                assert!(reply.text().starts_with(expected), "{store:?} {}", reply.text());
            }
        }
        let broken = || query("/books", &[], Scripted::of(["cats"]).breaks());
        for _ in 0..2 {
            assert_eq!(library.send(broken()).await.text(), "half a question", "{store:?}");
        }
        assert_eq!(library.calls(), 8, "{store:?}");
        assert!(!library.query("cats").await.is_hit(), "{store:?}: nothing of it was kept");
    }
}

#[tokio::test]
async fn without_the_layer_or_with_it_switched_off_a_query_passes() {
    for store in STORES {
        let off = ContentKeyLayer::new().query(false);
        let library = Library::with(store, off, |layer| layer, &[FRESH]).await;
        for _ in 0..2 {
            assert_eq!(library.query("cats").await.header("cache-status"), "Buttress; fwd=method", "{store:?}");
        }
    }
}

#[tokio::test]
async fn a_client_that_says_no_store_is_not_stored_for() {
    for store in STORES {
        let library = Library::new(store).await;
        for fields in [[("cache-control", "no-store")], [("authorization", "Bearer a")]] {
            for _ in 0..2 {
                let reply = library.send(query("/books", &fields, Scripted::of(["cats"]))).await;
                assert!(!reply.is_hit(), "{store:?} {fields:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_change_of_the_uri_forgets_the_answers_to_all_its_questions() {
    for store in STORES {
        for (method, forgets) in [("POST", true), ("DELETE", true), ("PATCH", true), ("OPTIONS", false)] {
            let library = Library::new(store).await;
            let films = || query("/films", &[], Scripted::of(["cats"]));
            library.query("cats").await;
            library.query("dogs").await;
            library.send(films()).await;
            library.send(asked(method, "/books", &[], BoxBody::new(Scripted::of(["new"])))).await;
            for question in ["cats", "dogs"] {
                assert_eq!(library.query(question).await.is_hit(), !forgets, "{store:?} {method} {question}");
            }
            assert!(library.send(films()).await.is_hit(), "{store:?} {method}");
        }
    }
}

#[tokio::test]
async fn a_purge_of_the_uri_its_path_or_its_host_takes_the_answers_along() {
    for store in STORES {
        let uri: http::Uri = "http://example.com/books".parse().unwrap();
        for (name, purge) in [
            ("uri", Purge::uri(&uri).unwrap()),
            ("soft", Purge::uri(&uri).unwrap().soft()),
            ("prefix", Purge::prefix(&uri).unwrap()),
            ("host", Purge::host("example.com").unwrap()),
        ] {
            let library = Library::new(store).await;
            library.query("cats").await;
            assert!(library.query("cats").await.is_hit());
            library.cache.purge(purge).await.unwrap();
            assert!(!library.query("cats").await.is_hit(), "{store:?} {name}");
            assert!(library.query("cats").await.is_hit(), "{store:?} {name}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_was_asked_for_before_a_change_is_not_stored_after_it() {
    for store in STORES {
        let library = Arc::new(Library::new(store).await);
        library.close();
        let asking = tokio::spawn({
            let library = Arc::clone(&library);
            async move { library.query("cats").await }
        });
        library.came(1).await;
        library.send(asked("POST", "/books", &[], BoxBody::new(Scripted::of(["new"])))).await;
        library.gate.add_permits(1000);
        asking.await.unwrap();
        assert!(!library.query("cats").await.is_hit(), "{store:?}");
        assert!(library.query("cats").await.is_hit(), "{store:?}");
    }
}

#[tokio::test]
async fn a_question_is_conditional_and_ranged_as_a_get_is() {
    for store in STORES {
        let fields = &[FRESH, ("etag", "\"a\"")];
        let library = Library::with(store, ContentKeyLayer::new(), |layer| layer, fields).await;
        library.query("cats").await;
        let ask = |field| library.send(query("/books", &[field], Scripted::of(["cats"])));
        let same = ask(("if-none-match", "\"a\"")).await;
        assert!(same.status == 304 && same.is_hit() && same.body.is_empty(), "{store:?}");
        let other = ask(("if-none-match", "\"b\"")).await;
        assert!(other.status == 200 && other.is_hit(), "{store:?}");
        let part = ask(("range", "bytes=0-4")).await;
        assert_eq!((part.status.as_u16(), part.text()), (206, "QUERY"), "{store:?}");
        assert_eq!(library.calls(), 1, "{store:?}");
    }
}

#[tokio::test]
async fn a_refresh_in_the_background_asks_the_same_question_again() {
    for store in STORES {
        let fields = &[("cache-control", "max-age=60, stale-while-revalidate=60")];
        let library = Library::with(store, ContentKeyLayer::new(), |layer| layer, fields).await;
        library.query("cats").await;
        library.hand.advance(Duration::from_secs(70));
        assert_eq!(library.query("cats").await.text(), "QUERY cats 0", "{store:?}: stale, and at once");
        for _ in 0..500 {
            if library.calls() == 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let seen = library.seen.lock().unwrap().clone();
        assert_eq!(seen, vec![(Method::QUERY, "cats".to_owned()); 2], "{store:?}");
        for _ in 0..500 {
            library.cache.settled().await;
            if library.query("cats").await.text() == "QUERY cats 1" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(library.query("cats").await.text(), "QUERY cats 1", "{store:?}");
    }
}

#[tokio::test]
async fn a_thousand_equal_questions_at_once_are_one_call() {
    for store in STORES {
        let library = Arc::new(Library::new(store).await);
        library.close();
        let asking: Vec<_> = (0..1000)
            .map(|_| {
                let library = Arc::clone(&library);
                tokio::spawn(async move { library.query("cats").await.text().to_owned() })
            })
            .collect();
        library.came(1).await;
        library.gate.add_permits(2000);
        for one in asking {
            assert_eq!(one.await.unwrap(), "QUERY cats 0", "{store:?}");
        }
        assert_eq!(library.calls(), 1, "{store:?}");
    }
}

#[tokio::test]
async fn a_question_that_comes_slowly_keeps_no_other_waiting() {
    for store in STORES {
        let library = Arc::new(Library::new(store).await);
        let (tap, body) = slow();
        let asking = tokio::spawn({
            let library = Arc::clone(&library);
            async move { library.send(asked("QUERY", "/books", &[], BoxBody::new(body))).await }
        });
        assert!(tap.data("ca"));
        assert_eq!(library.query("cats").await.text(), "QUERY cats 0", "{store:?}");
        assert!(tap.data("ts"));
        drop(tap);
        assert!(asking.await.unwrap().is_hit(), "{store:?}: its question was asked meanwhile");
    }
}
