//! How the ready services answer: JSON, or a refusal that names the error of OAuth 2.0 where there is one.

use buttress_core::Refusal;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::Value;

/// Why a request to one of the services is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    NotFound,
    Method,
    CrossSite,
    /// Too long, or of another kind.
    Body,
    Malformed,
    /// Nobody is known by these credentials.
    Credentials,
    /// No token that is good.
    Token,
    /// A refresh token that is not good (any more).
    Grant,
    Away,
    /// It holds here, but others could not be told.
    Untold,
}

// === impl Refused ===

impl Refused {
    pub(crate) fn response(self, request: &HeaderMap) -> Response<Bytes> {
        let (status, reason, detail) = self.words();
        let refusal = Refusal::new(status, reason).detail(detail);
        let refusal = match self {
            Self::Method => refusal.header(ALLOW, HeaderValue::from_static("POST")),
            Self::Token => refusal.header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Self::Away | Self::Untold => refusal.header(RETRY_AFTER, HeaderValue::from_static("1")),
            _ => refusal,
        };
        refusal.response(request)
    }

    const fn words(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "there is nothing here"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method", "this is done by POST"),
            Self::CrossSite => (StatusCode::FORBIDDEN, "cross-site", "the request was not sent by a page of this site"),
            Self::Body => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "body", "the body is neither a form nor JSON of 8 KiB at most")
            }
            Self::Malformed => (StatusCode::BAD_REQUEST, "invalid_request", "the request cannot be understood"),
            Self::Credentials => (StatusCode::UNAUTHORIZED, "credentials", "nobody is known by these credentials"),
            Self::Token => (StatusCode::UNAUTHORIZED, "no-token", "a token is required"),
            Self::Grant => (StatusCode::UNAUTHORIZED, "invalid_grant", "the refresh token is not good any more"),
            Self::Away => (StatusCode::SERVICE_UNAVAILABLE, "away", "this cannot be done at the moment"),
            Self::Untold => {
                (StatusCode::SERVICE_UNAVAILABLE, "untold", "it is done here, but not yet known everywhere: try again")
            }
        }
    }
}

pub(crate) fn json(status: StatusCode, value: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
