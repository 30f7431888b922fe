//! How it starts and how it ends.

use rustix::process::Signal;

use crate::support::{Gateway, Line, Upstream, refused, response};

#[test]
fn a_bad_configuration_is_one_line_and_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    let file = |text: &str| {
        let path = dir.path().join(format!("{}.toml", text.len()));
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let taken = Upstream::new();
    let taken = taken.url().replace("http://", "");
    let typo = file("listn = \"127.0.0.1:0\"\n");
    let kind = file("[cache]\ncapacity = \"lots\"\n");
    let time = file("grace = -1\n");
    let route = file("[[route]]\npath = \"no-slash\"\n");
    for (args, named) in [
        (&["--listen", "999"][..], "\"999\""),
        (&["--listen", &taken], &taken),
        (&["--upstream", "ftp://x"], "ftp://x"),
        (&["--upstream", "http://127.0.0.1:9/base"], "/base"),
        (&["--redis", "gopher://x"], "gopher://x"),
        (&["--admin", "0.0.0.0:1"], "--admin-token"),
        (&["--workers", "none"], "none"),
        (&["--tls-cert", "/nowhere.pem"], "--tls-key"),
        (&["--config", "/nowhere.toml"], "/nowhere.toml"),
        (&["--config", &typo], ":1: \"listn"),
        (&["--config", &kind], ":2: \"capacity"),
        (&["--config", &time], ":1: \"grace = -1\""),
        (&["--config", &route], "no-slash"),
    ] {
        let (code, message) = refused(args);
        assert_eq!(code, Some(2), "{args:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{args:?}: {message}");
        assert!(message.starts_with("gateway: ") && message.contains(named), "{args:?}: {message}");
    }
}

#[test]
fn what_is_in_flight_is_finished_before_the_end() {
    let upstream = Upstream::new();
    let mut gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    client.say("GET /slow HTTP/1.1\r\nhost: a.example\r\n\r\n");
    let mut inner = upstream.accept();
    inner.head().unwrap();
    gateway.signal(Signal::TERM);
    // It listens no longer once the signal has arrived.
    while std::net::TcpStream::connect(gateway.address).is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    inner.say(response("200 OK", "", "late"));
    assert_eq!(client.message().text(), "late");
    assert_eq!(gateway.end(), Some(0));
}

#[test]
fn the_grace_period_ends_what_does_not() {
    let upstream = Upstream::new();
    let url = upstream.url();
    let mut gateway = Gateway::start(&["--upstream", &url, "--grace", "0"]);
    let mut client = gateway.connect();
    client.say("GET /slow HTTP/1.1\r\nhost: a.example\r\n\r\n");
    let _inner: Line = upstream.accept();
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.end(), Some(0));
}

#[test]
fn without_an_upstream_the_demo_answers() {
    let gateway = Gateway::start(&[]);
    assert_eq!(gateway.get("/", "").status(), 200);
    let first = gateway.get("/products/1", "");
    let second = gateway.get("/products/1", "");
    assert_eq!((first.is_hit(), second.is_hit()), (false, true));
    assert_eq!(first.body, second.body);
}
