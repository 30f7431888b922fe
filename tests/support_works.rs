//! The support's own promises: a private server lives and dies with its test.

use std::path::Path;
use std::time::Duration;

use buttress_tests::body::{self, Scripted};
use buttress_tests::{Answer, Certificates, CuttingProxy, FakeRedis, RedisCluster, RedisSentinel, RedisServer, Resp};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[test]
fn a_killed_server_comes_back_empty_on_its_port() {
    let redis = RedisServer::start();
    let port = redis.port();
    assert_eq!(redis.cli(&["SET", "k", "v"]).text(), "OK");
    redis.kill();
    assert!(redis.line().is_err());
    redis.restart();
    assert_eq!(redis.port(), port);
    assert_eq!(redis.cli(&["DBSIZE"]).int(), 0);
}

#[test]
fn a_stopped_server_answers_after_it_goes_on() {
    let redis = RedisServer::with().password("secret").start();
    redis.stop();
    let mut line = Resp::tcp(redis.addr()).expect("the kernel accepts for a stopped process");
    redis.cont();
    assert_eq!(line.ask(&["AUTH", "secret"]).expect("it goes on").text(), "OK");
    assert!(redis.info("redis_version").is_some());
}

#[test]
fn a_panicking_test_leaks_no_server() {
    let told = std::sync::Mutex::new(None);
    let outcome = std::panic::catch_unwind(|| {
        let redis = RedisServer::start();
        *told.lock().expect("one thread") = Some((redis.pid().expect("running"), redis.dir().to_owned()));
        panic!("on purpose");
    });
    assert!(outcome.is_err());
    let (pid, dir) = told.into_inner().expect("one thread").expect("the server ran");
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!dir.exists());
}

#[test]
fn a_tls_server_has_no_plain_port() {
    let certs = Certificates::new();
    let redis = RedisServer::with().tls(&certs.ca(), &certs.cert(), &certs.key()).start();
    assert_eq!(redis.cli(&["PING"]).text(), "PONG");
    assert!(redis.url().starts_with("rediss://localhost:"));
    let plain = Resp::tcp(redis.addr()).and_then(|mut line| line.ask(&["PING"]));
    assert!(plain.is_err(), "{plain:?}");
}

#[test]
fn a_cluster_sends_clients_on_while_a_slot_migrates() {
    let cluster = RedisCluster::start(3, 0);
    let (key, slot) = ("{tag}:1", cluster.slot("{tag}:1"));
    let (from, to) = (cluster.owner(slot), (cluster.owner(slot) + 1) % 3);
    assert_eq!(cluster.nodes()[from].cli(&["SET", key, "v"]).text(), "OK");

    cluster.begin_migration(slot, from, to);
    assert_eq!(cluster.migrate_keys(slot, from, to, 10), 1);
    assert!(cluster.nodes()[from].cli(&["GET", key]).text().starts_with("ASK "));
    cluster.finish_migration(slot, to);
    assert_eq!(cluster.nodes()[to].cli(&["GET", key]).text(), "v");
    assert!(cluster.nodes()[from].cli(&["GET", key]).text().starts_with("MOVED "));
}

#[test]
fn a_sentinel_promotes_the_replica_of_a_hung_master() {
    let group = RedisSentinel::start();
    assert_eq!(group.master_port(), group.master().port());
    group.master().stop();
    for _ in 0..300 {
        if group.has_failed_over() && group.master_port() == group.replica().port() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no failover within six seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_line_loses_the_reply_of_an_executed_command() {
    let redis = RedisServer::start();
    let proxy = CuttingProxy::start(redis.addr()).await;
    let addr = proxy.addr();
    let ask = move |command: &'static [&'static str]| {
        tokio::task::spawn_blocking(move || Resp::tcp(addr).and_then(|mut line| line.ask(command)))
    };
    proxy.cut_after("INCR");
    assert!(ask(&["GET", "n"]).await.expect("joined").is_ok());
    assert!(ask(&["INCR", "n"]).await.expect("joined").is_err());
    assert_eq!((proxy.cuts(), redis.cli(&["GET", "n"]).text()), (1, "1".to_owned()));

    proxy.refuse().await;
    assert!(ask(&["GET", "n"]).await.expect("joined").is_err());
    proxy.accept().await;
    assert!(ask(&["GET", "n"]).await.expect("joined").is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_takes_the_lines_that_exist_and_no_others() {
    let redis = RedisServer::start();
    let proxy = CuttingProxy::start(redis.addr()).await;
    let mut old = TcpStream::connect(proxy.addr()).await.expect("accepted");
    let mut answer = [0; 7];
    old.write_all(b"PING\r\n").await.expect("written");
    old.read_exact(&mut answer).await.expect("answered");

    proxy.swallow_existing();
    old.write_all(b"PING\r\n").await.expect("still accepted");
    assert!(tokio::time::timeout(Duration::from_millis(100), old.read(&mut answer)).await.is_err());
    let mut new = TcpStream::connect(proxy.addr()).await.expect("accepted");
    new.write_all(b"PING\r\n").await.expect("written");
    new.read_exact(&mut answer).await.expect("answered");
    assert_eq!(&answer, b"+PONG\r\n");
}

#[tokio::test]
async fn a_fake_says_what_it_is_told_and_else_the_usual() {
    let fake = FakeRedis::start(|command| match command.name() {
        "GET" => Some(Answer::Say(b"-LOADING\r\n".to_vec())),
        _ => None,
    })
    .await;
    let addr = fake.url().trim_start_matches("redis://").parse().expect("an address");
    let said = tokio::task::spawn_blocking(move || {
        let mut line = Resp::tcp(addr)?;
        Ok::<_, std::io::Error>((line.ask(&["ping"])?.text(), line.ask(&["GET", "k"])?.text()))
    });
    assert_eq!(said.await.expect("joined").expect("answered"), ("PONG".to_owned(), "LOADING".to_owned()));
    assert_eq!(fake.commands(), 2);
}

#[tokio::test]
async fn bodies_do_what_they_promise() {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("checksum", http::HeaderValue::from_static("1"));
    let whole = body::collect(http::Response::new(Scripted::of(["a", "b"]).trailers(trailers.clone()))).await;
    assert_eq!((&whole.1[..], whole.2), (&b"ab"[..], Some(trailers)));
    assert_eq!(Scripted::of(["a", "b"]).size_hint().exact(), Some(2));
    assert_eq!(Scripted::of(["a", "b"]).hides_length().size_hint().exact(), None);
    assert!(Scripted::of(["a"]).breaks().collect().await.is_err());

    let (tap, slow) = body::slow();
    assert!(tap.data("x") && tap.breaks());
    assert!(slow.collect().await.is_err());
    tap.abandoned().await;
    assert!(!tap.data("y"));
}
