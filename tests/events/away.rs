//! Redis suffers while requests run: they take as long as before, and when it is back all of them are counted.

use std::convert::Infallible;
use std::time::Duration;

use buttress::events::{Events, EventsLayer, Select, Window};
use buttress_tests::load::{percentile, resident_bytes, turn};
use buttress_tests::{Load, RedisServer, RedisServerBuilder, Sample};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::task::block_in_place;
use tokio::time::sleep;
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{self, key_of, options, reader, redis_seconds, until};

const LONG: Duration = Duration::from_secs(60);
/// So long, a few times, it is measured how long requests take.
const ROUND: Duration = Duration::from_millis(400);
const ROUNDS: usize = 5;

fn events(server: &RedisServer) -> Events {
    options().flush_each(Duration::from_millis(20)).redis(bed::line(&server.url()))
}

/// One request through the layer.
async fn ask(layer: &EventsLayer, number: u64) {
    let service = layer.layer(tower::service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello"))))
    }));
    let request = Request::get(format!("/{}", number % 10)).body(()).expect("a request");
    let response = service.oneshot(request).await.expect("it answers");
    response.into_body().collect().await.expect("a body");
}

/// Requests at work.
fn load(events: &Events) -> Load<()> {
    let layer = EventsLayer::new(events.clone()).route(|parts| Some(parts.uri.path().into()));
    Load::start(8, Duration::from_millis(1), move |number| {
        let layer = layer.clone();
        async move { ask(&layer, number).await }
    })
}

/// How long all but a hundredth of the requests took, in the middle one of some rounds; and how many there were.
async fn measure(events: &Events) -> (Duration, u64) {
    let (mut took, mut count) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        let load = load(events);
        sleep(ROUND).await;
        let samples = load.end().await;
        count += samples.len() as u64;
        took.push(percentile(samples.iter().map(|Sample { took, .. }| *took).collect(), 99));
    }
    took.sort();
    (took[ROUNDS / 2], count)
}

/// Requests before, and while something is done to Redis; when it is well again all are there, or all that came after if it forgets.
async fn suffer(
    builder: RedisServerBuilder,
    hurt: impl AsyncFn(&RedisServer),
    heal: impl AsyncFn(&RedisServer),
    forgets: bool,
) {
    let _turn = turn().await;
    let server = builder.start();
    let events = events(&server);
    until("it is connected", async || events.flush().await.is_ok()).await;
    let (well, before) = measure(&events).await;
    events.drain(LONG).await.expect("it is well");
    hurt(&server).await;
    let (ill, meanwhile) = measure(&events).await;
    heal(&server).await;
    events.drain(LONG).await.expect("it is well again");
    println!("p99 {well:.1?} before, {ill:.1?} meanwhile; {before} requests before, {meanwhile} meanwhile");
    let most = well * 5 + Duration::from_millis(10); // whoever waited for Redis would wait for seconds
    assert!(ill <= most, "{ill:?}, where it was {well:?} before");
    let expected = if forgets { meanwhile } else { before + meanwhile };
    if forgets {
        until_named(&server, 10).await;
    }
    assert_eq!(events.dropped(), 0);
    count_is(&server, expected).await;
}

/// In minutes, hours and days.
async fn count_is(server: &RedisServer, expected: u64) {
    let events = reader(&server.url());
    for window in [Window::minutes(60), Window::hours(2), Window::days(2)] {
        until("Redis can be read", async || events.read(window).await.is_ok()).await;
        let report = events.read(window).await.expect("it can be read");
        assert_eq!(report.count(&Select::requests()), expected, "{window:?}");
        assert_eq!(report.count(&Select::requests().status("2xx")), expected, "{window:?}");
    }
}

async fn nothing(_: &RedisServer) {}

