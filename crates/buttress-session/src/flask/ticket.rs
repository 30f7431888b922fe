//! Which session a request names.

use std::ops::RangeInclusive;

use buttress_core::cookie;
use http::HeaderMap;

use super::miss::Miss;
use super::signer::Signer;

/// 64 random bits (`SESSION_ID_LENGTH` 8), the least that is called unguessable, up to 96 bytes of them. A `uuid4`, as before 0.6, has 36.
const ID_LETTERS: RangeInclusive<usize> = 11..=128;
/// Who sends more cookies of this name than these wants to be a nuisance.
const MOST_COOKIES: usize = 4;

/// The id that the cookies of this name agree on. Those that cannot be one, or that nobody signed, do not count: anybody in the neighbourhood
/// may have set them.
pub(super) fn id<'a>(headers: &'a HeaderMap, name: &'a str, signer: Option<&Signer>) -> Result<&'a str, Miss> {
    let (mut found, mut why) = (None, Miss::NoCookie);
    for (place, value) in cookie::values(headers, name).enumerate() {
        if place == MOST_COOKIES {
            return Err(Miss::Ambiguous);
        }
        match admit(value, signer) {
            Ok(id) if found.is_none_or(|other| other == id) => found = Some(id),
            Ok(_) => return Err(Miss::Ambiguous),
            Err(miss) => why = miss,
        }
    }
    found.ok_or(why)
}

fn admit<'a>(value: &'a [u8], signer: Option<&Signer>) -> Result<&'a str, Miss> {
    let id = match signer {
        Some(signer) => signer.unsign(value).ok_or(Miss::Signature)?,
        None => value,
    };
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !ID_LETTERS.contains(&id.len()) || !id.iter().all(is_letter) {
        return Err(Miss::NoId);
    }
    str::from_utf8(id).map_err(|_| Miss::NoId)
}

#[cfg(test)]
mod tests {
    use http::header::{COOKIE, HeaderValue};

    use super::*;

    const ID: &str = "iZbCz9QdR3YbU3cH2L3Xw0aR1nJ5m1bC-_8yQ2kL0sA";
    const SIGNED: &str = "iZbCz9QdR3YbU3cH2L3Xw0aR1nJ5m1bC-_8yQ2kL0sA.Tw7tXtgJibZbvUK5teFhIbRFxQQ";
    const UUID: &str = "9d6bd2f0-3f1c-4e39-9a4e-6a3c0b6c5c1e";

    #[track_caller]
    fn check(fields: &[&[u8]], signer: Option<&Signer>, expected: Result<&str, Miss>) {
        let headers = fields.iter().map(|field| (COOKIE, HeaderValue::from_bytes(field).unwrap())).collect();
        assert_eq!(id(&headers, "session", signer), expected, "{fields:?}");
    }

    #[test]
    fn a_cookie_is_an_id_or_nothing() {
        check(&[], None, Err(Miss::NoCookie));
        check(&[b"Session=abc; xsession=abc; \xe2\x80\x80session=abc"], None, Err(Miss::NoCookie));
        for (value, expected) in [
            (ID, Ok(ID)),
            (UUID, Ok(UUID)),
            ("elevenchars", Ok("elevenchars")),
            ("tenletters", Err(Miss::NoId)),
            ("", Err(Miss::NoId)),
            (SIGNED, Err(Miss::NoId)),
            ("../../../../etc", Err(Miss::NoId)),
            ("*:*:*:*:*:*:*:*", Err(Miss::NoId)),
            ("with a space in it", Err(Miss::NoId)),
            ("{session:other}:taken", Err(Miss::NoId)),
            (&format!("\"{ID}\""), Err(Miss::NoId)),
            (&"a".repeat(128), Ok(&"a".repeat(128))),
            (&"a".repeat(129), Err(Miss::NoId)),
        ] {
            check(&[format!("a=1; session={value}").as_bytes()], None, expected);
        }
        check(&[b"session=\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"], None, Err(Miss::NoId));
    }

    #[test]
    fn cookies_must_agree() {
        let pair = |one: &str, other: &str| format!("session={one}; session={other}");
        check(&[pair(ID, ID).as_bytes()], None, Ok(ID));
        check(&[pair(ID, UUID).as_bytes()], None, Err(Miss::Ambiguous));
        check(&[format!("session={ID}").as_bytes(), format!("session={UUID}").as_bytes()], None, Err(Miss::Ambiguous));
        check(&[pair("tossed", ID).as_bytes()], None, Ok(ID));
        check(&[pair(ID, "tossed").as_bytes()], None, Ok(ID));
        check(&["session=tossed; ".repeat(5).as_bytes()], None, Err(Miss::Ambiguous));
    }

    #[test]
    fn only_what_is_signed_counts() {
        let mut signer = Signer::default();
        signer.add(b"the secret key");
        let pair = |one: &str, other: &str| format!("session={one}; session={other}");
        check(&[format!("session={SIGNED}").as_bytes()], Some(&signer), Ok(ID));
        check(&[format!("session={ID}").as_bytes()], Some(&signer), Err(Miss::Signature));
        check(&[pair(UUID, SIGNED).as_bytes()], Some(&signer), Ok(ID));
        check(&[pair(SIGNED, &format!("{UUID}.{UUID}")).as_bytes()], Some(&signer), Ok(ID));
        check(&[format!("session={SIGNED}").as_bytes()], Some(&Signer::default()), Err(Miss::Signature));
    }
}
