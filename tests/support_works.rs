//! The support's own promises: a private server lives and dies with its test.

use std::path::Path;

use buttress_tests::RedisServer;

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
    let mut line = buttress_tests::Resp::tcp(redis.addr()).expect("the kernel accepts for a stopped process");
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
