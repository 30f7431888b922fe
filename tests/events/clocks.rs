//! Clocks that are wrong, or jump: what is counted is in the step that it is in by the clock of the store, and none is in the future.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use buttress::core::ManualClock;
use buttress::events::{Events, Window};
use buttress_tests::RedisServer;
use tokio::time::sleep;

use crate::bed::{self, options, reader, redis_seconds, until};

const LONG: Duration = Duration::from_secs(60);
const MINUTE: u64 = 60;
const DAY: u64 = 86_400;

/// The starts of all steps that have counts, by the letter of their length.
fn starts(server: &RedisServer, letter: char) -> BTreeSet<u64> {
    let (tag, ranking) = (format!("{{{letter}:"), format!("{{r:{letter}:"));
    let keys = server.cli(&["KEYS", "test:events:v1:*"]);
    let keys = keys.array().iter().map(|key| key.text());
    let start = |key: String| {
        let rest = key.split_once(&tag).or_else(|| key.split_once(&ranking))?.1.to_owned();
        Some(rest.split([':', '}']).next()?.parse::<u64>().expect("a start"))
    };
    keys.filter_map(start).collect()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Processes whose clocks are wrong by so many seconds, and jump while they count.
async fn wrong_by(offsets: &[i64], is_away_at_first: bool) {
    let server = RedisServer::start();
    let first = redis_seconds(&server);
    if is_away_at_first {
        server.stop();
    }
    let mut processes = Vec::new();
    for offset in offsets {
        let hand = ManualClock::at(at(first.saturating_add_signed(*offset)));
        let options = options().clock(hand.clock()).flush_each(Duration::from_millis(20));
        processes.push((options.redis(bed::line(&server.url())), hand));
    }
    for round in 0..30 {
        for (events, hand) in &processes {
            events.record("tick");
            events.rank("slug", "a", 2);
            events.unique("people", "ada");
            // Back and forth by a quarter of an hour.
            let now = hand.clock().now();
            hand.set(if round % 2 == 0 { now + Duration::from_secs(900) } else { now - Duration::from_secs(901) });
        }
        if round == 10 && is_away_at_first {
            server.cont();
        }
        sleep(Duration::from_millis(10)).await;
    }
    for (events, _) in &processes {
        events.drain(LONG).await.expect("it arrives");
    }
    let last = redis_seconds(&server);
    // What was counted before Redis has said what time it is may be in the minute before.
    let early = if is_away_at_first { MINUTE } else { 0 };
    for (letter, length) in [('m', MINUTE), ('h', 3600), ('d', DAY)] {
        let starts = starts(&server, letter);
        let may = first - early - (first - early) % length..=last - last % length;
        assert!(!starts.is_empty() && starts.iter().all(|start| may.contains(start)), "{starts:?} {may:?}");
    }
    let events = reader(&server.url());
    until("Redis can be read", async || events.read(Window::days(1)).await.is_ok()).await;
    let count = 30 * offsets.len() as u64;
    for window in [Window::minutes(60), Window::hours(2), Window::days(2)] {
        assert_eq!(events.read(window).await.expect("it can be read").count(&"tick".into()), count);
        let ranking = events.ranking("slug", window, 9).await.expect("it can be read");
        assert_eq!(ranking, [("a".into(), 2 * count)]);
    }
}

#[tokio::test]
async fn wrong_clocks_count_by_the_clock_of_redis() {
    wrong_by(&[0, 600, -600, 400 * 86_400], false).await;
}

#[tokio::test]
async fn wrong_clocks_that_begin_without_redis_count_by_its_clock_as_well() {
    wrong_by(&[0, 600, -600, 86_400], true).await;
}

/// Embedded, the clock is the process's own, and its jumps are believed.
#[tokio::test]
async fn steps_end_when_the_clock_says_so() {
    // A quarter of a second before a minute, an hour and a day begin.
    let midnight = 20_000 * DAY;
    let hand = ManualClock::at(at(midnight) - Duration::from_millis(250));
    let events = Events::options().clock(hand.clock()).flush_each(LONG).embedded();
    let count = async |window: Window| {
        let report = events.read(window).await.expect("it is embedded");
        report.points(&"tick".into()).iter().map(|point| point.count).collect::<Vec<_>>()
    };
    let tick = async |amount| {
        events.add("tick", &[], amount);
        events.rank("slug", "a", amount);
        events.flush().await.expect("it is embedded");
    };
    tick(1).await;
    assert_eq!(count(Window::days(2)).await, [0, 1]);
    hand.advance(Duration::from_millis(250));
    tick(10).await;
    for window in [Window::minutes(2), Window::hours(2), Window::days(2)] {
        assert_eq!(count(window).await, [1, 10], "{window:?}");
        let before = events.ranking("slug", window, 1).await.expect("it is embedded");
        assert_eq!(before, [("a".into(), 11)]);
    }
    hand.advance(Duration::from_secs(59));
    tick(100).await;
    assert_eq!(count(Window::minutes(2)).await, [1, 110]);
    hand.advance(Duration::from_secs(3541));
    tick(1000).await;
    assert_eq!(count(Window::hours(3)).await, [1, 110, 1000]);
    // Ten minutes back, over a boundary: what comes now is in the hour that it is again.
    hand.set(at(midnight + 3000));
    tick(10_000).await;
    assert_eq!(count(Window::hours(2)).await, [1, 10_110]);
    assert_eq!(count(Window::days(1)).await, [11_110]);
    // And on.
    hand.set(at(midnight + 3600));
    tick(100_000).await;
    assert_eq!(count(Window::hours(3)).await, [1, 10_110, 101_000]);
    // A day back, and two weeks ahead.
    hand.set(at(midnight - DAY / 2));
    tick(5).await;
    assert_eq!(count(Window::days(1)).await, [6]);
    hand.set(at(midnight + 14 * DAY));
    tick(7).await;
    let days = count(Window::days(16)).await;
    assert_eq!((days[0], days[1], days[2], days[15], days.iter().sum::<u64>()), (6, 111_110, 0, 7, 111_123));
    assert_eq!(events.dropped(), 0);
}
