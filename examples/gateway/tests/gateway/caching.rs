//! The main job: a cache in front of a service, in this process or in Redis.

use buttress_tests::RedisServer;

use crate::support::{Gateway, Upstream, entries, response};

#[test]
fn the_second_request_is_answered_from_the_store() {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let requests =
        upstream.answering(|_| response("200 OK", "cache-control: max-age=60\r\netag: \"v1\"\r\n", "0123456789"));
    let first = gateway.get("/x", "");
    assert_eq!((first.status(), first.text(), first.is_hit()), (200, "0123456789", false));
    let second = gateway.get("/x", "");
    assert_eq!((second.status(), second.text(), second.is_hit()), (200, "0123456789", true));
    assert!(second.field("age").is_some());
    assert_eq!(gateway.get("/x", "if-none-match: \"v1\"\r\n").status(), 304);
    let part = gateway.get("/x", "range: bytes=2-4\r\n");
    assert_eq!((part.status(), part.text(), part.field("content-range")), (206, "234", Some("bytes 2-4/10")));
    let mut line = gateway.connect();
    line.say("HEAD /x HTTP/1.1\r\nhost: a.example\r\n\r\n");
    let head = line.head().unwrap();
    assert_eq!((head.status(), head.field("content-length"), head.is_hit()), (200, Some("10"), true));
    assert_eq!(requests.try_iter().count(), 1);
    assert!(!gateway.ask("GET /x HTTP/1.1\r\nhost: b.example\r\n\r\n").is_hit(), "another host, another key");
}

#[test]
fn an_entry_in_redis_outlives_the_gateway() {
    let redis = RedisServer::start();
    let upstream = Upstream::new();
    let url = upstream.url();
    let requests = upstream.answering(|_| response("200 OK", "cache-control: max-age=60\r\n", "body"));
    let arguments = ["--upstream", &url, "--redis", &redis.url()];
    let mut first = Gateway::start(&arguments);
    // Until the connection stands, misses are not written; keep asking until one was.
    for number in 0.. {
        first.get(&format!("/{number}"), "");
        if entries(&redis) > 0 {
            break;
        }
        assert!(number < 1000, "nothing reaches Redis");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    first.get("/kept", "");
    first.signal(rustix::process::Signal::TERM);
    assert_eq!(first.end(), Some(0));
    let before = requests.try_iter().count();
    let second = Gateway::start(&arguments);
    let found = (0..1000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        second.get("/kept", "").is_hit()
    });
    assert!(found && before > 0);
    let asked = requests.try_iter().filter(|request| request.start.contains("/kept")).count();
    assert!(asked <= 1, "asked again {asked} times: only while Redis was being connected");
}

#[test]
fn routes_have_rules_of_their_own() {
    let upstream = Upstream::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    std::fs::write(
        &file,
        format!(
            "upstream = \"{}\"\n[[route]]\npath = \"/never\"\ncache = false\n[[route]]\npath = \"/silent\"\ndefault_ttl = 60\n",
            upstream.url()
        ),
    )
    .unwrap();
    let gateway = Gateway::start(&["--config", file.to_str().unwrap()]);
    let _requests = upstream.answering(|request| {
        let silent = request.start.contains("/silent");
        response("200 OK", if silent { "" } else { "cache-control: max-age=60\r\n" }, "body")
    });
    for (path, hit) in [("/x", true), ("/never/x", false), ("/nevermore", true), ("/silent", true)] {
        gateway.get(path, "");
        assert_eq!(gateway.get(path, "").is_hit(), hit, "{path}");
    }
}

