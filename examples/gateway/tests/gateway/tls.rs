//! TLS in and out: one gateway before another.

use buttress_tests::Certificates;

use crate::support::{Gateway, Upstream, refused, response};

/// A gateway in TLS before an upstream, and a plain one before that, whose file has these lines too.
fn chained(certs: &Certificates, upstream: &Upstream, lines: &str) -> (Gateway, Gateway, tempfile::TempDir) {
    let (cert, key, ca) = (certs.cert(), certs.key(), certs.ca());
    let tls = ["--tls-cert", cert.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let inner = Gateway::start(&[&["--upstream", &upstream.url()][..], &tls].concat());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    let port = inner.address.port();
    let text = format!("upstream = \"https://localhost:{port}\"\nupstream_ca = {:?}\n{lines}", ca.to_str().unwrap());
    std::fs::write(&file, text).unwrap();
    let outer = Gateway::start(&["--config", file.to_str().unwrap()]);
    (outer, inner, dir)
}

#[test]
fn https_is_spoken_in_and_out_in_the_version_that_was_told() {
    for (lines, via) in [("", "1.1 gateway"), ("upstream_http2 = true\n", "2.0 gateway")] {
        let certs = Certificates::new();
        let upstream = Upstream::new();
        let (outer, _inner, _dir) = chained(&certs, &upstream, lines);
        let requests = upstream.answering(|_| response("200 OK", "cache-control: max-age=60\r\n", "body"));
        for hit in [false, true] {
            let answer = outer.get("/x?y", "");
            assert_eq!((answer.status(), answer.text(), answer.is_hit()), (200, "body", hit), "{answer:?}");
        }
        let seen = requests.recv().unwrap();
        assert_eq!((seen.start.as_str(), seen.field("host")), ("GET /x?y HTTP/1.1", Some("a.example")));
        let vias: Vec<_> = seen.fields.iter().filter(|(name, _)| name == "via").map(|(_, via)| via.as_str()).collect();
        assert_eq!(vias, ["1.1 gateway", via]);
        assert!(seen.field("forwarded").unwrap().ends_with(";host=\"a.example\";proto=https"), "{seen:?}");
    }
}

#[test]
fn a_certificate_of_nobody_known_is_refused() {
    let certs = Certificates::new();
    let upstream = Upstream::new();
    let (_outer, inner, _dir) = chained(&certs, &upstream, "");
    let stranger = Gateway::start(&["--upstream", &format!("https://localhost:{}", inner.address.port())]);
    let answer = stranger.get("/x", "");
    assert_eq!(answer.status(), 502);
    assert!(answer.text().contains("tls-failure"), "{}", answer.text());
}

#[test]
fn files_without_a_certificate_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let empty = empty.to_str().unwrap();
    let (code, message) = refused(&["--tls-cert", empty, "--tls-key", empty]);
    assert_eq!((code, message.lines().count()), (Some(2), 1), "{message}");
    assert!(message.contains("no certificate"), "{message}");
}
