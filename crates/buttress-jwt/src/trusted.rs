//! Whose tokens are believed, and what must be true of them.

use std::fmt;
use std::time::Duration;

use crate::algorithm::Algorithm;
use crate::claims::whole_millis;
use crate::header::media_type;
use crate::keys::Keys;

/// An issuer that is trusted, for whom its tokens must be, and by what keys and algorithms they are signed.
///
/// ```
/// use buttress_jwt::{Algorithm, Keys, TrustedIssuer};
///
/// # fn keys() -> Keys { Keys::new([]) }
/// let issuer = TrustedIssuer::new("https://accounts.example", "https://api.example", [Algorithm::ES256], keys())
///     .require("sub")
///     .only_access_tokens(); // RFC 9068: `typ` is `at+jwt`
/// # let _ = issuer;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TrustedIssuer {
    /// None: tokens that name no issuer.
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Audience,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) keys: Keys,
    /// Media types that `typ` may name, if it is there.
    pub(crate) kinds: Vec<String>,
    pub(crate) must_name_kind: bool,
    /// What the claim `type` must say.
    pub(crate) of_type: Option<&'static str>,
    pub(crate) required: Vec<String>,
    pub(crate) skew: Duration,
    /// Not believed after their end, not even for the skew.
    pub(crate) punctual: bool,
    pub(crate) max_lifetime: Duration,
    pub(crate) roles: String,
}

/// For whom a token must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Audience(pub(crate) Option<Vec<String>>);

/// A [`Verifier`](crate::Verifier) that would believe too much, or nobody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustError(pub(crate) String);

/// Clocks of servers that ask for the time are closer than that.
const SKEW: Duration = Duration::from_secs(30);
/// RFC 7519 §4.1.4 speaks of "no more than a few minutes"; a minute is what others allow.
pub(crate) const MOST_SKEW: Duration = Duration::from_secs(60);
/// Longer lives are for refresh tokens.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// What RFC 9068 §2.2 requires, beyond what is required of every token.
const OF_ACCESS_TOKENS: [&str; 4] = ["sub", "client_id", "iat", "jti"];

// === impl TrustedIssuer ===

impl TrustedIssuer {
    /// Trusts tokens that name this issuer, are for one of these audiences, and are signed by one of these algorithms with one of these
    /// keys. The issuer is compared octet by octet, and its keys verify no other issuer's tokens.
    pub fn new(
        issuer: impl Into<String>,
        audience: impl Into<Audience>,
        algorithms: impl IntoIterator<Item = Algorithm>,
        keys: Keys,
    ) -> Self {
        Self::of(Some(issuer.into()), audience.into(), algorithms, keys)
    }

    /// Trusts tokens that name no issuer at all, as those of services that verify only their own.
    pub fn unnamed(audience: impl Into<Audience>, algorithms: impl IntoIterator<Item = Algorithm>, keys: Keys) -> Self {
        Self::of(None, audience.into(), algorithms, keys)
    }

    fn of(
        issuer: Option<String>,
        audience: Audience,
        algorithms: impl IntoIterator<Item = Algorithm>,
        keys: Keys,
    ) -> Self {
        Self {
            issuer,
            audience,
            algorithms: algorithms.into_iter().collect(),
            keys,
            kinds: vec!["jwt".to_owned(), "at+jwt".to_owned()],
            must_name_kind: false,
            of_type: None,
            required: Vec::new(),
            skew: SKEW,
            punctual: false,
            max_lifetime: MAX_LIFETIME,
            roles: "/roles".to_owned(),
        }
    }

    /// Only access tokens by RFC 9068: `typ` must be `at+jwt`, and `sub`, `client_id`, `iat` and `jti` must be there. Default: no;
    /// a `typ` may be missing, and `JWT` is fine.
    pub fn only_access_tokens(self) -> Self {
        OF_ACCESS_TOKENS.into_iter().fold(self.kind("at+jwt"), Self::require)
    }

    /// Only tokens whose `typ` is this media type. Default: `JWT`, `at+jwt`, or none.
    pub fn kind(mut self, kind: &str) -> Self {
        self.kinds = vec![media_type(kind)];
        self.must_name_kind = true;
        self
    }

    /// Only tokens whose claim `type` says this, as flask-jwt-extended has it.
    pub(crate) fn only_of_type(mut self, name: &'static str) -> Self {
        self.of_type = Some(name);
        self
    }

    /// Nothing is believed after its end: for tokens that somebody else keeps a list of, and forgets when they end.
    pub(crate) fn punctual(mut self) -> Self {
        self.punctual = true;
        self
    }

