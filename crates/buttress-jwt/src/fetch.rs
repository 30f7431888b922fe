//! Keys that are published at a URL: [`KeyUrl`] says where and how often, [`follow`] asks in the background, [`find`] answers a
//! token whose key is not known.

mod policy;
mod published;
mod get;
mod share;
mod follow;
mod find;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::Clock;
use buttress_redis::Redis;
use http::Uri;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use url::Url;

pub(crate) use find::Finder;
pub(crate) use policy::Found;

use crate::fault::Fault;
use crate::keys::KeyError;

/// Where an issuer publishes its keys (RFC 7517 §5), and how they are followed by [`Keys::url`](crate::Keys::url).
///
/// ```no_run
/// use buttress_jwt::{Algorithm, KeyUrl, Keys, TrustedIssuer};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = Keys::url(KeyUrl::new("https://accounts.example/.well-known/jwks.json")?);
/// let issuer = TrustedIssuer::new("https://accounts.example", "shop", [Algorithm::RS256], keys);
/// # let _ = issuer;
/// # Ok(())
/// # }
/// ```
///
/// The keys are asked for in the background, from the start on, and no request waits for that. A token that names a key that is
/// not known has them asked for once more, at most every 30 seconds however many such tokens come; the requests share the one
/// answer and wait for [`timeout`](Self::timeout) at most. A name that was not there is remembered for two minutes, or until the
/// keys change. Where keys have no names nothing tells that one is new: such an issuer is asked when it is time, no sooner.
///
/// What comes must be a key set of at most 256 KiB, with status 200, in time. Redirections are not followed and proxies not used.
/// Keys that cannot be used are left out, and so are secrets: once published they are none. The set is replaced as a whole, and
/// only when a key changed; a token that was believed by a key that is gone is refused from then on.
///
/// # When the issuer is away
///
/// | | |
/// |---|---|
/// | at the start | no token can be judged: [`Unverified::KeysAway`], which the layer answers with 503, never 401. It is asked again after a second, then ever more rarely, down to every 30 seconds |
/// | later, or it answers with anything but a key set | the last good keys serve on, for as long as [`keep`](Self::keep) says, with a warning each time. It is asked again after a second, then ever more rarely, down to [`refresh`](Self::refresh) |
/// | for longer than that | as at the start |
/// | hung | requests with unknown keys wait for the timeout, 1024 of them at most; the others do not |
///
/// # Sharing them
///
/// With [`redis`](Self::redis) a fleet asks the issuer as often as one process would, and a process that starts while the issuer
/// is away takes the copy of the others. When Redis is away, each asks for itself.
///
/// # Metrics
///
/// With the label `url`: host and path, never the query.
///
/// | name | |
/// |---|---|
/// | `buttress_jwt_key_fetches_total` | by `outcome`: `changed`, `unchanged`, `shared` (the fleet's copy was taken), or why it failed: `timeout`, `connection`, `status`, `too-large`, `unusable`, `roots` (the machine has no root certificates), `elsewhere` (another process asked, and has no answer either) |
/// | `buttress_jwt_keys_age_seconds` | gauge: since the issuer confirmed the keys |
/// | `buttress_jwt_keys_sought_total` | tokens with an unknown key, by `outcome`: `refreshed`, `unknown`, `away` |
/// | `buttress_jwt_bad_records_total` | (no label) shared copies that were not understood |
#[derive(Clone)]
#[must_use]
pub struct KeyUrl {
    uri: Uri,
    /// What it is called in logs and metrics.
    name: Arc<str>,
    refresh: Duration,
    keep: Duration,
    timeout: Duration,
    /// Without any: those of the machine.
    roots: Option<Arc<RootCertStore>>,
    shared: Option<(Redis, String)>,
    clock: Clock,
}

/// Why [`Verifier::verify_or_fetch`](crate::Verifier::verify_or_fetch) has no token.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Unverified {
    /// The token is not believed: 401.
    Disbelieved(Fault),
    /// The keys of its issuer are not known, so that nothing can be said about it: 503.
    KeysAway,
}

const REFRESH: Duration = Duration::from_secs(10 * 60);
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);
const TIMEOUT: Duration = Duration::from_secs(5);
/// Nobody asks an issuer more often without need.
const LEAST_REFRESH: Duration = Duration::from_secs(60);
/// Keys that are looked at once a day are forgotten to be withdrawn.
const MOST_REFRESH: Duration = Duration::from_secs(24 * 60 * 60);
const MOST_KEEP: Duration = Duration::from_secs(365 * 24 * 60 * 60);

// === impl KeyUrl ===

impl KeyUrl {
    /// Keys that are published at this URL, which must be one of `https`.
    ///
    /// # Errors
    /// If it is no such URL, or holds a user, a password or a fragment. The error does not repeat the query.
    pub fn new(url: &str) -> Result<Self, KeyError> {
        Self::parse(url, &["https"])
    }

    /// The same, but the URL may be one of `http`: for tests and for what never leaves this machine. Whoever stands between here
    /// and there can be anyone.
    ///
    /// # Errors
    /// As [`KeyUrl::new`], but for the scheme.
    pub fn dangerous_plain_http(url: &str) -> Result<Self, KeyError> {
        Self::parse(url, &["https", "http"])
    }

