//! The verifier: parse, find the issuer and the key, check the signature, check the claims.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use crate::claims::{self, Claims};
use crate::compact::Compact;
use crate::fault::Fault;
#[cfg(feature = "fetch")]
use crate::fetch::{Found, Unverified};
use crate::header::Header;
use crate::json;
use crate::mark::Mark;
use crate::policy;
use crate::remembered::{Digest, Remembered};
use crate::token::{Token, Verified};
use crate::trusted::{TrustError, TrustedIssuer};

/// Believes tokens of the issuers that it trusts. Cheap to clone; clones share what was verified before.
///
/// ```
/// use buttress_jwt::{Algorithm, Key, Keys, TrustedIssuer, Verifier};
///
/// # fn secret() -> [u8; 32] { std::array::from_fn(|n| n as u8) }
/// let keys = Keys::new([Key::secret(Algorithm::HS256, secret())?]);
/// let verifier = Verifier::new([TrustedIssuer::new("https://accounts.example", "shop", [Algorithm::HS256], keys)])?;
/// let now = buttress_core::Clock::system().now();
/// assert!(verifier.verify("eyJhbGciOiJub25lIn0.e30.", now).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Verifier {
    trusted: Arc<[TrustedIssuer]>,
    remembered: Arc<Remembered>,
    longest: usize,
}

/// Why a token was not believed, and what more is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Disbelieved {
    pub(crate) fault: Fault,
    /// The key that is not known.
    pub(crate) missing: Option<Missing>,
}

/// A key that a token asked for and that is not known.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "fetch"), expect(dead_code, reason = "only fetched keys can be fetched again"))]
pub(crate) struct Missing {
    /// Which of the verifier's issuers has it.
    pub(crate) issuer: usize,
    pub(crate) kid: Option<String>,
    /// Of the keys that it is not among.
    pub(crate) epoch: u64,
}

/// Header fields beyond 8 KiB are refused by most servers.
const LONGEST: usize = 8 * 1024;
/// About ten thousand tokens.
const REMEMBERED: u64 = 8 << 20;

// === impl Verifier ===

impl Verifier {
    /// Trusts these issuers.
    ///
    /// # Errors
    /// If there is none, one is there twice, or one would believe too much: the error names it.
    pub fn new(trusted: impl IntoIterator<Item = TrustedIssuer>) -> Result<Self, TrustError> {
        let trusted: Arc<[_]> = trusted.into_iter().collect();
        if trusted.is_empty() {
            return Err(TrustError("no issuer is trusted".to_owned()));
        }
        for (at, one) in trusted.iter().enumerate() {
            one.check()?;
            if trusted[..at].iter().any(|other| other.issuer == one.issuer) {
                let name = one.issuer.as_deref().unwrap_or("(unnamed)");
                return Err(TrustError(format!("issuer {name}: stands there twice; give one all of its keys")));
            }
        }
        Ok(Self { trusted, remembered: Arc::new(Remembered::new(REMEMBERED)), longest: LONGEST })
    }

    /// The longest token, in bytes; longer ones are refused unread. Default: 8 KiB.
    #[must_use]
    pub fn longest(mut self, bytes: usize) -> Self {
        self.longest = bytes;
        self
    }

    /// How many bytes of tokens are remembered as verified, so that a signature is checked once. Default: 8 MiB of tokens, about ten
    /// thousand, which take some three times that; 0 turns it off. Of each token a keyed digest is kept, never the token. Its times are checked each
    /// time, a change of its issuer's keys forgets it, and revocation is asked afterwards.
    #[must_use]
    pub fn remember(mut self, bytes: u64) -> Self {
        self.remembered = Arc::new(Remembered::new(bytes));
        self
    }

