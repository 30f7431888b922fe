//! What an intermediary does to a message that it passes on (RFC 9110 section 7.6): pure functions over its fields.

use std::net::IpAddr;

use buttress::core::Refusal;
use buttress_rfc9111::fields::remove_hop_by_hop;
use bytes::Bytes;
use http::header::{
    ALLOW, CONNECTION, COOKIE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, MAX_FORWARDS, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Response, StatusCode, Version, request};

use crate::config::Forwarded;
use crate::{target, whence};

/// Where a request came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hop {
    pub(crate) client: IpAddr,
    pub(crate) tls: bool,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Step {
    /// It is passed on, as it now is.
    Forward,
    /// It is answered here.
    Answer(Box<Response<Bytes>>),
}

/// Makes a request that came in one that goes out. Its target keeps what the client wrote; `Host` says whom it asks.
pub(crate) fn request(parts: &mut request::Parts, hop: Hop, forwarded: Forwarded) -> Step {
    if let Some(answer) = answer_here(parts) {
        return Step::Answer(Box::new(answer));
    }
    let Ok(host) = target::host(parts) else {
        return refuse(
            parts,
            StatusCode::BAD_REQUEST,
            "bad-host",
            "one Host field, and only one, has to name the host",
        );
    };
    let protocol = parts.version;
    let upgrade = upgrade_of(parts);
    let takes_trailers = has_token(&parts.headers, &TE, "trailers");
    remove_hop_by_hop_but_trailer(&mut parts.headers);
    say_connection(&mut parts.headers, takes_trailers, upgrade);
    whence::say_who(&mut parts.headers, hop, host.as_ref(), forwarded);
    join_cookies(&mut parts.headers);
    whence::add_via(&mut parts.headers, protocol);
    match host {
        Some(host) => parts.headers.insert(HOST, host),
        None => parts.headers.remove(HOST), // the client fills in the upstream's own
    };
    parts.version = Version::HTTP_11;
    Step::Forward
}

/// Makes a response that came from the upstream one that goes on to the client; false when its body makes no sense.
pub(crate) fn response<B>(response: &mut Response<B>) -> bool {
    if !is_merely_chunked(response.headers()) {
        return false;
    }
    let protocol = std::mem::replace(response.version_mut(), Version::HTTP_11); // the version is each hop's own
    let changes = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    let upgrade = changes.then(|| headers.get(UPGRADE).cloned()).flatten();
    remove_hop_by_hop_but_trailer(headers);
    say_connection(headers, false, upgrade);
    whence::add_via(headers, protocol);
    true
}

/// The protocols that a request wants to change to.
///
/// Not HTTP and not TLS: this connection's are between us and the client. Passed on, they would open a tunnel past
/// everything here that looks at requests.
pub(crate) fn upgrade_of(parts: &request::Parts) -> Option<HeaderValue> {
    if parts.version != Version::HTTP_11 || !has_token(&parts.headers, &CONNECTION, "upgrade") {
        return None;
    }
    let values = parts.headers.get_all(UPGRADE).iter().filter_map(|value| value.to_str().ok());
    let protocols = values.flat_map(|value| value.split(',')).map(str::trim);
    let others: Vec<_> = protocols.filter(|protocol| !protocol.is_empty() && !is_of_this_hop(protocol)).collect();
    HeaderValue::try_from(others.join(", ")).ok().filter(|others| !others.is_empty())
}

fn is_of_this_hop(protocol: &str) -> bool {
    let name = protocol.split('/').next().unwrap_or_default();
    ["h2", "h2c", "http", "tls"].iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

/// `Trailer` stays: hyper sends those trailers that it names, and no others.
fn remove_hop_by_hop_but_trailer(headers: &mut HeaderMap) {
    let trailer: Vec<_> = headers.get_all(TRAILER).iter().cloned().collect();
    remove_hop_by_hop(headers);
    for value in trailer {
        headers.append(TRAILER, value);
    }
}

/// What is true of the next connection. RFC 9110 sections 7.8 and 10.1.4: `Connection` names both fields.
fn say_connection(headers: &mut HeaderMap, takes_trailers: bool, upgrade: Option<HeaderValue>) {
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.append(CONNECTION, HeaderValue::from_static("te"));
    }
    if let Some(upgrade) = upgrade {
        headers.insert(UPGRADE, upgrade);
        headers.append(CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// hyper has undone `chunked`. A coding below it would be lost with the field, and the body would be garbage.
fn is_merely_chunked(headers: &HeaderMap) -> bool {
    headers.get_all(TRANSFER_ENCODING).iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
}

/// What an intermediary answers itself.
fn answer_here(parts: &mut request::Parts) -> Option<Response<Bytes>> {
    let refuse = |parts: &request::Parts, status, reason, detail: &'static str| {
        Some(Refusal::new(status, reason).detail(detail).response(&parts.headers))
    };
    match parts.method {
        Method::CONNECT => refuse(parts, StatusCode::NOT_IMPLEMENTED, "connect", "this is no tunnel"),
        // RFC 9110 section 9.3.8 warns of what a trace shows; nobody needs one through a cache.
        Method::TRACE => refuse(parts, StatusCode::METHOD_NOT_ALLOWED, "trace", "requests are not traced"),
        Method::OPTIONS if !one_hop_less(&mut parts.headers) => Some(allowed()),
        _ if !is_merely_chunked(&parts.headers) => refuse(
            parts,
            StatusCode::NOT_IMPLEMENTED,
            "transfer-coding",
            "no transfer coding but chunked is known here",
        ),
        _ if whence::goes_in_a_circle(&parts.headers) => {
            refuse(parts, StatusCode::LOOP_DETECTED, "loop", "the request comes through here again and again")
        }
        _ if has_unknown_expectation(&parts.headers) => {
            refuse(parts, StatusCode::EXPECTATION_FAILED, "expectation", "only 100-continue can be expected")
        }
        _ => None,
    }
}

/// RFC 9110 section 7.6.2: counts `Max-Forwards` down; false when this is the last recipient.
fn one_hop_less(headers: &mut HeaderMap) -> bool {
    let hops = headers.get(MAX_FORWARDS).and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    match hops {
        Some(0) => false,
        Some(hops) => {
            headers.insert(MAX_FORWARDS, HeaderValue::from(hops - 1));
            true
        }
        None => true,
    }
}

fn allowed() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    response.headers_mut().insert(ALLOW, methods);
    response
}

fn has_unknown_expectation(headers: &HeaderMap) -> bool {
    headers.get_all(EXPECT).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// RFC 9113 section 8.2.3: the crumbs of HTTP/2 become one field again.
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, cookie);
    }
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|member| {
        let member = member.split(';').next().unwrap_or("");
        member.trim().eq_ignore_ascii_case(token)
    })
}

