//! Redis forgets, and is told again by those who know: nobody takes a revoked token for good meanwhile, and whoever comes later knows all that
//! anybody alive knew.

use std::time::Duration;

use buttress::jwt::{Revocation, Revocations, Standing};
use buttress_tests::{Counters, RedisServer};
use tokio::time::Instant;

use crate::bed::{ISSUER, shared, token, until};
use crate::faults::Ordeal;
use crate::hammer::Hammer;

const NEWS: &str = "buttress:jwt:v1:{revoked}:news";
const ABOUT: &str = "buttress:jwt:v1:{revoked}:about";
const MENDING: &str = "buttress:jwt:v1:{revoked}:mending";

/// Redis suffers this; processes go on, and come.
async fn lose(server: RedisServer, suffer: impl FnOnce(&RedisServer)) {
    let ordeal = Ordeal::begin(shared(&server), shared(&server)).await;
    suffer(&server);
    // In the middle of it.
    let newcomer = shared(&server);
    ordeal.hammer.check_newcomer(&newcomer).await;
    ordeal.endure().await;
    ordeal.end(|| shared(&server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_flushed() {
    lose(RedisServer::start(), |server| assert_eq!(server.cli(&["FLUSHALL"]).text(), "OK")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_is_deleted() {
    lose(RedisServer::start(), |server| assert_eq!(server.cli(&["DEL", NEWS]).int(), 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_known_of_the_stream_is_deleted() {
    lose(RedisServer::start(), |server| assert_eq!(server.cli(&["DEL", ABOUT]).int(), 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_comes_back_empty() {
    lose(RedisServer::start(), RedisServer::restart).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_comes_back_with_all_of_it() {
    let server = RedisServer::with().arg("appendonly", "yes").arg("appendfsync", "always").start();
    lose(server, RedisServer::restart).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn something_else_lies_in_each_key() {
    let overwrite = |server: &RedisServer| {
        let marks = server.cli(&["KEYS", "buttress:jwt:v1:{revoked}:*"]);
        let marks = marks.array().iter().map(|key| key.text().to_owned());
        for key in marks.chain([NEWS, ABOUT, MENDING].map(str::to_owned)) {
            drop(server.cli(&["DEL", &key]));
            assert_eq!(server.cli(&["RPUSH", &key, "x"]).int(), 1);
        }
    };
    lose(RedisServer::start(), overwrite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_has_read_yet_is_known_to_who_revoked_it() {
    let server = RedisServer::start();
    let one = shared(&server);
    one.ready().await;
    let other = shared(&server);
    other.ready().await;
    let hammer = Hammer::start(&[&one, &other]);
    for round in 0..20 {
        // Before anybody has read it, the stream is gone.
        let (lost, name) = (Instant::now(), round.to_string());
        let (is_told, ()) = tokio::join!(hammer.revoke(&one, &name), async {
            while lost.elapsed() < Duration::from_millis(5) {
                drop(server.cli(&["DEL", NEWS]));
                tokio::task::yield_now().await;
            }
        });
        assert!(is_told);
    }
    hammer.until_known(&other).await;
    hammer.go_on().await;
    hammer.check_newcomer(&shared(&server)).await;
    hammer.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_in_the_stream_is_counted_and_skipped() {
    let counters = Counters::install();
    let server = RedisServer::start();
    let ordeal = Ordeal::begin(shared(&server), shared(&server)).await;
    let bad = counters.get("buttress_jwt_bad_records_total");
    let epoch = server.cli(&["HGET", ABOUT, "epoch"]).text();
    let mut newer = vec![2; 34];
    newer[1] = 0;
    for record in [b"".to_vec(), b"x".to_vec(), vec![0xff; 34], vec![1; 33], newer] {
        assert!(!server.cli(&[b"XADD".as_slice(), NEWS.as_bytes(), b"*", b"r", &record]).is_error());
    }
    assert!(!server.cli(&["XADD", NEWS, "*", "another", "field", "and", "more"]).is_error());
    until("both have counted it", async || counters.get("buttress_jwt_bad_records_total") >= bad + 12).await;
    ordeal.endure().await;
    assert_eq!(server.cli(&["HGET", ABOUT, "epoch"]).text(), epoch, "nothing was lost, so nothing is mended");
    ordeal.end(|| shared(&server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_processes_tell_what_is_missing_once() {
    const ENTRIES: usize = 5_000;
    let server = RedisServer::start();
    let fleet: Vec<_> = (0..10).map(|_| shared(&server)).collect();
    for process in &fleet {
        process.ready().await;
    }
    for number in 0..ENTRIES {
        // On a busy machine one may time out; it is told again.
        drop(fleet[number % 10].revoke(Revocation::id(ISSUER, &number.to_string())).await);
    }
    for process in &fleet {
        until("all know all", async || process.len() == ENTRIES).await;
    }
    assert_eq!(server.cli(&["CONFIG", "SET", "slowlog-log-slower-than", "20000"]).text(), "OK");
    for loss in [&["FLUSHALL"][..], &["DEL", NEWS], &["DEL", ABOUT]] {
        assert_eq!(server.cli(&["CONFIG", "RESETSTAT"]).text(), "OK");
        let epoch = server.cli(&["HGET", ABOUT, "epoch"]).text();
        assert!(!server.cli(loss).is_error());
        until("the loss is noticed", async || fleet.iter().all(|process| !process.is_ready())).await;
        for process in &fleet {
            until("all are ready", async || process.is_ready()).await;
        }
        assert_ne!(server.cli(&["HGET", ABOUT, "epoch"]).text(), epoch);
        let told = usize::try_from(server.cli(&["XLEN", NEWS]).int()).expect("a count");
        assert_eq!(told, ENTRIES, "after {loss:?}");
        // A single script may be held up by a busy machine.
        let stats = server.info("cmdstat_evalsha").expect("scripts ran");
        let number = |name: &str| stats.split(',').find_map(|one| one.strip_prefix(name)?.parse::<f64>().ok());
        let (calls, each) = (number("calls=").expect("a count"), number("usec_per_call=").expect("a time"));
        let slow = server.cli(&["SLOWLOG", "LEN"]).int();
        println!("{loss:?}: {calls} scripts, {each} microseconds each, {slow} took longer than 20 ms");
        assert!(each < 20_000.0 && slow as f64 <= calls / 20.0, "{stats}, {slow} slow ones");
    }
    let newcomer = shared(&server);
    newcomer.ready().await;
    assert_eq!(newcomer.len(), ENTRIES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_knows_nothing_waits_for_those_who_do() {
    let server = RedisServer::start();
    let ordeal = Ordeal::begin(shared(&server), shared(&server)).await;
    for _ in 0..5 {
        assert_eq!(server.cli(&["FLUSHALL"]).text(), "OK");
        let newcomer = shared(&server);
        let revoked = token(r#""sub":"before-1","jti":"before-1""#);
        // The first moments of its life, while it can only ask.
        for _ in 0..50 {
            assert_ne!(newcomer.check(&revoked).await, Standing::Good);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        ordeal.hammer.check_newcomer(&newcomer).await;
    }
    ordeal.end(|| shared(&server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off_by_the_skew_loses_nothing() {
    let server = RedisServer::start();
    let off = |by: i64| {
        use buttress::core::ManualClock;
        let hand = ManualClock::at(crate::bed::now());
        let clock = hand.clock();
        tokio::spawn(async move {
            loop {
                let now = crate::bed::now();
                let by_abs = Duration::from_secs(by.unsigned_abs());
                hand.set(if by < 0 { now - by_abs } else { now + by_abs });
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        Revocations::options().clock(clock).redis(buttress::redis::Redis::connect(&server.url()).expect("a URL"))
    };
    let ordeal = Ordeal::begin(off(60), off(-60)).await;
    let epoch = server.cli(&["HGET", ABOUT, "epoch"]).text();
    ordeal.endure().await;
    assert_eq!(server.cli(&["HGET", ABOUT, "epoch"]).text(), epoch, "nothing was lost");
    assert_eq!(server.cli(&["FLUSHALL"]).text(), "OK");
    until("the loss is noticed", async || !ordeal.one.is_ready() && !ordeal.other.is_ready()).await;
    ordeal.end(|| shared(&server)).await;
    assert!(server.cli(&["XLEN", NEWS]).int() <= 6, "each of five entries is told once");
}
