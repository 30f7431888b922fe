//! How the ready services answer: JSON, and errors as OAuth 2.0 has them.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::{Value, json};

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
    /// The answer, as programs expect it of a token endpoint (RFC 6749 §5.2).
    pub(crate) fn response(self) -> Response<Bytes> {
        let (status, error, description) = self.words();
        let mut response = json(status, &json!({ "error": error, "error_description": description }));
        let field = match self {
            Self::Method => Some((ALLOW, "POST")),
            Self::Token => Some((WWW_AUTHENTICATE, "Bearer")),
            Self::Away | Self::Untold => Some((RETRY_AFTER, "1")),
            _ => None,
        };
        response.headers_mut().extend(field.map(|(name, value)| (name, HeaderValue::from_static(value))));
        response
    }

    const fn words(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", "there is nothing here"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "this is done by POST"),
            Self::CrossSite => (StatusCode::FORBIDDEN, "cross_site", "the request was not sent by a page of this site"),
            Self::Body => {
                let description = "the body is neither a form nor JSON of 8 KiB at most";
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request", description)
            }
            Self::Malformed => (StatusCode::BAD_REQUEST, "invalid_request", "the request cannot be understood"),
            Self::Credentials => (StatusCode::UNAUTHORIZED, "access_denied", "nobody is known by these credentials"),
            Self::Token => (StatusCode::UNAUTHORIZED, "invalid_token", "a good token is required"),
            Self::Grant => (StatusCode::BAD_REQUEST, "invalid_grant", "the refresh token is not good any more"),
            Self::Away => {
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "this cannot be done at the moment")
            }
            Self::Untold => {
                let description = "it is done here, but not yet known everywhere: try again";
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", description)
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
