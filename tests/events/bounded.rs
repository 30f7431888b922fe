//! A million different ones: memory stays flat, there are never more series than said, and totals are right.

use std::convert::Infallible;
use std::time::Duration;

use buttress::events::{Events, EventsLayer, EventsOptions, Select, Step, Window};
use buttress_tests::RedisServer;
use buttress_tests::load::{resident_bytes, turn};
use http::{Request, Response};
use http_body_util::Empty;
use tower::{Layer as _, Service as _};

use crate::bed::{self, key_of, options, reader, redis_seconds, until};

const LONG: Duration = Duration::from_secs(60);
const MILLION: u64 = 1_000_000;
const MOST: usize = 200;
/// In the dictionary: as many again may be reserved, for what overflows.
const MOST_NAMES: i64 = 2 * MOST as i64 + 100 + 1;

fn few() -> EventsOptions {
    options().most_series(MOST).flush_each(Duration::from_millis(50))
}

/// What is random enough.
fn random(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
}

/// Requests for paths that nobody has seen before; the first are few enough.
async fn ask(layer: &EventsLayer, numbers: std::ops::Range<u64>) {
    let mut service = layer.layer(tower::service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Empty::<bytes::Bytes>::new()))
    }));
    for number in numbers {
        let path = format!("/{:x}", random(number));
        service.call(Request::get(path).body(()).expect("a request")).await.expect("it answers");
    }
}

fn count(events: &Events, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let value = format!("{:x}", random(number));
        events.add("sold", &[("to", &value)], 1);
        events.rank("slug", &value, 1);
    }
}

/// A million of each, in ten parts with time to flush between; how much memory all but the first of them took.
async fn a_million(events: &Events) -> usize {
    let told = EventsLayer::new(events.clone()).route(|parts| Some(parts.uri.path().into()));
    let unmatched = EventsLayer::new(events.clone());
    let mut before = 0;
    for part in 0..10 {
        let numbers = part * MILLION / 10..(part + 1) * MILLION / 10;
        ask(&told, numbers.clone()).await;
        ask(&unmatched, numbers.clone()).await;
        count(events, numbers);
        events.drain(LONG).await.expect("it arrives");
        if part == 0 {
            before = resident_bytes();
        }
    }
    resident_bytes().saturating_sub(before)
}

