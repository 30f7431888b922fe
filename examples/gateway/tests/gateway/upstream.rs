//! The upstream's side: HTTP/2, uploads that take long, expectations, and what went wrong by name.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::support::{Gateway, Upstream, response};

/// A gateway whose file has these lines, and the directory that holds the file.
fn configured(lines: &str) -> (Gateway, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    std::fs::write(&file, lines).unwrap();
    (Gateway::start(&["--config", file.to_str().unwrap()]), dir)
}

/// An upstream in HTTP/2 that answers with what it was asked, and a trailer; and how many connections it has had.
fn http2_upstream(runtime: &tokio::runtime::Runtime) -> (String, Arc<AtomicUsize>) {
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let service = service_fn(|request: http::Request<Incoming>| async move {
                let mut seen = format!("{} {}", request.uri(), request.headers().contains_key("host"));
                for name in ["te", "upgrade", "connection", "via"] {
                    let value = request.headers().get(name).map_or("-", |value| value.to_str().unwrap());
                    seen += &format!(" {name}={value}");
                }
                let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), "1".parse().unwrap())]);
                let frames = [Frame::data(Bytes::from(seen)), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
                let body = StreamBody::new(futures_util::stream::iter(frames));
                let response = http::Response::builder().header("trailer", "x-sum").body(body);
                Ok::<_, Infallible>(response.unwrap())
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    (url, connections)
}

#[test]
fn an_upstream_in_http2_sees_the_clients_host_on_one_connection() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (url, connections) = http2_upstream(&runtime);
    let (gateway, _dir) = configured(&format!("upstream = \"{url}\"\nupstream_http2 = true\n"));
    for host in ["a.example", "b.example:81"] {
        let mut client = gateway.connect();
        client.say(format!("GET /x?y HTTP/1.1\r\nhost: {host}\r\nte: trailers\r\n"));
        client.say("connection: te, upgrade\r\nupgrade: websocket\r\n\r\n");
        assert_eq!(client.head().unwrap().status(), 200);
        let seen = String::from_utf8(client.chunk().unwrap()).unwrap();
        assert_eq!(seen, format!("http://{host}/x?y false te=trailers upgrade=- connection=- via=1.1 gateway"));
        assert_eq!(client.trailers(), [("x-sum".to_owned(), "1".to_owned())]);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[test]
fn an_upstream_in_http2_may_come_and_go() {
    let dead = Upstream::new();
    let url = dead.url();
    drop(dead);
    let (gateway, _dir) = configured(&format!("upstream = \"{url}\"\nupstream_http2 = true\n"));
    let away = gateway.get("/x", "");
    assert_eq!(away.status(), 502);
    assert!(away.text().contains("connection-refused"), "{}", away.text());
}

#[test]
fn an_upload_may_take_longer_than_the_upstream_while_it_moves() {
    let upstream = Upstream::new();
    let (gateway, _dir) = configured(&format!("upstream = \"{}\"\nupstream_timeout = 0.4\n", upstream.url()));
    let requests = upstream.answering(|_| response("200 OK", "", "done"));
    let mut client = gateway.connect();
    client.say("POST /x HTTP/1.1\r\nhost: a.example\r\ncontent-length: 8\r\n\r\n");
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(150)); // the time it takes is what this is about
        client.say("x");
    }
    assert_eq!(client.message().text(), "done");
    assert_eq!(requests.recv().unwrap().text(), "xxxxxxxx");

    let mut client = gateway.connect();
    client.say("POST /x HTTP/1.1\r\nhost: a.example\r\ncontent-length: 8\r\n\r\nhalf");
    let stopped = client.message();
    assert_eq!(stopped.status(), 408, "{stopped:?}");
}

