//! Cookies of a request, octet by octet.
//!
//! ```
//! use buttress_core::cookie;
//! use http::HeaderMap;
//! use http::header::{COOKIE, HeaderValue};
//!
//! let mut headers = HeaderMap::new();
//! headers.insert(COOKIE, HeaderValue::from_bytes(b"n\xe4chster=1; __Host-sid=a; \xe2\x80\x80__Host-sid=b")?);
//! assert_eq!(cookie::values(&headers, "__Host-sid").collect::<Vec<_>>(), [b"a"]);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! A name that begins with `__Host-` is a promise of the browser, and worth what the reader makes of it: one who trims more than space and
//! tab reads `\u{2000}__Host-token` as that name, which any neighbour may set. So names are compared as they stand, and the bytes of
//! other cookies do not matter, whatever they are.

use http::header::{COOKIE, HeaderMap, HeaderValue};

/// The values of all cookies of this name, in all fields and in their order, quotes and all. Costs one look at each octet.
pub fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let pairs = headers.get_all(COOKIE).into_iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| value(pair, name.as_bytes()))
}

/// Takes the cookies of this name out; the others stay as they stand.
pub fn remove(headers: &mut HeaderMap, name: &str) {
    if values(headers, name).next().is_none() {
        return;
    }
    let kept: Vec<HeaderValue> = headers.get_all(COOKIE).into_iter().filter_map(|field| without(field, name)).collect();
    headers.remove(COOKIE);
    for field in kept {
        headers.append(COOKIE, field);
    }
}

fn without(field: &HeaderValue, name: &str) -> Option<HeaderValue> {
    let pairs = field.as_bytes().split(|byte| *byte == b';');
    let kept: Vec<_> = pairs.filter(|pair| value(pair, name.as_bytes()).is_none()).map(trimmed).collect();
    let field = kept.join(&b"; "[..]);
    if field.is_empty() { None } else { HeaderValue::from_bytes(&field).ok() }
}

fn value<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    (trimmed(&pair[..equals]) == name).then(|| trimmed(&pair[equals + 1..]))
}

/// Space and tab only (RFC 6265bis §5.6).
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[&[u8]]) -> HeaderMap {
        fields.iter().map(|field| (COOKIE, HeaderValue::from_bytes(field).unwrap())).collect()
    }

    #[test]
    fn names_are_compared_octet_by_octet() {
        for (field, expected) in [
            (&b"__Host-t=1"[..], &[&b"1"[..]][..]),
            (b"a=2;__Host-t=1; b", &[b"1"]),
            (b" \t__Host-t \t=\t 1 ", &[b"1"]),
            (b"__Host-t=1; __Host-t=2", &[b"1", b"2"]),
            (b"__Host-t=a=b", &[b"a=b"]),
            (b"__Host-t=\"1\"", &[b"\"1\""]),
            (b"__Host-t=", &[b""]),
            (b"\xe2\x80\x80__Host-t=1", &[]), // U+2000
            (b"\xc2\x85__Host-t=1", &[]),     // U+0085
            (b"\xc2\xa0__Host-t=1", &[]),     // no-break space
            (b"__host-t=1", &[]),
            (b"__Host-t", &[]),
            (b"x__Host-t=1", &[]),
            (b"$Version=1; __Host-t=1", &[b"1"]),
            (b"n\xe4chster=\xff; __Host-t=1", &[b"1"]), // a neighbour in Latin-1
        ] {
            let headers = headers(&[field]);
            assert_eq!(values(&headers, "__Host-t").collect::<Vec<_>>(), expected, "{field:?}");
        }
        let two = headers(&[b"a=1", b"t=2; t=3"]);
        assert_eq!(values(&two, "t").collect::<Vec<_>>(), [b"2", b"3"]);
    }

    #[test]
    fn only_its_own_are_taken_out() {
        for (field, expected) in [
            (&b"t=1"[..], None),
            (b"a=\xff; t=1;b=2; t=3", Some(&b"a=\xff; b=2"[..])),
            (b"a=1", Some(b"a=1")),
            (b"\xe2\x80\x80t=1; t=2", Some(b"\xe2\x80\x80t=1")),
        ] {
            let mut headers = headers(&[field]);
            remove(&mut headers, "t");
            assert_eq!(headers.get(COOKIE).map(HeaderValue::as_bytes), expected, "{field:?}");
        }
    }
}
