//! What the cache needs to know of a request.

use buttress_core::Identified;
use buttress_rfc9111::cache_control::RequestDirectives;
use http::{Method, request};

use crate::keyed::Keyed;
use crate::layer::Settings;

/// What the cache needs to know of a request, gathered in one pass over its fields.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) directives: RequestDirectives,
    pub(crate) head: bool,
    pub(crate) authorized: bool,
    pub(crate) cookies: bool,
    /// `If-None-Match` or `If-Modified-Since`, which a cache answers.
    pub(crate) conditional: bool,
    /// `If-Match` or `If-Unmodified-Since`, which only the origin can answer.
    pub(crate) for_the_origin: bool,
    pub(crate) range: bool,
    /// What its content adds to the key, where that is not empty or left out.
    pub(crate) keyed: Option<Keyed>,
}

// === impl Asked ===

impl Asked {
    pub(crate) fn of(parts: &request::Parts, keyed: Option<Keyed>) -> Self {
        let mut asked = Self { head: parts.method == Method::HEAD, ..Self::anonymous(parts, keyed) };
        let mut directives = false;
        for name in parts.headers.keys() {
            match name.as_str() {
                "authorization" | "proxy-authorization" => asked.authorized = true,
                "cache-control" | "pragma" => directives = true,
                "cookie" => asked.cookies = true,
                "if-match" | "if-unmodified-since" => asked.for_the_origin = true,
                "if-modified-since" | "if-none-match" => asked.conditional = true,
                "range" => asked.range = true,
                _ => {}
            }
        }
        if directives {
            asked.directives = RequestDirectives::from_headers(&parts.headers);
        }
        if asked.is_grpc() {
            // A message has no parts, and no call is answered with 304.
            (asked.conditional, asked.for_the_origin, asked.range) = (false, false, false);
        }
        asked
    }

    /// The request of nobody in particular, for a refresh. A caller whom a layer has identified stays one: what it has put into the request
    /// instead of a credential cannot be told from the rest.
    pub(crate) fn anonymous(parts: &request::Parts, keyed: Option<Keyed>) -> Self {
        Self {
            directives: RequestDirectives::default(),
            head: false,
            authorized: parts.extensions.get::<Identified>().is_some(),
            cookies: false,
            conditional: false,
            for_the_origin: false,
            range: false,
            keyed,
        }
    }

    /// Whether it is a unary call of gRPC.
    pub(crate) fn is_grpc(&self) -> bool {
        self.keyed.is_some_and(|keyed| keyed.is_grpc())
    }

    /// Whether a response to this request may be one that is stored.
    pub(crate) fn may_be_stored(&self, settings: &Settings) -> bool {
        !self.range && !self.head && (!self.authorized || settings.share_authorized)
    }

    /// Whether a response to this request may be one that others wait for.
    pub(crate) fn may_be_waited_for(&self) -> bool {
        !self.authorized && !self.range && !self.head
    }
}
