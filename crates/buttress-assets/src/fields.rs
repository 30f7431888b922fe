//! A response's fields, gathered in one pass: to look each of them up costs more than all that is decided by them.

use buttress_rfc9111::targeted::is_targeted;
use http::header::{HeaderMap, HeaderValue};

/// What matters here of a response's fields. Of several lines the first counts.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) content_encoding: Option<&'a HeaderValue>,
    pub(crate) content_length: Option<&'a HeaderValue>,
    pub(crate) content_range: Option<&'a HeaderValue>,
    pub(crate) content_type: Option<&'a HeaderValue>,
    pub(crate) etag: Option<&'a HeaderValue>,
    pub(crate) last_modified: Option<&'a HeaderValue>,
    pub(crate) answers_ranges: bool,
    /// `Cache-Control`, `Expires` or a targeted field: the service has said how long it may be kept.
    pub(crate) says: bool,
    pub(crate) sets_cookie: bool,
    pub(crate) varies: bool,
}

/// A `Content-Length`: digits and nothing else, as a number that fits.
pub(crate) fn length(value: &HeaderValue) -> Option<u64> {
    let digits = value.as_bytes();
    let push = |number: u64, digit: &u8| number.checked_mul(10)?.checked_add(u64::from(digit.checked_sub(b'0')?));
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| digits.iter().try_fold(0, push))?
}

// === impl Fields ===

impl<'a> Fields<'a> {
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let mut this = Self::default();
        for (name, value) in headers {
            // By the text, which is compared by length first: names have no order that a match could go by.
            match name.as_str() {
                "accept-ranges" => this.answers_ranges = !value.as_bytes().eq_ignore_ascii_case(b"none"),
                "cache-control" | "expires" => this.says = true,
                "content-encoding" => this.content_encoding = this.content_encoding.or(Some(value)),
                "content-length" => this.content_length = this.content_length.or(Some(value)),
                "content-range" => this.content_range = this.content_range.or(Some(value)),
                "content-type" => this.content_type = this.content_type.or(Some(value)),
                "etag" => this.etag = this.etag.or(Some(value)),
                "last-modified" => this.last_modified = this.last_modified.or(Some(value)),
                "set-cookie" => this.sets_cookie = true,
                "vary" => this.varies = true,
                other => this.says |= is_targeted(other),
            }
        }
        this
    }

    /// The coding that the content is in; `Some("unknown")` if it cannot be read.
    pub(crate) fn coding(&self) -> Option<&'a str> {
        self.content_encoding.map(|coding| coding.to_str().unwrap_or("unknown"))
    }
}