    /// A claim that must be there. `iss`, `aud` and `exp` always must.
    pub fn require(mut self, claim: impl Into<String>) -> Self {
        self.required.push(claim.into());
        self
    }

    /// How far clocks may be apart: tokens are believed so long after their end and before their beginning. Default: 30 s; at most 60 s.
    pub fn skew(mut self, skew: Duration) -> Self {
        self.skew = skew;
        self
    }

    /// How long a token may be made to live, from `iat`, or from now without one. Default: 24 hours. Revocations are kept as
    /// long, so a year costs memory.
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = lifetime;
        self
    }

    /// Where roles stand, as a JSON pointer. Default: `/roles`; Keycloak has `/realm_access/roles`.
    pub fn roles_at(mut self, pointer: impl Into<String>) -> Self {
        self.roles = pointer.into();
        self
    }

    /// How long tokens are believed after their end, in milliseconds.
    pub(crate) fn late(&self) -> u64 {
        if self.punctual { 0 } else { whole_millis(self.skew) }
    }

    /// How long a token that is issued now can pass at most.
    pub(crate) fn reach(&self) -> Duration {
        // `iat` may lie one skew ahead, and `exp` is believed for another.
        self.max_lifetime.saturating_add(self.skew * 2)
    }

    pub(crate) fn check(&self) -> Result<(), TrustError> {
        let name = self.issuer.as_deref().unwrap_or("(unnamed)");
        let error = |why: String| Err(TrustError(format!("issuer {name}: {why}")));
        let symmetric = self.algorithms.iter().filter(|algorithm| algorithm.is_symmetric()).count();
        match () {
            () if self.issuer.as_deref() == Some("") => error("the name is empty".to_owned()),
            () if self.algorithms.is_empty() => error("no algorithm is allowed".to_owned()),
            () if symmetric != 0 && symmetric != self.algorithms.len() => {
                error("secrets and public keys are not mixed: a public key must never serve as a secret".to_owned())
            }
            () if self.audience.0.as_ref().is_some_and(Vec::is_empty) => error("no audience is named".to_owned()),
            () if self.skew > MOST_SKEW => error(format!("a skew of {:?} is more than {MOST_SKEW:?}", self.skew)),
            () if self.max_lifetime.is_zero() => error("tokens may live for no time at all".to_owned()),
            () if !self.roles.starts_with('/') => error(format!("{:?} is no JSON pointer", self.roles)),
            () => Ok(()),
        }
    }
}

// === impl Audience ===

impl Audience {
    /// Tokens for one of these.
    pub fn one_of<T: Into<String>>(audiences: impl IntoIterator<Item = T>) -> Self {
        Self(Some(audiences.into_iter().map(Into::into).collect()))
    }

    /// Tokens for anybody: also those that another service was sent, and passes on to this one as its own.
    #[must_use]
    pub fn any_audience() -> Self {
        Self(None)
    }
}

impl From<&str> for Audience {
    fn from(audience: &str) -> Self {
        Self::one_of([audience])
    }
}

impl From<String> for Audience {
    fn from(audience: String) -> Self {
        Self::one_of([audience])
    }
}

impl<const N: usize> From<[&str; N]> for Audience {
    fn from(audiences: [&str; N]) -> Self {
        Self::one_of(audiences)
    }
}

impl From<Vec<String>> for Audience {
    fn from(audiences: Vec<String>) -> Self {
        Self::one_of(audiences)
    }
}

// === impl TrustError ===

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TrustError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_believe_too_much_is_refused() {
        let keys = || Keys::new([]);
        let trusted = |algorithms: &[Algorithm]| TrustedIssuer::new("a", "b", algorithms.iter().copied(), keys());
        for (trusted, why) in [
            (trusted(&[Algorithm::ES256, Algorithm::RS256]), ""),
            (trusted(&[]), "no algorithm"),
            (trusted(&[Algorithm::HS256, Algorithm::RS256]), "not mixed"),
            (trusted(&[Algorithm::ES256]).skew(Duration::from_secs(61)), "skew"),
            (trusted(&[Algorithm::ES256]).max_lifetime(Duration::ZERO), "no time"),
            (trusted(&[Algorithm::ES256]).roles_at("roles"), "pointer"),
            (TrustedIssuer::new("", "b", [Algorithm::ES256], keys()), "empty"),
            (TrustedIssuer::new("a", [], [Algorithm::ES256], keys()), "no audience"),
            (TrustedIssuer::new("a", Audience::any_audience(), [Algorithm::ES256], keys()), ""),
        ] {
            let error = trusted.check().err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(why) && error.is_empty() == why.is_empty(), "{error:?} for {why:?}");
        }
    }
}
