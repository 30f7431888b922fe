//! Header fields as bytes: the head block and the trailer block of an entry.
//!
//! ```text
//! block := field*
//! field := name value
//! name  := index (one byte, into COMMON) | 0xFF length:u16 bytes
//! value := length:u32 bytes
//! ```
//!
//! Common names take one byte and cost no parsing; values come back as slices of the entry, not as copies.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// The names that take one byte. Part of the record format: append only.
static COMMON: [HeaderName; 46] = [
    header::ACCEPT_RANGES,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
    header::ALLOW,
    header::ALT_SVC,
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::CONTENT_SECURITY_POLICY,
    header::CONTENT_SECURITY_POLICY_REPORT_ONLY,
    header::CONTENT_TYPE,
    header::DATE,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::LINK,
    header::LOCATION,
    header::PRAGMA,
    header::REFERRER_POLICY,
    header::REFRESH,
    header::RETRY_AFTER,
    header::SERVER,
    header::STRICT_TRANSPORT_SECURITY,
    header::VARY,
    header::VIA,
    header::WARNING,
    header::X_CONTENT_TYPE_OPTIONS,
    header::X_FRAME_OPTIONS,
    header::X_XSS_PROTECTION,
    HeaderName::from_static("cache-status"),
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("cross-origin-embedder-policy"),
    HeaderName::from_static("cross-origin-opener-policy"),
    HeaderName::from_static("cross-origin-resource-policy"),
    HeaderName::from_static("permissions-policy"),
    HeaderName::from_static("surrogate-control"),
    HeaderName::from_static("timing-allow-origin"),
    HeaderName::from_static("x-request-id"),
];

const SPELLED_OUT: u8 = 0xFF;

/// Appends the fields to `out`, in order, several values of one name each as a field of its own.
pub(crate) fn encode(headers: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in headers {
        match COMMON.iter().position(|common| common == name) {
            Some(index) => out.push(u8::try_from(index).unwrap_or(SPELLED_OUT)),
            None => {
                out.push(SPELLED_OUT);
                let name = name.as_str().as_bytes();
                // A name is at most 64 KiB long, `http` sees to that.
                out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
                out.extend_from_slice(name);
            }
        }
        out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(value.as_bytes());
    }
}

/// The fields of a block, with room for `more`. `None` when the block is not one of ours.
pub(crate) fn decode(block: &Bytes, count: usize, more: usize) -> Option<HeaderMap> {
    // A count that the block cannot hold (five bytes a field at least) must not make us reserve memory for it.
    let count = count.min(block.len() / 5);
    let mut headers = HeaderMap::try_with_capacity(count + more).ok()?;
    let mut at = 0;
    while at < block.len() {
        let name = match *block.get(at)? {
            SPELLED_OUT => {
                let len = usize::from(u16::from_le_bytes(array(block, at + 1)?));
                let name = HeaderName::from_bytes(block.get(at + 3..at + 3 + len)?).ok()?;
                at += 3 + len;
                name
            }
            index => {
                at += 1;
                COMMON.get(usize::from(index))?.clone()
            }
        };
        let len = usize::try_from(u32::from_le_bytes(array(block, at)?)).ok()?;
        let end = (at + 4).checked_add(len).filter(|&end| end <= block.len())?;
        headers.try_append(name, HeaderValue::from_maybe_shared(block.slice(at + 4..end)).ok()?).ok()?;
        at = end;
    }
    Some(headers)
}

/// `N` bytes at a place.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_as_they_went_in() {
        let mut headers = HeaderMap::new();
        headers.append(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        headers.append("x-own", HeaderValue::from_bytes(b"\xe9\t,").unwrap());
        headers.append(header::LINK, HeaderValue::from_static("</a>"));
        headers.append(header::LINK, HeaderValue::from_static("</b>"));
        headers.append(header::ETAG, HeaderValue::from_static(""));
        let mut block = Vec::new();
        encode(&headers, &mut block);
        assert_eq!(decode(&block.into(), headers.len(), 2).as_ref(), Some(&headers));
    }

    #[test]
    fn what_is_not_a_block_is_not_read() {
        let mut good = Vec::new();
        encode(&HeaderMap::from_iter([(header::SERVER, HeaderValue::from_static("x"))]), &mut good);
        for (block, why) in [
            (vec![200], "no such index"),
            (vec![0], "no length"),
            (vec![0, 9, 0, 0, 0], "the value is cut"),
            (vec![0, 255, 255, 255, 255], "a length past the end"),
            (vec![SPELLED_OUT, 1, 0, b' ', 0, 0, 0, 0], "a name that is none"),
            (vec![SPELLED_OUT, 9, 0, b'x'], "a name that is cut"),
            (vec![0, 1, 0, 0, 0, b'\n'], "a value that is none"),
            (good[..good.len() - 1].to_vec(), "truncated"),
        ] {
            assert_eq!(decode(&block.into(), usize::MAX, 0), None, "{why}");
        }
    }

    #[test]
    fn no_common_name_stands_twice() {
        for (index, name) in COMMON.iter().enumerate() {
            assert_eq!(COMMON.iter().position(|common| common == name), Some(index));
        }
    }
}
