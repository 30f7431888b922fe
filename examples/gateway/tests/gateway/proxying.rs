//! A proper intermediary (RFC 9110 section 7.6): fields, streaming, upgrades, refusals.

use crate::support::{Gateway, Upstream, response};

#[test]
fn fields_of_the_connection_stay_behind_and_the_way_is_told() {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let requests = upstream.answering(|_| {
        response("200 OK", "connection: x-inner\r\nx-inner: 1\r\nx-end: 1\r\nkeep-alive: timeout=9\r\n", "body")
    });
    let answer = gateway.get("/x?y=%2F", "connection: x-hop\r\nx-hop: 1\r\nx-end: 1\r\nforwarded: for=6.6.6.6\r\n");
    let request = requests.recv().unwrap();
    assert_eq!(request.start, "GET /x?y=%2F HTTP/1.1");
    assert_eq!(request.field("host"), Some("a.example"));
    assert_eq!((request.field("x-hop"), request.field("x-end")), (None, Some("1")));
    assert_eq!(request.field("via"), Some("1.1 gateway"));
    assert_eq!(request.field("forwarded"), Some("for=127.0.0.1;host=\"a.example\";proto=http"));
    assert_eq!((answer.field("x-inner"), answer.field("keep-alive"), answer.field("x-end")), (None, None, Some("1")));
    assert_eq!(answer.field("via"), Some("1.1 gateway"));
}

#[test]
fn every_method_passes_but_those_of_the_hop() {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let requests = upstream.answering(|_| response("200 OK", "", "body"));
    for (request, status) in [
        ("POST /x HTTP/1.1\r\nhost: a.example\r\ncontent-length: 2\r\n\r\nhi", 200),
        ("PATCH /x HTTP/1.1\r\nhost: a.example\r\n\r\n", 200),
        ("FROBNICATE /x HTTP/1.1\r\nhost: a.example\r\n\r\n", 200),
        ("GET http://b.example/x HTTP/1.1\r\nhost: a.example\r\n\r\n", 200),
        ("OPTIONS * HTTP/1.1\r\nhost: a.example\r\n\r\n", 200),
        ("OPTIONS /x HTTP/1.1\r\nhost: a.example\r\nmax-forwards: 0\r\n\r\n", 200),
        ("TRACE /x HTTP/1.1\r\nhost: a.example\r\n\r\n", 405),
        ("CONNECT b.example:443 HTTP/1.1\r\nhost: b.example:443\r\n\r\n", 501),
        ("POST /x HTTP/1.1\r\nhost: a.example\r\nexpect: wonders\r\ncontent-length: 0\r\n\r\n", 417),
        ("GET /x HTTP/1.1\r\n\r\n", 400),
    ] {
        assert_eq!(gateway.ask(request).status(), status, "{request}");
    }
    let seen: Vec<_> =
        requests.try_iter().map(|request| (request.start.clone(), request.field("host").map(str::to_owned))).collect();
    let a = Some("a.example".to_owned());
    assert_eq!(
        seen,
        [
            ("POST /x HTTP/1.1".to_owned(), a.clone()),
            ("PATCH /x HTTP/1.1".to_owned(), a.clone()),
            ("FROBNICATE /x HTTP/1.1".to_owned(), a.clone()),
            ("GET /x HTTP/1.1".to_owned(), Some("b.example".to_owned())),
            ("OPTIONS * HTTP/1.1".to_owned(), a),
        ]
    );
}

#[test]
fn bodies_stream_both_ways() {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    client.say("POST /x HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n");
    let mut inner = upstream.accept();
    assert_eq!(inner.head().unwrap().start, "POST /x HTTP/1.1");
    assert_eq!(inner.chunk().unwrap(), b"one", "before the request has ended");
    inner.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n");
    assert_eq!(client.head().unwrap().status(), 200);
    assert_eq!(client.chunk().unwrap(), b"hi", "before the response has ended, and the request too");
    client.say("3\r\ntwo\r\n0\r\n\r\n");
    assert_eq!(inner.chunk().unwrap(), b"two");
    assert_eq!(inner.chunk(), None);
    inner.say("0\r\n\r\n");
    assert_eq!(client.chunk(), None);
}

#[test]
fn what_the_upstream_sends_slowly_is_not_held_back_while_it_is_stored() {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    client.say("GET /x HTTP/1.1\r\nhost: a.example\r\n\r\n");
    let mut inner = upstream.accept();
    inner.head().unwrap();
    inner.say("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 6\r\n\r\none");
    client.head().unwrap();
    assert_eq!(client.exactly(3), b"one");
    inner.say("two");
    assert_eq!(client.exactly(3), b"two");
    assert!(gateway.get("/x", "").is_hit());
}

#[test]
fn an_expectation_is_met_before_the_body_is_sent() {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let requests = upstream.answering(|_| response("200 OK", "", "done"));
    let mut client = gateway.connect();
    client.say("POST /x HTTP/1.1\r\nhost: a.example\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
    assert_eq!(client.head().unwrap().status(), 100);
    client.say("body");
    assert_eq!(client.message().text(), "done");
    assert_eq!(requests.recv().unwrap().text(), "body");
}

#[test]
fn an_upgraded_connection_passes_both_ways() {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    client.say("GET /chat HTTP/1.1\r\nhost: a.example\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n");
    let mut inner = upstream.accept();
    let request = inner.head().unwrap();
    assert_eq!((request.field("upgrade"), request.field("connection")), (Some("websocket"), Some("upgrade")));
    inner.say("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    let answer = client.head().unwrap();
    assert_eq!((answer.status(), answer.field("upgrade")), (101, Some("websocket")));
    client.say("ping");
    assert_eq!(inner.exactly(4), b"ping");
    inner.say("pong");
    assert_eq!(client.exactly(4), b"pong");
}

#[test]
fn an_upstream_that_is_away_or_mute_is_named_as_that() {
    let gateway = Gateway::start(&["--upstream", "http://127.0.0.1:1"]);
    let away = gateway.get("/x", "");
    assert_eq!((away.status(), away.field("content-type")), (502, Some("application/problem+json")));
    assert!(away.text().contains("connection-refused"), "{}", away.text());

    let upstream = Upstream::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    std::fs::write(&file, format!("upstream = \"{}\"\nupstream_timeout = 0.1\n", upstream.url())).unwrap();
    let gateway = Gateway::start(&["--config", file.to_str().unwrap()]);
    let mute = gateway.get("/x", "");
    assert_eq!(mute.status(), 504, "{mute:?}");
    assert!(mute.text().contains("upstream-timeout"), "{}", mute.text());

    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    client.say("GET /x HTTP/1.1\r\nhost: a.example\r\n\r\n");
    let mut inner = upstream.accept();
    inner.head().unwrap();
    inner.say("what is this\r\n\r\n");
    drop(inner);
    let broken = client.message();
    assert_eq!(broken.status(), 502);
    assert!(broken.text().contains("upstream-protocol"), "{}", broken.text());
}

#[test]
fn a_response_that_breaks_off_breaks_off_for_the_client_and_is_not_stored() {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    for _ in 0..2 {
        let mut client = gateway.connect();
        client.say("GET /x HTTP/1.1\r\nhost: a.example\r\n\r\n");
        let mut inner = upstream.accept();
        inner.head().unwrap();
        inner.say("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 10\r\n\r\nhalf");
        drop(inner);
        let mut whole = client.head().unwrap();
        assert!(!whole.is_hit());
        whole.body = client.exactly(4);
        assert!(client.try_message().is_none(), "the client sees that it is not all");
    }
}
