//! Tokens for unit tests.

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::EncodingKey;

use crate::algorithm::Algorithm;
use crate::claims::at;
use crate::keys::{Key, Keys};
use crate::provider;
use crate::token::Token;
use crate::trusted::{Audience, TrustedIssuer};
use crate::verifier::Verifier;

/// The time of the tests.
pub(crate) const NOW: u64 = 1_764_000_000_000;

pub(crate) fn secret() -> [u8; 32] {
    std::array::from_fn(|n| (n as u8).wrapping_mul(37) ^ 0x5a)
}

/// Trusts the issuer `a`, for anybody, by the secret.
pub(crate) fn verifier() -> Verifier {
    let key = Key::secret(Algorithm::HS256, secret()).unwrap().named("k");
    let issuer = TrustedIssuer::new("a", Audience::any_audience(), [Algorithm::HS256], Keys::new([key]));
    Verifier::new([issuer]).unwrap()
}

/// Signs a token of the issuer `a` with these claims, which ends in an hour.
pub(crate) fn signed(claims: &str) -> String {
    let comma = if claims.is_empty() { "" } else { "," };
    sign(r#"{"alg":"HS256","kid":"k"}"#, &format!(r#"{{"iss":"a","exp":{}{comma}{claims}}}"#, NOW / 1000 + 3600))
}

pub(crate) fn sign(header: &str, payload: &str) -> String {
    let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let message = format!("{}.{}", part(header), part(payload));
    let key = EncodingKey::from_secret(&secret());
    let signature = provider::sign(Algorithm::HS256, &key, message.as_bytes()).unwrap();
    format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
}

pub(crate) fn token(claims: &str) -> Token {
    verifier().verify(&signed(claims), at(NOW)).unwrap()
}
