//! The algorithms that tokens are signed with.

use std::fmt;

/// An algorithm of JSON Web Signature (RFC 7518, 8037, 9864).
///
/// There is no `none`, and none can be added: a token without a signature is not a token.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC with SHA-256: whoever verifies can also sign.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// RSA PKCS#1 v1.5 with SHA-256, what most issuers use.
    RS256,
    /// RSA PKCS#1 v1.5 with SHA-384.
    RS384,
    /// RSA PKCS#1 v1.5 with SHA-512.
    RS512,
    /// RSA-PSS with SHA-256.
    PS256,
    /// RSA-PSS with SHA-384.
    PS384,
    /// RSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519. Its names in a header are `EdDSA` and, since RFC 9864, `Ed25519`.
    EdDSA,
}

/// The kind of key that an algorithm takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Family {
    Secret,
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// Every algorithm with its name in a header.
const NAMES: [(Algorithm, &str); 12] = [
    (Algorithm::HS256, "HS256"),
    (Algorithm::HS384, "HS384"),
    (Algorithm::HS512, "HS512"),
    (Algorithm::RS256, "RS256"),
    (Algorithm::RS384, "RS384"),
    (Algorithm::RS512, "RS512"),
    (Algorithm::PS256, "PS256"),
    (Algorithm::PS384, "PS384"),
    (Algorithm::PS512, "PS512"),
    (Algorithm::ES256, "ES256"),
    (Algorithm::ES384, "ES384"),
    (Algorithm::EdDSA, "EdDSA"),
];

// === impl Algorithm ===

impl Algorithm {
    /// The algorithm of this name; names are case-sensitive (RFC 7515 §4.1.1).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDSA);
        }
        NAMES.iter().find(|(_, known)| *known == name).map(|(algorithm, _)| *algorithm)
    }

    /// Its name in a header.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        NAMES.iter().find(|(algorithm, _)| *algorithm == self).map_or("", |(_, name)| name)
    }

    /// Whether whoever verifies can also sign.
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        self.family() == Family::Secret
    }

    pub(crate) const fn family(self) -> Family {
        match self {
            Self::HS256 | Self::HS384 | Self::HS512 => Family::Secret,
            Self::RS256 | Self::RS384 | Self::RS512 | Self::PS256 | Self::PS384 | Self::PS512 => Family::Rsa,
            Self::ES256 => Family::P256,
            Self::ES384 => Family::P384,
            Self::EdDSA => Family::Ed25519,
        }
    }

    /// What a secret has at least: as many bytes as the hash (RFC 7518 §3.2).
    pub(crate) const fn least_secret(self) -> usize {
        match self {
            Self::HS384 => 48,
            Self::HS512 => 64,
            _ => 32,
        }
    }

    pub(crate) const fn external(self) -> jsonwebtoken::Algorithm {
        use jsonwebtoken::Algorithm as External;
        match self {
            Self::HS256 => External::HS256,
            Self::HS384 => External::HS384,
            Self::HS512 => External::HS512,
            Self::RS256 => External::RS256,
            Self::RS384 => External::RS384,
            Self::RS512 => External::RS512,
            Self::PS256 => External::PS256,
            Self::PS384 => External::PS384,
            Self::PS512 => External::PS512,
            Self::ES256 => External::ES256,
            Self::ES384 => External::ES384,
            Self::EdDSA => External::EdDSA,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_case_sensitive_and_none_is_none() {
        for (algorithm, name) in NAMES {
            assert_eq!(Algorithm::from_name(name), Some(algorithm));
            assert_eq!(algorithm.to_string(), name);
        }
        assert_eq!(Algorithm::from_name("Ed25519"), Some(Algorithm::EdDSA));
        for name in ["none", "None", "NONE", "noNE", "", "hs256", "HS256 ", "ES512", "ES256K", "Ed448", "RSA-OAEP"] {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
        }
    }
}
