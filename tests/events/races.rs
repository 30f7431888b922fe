//! Between a count and its arrival: flushes that fail, hang, are given up or meet something that is no count.

use std::time::Duration;

use buttress::events::{Events, Window};
use buttress_tests::{CuttingProxy, RedisServer};
use tokio::time::{Instant, sleep, timeout};

use crate::bed::{self, key_of, options, reader, redis_seconds, until};

const LONG: Duration = Duration::from_secs(60);
const COUNTS: &str = "\r\n~";

/// How often it happened, as whoever has read nothing before sees it.
async fn count(server: &RedisServer, name: &str, window: Window) -> u64 {
    let events = reader(&server.url());
    until("Redis can be read", async || events.read(window).await.is_ok()).await;
    events.read(window).await.expect("it can be read").count(&name.into())
}

/// Flushes when told to, and on the first of its days by itself.
async fn quiet(url: &str) -> Events {
    let events = options().flush_each(LONG).redis(bed::line(url));
    until("it is connected", async || events.flush().await.is_ok()).await;
    events
}

#[tokio::test]
async fn a_flush_that_is_done_has_brought_all_there_is() {
    let server = RedisServer::start();
    let proxy = CuttingProxy::start(server.addr()).await;
    let events = quiet(&proxy.url()).await;
    for round in 1..=5 {
        events.record("tick");
        proxy.cut_after(COUNTS);
        events.flush().await.expect_err("the answer is lost");
        events.add("tick", &[], 2); // while the first is on its way still
        until("it is flushed", async || events.flush().await.is_ok()).await;
        for window in [Window::minutes(60), Window::hours(2), Window::days(2)] {
            assert_eq!(count(&server, "tick", window).await, 3 * round);
        }
    }
}

#[tokio::test]
async fn flushes_that_nobody_waits_for_lose_nothing_and_add_nothing_twice() {
    let server = RedisServer::start();
    let events = options().flush_each(Duration::from_millis(10)).redis(bed::line(&server.url()));
    for round in 0..600_u64 {
        events.add("tick", &[("round", &(round % 50).to_string())], 1);
        events.rank("slug", &(round % 70).to_string(), 1);
        // Dropped at whatever it waits for: a name, a count, another one's flush.
        drop(timeout(Duration::from_micros(round * 13 % 3000), events.flush()).await);
    }
    events.drain(LONG).await.expect("all arrives");
    for window in [Window::minutes(60), Window::hours(2), Window::days(2)] {
        assert_eq!(count(&server, "tick", window).await, 600);
        let ranking = reader(&server.url()).ranking("slug", window, 100).await.expect("it can be read");
        assert_eq!((ranking.len(), ranking.iter().map(|(_, count)| count).sum()), (70, 600_u64));
    }
}

#[tokio::test]
async fn a_drain_while_redis_hangs_ends_in_time_and_says_what_is_left() {
    let server = RedisServer::start();
    let events = options().flush_each(Duration::from_millis(10)).redis(bed::line(&server.url()));
    until("it is connected", async || events.flush().await.is_ok()).await;
    server.stop();
    events.add("tick", &[], 5);
    sleep(Duration::from_millis(200)).await; // the background hangs in a flush
    events.add("tick", &[], 2);
    let began = Instant::now();
    let undrained = events.drain(Duration::from_millis(300)).await.expect_err("Redis hangs");
    assert_eq!(undrained.left, 7);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    server.cont();
    events.drain(LONG).await.expect("all arrives");
    assert_eq!(count(&server, "tick", Window::days(2)).await, 7);
    events.drain(Duration::MAX).await.expect("there is nothing to wait for");
}

