//! The fields of 206 and 416 responses that are made from a complete one.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::ContentRange;
use crate::targeted;

/// Makes the fields of a 206 from those of the complete response (RFC 9110 section 15.3.7).
///
/// Sets `Content-Range` and `Content-Length`; drops digests of a content that is now another one (RFC 9530 section 2).
/// `Repr-Digest` is of the whole representation and stays. `length` is `None` for a part of an unknown whole.
pub fn to_partial(headers: &mut HeaderMap, first: u64, last: u64, length: impl Into<Option<u64>>) {
    let range = ContentRange::Part { first, last, complete: length.into() };
    headers.insert(header::CONTENT_RANGE, range.to_value());
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(last - first + 1));
    headers.remove("content-digest");
    headers.remove("content-md5");
}

/// Makes the fields of a 416 from those of the complete response (RFC 9110 section 15.5.17).
///
/// Sets `Content-Range: bytes */length`. All that describes or validates the representation goes. Nothing that lets a
/// cache further down keep the refusal stays either: it would answer requests that ask for another range with it.
pub fn to_unsatisfiable(headers: &mut HeaderMap, length: u64) {
    const GONE: [HeaderName; 15] = [
        header::AGE,
        HeaderName::from_static("content-digest"),
        header::CONTENT_DISPOSITION,
        header::CONTENT_ENCODING,
        header::CONTENT_LANGUAGE,
        header::CONTENT_LENGTH,
        header::CONTENT_LOCATION,
        HeaderName::from_static("content-md5"),
        header::CONTENT_TYPE,
        header::ETAG,
        header::EXPIRES,
        header::LAST_MODIFIED,
        HeaderName::from_static("repr-digest"),
        header::TRAILER,
        header::TRANSFER_ENCODING,
    ];
    for name in &GONE {
        headers.remove(name);
    }
    targeted::remove_all(headers);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_RANGE, ContentRange::Unsatisfied { complete: length }.to_value());
}
