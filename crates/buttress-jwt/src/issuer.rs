//! The issuer: access tokens for a quarter of an hour, refresh tokens that are exchanged, and the end of both.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use buttress_redis::Redis;
use serde_json::{Value, json};

use crate::algorithm::Algorithm;
use crate::claims::{millis, whole_millis};
use crate::fault::Fault;
use crate::grant::{Grant, Profile, random_word};
use crate::keys::Keys;
use crate::login::Login;
use crate::mark::{Kind, Mark};
use crate::memory::MemoryFamilies;
use crate::redis::RedisFamilies;
use crate::revocation::Revocation;
use crate::revocations::{Revocations, RevokeError, Standing};
use crate::signing::SigningKey;
use crate::store::{Digest, Exchange, Families as _, Life, Rotation, StoreAway};
use crate::token::Token;
use crate::trusted::{Audience, TrustError, TrustedIssuer};
use crate::verifier::Verifier;

/// Makes tokens for those who have logged in, exchanges them, and ends them. Cheap to clone.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use buttress_jwt::{Issuer, Login, Revocations, SigningKey, Verifier};
///
/// let revocations = Revocations::embedded();
/// let issuer = Issuer::new("https://shop.example", "shop", SigningKey::random(), revocations.clone())?;
/// let verifier = Verifier::new([issuer.trusted()])?; // for a `JwtLayer`
///
/// let tokens = issuer.login(Login::new("ada").scope("orders:read")).await?;
/// let next = issuer.refresh(tokens.refresh()).await?; // the old one is exchanged, and good for nothing
/// # let now = buttress_core::Clock::system().now();
/// let token = verifier.verify(next.access(), now)?;
/// issuer.logout(&token).await?; // neither is good for anything any more
/// assert!(issuer.refresh(next.refresh()).await.is_err());
/// # Ok(()) }
/// ```
///
/// # Refresh tokens
///
/// Each is good for one exchange (RFC 9700 §4.14.2). Who presents one a second time holds a copy, or made it: the whole login is ended, with its
/// access tokens. But two tabs that refresh at the same moment are no thieves: within the [`grace`](Self::grace) the same exchange gives the
/// same successor again, until that is used. At rest there are digests, of ids: nobody can present what he reads there.
///
/// # When Redis is away
///
/// Nobody logs in or refreshes: [`RefreshError::Away`], of which the ready services make 503. Tokens that are there go on as the
/// [`Revocations`](crate::Revocations#when-redis-is-away) say.
#[derive(Clone)]
pub struct Issuer {
    settings: Arc<Settings>,
}

#[derive(Clone)]
struct Settings {
    name: Option<String>,
    audience: Option<String>,
    revocations: Revocations,
    families: Arc<Backing>,
    signing: Arc<Mutex<SigningKey>>,
    /// All keys whose tokens are still good: shared with every verifier of this issuer.
    keys: Keys,
    algorithms: Vec<Algorithm>,
    /// Believes refresh tokens.
    refreshes: Option<Verifier>,
    access_lifetime: Duration,
    refresh_lifetime: Duration,
    longest_login: Duration,
    grace: Duration,
    profile: Profile,
}

enum Backing {
    Memory(MemoryFamilies),
    Redis(RedisFamilies),
}

/// What somebody who has logged in gets.
#[derive(Clone)]
pub struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) access_csrf: String,
    pub(crate) refresh_csrf: String,
    pub(crate) access_lifetime: Duration,
    pub(crate) refresh_lifetime: Duration,
    pub(crate) scope: Option<String>,
}

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

const ACCESS_LIFETIME: Duration = Duration::from_secs(15 * 60);
const REFRESH_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const LONGEST_LOGIN: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const GRACE: Duration = Duration::from_secs(10);
/// A clock of Redis may be so far from ours.
const SKEW: Duration = Duration::from_secs(30);

// === impl Issuer ===

impl Issuer {
    /// Issues tokens of this name, for this audience, signed with this key. Logins are kept in this process, unless [`redis`](Self::redis) is given.
    ///
    /// # Errors
    /// If the name or the audience is empty.
    pub fn new(
        name: impl Into<String>,
        audience: impl Into<String>,
        key: SigningKey,
        revocations: Revocations,
    ) -> Result<Self, TrustError> {
        Self::of(Some(name.into()), Some(audience.into()), key, revocations, Profile::Rfc9068)
    }

