//! What a request is counted as, and whether its visitor may be counted: plain functions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, StatusCode};

/// How a request ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    Informational,
    Success,
    Redirection,
    ClientError,
    ServerError,
    /// The client went away, or nobody read the response to its end.
    Cancelled,
}

/// The methods that are told apart; whatever else a client makes up is one of them together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verb {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    Connect,
    Trace,
    Query,
    Other,
}

/// Whether a visitor may be counted, and if not why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Visit {
    Counted,
    /// `DNT: 1`.
    AskedNotToBeTracked,
    /// `Sec-GPC: 1` (Global Privacy Control).
    AskedForPrivacy,
}

// === impl Class ===

impl Class {
    pub(crate) const COUNT: usize = 6;

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "1xx",
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn of(status: StatusCode) -> Self {
        match status.as_u16() / 100 {
            1 => Self::Informational,
            2 => Self::Success,
            3 => Self::Redirection,
            4 => Self::ClientError,
            _ => Self::ServerError,
        }
    }

    /// What a gRPC call is, whose HTTP status says nothing: by the status that it ends with, as the gateways of gRPC translate it to HTTP. One that
    /// says nothing, or what is no number, has failed.
    pub(crate) fn of_grpc(fields: &HeaderMap) -> Self {
        let status = fields.get("grpc-status").and_then(|value| value.to_str().ok()?.parse::<u8>().ok());
        match status {
            Some(0) => Self::Success,
            Some(1) => Self::Cancelled,
            // Invalid argument, not found, already exists, permission denied, resource exhausted, failed precondition, aborted, out of range,
            // unauthenticated.
            Some(3 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 16) => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

// === impl Verb ===

impl Verb {
    pub(crate) const COUNT: usize = 11;

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Connect => "CONNECT",
            Self::Trace => "TRACE",
            Self::Query => "QUERY",
            Self::Other => "other",
        }
    }

    pub(crate) fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            Method::OPTIONS => Self::Options,
            Method::CONNECT => Self::Connect,
            Method::TRACE => Self::Trace,
            Method::QUERY => Self::Query,
            _ => Self::Other,
        }
    }
}

/// Whether nobody will ask such a response for its body, so that it is over when it begins.
pub(crate) fn has_no_body(verb: Verb, status: StatusCode) -> bool {
    verb == Verb::Head
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || status.is_informational()
}

pub(crate) fn is_grpc(fields: &HeaderMap) -> bool {
    let kind = fields.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    kind.starts_with(b"application/grpc")
}

/// Whether the visitor who sent these may be counted among others.
pub(crate) fn visit(fields: &HeaderMap) -> Visit {
    let asks = |name| fields.get(name).is_some_and(|value: &http::HeaderValue| value.as_bytes().trim_ascii() == b"1");
    match () {
        () if asks("dnt") => Visit::AskedNotToBeTracked,
        () if asks("sec-gpc") => Visit::AskedForPrivacy,
        () => Visit::Counted,
    }
}

/// Milliseconds since 1970.
pub(crate) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn time(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn field(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))])
    }

    #[test]
    fn how_a_request_ended() {
        let table = [
            (101, Class::Informational),
            (200, Class::Success),
            (304, Class::Redirection),
            (404, Class::ClientError),
            (500, Class::ServerError),
            (599, Class::ServerError),
            (999, Class::ServerError),
        ];
        for (status, expected) in table {
            assert_eq!(Class::of(StatusCode::from_u16(status).unwrap()), expected, "{status}");
        }
    }

    #[test]
    fn how_a_call_ended() {
        let table = [
            ("0", Class::Success),
            ("1", Class::Cancelled),
            ("5", Class::ClientError),
            ("16", Class::ClientError),
            ("4", Class::ServerError),
            ("14", Class::ServerError),
            ("300", Class::ServerError),
            ("", Class::ServerError),
        ];
        for (status, expected) in table {
            assert_eq!(Class::of_grpc(&field("grpc-status", status)), expected, "{status}");
        }
        assert_eq!(Class::of_grpc(&HeaderMap::new()), Class::ServerError, "it broke off");
    }

    #[test]
    fn a_method_that_somebody_made_up_is_one_of_many() {
        assert_eq!(Verb::of(&Method::from_bytes(b"BREW").unwrap()), Verb::Other);
        assert_eq!(Verb::of(&Method::QUERY).as_str(), "QUERY");
    }

    #[test]
    fn who_asks_not_to_be_counted_is_not() {
        let table = [
            ("dnt", "1", Visit::AskedNotToBeTracked),
            ("dnt", "0", Visit::Counted),
            ("dnt", "", Visit::Counted),
            ("sec-gpc", "1", Visit::AskedForPrivacy),
            ("sec-gpc", "?0", Visit::Counted),
            ("accept", "1", Visit::Counted),
        ];
        for (name, value, expected) in table {
            assert_eq!(visit(&field(name, value)), expected, "{name}: {value}");
        }
    }

    #[test]
    fn responses_that_are_over_when_they_begin() {
        let table = [
            (Verb::Head, 200, true),
            (Verb::Get, 204, true),
            (Verb::Get, 304, true),
            (Verb::Connect, 101, true),
            (Verb::Get, 200, false),
            (Verb::Post, 500, false),
        ];
        for (verb, status, expected) in table {
            assert_eq!(has_no_body(verb, StatusCode::from_u16(status).unwrap()), expected, "{verb:?} {status}");
        }
    }
}
