//! The signature behind an id, where the old service was told to use one (`SESSION_USE_SIGNER`).

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// What Flask-Session mixes into the secret.
const SALT: &[u8] = b"flask-session";

/// itsdangerous' `Signer(secret_key, salt="flask-session", key_derivation="hmac")`: `id "." base64url(HMAC-SHA1(key, id))`, whose key is
/// `HMAC-SHA1(secret_key, salt)`.
#[derive(Clone, Default)]
pub(super) struct Signer {
    keys: Vec<Hmac<Sha1>>,
}

// === impl Signer ===

impl Signer {
    /// Believes this secret as well. Flask does not start with an empty one, so that one signs nothing.
    pub(super) fn add(&mut self, secret: &[u8]) {
        if !secret.is_empty() {
            let key = keyed(secret).chain_update(SALT).finalize();
            self.keys.push(keyed(&key.into_bytes()));
        }
    }

    /// The id that was signed. Compared in constant time; costs two blocks of SHA-1 for each secret.
    pub(super) fn unsign<'a>(&self, value: &'a [u8]) -> Option<&'a [u8]> {
        let dot = value.iter().rposition(|byte| *byte == b'.')?;
        let (id, signature) = (&value[..dot], BASE64URL_NOPAD.decode(&value[dot + 1..]).ok()?);
        let signed = |key: &Hmac<Sha1>| key.clone().chain_update(id).verify_slice(&signature).is_ok();
        self.keys.iter().any(signed).then_some(id)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

fn keyed(secret: &[u8]) -> Hmac<Sha1> {
    Hmac::new_from_slice(secret).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "iZbCz9QdR3YbU3cH2L3Xw0aR1nJ5m1bC-_8yQ2kL0sA";
    /// `Signer("the secret key", salt="flask-session", key_derivation="hmac").sign(ID)` of itsdangerous 2.2.
    const SIGNATURE: &str = "Tw7tXtgJibZbvUK5teFhIbRFxQQ";

    fn signer(secrets: &[&str]) -> Signer {
        let mut signer = Signer::default();
        secrets.iter().for_each(|secret| signer.add(secret.as_bytes()));
        signer
    }

    #[test]
    fn a_signature_is_that_of_itsdangerous() {
        let signed = format!("{ID}.{SIGNATURE}");
        for (secrets, expected) in [
            (&["the secret key"][..], true),
            (&["the next one", "the secret key"], true),
            (&["the secret key "], false),
            (&[""], false),
            (&[], false),
        ] {
            assert_eq!(signer(secrets).unsign(signed.as_bytes()).is_some(), expected, "{secrets:?}");
        }
    }

    #[test]
    fn what_was_changed_is_not_signed() {
        let signer = signer(&["the secret key"]);
        let empty = Hmac::<Sha1>::new_from_slice(b"").unwrap().chain_update(ID).finalize().into_bytes();
        for value in [
            ID.to_owned(),
            format!("{ID}."),
            format!(".{SIGNATURE}"),
            SIGNATURE.to_owned(),
            format!("{ID}.{}", &SIGNATURE[..26]),
            format!("{ID}.{}", &SIGNATURE[..24]), // 18 whole bytes
            format!("{ID}.{SIGNATURE}="),
            format!("{ID}.{}R", &SIGNATURE[..26]), // the same bytes with other spare bits, which Python lets pass
            format!("{ID}.{SIGNATURE}.{SIGNATURE}"),
            format!("{ID}. {SIGNATURE}"),
            format!("{}.{SIGNATURE}", ID.to_lowercase()),
            format!("{ID}.{}", BASE64URL_NOPAD.encode(&empty)),
        ] {
            assert_eq!(signer.unsign(value.as_bytes()), None, "{value}");
        }
    }
}
