//! The issuer: access tokens for a quarter of an hour, refresh tokens that are exchanged, and the end of both.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use buttress_core::{EndLogin, Ending};
use buttress_redis::Redis;
use serde_json::{Value, json};

use crate::algorithm::Algorithm;
use crate::backing::Backing;
use crate::claims::{millis, whole_millis};
use crate::grant::{Grant, Profile, random_word};
use crate::keys::Keys;
use crate::login::Login;
use crate::mark::{Kind, Mark};
use crate::memory::MemoryFamilies;
use crate::redis::RedisFamilies;
use crate::refresh::{self, RefreshError};
use crate::revocation::Revocation;
use crate::revocations::{Revocations, RevokeError, Standing};
use crate::signing::SigningKey;
use crate::store::{Life, StoreAway};
use crate::token::Token;
use crate::tokens::Tokens;
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
pub(crate) struct Settings {
    pub(crate) name: Option<String>,
    pub(crate) audience: Option<String>,
    pub(crate) revocations: Revocations,
    pub(crate) families: Arc<Backing>,
    pub(crate) signing: Arc<Mutex<SigningKey>>,
    /// All keys whose tokens are still good: shared with every verifier of this issuer.
    pub(crate) keys: Keys,
    pub(crate) algorithms: Vec<Algorithm>,
    /// Believes refresh tokens.
    pub(crate) refreshes: Option<Verifier>,
    pub(crate) access_lifetime: Duration,
    pub(crate) refresh_lifetime: Duration,
    pub(crate) longest_login: Duration,
    pub(crate) grace: Duration,
    pub(crate) profile: Profile,
}

const ACCESS_LIFETIME: Duration = Duration::from_secs(15 * 60);
const REFRESH_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const LONGEST_LOGIN: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const GRACE: Duration = Duration::from_secs(10);
/// What a lifetime can be: tokens count in seconds, and nobody lives longer than a key.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
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
    /// time in which services move over; see [`flask`](crate::flask).
    ///
    /// # Errors
    /// None at present.
    pub fn flask(key: SigningKey, revocations: Revocations) -> Result<Self, TrustError> {
        Self::of(None, None, key, revocations, Profile::Flask)
    }

    /// As [`flask`](Self::flask), but with the name and the audience: for services that check them (`JWT_DECODE_ISSUER`, `JWT_DECODE_AUDIENCE`).
    #[must_use]
    pub fn flask_tokens(mut self) -> Self {
        self.set().profile = Profile::Flask;
        self.checked()
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

    /// How long an access token is good, a second at least. Default: 15 minutes.
    #[must_use]
    pub fn access_lifetime(mut self, lifetime: Duration) -> Self {
        self.set().access_lifetime = lifetime.clamp(SHORTEST, LONGEST);
        self.checked()
    }

    /// How long a refresh token is good, and so how long a login lasts of which nothing is heard. Default: 30 days. Revocations of subjects are
    /// kept as long.
    #[must_use]
    pub fn refresh_lifetime(mut self, lifetime: Duration) -> Self {
        self.set().refresh_lifetime = lifetime.clamp(SHORTEST, LONGEST);
        self.checked()
    }

    /// How long a login lasts, however often it is refreshed. Default: 90 days.
    #[must_use]
    pub fn longest_login(mut self, lifetime: Duration) -> Self {
        self.set().longest_login = lifetime.clamp(SHORTEST, LONGEST);
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

    /// The keys that its tokens are verified with.
    #[must_use]
    pub fn keys(&self) -> Keys {
        self.settings.keys.clone()
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
        let family = self.family(grant.family());
        settings.families.begin(family, refresh::digest(&first), life).await?;
        metrics::counter!("buttress_jwt_logins_total").increment(1);
        self.tokens(&grant, &first, now, now.saturating_add(life.longest), true)
    }

    /// Ends the login that an access token comes from, with all its tokens.
    ///
    /// # Errors
    /// If it holds in this process only, for now.
    pub async fn logout(&self, token: &Token) -> Result<(), RevokeError> {
        match token.claims().session() {
            Some(session) => self.end(session, token).await,
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
        if let Ok((believed, grant)) = self.believe(token) {
            return self.end(grant.family(), &believed).await;
        }
        let now = self.settings.revocations.clock().now();
        let verifier = Verifier::new([self.trusted()]).map(|verifier| verifier.remember(0));
        match verifier.map(|verifier| verifier.verify(token, now)) {
            Ok(Ok(token)) => self.logout(&token).await,
            _ => Ok(()),
        }
    }

    /// Whether an access token was revoked.
    pub(crate) async fn standing(&self, token: &Token) -> Standing {
        self.settings.revocations.check(token).await
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.settings.revocations.clock().now()
    }

    async fn end(&self, family: &str, token: &Token) -> Result<(), RevokeError> {
        let ended = self.settings.families.end(self.family(family)).await;
        let revoked = self.revoke_login_of(token).await;
        // Where the record could not be removed, the revocation stands in for that: refresh tokens are checked as well.
        revoked.and(ended.map_err(|StoreAway(error)| RevokeError::Untold(error)))
    }

    pub(crate) async fn revoke_login_of(&self, token: &Token) -> Result<(), RevokeError> {
        self.settings.revocations.revoke(Revocation::login_of(token)).await
    }

    pub(crate) fn family(&self, name: &str) -> Mark {
        Mark::of(Kind::Session, self.name().unwrap_or_default(), name)
    }

    pub(crate) fn key(&self) -> SigningKey {
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

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    fn set(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }
}

/// Ends the tokens of a session ([`Login::session`](crate::Login::session)) when that ends: access tokens everywhere within milliseconds, refresh tokens
/// with them.
impl EndLogin for Issuer {
    fn end_login<'a>(&'a self, login: &'a str) -> Ending<'a> {
        Box::pin(async move {
            let issuer = self.name().unwrap_or_default();
            Ok(self.settings.revocations.revoke(Revocation::session(issuer, login)).await?)
        })
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
