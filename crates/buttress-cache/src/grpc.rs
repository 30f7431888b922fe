//! Unary gRPC: the methods whose answers may be kept, and what a whole message is.
//!
//! A message is five bytes and what they announce: whether it is compressed, and its length. How the call has ended is in
//! the trailers, so nobody knows whether an answer is one to keep before they came.

use std::fmt;
use std::time::Duration;

use buttress_core::is_grpc;
use http::header::HeaderName;
use http::{HeaderMap, StatusCode, response};

/// Before each message: one byte for the compression and four for the length.
const PREFIX: usize = 5;

/// A unary method whose answers may be kept, since they are the same for the same message.
///
/// ```
/// use std::time::Duration;
/// use buttress_cache::GrpcMethod;
/// use http::HeaderName;
///
/// let method = GrpcMethod::new("/shop.Prices/Get")?
///     .ttl(Duration::from_secs(10))
///     .metadata([HeaderName::from_static("x-currency")]);
/// # let _ = method;
/// # Ok::<(), buttress_cache::InvalidMethod>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct GrpcMethod {
    path: String,
    ttl: Option<Duration>,
    metadata: Vec<HeaderName>,
}

/// Not the full name of a gRPC method.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidMethod {
    name: String,
}

/// Whether what comes is one message and nothing else.
#[derive(Clone, Debug, Default)]
pub(crate) struct OneMessage {
    prefix: Vec<u8>,
    /// What is to come of the message, once its prefix was read.
    missing: usize,
}

/// An answer that fills an entry, as far as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unary {
    message: OneMessage,
    /// Whether the call went well, once its trailers came.
    went_well: Option<bool>,
}

/// Why an answer is not one to keep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotUnary {
    /// The call has failed, or does not say how it has ended.
    Status,
    /// No message, several, or half a one.
    Messages,
}

// === impl GrpcMethod ===

impl GrpcMethod {
    /// A method by its full name, `/package.Service/Method`. Without [`ttl`](Self::ttl) only those answers are kept whose `cache-control` metadata
    /// says for how long.
    ///
    /// # Errors
    ///
    /// If the name has not that form.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidMethod> {
        let path = name.into();
        let parts: Vec<_> = path.split('/').collect();
        let is_name = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?');
        match parts[..] {
            ["", service, method] if is_name(service) && is_name(method) => {}
            _ => return Err(InvalidMethod { name: path }),
        }
        Ok(Self { path, ttl: None, metadata: Vec::new() })
    }

    /// How long an answer is fresh that says nothing about it in its `cache-control` metadata. Default: what
    /// [`CacheLayer::default_ttl`](crate::CacheLayer::default_ttl) says; without that, such an answer is not kept.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The metadata that the answer depends on beside the message. Default: none. Whatever the method reads and is not named
    /// here, or in the answer's `vary`, is one caller's answer shown to another.
    pub fn metadata(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.metadata.extend(names);
        self
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn lifetime(&self) -> Option<Duration> {
        self.ttl
    }

    pub(crate) fn named(&self) -> &[HeaderName] {
        &self.metadata
    }
}

// === impl OneMessage ===

impl OneMessage {
    /// Whether this is one whole message.
    pub(crate) fn is(content: &[u8]) -> bool {
        let mut message = Self::default();
        message.take(content) && message.is_whole()
    }

    /// Takes what came next; false when that is more than one message, or none of ours.
    fn take(&mut self, mut data: &[u8]) -> bool {
        if self.prefix.len() < PREFIX {
            let (prefix, rest) = data.split_at(data.len().min(PREFIX - self.prefix.len()));
            self.prefix.extend_from_slice(prefix);
            data = rest;
            if let [compressed, length @ ..] = &self.prefix[..]
                && let Ok(length) = <[u8; 4]>::try_from(length)
            {
                self.missing = u32::from_be_bytes(length) as usize;
                if *compressed > 1 {
                    return false;
                }
            }
        }
        let is_within = data.len() <= self.missing;
        self.missing = self.missing.saturating_sub(data.len());
        is_within
    }

    fn is_whole(&self) -> bool {
        self.prefix.len() == PREFIX && self.missing == 0
    }
}

