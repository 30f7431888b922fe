//! Fields by which a service is told who is calling: set by a layer, and never by the client.
//!
//! ```
//! use buttress_core::told;
//! use http::header::{HeaderMap, HeaderName, HeaderValue};
//!
//! let field = HeaderName::from_static("x-user-id");
//! let mut headers = HeaderMap::from_iter([(HeaderName::from_static("x_user-id"), HeaderValue::from_static("admin"))]);
//! told::strip(&mut headers, [&field]); // what a client says of itself
//! told::tell(&mut headers, &field, "Zoë");
//! assert_eq!(headers.len(), 1);
//! assert_eq!(headers["x-user-id"], "Zo%C3%AB");
//! ```

use http::header::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What cannot stand in a field, and the sign that says so.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// Takes out what a client sent under these names, in every spelling that some server takes for the same: `X_User-Id` and `x-user-id` are one
/// variable to CGI and its children.
pub fn strip<'a>(headers: &mut HeaderMap, ours: impl IntoIterator<Item = &'a HeaderName, IntoIter: Clone>) {
    let ours = ours.into_iter();
    let is_ours = |name: &HeaderName| ours.clone().any(|ours| alike(ours.as_str(), name.as_str()));
    let theirs: Vec<_> = headers.keys().filter(|name| is_ours(name)).cloned().collect();
    for name in theirs {
        headers.remove(name);
    }
}

/// Says something in a field. What is not ASCII is percent-encoded, and so is `%`.
pub fn tell(headers: &mut HeaderMap, field: &HeaderName, text: &str) {
    let text = utf8_percent_encode(text, ESCAPED).to_string();
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(field.clone(), value);
    }
}

/// Whether two names are the same but for their punctuation.
fn alike(a: &str, b: &str) -> bool {
    let plain = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    a.len() == b.len() && a.bytes().map(plain).eq(b.bytes().map(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_say_who_it_is() {
        let ours = ["x-scopes", "x-user-id"].map(HeaderName::from_static);
        for name in ["x-user-id", "X-User-Id", "x_user_id", "X_User-ID", "x.user.id", "x-user_id"] {
            let mut headers = HeaderMap::new();
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_static("admin"));
            headers.insert("x-user-idea", HeaderValue::from_static("stays"));
            strip(&mut headers, &ours);
            assert_eq!(headers.len(), 1, "{name}");
        }
    }

    #[test]
    fn whatever_is_told_is_one_line() {
        let mut headers = HeaderMap::new();
        tell(&mut headers, &HeaderName::from_static("x-user-id"), "ä  100%\r\nx: y");
        assert_eq!(headers["x-user-id"], "%C3%A4  100%25%0D%0Ax: y");
    }
}
