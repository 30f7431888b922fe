//! Fields that stay behind: those of one connection, those of a proxy's own authentication, and those that the
//! response itself keeps from a shared cache (RFC 9110 section 7.6.1, RFC 9111 section 3.1).
//!
//! Decide first, remove then: [`storage`](crate::storage) and [`Terms`](crate::Terms) look at the fields as they were
//! received, so that nothing that `Connection` names can hide from them. The fields that carry a decision themselves
//! ([`is_protected`]) are never removed because `Connection` names them: RFC 9110 forbids a sender to name such a
//! field, and a stored response without its `Vary` or `Content-Encoding` would be another response.
//!
//! ```
//! use buttress_rfc9111::fields;
//! use http::{HeaderMap, HeaderValue, header};
//!
//! let mut headers = HeaderMap::new();
//! headers.insert(header::CONNECTION, HeaderValue::from_static("close, x-hop, vary"));
//! headers.insert("x-hop", HeaderValue::from_static("1"));
//! headers.insert(header::VARY, HeaderValue::from_static("accept"));
//! fields::remove_hop_by_hop(&mut headers);
//! assert_eq!(headers.len(), 1);
//! assert!(headers.contains_key(header::VARY));
//! ```

use http::header::{self, HeaderMap, HeaderName};

use crate::cache_control::{FieldNames, ResponseDirectives};

/// Fields of one connection, whether or not `Connection` names them, and those of proxy authentication.
const HOP_BY_HOP: [HeaderName; 11] = [
    header::CONNECTION,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Fields for every recipient, without which a message means something else.
const PROTECTED: [HeaderName; 20] = [
    header::AGE,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CACHE_STATUS,
    header::CDN_CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::DATE,
    header::ETAG,
    header::EXPIRES,
    header::HOST,
    header::LAST_MODIFIED,
    header::LOCATION,
    header::PRAGMA,
    header::RANGE,
    header::SET_COOKIE,
    header::VARY,
];

/// Whether the field belongs to one connection (RFC 9110 section 7.6.1) or to a proxy's own authentication
/// (RFC 9111 section 3.1), and so is neither stored nor passed on.
///
/// `TE` and `Trailer` count: an intermediary that can carry trailers says so anew (`TE: trailers`, as gRPC needs).
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name)
}

/// Whether the field stays although `Connection` names it: it carries framing, identity or a caching decision.
pub fn is_protected(name: &HeaderName) -> bool {
    PROTECTED.contains(name)
}

/// Removes the fields of this connection and those that `Connection` names, except [protected](is_protected) ones.
///
/// For messages in either direction. Costs eleven look-ups, and an allocation for each name in `Connection` only if
/// that field is not one that `http` knows. Call it after the decisions, and after reading `Upgrade` or `TE`.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in connection_options(headers) {
        if !is_protected(&name) {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Removes what a shared cache must not keep of a response that it may store: the fields of
/// [this connection](remove_hop_by_hop) and those in `no-cache="…"` and `private="…"`.
///
/// A list that names a [protected](is_protected) field other than `Set-Cookie` does not get this far: `private` then
/// forbids storing the response, and `no-cache` reusing it without validation, as if they stood alone.
pub fn remove_unstorable(headers: &mut HeaderMap, directives: &ResponseDirectives) {
    remove_hop_by_hop(headers);
    for names in [&directives.no_cache, &directives.private].into_iter().flatten() {
        if let FieldNames::Listed(names) = names {
            for name in names.iter().filter(|name| can_be_left_out(name)) {
                headers.remove(name);
            }
        }
    }
}

/// Whether a response without this field is still that response.
pub(crate) fn can_be_left_out(name: &HeaderName) -> bool {
    !is_protected(name) || *name == header::SET_COOKIE
}

/// The valid field names in `Connection`; empty, and free of cost, when there is no such field.
fn connection_options(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(header::CONNECTION).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::headers;

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[track_caller]
    fn check_hop(lines: &str, expected: &[&str]) {
        let mut map = headers(lines);
        remove_hop_by_hop(&mut map);
        assert_eq!(names(&map), expected, "{lines}");
    }

    #[test]
    fn rfc9110_7_6_1_fields_of_one_connection_go() {
        check_hop("X-A: 1", &["x-a"]);
        check_hop("Connection: x-foo\nX-Foo: 1\nX-Foo: 2\nX-Bar: 1", &["x-bar"]);
        check_hop("Connection: x-foo ,\tX-BAR,, bad name,\nConnection: close\nX-Foo: 1\nX-Bar: 1", &[]);
        check_hop("Keep-Alive: timeout=5\nTE: trailers\nTrailer: x\nTransfer-Encoding: chunked\nUpgrade: h2c", &[]);
        check_hop("Proxy-Connection: close\nHTTP2-Settings: x", &[]);
        check_hop("Proxy-Authenticate: x\nProxy-Authorization: x\nProxy-Authentication-Info: x", &[]);
    }

    #[test]
    fn connection_cannot_strip_what_decides() {
        check_hop(
            "Connection: cache-control, vary, set-cookie, authorization, content-type, host\n\
             Cache-Control: private\nVary: x\nSet-Cookie: a\nAuthorization: b\nContent-Type: c\nHost: d",
            &["authorization", "cache-control", "content-type", "host", "set-cookie", "vary"],
        );
    }

    #[test]
    fn rfc9111_3_1_named_fields_are_not_stored() {
        let mut map = headers(
            "Cache-Control: max-age=9, private=\"X-User, Set-Cookie\", no-cache=x-once\n\
             X-User: 1\nSet-Cookie: a\nX-Once: 1\nX-Kept: 1\nVary: x\nTE: x",
        );
        let directives = ResponseDirectives::from_headers(&map);
        remove_unstorable(&mut map, &directives);
        assert_eq!(names(&map), ["cache-control", "vary", "x-kept"]);
    }
}
