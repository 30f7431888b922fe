//! What one hop must not pass on as it came: schemes, protocols, codings, circles; and what it must not lose.

use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::support::{Gateway, Line, Upstream, response};

#[test]
fn a_scheme_that_the_connection_does_not_have_chooses_no_key() {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let requests = upstream.answering(|_| response("200 OK", "cache-control: max-age=60\r\n", "body"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        // A lie: nothing here is secure. Stored under `https`, it would be what other listeners' clients get.
        let claimed = http::Request::get("https://a.example/x").body(Empty::<bytes::Bytes>::new()).unwrap();
        client.send_request(claimed).await.unwrap().into_body().collect().await.unwrap();
    });
    assert!(gateway.get("/x", "").is_hit(), "one connection, one scheme, one key");
    assert_eq!(requests.try_iter().count(), 1);
}

#[test]
fn no_tunnel_is_opened_past_the_gateway() {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let requests = upstream.answering(|_| response("200 OK", "", "ok"));
    for (fields, expected) in [
        ("upgrade: h2c\r\n", None),
        ("upgrade: H2C, foo\r\n", Some("foo")),
        ("upgrade: foo\r\nupgrade: h2c\r\n", Some("foo")),
        ("upgrade: TLS/1.2\r\n", None),
        ("upgrade: HTTP/2.0\r\n", None),
        ("upgrade: websocket\r\n", Some("websocket")),
    ] {
        gateway.get("/x", &format!("connection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABk\r\n{fields}"));
        let seen = requests.recv().unwrap();
        let upgrades = seen.fields.iter().filter(|(name, _)| name == "upgrade").count();
        assert_eq!((seen.field("upgrade"), upgrades), (expected, usize::from(expected.is_some())), "{fields}");
    }
}

#[test]
fn a_coding_that_would_be_lost_is_refused() {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let requests = upstream.answering(|_| {
        "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n".to_owned()
    });
    let answer = gateway
        .ask("POST /x HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    assert_eq!(answer.status(), 501, "{answer:?}");
    assert_eq!(requests.try_iter().count(), 0);
    for _ in 0..2 {
        let answer = gateway.get("/y", "");
        assert_eq!((answer.status(), answer.is_hit()), (502, false), "{answer:?}");
    }
}

#[test]
fn trailers_pass_both_ways() {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    client.say("POST /x HTTP/1.1\r\nhost: a.example\r\nte: trailers\r\nconnection: te\r\ntrailer: x-sum\r\n");
    client.say("transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: up\r\n\r\n");
    let mut inner = upstream.accept();
    let request = inner.head().unwrap();
    assert_eq!((request.field("te"), request.field("connection")), (Some("trailers"), Some("te")));
    assert_eq!(inner.chunk().unwrap(), b"hi");
    assert_eq!(inner.trailers(), [("x-sum".to_owned(), "up".to_owned())]);
    inner.say("HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n");
    inner.say("2\r\nhi\r\n0\r\nx-sum: down\r\n\r\n");
    assert_eq!(client.head().unwrap().status(), 200);
    assert_eq!(client.chunk().unwrap(), b"hi");
    assert_eq!(client.trailers(), [("x-sum".to_owned(), "down".to_owned())]);
}

#[test]
fn a_request_that_comes_back_again_and_again_is_stopped() {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let address = gateway.address;
    // An upstream that asks the gateway again, as a gateway before itself would.
    let requests = upstream.answering(move |request| {
        let vias = request.fields.iter().filter(|(name, _)| name == "via").map(|(_, via)| format!("via: {via}\r\n"));
        let mut again = Line::to(address);
        again.say(format!("POST /x HTTP/1.1\r\nhost: a.example\r\n{}\r\n", vias.collect::<String>()));
        let answer = again.message();
        response(answer.start.split_once(' ').unwrap().1, "", answer.text())
    });
    let answer = gateway.ask("POST /x HTTP/1.1\r\nhost: a.example\r\n\r\n");
    assert_eq!(answer.status(), 508, "{answer:?}");
    assert_eq!(requests.try_iter().count(), 8);
}

#[test]
fn hosts_that_may_be_read_in_two_ways_are_refused_and_old_clients_need_none() {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let requests = upstream.answering(|_| response("200 OK", "", "ok"));
    for (request, status) in [
        ("GET /x HTTP/1.1\r\nhost: b.example@a.example\r\n\r\n", 400),
        ("GET http://b.example@a.example/x HTTP/1.1\r\nhost: a.example\r\n\r\n", 400),
        ("GET /x HTTP/1.0\r\n\r\n", 200),
    ] {
        assert_eq!(gateway.ask(request).status(), status, "{request}");
    }
    let seen: Vec<_> = requests.try_iter().collect();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].field("host").is_some_and(|host| host.starts_with("127.0.0.1:")), "the upstream's own: {seen:?}");
}
