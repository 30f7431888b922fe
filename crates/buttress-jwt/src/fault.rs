//! Why a token is not believed.

use std::fmt;

/// Why a token is not believed. The caller is told the class of it (`invalid_token`), the operator this.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// Longer than [`Verifier::longest`](crate::Verifier::longest) allows.
    TooLong,
    /// Not three parts with two dots: not a signed token in compact form (RFC 7515 §7.1).
    NotCompact,
    /// Five parts: an encrypted token. Nobody can be believed for having encrypted something to us.
    Encrypted,
    /// A part that is not base64url: padding, spaces, other letters, or bits behind the end.
    NotBase64,
    /// A part that is not a JSON object in UTF-8, or not of a depth that tokens have.
    NotJson,
    /// A member of the header or of the claims that stands there twice (RFC 7515 §4, 7519 §4).
    Duplicate,
    /// A member of the header or a registered claim of the wrong type, or a time that is none.
    WrongType,
    /// An extension that must be understood and is not (`crit`, RFC 7515 §4.1.11), or `b64` (RFC 7797).
    Critical,
    /// No algorithm, `none`, one that is not known, or none that is allowed for this issuer.
    Algorithm,
    /// A token of another kind: its media type `typ`, or a claim that says that it is an id or refresh token.
    Kind,
    /// Issued by nobody who is trusted, or it does not say by whom.
    Issuer,
    /// No key of the issuer has this `kid` and algorithm.
    Key,
    /// The signature is not that of the key.
    Signature,
    /// For somebody else, or for nobody in particular.
    Audience,
    /// Past its time.
    Expired,
    /// Without an end to its time.
    Endless,
    /// Before its time.
    Early,
    /// Issued in the future.
    Unborn,
    /// Made to live longer than tokens of this issuer may.
    Lifetime,
    /// Bound to a key that the caller has to prove (`cnf`, RFC 7800), and presented without.
    Bound,
    /// A claim is missing that is required.
    Incomplete,
    /// The claims are not what the application's type asks for.
    Claims,
}

/// Every fault with its word.
const WORDS: [(Fault, &str); 22] = [
    (Fault::TooLong, "too-long"),
    (Fault::NotCompact, "not-compact"),
    (Fault::Encrypted, "encrypted"),
    (Fault::NotBase64, "not-base64"),
    (Fault::NotJson, "not-json"),
    (Fault::Duplicate, "duplicate-member"),
    (Fault::WrongType, "wrong-type"),
    (Fault::Critical, "critical-extension"),
    (Fault::Algorithm, "algorithm"),
    (Fault::Kind, "kind-of-token"),
    (Fault::Issuer, "issuer"),
    (Fault::Key, "unknown-key"),
    (Fault::Signature, "signature"),
    (Fault::Audience, "audience"),
    (Fault::Expired, "expired"),
    (Fault::Endless, "endless"),
    (Fault::Early, "not-yet-valid"),
    (Fault::Unborn, "issued-in-the-future"),
    (Fault::Lifetime, "lifetime"),
    (Fault::Bound, "bound-to-a-key"),
    (Fault::Incomplete, "claim-missing"),
    (Fault::Claims, "claims"),
];

// === impl Fault ===

impl Fault {
    /// The word used in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        WORDS.iter().find(|(fault, _)| *fault == self).map_or("", |(_, word)| word)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_a_word_of_its_own() {
        let words: std::collections::HashSet<_> = WORDS.iter().map(|(_, word)| word).collect();
        assert_eq!(words.len(), WORDS.len());
        assert!(WORDS.iter().all(|(fault, word)| fault.as_str() == *word && !word.is_empty()));
    }
}