#[test]
fn the_client_is_asked_for_its_body_when_the_upstream_wants_it() {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let ask = "POST /x HTTP/1.1\r\nhost: a.example\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";

    let mut client = gateway.connect();
    client.say(ask);
    let mut inner = upstream.accept();
    assert_eq!(inner.head().unwrap().field("expect"), Some("100-continue"));
    inner.say("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.head().unwrap().status(), 100);
    client.say("body");
    assert_eq!(inner.exactly(4), b"body");
    inner.say(response("200 OK", "", "done"));
    assert_eq!(client.message().text(), "done");

    // A refusal saves the client its body: no 100 comes before it. The response is whole although no body was sent.
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    client.say(ask);
    let mut inner = upstream.accept();
    inner.head().unwrap();
    inner.say("HTTP/1.1 413 Content Too Large\r\ncontent-length: 6\r\n\r\ntoo");
    assert_eq!(client.head().unwrap().status(), 413);
    inner.say("big");
    assert_eq!(client.exactly(6), b"toobig");
    assert_eq!(inner.head().map(|more| more.start), None, "the connection that waits for a body is given up");
}

#[test]
fn a_kept_connection_that_was_closed_under_a_request_is_not_the_clients_trouble() {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    client.say("GET /1 HTTP/1.1\r\nhost: a.example\r\n\r\n");
    let mut inner = upstream.accept();
    inner.head().unwrap();
    inner.say(response("200 OK", "", "one"));
    assert_eq!(client.message().text(), "one");
    client.say("GET /2 HTTP/1.1\r\nhost: a.example\r\n\r\n");
    inner.head().unwrap();
    drop(inner);
    let mut inner = upstream.accept();
    assert_eq!(inner.head().unwrap().start, "GET /2 HTTP/1.1");
    inner.say(response("200 OK", "", "two"));
    assert_eq!(client.message().text(), "two");

    // What may have had an effect is not repeated.
    client.say("POST /3 HTTP/1.1\r\nhost: a.example\r\n\r\n");
    inner.head().unwrap();
    drop(inner);
    let broken = client.message();
    assert_eq!(broken.status(), 502);
    assert!(broken.text().contains("upstream-broken"), "{}", broken.text());
}

#[test]
fn what_went_wrong_has_a_name() {
    let nobody = Gateway::start(&["--upstream", "http://nobody.invalid"]);
    let answer = nobody.get("/x", "");
    assert_eq!(answer.status(), 502);
    assert!(answer.text().contains("dns-failure"), "{}", answer.text());

    let upstream = Upstream::new();
    let plain = Gateway::start(&["--upstream", &upstream.url().replace("http:", "https:")]);
    let mut client = plain.connect();
    client.say("GET /x HTTP/1.1\r\nhost: a.example\r\n\r\n");
    let mut inner = upstream.accept();
    inner.say("this is no TLS at all\r\n");
    let answer = client.message();
    assert_eq!(answer.status(), 502);
    assert!(answer.text().contains("tls-failure"), "{}", answer.text());
}

/// How many bytes one side takes off a sender that sends all it can, while nobody reads at the other end.
fn taken(mut from: std::net::TcpStream) -> usize {
    use std::io::Write as _;
    from.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let piece = [0; 64 << 10];
    let mut taken = 0;
    while taken < LARGE {
        match from.write(&piece) {
            Ok(count) => taken += count,
            Err(_) => break, // it does not get rid of it
        }
    }
    taken
}

/// More than the sockets' buffers between the two ends hold.
const LARGE: usize = 128 << 20;

#[test]
fn what_the_other_side_does_not_take_is_not_buffered() {
    use std::io::{Read as _, Write as _};
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let mut client = std::net::TcpStream::connect(gateway.address).unwrap();
    write!(client, "PUT /x HTTP/1.1\r\nhost: a.example\r\ncontent-length: {LARGE}\r\n\r\n").unwrap();
    let inner = upstream.accept();
    assert!(taken(client) < LARGE, "an upload");
    drop(inner);

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = Gateway::start(&["--upstream", &format!("http://{}", listener.local_addr().unwrap())]);
    let mut client = gateway.connect();
    client.say("GET /x HTTP/1.1\r\nhost: a.example\r\n\r\n");
    let (mut inner, _) = listener.accept().unwrap();
    assert!(inner.read(&mut [0; 4096]).unwrap() > 0, "an answer before the question would be no answer");
    write!(inner, "HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n").unwrap();
    assert_eq!(client.head().unwrap().status(), 200);
    assert!(taken(inner) < LARGE, "a download");
}
