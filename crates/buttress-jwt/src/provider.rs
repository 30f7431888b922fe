//! The one place that asks for cryptography.
//!
//! `jsonwebtoken` picks a provider for the process by which of its features somebody has switched on, and panics at the first token
//! when both are, or none. So nothing here goes through its choice: the provider is named, and this crate's own feature has it
//! compiled whatever the rest of the application does.

use jsonwebtoken::crypto::{CryptoProvider, aws_lc};
use jsonwebtoken::{DecodingKey, EncodingKey};

use crate::algorithm::Algorithm;

static PROVIDER: &CryptoProvider = &aws_lc::DEFAULT_PROVIDER;

/// Modulus and exponent.
pub(crate) type RsaComponents = (Vec<u8>, Vec<u8>);

/// Whether this is the key's signature of the message.
pub(crate) fn verify(algorithm: Algorithm, key: &DecodingKey, message: &[u8], signature: &Vec<u8>) -> bool {
    (PROVIDER.verifier_factory)(&algorithm.external(), key)
        .is_ok_and(|verifier| verifier.verify(message, signature).is_ok())
}

/// The key's signature of the message; none if the key is not one of the algorithm.
pub(crate) fn sign(algorithm: Algorithm, key: &EncodingKey, message: &[u8]) -> Option<Vec<u8>> {
    (PROVIDER.signer_factory)(&algorithm.external(), key).ok()?.try_sign(message).ok()
}

/// Of a public key in DER.
pub(crate) fn rsa_components(der: &[u8]) -> Option<RsaComponents> {
    (PROVIDER.key_utils.rsa_pub_components_from_public_key)(der).ok()
}

/// The public half of a private key, as a verifier takes it.
pub(crate) fn rsa_public(key: &EncodingKey) -> Option<RsaComponents> {
    (PROVIDER.key_utils.rsa_pub_components_from_private_key)(key.as_bytes()).ok()
}

/// The public point of a private key.
pub(crate) fn ec_public(key: &EncodingKey, algorithm: Algorithm) -> Option<(Vec<u8>, Vec<u8>)> {
    let components = PROVIDER.key_utils.ec_pub_components_from_private_key;
    components(key.as_bytes(), algorithm.external()).ok().map(|(_, x, y)| (x, y))
}

/// The public half of a private key on Ed25519.
pub(crate) fn ed_public(key: &EncodingKey) -> Option<Vec<u8>> {
    let curve = jsonwebtoken::jwk::EllipticCurve::Ed25519;
    (PROVIDER.key_utils.ed_pub_components_from_private_key)(key.as_bytes(), &curve).ok()
}

/// The digest that names of keys are made of.
pub(crate) fn sha256(bytes: &[u8]) -> Option<Vec<u8>> {
    (PROVIDER.key_utils.compute_digest)(bytes, jsonwebtoken::jwk::ThumbprintHash::SHA256).ok()
}
