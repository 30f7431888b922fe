//! Compression at rest: Redis holds less, and nobody else can tell.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use buttress::cache::{Cache, CacheBody, CacheLayer, CacheOptions};
use buttress::core::ManualClock;
use buttress_tests::body::{self, Scripted};
use buttress_tests::{Calls, Counters, RedisServer, counting};
use http::{Method, Request, Response};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Body, patient, request, response};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const HTML: (&str, &str) = ("content-type", "text/html");
const RECORDS: &str = "buttress:cache:v1:{??????????????????????}";

/// A process with or without the setting, that keeps nothing of its own.
struct Process {
    service: BoxCloneSyncService<Request<Body>, Response<CacheBody<Scripted>>, Infallible>,
    cache: Cache,
    calls: Calls,
}

impl Process {
    async fn new(
        server: &RedisServer,
        hand: &ManualClock,
        compress: bool,
        answer: impl Fn(&Request<Body>) -> Response<Scripted> + Clone + Send + Sync + 'static,
    ) -> Self {
        let options = CacheOptions::new().clock(hand.clock()).capacity(0).compress(compress);
        let cache = options.redis(patient(server).await);
        let (origin, calls) = counting(move |request: Request<Body>| {
            let response = answer(&request);
            async move { Ok::<_, Infallible>(response) }
        });
        let service = BoxCloneSyncService::new(CacheLayer::new(cache.clone()).early_refresh(0.0).layer(origin));
        Self { service, cache, calls }
    }

    /// The body, and what is said of it.
    async fn get(&self, uri: &str) -> (String, String) {
        let response = self.service.clone().oneshot(request(Method::GET, uri, &[])).await.unwrap();
        let (parts, body, _) = body::collect(response).await;
        self.cache.settled().await;
        let status = parts.headers.get("cache-status").map_or("", |status| status.to_str().unwrap());
        (String::from_utf8(body.to_vec()).unwrap(), status.to_owned())
    }
}

fn hand() -> ManualClock {
    ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
}

fn page() -> String {
    (0..500).map(|number| format!("<li>line {number} of a page</li>\n")).collect()
}

fn record(server: &RedisServer) -> String {
    let mut keys = server.cli(&["KEYS", RECORDS]).array().iter().map(|key| key.text()).collect::<Vec<_>>();
    assert_eq!(keys.len(), 1, "{keys:?}");
    keys.remove(0)
}

fn number(server: &RedisServer, command: &[&str]) -> i64 {
    server.cli(command).int()
}

#[tokio::test]
async fn a_compressed_page_takes_less_of_redis_and_reads_the_same_with_the_setting_and_without() {
    for writer in [true, false] {
        let (server, hand) = (RedisServer::start(), hand());
        let answer = |_: &Request<Body>| response(200, &[FRESH, HTML, ("etag", "\"1\"")], page());
        let one = Process::new(&server, &hand, writer, answer).await;
        let other = Process::new(&server, &hand, !writer, answer).await;
        assert_eq!(one.get("/x").await.0, page());
        let length = number(&server, &["STRLEN", &record(&server)]);
        let memory = number(&server, &["MEMORY", "USAGE", &record(&server)]);
        let plain = page().len() as i64;
        assert_eq!((length < plain / 2, memory < plain / 2), (writer, writer), "{length}, {memory}");
        for process in [&one, &other, &one] {
            let (body, status) = process.get("/x").await;
            assert!(status.contains("; hit"), "{status}");
            assert_eq!(body, page());
        }
        assert_eq!((one.calls.get(), other.calls.get()), (1, 0));
    }
}

#[tokio::test]
async fn what_is_small_coded_or_no_text_stays_as_it_is() {
    let long = page().into_bytes();
    for (fields, body) in [
        (vec![FRESH, HTML], b"<p>short</p>".to_vec()),
        (vec![FRESH, HTML, ("content-encoding", "br")], long.clone()),
        (vec![FRESH, ("content-type", "image/png")], long.clone()),
        (vec![FRESH], long),
    ] {
        let (server, hand) = (RedisServer::start(), hand());
        let length = body.len() as i64;
        let answer = move |_: &Request<Body>| response(200, &fields, body.clone());
        let process = Process::new(&server, &hand, true, answer).await;
        process.get("/x").await;
        assert!(number(&server, &["STRLEN", &record(&server)]) > length);
        assert!(process.get("/x").await.1.contains("; hit"));
    }
}

#[tokio::test]
async fn a_compressed_entry_is_validated_and_refreshed_like_any_other() {
    for reader in [true, false] {
        let (server, hand) = (RedisServer::start(), hand());
        let validated = Arc::new(AtomicUsize::new(0));
        let answer = {
            let validated = Arc::clone(&validated);
            move |request: &Request<Body>| {
                let fields = [("cache-control", "max-age=10, stale-while-revalidate=20"), HTML, ("etag", "\"1\"")];
                if request.headers().contains_key("if-none-match") {
                    validated.fetch_add(1, Ordering::SeqCst);
                    return response(304, &fields, "");
                }
                response(200, &fields, page())
            }
        };
        let writer = Process::new(&server, &hand, true, answer.clone()).await;
        let reader = Process::new(&server, &hand, reader, answer).await;
        writer.get("/x").await;

        hand.advance(Duration::from_secs(60)); // past what may be served stale: the reader leads, knowing the sum
        let (body, status) = reader.get("/x").await;
        assert_eq!((body, validated.load(Ordering::SeqCst)), (page(), 1), "{status}");
        assert!(status.contains("fwd-status=304"), "{status}");
        assert!(writer.get("/x").await.1.contains("; hit"), "it took the place of the stale one");

        hand.advance(Duration::from_secs(15)); // stale, and refreshed behind the answer
        let (body, status) = writer.get("/x").await;
        assert_eq!(body, page());
        assert!(status.contains("; hit; ttl=-5"), "{status}");
        for _ in 0..500 {
            if validated.load(Ordering::SeqCst) == 2 && reader.get("/x").await.1.contains("; hit; ttl=10") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(reader.get("/x").await.1.contains("; hit; ttl=10"));
        assert_eq!((writer.calls.get() + reader.calls.get(), validated.load(Ordering::SeqCst)), (3, 2));
    }
}

#[tokio::test]
async fn bodies_in_parts_stay_as_they_are() {
    let (server, hand) = (RedisServer::start(), hand());
    let long = page().repeat(80);
    assert!(long.len() > 1 << 20);
    let body = long.clone();
    let process = Process::new(&server, &hand, true, move |_| response(200, &[FRESH, HTML], body.clone())).await;
    process.get("/x").await;
    let (body, status) = process.get("/x").await;
    assert!(status.contains("; hit"), "{status}");
    assert!(body == long);
}

#[tokio::test]
async fn a_damaged_packed_record_is_a_miss_and_counted() {
    let (server, hand) = (RedisServer::start(), hand());
    let process = Process::new(&server, &hand, true, |_| response(200, &[FRESH, HTML], page())).await;
    let counters = Counters::install();
    // Behind the seal: the kind, the lengths, the compressed rest.
    for (calls, offset) in [(1, 26), (2, 64), (3, 110), (4, 200)] {
        let before = counters.get("buttress_cache_bad_records_total");
        process.get("/x").await;
        assert!(calls == 1 || counters.get("buttress_cache_bad_records_total") > before);
        assert_eq!(process.calls.get(), calls, "the damage was noticed");
        let key = record(&server);
        assert!(server.cli(&["SETRANGE", &key, &offset.to_string(), "garbage!"]).int() > 0);
    }
    assert_eq!(process.get("/x").await.0, page());
}
