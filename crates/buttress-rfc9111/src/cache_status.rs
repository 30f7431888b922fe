//! `Cache-Status`: what a cache did, for those who look (RFC 9211).
//!
//! Each cache on the way appends a member, so the first one is that of the cache closest to the origin. A response that
//! a cache makes from its store is a `hit`, also when it is a 304 or a 206 for this client, and also when it is stale:
//! its `ttl` is negative then.
//!
//! ```
//! use buttress_rfc9111::cache_status::{CacheName, CacheStatus, Forward};
//! use http::{HeaderMap, StatusCode, header};
//!
//! let name = CacheName::new("buttress").expect("printable");
//! let mut headers = HeaderMap::new();
//! CacheStatus::hit(&name).ttl(30).append_to(&mut headers);
//! assert_eq!(headers[header::CACHE_STATUS], "buttress; hit; ttl=30");
//!
//! let status = CacheStatus::forwarded(&name, Forward::Stale).forward_status(StatusCode::NOT_MODIFIED).stored(true);
//! assert_eq!(status.to_header_value(), "buttress; fwd=stale; fwd-status=304; stored");
//! ```

use std::fmt;

use http::header::CACHE_STATUS;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::reuse::Outdated;

/// The largest number of a structured field (RFC 9651 section 3.3.1).
const LARGEST: i64 = 999_999_999_999_999;

/// The name of a cache as it stands in the field: a token, or a quoted string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheName {
    written: Box<[u8]>,
}

/// A name for a cache with something in it that is not printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidCacheName(Box<str>);

/// What a cache did for one request: a member of `Cache-Status` in the making.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct CacheStatus<'a> {
    name: &'a CacheName,
    forward: Option<Forward>,
    forward_status: Option<StatusCode>,
    ttl: Option<i64>,
    stored: Option<bool>,
    collapsed: Option<bool>,
    key: Option<&'a str>,
    detail: Option<&'a str>,
}

/// Why the request went to the origin (RFC 9211 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forward {
    /// The cache was set not to handle it.
    Bypass,
    /// The method has to be forwarded.
    Method,
    /// Nothing is stored for the URI.
    UriMiss,
    /// Something is stored for the URI, but nothing that fits by `Vary`.
    VaryMiss,
    /// Nothing is stored that fits, and which of both it is is not known.
    Miss,
    /// A fresh response is stored, but the request does not allow its use.
    Request,
    /// What is stored is stale.
    Stale,
    /// A part is stored, but not all that is asked for.
    Partial,
}

// === impl CacheStatus ===

impl<'a> CacheStatus<'a> {
    /// The response comes from the store.
    pub fn hit(name: &'a CacheName) -> Self {
        Self {
            name,
            forward: None,
            forward_status: None,
            ttl: None,
            stored: None,
            collapsed: None,
            key: None,
            detail: None,
        }
    }

    /// The request went to the origin.
    pub fn forwarded(name: &'a CacheName, why: Forward) -> Self {
        Self { forward: Some(why), ..Self::hit(name) }
    }

    /// `fwd-status`: what the origin answered, where that is not the status of the response.
    pub fn forward_status(mut self, status: StatusCode) -> Self {
        self.forward_status = Some(status);
        self
    }

    /// `ttl`: for how many seconds the response stays fresh; negative when it is stale.
    /// See [`Terms::freshness_left`](crate::Terms::freshness_left).
    pub fn ttl(mut self, seconds: i64) -> Self {
        self.ttl = Some(seconds.clamp(-LARGEST, LARGEST));
        self
    }

    /// `stored`: whether the forwarded response was stored.
    pub fn stored(mut self, stored: bool) -> Self {
        self.stored = Some(stored);
        self
    }

    /// `collapsed`: whether the request was answered together with another; false if that was tried in vain.
    pub fn collapsed(mut self, collapsed: bool) -> Self {
        self.collapsed = Some(collapsed);
        self
    }

    /// `key`: under which key the response is stored. It helps whoever wants to poison the cache (RFC 9211 section 6), so
    /// keep it for debugging. What is not printable ASCII becomes `?`.
    pub fn key(mut self, key: &'a str) -> Self {
        self.key = Some(key);
        self
    }

    /// `detail`: more about it, such as the `as_str` of a refusal. What is not printable ASCII becomes `?`.
    pub fn detail(mut self, detail: &'a str) -> Self {
        self.detail = Some(detail);
        self
    }

    /// The member as a field value. Costs one allocation.
    pub fn to_header_value(&self) -> HeaderValue {
        let mut length = 0;
        self.write(&mut |part| length += part.len());
        let mut written = Vec::with_capacity(length);
        self.write(&mut |part| written.extend_from_slice(part));
        HeaderValue::try_from(written).expect("all parts are printable ASCII")
    }

    /// Appends the member behind those of the caches before this one.
    pub fn append_to(&self, headers: &mut HeaderMap) {
        headers.append(CACHE_STATUS, self.to_header_value());
    }

    fn write(&self, out: &mut impl FnMut(&[u8])) {
        out(&self.name.written);
        match self.forward {
            None => out(b"; hit"),
            Some(why) => {
                out(b"; fwd=");
                out(why.as_str().as_bytes());
            }
        }
        if let Some(status) = self.forward_status {
            out(b"; fwd-status=");
            out(status.as_str().as_bytes());
        }
        if let Some(seconds) = self.ttl {
            out(b"; ttl=");
            write_integer(seconds, out);
        }
        for (name, value) in [(b"; stored".as_slice(), self.stored), (b"; collapsed", self.collapsed)] {
            if let Some(value) = value {
                out(name);
                out(if value { b"" } else { b"=?0" });
            }
        }
        if let Some(key) = self.key {
            out(b"; key=");
            write_string(key, out);
        }
        if let Some(detail) = self.detail {
            out(b"; detail=");
            if is_token(detail) { out(detail.as_bytes()) } else { write_string(detail, out) }
        }
    }
}

