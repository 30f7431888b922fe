//! One refresh token for the next: the exchange, and who is caught by it.

use std::fmt;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

use crate::claims::{millis, whole_millis};
use crate::fault::Fault;
use crate::grant::{Grant, random_word};
use crate::issuer::Issuer;
use crate::revocations::Standing;
use crate::store::{Digest, Exchange, Rotation, StoreAway};
use crate::token::Token;
use crate::tokens::Tokens;

/// Why there are no new tokens.
#[derive(Debug)]
#[non_exhaustive]
pub enum RefreshError {
    /// The refresh token is not believed.
    Invalid(Fault),
    /// The login has ended: by a logout, by a revocation, or by its age.
    Ended,
    /// The token was exchanged before. The login is ended, since somebody has a copy.
    Reused,
    /// Where logins and revocations are kept cannot be reached.
    Away(Option<buttress_redis::Error>),
    /// The key cannot sign.
    Signature,
}

// === impl Issuer ===

impl Issuer {
    /// New tokens in exchange for a refresh token.
    ///
    /// # Errors
    /// If the token is not believed, the login has ended, or nobody can be asked. After [`RefreshError::Reused`] everything of the login is revoked.
    pub async fn refresh(&self, token: &str) -> Result<Tokens, RefreshError> {
        let answer = self.exchange(token).await;
        let outcome = match &answer {
            Ok(_) => "refreshed",
            Err(RefreshError::Invalid(_)) => "invalid",
            Err(RefreshError::Ended) => "ended",
            Err(RefreshError::Reused) => "reused",
            Err(RefreshError::Away(_) | RefreshError::Signature) => "away",
        };
        metrics::counter!("buttress_jwt_refreshes_total", "outcome" => outcome).increment(1);
        answer
    }

    async fn exchange(&self, token: &str) -> Result<Tokens, RefreshError> {
        let settings = self.settings();
        let (believed, grant) = self.believe(token)?;
        let id = believed.claims().id().ok_or(RefreshError::Invalid(Fault::Incomplete))?;
        let family = self.family(grant.family());
        match settings.revocations.check(&believed).await {
            Standing::Good => {}
            Standing::Unknown => return Err(RefreshError::Away(None)),
            Standing::Revoked(_) => {
                // So that it stays ended when the revocation is forgotten.
                settings.families.end(family).await?;
                return Err(RefreshError::Ended);
            }
        }
        let next = successor(token);
        let exchange = Exchange {
            presented: digest(id),
            successor: digest(&next),
            grace: whole_millis(settings.grace),
            idle: whole_millis(settings.refresh_lifetime),
        };
        match settings.families.rotate(family, exchange).await? {
            Rotation::Done { at, end, .. } => self.tokens(&grant, &next, at, end, false),
            Rotation::Gone => Err(RefreshError::Ended),
            Rotation::Reused => {
                tracing::warn!(target: "buttress_jwt", "a refresh token was presented again: its login is ended");
                // Told or untold: it holds here, and is told when that is possible.
                if let Err(error) = self.revoke_login_of(&believed).await {
                    tracing::warn!(target: "buttress_jwt", %error, "the end of a login is not told yet");
                }
                Err(RefreshError::Reused)
            }
        }
    }

    /// The claims of a refresh token that is believed; whether its login goes on is another question.
    pub(crate) fn believe(&self, token: &str) -> Result<(Token, Grant), RefreshError> {
        let now = self.settings().revocations.clock().now();
        let verifier = self.settings().refreshes.as_ref().ok_or(RefreshError::Signature)?;
        let believed = verifier.verify(token, now).map_err(RefreshError::Invalid)?;
        let grant = Grant::of(believed.claims()).ok_or(RefreshError::Invalid(Fault::Incomplete))?;
        Ok((believed, grant))
    }

    pub(crate) fn tokens(
        &self,
        grant: &Grant,
        id: &str,
        at: u64,
        end: u64,
        fresh: bool,
    ) -> Result<Tokens, RefreshError> {
        let settings = self.settings();
        let now = millis(settings.revocations.clock().now());
        let refresh_end = end.min(at.saturating_add(whole_millis(settings.refresh_lifetime)));
        let access_end = end.min(now.saturating_add(whole_millis(settings.access_lifetime)));
        let (access_csrf, refresh_csrf) = (random_word(), csrf_of(id));
        let key = self.key();
        let profile = settings.profile;
        let issuer = (self.name(), self.audience());
        let access = profile.access_claims(grant, issuer, (now, access_end), &access_csrf, fresh);
        let refresh = profile.refresh_claims(grant, issuer, (at, refresh_end), &refresh_csrf, id);
        let sign = |typ, claims: &Value| key.sign(typ, claims).ok_or(RefreshError::Signature);
        Ok(Tokens {
            access: sign(profile.access_type(), &access)?,
            refresh: sign(profile.refresh_type(), &refresh)?,
            access_csrf,
            refresh_csrf,
            access_lifetime: Duration::from_millis(access_end.saturating_sub(now)),
            refresh_lifetime: Duration::from_millis(refresh_end.saturating_sub(now)),
            scope: grant.scope.clone(),
        })
    }
}

/// The id of the token that comes after this one: made of what was signed, so that whoever repeats an exchange is given the same, and nothing of
/// it has to be kept. It proves nothing by itself; the signature does.
fn successor(token: &str) -> String {
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    let key = blake3::derive_key("buttress-jwt 2026 successor of a refresh token", signed.as_bytes());
    BASE64URL_NOPAD.encode(&key[..16])
}

/// The word against forged requests, of a refresh token: the same for all who repeat an exchange.
fn csrf_of(id: &str) -> String {
    let key = blake3::derive_key("buttress-jwt 2026 csrf word of a refresh token", id.as_bytes());
    BASE64URL_NOPAD.encode(&key[..16])
}

pub(crate) fn digest(id: &str) -> Digest {
    let key = blake3::derive_key("buttress-jwt 2026 id of a refresh token at rest", id.as_bytes());
    std::array::from_fn(|n| key[n])
}

// === impl RefreshError ===

impl From<StoreAway> for RefreshError {
    fn from(StoreAway(error): StoreAway) -> Self {
        Self::Away(Some(error))
    }
}

impl fmt::Display for RefreshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid(_) => "the refresh token is not valid",
            Self::Ended => "the login has ended",
            Self::Reused => "the refresh token was used before; the login is ended",
            Self::Away(_) => "logins cannot be reached at the moment",
            Self::Signature => "the key cannot sign",
        })
    }
}

impl std::error::Error for RefreshError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Invalid(fault) => Some(fault),
            Self::Away(Some(error)) => Some(error),
            _ => None,
        }
    }
}