    fn parse(text: &str, schemes: &[&str]) -> Result<Self, KeyError> {
        let url = Url::parse(text).map_err(|error| KeyError::new(format!("no URL: {error}")))?;
        let name = format!("{}{}", url.host_str().unwrap_or_default(), url.path());
        let error = |why: &str| Err(KeyError::new(format!("{}://{name}: {why}", url.scheme())));
        match () {
            () if !schemes.contains(&url.scheme()) => error("keys are fetched by https"),
            () if !url.username().is_empty() || url.password().is_some() => error("a URL of keys holds no credentials"),
            () if url.fragment().is_some() => error("a fragment is not sent"),
            () => {
                let Ok(uri) = Uri::try_from(url.as_str()) else { return error("no URL") };
                Ok(Self {
                    uri,
                    name: name.into(),
                    refresh: REFRESH,
                    keep: KEEP,
                    timeout: TIMEOUT,
                    roots: None,
                    shared: None,
                    clock: Clock::system(),
                })
            }
        }
    }

    /// How often the keys are asked for; more often if the issuer says so (`Cache-Control: max-age`), and by chance up to a tenth
    /// more rarely, so that a fleet does not ask at once. Default: 10 minutes. At least one minute, whatever the issuer says, and
    /// at most a day.
    ///
    /// While it answers, an issuer that withdraws a key is obeyed so much later at most.
    pub fn refresh(mut self, every: Duration) -> Self {
        self.refresh = every.clamp(LEAST_REFRESH, MOST_REFRESH);
        self
    }

    /// How long keys are believed that the issuer does not confirm. Default: 24 hours. At least twice the time of
    /// [`refresh`](Self::refresh), and at most a year.
    ///
    /// So long is a key believed that was stolen and withdrawn, where the issuer cannot be reached.
    pub fn keep(mut self, ceiling: Duration) -> Self {
        self.keep = ceiling.min(MOST_KEEP);
        self
    }

    /// How long the issuer may take, from the lookup of its name to the last byte of its answer; and how long a request with an
    /// unknown key waits. Default: 5 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Trusts the certificates in this PEM only, instead of the machine's root certificates.
    ///
    /// # Errors
    /// If there is none in it, or one that cannot be read.
    pub fn certificate_authority(mut self, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_ref()) {
            let added = certificate.map_err(|error| error.to_string());
            let added = added.and_then(|der| roots.add(der).map_err(|error| error.to_string()));
            added.map_err(|why| KeyError::new(format!("certificate authority: {why}")))?;
        }
        if roots.is_empty() {
            return Err(KeyError::new("certificate authority: no certificate in PEM"));
        }
        self.roots = Some(Arc::new(roots));
        Ok(self)
    }

    /// Shares the keys with all processes that use this Redis and prefix: one of them asks the issuer for all, and they start
    /// with a copy that is not older than [`keep`](Self::keep).
    ///
    /// Not the default, because whoever may write to this Redis can then add keys, and be anyone.
    pub fn redis(mut self, redis: Redis, prefix: impl Into<String>) -> Self {
        self.shared = Some((redis, prefix.into()));
        self
    }

    /// Where the time is taken from. Default: the system's clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Emptied sooner, the keys would go with every failure.
    fn ceiling(&self) -> Duration {
        self.keep.max(self.refresh * 2)
    }
}

impl fmt::Debug for KeyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the query.
        f.debug_struct("KeyUrl").field("url", &self.name).field("refresh", &self.refresh).finish_non_exhaustive()
    }
}

// === impl Unverified ===

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disbelieved(fault) => fault.fmt(f),
            Self::KeysAway => f.write_str("keys-away"),
        }
    }
}

impl std::error::Error for Unverified {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_url_without_secrets_is_taken() {
        for (url, why) in [
            ("https://accounts.example/jwks.json", ""),
            ("https://accounts.example:8443/jwks?policy=a", ""),
            ("https://[::1]/jwks", ""),
            ("https://b\u{fc}cher.example/jwks", ""),
            ("http://127.0.0.1/jwks", "by https"),
            ("HTTP://accounts.example/jwks", "by https"),
            ("file:///etc/passwd", "by https"),
            ("data:application/json,{}", "by https"),
            ("https://user@accounts.example/?secret", "no credentials"),
            ("https://:password@accounts.example/?secret", "no credentials"),
            ("https://accounts.example/?secret#keys", "fragment"),
            ("accounts.example/?secret", "no URL"),
            ("https://?secret", "no URL"),
            ("", "no URL"),
        ] {
            let error = KeyUrl::new(url).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(why) && error.is_empty() == why.is_empty(), "{error:?} for {url}");
            assert!(!error.contains("secret") && !error.contains("password"), "{error}");
        }
        assert!(KeyUrl::dangerous_plain_http("http://127.0.0.1/jwks").is_ok());
        assert!(KeyUrl::dangerous_plain_http("ftp://127.0.0.1/jwks").is_err());
        let debug = format!("{:?}", KeyUrl::new("https://accounts.example/jwks?secret").unwrap());
        assert!(debug.contains("accounts.example/jwks") && !debug.contains("secret"), "{debug}");
    }

    #[test]
    fn an_authority_that_cannot_be_read_is_named() {
        for pem in ["", "not a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = KeyUrl::new("https://a.example").unwrap().certificate_authority(pem).unwrap_err();
            assert!(error.to_string().starts_with("certificate authority"), "{error}");
        }
    }

    #[test]
    fn times_stay_within_reason() {
        let url = || KeyUrl::new("https://a.example").unwrap();
        let (hasty, slow) = (url().refresh(Duration::ZERO).keep(Duration::ZERO), url().refresh(Duration::MAX));
        assert_eq!((hasty.refresh, hasty.ceiling()), (LEAST_REFRESH, 2 * LEAST_REFRESH));
        assert_eq!((slow.refresh, slow.keep(Duration::MAX).ceiling()), (MOST_REFRESH, MOST_KEEP));
    }
}
