//! Replies out of step: frames that nobody asked for, frames that get lost, on a connection that many share.
//!
//! Each value is unique to its key and each script's answer to its arguments, so a reply in the wrong hands cannot pass unnoticed.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use buttress_redis::{ErrorKind, Mode, Redis, Reply, Script};
use buttress_tests::{Answer, FakeRedis};
use bytes::Bytes;

/// A fault is due at every so many replies, chosen to meet each kind of reply in turn.
const PERIOD: u64 = 997;

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Somebody's reply comes before this one.
    Inserted(&'static [u8]),
    /// This reply never comes.
    Lost,
    /// This reply comes twice.
    Twice,
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// A small Redis whose replies suffer `fault`.
async fn server(fault: Fault) -> FakeRedis {
    let (values, replies) = (Mutex::new(HashMap::<Vec<u8>, Vec<u8>>::new()), AtomicU64::new(0));
    FakeRedis::start(move |command| {
        let mut values = values.lock().unwrap();
        let key = command.arg(1).to_vec();
        let reply = match command.name() {
            "PING" => bulk(&key),
            "GET" => values.get(&key).map_or_else(|| b"_\r\n".to_vec(), |value| bulk(value)),
            "SET" => {
                values.insert(key, command.arg(2).to_vec());
                b"+OK\r\n".to_vec()
            }
            "UNLINK" => format!(":{}\r\n", u8::from(values.remove(&key).is_some())).into_bytes(),
            "EVALSHA" => bulk(command.arg(3)),
            _ => return None,
        };
        Some(match (replies.fetch_add(1, Ordering::Relaxed) % PERIOD, fault) {
            (500, Fault::Inserted(frame)) => Answer::Say([frame, &reply].concat()),
            (500, Fault::Lost) => Answer::Silence,
            (500, Fault::Twice) => Answer::Say([&reply[..], &reply].concat()),
            _ => Answer::Say(reply),
        })
    })
    .await
}

/// Enough was seen, whatever the machine's pace.
const RIGHT: u64 = 1_000;
const UNPROVEN: u64 = 3;
const AT_LEAST: u64 = 150;
/// It is never seen: something else is wrong.
const AT_MOST: u64 = 20_000;

/// Sixteen callers at once for a while: nothing wrong is believed, and right answers keep coming.
async fn check(fault: Fault) {
    static ECHO: Script = Script::new("echo", "return ARGV[1]");
    let server = server(fault).await;
    let redis = Redis::options().deadline(Duration::from_millis(200)).connect(&server.url()).unwrap();
    let (right, unproven) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let caller = |number: u64| {
        let (redis, right, unproven) = (redis.clone(), right.clone(), unproven.clone());
        async move {
            for round in 0..AT_MOST {
                let seen = (right.load(Ordering::Relaxed), unproven.load(Ordering::Relaxed));
                if round >= AT_LEAST && seen.0 >= RIGHT && seen.1 >= UNPROVEN {
                    break;
                }
                let key = format!("key:{number}:{}", round % 7);
                let word = format!("{key} in round {round}");
                let set = redis.set(&key, &word, None, Mode::Always).await;
                let found = redis.get(&key).await;
                if let (Ok(true), Ok(Some(found))) = (&set, &found) {
                    assert_eq!(*found, word, "{fault:?}");
                    right.fetch_add(1, Ordering::Relaxed);
                }
                if let Ok(Some(found)) = &found {
                    assert!(found.starts_with(format!("{key} in").as_bytes()), "{fault:?}: {found:?} under {key}");
                }
                let echo = redis.run::<&str>(&ECHO, &[], &[Bytes::from(word.clone())]).await;
                if let Ok(echo) = &echo {
                    assert_eq!(*echo, Reply::Bytes(word.into()), "{fault:?}");
                }
                let gone = redis.delete(format!("never set {number}")).await;
                assert!(!matches!(gone, Ok(true)), "{fault:?}: deleted what was never there");
                let kinds = [set.err(), echo.err(), gone.err()].into_iter().flatten().map(|error| error.kind());
                unproven.fetch_add(kinds.filter(|kind| *kind == ErrorKind::Unproven).count() as u64, Ordering::Relaxed);
                if found.is_err() {
                    tokio::time::sleep(Duration::from_millis(5)).await; // the connection is given up, the next is opened
                }
            }
        }
    };
    let callers: Vec<_> = (0..16).map(|number| tokio::spawn(caller(number))).collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let (right, unproven) = (right.load(Ordering::Relaxed), unproven.load(Ordering::Relaxed));
    assert!(unproven >= UNPROVEN, "{fault:?}: {unproven} replies were out of step, so nothing was tested");
    assert!(right >= RIGHT, "{fault:?}: only {right} answers were right");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inserted_frame_is_never_believed() {
    check(Fault::Inserted(b"+OK\r\n")).await;
    check(Fault::Inserted(b":1\r\n")).await;
    check(Fault::Inserted(b"-ERR DISCARD without MULTI\r\n")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_lost_frame_nobody_is_given_another_s() {
    check(Fault::Lost).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_comes_twice_is_believed_once() {
    check(Fault::Twice).await;
}
