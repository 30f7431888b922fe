//! Messages made to be read in two ways (request smuggling): what is passed on has one reading only.

use crate::support::{Gateway, Upstream, response};

/// What the client sends, and what is allowed to come of it.
fn check(name: &str, raw: &str, refused: bool) {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let requests = upstream.answering(|_| response("200 OK", "", "ok"));
    let mut client = gateway.connect();
    client.say(raw);
    let first = client.try_message();
    let status = first.as_ref().map_or(0, |message| message.status());
    if refused {
        assert!(status == 0 || (400..=501).contains(&status), "{name}: {first:?}");
        assert!(requests.try_recv().is_err(), "{name}: nothing reaches the upstream");
        return;
    }
    assert_eq!(status, 200, "{name}");
    let seen = requests.recv().unwrap();
    let lengths = seen.fields.iter().filter(|(field, _)| field == "content-length").count();
    let codings = seen.fields.iter().filter(|(field, _)| field == "transfer-encoding").count();
    assert!(lengths + codings <= 1, "{name}: one length at most, {seen:?}");
    // The smuggled request never arrives as one of its own.
    drop(client);
    std::thread::sleep(std::time::Duration::from_millis(50));
    for more in requests.try_iter() {
        assert!(
            !more.start.contains("/smuggled")
                || raw.contains("\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a.example\r\n\r\n"),
            "{name}: {more:?}"
        );
    }
}