// === impl Unary ===

impl Unary {
    /// Takes what came of the answer; false when it is not that of a unary method.
    pub(crate) fn take(&mut self, data: &[u8]) -> bool {
        self.message.take(data)
    }

    /// Takes the trailers.
    pub(crate) fn trailers(&mut self, trailers: &HeaderMap) {
        let mut statuses = trailers.get_all("grpc-status").iter();
        let went_well = statuses.next().is_some_and(|status| status == "0") && statuses.next().is_none();
        self.went_well = Some(went_well && self.went_well.is_none());
    }

    /// Whether the trailers have come: nothing comes behind them.
    pub(crate) fn has_ended(&self) -> bool {
        self.went_well.is_some()
    }

    /// Whether the answer, at its end, is one to keep.
    pub(crate) fn verdict(&self) -> Result<(), NotUnary> {
        match self.went_well {
            Some(true) if self.message.is_whole() => Ok(()),
            Some(true) => Err(NotUnary::Messages),
            Some(false) | None => Err(NotUnary::Status),
        }
    }
}

/// Whether a response may become a unary answer: a call that fails says so in the headers, mostly.
pub(crate) fn is_begun(response: &response::Parts) -> bool {
    response.status == StatusCode::OK && is_grpc(&response.headers) && !response.headers.contains_key("grpc-status")
}

// === impl NotUnary ===

impl NotUnary {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Status => "grpc-status",
            Self::Messages => "grpc-messages",
        }
    }
}

// === impl InvalidMethod ===

impl fmt::Display for InvalidMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not `/package.Service/Method`: {:?}", self.name)
    }
}

impl std::error::Error for InvalidMethod {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_is_one_message_however_it_comes() {
        for (content, expected) in [
            (&b"\0\0\0\0\x02ab"[..], true),
            (b"\x01\0\0\0\x02ab", true),
            (b"\0\0\0\0\0", true),
            (b"", false),
            (b"\0\0\0\0", false),
            (b"\0\0\0\0\x02a", false),
            (b"\0\0\0\0\x02abc", false),
            (b"\0\0\0\0\0\0\0\0\0\0", false),
            (b"\x02\0\0\0\x02ab", false),
            (b"\0\xff\xff\xff\xffab", false),
        ] {
            assert_eq!(OneMessage::is(content), expected, "{content:?}");
            let mut message = OneMessage::default();
            let is_within = content.iter().all(|byte| message.take(&[*byte]));
            assert_eq!(is_within && message.is_whole(), expected, "{content:?} byte by byte");
        }
    }

    #[test]
    fn an_answer_is_kept_when_it_is_one_message_and_went_well() {
        const MESSAGE: &[u8] = b"\0\0\0\0\x01a";
        for (data, statuses, expected) in [
            (MESSAGE, &["0"][..], Ok(())),
            (b"", &["0"], Err(NotUnary::Messages)),
            (&MESSAGE[..5], &["0"], Err(NotUnary::Messages)),
            (MESSAGE, &["5"], Err(NotUnary::Status)),
            (MESSAGE, &["00"], Err(NotUnary::Status)),
            (MESSAGE, &["0", "5"], Err(NotUnary::Status)),
            (MESSAGE, &[], Err(NotUnary::Status)),
        ] {
            let mut unary = Unary::default();
            assert!(unary.take(data));
            let status = |value: &&str| (HeaderName::from_static("grpc-status"), value.parse().expect("a value"));
            let mut trailers = HeaderMap::new();
            for (name, value) in statuses.iter().map(status) {
                trailers.append(name, value);
            }
            unary.trailers(&trailers);
            assert_eq!(unary.verdict(), expected, "{data:?} {statuses:?}");
        }
    }

    #[test]
    fn a_method_has_a_service() {
        for name in ["", "/", "//", "Get", "/Get", "shop.Prices/Get", "/shop.Prices/", "/a/b/c", "/a/b?c", "/a b/c"] {
            assert!(GrpcMethod::new(name).is_err(), "{name}");
        }
        assert!(GrpcMethod::new("/shop.Prices/Get").is_ok() && GrpcMethod::new("/Prices/Get").is_ok());
    }
}
