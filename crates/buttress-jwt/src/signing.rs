//! Keys that tokens are signed with.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};

use crate::algorithm::{Algorithm, Family};
use crate::keys::{Key, KeyError};
use crate::provider;

/// A key that tokens are signed with, and its public half.
///
/// ```
/// use buttress_jwt::{Algorithm, SigningKey};
///
/// let key = SigningKey::random(); // of this process; its tokens end with it
/// assert_eq!(key.algorithm(), Algorithm::HS256);
/// ```
#[derive(Clone)]
pub struct SigningKey {
    algorithm: Algorithm,
    encoding: EncodingKey,
    public: Key,
}

// === impl SigningKey ===

impl SigningKey {
    /// A secret: whoever verifies its tokens can also sign. For one service that verifies only its own.
    ///
    /// # Errors
    /// As [`Key::secret`].
    pub fn secret(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let public = Key::secret(algorithm, secret.as_ref())?;
        Ok(Self { algorithm, encoding: EncodingKey::from_secret(secret.as_ref()), public })
    }

    /// A secret that anybody may guess, as [`Key::dangerous_weak_secret`]: for the time in which an old service that has one is being
    /// replaced.
    ///
    /// # Errors
    /// If the algorithm takes no secret, or the secret is empty.
    pub fn dangerous_weak_secret(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let public = Key::dangerous_weak_secret(algorithm, secret.as_ref())?;
        Ok(Self { algorithm, encoding: EncodingKey::from_secret(secret.as_ref()), public })
    }

    /// A secret of this process alone: for tests and demonstrations.
    #[must_use]
    pub fn random() -> Self {
        loop {
            // One without entropy is refused, however unlikely.
            if let Ok(key) = Self::secret(Algorithm::HS256, rand::random::<[u8; 32]>()) {
                return key;
            }
        }
    }

    /// A private key in PEM (PKCS#8; for RSA also PKCS#1). It is named by its thumbprint (RFC 7638) unless it is [named](Self::named).
    ///
    /// # Errors
    /// If it is not a private key of that algorithm, or a weak one.
    pub fn pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let pem = pem.as_ref();
        let read = match algorithm.family() {
            Family::Secret => return Err(KeyError::new(format!("{algorithm} takes a secret, not a private key"))),
            Family::Rsa => EncodingKey::from_rsa_pem(pem),
            Family::P256 | Family::P384 => EncodingKey::from_ec_pem(pem),
            Family::Ed25519 => EncodingKey::from_ed_pem(pem),
        };
        let encoding =
            read.map_err(|error| KeyError::new(format!("no private key for {algorithm} in PEM: {error}")))?;
        let wrong = || KeyError::new(format!("not a private key for {algorithm}"));
        let jwk = jwk(algorithm, &encoding).ok_or_else(wrong)?;
        let public = Key::jwk(jwk.to_string())?;
        // What it signs must be what its public half verifies.
        let signature = provider::sign(algorithm, &encoding, b"probe").ok_or_else(wrong)?;
        if !public.verifies(algorithm, b"probe", &signature) {
            return Err(wrong());
        }
        let name = thumbprint(&jwk).ok_or_else(wrong)?;
        Ok(Self { algorithm, encoding, public }.named(name))
    }

    /// The name by which verifiers find its public half (`kid`).
    #[must_use]
    pub fn named(mut self, kid: impl Into<String>) -> Self {
        self.public = self.public.named(kid);
        self
    }

    /// What it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key that verifies what it signs; of a secret the secret itself.
    #[must_use]
    pub fn verifying(&self) -> Key {
        self.public.clone()
    }

    /// A token with this payload.
    pub(crate) fn sign(&self, typ: &str, payload: &Value) -> Option<String> {
        let mut header = json!({ "alg": self.algorithm.as_str(), "typ": typ });
        if let Some(kid) = &self.public.kid {
            header["kid"] = kid.as_str().into();
        }
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let mut token = format!("{}.{}", part(&header), part(payload));
        let signature = provider::sign(self.algorithm, &self.encoding, token.as_bytes())?;
        token.push('.');
        token.push_str(&BASE64URL_NOPAD.encode(&signature));
        Some(token)
    }
}

/// The digest of the members that make the key, in the order of their names (RFC 7638).
fn thumbprint(jwk: &Value) -> Option<String> {
    let members = ["crv", "e", "kty", "n", "x", "y"];
    let members: Vec<_> =
        members.into_iter().filter_map(|name| Some(format!("\"{name}\":{}", jwk.get(name)?))).collect();
    provider::sha256(format!("{{{}}}", members.join(",")).as_bytes()).map(|digest| BASE64URL_NOPAD.encode(&digest))
}

fn jwk(algorithm: Algorithm, key: &EncodingKey) -> Option<Value> {
    let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let alg = algorithm.as_str();
    match algorithm.family() {
        Family::Secret => None,
        Family::Rsa => {
            let (n, e) = provider::rsa_public(key)?;
            Some(json!({ "kty": "RSA", "use": "sig", "alg": alg, "n": text(&n), "e": text(&e) }))
        }
        family @ (Family::P256 | Family::P384) => {
            let (x, y) = provider::ec_public(key, algorithm)?;
            let crv = if family == Family::P256 { "P-256" } else { "P-384" };
            Some(json!({ "kty": "EC", "use": "sig", "alg": alg, "crv": crv, "x": text(&x), "y": text(&y) }))
        }
        Family::Ed25519 => {
            let x = provider::ed_public(key)?;
            Some(json!({ "kty": "OKP", "use": "sig", "alg": alg, "crv": "Ed25519", "x": text(&x) }))
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.public.kid)
            .finish_non_exhaustive()
    }
}
