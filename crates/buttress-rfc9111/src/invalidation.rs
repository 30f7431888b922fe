//! What an unsafe request makes invalid (RFC 9111 section 4.4).
//!
//! A response that is no error, to a request that may have changed something, makes the stored responses for its URI
//! invalid: for GET and HEAD, in all variants. So it does for the URIs in `Location` and `Content-Location`, but only
//! within the same origin, since otherwise one site could empty the cache of another.
//!
//! ```
//! use buttress_rfc9111::invalidation;
//! use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
//!
//! let uri = Uri::from_static("https://example.com/basket/");
//! let headers = HeaderMap::from_iter([(header::LOCATION, HeaderValue::from_static("items/7"))]);
//! let invalid = invalidation::targets(&Method::POST, &uri, StatusCode::CREATED, &headers);
//! assert_eq!(invalid, ["https://example.com/basket/", "https://example.com/basket/items/7"]);
//! assert!(invalidation::targets(&Method::GET, &uri, StatusCode::OK, &headers).is_empty());
//! ```

mod reference;

use http::header::{CONTENT_LOCATION, LOCATION};
use http::{HeaderMap, Method, StatusCode, Uri};

pub use reference::{is_same_origin, resolve};

/// The URIs whose stored responses are invalid after this response, the request's own first and each only once; none
/// when the method is safe or the response an error.
///
/// The URI should be absolute. A path alone still resolves relative references, but no absolute one is of its origin.
/// Costs nothing for safe methods.
pub fn targets(method: &Method, uri: &Uri, status: StatusCode, response: &HeaderMap) -> Vec<Uri> {
    if !invalidates(method, status) {
        return Vec::new();
    }
    let mut targets = vec![uri.clone()];
    for line in [LOCATION, CONTENT_LOCATION].iter().flat_map(|name| response.get_all(name)) {
        if let Some(target) = resolve(uri, line.as_bytes())
            && is_same_origin(uri, &target)
            && !targets.contains(&target)
        {
            targets.push(target);
        }
    }
    targets
}

/// Whether a response with this status to a request with this method makes anything invalid: an unsafe method, known or
/// not, and a status of 2xx or 3xx. The target of CONNECT is no resource.
pub fn invalidates(method: &Method, status: StatusCode) -> bool {
    !is_safe(method) && *method != Method::CONNECT && (status.is_success() || status.is_redirection())
}

/// Whether the method is known to change nothing: GET, HEAD, OPTIONS, TRACE, QUERY, PROPFIND, REPORT and SEARCH, by the
/// registry of RFC 9110 section 16.1.1. A method that is not known here is not safe.
pub fn is_safe(method: &Method) -> bool {
    matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE" | "QUERY" | "PROPFIND" | "REPORT" | "SEARCH")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::headers;

    #[track_caller]
    fn check(method: &str, status: u16, response: &str, expected: &[&str]) {
        let method = method.parse().expect("a method");
        let status = StatusCode::from_u16(status).expect("valid");
        let uri = Uri::from_static("http://example.com/a/b?q");
        assert_eq!(targets(&method, &uri, status, &headers(response)), expected, "{method} {status} {response}");
    }

    const SELF: &str = "http://example.com/a/b?q";

    #[test]
    fn rfc9111_4_4_unsafe_methods_known_and_unknown() {
        for method in ["POST", "PUT", "DELETE", "PATCH", "PURGE", "M-SEARCH", "get"] {
            check(method, 200, "", &[SELF]);
        }
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PROPFIND", "REPORT", "SEARCH", "CONNECT"] {
            check(method, 200, "Location: /c", &[]);
        }
    }

    #[test]
    fn rfc9111_4_4_only_after_success() {
        for status in 100..=999 {
            let expected: &[_] = if (200..400).contains(&status) { &[SELF] } else { &[] };
            check("POST", status, "", expected);
        }
    }

    #[test]
    fn rfc9111_4_4_location_and_content_location_of_the_same_origin() {
        check("POST", 201, "Location: /c", &[SELF, "http://example.com/c"]);
        check(
            "POST",
            201,
            "Location: c\nContent-Location: ../d",
            &[SELF, "http://example.com/a/c", "http://example.com/d"],
        );
        check("POST", 201, "Location: http://EXAMPLE.com:80/c", &[SELF, "http://example.com/c"]);
        check("POST", 201, "Location: /a/b?q\nContent-Location: #x", &[SELF]);
        check("POST", 201, "Location: /c\nLocation: /d", &[SELF, "http://example.com/c", "http://example.com/d"]);
        for elsewhere in [
            "https://example.com/c",
            "http://example.com:8080/c",
            "http://example.org/c",
            "http://sub.example.com/c",
            "//example.org/c",
            "mailto:a@example.com",
            "javascript:alert(1)",
            "http://",
            "/a b",
        ] {
            check("POST", 201, &format!("Location: {elsewhere}"), &[SELF]);
        }
    }

    #[test]
    fn a_path_alone_has_no_origin() {
        let uri = Uri::from_static("/a/b");
        let response = headers("Location: c\nContent-Location: http://example.com/d");
        assert_eq!(targets(&Method::POST, &uri, StatusCode::OK, &response), ["/a/b", "/a/c"]);
    }
}
