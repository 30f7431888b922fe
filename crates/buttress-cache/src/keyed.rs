//! What a key says of a request's content.
//!
//! Whoever can make a [`Keyed`] can have a request answered by what is stored for another content. So only
//! [`ContentKeyLayer`](crate::ContentKeyLayer) makes one, of what it has read, and it is believed only with the method it was made for.

use std::time::Duration;

use blake3::Hasher;
use buttress_core::is_grpc;
use buttress_rfc9111::rules::Rules;
use http::header::{CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Method, request};

use crate::grpc::{GrpcMethod, OneMessage};

/// The fields that say what a content is (RFC 10008 wants them in the key).
const DESCRIBING: [HeaderName; 4] = [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION];
/// The metadata that say what a message is and how its answer may be written.
const OF_A_MESSAGE: [HeaderName; 3] =
    [CONTENT_TYPE, HeaderName::from_static("grpc-encoding"), HeaderName::from_static("grpc-accept-encoding")];

/// What a request's content adds to its key; an extension of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keyed {
    digest: [u8; 32],
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Query,
    /// How long an answer is fresh that does not say so.
    Grpc(Option<Duration>),
}

/// That entries of the URI may lie under keys with a content; an extension of requests that may change something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside;

// === impl Keyed ===

impl Keyed {
    /// What the content of a QUERY adds to its key. Two contents that mean the same are two: only the service knows.
    pub(crate) fn query(headers: &HeaderMap, content: &[u8]) -> Self {
        Self { digest: digest(b"QUERY", &DESCRIBING, headers, content), what: What::Query }
    }

    /// What the message of a unary call adds to its key, if it is one message.
    pub(crate) fn grpc(method: &GrpcMethod, headers: &HeaderMap, content: &[u8]) -> Option<Self> {
        let named: Vec<_> = OF_A_MESSAGE.iter().chain(method.named()).cloned().collect();
        let digest = || digest(b"gRPC", &named, headers, content);
        OneMessage::is(content).then(|| Self { digest: digest(), what: What::Grpc(method.lifetime()) })
    }

    /// What is known of the content of this request.
    pub(crate) fn of(parts: &request::Parts) -> Option<Self> {
        let keyed = parts.extensions.get::<Self>()?;
        let is_its_own = match keyed.what {
            What::Query => parts.method == Method::QUERY,
            What::Grpc(_) => parts.method == Method::POST && is_grpc(&parts.headers),
        };
        is_its_own.then_some(*keyed)
    }

    pub(crate) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    pub(crate) fn is_grpc(&self) -> bool {
        matches!(self.what, What::Grpc(_))
    }

    /// The rules for an answer to such a request.
    pub(crate) fn rules(&self, rules: &Rules) -> Rules {
        let rules = rules.clone().keyed_content(true);
        match self.what {
            What::Grpc(Some(ttl)) => rules.default_lifetime(ttl),
            What::Grpc(None) | What::Query => rules,
        }
    }
}

/// The digest of a content and of the fields that go with it, each with its length: none runs into the next.
fn digest(kind: &[u8], names: &[HeaderName], headers: &HeaderMap, content: &[u8]) -> [u8; 32] {
    let mut hash = Hasher::new();
    push(&mut hash, kind);
    for name in names {
        let values = headers.get_all(name);
        hash.update(&(values.iter().count() as u64).to_le_bytes());
        values.iter().for_each(|value| push(&mut hash, value.as_bytes()));
    }
    push(&mut hash, content);
    *hash.finalize().as_bytes()
}

fn push(hash: &mut Hasher, part: &[u8]) {
    hash.update(&(part.len() as u64).to_le_bytes());
    hash.update(part);
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const MESSAGE: &[u8] = b"\0\0\0\0\x01a";

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn contents_that_differ_in_anything_have_different_digests() {
        let all = [
            Keyed::query(&headers(&[]), b""),
            Keyed::query(&headers(&[]), b"a"),
            Keyed::query(&headers(&[("content-type", "a")]), b""),
            Keyed::query(&headers(&[("content-type", "")]), b"a"),
            Keyed::query(&headers(&[("content-encoding", "a")]), b""),
            Keyed::query(&headers(&[("content-language", "a")]), b""),
            Keyed::query(&headers(&[("content-location", "a")]), b""),
            Keyed::query(&headers(&[]), MESSAGE),
            Keyed::grpc(&GrpcMethod::new("/a/b").expect("a method"), &headers(&[]), MESSAGE).expect("one message"),
        ]
        .map(|keyed| *keyed.digest());
        for (place, digest) in all.iter().enumerate() {
            assert!(!all[..place].contains(digest), "{place}");
        }
    }

    #[test]
    fn of_the_metadata_of_a_call_only_what_is_named_counts() {
        let method = GrpcMethod::new("/a/b").expect("a method").metadata([HeaderName::from_static("x-tenant")]);
        let digest = |fields: &[(&'static str, &'static str)]| {
            *Keyed::grpc(&method, &headers(fields), MESSAGE).expect("one message").digest()
        };
        for silent in [("grpc-timeout", "1S"), ("user-agent", "a"), ("traceparent", "a"), ("x-request-id", "a")] {
            assert_eq!(digest(&[silent]), digest(&[]), "{silent:?}");
        }
        for telling in [("x-tenant", "a"), ("grpc-encoding", "gzip"), ("grpc-accept-encoding", "gzip")] {
            assert_ne!(digest(&[telling]), digest(&[]), "{telling:?}");
        }
    }

    #[test]
    fn what_was_read_of_one_request_says_nothing_of_another() {
        let with = |method: Method, kind: &str, keyed: Keyed| {
            let request = Request::builder().method(method).header("content-type", kind).extension(keyed);
            Keyed::of(&request.body(()).expect("a request").into_parts().0).is_some()
        };
        let query = Keyed::query(&headers(&[]), b"");
        let call = Keyed::grpc(&GrpcMethod::new("/a/b").expect("a method"), &headers(&[]), MESSAGE).expect("one");
        assert!(with(Method::QUERY, "text/plain", query) && with(Method::POST, "application/grpc", call));
        for method in [Method::GET, Method::HEAD, Method::PUT] {
            assert!(!with(method.clone(), "application/grpc", query) && !with(method, "application/grpc", call));
        }
        assert!(!with(Method::POST, "text/plain", call) && !with(Method::POST, "application/grpc", query));
    }
}
