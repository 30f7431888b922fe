//! What a 304 or a HEAD response changes in a stored response (RFC 9111 section 3.2).

use http::header::{self, HeaderMap, HeaderName};

use crate::fields;

/// Fields that stay as they are stored, whatever the new response says.
///
/// They describe the stored body, which the new response does not bring: a 304 that says `Content-Length: 0` or another
/// coding speaks of itself. `Set-Cookie` in a 304 is for the client of that one request.
const KEPT: [HeaderName; 9] = [
    HeaderName::from_static("content-digest"),
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    HeaderName::from_static("content-md5"),
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    HeaderName::from_static("repr-digest"),
    header::SET_COOKIE,
    header::TRANSFER_ENCODING,
];

/// Updates the fields of a stored response from a 304 that [`select`](super::select) found to be about it, or from a
/// HEAD response that [`judge_by_head`](super::judge_by_head) found equal.
///
/// Every field of `new` replaces the stored one with all its lines, so that nothing is doubled and nothing of the old
/// field survives; fields that `new` does not have stay. Exceptions:
///
/// - what describes the stored body (`Content-Encoding`, `Content-Length`, `Content-Range`, `Content-Type`, digests) and
///   `Set-Cookie` stay as stored; to pass a 304's `Set-Cookie` on to the client is up to the caller;
/// - fields of the connection, those that `Connection` names, and proxy authentication are not taken over;
/// - `Age` and `Date` go if `new` lacks them: they would tell the age of a response that has just been confirmed.
///
/// Afterwards it is another response: decide anew whether it may be [stored](crate::storage), take out what its
/// directives keep from a shared cache ([`fields::remove_unstorable`]), and compute its [`Terms`](crate::Terms) from
/// the times of this exchange. If `Vary` changed, so does the key of the variant.
pub fn update(stored: &mut HeaderMap, new: &HeaderMap) {
    for name in [header::AGE, header::DATE] {
        stored.remove(name);
    }
    for name in new.keys().filter(|name| !KEPT.contains(name) && !is_of_connection(name, new)) {
        stored.remove(name);
        for value in new.get_all(name) {
            stored.append(name.clone(), value.clone());
        }
    }
}

/// As [`fields::remove_hop_by_hop`] has it, without a copy of the fields.
fn is_of_connection(name: &HeaderName, new: &HeaderMap) -> bool {
    let connection = new.get_all(header::CONNECTION).iter();
    let mut options = connection.flat_map(|line| line.as_bytes().split(|octet| *octet == b','));
    fields::is_hop_by_hop(name)
        || !fields::is_protected(name)
            && options.any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::validation::tests::headers;

    #[track_caller]
    fn check(stored: &[(&'static str, &str)], new: &[(&'static str, &str)], expected: &[(&'static str, &str)]) {
        let mut updated = headers(stored);
        update(&mut updated, &headers(new));
        assert_eq!(updated, headers(expected), "{stored:?} {new:?}");
    }

    #[test]
    fn new_fields_replace_stored_ones_as_a_whole() {
        check(&[("x", "1")], &[], &[("x", "1")]);
        check(&[("x", "1")], &[("x", "2")], &[("x", "2")]);
        check(&[("x", "1"), ("x", "2")], &[("x", "2")], &[("x", "2")]);
        check(&[("x", "1")], &[("x", "1"), ("x", "1")], &[("x", "1"), ("x", "1")]);
        check(&[("link", "a"), ("link", "b")], &[("link", "a"), ("link", "b")], &[("link", "a"), ("link", "b")]);
        check(&[("x", "1")], &[("y", "2")], &[("x", "1"), ("y", "2")]);
        check(&[("cache-control", "max-age=1")], &[("cache-control", "no-store")], &[("cache-control", "no-store")]);
        check(&[("vary", "a")], &[("vary", "b")], &[("vary", "b")]);
        check(&[("etag", "\"a\"")], &[("etag", "W/\"a\"")], &[("etag", "W/\"a\"")]);
    }

    #[test]
    fn what_describes_the_stored_body_is_not_touched() {
        for name in [
            "content-encoding",
            "content-type",
            "content-length",
            "content-range",
            "content-digest",
            "repr-digest",
            "set-cookie",
        ] {
            check(&[(name, "stored")], &[(name, "new")], &[(name, "stored")]);
            check(&[], &[(name, "new")], &[]);
        }
    }

    #[test]
    fn fields_of_the_connection_are_not_taken_over() {
        let new = [
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("proxy-authenticate", "Basic"),
            ("trailer", "x"),
            ("upgrade", "h2c"),
            ("x-kept", "1"),
        ];
        check(&[("x-hop", "stored")], &new, &[("x-hop", "stored"), ("x-kept", "1")]);
        let new = [("connection", "cache-control"), ("cache-control", "no-store")];
        check(&[("cache-control", "max-age=1")], &new, &[("cache-control", "no-store")]);
    }

    #[test]
    fn age_and_date_are_those_of_the_new_response() {
        let stored = [("age", "100"), ("date", "old"), ("x", "1")];
        check(&stored, &[("age", "1"), ("date", "new")], &[("x", "1"), ("age", "1"), ("date", "new")]);
        check(&stored, &[], &[("x", "1")]);
    }

    proptest! {
        #[test]
        fn an_update_done_twice_is_done_once(
            stored in proptest::collection::vec((0_usize..6, 0_u8..4), 0..10),
            new in proptest::collection::vec((0_usize..6, 0_u8..4), 0..10),
        ) {
            const NAMES: [&str; 6] = ["x-a", "x-b", "vary", "content-type", "age", "set-cookie"];
            let fields = |picks: &[(usize, u8)]| -> HeaderMap {
                let mut fields = HeaderMap::new();
                for &(name, value) in picks {
                    fields.append(NAMES[name], value.to_string().parse().unwrap());
                }
                fields
            };
            let (stored, new) = (fields(&stored), fields(&new));
            let mut once = stored.clone();
            update(&mut once, &new);
            let mut twice = once.clone();
            update(&mut twice, &new);
            prop_assert_eq!(&once, &twice);
            for name in ["x-a", "x-b", "vary"] {
                let from = if new.contains_key(name) { &new } else { &stored };
                prop_assert!(once.get_all(name).iter().eq(from.get_all(name).iter()));
            }
            for name in ["content-type", "set-cookie"] {
                prop_assert!(once.get_all(name).iter().eq(stored.get_all(name).iter()));
            }
        }
    }
}
