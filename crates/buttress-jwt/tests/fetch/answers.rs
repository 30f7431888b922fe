//! What an issuer, or whoever stands in its place, may answer.

use std::time::Duration;

use buttress_jwt::KeyUrl;
use buttress_tests::Counters;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::bed::{AWAY, Service, Trap, UNKNOWN, eventually};
use crate::issuer::{Issuer, set};
use crate::signer::Signer;

fn response(status: &str, fields: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{fields}content-length: {}\r\n\r\n{body}", body.len()).into()
}

#[tokio::test]
async fn nothing_but_a_key_set_takes_the_place_of_the_last_good_one() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let trap = Trap::set();
    let location = format!("location: {}\r\n", trap.url());
    let good = set([old.jwk(), new.jwk()]);
    let large = good.replace('{', &format!("{{{}", " ".repeat(256 << 10)));
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let secret = r#"{"kty":"oct","kid":"new","alg":"HS256","k":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    let issuer = Issuer::start(&[&old]).await;
    let service = Service::ready(issuer.url()).await;
    let counters = Counters::install();
    for (what, said) in [
        ("status 500", response("500 Internal Server Error", "", &good)),
        ("status 404", response("404 Not Found", "", &good)),
        ("status 203", response("203 Non-Authoritative Information", "", &good)),
        ("status 204", b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        ("status 304", b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec()),
        ("a redirection", response("302 Found", &location, &good)),
        ("a lasting redirection", response("308 Permanent Redirect", &location, &good)),
        ("too much", response("200 OK", "", &large)),
        ("too much in chunks", chunked(&chunk.repeat(5))),
        ("too much, announced", b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{".to_vec()),
        ("less than announced", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"keys\":[]}".to_vec()),
        ("compressed", response("200 OK", "content-encoding: gzip\r\n", "\u{1f}\u{8b}")),
        ("an empty set", response("200 OK", "", r#"{"keys":[]}"#)),
        ("a secret", response("200 OK", "", &set([secret.to_owned()]))),
        ("a list", response("200 OK", "", &format!("[{}]", new.jwk()))),
        ("HTML", response("200 OK", "content-type: application/json\r\n", "<html>")),
        ("two sets", response("200 OK", "", &format!(r#"{{"keys":[],{}"#, &good[1..]))),
        ("nothing", response("200 OK", "", "")),
        ("no HTTP", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
        ("an end", Vec::new()),
    ] {
        issuer.say(said);
        service.advance(31);
        let (asked, counted) = (issuer.asked(), counters.get("buttress_jwt_key_fetches_total"));
        // Whether by this token or because it was time: it is asked again.
        let answer = service.ask(&new.token(service.now())).await;
        assert_eq!(answer, UNKNOWN, "{what}");
        assert!(issuer.asked() > asked && counters.get("buttress_jwt_key_fetches_total") > counted, "{what}");
        assert!(service.believes(&old.token(service.now())), "{what}");
    }
    assert!(!trap.caught(), "a redirection was followed");

    issuer.publish(&[&old, &new]);
    service.advance(31);
    assert_eq!(service.ask(&new.token(service.now())).await, Ok(()));
}

fn chunked(chunks: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n").into()
}

#[tokio::test]
async fn a_set_may_come_in_chunks_under_any_media_type_and_with_keys_that_are_none() {
    let signer = Signer::new("known");
    let keys = [r#"{"kty":"new"}"#, "7", r#"{"kty":"RSA","n":"","e":"","kid":"known"}"#].map(str::to_owned);
    let json = set(keys.into_iter().chain([signer.jwk()]));
    let issuer = Issuer::away(&[]);
    issuer.say(chunked(&format!("{:x}\r\n{json}\r\n", json.len())).as_slice());
    issuer.up().await;
    let service = Service::ready(issuer.url()).await;
    assert!(service.believes(&signer.token(service.now())));
}

#[tokio::test]
async fn a_set_that_does_not_end_is_given_up_in_time() {
    let issuer = Issuer::start(&[]).await;
    let (signer, half) = (Signer::new("known"), " ".repeat(100));
    issuer.begin(format!("HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\n{half}"));
    let service = Service::new(issuer.url().timeout(Duration::from_millis(500)));
    let answer = timeout(Duration::from_secs(20), service.ask(&signer.token(service.now()))).await;
    assert_eq!(answer, Ok(AWAY));
}

#[tokio::test]
async fn plain_http_is_refused_unless_it_is_asked_for_by_name() {
    let signer = Signer::new("known");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    assert!(KeyUrl::new(&format!("http://{address}/jwks.json")).is_err());

    let said = response("200 OK", "", &set([signer.jwk()]));
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(&said).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let service = Service::new(KeyUrl::dangerous_plain_http(&format!("http://{address}/jwks.json")).unwrap());
    eventually("there are keys", || service.is_ready()).await;
    assert!(service.believes(&signer.token(service.now())));
    server.await.unwrap();
}
