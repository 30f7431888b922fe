//! A refusal is a response: `application/problem+json` for HTTP, a trailers-only status for gRPC.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

/// Why a layer answers instead of the service it wraps.
///
/// Over HTTP it becomes a problem document (RFC 9457); for a request whose content type begins with
/// `application/grpc` it becomes a trailers-only gRPC status, because a gRPC client cannot read anything else.
/// `reason` is a short stable word for programs, `detail` a sentence for people; neither may hold a secret. The
/// response carries `Cache-Control: no-store`, so that no cache remembers a refusal for others.
///
/// ```
/// use buttress_core::Refusal;
/// use http::{HeaderMap, StatusCode};
///
/// let response = Refusal::new(StatusCode::GATEWAY_TIMEOUT, "not-cached")
///     .detail("the request asked for a stored response, and none can be used")
///     .response(&HeaderMap::new());
/// assert_eq!(response.status(), 504);
/// assert_eq!(response.headers()["content-type"], "application/problem+json");
/// assert!(response.body().starts_with(br#"{"detail":"#));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Refusal {
    status: StatusCode,
    reason: &'static str,
    detail: Option<Cow<'static, str>>,
    headers: HeaderMap,
}

// === impl Refusal ===

impl Refusal {
    /// A refusal with a status and a stable, kebab-case reason.
    pub fn new(status: StatusCode, reason: &'static str) -> Self {
        Self { status, reason, detail: None, headers: HeaderMap::new() }
    }

    /// A sentence for the person who reads the answer. Default: none.
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// A further field of the response, such as `Retry-After`. Replaces one of the same name.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The response for a request with these headers.
    #[must_use]
    pub fn response(self, request: &HeaderMap) -> Response<Bytes> {
        let (status, content_type, body) = if is_grpc(request) {
            (StatusCode::OK, grpc_content_type(request), Bytes::new())
        } else {
            (self.status, HeaderValue::from_static("application/problem+json"), self.problem())
        };
        let grpc = body.is_empty().then(|| self.grpc_fields());
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = self.headers;
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.headers_mut().extend(grpc.into_iter().flatten());
        response
    }

    /// RFC 9457: `type` stays `about:blank`, so `title` is the status phrase.
    fn problem(&self) -> Bytes {
        let mut problem = serde_json::Map::new();
        problem.insert("title".into(), self.status.canonical_reason().unwrap_or("Unknown").into());
        problem.insert("status".into(), self.status.as_u16().into());
        problem.insert("reason".into(), self.reason.into());
        if let Some(detail) = &self.detail {
            problem.insert("detail".into(), detail.as_ref().into());
        }
        serde_json::Value::Object(problem).to_string().into()
    }

    fn grpc_fields(&self) -> [(HeaderName, HeaderValue); 2] {
        let message = percent_encoded(self.detail.as_deref().unwrap_or(self.reason));
        [
            (HeaderName::from_static("grpc-status"), HeaderValue::from(grpc_code(self.status))),
            (HeaderName::from_static("grpc-message"), message),
        ]
    }
}

/// Whether these are the headers of a gRPC request: its content type is `application/grpc`, with or without a
/// `+proto` or `;` suffix. gRPC-Web is plain HTTP to us and does not count.
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let Some(rest) = value.as_bytes().strip_prefix(b"application/grpc") else { return false };
        matches!(rest.first(), None | Some(b'+' | b';' | b' '))
    })
}

/// A gRPC client wants to read back the content type it sent.
fn grpc_content_type(request: &HeaderMap) -> HeaderValue {
    request.get(CONTENT_TYPE).cloned().unwrap_or(HeaderValue::from_static("application/grpc"))
}

/// The gRPC project's own table of HTTP statuses (doc/http-grpc-status-mapping.md), and its neighbours.
fn grpc_code(status: StatusCode) -> u16 {
    match status.as_u16() {
        400 | 413 | 431 => 3, // INVALID_ARGUMENT
        401 => 16,            // UNAUTHENTICATED
        403 => 7,             // PERMISSION_DENIED
        404 => 5,             // NOT_FOUND
        408 => 4,             // DEADLINE_EXCEEDED
        409 => 10,            // ABORTED
        412 => 9,             // FAILED_PRECONDITION
        429 => 8,             // RESOURCE_EXHAUSTED
        501 => 12,            // UNIMPLEMENTED
        502..=504 => 14,      // UNAVAILABLE
        500..=599 => 13,      // INTERNAL
        _ => 2,               // UNKNOWN
    }
}

/// gRPC over HTTP/2: every byte outside space..`~`, and `%` itself, is sent as `%XX`.
fn percent_encoded(message: &str) -> HeaderValue {
    let mut out = String::with_capacity(message.len());
    for byte in message.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    HeaderValue::try_from(out).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_content_type(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))])
    }

    #[test]
    fn grpc_is_told_by_its_content_type() {
        for (value, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc; charset=x", true),
            ("application/grpc-web", false),
            ("application/grpcish", false),
            ("application/json", false),
        ] {
            assert_eq!(is_grpc(&with_content_type(value)), expected, "{value}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn http_gets_a_problem_document() {
        let response = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "store-away")
            .detail("a \"quoted\" detail")
            .header(http::header::RETRY_AFTER, HeaderValue::from_static("1"))
            .response(&HeaderMap::new());
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["retry-after"], "1");
        let problem: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(problem["status"], 503);
        assert_eq!(problem["title"], "Service Unavailable");
        assert_eq!(problem["reason"], "store-away");
        assert_eq!(problem["detail"], "a \"quoted\" detail");
    }

    #[test]
    fn grpc_gets_a_status_without_a_body() {
        let response = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "store-away")
            .detail("100% away: ü\n")
            .response(&with_content_type("application/grpc+proto"));
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/grpc+proto");
        assert_eq!(response.headers()["grpc-status"], "14");
        assert_eq!(response.headers()["grpc-message"], "100%25 away: %C3%BC%0A");
        assert!(response.body().is_empty());
    }
}