    /// Issues tokens as flask-jwt-extended does, that its services accept: without `iss` and `aud`, with `type`, `fresh` and `csrf`. For the
    /// time in which services move over; see the section on moving over.
    ///
    /// # Errors
    /// None at present.
    pub fn flask(key: SigningKey, revocations: Revocations) -> Result<Self, TrustError> {
        Self::of(None, None, key, revocations, Profile::Flask)
    }

    fn of(
        name: Option<String>,
        audience: Option<String>,
        key: SigningKey,
        revocations: Revocations,
        profile: Profile,
    ) -> Result<Self, TrustError> {
        if audience.as_deref() == Some("") {
            return Err(TrustError("no audience is named".to_owned()));
        }
        let settings = Settings {
            name,
            audience,
            families: Arc::new(Backing::Memory(MemoryFamilies::new(revocations.clock().clone()))),
            revocations,
            keys: Keys::new([key.verifying()]),
            algorithms: vec![key.algorithm()],
            signing: Arc::new(Mutex::new(key)),
            refreshes: None,
            access_lifetime: ACCESS_LIFETIME,
            refresh_lifetime: REFRESH_LIFETIME,
            longest_login: LONGEST_LOGIN,
            grace: GRACE,
            profile,
        };
        let issuer = Self { settings: Arc::new(settings) }.checked();
        Verifier::new([issuer.trusted()])?;
        Ok(issuer)
    }

    /// Logins are kept in Redis, where all processes with the same prefix find them. The key must be the same in all of them. Default: in this
    /// process.
    #[must_use]
    pub fn redis(mut self, redis: Redis) -> Self {
        let prefix = self.settings.revocations.prefix().to_owned();
        self.set().families = Arc::new(Backing::Redis(RedisFamilies::new(redis, prefix)));
        self
    }

    /// How long an access token is good. Default: 15 minutes.
    #[must_use]
    pub fn access_lifetime(mut self, lifetime: Duration) -> Self {
        self.set().access_lifetime = lifetime;
        self.checked()
    }

    /// How long a refresh token is good, and so how long a login lasts of which nothing is heard. Default: 30 days. Revocations of subjects are
    /// kept as long.
    #[must_use]
    pub fn refresh_lifetime(mut self, lifetime: Duration) -> Self {
        self.set().refresh_lifetime = lifetime;
        self.checked()
    }

    /// How long a login lasts, however often it is refreshed. Default: 90 days.
    #[must_use]
    pub fn longest_login(mut self, lifetime: Duration) -> Self {
        self.set().longest_login = lifetime;
        self
    }

