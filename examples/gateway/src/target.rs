//! What a request is aimed at: its scheme is its connection's, its host is said once.

use http::header::{HOST, HeaderMap, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Version, request};

/// The target with the scheme of its connection; `None` where it says so already.
///
/// The scheme is a part of the cache's key. HTTP/2 and absolute targets let the client name one, and a client that
/// claims `https` on a connection that is not secure must not choose what those that have it are served. A path over
/// TLS becomes absolute, since a path alone means `http` to everybody inside. Costs nothing for a path over plain TCP.
pub(crate) fn of_connection(uri: &Uri, headers: &HeaderMap, tls: bool) -> Option<Uri> {
    let scheme = if tls { Scheme::HTTPS } else { Scheme::HTTP };
    match uri.scheme() {
        None if !tls => return None,
        Some(said) if *said == scheme => return None,
        _ => {}
    }
    let mut parts = uri.clone().into_parts();
    if parts.authority.is_none() {
        parts.authority = Some(Authority::try_from(headers.get(HOST)?.as_bytes()).ok()?);
    }
    parts.scheme = Some(scheme);
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    Uri::from_parts(parts).ok()
}

/// The host that the client asks: that of an absolute target, or of the one `Host` field (RFC 9112 section 3.2).
///
/// `Err` when there are two, when it could be read in two ways, or when there is none and there has to be one. Only
/// HTTP/1.0 knows requests without a host.
pub(crate) fn host(parts: &request::Parts) -> Result<Option<HeaderValue>, ()> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(());
    }
    let host = match parts.uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => first.cloned(),
    };
    match host {
        Some(host) if is_host(host.as_bytes()) => Ok(Some(host)),
        None if parts.version <= Version::HTTP_10 => Ok(None),
        _ => Err(()),
    }
}

/// A host and perhaps a port. No user: some would take that for the host.
fn is_host(bytes: &[u8]) -> bool {
    !bytes.contains(&b'@') && Authority::try_from(bytes).is_ok()
}

/// The same path at the upstream.
pub(crate) fn at(uri: &Uri, scheme: Scheme, authority: Authority) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme);
    parts.authority = Some(authority);
    parts.path_and_query = Some(uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")));
    Uri::from_parts(parts).expect("a scheme, an authority and a path are a URI")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_that_of_the_connection() {
        for (uri, tls, expected) in [
            ("/a?b", false, None),
            ("http://h/a", false, None),
            ("https://h/a", true, None),
            ("https://h/a", false, Some("http://h/a")),
            ("http://h/a", true, Some("https://h/a")),
            ("/a?b", true, Some("https://h:1/a?b")),
        ] {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("h:1"))]);
            let target = of_connection(&Uri::from_static(uri), &headers, tls);
            assert_eq!(target.map(|uri| uri.to_string()).as_deref(), expected, "{uri}, TLS {tls}");
        }
        assert_eq!(of_connection(&Uri::from_static("/a"), &HeaderMap::new(), true), None, "refused further in");
    }

    #[test]
    fn the_host_of_the_target_wins_and_two_are_none() {
        for (version, uri, hosts, expected) in [
            (Version::HTTP_11, "/x", &["a.example"][..], Ok(Some("a.example"))),
            (Version::HTTP_11, "http://b.example/x", &["a.example"], Ok(Some("b.example"))),
            (Version::HTTP_11, "/x", &[], Err(())),
            (Version::HTTP_10, "/x", &[], Ok(None)),
            (Version::HTTP_2, "http://b.example/x", &[], Ok(Some("b.example"))),
            (Version::HTTP_11, "/x", &["a.example", "b.example"], Err(())),
            (Version::HTTP_11, "http://b.example/x", &["a.example", "b.example"], Err(())),
            (Version::HTTP_11, "/x", &["a b"], Err(())),
            (Version::HTTP_11, "/x", &["b@a"], Err(())),
            (Version::HTTP_11, "http://b@a/x", &["a"], Err(())),
        ] {
            let mut request = http::Request::builder().version(version).uri(uri);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            let host = host(&request.body(()).unwrap().into_parts().0);
            let expected = expected.map(|host| host.map(HeaderValue::from_static));
            assert_eq!(host, expected, "{version:?} {uri} {hosts:?}");
        }
    }
}
