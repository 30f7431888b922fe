//! Clients that say little, and what becomes of whom at the end.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Gateway, Line, Upstream, refused, response};

/// Whether the gateway closes a connection on which this was said.
fn is_let_go(gateway: &Gateway, said: &str) -> bool {
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(said.as_bytes()).unwrap();
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::ConnectionReset, // it was closed with something unread
    }
}

#[test]
fn clients_that_do_not_go_on_are_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    std::fs::write(&file, "header_timeout = 0.2\n").unwrap();
    let gateway = Gateway::start(&["--config", file.to_str().unwrap()]);
    for said in ["", "P", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nhost: a", "GET / HTTP/1.1\r\nhost: a\r\n\r\n"] {
        assert!(is_let_go(&gateway, said), "after {said:?}");
    }
}

#[test]
fn silent_connections_do_not_hold_up_the_end() {
    let upstream = Upstream::new();
    let mut gateway = Gateway::before(&upstream);
    let requests = upstream.answering(|_| response("200 OK", "", "ok"));
    let _silent = gateway.connect();
    let mut idle = gateway.connect();
    idle.say("GET /x HTTP/1.1\r\nhost: a.example\r\n\r\n");
    assert_eq!(idle.message().status(), 200);
    requests.recv().unwrap();
    let start = tokio::time::Instant::now();
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.end(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_joined_connection_is_finished_before_the_end() {
    let upstream = Upstream::new();
    let mut gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    client.say("GET /chat HTTP/1.1\r\nhost: a.example\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n");
    let mut inner = upstream.accept();
    inner.head().unwrap();
    inner.say("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n");
    assert_eq!(client.head().unwrap().status(), 101);
    gateway.signal(Signal::TERM);
    while TcpStream::connect(gateway.address).is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
    client.say("last words");
    assert_eq!(inner.exactly(10), b"last words");
    drop((client, inner));
    assert_eq!(gateway.end(), Some(0));
}

#[test]
fn a_gateway_that_is_ending_is_not_ready() {
    let upstream = Upstream::new();
    let url = upstream.url();
    let gateway = Gateway::start(&["--upstream", &url, "--admin", "127.0.0.1:0"]);
    let ready = || {
        let mut line = Line::to(gateway.admin.unwrap());
        line.say("GET /readyz HTTP/1.1\r\nhost: a.example\r\n\r\n");
        line.message().status()
    };
    assert_eq!(ready(), 200);
    let mut client = gateway.connect();
    client.say("GET /slow HTTP/1.1\r\nhost: a.example\r\n\r\n");
    let mut inner = upstream.accept();
    inner.head().unwrap();
    gateway.signal(Signal::TERM);
    while TcpStream::connect(gateway.address).is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(ready(), 503);
    inner.say(response("200 OK", "", "late"));
    assert_eq!(client.message().text(), "late");
}

#[test]
fn heads_that_are_too_long_are_refused() {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let long = "x".repeat(70 << 10);
    let answer = gateway.ask(&format!("GET /x HTTP/1.1\r\nhost: a.example\r\nx-long: {long}\r\n\r\n"));
    assert_eq!(answer.status(), 431);
}

#[test]
fn arguments_that_make_no_sense_are_one_line_too() {
    for (args, named) in [(&["--bogus"][..], "--bogus"), (&["--listen"], "--listen"), (&["extra"], "extra")] {
        let (code, message) = refused(args);
        assert_eq!((code, message.lines().count()), (Some(2), 1), "{message}");
        assert!(message.starts_with("gateway: ") && message.contains(named), "{message}");
    }
}
