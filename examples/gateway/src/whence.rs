//! Where a message has come from: `Forwarded` (RFC 7239), `Via` (RFC 9110 section 7.6.3), and whether it goes in a circle.

use std::net::IpAddr;

use http::Version;
use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue, VIA};

use crate::config::Forwarded;
use crate::forward::Hop;

/// How this gateway calls itself in `Via`.
const PSEUDONYM: &str = "gateway";
/// A request that came through gateways of this name so often goes in a circle.
const MAX_ROUNDS: usize = 8;

/// By which a client could claim to be another, in a field that services trust.
const CLAIMS: [HeaderName; 6] = [
    FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
];

/// RFC 7239, and RFC 9110 section 7.6 for why a client's own word does not count by default.
pub(crate) fn say_who(headers: &mut HeaderMap, hop: Hop, host: Option<&HeaderValue>, forwarded: Forwarded) {
    if forwarded == Forwarded::Off {
        return;
    }
    if forwarded == Forwarded::Replace {
        for claim in CLAIMS {
            headers.remove(claim);
        }
    }
    let client = match hop.client.to_canonical() {
        IpAddr::V4(client) => format!("for={client}"),
        IpAddr::V6(client) => format!("for=\"[{client}]\""),
    };
    let host = host.map(|host| format!(";host=\"{}\"", String::from_utf8_lossy(host.as_bytes()))).unwrap_or_default();
    let proto = if hop.tls { "https" } else { "http" };
    if let Ok(element) = HeaderValue::try_from(format!("{client}{host};proto={proto}")) {
        headers.append(FORWARDED, element);
    }
}

/// The protocol that the message was received in, and by whom.
pub(crate) fn add_via(headers: &mut HeaderMap, version: Version) {
    let protocol = match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2.0",
        _ => "1.1",
    };
    if let Ok(hop) = HeaderValue::try_from(format!("{protocol} {PSEUDONYM}")) {
        headers.append(VIA, hop);
    }
}

/// Whether a request comes through here again and again. Several gateways in a row are no circle.
pub(crate) fn goes_in_a_circle(headers: &HeaderMap) -> bool {
    let values = headers.get_all(VIA).iter().filter_map(|value| value.to_str().ok());
    let hops = values.flat_map(|value| value.split(','));
    hops.filter(|hop| hop.split_ascii_whitespace().nth(1) == Some(PSEUDONYM)).count() >= MAX_ROUNDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_the_standard_wants_it() {
        for (client, tls, host, expected) in [
            ("192.0.2.7", false, Some("a.example"), "for=192.0.2.7;host=\"a.example\";proto=http"),
            ("::ffff:192.0.2.7", true, None, "for=192.0.2.7;proto=https"),
            ("2001:db8::1", false, Some("[::1]:80"), "for=\"[2001:db8::1]\";host=\"[::1]:80\";proto=http"),
        ] {
            let mut headers = HeaderMap::new();
            let host = host.map(HeaderValue::from_static);
            say_who(&mut headers, Hop { client: client.parse().unwrap(), tls }, host.as_ref(), Forwarded::Append);
            assert_eq!(headers[FORWARDED], expected);
        }
    }

    #[test]
    fn a_circle_is_told_from_a_row() {
        for (via, expected) in [
            (vec!["1.1 gateway"; 7], false),
            (vec!["1.1 gateway"; 8], true),
            (vec!["1.1 gateway, 2.0 gateway"; 4], true),
            (vec!["1.1 another, 1.1 gateway"; 7], false),
            (vec!["1.1 another"; 20], false),
        ] {
            let headers: HeaderMap = via.iter().map(|via| (VIA, HeaderValue::from_static(via))).collect();
            assert_eq!(goes_in_a_circle(&headers), expected, "{via:?}");
        }
    }
}
