//! A response's fields, gathered in one pass: to look each of them up costs more than all that is decided by them.

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES,
    HeaderMap, HeaderValue, LAST_MODIFIED, SET_COOKIE, VARY,
};

/// What matters here of a response's fields. Of several lines the first counts.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) content_encoding: Option<&'a HeaderValue>,
    pub(crate) content_length: Option<&'a HeaderValue>,
    pub(crate) content_range: Option<&'a HeaderValue>,
    pub(crate) content_type: Option<&'a HeaderValue>,
    pub(crate) last_modified: Option<&'a HeaderValue>,
    pub(crate) answers_ranges: bool,
    pub(crate) has_etag: bool,
    /// `Cache-Control` or `Expires`: the service has said how long it may be kept.
    pub(crate) says: bool,
    pub(crate) sets_cookie: bool,
    pub(crate) varies: bool,
}

// === impl Fields ===

impl<'a> Fields<'a> {
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let mut this = Self::default();
        for (name, value) in headers {
            match *name {
                ACCEPT_RANGES => this.answers_ranges = true,
                CACHE_CONTROL | EXPIRES => this.says = true,
                CONTENT_ENCODING => this.content_encoding = this.content_encoding.or(Some(value)),
                CONTENT_LENGTH => this.content_length = this.content_length.or(Some(value)),
                CONTENT_RANGE => this.content_range = this.content_range.or(Some(value)),
                CONTENT_TYPE => this.content_type = this.content_type.or(Some(value)),
                ETAG => this.has_etag = true,
                LAST_MODIFIED => this.last_modified = this.last_modified.or(Some(value)),
                SET_COOKIE => this.sets_cookie = true,
                VARY => this.varies = true,
                _ => {}
            }
        }
        this
    }

    /// The coding that the content is in; `Some("unknown")` if it cannot be read.
    pub(crate) fn coding(&self) -> Option<&'a str> {
        self.content_encoding.map(|coding| coding.to_str().unwrap_or("unknown"))
    }
}