/// Something that nobody here has put there: what can be counted elsewhere is, and what cannot is said.
#[tokio::test]
async fn what_lies_under_a_key_is_in_nobody_elses_way() {
    let server = RedisServer::start();
    // A minute and a day that go on for as long as this takes.
    until("a minute is not about to end", async || redis_seconds(&server) % 60 < 40).await;
    let now = redis_seconds(&server);
    let day = now - now % 86_400;
    for key in [format!("{{names:{day}}}"), format!("{{salt:{day}}}"), format!("{{m:{}}}", now - now % 60)] {
        assert_eq!(server.cli(&["LPUSH", &key_of(&key), "something else"]).int(), 1);
    }
    let events = quiet(&server.url()).await;
    events.unique("people", "ada");
    events.add("tick", &[], 3);
    events.rank("slug", "a", 2);
    events.flush().await.expect("it goes on");
    assert_eq!(events.dropped(), 0, "all of it is in the hour and in the day");
    assert_eq!(events.visitors("people", 1).await.expect("it can be read")[0].1, 1);
    assert_eq!(events.ranking("slug", Window::hours(1), 9).await.expect("it can be read"), [("a".into(), 2)]);
    assert_eq!(server.cli(&["HLEN", &key_of(&format!("{{d:{day}}}"))]).int(), 3, "a mark, a batch, a count");
    // And at the end of the line.
    for kind in ["d", "h"] {
        let start = if kind == "d" { day } else { now - now % 3600 };
        assert_eq!(server.cli(&["SET", &key_of(&format!("{{{kind}:{start}}}")), "something else"]).text(), "OK");
    }
    let rankings = server.cli(&["KEYS", "test:events:v1:{r:*}"]);
    let visitors = server.cli(&["KEYS", "test:events:v1:{u:*}"]);
    for key in rankings.array().iter().chain(visitors.array()) {
        assert_eq!(server.cli(&["SET", &key.text(), "something else"]).text(), "OK");
    }
    events.unique("people", "bob");
    events.add("tick", &[], 4);
    events.rank("slug", "b", 1);
    events.flush().await.expect("it goes on");
    assert_eq!(events.dropped(), 5, "it is in no day");
    let events = quiet(&server.url()).await;
    assert_eq!(events.read(Window::days(1)).await.expect("it can be read").names().len(), 0);
    assert_eq!(events.ranking("slug", Window::days(1), 9).await.expect("it can be read"), []);
    drop(events.visitors("people", 1).await.expect("it can be read"));
}

/// A refusal proves nothing: where replies are out of step it is another command's.
#[tokio::test]
async fn a_refusal_of_another_command_is_not_believed() {
    let server = RedisServer::start();
    let proxy = CuttingProxy::start(server.addr()).await;
    let events = quiet(&proxy.url()).await;
    // Always something else is on its way.
    let others: Vec<_> = (0..4).map(|n| tokio::spawn(ask_on(events.clone(), n))).collect();
    let mut expected = 0;
    for round in 1..=30 {
        until("it is connected", async || events.flush().await.is_ok()).await;
        proxy.add_reply(b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
        while proxy.disturbed() < round {
            expected += 1;
            events.add("tick", &[("round", &round.to_string())], 1);
            events.rank("slug", &round.to_string(), 1);
            drop(events.flush().await);
        }
    }
    others.iter().for_each(tokio::task::JoinHandle::abort);
    events.drain(LONG).await.expect("all arrives");
    assert_eq!(events.dropped(), 0);
    for window in [Window::minutes(60), Window::hours(2), Window::days(2)] {
        assert_eq!(count(&server, "tick", window).await, expected);
        let ranking = reader(&server.url()).ranking("slug", window, 100).await.expect("it can be read");
        assert_eq!(ranking.iter().map(|(_, count)| count).sum::<u64>(), expected);
    }
}

/// Asks for something that was not asked before, for ever.
async fn ask_on(events: Events, number: u64) {
    for name in 0_u64.. {
        drop(events.visitors(&format!("{number} {name}"), 1).await);
        drop(events.ranking(&format!("{number} {name}"), Window::days(1), 1).await);
        tokio::task::yield_now().await;
    }
}
