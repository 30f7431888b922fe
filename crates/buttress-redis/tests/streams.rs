//! Streams, and what waits for replicas, against a real server.

use std::time::Duration;

use buttress_redis::{Consumer, Error, ErrorKind, Redis, Rejection, Reply, Script, StreamEntry, StreamId};
use buttress_tests::{Answer, FakeRedis, RedisCluster, RedisServer};
use bytes::Bytes;
use tokio::time::Instant;

/// KEYS: the stream. ARGV: the value. Returns: the entry's id.
static ADD: Script = Script::new("add", "return redis.call('XADD', KEYS[1], '*', 'v', ARGV[1])");
const NOW: Option<Duration> = None;
const LONG: Option<Duration> = Some(Duration::from_secs(10));

/// With a deadline for a busy machine.
fn connect(url: &str) -> Redis {
    Redis::options().deadline(Duration::from_millis(300)).connect(url).unwrap()
}

fn id(millis: u64, seq: u64) -> StreamId {
    StreamId { millis, seq }
}

/// Adds an entry with one field, behind the wire's back.
#[track_caller]
fn add(server: &RedisServer, id: &str, value: &str) {
    assert_eq!(server.cli(&["xadd", "log", id, "v", value]).text(), id);
}

/// The values of entries of one field.
fn values(entries: &[StreamEntry]) -> Vec<String> {
    let value = |entry: &StreamEntry| {
        let [(name, value)] = &entry.fields[..] else { panic!("{entry:?}") };
        assert_eq!(name, "v");
        String::from_utf8_lossy(value).into_owned()
    };
    entries.iter().map(value).collect()
}

#[track_caller]
fn check<T: std::fmt::Debug>(result: Result<T, Error>, expected: ErrorKind) {
    let error = result.expect_err("an error");
    assert_eq!(error.kind(), expected, "{error}");
}

