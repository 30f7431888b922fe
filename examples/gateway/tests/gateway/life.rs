//! How it starts and how it ends.

use std::process::Command;

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
fn the_file_that_the_readme_shows_is_taken() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```toml\n").unwrap();
    let (file, _) = rest.split_once("```").unwrap();
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&path, file.replace("127.0.0.1:8081", "127.0.0.1:0").replace(":6379", ":1")).unwrap();
    let gateway = Gateway::start(&["--config", path.path().to_str().unwrap()]);
    let reply = gateway.get("/", "");
    assert_eq!(reply.status(), 502, "nobody is at its upstream: {}", reply.text());
}

#[test]
fn without_an_upstream_the_demo_answers() {
    let gateway = Gateway::start(&[]);
    let page = gateway.get("/", "");
    let page = page.text();
    assert!(page.contains("curl -si http://a.example/products/1\n"), "the lines lead to where the page was asked for");
}

/// Each line is run as it is printed, and what it prints has all of these, in this order.
#[test]
fn every_line_to_try_does_what_it_says() {
    let gateway = Gateway::start(&[]);
    let page = gateway.get("/", "").text().replace("a.example", &gateway.address.to_string());
    let commands: Vec<_> = page.lines().filter(|line| line.contains("curl")).collect();
    let expected: [(&str, &[&str]); 21] = [
        ("/products/1", &["200 OK", "fwd=uri-miss", "{\"id\":1,\"made\":1,"]),
        ("If-None-Match", &["304 Not Modified", "Buttress; hit"]),
        ("-X POST", &["\"made\":1,\"price\":12}", "200 OK", "fwd=", "\"made\":2,\"price\":13}"]),
        ("Accept-Language", &["fwd=", "Bonjour", "fwd=vary-miss", "Guten Tag", "Buttress; hit", "Guten Tag"]),
        ("Range", &["206 Partial Content", "Buttress; hit", "content-range: bytes 0-31/4194304", "\r\n\r\nabcdef"]),
        ("-sI", &["document.title", "200 OK", "content-length: 29", "Buttress; hit"]),
        ("plain.css", &["sans-serif", "200 OK", "fwd-status=304", "sans-serif"]),
        ("xargs", &["report number 1\n"; 20]),
        ("/flaky", &["fwd=uri-miss", "answer number 1", "200 OK", "age: ", "fwd-status=503", "answer number 1"]),
        ("/private", &["visit number 1", "visit number 2"]),
        ("only-if-cached", &["504 Gateway Timeout"]),
        ("/account", &["401 Unauthorized", "www-authenticate: Bearer\r\n"]),
        ("/auth/login", &["200 OK", "the account of ada"]),
        ("/auth/refresh", &["200 OK", "__Secure-refresh_token=ey", "; Path=/auth; Secure; HttpOnly"]),
        ("/auth/logout", &["204 No Content", "Max-Age=0", "401 Unauthorized", "invalid_token"]),
        (
            "visitor",
            &[
                "200 OK",
                "cache-control: no-store",
                "set-cookie: __Host-sid=",
                "number 1\n",
                "200 OK",
                "private",
                "number 2\n",
            ],
        ),
        ("-b visitor", &["number 23\n"]),
        ("/visits/forget", &["200 OK", "Max-Age=0", "never met", "number 1\n"]),
        (
            "/dashboard/api/overview",
            &[
                "\"requests\":{\"total\":",
                "\"hits\":",
                "\"route\":\"/products\"",
                "\"price changed\"",
                "\"product made\"",
            ],
        ),
        ("/dashboard/live", &["retry: 1000\n\n", "event: overview\ndata: {\"version\":1,"]),
        ("/products/1001", &["404 Not Found", "fwd=uri-miss", "404 Not Found", "Buttress; hit"]),
    ];
    assert_eq!(commands.len(), expected.len());
    let dir = tempfile::tempdir().expect("a place for the jar");
    for (command, (mark, parts)) in commands.into_iter().zip(expected) {
        assert!(command.contains(mark), "{mark} is not in {command}");
        let output =
            Command::new("sh").args(["-c", command]).current_dir(dir.path()).output().expect("sh and curl are there");
        let text = String::from_utf8_lossy(&output.stdout);
        let mut rest = &*text;
        for part in parts {
            let at = rest.find(part).unwrap_or_else(|| panic!("{command}\nhas no {part} in {rest}\nof {text}"));
            rest = &rest[at + part.len()..];
        }
    }
}