// === impl CacheName ===

impl CacheName {
    /// A name by which an operator knows this cache, such as a host or a product.
    ///
    /// # Errors
    ///
    /// If there is something in it that is not printable ASCII.
    pub fn new(name: &str) -> Result<Self, InvalidCacheName> {
        if !name.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(InvalidCacheName(name.into()));
        }
        let mut written = Vec::new();
        if is_token(name) {
            written.extend_from_slice(name.as_bytes());
        } else {
            write_string(name, &mut |part| written.extend_from_slice(part));
        }
        Ok(Self { written: written.into() })
    }
}

// === impl InvalidCacheName ===

impl fmt::Display for InvalidCacheName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cache name {:?} is not printable ascii", self.0)
    }
}

impl std::error::Error for InvalidCacheName {}

// === impl Forward ===

impl Forward {
    /// The token in the field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// A response that is fresh but must not be used without validation (`no-cache`) counts as stale.
impl From<Outdated> for Forward {
    fn from(outdated: Outdated) -> Self {
        if outdated.is_by_request() { Self::Request } else { Self::Stale }
    }
}

// === the parts of a structured field (RFC 9651 section 4.1) ===

fn is_token(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'*')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte))
}

fn write_string(text: &str, out: &mut impl FnMut(&[u8])) {
    out(b"\"");
    for letter in text.chars() {
        match letter {
            '"' => out(b"\\\""),
            '\\' => out(b"\\\\"),
            ' '..='~' => out(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => out(b"?"),
        }
    }
    out(b"\"");
}

fn write_integer(number: i64, out: &mut impl FnMut(&[u8])) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out(b"-");
    }
    out(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use sfv::{FieldType as _, List, Parser};

    use super::*;

    fn name() -> CacheName {
        CacheName::new("buttress").expect("a token")
    }

    #[track_caller]
    fn check(status: &CacheStatus<'_>, expected: &str) {
        let value = status.to_header_value();
        assert_eq!(value, expected);
        let list: List = Parser::new(value.as_bytes()).parse().expect("a structured list");
        assert_eq!(list.len(), 1);
        assert_eq!(list.serialize().expect("not empty").replace(';', "; "), expected);
    }

    #[test]
    fn rfc9211_2_each_parameter() {
        let name = name();
        let hit = CacheStatus::hit(&name);
        let miss = CacheStatus::forwarded(&name, Forward::UriMiss);
        check(&hit, "buttress; hit");
        check(&hit.ttl(0), "buttress; hit; ttl=0");
        check(&hit.ttl(1_234_567_890), "buttress; hit; ttl=1234567890");
        check(&hit.ttl(-20), "buttress; hit; ttl=-20");
        check(&hit.ttl(i64::MIN), "buttress; hit; ttl=-999999999999999");
        check(&hit.ttl(i64::MAX), "buttress; hit; ttl=999999999999999");
        check(&miss.forward_status(StatusCode::OK).stored(true), "buttress; fwd=uri-miss; fwd-status=200; stored");
        check(&miss.stored(false).collapsed(false), "buttress; fwd=uri-miss; stored=?0; collapsed=?0");
        check(&miss.collapsed(true), "buttress; fwd=uri-miss; collapsed");
        check(&hit.key(r#"a"b\c d"#), r#"buttress; hit; key="a\"b\\c d""#);
        check(&hit.key("é\n\u{7f}"), r#"buttress; hit; key="???""#);
        check(&miss.detail("no-store"), "buttress; fwd=uri-miss; detail=no-store");
        check(&miss.detail("too large"), "buttress; fwd=uri-miss; detail=\"too large\"");
        check(&miss.detail(""), "buttress; fwd=uri-miss; detail=\"\"");
    }

    #[test]
    fn rfc9211_2_2_each_reason() {
        for why in ["bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"] {
            let all = [
                Forward::Bypass,
                Forward::Method,
                Forward::UriMiss,
                Forward::VaryMiss,
                Forward::Miss,
                Forward::Request,
                Forward::Stale,
                Forward::Partial,
            ];
            let forward = all.into_iter().find(|forward| forward.as_str() == why).expect("known");
            check(&CacheStatus::forwarded(&name(), forward), &format!("buttress; fwd={why}"));
        }
        assert_eq!(Forward::from(Outdated::RequestNoCache), Forward::Request);
        assert_eq!(Forward::from(Outdated::MustRevalidate), Forward::Stale);
    }

    #[test]
    fn a_name_is_a_token_or_a_string() {
        for (given, written) in
            [("cdn.example:80/x", "cdn.example:80/x"), ("my cache", "\"my cache\""), ("1st", "\"1st\""), ("", "\"\"")]
        {
            check(&CacheStatus::hit(&CacheName::new(given).expect("printable")), &format!("{written}; hit"));
        }
        let error = CacheName::new("caché").expect_err("not ASCII");
        assert_eq!(error.to_string(), "cache name \"caché\" is not printable ascii");
    }

    #[test]
    fn a_member_is_appended() {
        let mut headers = crate::testing::headers("Cache-Status: origin; hit");
        CacheStatus::hit(&name()).append_to(&mut headers);
        let all: Vec<_> = headers.get_all(CACHE_STATUS).into_iter().collect();
        assert_eq!(all, ["origin; hit", "buttress; hit"]);
    }
}