async fn check(events: &Events, reader: &Events) {
    let (sold, requests) = (Select::event("sold"), Select::requests());
    for window in [Window::minutes(60), Window::hours(2), Window::days(2)] {
        let report = reader.read(window).await.expect("it can be read");
        assert_eq!(report.count(&sold), MILLION);
        assert_eq!(report.count(&requests), 2 * MILLION);
        assert_eq!(report.count(&requests.clone().route("<unmatched>")), MILLION);
        let routes = report.top("route", &requests, 10_000);
        assert!(routes.len() <= MOST / 4 + 2, "{} routes", routes.len());
        assert!(report.count(&requests.clone().route("<overflow>").status("2xx")) > MILLION / 2);
        assert!(report.top("to", &sold, 10_000).len() <= MOST);
        assert!(report.overflowed() > MILLION);
        let ranking = reader.ranking("slug", window, 10_000).await.expect("it can be read");
        assert!(ranking.len() <= 1000 * window.steps() as usize, "{}", ranking.len());
    }
    // Those of one flush that are ranked are bounded as well.
    assert!((1..MILLION).contains(&events.dropped()), "{}", events.dropped());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_different_ones_take_no_more_memory() {
    let _turn = turn().await;
    let events = few().embedded();
    let grown = a_million(&events).await;
    println!("{} KiB more after a million", grown >> 10);
    assert!(grown < 16 << 20, "{grown} more bytes");
    check(&events, &events).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_different_ones_take_no_more_of_redis() {
    let _turn = turn().await;
    let server = RedisServer::start();
    let events = few().redis(bed::line(&server.url()));
    until("it is connected", async || events.flush().await.is_ok()).await;
    let grown = a_million(&events).await;
    println!("{} KiB more after a million", grown >> 10);
    assert!(grown < 16 << 20, "{grown} more bytes");
    let reader = reader(&server.url());
    until("Redis can be read", async || reader.read(Window::days(1)).await.is_ok()).await;
    check(&events, &reader).await;
    for key in server.cli(&["KEYS", "test:events:v1:{names:*"]).array() {
        assert!(server.cli(&["HLEN", &key.text()]).int() <= MOST_NAMES);
    }
    for key in server.cli(&["KEYS", "test:events:v1:{r:*}"]).array() {
        assert!(server.cli(&["ZCARD", &key.text()]).int() <= 1000, "{}", key.text());
    }
    for step in ["m", "h", "d"] {
        for key in server.cli(&["KEYS", &key_of(&format!("{{{step}:*"))]).array() {
            // A mark, series, and batches by their lane.
            assert!(server.cli(&["HLEN", &key.text()]).int() <= MOST_NAMES + 100, "{}", key.text());
        }
    }
}

/// Two processes have names of their own, more than the day has room for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_the_room_for_names() {
    let server = RedisServer::start();
    let processes = [0, 1].map(|_| few().redis(bed::line(&server.url())));
    for number in 0..150 {
        for (process, events) in processes.iter().enumerate() {
            events.add("sold", &[("to", &format!("{process}-{number}"))], 10);
            events.add("size", &[("of", &format!("{process}-{number}"))], 1);
            events.flush().await.ok();
        }
    }
    for events in &processes {
        events.drain(LONG).await.expect("it arrives");
    }
    let today = redis_seconds(&server) / 86_400 * 86_400;
    let names = server.cli(&["HLEN", &key_of(&format!("{{names:{today}}}"))]).int();
    assert!((MOST as i64..=MOST_NAMES).contains(&names), "{names}");
    let reader = reader(&server.url());
    until("Redis can be read", async || reader.read(Window::days(1)).await.is_ok()).await;
    let report = reader.read(Window::days(2)).await.expect("it can be read");
    assert_eq!((report.count(&"sold".into()), report.count(&"size".into())), (3000, 300));
    let named = report.top("to", &"sold".into(), 1000).len() + report.top("of", &"size".into(), 1000).len();
    assert!((MOST - 20..=MOST).contains(&named), "{named}");
    assert!(report.overflowed() > 0);
}

/// Names that somebody has made up to break something.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_are_names() {
    let long = "\u{1f600}".repeat(50_000); // 200 KB, cut in the middle of a letter if anywhere
    let cut = "\u{1f600}".repeat(50);
    let names = [
        "k",
        "~",
        "~abc.0",
        "\0",
        "a\0b",
        "\"",
        "\\",
        "[\"a\"]",
        "\u{7f}\u{1b}[2J",
        "\r\n*1\r\n$8\r\nFLUSHALL\r\n",
        "<script>",
        "",
        " ",
        "\u{202e}",
        "{x}",
        "%s%n",
        "overflow",
        "\u{ffff}",
        long.as_str(),
    ];
    let server = RedisServer::start();
    for events in [options().redis(bed::line(&server.url())), Events::embedded()] {
        let route = EventsLayer::new(events.clone())
            .route(|parts| Some(parts.headers["x-route"].to_str().unwrap_or("?").into()));
        for (number, name) in (1..).zip(names) {
            events.add(name, &[], number);
            events.add("event", &[(name, "value")], number);
            events.add("event", &[("label", name)], number);
            events.observe(name, &[(name, name)], 1.0);
            events.rank(name, "member", number);
            events.rank("ranking", name, number);
            events.unique(name, name);
            let Ok(value) = http::HeaderValue::from_str(name) else { continue };
            let request = Request::get("/").header("x-route", value).body(()).expect("a request");
            let answer = async |_| Ok::<_, Infallible>(Response::new(Empty::<bytes::Bytes>::new()));
            route.layer(tower::service_fn(answer)).call(request).await.expect("it answers");
        }
        events.drain(LONG).await.expect("it arrives");
        let report = events.read(Window::days(1)).await.expect("it can be read");
        for (number, name) in (1..).zip(names) {
            let kept = if name.len() > 200 { cut.as_str() } else { name };
            assert_eq!(report.count(&kept.into()), number + 1, "{kept:?}");
            assert_eq!(report.count(&Select::event(kept).label(kept, kept)), 1, "{kept:?}");
            assert_eq!(report.count(&Select::event("event").label(kept, "value")), number, "{kept:?}");
            assert_eq!(report.count(&Select::event("event").label("label", kept)), number, "{kept:?}");
            let ranking = events.ranking(name, Window::days(1), 9).await.expect("it can be read");
            assert_eq!(ranking, [("member".into(), number)], "{kept:?}");
            assert_eq!(events.visitors(name, 1).await.expect("it can be read")[0].1, 1, "{kept:?}");
        }
        let ranking = events.ranking("ranking", Window::days(1), 99).await.expect("it can be read");
        assert_eq!(ranking.len(), names.len());
        for (number, name) in (1..).zip(names) {
            let kept = if name.len() > 200 { cut.as_str() } else { name };
            assert!(ranking.contains(&(kept.into(), number)), "{kept:?}");
        }
    }
}

/// Amounts and settings that nobody means: what is beyond counting is the most there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_that_are_too_large_are_the_largest() {
    let server = RedisServer::start();
    let beyond = |options: EventsOptions| {
        let options =
            [Step::Minute, Step::Hour, Step::Day].into_iter().fold(options, |o, step| o.keep(step, Duration::MAX));
        options.flush_each(Duration::MAX).deadline(LONG)
    };
    for events in [beyond(options()).redis(bed::line(&server.url())), beyond(options()).embedded()] {
        until("it is connected", async || events.flush().await.is_ok()).await;
        for _ in 0..3 {
            for member in ["a", "b"] {
                events.rank("slug", member, u64::MAX);
            }
            events.add("sold", &[], u64::MAX);
            events.observe("size", &[], f64::MAX);
            events.observe("size", &[], f64::NAN);
            events.flush().await.expect("it arrives");
        }
        assert_eq!(events.dropped(), 3);
        let report = events.read(Window::days(2)).await.expect("it can be read");
        assert!(report.count(&"sold".into()) >= 1 << 53);
        assert_eq!(report.count(&"size".into()), 3);
        assert!(report.quantile(&"size".into(), 0.5).is_some());
        let ranking = events.ranking("slug", Window::days(2), 9).await.expect("it can be read");
        assert_eq!(ranking, [("a".into(), u64::MAX), ("b".into(), u64::MAX)]);
        events.drain(LONG).await.expect("nothing is left");
    }
    for key in server.cli(&["KEYS", "*"]).array() {
        assert!(server.cli(&["PTTL", &key.text()]).int() > 0, "{} has an end", key.text());
    }
}
