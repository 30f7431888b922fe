//! Every Redis key this crate writes.
//!
//! | Redis key | type | holds | lives |
//! |---|---|---|---|
//! | `{prefix}:jwt:v1:{revoked}:news` | stream | what was revoked, one record an entry | each entry as long as it matters |
//! | `{prefix}:jwt:v1:{revoked}:about` | hash | the epoch of the stream, when and on which server it began, its last entry, how far it was cleared | for ever |
//! | `{prefix}:jwt:v1:{revoked}:mending` | sorted set | who is telling again what it knows, after a loss | seconds |
//! | `{prefix}:jwt:v1:{revoked}:{mark}` | string | up to which time of issue, how long, and the epoch in which the stream was told | as long as the revocation |
//! | `{prefix}:jwt:v1:{family}` | hash | one login: digests of its refresh tokens, the last rotation | as long as the refresh token |
//! | `{prefix}:jwt:v1:{keys}:{url}` | string | what an issuer published at a URL, and when it was asked | as long as keys are believed unconfirmed |
//! | `{prefix}:jwt:v1:{keys}:{url}:lease` | string | nothing: one process asks the issuer for all | as long as the issuer may take, and two seconds |
//! | `blacklist:{jti}` | string | `true`, where an old service looks there | a minute longer than the token |
//!
//! All that concerns revocation shares one hash tag, so that a script reaches it together; a mark is a digest of kind, issuer and
//! name, so that neither subjects nor token ids can be read out of Redis. A URL is a digest too: its query may be a secret.

use crate::mark::Mark;

/// The stream that tells what was revoked.
pub(crate) fn news(prefix: &str) -> String {
    format!("{prefix}:jwt:v1:{{revoked}}:news")
}

/// What is known of the stream.
pub(crate) fn about(prefix: &str) -> String {
    format!("{prefix}:jwt:v1:{{revoked}}:about")
}

/// Who is telling the stream again what it knows.
pub(crate) fn mending(prefix: &str) -> String {
    format!("{prefix}:jwt:v1:{{revoked}}:mending")
}

/// Up to when tokens of a mark are revoked.
pub(crate) fn mark(prefix: &str, mark: Mark) -> String {
    format!("{prefix}:jwt:v1:{{revoked}}:{}", mark.hex())
}

/// One login.
pub(crate) fn family(prefix: &str, family: Mark) -> String {
    format!("{prefix}:jwt:v1:{{{}}}", family.hex())
}

/// What was published at a URL.
#[cfg(feature = "fetch")]
pub(crate) fn published(prefix: &str, url: &str) -> String {
    format!("{prefix}:jwt:v1:{{keys}}:{}", &blake3::hash(url.as_bytes()).to_hex()[..32])
}

/// Who asks for it.
#[cfg(feature = "fetch")]
pub(crate) fn lease_on(published: &str) -> String {
    format!("{published}:lease")
}