    /// How long an exchange may be repeated, by whoever presents the same token before its successor was used. Default: 10 s; more than a minute is
    /// a gift to thieves.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.set().grace = grace;
        self
    }

    /// Trust in its own access tokens, for a [`Verifier`]. It follows [`rotate`](Self::rotate).
    pub fn trusted(&self) -> TrustedIssuer {
        let settings = &*self.settings;
        let audience = settings.audience.clone().map_or_else(Audience::any_audience, Audience::from);
        let trusted = match &settings.name {
            Some(name) => {
                TrustedIssuer::new(name, audience, settings.algorithms.iter().copied(), settings.keys.clone())
            }
            None => TrustedIssuer::unnamed(audience, settings.algorithms.iter().copied(), settings.keys.clone()),
        };
        settings.profile.access(trusted).max_lifetime(settings.access_lifetime)
    }

    /// Signs with this key from now on. Tokens that were signed with others stay good, until they are told to be [forgotten](Self::forget_keys).
    ///
    /// # Errors
    /// If its algorithm is another one than before: verifiers allow that alone.
    pub fn rotate(&self, key: SigningKey) -> Result<(), TrustError> {
        let settings = &*self.settings;
        if !settings.algorithms.contains(&key.algorithm()) {
            return Err(TrustError(format!("{} is not the algorithm of this issuer", key.algorithm())));
        }
        settings.keys.add(key.verifying());
        *settings.signing.lock().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }

    /// Takes out all keys but the one that signs. Whoever holds a token of theirs logs in again.
    pub fn forget_keys(&self) {
        self.settings.keys.replace([self.key().verifying()]);
    }

    /// The public keys, as others may have them (RFC 7517 §5): empty if tokens are signed with a secret.
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({ "keys": self.settings.keys.public() })
    }

    /// Its name, if its tokens bear one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.settings.name.as_deref()
    }

    /// Whom its tokens are for.
    #[must_use]
    pub fn audience(&self) -> Option<&str> {
        self.settings.audience.as_deref()
    }

    /// Tokens for somebody who has just proved who they are.
    ///
    /// # Errors
    /// If logins cannot be kept now, or the key cannot sign.
    pub async fn login(&self, login: Login) -> Result<Tokens, RefreshError> {
        let settings = &*self.settings;
        let now = millis(settings.revocations.clock().now());
        let grant = Grant::begin(login, settings.audience.as_deref(), now);
        let first = random_word();
        let life =
            Life { idle: whole_millis(settings.refresh_lifetime), longest: whole_millis(settings.longest_login) };
        let family = self.family(&grant.session);
        settings.families.begin(family, digest(&first), life).await?;
        metrics::counter!("buttress_jwt_logins_total").increment(1);
        self.tokens(&grant, &first, now, now.saturating_add(life.longest), true)
    }

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
        let settings = &*self.settings;
        let (believed, grant) = self.believe(token)?;
        let id = believed.claims().id().ok_or(RefreshError::Invalid(Fault::Incomplete))?;
        let family = self.family(&grant.session);
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
                if let Err(error) = self.revoke_session(&grant.session).await {
                    tracing::warn!(target: "buttress_jwt", %error, "the end of a login is not told yet");
                }
                Err(RefreshError::Reused)
            }
        }
    }

    /// Ends the login that an access token comes from, with all its tokens.
    ///
    /// # Errors
    /// If it holds in this process only, for now.
    pub async fn logout(&self, token: &Token) -> Result<(), RevokeError> {
        match token.claims().session() {
            Some(session) => self.end(session).await,
            None => self.settings.revocations.revoke(Revocation::token(token)).await,
        }
    }

    /// Ends every login of a subject.
    ///
    /// # Errors
    /// If it holds in this process only, for now.
    pub async fn logout_everywhere(&self, subject: &str) -> Result<(), RevokeError> {
        let issuer = self.name().unwrap_or_default();
        self.settings.revocations.revoke(Revocation::subject(issuer, subject)).await
    }

    /// Ends whatever a token of this issuer stands for (RFC 7009): the login, if it names one. A token that is not believed is good for nothing already.
    ///
    /// # Errors
    /// If it holds in this process only, for now.
    pub async fn revoke(&self, token: &str) -> Result<(), RevokeError> {
        if let Ok((_, grant)) = self.believe(token) {
            return self.end(&grant.session).await;
        }
        let now = self.settings.revocations.clock().now();
        let verifier = Verifier::new([self.trusted()]).map(|verifier| verifier.remember(0));
        match verifier.map(|verifier| verifier.verify(token, now)) {
            Ok(Ok(token)) => self.logout(&token).await,
            _ => Ok(()),
        }
    }

    /// The claims of a refresh token that is believed; whether its login goes on is another question.
    pub(crate) fn believe(&self, token: &str) -> Result<(Token, Grant), RefreshError> {
        let now = self.settings.revocations.clock().now();
        let verifier = self.settings.refreshes.as_ref().ok_or(RefreshError::Signature)?;
        let believed = verifier.verify(token, now).map_err(RefreshError::Invalid)?;
        let grant = Grant::of(believed.claims()).ok_or(RefreshError::Invalid(Fault::Incomplete))?;
        Ok((believed, grant))
    }

    /// Whether an access token was revoked.
    pub(crate) async fn standing(&self, token: &Token) -> Standing {
        self.settings.revocations.check(token).await
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.settings.revocations.clock().now()
    }

    async fn end(&self, session: &str) -> Result<(), RevokeError> {
        let ended = self.settings.families.end(self.family(session)).await;
        let revoked = self.revoke_session(session).await;
        // Where the record could not be removed, the revocation stands in for that: refresh tokens are checked as well.
        revoked.and(ended.map_err(|StoreAway(error)| RevokeError::Untold(error)))
    }

    async fn revoke_session(&self, session: &str) -> Result<(), RevokeError> {
        let issuer = self.name().unwrap_or_default();
        self.settings.revocations.revoke(Revocation::session(issuer, session)).await
    }

    fn tokens(&self, grant: &Grant, id: &str, at: u64, end: u64, fresh: bool) -> Result<Tokens, RefreshError> {
        let settings = &*self.settings;
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

    fn family(&self, session: &str) -> Mark {
        Mark::of(Kind::Session, self.name().unwrap_or_default(), session)
    }

    fn key(&self) -> SigningKey {
        self.settings.signing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// With a verifier for its refresh tokens, and revocations that outlive them.
    fn checked(mut self) -> Self {
        let settings = self.set();
        let reach = settings.refresh_lifetime.max(settings.access_lifetime) + SKEW * 2;
        settings.revocations.cover(reach);
        let algorithms = settings.algorithms.iter().copied();
        let trusted = match &settings.name {
            // For nobody but the issuer itself.
            Some(name) => TrustedIssuer::new(name, name.as_str(), algorithms, settings.keys.clone()),
            None => TrustedIssuer::unnamed(Audience::any_audience(), algorithms, settings.keys.clone()),
        };
        let trusted = settings.profile.refresh(trusted).max_lifetime(settings.refresh_lifetime).skew(SKEW);
        settings.refreshes = Verifier::new([trusted]).ok().map(|verifier| verifier.remember(0));
        self
    }

    fn set(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }
}

// === impl Tokens ===

impl Tokens {
    /// What is sent with each request.
    #[must_use]
    pub fn access(&self) -> &str {
        &self.access
    }

    /// What is exchanged when the other has ended. It must go nowhere but back to its issuer.
    #[must_use]
    pub fn refresh(&self) -> &str {
        &self.refresh
    }

    /// The answer of a token endpoint (RFC 6749 §5.1).
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut answer = json!({
            "access_token": self.access,
            "token_type": "Bearer",
            "expires_in": self.access_lifetime.as_secs(),
            "refresh_token": self.refresh,
        });
        if let Some(scope) = &self.scope {
            answer["scope"] = scope.as_str().into();
        }
        answer
    }
}