/// Reads again until it succeeds, for five seconds.
async fn recovered(consumer: &mut Consumer) -> Vec<StreamEntry> {
    let asked = Instant::now();
    loop {
        match consumer.read("log", StreamId::ZERO, 10, NOW).await {
            Ok(found) => return found,
            Err(error) => assert!(asked.elapsed() < Duration::from_secs(5), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Returns once the server holds back so many answers.
async fn blocked(server: &RedisServer, count: u32) {
    for _ in 0..1000 {
        if server.info("blocked_clients") == Some(count.to_string()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not {count} wait at the server");
}

/// The number of the consumer's connection.
fn consumer_id(server: &RedisServer) -> String {
    let list = server.cli(&["client", "list"]).text();
    let line = list.lines().find(|line| line.contains("name=buttress:consumer")).expect("a consumer");
    line.split(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn entries_are_read_in_order_from_any_place() {
    let server = RedisServer::start();
    let mut consumer = connect(&server.url()).consumer();
    assert_eq!(consumer.read("log", StreamId::ZERO, 10, NOW).await.unwrap(), []);
    for (id, value) in [("5-0", "a"), ("5-1", "b"), ("7-0", "c")] {
        add(&server, id, value);
    }
    let all = consumer.read("log", StreamId::ZERO, 10, NOW).await.unwrap();
    assert_eq!(all.iter().map(|entry| entry.id).collect::<Vec<_>>(), [id(5, 0), id(5, 1), id(7, 0)]);
    assert_eq!(values(&all), ["a", "b", "c"]);
    assert_eq!(values(&consumer.read("log", id(5, 0), 10, LONG).await.unwrap()), ["b", "c"]);
    assert_eq!(values(&consumer.read("log", id(5, 7), 10, NOW).await.unwrap()), ["c"]);
    assert_eq!(values(&consumer.read("log", StreamId::ZERO, 2, NOW).await.unwrap()), ["a", "b"]);
    assert_eq!(values(&consumer.read("log", StreamId::ZERO, 0, NOW).await.unwrap()), ["a"], "no limit at all");
    assert_eq!(consumer.read("log", id(7, 0), 10, NOW).await.unwrap(), []);
}

#[tokio::test]
async fn fields_come_as_they_were_written() {
    let server = RedisServer::start();
    let mut consumer = connect(&server.url()).consumer();
    let binary: &[u8] = b"\x00\xff\r\n$-1\r\n";
    let written: [&[u8]; 9] = [b"xadd", b"log", b"1-1", b"a", binary, b"a", b"", binary, b"QUEUED"];
    assert_eq!(server.cli(&written).text(), "1-1");
    let found = consumer.read("log", StreamId::ZERO, 1, NOW).await.unwrap();
    let fields: Vec<_> = found[0].fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    assert_eq!(fields, [(&b"a"[..], binary), (b"a", b""), (binary, b"QUEUED")]);
}

#[tokio::test]
async fn a_reader_waits_for_the_next_entry_and_is_not_probed() {
    let server = RedisServer::start();
    let redis = Redis::options().deadline(Duration::from_millis(100)).connect(&server.url()).unwrap();
    let mut consumer = redis.consumer();
    let asked = Instant::now();
    assert_eq!(consumer.read("log", StreamId::ZERO, 10, Some(Duration::from_millis(100))).await.unwrap(), []);
    assert!(asked.elapsed() >= Duration::from_millis(100));
    assert_eq!(consumer.read("log", StreamId::ZERO, 10, Some(Duration::ZERO)).await.unwrap(), [], "not for ever");

    let client = consumer_id(&server);
    let waiting = tokio::spawn(async move {
        let found = consumer.read("log", StreamId::ZERO, 10, Some(Duration::MAX)).await;
        (consumer, found)
    });
    blocked(&server, 1).await;
    // Longer than it takes to leave a connection that is silent to probes.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let added = Instant::now();
    redis.run(&ADD, &["log"], &["x".into()]).await.unwrap();
    let (mut consumer, found) = waiting.await.unwrap();
    assert_eq!(values(&found.unwrap()), ["x"]);
    assert!(added.elapsed() < Duration::from_millis(500), "{:?}", added.elapsed());
    assert_eq!(consumer.run(&ADD, &["log"], &["y".into()]).await.unwrap().into_bytes().map(|_| ()), Some(()));
    assert_eq!(consumer_id(&server), client, "the connection was given up");
}

#[tokio::test]
async fn a_key_of_another_type_is_refused() {
    let server = RedisServer::start();
    let mut consumer = connect(&server.url()).consumer();
    assert_eq!(server.cli(&["set", "log", "text"]).text(), "OK");
    for wait in [NOW, LONG] {
        let found = consumer.read("log", StreamId::ZERO, 10, wait).await;
        check(found, ErrorKind::Rejected(Rejection::WrongType));
    }
    assert_eq!(consumer.read("other", StreamId::ZERO, 10, NOW).await.unwrap(), []);
}

#[tokio::test]
async fn a_script_is_loaded_over_the_same_connection() {
    static SUM: Script = Script::new("sum", "return redis.call('INCRBY', KEYS[1], ARGV[1])");
    let server = RedisServer::start();
    let mut consumer = connect(&server.url()).consumer();
    let three = [Bytes::from_static(b"3")];
    assert_eq!(consumer.run(&SUM, &["sum"], &three).await.unwrap(), Reply::Int(3));
    assert_eq!(server.cli(&["script", "flush"]).text(), "OK");
    assert_eq!(consumer.run(&SUM, &["sum"], &three).await.unwrap(), Reply::Int(6));
    assert_eq!(server.cli(&["lpush", "list", "x"]).int(), 1);
    check(consumer.run(&SUM, &["list"], &three).await, ErrorKind::Rejected(Rejection::WrongType));
}

#[tokio::test]
async fn a_server_that_hangs_during_a_wait_costs_the_deadline_and_is_read_again() {
    let server = RedisServer::start();
    let mut consumer = connect(&server.url()).consumer();
    recovered(&mut consumer).await;
    let wait = Duration::from_millis(400);
    let asked = Instant::now();
    let (found, ()) = tokio::join!(consumer.read("log", StreamId::ZERO, 10, Some(wait)), async {
        blocked(&server, 1).await;
        server.stop();
    });
    check(found, ErrorKind::TimedOut);
    assert!((wait..wait + Duration::from_secs(1)).contains(&asked.elapsed()), "{:?}", asked.elapsed());

    let asked = Instant::now();
    check(consumer.read("log", StreamId::ZERO, 10, LONG).await, ErrorKind::Unavailable);
    assert!(asked.elapsed() < Duration::from_millis(100), "{:?}", asked.elapsed());
    server.cont();
    add(&server, "1-0", "x");
    assert_eq!(values(&recovered(&mut consumer).await), ["x"]);
}

#[tokio::test]
async fn a_server_that_is_killed_during_a_wait_ends_it_and_is_found_again() {
    let server = RedisServer::start();
    let mut consumer = connect(&server.url()).consumer();
    recovered(&mut consumer).await;
    let (found, killed) = tokio::join!(consumer.read("log", StreamId::ZERO, 10, LONG), async {
        blocked(&server, 1).await;
        server.kill();
        Instant::now()
    });
    check(found, ErrorKind::Disconnected);
    assert!(killed.elapsed() < Duration::from_secs(1), "{:?}", killed.elapsed());
    server.restart();
    add(&server, "1-0", "x");
    assert_eq!(values(&recovered(&mut consumer).await), ["x"]);
}

#[tokio::test]
async fn a_master_that_becomes_a_replica_ends_a_wait() {
    let server = RedisServer::start();
    let mut consumer = connect(&server.url()).consumer();
    let (found, replaced) = tokio::join!(consumer.read("log", StreamId::ZERO, 10, LONG), async {
        blocked(&server, 1).await;
        assert_eq!(server.cli(&["replicaof", "127.0.0.1", "1"]).text(), "OK");
        Instant::now()
    });
    check(found, ErrorKind::Disconnected);
    assert!(replaced.elapsed() < Duration::from_secs(1), "{:?}", replaced.elapsed());
}

#[tokio::test]
async fn a_wait_that_is_dropped_is_over_at_the_server_too() {
    let server = RedisServer::start();
    let redis = connect(&server.url());
    let mut consumer = redis.consumer();
    tokio::select! {
        taken = consumer.take("jobs", Duration::from_secs(60)) => panic!("{taken:?}"),
        () = blocked(&server, 1) => {}
    }
    blocked(&server, 0).await;
    redis.push("jobs", "one").await.unwrap();
    assert_eq!(recovered(&mut consumer).await, []);
    let taken = consumer.take("jobs", Duration::from_secs(10)).await.unwrap();
    assert_eq!(taken.as_deref(), Some(&b"one"[..]), "it was lost to a wait that nobody needs");
}

#[tokio::test]
async fn an_answer_of_another_shape_is_not_believed() {
    let answers: [(&'static [u8], ErrorKind); 4] = [
        (b"%1\r\n$3\r\nlog\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*1\r\n$1\r\nv\r\n", ErrorKind::Malformed),
        (b"%1\r\n$5\r\nother\r\n*0\r\n", ErrorKind::Malformed),
        (b"+OK\r\n", ErrorKind::Malformed),
        (b"_\r\n_\r\n", ErrorKind::Unproven),
    ];
    for (answer, expected) in answers {
        let server = FakeRedis::start(move |command| match command.name() {
            "XREAD" => Some(Answer::Say(answer.to_vec())),
            _ => None,
        })
        .await;
        let mut consumer = connect(&server.url()).consumer();
        check(consumer.read("log", StreamId::ZERO, 10, LONG).await, expected);
    }
}

#[tokio::test]
async fn replicas_are_counted_once_they_have_the_write() {
    let server = RedisServer::with().arg("repl-diskless-sync-delay", 0).start();
    let mut consumer = connect(&server.url()).consumer();
    let brief = Duration::from_millis(100);
    check(consumer.wait_for_replicas(1, brief).await, ErrorKind::Disconnected);
    consumer.run(&ADD, &["log"], &["x".into()]).await.unwrap();
    let asked = Instant::now();
    assert_eq!(consumer.wait_for_replicas(1, brief).await.unwrap(), 0);
    assert!(asked.elapsed() >= brief);

    let replica = RedisServer::with().replica_of(&server).start();
    while replica.info("master_link_status").as_deref() != Some("up") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    consumer.run(&ADD, &["log"], &["y".into()]).await.unwrap();
    assert_eq!(consumer.wait_for_replicas(1, Duration::from_secs(10)).await.unwrap(), 1);
    assert_eq!(replica.cli(&["xlen", "log"]).int(), 2);
    assert_eq!(consumer.wait_for_replicas(2, brief).await.unwrap(), 1);

    replica.stop();
    consumer.run(&ADD, &["log"], &["z".into()]).await.unwrap();
    assert_eq!(consumer.wait_for_replicas(1, brief).await.unwrap(), 0, "it does not have the write");
    replica.cont();
}

#[tokio::test]
async fn replicas_are_not_counted_for_the_writes_of_a_connection_that_is_gone() {
    let server = RedisServer::start();
    let mut consumer = connect(&server.url()).consumer();
    consumer.run(&ADD, &["log"], &["x".into()]).await.unwrap();
    let client = consumer_id(&server);
    assert_eq!(server.cli(&["client", "kill", "id", client.trim_start_matches("id=")]).int(), 1);
    recovered(&mut consumer).await;
    check(consumer.wait_for_replicas(0, Duration::from_millis(10)).await, ErrorKind::Disconnected);
}

#[tokio::test]
async fn a_cluster_s_streams_are_read_and_waited_for_on_their_nodes() {
    let cluster = RedisCluster::start(3, 0);
    let redis = connect(&cluster.url());
    let mut consumer = redis.consumer();
    for number in 0..10 {
        let stream = format!("log:{number}");
        let waiting = async { consumer.read(&stream, StreamId::ZERO, 10, LONG).await };
        let adding = async { redis.run(&ADD, &[&stream], &[Bytes::from(stream.clone())]).await };
        let (found, added) = tokio::join!(waiting, adding);
        added.unwrap();
        assert_eq!(values(&found.unwrap()), [stream.as_str()]);
        consumer.run(&ADD, &[&stream], &["x".into()]).await.unwrap();
        assert_eq!(consumer.wait_for_replicas(0, Duration::from_secs(1)).await.unwrap(), 0);
    }
}