#[test]
fn lengths_that_disagree_or_make_no_sense_are_refused() {
    let post = |fields: &str, body: &str| format!("POST /x HTTP/1.1\r\nhost: a.example\r\n{fields}\r\n{body}");
    for (name, fields, body) in [
        ("two lengths", "content-length: 5\r\ncontent-length: 6\r\n", "hello"),
        ("a list of lengths", "content-length: 5, 6\r\n", "hello"),
        ("a signed length", "content-length: +5\r\n", "hello"),
        ("a negative length", "content-length: -5\r\n", "hello"),
        ("a hexadecimal length", "content-length: 0x5\r\n", "hello"),
        ("an empty length", "content-length: \r\n", "hello"),
        ("a length that overflows", "content-length: 99999999999999999999999\r\n", "hello"),
        ("a coding that is not the last", "transfer-encoding: chunked, gzip\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("the same length in a list of two kinds", "content-length: 5\r\ncontent-length: 05a\r\n", "hello"),
        ("a length that is repeated in one line", "content-length: 5, 5\r\n", "hello"),
        ("a coding behind a control", "transfer-encoding: \x0bchunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("a coding that is named twice", "transfer-encoding: chunked, chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("an unknown coding", "transfer-encoding: xchunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
    ] {
        check(name, &post(fields, body), true);
    }
}

#[test]
fn fields_that_are_not_well_formed_are_refused() {
    for (name, raw) in [
        ("a space before the colon", "GET /x HTTP/1.1\r\nhost: a.example\r\nx-a : 1\r\n\r\n"),
        ("a folded line", "GET /x HTTP/1.1\r\nhost: a.example\r\nx-a: 1\r\n folded\r\n\r\n"),
        ("a bare CR in a value", "GET /x HTTP/1.1\r\nhost: a.example\r\nx-a: 1\rx-b: 2\r\n\r\n"),
        ("a NUL in a value", "GET /x HTTP/1.1\r\nhost: a.example\r\nx-a: 1\0\r\n\r\n"),
        ("a name that is none", "GET /x HTTP/1.1\r\nhost: a.example\r\nx a: 1\r\n\r\n"),
        (
            "a space before the colon of a length",
            "POST /x HTTP/1.1\r\nhost: a.example\r\ncontent-length : 5\r\n\r\nhello",
        ),
        ("a field before the first", "GET /x HTTP/1.1\r\n host: a.example\r\nhost: a.example\r\n\r\n"),
        (
            "a chunked message of HTTP/1.0",
            "POST /x HTTP/1.0\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("a space in the target", "GET /x y HTTP/1.1\r\nhost: a.example\r\n\r\n"),
        ("an unknown version", "GET /x HTTP/7.1\r\nhost: a.example\r\n\r\n"),
        ("two hosts", "GET /x HTTP/1.1\r\nhost: a.example\r\nhost: b.example\r\n\r\n"),
    ] {
        check(name, raw, true);
    }
}

#[test]
fn chunks_that_are_not_well_formed_reach_nobody_as_a_request() {
    for (name, body) in [
        ("a size that is none", "zz\r\nhello\r\n0\r\n\r\n"),
        ("a size with a sign", "+5\r\nhello\r\n0\r\n\r\n"),
        ("a size that overflows", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        ("an extension that ends in a bare LF", "5;a\nhello\r\n0\r\n\r\n"),
        ("a size behind a space", " 5\r\nhello\r\n0\r\n\r\n"),
        ("a size in hexadecimal notation", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("a chunk without its end", "5\r\nhelloXX0\r\n\r\n"),
        ("a chunk that is longer than it says", "3\r\nhello\r\n0\r\n\r\n"),
    ] {
        let upstream = Upstream::new();
        let gateway = Gateway::before(&upstream);
        let requests = upstream.answering(|_| response("200 OK", "", "ok"));
        let mut client = gateway.connect();
        client.say(format!("POST /x HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n{body}"));
        let status = client.try_message().map_or(0, |message| message.status());
        assert_ne!(status, 200, "{name}");
        assert!(requests.try_iter().all(|request| request.start.contains("POST /x")), "{name}");
    }
}

#[test]
fn both_lengths_have_one_reading() {
    // RFC 9112 section 6.3: the coding wins, and the length is not passed on.
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nx: ";
    let raw = format!(
        "POST /x HTTP/1.1\r\nhost: a.example\r\ncontent-length: {}\r\ntransfer-encoding: chunked\r\n\r\n{smuggled}",
        smuggled.len()
    );
    check("both lengths", &raw, false);
}

#[test]
fn what_is_read_leniently_is_passed_on_strictly() {
    for (name, raw, body) in [
        ("lines that end in a bare LF", "POST /x HTTP/1.1\nhost: a.example\ncontent-length: 5\n\nhello", "hello"),
        (
            "equal lengths",
            "POST /x HTTP/1.1\r\nhost: a.example\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
            "hello",
        ),
        (
            "an extension of a chunk",
            "POST /x HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
            "hello",
        ),
    ] {
        let upstream = Upstream::new();
        let gateway = Gateway::before(&upstream);
        let requests = upstream.answering(|_| response("200 OK", "", "ok"));
        assert_eq!(gateway.ask(raw).status(), 200, "{name}");
        let seen = requests.recv().unwrap();
        assert_eq!(seen.text(), body, "{name}");
        let framings = ["content-length", "transfer-encoding"];
        let framed = seen.fields.iter().filter(|(field, _)| framings.contains(&field.as_str())).count();
        assert_eq!(framed, 1, "{name}: {seen:?}");
    }
}

#[test]
fn http2_without_an_upgrade_is_spoken_too() {
    let upstream = Upstream::new();
    let gateway = Gateway::before(&upstream);
    let requests = upstream.answering(|_| response("200 OK", "cache-control: max-age=60\r\n", "body"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        use http_body_util::BodyExt as _;
        let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
            .http2_only(true)
            .build_http::<http_body_util::Empty<bytes::Bytes>>();
        for hit in [false, true] {
            let uri = format!("http://{}/x", gateway.address).parse().unwrap();
            let response = client.get(uri).await.unwrap();
            assert_eq!(response.version(), http::Version::HTTP_2);
            let status = response.headers()["cache-status"].to_str().unwrap().to_owned();
            assert_eq!(status.contains("; hit"), hit, "{status}");
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "body");
        }
    });
    let request = requests.recv().unwrap();
    assert_eq!(request.field("via"), Some("2.0 gateway"));
    assert_eq!(request.field("host"), Some(gateway.address.to_string().as_str()));
}
