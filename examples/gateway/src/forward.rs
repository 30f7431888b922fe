//! What an intermediary does to a message that it passes on (RFC 9110 section 7.6): pure functions over its fields.

use std::net::IpAddr;

use buttress::core::Refusal;
use buttress_rfc9111::fields::remove_hop_by_hop;
use bytes::Bytes;
use http::header::{
    ALLOW, CONNECTION, COOKIE, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, MAX_FORWARDS, TE, UPGRADE,
    VIA,
};
use http::{Method, Response, StatusCode, Uri, Version, request};

use crate::config::Forwarded;

/// How this gateway calls itself in `Via`.
const PSEUDONYM: &str = "gateway";

/// By which a client could claim to be another, in a field that services trust.
const CLAIMS: [HeaderName; 5] = [
    FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-proto"),
];

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

/// Makes a request that came in one that goes out to `upstream`.
pub(crate) fn request(parts: &mut request::Parts, hop: Hop, forwarded: Forwarded, upstream: &Uri) -> Step {
    if let Some(answer) = answer_here(parts) {
        return Step::Answer(Box::new(answer));
    }
    let Some(host) = host(parts) else {
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
    remove_hop_by_hop(&mut parts.headers);
    if takes_trailers {
        parts.headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Some(upgrade) = upgrade {
        parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        parts.headers.insert(UPGRADE, upgrade);
    }
    say_who(&mut parts.headers, hop, &host, forwarded);
    join_cookies(&mut parts.headers);
    add_via(&mut parts.headers, protocol);
    parts.headers.insert(HOST, host);
    parts.uri = target(&parts.uri, upstream);
    parts.version = Version::HTTP_11;
    Step::Forward
}

/// Makes a response that came from the upstream one that goes on to the client.
pub(crate) fn response<B>(response: &mut Response<B>) {
    let protocol = std::mem::replace(response.version_mut(), Version::HTTP_11); // the version is each hop's own
    let changes = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    let upgrade = changes.then(|| headers.get(UPGRADE).cloned()).flatten();
    remove_hop_by_hop(headers);
    if let Some(upgrade) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, upgrade);
    }
    add_via(headers, protocol);
}

/// The protocol that a request wants to change to. Not `h2c`: this connection's HTTP version is between us and the client.
pub(crate) fn upgrade_of(parts: &request::Parts) -> Option<HeaderValue> {
    let upgrade = parts.headers.get(UPGRADE)?;
    let wanted = parts.version == Version::HTTP_11 && has_token(&parts.headers, &CONNECTION, "upgrade");
    (wanted && !upgrade.as_bytes().eq_ignore_ascii_case(b"h2c")).then(|| upgrade.clone())
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

/// The host that the client asks: that of an absolute target, or of the one `Host` field (RFC 9112 section 3.2).
fn host(parts: &request::Parts) -> Option<HeaderValue> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return None;
    }
    match parts.uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => first.filter(|host| http::uri::Authority::try_from(host.as_bytes()).is_ok()).cloned(),
    }
}

/// The same path at the upstream.
fn target(uri: &Uri, upstream: &Uri) -> Uri {
    let mut parts = upstream.clone().into_parts();
    parts.path_and_query = uri.path_and_query().cloned().or(parts.path_and_query);
    Uri::from_parts(parts).expect("a scheme, an authority and a path are a URI")
}

/// RFC 7239, and RFC 9110 section 7.6 for why a client's own word does not count by default.
fn say_who(headers: &mut HeaderMap, hop: Hop, host: &HeaderValue, forwarded: Forwarded) {
    if forwarded == Forwarded::Off {
        return;
    }
    if forwarded == Forwarded::Replace {
        for claim in CLAIMS {
            headers.remove(claim);
        }
    }
    let client = match hop.client.to_canonical() {
        IpAddr::V4(client) => format!("for={client}"),
        IpAddr::V6(client) => format!("for=\"[{client}]\""),
    };
    let proto = if hop.tls { "https" } else { "http" };
    let host = String::from_utf8_lossy(host.as_bytes());
    if let Ok(element) = HeaderValue::try_from(format!("{client};host=\"{host}\";proto={proto}")) {
        headers.append(FORWARDED, element);
    }
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

fn add_via(headers: &mut HeaderMap, version: Version) {
    let protocol = match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2.0",
        _ => "1.1",
    };
    if let Ok(hop) = HeaderValue::try_from(format!("{protocol} {PSEUDONYM}")) {
        headers.append(VIA, hop);
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
        let step = request(&mut parts, HOP, forwarded, &Uri::from_static("http://127.0.0.1:9"));
        assert!(matches!(step, Step::Forward), "{step:?}");
        assert_eq!(parts.uri, "http://127.0.0.1:9/x?y");
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
                ("transfer-encoding", "chunked"),
                ("te", "trailers, deflate;q=0.5"),
                ("upgrade", "h2c"),
                ("proxy-connection", "close"),
            ],
            Forwarded::Off,
        );
        let mut names: Vec<_> = sent.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["cache-control", "host", "te", "via", "x-end"]);
        assert_eq!(sent["te"], "trailers");
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
    fn the_host_of_the_target_wins_and_two_are_none() {
        for (uri, fields, expected) in [
            ("/x", &[("host", "a.example")][..], Some("a.example")),
            ("http://b.example/x", &[("host", "a.example")], Some("b.example")),
            ("/x", &[], None),
            ("/x", &[("host", "a.example"), ("host", "b.example")], None),
            ("http://b.example/x", &[("host", "a.example"), ("host", "b.example")], None),
            ("/x", &[("host", "a b")], None),
        ] {
            let host = host(&parts("GET", uri, fields));
            assert_eq!(host.as_ref().map(|host| host.to_str().unwrap()), expected, "{uri} {fields:?}");
        }
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