fn refuse(parts: &request::Parts, status: StatusCode, reason: &'static str, detail: &'static str) -> Step {
    Step::Answer(Box::new(Refusal::new(status, reason).detail(detail).response(&parts.headers)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOP: Hop = Hop { client: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)), tls: false };

    fn parts(method: &str, uri: &str, fields: &[(&str, &str)]) -> request::Parts {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn passed_on(fields: &[(&str, &str)], forwarded: Forwarded) -> HeaderMap {
        let mut parts = parts("GET", "/x?y", &[&[("host", "a.example")], fields].concat());
        let step = request(&mut parts, HOP, forwarded);
        assert!(matches!(step, Step::Forward), "{step:?}");
        assert_eq!(parts.uri, "/x?y");
        parts.headers
    }

    #[test]
    fn what_belongs_to_the_connection_stays_behind() {
        let sent = passed_on(
            &[
                ("connection", "keep-alive, x-hop, cache-control"),
                ("x-hop", "1"),
                ("x-end", "1"),
                ("cache-control", "no-cache"),
                ("keep-alive", "timeout=5"),
                ("transfer-encoding", "Chunked"),
                ("trailer", "x-sum"),
                ("te", "trailers, deflate;q=0.5"),
                ("upgrade", "h2c"),
                ("proxy-connection", "close"),
            ],
            Forwarded::Off,
        );
        let mut names: Vec<_> = sent.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["cache-control", "connection", "host", "te", "trailer", "via", "x-end"]);
        assert_eq!((&sent["te"], &sent["connection"]), (&"trailers".parse().unwrap(), &"te".parse().unwrap()));
        assert_eq!(sent["via"], "1.1 gateway");
    }

    #[test]
    fn an_upgrade_is_asked_for_anew() {
        let sent = passed_on(&[("connection", "Upgrade"), ("upgrade", "websocket")], Forwarded::Off);
        assert_eq!(
            (&sent["connection"], &sent["upgrade"]),
            (&"upgrade".parse().unwrap(), &"websocket".parse().unwrap())
        );
        assert_eq!(passed_on(&[("upgrade", "websocket")], Forwarded::Off).get("upgrade"), None, "without Connection");
    }

    #[test]
    fn who_asks_is_said_and_not_believed() {
        let claim = [("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "203.0.113.9")];
        let replaced = passed_on(&claim, Forwarded::Replace);
        assert_eq!(replaced["forwarded"], "for=192.0.2.7;host=\"a.example\";proto=http");
        assert_eq!(replaced.get_all("forwarded").iter().count(), 1);
        assert_eq!(replaced.get("x-forwarded-for"), None);
        assert_eq!(passed_on(&claim, Forwarded::Append).get_all("forwarded").iter().count(), 2);
        assert_eq!(passed_on(&claim, Forwarded::Off)["forwarded"], "for=203.0.113.9");
    }

    #[test]
    fn what_is_answered_here() {
        for (method, fields, expected) in [
            ("GET", &[][..], None),
            ("CONNECT", &[], Some(501)),
            ("TRACE", &[], Some(405)),
            ("OPTIONS", &[("max-forwards", "0")], Some(200)),
            ("OPTIONS", &[("max-forwards", "2")], None),
            ("OPTIONS", &[], None),
            ("POST", &[("expect", "100-continue")], None),
            ("POST", &[("expect", "a-miracle")], Some(417)),
            ("POST", &[("transfer-encoding", "gzip, chunked")], Some(501)),
            ("POST", &[("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")], Some(501)),
        ] {
            let mut parts = parts(method, "/x", fields);
            let status = answer_here(&mut parts).map(|response| response.status().as_u16());
            assert_eq!(status, expected, "{method} {fields:?}");
            if method == "OPTIONS" && fields == [("max-forwards", "2")] {
                assert_eq!(parts.headers["max-forwards"], "1");
            }
        }
    }

    #[test]
    fn cookie_crumbs_become_one_field() {
        let sent = passed_on(&[("cookie", "a=1"), ("cookie", "b=2")], Forwarded::Off);
        assert_eq!(sent.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2"]);
    }
}
