//! Why a request is refused, and what is said of it (RFC 6750, 9110, 9470, 9728).

use std::fmt;

use buttress_core::Refusal;
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use crate::fault::Fault;
use crate::mark::Kind;
use crate::rule::Rule;

/// Why a request is refused. It lies in the response's extensions, for logs of your own.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// No token, where one is required.
    NoToken,
    /// More than one.
    SeveralTokens,
    /// Something in the place of a token that is none.
    Malformed,
    /// A token that is not believed.
    Invalid(Fault),
    /// A token that was revoked.
    Revoked(Kind),
    /// A token in a cookie, and a request that its own page did not send.
    CrossSite,
    /// A scope is missing.
    Scope,
    /// A role is missing.
    Role,
    /// Its subject should log in again, or in another way.
    NotFresh,
    /// A check of the application's own failed.
    Forbidden,
    /// A path that may be read in two ways, which fall under different rules.
    AmbiguousPath,
    /// Whether the token was revoked cannot be known now.
    Unknown,
    /// The keys of its issuer cannot be had now.
    KeysAway,
}

/// What challenges say beside the error.
#[derive(Clone, Debug, Default)]
pub(crate) struct Challenges {
    pub(crate) realm: Option<String>,
    pub(crate) resource_metadata: Option<String>,
}

// === impl Reason ===