impl Backing {
    async fn begin(&self, family: Mark, first: Digest, life: Life) -> Result<(), StoreAway> {
        match self {
            Self::Memory(families) => families.begin(family, first, life).await,
            Self::Redis(families) => families.begin(family, first, life).await,
        }
    }

    async fn rotate(&self, family: Mark, exchange: Exchange) -> Result<Rotation, StoreAway> {
        match self {
            Self::Memory(families) => families.rotate(family, exchange).await,
            Self::Redis(families) => families.rotate(family, exchange).await,
        }
    }

    async fn end(&self, family: Mark) -> Result<(), StoreAway> {
        match self {
            Self::Memory(families) => families.end(family).await,
            Self::Redis(families) => families.end(family).await,
        }
    }
}

/// The id of the token that comes after this one: made of what was signed, so that whoever repeats an exchange is given the same, and nothing of
/// it has to be kept. It proves nothing by itself; the signature does.
fn successor(token: &str) -> String {
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    let key = blake3::derive_key("buttress-jwt 2026 successor of a refresh token", signed.as_bytes());
    data_encoding::BASE64URL_NOPAD.encode(&key[..16])
}

/// The word against forged requests, of a refresh token: the same for all who repeat an exchange.
fn csrf_of(id: &str) -> String {
    let key = blake3::derive_key("buttress-jwt 2026 csrf word of a refresh token", id.as_bytes());
    data_encoding::BASE64URL_NOPAD.encode(&key[..16])
}

fn digest(id: &str) -> Digest {
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

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("name", &self.settings.name)
            .field("audience", &self.settings.audience)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the tokens.
        f.debug_struct("Tokens")
            .field("access_lifetime", &self.access_lifetime)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