    /// Believes a token, or says why not. Whether it was revoked is another question: [`Revocations`](crate::Revocations).
    ///
    /// Costs one signature, or a digest if it was verified before.
    ///
    /// # Errors
    /// Why the token is not believed.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Token, Fault> {
        self.check(token, now).map_err(|disbelieved| disbelieved.fault)
    }

    /// The same where keys are fetched by URL: a token whose key is not known has its issuer asked, and is tried again.
    ///
    /// Waits only for that, and no longer than [`KeyUrl::timeout`](crate::KeyUrl::timeout). The layer does it by itself.
    ///
    /// # Errors
    /// Why the token is not believed; or that the keys of its issuer are not known, which says nothing about the token.
    #[cfg(feature = "fetch")]
    pub async fn verify_or_fetch(&self, token: &str, now: SystemTime) -> Result<Token, Unverified> {
        let disbelieved = match self.check(token, now) {
            Ok(token) => return Ok(token),
            Err(disbelieved) => disbelieved,
        };
        match self.find_key(&disbelieved).await {
            Found::Refreshed => self.verify(token, now).map_err(Unverified::Disbelieved),
            Found::Unknown => Err(Unverified::Disbelieved(disbelieved.fault)),
            Found::Away => Err(Unverified::KeysAway),
        }
    }

    /// Whether at least one key of each issuer is known: for readiness endpoints of services whose keys are fetched.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.trusted.iter().all(|trusted| !trusted.keys.current().is_empty())
    }

    pub(crate) fn check(&self, token: &str, now: SystemTime) -> Result<Token, Disbelieved> {
        if token.len() > self.longest {
            return Err(Fault::TooLong.into());
        }
        let now = claims::millis(now);
        let digest = self.remembered.digest(token);
        match digest.as_ref().and_then(|digest| self.recall(digest, now)) {
            Some(answer) => answer.map_err(Into::into),
            None => {
                let verified = self.first_sight(token, now)?;
                if let Some(digest) = digest {
                    self.remembered.keep(digest, &verified, token.len());
                }
                Ok(verified)
            }
        }
    }

    /// A token that was verified before, by the keys that are still the issuer's.
    fn recall(&self, digest: &Digest, now: u64) -> Option<Result<Token, Fault>> {
        let token = self.remembered.recall(digest)?;
        let verified = token.verified();
        let trusted = &self.trusted[verified.trusted];
        if trusted.keys.current().epoch != verified.epoch {
            return None;
        }
        Some(policy::on_time(&verified.claims, trusted, now).map(|()| token))
    }

    fn first_sight(&self, token: &str, now: u64) -> Result<Token, Disbelieved> {
        let compact = Compact::parse(token, self.longest)?;
        let header = Header::read(json::object(&compact.header()?)?)?;
        let claims = Claims::read(json::object(&compact.payload()?)?)?;
        let named = claims.get("iss").map(|_| claims.issuer());
        let issuer = self.trusted.iter().position(|trusted| trusted.issuer.as_deref() == named);
        let issuer = issuer.ok_or(Fault::Issuer)?;
        let trusted = &self.trusted[issuer];
        policy::on_header(&header, trusted)?;
        let set = trusted.keys.current();
        let (kid, signature) = (header.kid.as_deref(), compact.signature()?);
        set.verify(kid, header.algorithm, &trusted.algorithms, compact.signed, &signature).map_err(|fault| {
            let missing = || Missing { issuer, kid: header.kid.clone(), epoch: set.epoch };
            Disbelieved { fault, missing: (fault == Fault::Key).then(missing) }
        })?;
        policy::on_claims(&claims, trusted)?;
        policy::on_time(&claims, trusted, now)?;
        Ok(Token::new(Verified {
            marks: OnceLock::new(),
            unnamed: Mark::unnamed(&claims, compact.signed),
            until: claims.expires.unwrap_or_default().saturating_add(trusted.late()),
            claims,
            algorithm: header.algorithm,
            kid: header.kid,
            trusted: issuer,
            epoch: set.epoch,
        }))
    }

    /// The issuer of a token that this verifier believed.
    pub(crate) fn trusted(&self, token: &Token) -> &TrustedIssuer {
        &self.trusted[token.verified().trusted]
    }

    /// Whether a token that was not believed is to be tried again: if its key was not known and keys are fetched, the issuer is
    /// asked. Returns at once in all other cases; [`KeyUrl`](crate::KeyUrl) says when it waits.
    #[cfg(feature = "fetch")]
    pub(crate) async fn find_key(&self, disbelieved: &Disbelieved) -> Found {
        let Some(missing) = &disbelieved.missing else { return Found::Unknown };
        let keys = &self.trusted[missing.issuer].keys;
        match keys.finder() {
            Some(finder) => finder.find(keys, missing).await,
            None => Found::Unknown,
        }
    }

    /// How long a token that is issued now can pass at most, by whichever issuer. So long, at least, must revocations be kept.
    #[must_use]
    pub fn reach(&self) -> Duration {
        self.trusted.iter().map(TrustedIssuer::reach).max().unwrap_or_default()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("trusted", &self.trusted).finish_non_exhaustive()
    }
}

impl From<Fault> for Disbelieved {
    fn from(fault: Fault) -> Self {
        Self { fault, missing: None }
    }
}

// === impl Disbelieved ===

impl Disbelieved {
    /// Whether its key may be known to the issuer by now.
    pub(crate) fn can_be_mended(&self) -> bool {
        cfg!(feature = "fetch") && self.missing.is_some()
    }
}
