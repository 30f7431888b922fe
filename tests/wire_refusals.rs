//! What a server refuses is classified as documented and bounded in time; what it does not refuse goes on working.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use buttress_redis::{Error, ErrorKind, Mode, Redis, RedisOptions, Rejection, Script};
use buttress_tests::{Answer, Certificates, FakeRedis, RedisServer};
use bytes::Bytes;
use tokio::time::{Instant, sleep};

/// Generous: nothing here measures how fast an answer comes, only that a refusal is not a hang.
const DEADLINE: Duration = ms(200);
const SLACK: Duration = ms(250);

static WRITE: Script = Script::new("write", "return redis.call('SET', KEYS[1], ARGV[1])");
static INCREMENT: Script = Script::new("increment", "return redis.call('INCR', KEYS[1])");
static FOREVER: Script = Script::new("forever", "while true do end");

// === Ways to connect ===

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_with_an_authority_of_ones_own() {
    let certs = Certificates::new();
    let server = RedisServer::with().tls(&certs.ca(), &certs.cert(), &certs.key()).start();
    let pem = std::fs::read(certs.ca()).expect("a file");
    round_trip(&options().certificate_authority(pem.clone()).connect(&server.url()).expect("a good URL")).await;

    // Nobody else's word is taken for it, and no one talks to it in the clear.
    let stranger = std::fs::read(Certificates::new().ca()).expect("a file");
    let doubting = options().certificate_authority(stranger).connect(&server.url()).expect("a good URL");
    check_kind(&refused(doubting.get("k")).await, ErrorKind::Unavailable);
    let plain = connect(&server.url().replace("rediss://", "redis://"));
    check_kind(&refused(plain.get("k")).await, ErrorKind::Unavailable);

    let by_name = options().certificate_authority(pem).connect(&server.url().replace("localhost", "127.0.0.1"));
    round_trip(&by_name.expect("a good URL")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_a_password() {
    let certs = Certificates::new();
    let server = RedisServer::with().tls(&certs.ca(), &certs.cert(), &certs.key()).password("p@ss").start();
    let pem = std::fs::read(certs.ca()).expect("a file");
    let url = format!("rediss://localhost:{}", server.port());
    round_trip(&options().certificate_authority(pem).password("p@ss").connect(&url).expect("a good URL")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unix_socket() {
    let server = RedisServer::start();
    let redis = connect(&format!("unix://{}", server.socket().display()));
    round_trip(&redis).await;
    server.kill();
    check_away(&redis).await;
    server.restart();
    recovers(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_and_a_password_by_url() {
    let server = RedisServer::with().password("se:cret").start();
    round_trip(&connect(&format!("redis://:se%3Acret@127.0.0.1:{}/3", server.port()))).await;
    let mut line = server.line().expect("up");
    assert_eq!(line.ask(&["DBSIZE"]).expect("answered").int(), 0);
    line.ask(&["SELECT", "3"]).expect("answered");
    assert_eq!(line.ask(&["DBSIZE"]).expect("answered").int(), 1);
}

// === Who may ===

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_or_wrong_password_is_denied() {
    let server = RedisServer::with().password("secret").start();
    let addr = server.addr();
    for url in [format!("redis://{addr}"), format!("redis://:wrong@{addr}"), format!("redis://nobody:secret@{addr}")] {
        let redis = connect(&url);
        let error = refused(redis.get("k")).await;
        check_kind(&error, ErrorKind::Rejected(Rejection::Denied));
        // It goes on being that, at once, and never shows the password.
        let error = refused(redis.set("k", "v", None, Mode::Always)).await;
        check_kind(&error, ErrorKind::Rejected(Rejection::Denied));
        assert!(!format!("{error} {error:?}").contains("wrong"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_changes_is_denied_until_it_changes_back() {
    let server = RedisServer::with().password("secret").start();
    let redis = connect(&server.url());
    round_trip(&redis).await;
    let mut line = server.line().expect("logged in");
    line.ask(&["CONFIG", "SET", "requirepass", "other"]).expect("answered");
    line.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).expect("answered");
    let denied = async || loop {
        match redis.get("k").await {
            Err(error) if error.kind() == ErrorKind::Rejected(Rejection::Denied) => return,
            _ => sleep(ms(10)).await,
        }
    };
    tokio::time::timeout(ms(3_000), denied()).await.expect("callers are told why");
    line.ask(&["CONFIG", "SET", "requirepass", "secret"]).expect("answered");
    recovers(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_write_is_denied_and_still_reads() {
    let server = RedisServer::start();
    round_trip(&connect(&server.url())).await;
    let reader = ["ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@all", "-set"];
    assert_eq!(server.cli(&reader).text(), "OK");
    let redis = connect(&format!("redis://reader:pw@{}", server.addr()));
    assert!(redis.get("k").await.expect("may read").is_some());
    let lines = server.info("total_connections_received");
    for _ in 0..5 {
        let denied = ErrorKind::Rejected(Rejection::Denied);
        check_kind(&refused(redis.set("k", "w", None, Mode::Always)).await, denied);
        assert!(redis.get("k").await.expect("may read, on").is_some());
    }
    let own = 1; // the question itself comes on a connection
    let opened = |count: Option<String>| count.and_then(|count| count.parse::<u64>().ok()).expect("a number");
    assert_eq!(opened(server.info("total_connections_received")), opened(lines) + own, "one connection serves all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_may_do_no_more_than_its_user() {
    let server = RedisServer::start();
    let reader = ["ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@all", "-set"];
    assert_eq!(server.cli(&reader).text(), "OK");
    let redis = connect(&format!("redis://reader:pw@{}", server.addr()));
    let error = refused(redis.run(&WRITE, &["k"], &[Bytes::from_static(b"w")])).await;
    check_kind(&error, ErrorKind::Rejected(Rejection::Denied));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_shows_no_password() {
    let server = RedisServer::with().password("se-cr-et").start();
    let redis = connect(&server.url());
    round_trip(&redis).await;
    assert!(!format!("{redis:?} {:?}", redis.health()).contains("se-cr-et"), "the password shows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_ping_is_told_so() {
    let server = RedisServer::start();
    let mute = ["ACL", "SETUSER", "mute", "on", ">pw", "~*", "+@all", "-ping"];
    assert_eq!(server.cli(&mute).text(), "OK");
    let redis = connect(&format!("redis://mute:pw@{}", server.addr()));
    let error = refused(redis.get("k")).await;
    check_kind(&error, ErrorKind::Rejected(Rejection::Denied));
    assert!(error.to_string().contains("ping"), "{error}");
}

// === What the server cannot do now ===

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_refuses_writes_and_answers_reads() {
    let server = RedisServer::start();
    let redis = connect(&server.url());
    round_trip(&redis).await;
    assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", "1"]).text(), "OK");
    let full = ErrorKind::Rejected(Rejection::OutOfMemory);
    check_kind(&refused(redis.set("k", "w", None, Mode::Always)).await, full);
    check_kind(&refused(redis.run(&WRITE, &["k"], &[Bytes::from_static(b"w")])).await, full);
    assert_eq!(redis.get("k").await.expect("reads go on").as_deref(), Some(&b"v"[..]));
    assert!(redis.delete("k").await.expect("and so do removals"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_refuses_writes() {
    let master = RedisServer::with().arg("repl-diskless-sync-delay", 0).start();
    let replica = RedisServer::with().replica_of(&master).start();
    let redis = connect(&replica.url());
    check_kind(&refused(redis.set("k", "v", None, Mode::Always)).await, ErrorKind::Rejected(Rejection::ReadOnly));
    // The connection is left in search of the master; promoted, the server takes writes within a moment.
    assert_eq!(replica.cli(&["REPLICAOF", "NO", "ONE"]).text(), "OK");
    recovers(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_loads_says_so_until_it_has_loaded() {
    let is_loading = Arc::new(AtomicBool::new(true));
    let loading = Arc::clone(&is_loading);
    let server = FakeRedis::start(move |command| match command.name() {
        "HELLO" | "CLIENT" | "INFO" => None, // allowed while it loads
        _ if !loading.load(Ordering::SeqCst) => None,
        _ => Some(Answer::Say(b"-LOADING Redis is loading the dataset in memory\r\n".to_vec())),
    })
    .await;
    let redis = connect(&server.url());
    for _ in 0..5 {
        check_kind(&refused(redis.get("k")).await, ErrorKind::Rejected(Rejection::Loading));
        sleep(ms(50)).await;
    }
    is_loading.store(false, Ordering::SeqCst);
    eventually("it has loaded", async || redis.get("k").await.is_ok_and(|found| found.is_none())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_never_ends_makes_the_server_busy() {
    let server = RedisServer::with().arg("lua-time-limit", 50).start();
    let redis = connect(&server.url());
    round_trip(&redis).await;
    let error = refused(redis.run(&FOREVER, &["k"], &[])).await;
    assert!(error.kind().may_have_happened(), "{error}");
    let busy = ErrorKind::Rejected(Rejection::Busy);
    eventually("callers are told why", async || redis.get("k").await.is_err_and(|error| error.kind() == busy)).await;
    assert_eq!(server.cli(&["SCRIPT", "KILL"]).text(), "OK");
    recovers(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_of_another_type_is_a_miss_to_readers_and_an_error_to_scripts() {
    let server = RedisServer::start();
    let redis = connect(&server.url());
    assert_eq!(server.cli(&["RPUSH", "list", "item"]).int(), 1);
    assert_eq!(redis.get("list").await.expect("a miss"), None);
    assert_eq!(redis.get_many(&["list", "nothing"]).await.expect("misses"), [None, None]);
    let wrong = ErrorKind::Rejected(Rejection::WrongType);
    check_kind(&refused(redis.run(&INCREMENT, &["list"], &[])).await, wrong);
    assert_eq!(server.cli(&["SET", "text", "written by hand"]).text(), "OK");
    assert_eq!(redis.get("text").await.expect("a miss"), None);
    assert_eq!(server.cli(&["SCRIPT", "FLUSH"]).text(), "OK");
    assert_eq!(redis.run(&INCREMENT, &["n"], &[]).await.expect("loaded again").as_int(), Some(1));
}

// === What is no Redis ===

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_accepts_and_says_nothing_costs_one_deadline() {
    let server = FakeRedis::start(|_| Some(Answer::Silence)).await;
    let redis = connect(&server.url());
    for _ in 0..3 {
        check_kind(&refused(redis.get("k")).await, ErrorKind::Unavailable);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_speaks_another_protocol_or_hangs_up_is_unavailable() {
    let http = FakeRedis::start(|_| Some(Answer::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()))).await;
    let hangs_up = FakeRedis::start(|_| Some(Answer::HangUp)).await;
    for url in [http.url(), hangs_up.url()] {
        let redis = connect(&url);
        for _ in 0..3 {
            let error = refused(redis.get("k")).await;
            assert!(!error.kind().may_have_happened(), "nothing was sent: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_its_proof_is_not_believed() {
    // Where the nonce should stand, something else does.
    let is_set = AtomicBool::new(false);
    let server = FakeRedis::start(move |command| match command.name() {
        "SET" => {
            is_set.store(true, Ordering::SeqCst);
            None
        }
        "PING" if is_set.load(Ordering::SeqCst) => Some(Answer::Say(b"$3\r\nbt-\r\n".to_vec())),
        _ => None,
    })
    .await;
    let redis = connect(&server.url());
    eventually("it is open", async || redis.get("k").await.is_ok()).await;
    let error = refused(redis.set("k", "v", None, Mode::Always)).await;
    assert_eq!(error.kind(), ErrorKind::Unproven, "{error}");
}

/// A frame that nobody counted comes just ahead of a script's answer, on a quiet connection: the client takes it for the
/// answer, drops the answer if the nonce is not under way yet, and then finds the nonce in its place. More threads than
/// cores, so that some are held up between sending the one and the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_stray_frame_ahead_of_an_answer_is_never_believed() {
    let server = FakeRedis::start(|command| match command.name() {
        "EVALSHA" => Some(Answer::Say(b"$5\r\nwrong\r\n$5\r\nright\r\n".to_vec())),
        _ => None,
    })
    .await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let url = server.url();
        callers.spawn(async move {
            let mut believed = 0;
            for _ in 0..100 {
                let redis = connect(&url);
                while !redis.is_up() {
                    sleep(ms(1)).await;
                }
                believed += usize::from(redis.run(&INCREMENT, &["k"], &[]).await.is_ok());
            }
            believed
        });
    }
    let believed: usize = callers.join_all().await.into_iter().sum();
    assert_eq!(believed, 0, "believed answers that answer nothing, of 1600");
}

// === Helpers ===

/// The error of a call that must fail, and within its deadline.
async fn refused<T: std::fmt::Debug>(call: impl Future<Output = Result<T, Error>>) -> Error {
    let began = Instant::now();
    let error = call.await.expect_err("a refusal");
    assert!(began.elapsed() <= DEADLINE + SLACK, "{:?} for {error}", began.elapsed());
    error
}

#[track_caller]
fn check_kind(error: &Error, expected: ErrorKind) {
    assert_eq!(error.kind(), expected, "{error}");
}

async fn round_trip(redis: &Redis) {
    recovers(redis).await;
    assert_eq!(redis.get("k").await.expect("answered").as_deref(), Some(&b"v"[..]));
}

async fn recovers(redis: &Redis) {
    eventually("a write succeeds", async || redis.set("k", "v", None, Mode::Always).await.is_ok()).await;
}

async fn check_away(redis: &Redis) {
    let away = async || redis.get("k").await.is_err_and(|error| error.kind() == ErrorKind::Unavailable);
    eventually("callers are told that it is away", away).await;
}

async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..150 {
        if is_so().await {
            return;
        }
        sleep(ms(20)).await;
    }
    panic!("not within three seconds: {what}");
}

fn connect(url: &str) -> Redis {
    options().connect(url).expect("the URL is good")
}

fn options() -> RedisOptions {
    Redis::options().deadline(DEADLINE)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