impl Reason {
    /// The word used in metrics and answers. Of a token that is not believed it does not say why: who forges one shall not learn what to
    /// mend.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoToken => "no-token",
            Self::SeveralTokens => "several-tokens",
            Self::Malformed => "malformed-token",
            Self::Invalid(_) => "invalid-token",
            Self::Revoked(_) => "revoked-token",
            Self::CrossSite => "cross-site",
            Self::Scope => "insufficient-scope",
            Self::Role => "insufficient-role",
            Self::NotFresh => "authentication-too-old",
            Self::Forbidden => "forbidden",
            Self::AmbiguousPath => "ambiguous-path",
            Self::Unknown => "revocation-unknown",
            Self::KeysAway => "keys-away",
        }
    }

    /// What more is known, for the operator.
    pub(crate) fn detail(self) -> &'static str {
        match self {
            Self::Invalid(fault) => fault.as_str(),
            Self::Revoked(kind) => kind.as_str(),
            _ => "",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::SeveralTokens | Self::Malformed | Self::AmbiguousPath => StatusCode::BAD_REQUEST,
            Self::NoToken | Self::Invalid(_) | Self::Revoked(_) | Self::NotFresh => StatusCode::UNAUTHORIZED,
            Self::CrossSite | Self::Scope | Self::Role | Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Unknown | Self::KeysAway => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The error of OAuth 2.0 that this is, if it is one: who sent no token is told of no error (RFC 6750 §3.1).
    const fn error(self) -> Option<&'static str> {
        match self {
            Self::SeveralTokens | Self::Malformed => Some("invalid_request"),
            Self::Invalid(_) | Self::Revoked(_) => Some("invalid_token"),
            Self::Scope => Some("insufficient_scope"),
            Self::NotFresh => Some("insufficient_user_authentication"),
            _ => None,
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::NoToken => "a token is required",
            Self::SeveralTokens => "more than one token",
            Self::Malformed => "there is no token where one should be",
            Self::Invalid(Fault::Expired) | Self::Revoked(_) => "the token has ended",
            Self::Invalid(_) => "the token is not valid here",
            Self::CrossSite => "the request was not sent by a page of this site",
            Self::Scope => "the token does not have the scope",
            Self::Role => "the token does not have the role",
            Self::NotFresh => "a more recent or stronger authentication is required",
            Self::Forbidden => "the token is not for this",
            Self::AmbiguousPath => "the path can be read in two ways",
            Self::Unknown => "whether the token is still good cannot be known at the moment",
            Self::KeysAway => "the keys of the issuer cannot be had at the moment",
        }
    }

    /// The answer, under a rule.
    pub(crate) fn refusal(self, rule: Option<&Rule>, challenges: &Challenges) -> Refusal {
        let refusal = Refusal::new(self.status(), self.as_str()).detail(self.sentence());
        let refusal = match self.status() {
            StatusCode::SERVICE_UNAVAILABLE => refusal.header(RETRY_AFTER, HeaderValue::from_static("1")),
            _ => refusal,
        };
        let challenges_client = self.status() == StatusCode::UNAUTHORIZED || self.error().is_some();
        match HeaderValue::try_from(self.challenge(rule, challenges)) {
            Ok(challenge) if challenges_client => refusal.header(WWW_AUTHENTICATE, challenge),
            _ => refusal,
        }
    }

    fn challenge(self, rule: Option<&Rule>, challenges: &Challenges) -> String {
        let mut parameters = Vec::new();
        let mut say = |name: &str, value: &str| parameters.push(format!("{name}={}", Quoted(value)));
        if let Some(realm) = &challenges.realm {
            say("realm", realm);
        }
        if let Some(error) = self.error() {
            say("error", error);
            say("error_description", self.sentence());
        }
        if let Some(rule) = rule {
            if !rule.scopes.is_empty() && matches!(self, Self::Scope | Self::NoToken) {
                say("scope", &rule.scopes.join(" "));
            }
            if self == Self::NotFresh {
                if let Some(within) = rule.fresh {
                    parameters.push(format!("max_age={}", within.as_secs()));
                }
                if !rule.acr.is_empty() {
                    parameters.push(format!("acr_values={}", Quoted(&rule.acr.join(" "))));
                }
            }
        }
        if let Some(url) = &challenges.resource_metadata {
            parameters.push(format!("resource_metadata={}", Quoted(url)));
        }
        if parameters.is_empty() { "Bearer".to_owned() } else { format!("Bearer {}", parameters.join(", ")) }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

/// A quoted-string (RFC 9110 §5.6.4).
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use std::time::Duration;

    #[test]
    fn challenges_say_what_the_client_can_do() {
        let rule = Rule::required().scope("a").scope("b").fresh(Duration::from_secs(60)).any_acr(["gold"]);
        let full = Challenges { realm: Some("a \"b\"".into()), resource_metadata: Some("https://r/x".into()) };
        for (reason, challenges, status, expected) in [
            (Reason::NoToken, &Challenges::default(), 401, Some(r#"Bearer scope="a b""#)),
            (
                Reason::Invalid(Fault::Signature),
                &Challenges::default(),
                401,
                Some(r#"Bearer error="invalid_token", error_description="the token is not valid here""#),
            ),
            (
                Reason::Revoked(Kind::Subject),
                &full,
                401,
                Some(
                    r#"Bearer realm="a \"b\"", error="invalid_token", error_description="the token has ended", resource_metadata="https://r/x""#,
                ),
            ),
            (
                Reason::Scope,
                &Challenges::default(),
                403,
                Some(
                    r#"Bearer error="insufficient_scope", error_description="the token does not have the scope", scope="a b""#,
                ),
            ),
            (
                Reason::NotFresh,
                &Challenges::default(),
                401,
                Some(
                    r#"Bearer error="insufficient_user_authentication", error_description="a more recent or stronger authentication is required", max_age=60, acr_values="gold""#,
                ),
            ),
            (
                Reason::SeveralTokens,
                &Challenges::default(),
                400,
                Some(r#"Bearer error="invalid_request", error_description="more than one token""#),
            ),
            (Reason::Unknown, &full, 503, None),
            (Reason::KeysAway, &full, 503, None),
            (Reason::CrossSite, &full, 403, None),
            (Reason::AmbiguousPath, &full, 400, None),
        ] {
            let response = reason.refusal(Some(&rule), challenges).response(&HeaderMap::new());
            assert_eq!(response.status(), status, "{reason:?}");
            let challenge = response.headers().get(WWW_AUTHENTICATE).map(|value| value.to_str().unwrap());
            assert_eq!(challenge, expected, "{reason:?}");
        }
        let bare = Reason::NoToken.refusal(None, &Challenges::default()).response(&HeaderMap::new());
        assert_eq!(bare.headers()[WWW_AUTHENTICATE], "Bearer");
    }
}