/// Waits for the next minute: then what was lost is noted anew.
async fn until_named(server: &RedisServer, names: i64) {
    let days = || [0, 86_400].map(|ago| redis_seconds(server) / 86_400 * 86_400 - ago);
    for _ in 0..700 {
        let named = days().map(|day| server.cli(&["HLEN", &key_of(&format!("{{names:{day}}}"))]).int());
        if named.iter().any(|count| *count > names) {
            return; // the mark as well
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("names do not come back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_hangs() {
    suffer(RedisServer::with(), async |redis| redis.stop(), async |redis| redis.cont(), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_killed_and_comes_back() {
    let durable = RedisServer::with().arg("appendonly", "yes").arg("appendfsync", "always");
    let restart = async |redis: &RedisServer| block_in_place(|| redis.restart());
    suffer(durable, async |redis| redis.kill(), restart, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_replaced_by_an_empty_one() {
    let restart = async |redis: &RedisServer| block_in_place(|| redis.restart());
    suffer(RedisServer::with(), async |redis| redis.kill(), restart, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_forgets_its_scripts() {
    let hurt = async |redis: &RedisServer| assert_eq!(redis.cli(&["SCRIPT", "FLUSH"]).text(), "OK");
    suffer(RedisServer::with(), hurt, nothing, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_full() {
    let set = |limit: &'static str| {
        async move |redis: &RedisServer| assert_eq!(redis.cli(&["CONFIG", "SET", "maxmemory", limit]).text(), "OK")
    };
    suffer(RedisServer::with().arg("maxmemory-policy", "noeviction"), set("1"), set("0"), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_becomes_a_replica_for_a_while() {
    // Of nobody: it keeps what it has, and takes nothing.
    let hurt = async |redis: &RedisServer| assert_eq!(redis.cli(&["REPLICAOF", "127.0.0.1", "1"]).text(), "OK");
    let heal = async |redis: &RedisServer| assert_eq!(redis.cli(&["REPLICAOF", "NO", "ONE"]).text(), "OK");
    suffer(RedisServer::with(), hurt, heal, false).await;
}

/// What was in it is gone; what comes after is counted right, and within a minute it is known again what it is: also what does not happen again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_come_back_to_an_emptied_redis() {
    let server = RedisServer::start();
    until("a minute is not about to end", async || redis_seconds(&server) % 60 < 50).await;
    let events = events(&server);
    events.record("often");
    events.record("once");
    events.drain(LONG).await.expect("it arrives");
    assert_eq!(server.cli(&["FLUSHALL"]).text(), "OK");
    events.record("once");
    events.record("often");
    until_named(&server, 2).await;
    events.record("often");
    events.drain(LONG).await.expect("it arrives");
    let report = reader(&server.url()).read(Window::days(2)).await.expect("it can be read");
    assert_eq!(report.count(&"once".into()), 1);
    assert_eq!(report.count(&"often".into()), 2);
}

/// However much happens, and however long it lasts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_takes_no_more_memory() {
    let _turn = turn().await;
    let server = RedisServer::start();
    let events = events(&server);
    let work = |rounds: u64| {
        for n in 0..rounds {
            let plan = (n % 1500).to_string();
            events.add("sold", &[("plan", &plan)], 1);
            events.observe("size", &[("plan", &(n % 20).to_string())], (n % 1000) as f64);
            events.rank("slug", &(n % 1000).to_string(), 1);
        }
    };
    work(50_000);
    events.drain(LONG).await.expect("it arrives");
    server.stop();
    for _ in 0..10 {
        work(10_000);
        sleep(Duration::from_millis(20)).await;
    }
    let before = resident_bytes();
    for _ in 0..40 {
        work(10_000);
        sleep(Duration::from_millis(20)).await;
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} more bytes for what waits");
    let left = events.drain(Duration::from_millis(200)).await.expect_err("Redis hangs").left;
    assert_eq!((left, events.dropped()), (500_000 * 3, 0), "all of it waits");
    server.cont();
    events.drain(LONG).await.expect("it arrives");
    let report = reader(&server.url()).read(Window::days(2)).await.expect("it can be read");
    assert_eq!((report.count(&"sold".into()), report.count(&"size".into())), (550_000, 550_000));
    let ranking = reader(&server.url()).ranking("slug", Window::days(2), 2000).await.expect("it can be read");
    assert_eq!(ranking.iter().map(|(_, count)| count).sum::<u64>(), 550_000);
}