#[test]
fn a_request_is_explained_before_it_is_sent() {
    let upstream = Upstream::new();
    let url = upstream.url();
    let requests = upstream.answering(|_| {
        response("200 OK", "cache-control: max-age=60\r\nvary: accept-language\r\ncache-tag: a, b\r\n", "body")
    });
    let gateway = Gateway::start(&["--upstream", &url, "--admin", "127.0.0.1:0"]);
    let explain = |question: &str| {
        let reply = gateway.post("/explain", question, "localhost", "application/json");
        (reply.status(), reply.text().to_owned())
    };
    let question = r#"{"uri": "http://a.example/x", "headers": {"accept-language": "de"}}"#;
    let (status, before) = explain(question);
    assert_eq!(status, 200);
    assert!(before.contains(r#""outcome":"fetched","reason":"uri-miss""#), "{before}");
    gateway.get("/x", "accept-language: de\r\n");
    let (_, after) = explain(question);
    for part in [r#""outcome":"reused","reason":"fresh""#, r#""varies_on":["accept-language"]"#, r#""tags":2"#] {
        assert!(after.contains(part), "{part} in {after}");
    }
    let (_, other) = explain(r#"{"uri": "http://a.example/x", "headers": {"accept-language": "fr"}}"#);
    assert!(other.contains(r#""outcome":"fetched","reason":"vary-miss""#), "{other}");
    let (_, post) = explain(r#"{"uri": "http://a.example/x", "method": "POST"}"#);
    assert!(post.contains(r#""outcome":"forwarded","reason":"method""#), "{post}");
    for bad in [
        "{}",
        r#"{"uri": "/x"}"#,
        r#"{"uri": "http://a/", "headers": {"a b": "c"}}"#,
        r#"{"uri": "http://a/", "x": 1}"#,
    ] {
        assert_eq!(explain(bad).0, 400, "{bad}");
    }
    assert_eq!(requests.try_iter().count(), 1, "nobody else was asked");
}

#[test]
fn what_is_stored_can_be_looked_at() {
    let upstream = Upstream::new();
    let url = upstream.url();
    let _requests = upstream
        .answering(|_| response("200 OK", "cache-control: max-age=60\r\nx-kind: tea\r\nset-cookie: a=b\r\n", "body"));
    let gateway = Gateway::start(&["--upstream", &url, "--admin", "127.0.0.1:0"]);
    let peek = |question: &str| {
        let reply = gateway.post("/peek", question, "localhost", "application/json");
        (reply.status(), reply.text().trim().to_owned())
    };
    let question = r#"{"uri": "http://a.example/x"}"#;
    assert_eq!(peek(question), (200, r#"{"stored":null}"#.to_owned()));
    gateway.get("/x", "");
    assert_eq!(peek(question).1, r#"{"stored":null}"#, "what sets a cookie is not stored");
    assert_eq!(peek("{}").0, 400);

    let upstream = Upstream::new();
    let url = upstream.url();
    let _requests = upstream.answering(|_| response("200 OK", "cache-control: max-age=60\r\nx-kind: tea\r\n", "body"));
    let gateway = Gateway::start(&["--upstream", &url, "--admin", "127.0.0.1:0"]);
    gateway.get("/x", "");
    let shown = gateway.post("/peek", question, "localhost", "application/json");
    for part in [r#"["x-kind","tea"]"#, r#""length":4"#, r#""status":200"#, r#""purged_softly":false"#] {
        assert!(shown.text().contains(part), "{part} in {}", shown.text());
    }
}

#[test]
fn in_shadow_the_upstream_answers_and_what_would_have_been_wrong_is_counted() {
    let upstream = Upstream::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    let text = format!("upstream = \"{}\"\n[[route]]\npath = \"/\"\nshadow = true\n", upstream.url());
    std::fs::write(&file, text).unwrap();
    let gateway = Gateway::start(&["--config", file.to_str().unwrap(), "--admin", "127.0.0.1:0"]);
    let requests = upstream.answering(|request| {
        let text = if request.field("cookie").is_some() { "hello ann" } else { "hello" };
        response("200 OK", "cache-control: max-age=60\r\n", text)
    });
    assert_eq!(gateway.get("/x", "").text(), "hello");
    assert_eq!(gateway.get("/x", "cookie: ann\r\n").text(), "hello ann");
    assert_eq!(gateway.get("/x", "").text(), "hello");
    assert_eq!(requests.try_iter().count(), 3);
    let metrics = Gateway::get_from(gateway.admin.unwrap(), "/metrics");
    for (verdict, count) in [("leak", 1), ("same", 1)] {
        let line = format!("buttress_cache_shadow_total{{verdict=\"{verdict}\"}} {count}");
        assert!(metrics.text().contains(&line), "{line} in {}", metrics.text());
    }
}

#[test]
fn a_second_client_of_a_slow_download_reads_while_it_comes() {
    const MIB: usize = 1 << 20;
    let upstream = Upstream::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    let text = format!("upstream = \"{}\"\n[[route]]\npath = \"/\"\nmax_body = 60000000\n", upstream.url());
    std::fs::write(&file, text).unwrap();
    let gateway = Gateway::start(&["--config", file.to_str().unwrap()]);
    let ask = || {
        let mut client = gateway.connect();
        client.say("GET /file HTTP/1.1\r\nhost: a.example\r\n\r\n");
        client
    };
    let mut first = ask();
    let mut origin = upstream.accept();
    origin.head().unwrap();
    let length = 50 * MIB;
    origin.say(format!("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: {length}\r\n\r\n"));
    origin.say(vec![b'a'; MIB]);
    assert_eq!(first.head().unwrap().status(), 200);
    assert!(first.exactly(MIB) == vec![b'a'; MIB]);
    let mut second = ask();
    let head = second.head().unwrap();
    assert!(head.field("cache-status").unwrap().contains("collapsed"), "{head:?}");
    assert!(second.exactly(MIB) == vec![b'a'; MIB], "before the origin has sent more");
    std::thread::scope(|scope| {
        let reads = [&mut first, &mut second]
            .map(|client| scope.spawn(move || client.exactly(length - MIB).iter().all(|&byte| byte == b'b')));
        for _ in 1..50 {
            origin.say(vec![b'b'; MIB]);
        }
        assert!(reads.into_iter().all(|read| read.join().unwrap()));
    });
    let mut third = ask();
    assert!(third.head().unwrap().is_hit(), "and the origin was asked once");
    assert_eq!(third.exactly(length).len(), length);
}

#[test]
fn a_route_can_believe_which_parameters_do_not_matter_and_redis_hold_less() {
    let redis = RedisServer::start();
    let upstream = Upstream::new();
    let url = upstream.url();
    let file = tempfile::NamedTempFile::new().unwrap();
    let table = "[cache]\ncapacity = 0\ncompress = true\n[[route]]\npath = \"/alike\"\nno_vary_search = true\n";
    std::fs::write(&file, table).unwrap();
    let fields = "cache-control: max-age=60\r\ncontent-type: text/plain\r\nno-vary-search: params=(\"utm\")\r\n";
    let _requests = upstream.answering(move |_| response("200 OK", fields, &"0123456789".repeat(1000)));
    let config = file.path().to_str().unwrap();
    let gateway = Gateway::start(&["--upstream", &url, "--redis", &redis.url(), "--config", config]);
    // Until the connection stands, nothing is written.
    let hit = (0..1000).any(|number| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        gateway.get(&format!("/alike?utm={number}"), "").is_hit()
    });
    assert!(hit);
    gateway.get("/other?utm=1", "");
    assert!(!gateway.get("/other?utm=2", "").is_hit(), "only where the route says so");
    let keys = redis.cli(&["KEYS", "buttress:cache:v1:{??????????????????????}"]);
    assert!(keys.array().iter().all(|key| redis.cli(&["STRLEN", &key.text()]).int() < 1000));
}
