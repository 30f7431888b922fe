//! The keys of one issuer, and where they come from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
#[cfg(feature = "fetch")]
use std::sync::Weak;

use arc_swap::ArcSwap;
use jsonwebtoken::DecodingKey;
#[cfg(feature = "fetch")]
use jsonwebtoken::DecodingKeyKind;
use serde_json::{Map, Value};

use crate::algorithm::{Algorithm, Family};
#[cfg(feature = "fetch")]
use crate::fetch::{Finder, KeyUrl};
use crate::jwk;
use crate::key_set::KeySet;
use crate::provider;
use crate::weak::{self, Weakness};

/// One key that signatures are checked with, good for one algorithm.
#[derive(Clone)]
pub struct Key {
    pub(crate) kid: Option<String>,
    /// Not known of an RSA key in a key set that does not say it: then it is the only one of the family that its issuer may use.
    algorithm: Option<Algorithm>,
    family: Family,
    decoding: DecodingKey,
    /// As others may have it, if it came as JSON and is no secret.
    pub(crate) public: Option<Map<String, Value>>,
}

/// The keys of one issuer. Clones share them, so that [`Keys::replace`] reaches every verifier.
///
/// ```
/// use buttress_jwt::{Algorithm, Key, Keys};
///
/// let secret = b"\x8a3r8V~tu\x16\x95\xd9N\xe1\xb9\xe0\xc5@\x02\xdb\xc5\xa8z\x1f]\x01\x9c\xd4\x17\xbe9\x0b\xa6";
/// let keys = Keys::new([Key::secret(Algorithm::HS256, secret)?]);
/// assert!(Key::secret(Algorithm::HS256, b"secret").is_err());
/// # let _ = keys;
/// # Ok::<(), buttress_jwt::KeyError>(())
/// ```
#[derive(Clone)]
pub struct Keys {
    shared: Arc<Shared>,
}

struct Shared {
    set: ArcSwap<KeySet>,
    /// If they are fetched.
    #[cfg(feature = "fetch")]
    finder: Option<Finder>,
}

/// Keys that are not kept from being dropped.
#[cfg(feature = "fetch")]
pub(crate) struct WeakKeys(Weak<Shared>);

/// A key that cannot be used, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyError(String);

// === impl Key ===

impl Key {
    /// A secret shared with the issuer. For rotation, give a [`Keys`] the new one and the old.
    ///
    /// # Errors
    /// If the algorithm takes no secret; if the secret is shorter than its hash (32, 48 or 64 bytes), hardly random, or stands in documentation.
    pub fn secret(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        match weak::of_secret(algorithm, secret.as_ref()) {
            Some(weakness) => Err(weakness.into()),
            None => Self::dangerous_weak_secret(algorithm, secret),
        }
    }

    /// A secret that anybody may guess: for the time in which an old service that has one is being replaced. Whoever guesses it
    /// can be anyone.
    ///
    /// # Errors
    /// If the algorithm takes no secret, or the secret is empty.
    pub fn dangerous_weak_secret(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let secret = secret.as_ref();
        if !algorithm.is_symmetric() || secret.is_empty() {
            return Err(KeyError(format!("{algorithm} with a secret of {} bytes", secret.len())));
        }
        Ok(Self::of(algorithm, DecodingKey::from_secret(secret)))
    }

    /// A public key in PEM, for one algorithm.
    ///
    /// # Errors
    /// If it is not a public key of that algorithm, or a weak one.
    pub fn pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let pem = pem.as_ref();
        let read = match algorithm.family() {
            Family::Secret => return Err(KeyError(format!("{algorithm} takes a secret, not a public key"))),
            Family::Rsa => DecodingKey::from_rsa_pem(pem),
            Family::P256 | Family::P384 => DecodingKey::from_ec_pem(pem),
            Family::Ed25519 => DecodingKey::from_ed_pem(pem),
        };
        let decoding = read.map_err(|error| KeyError(format!("no public key for {algorithm} in PEM: {error}")))?;
        let bytes = decoding.try_get_as_bytes().unwrap_or_default();
        let fits = match algorithm.family() {
            Family::Rsa => {
                let (n, e) = provider::rsa_components(bytes).ok_or_else(|| KeyError("no RSA public key".to_owned()))?;
                weak::of_rsa(&n, &e).map_or(Ok(true), |weakness| Err(KeyError::from(weakness)))?
            }
            Family::P256 => bytes.len() == 65,
            Family::P384 => bytes.len() == 97,
            _ => bytes.len() == 32,
        };
        if fits {
            Ok(Self::of(algorithm, decoding))
        } else {
            Err(KeyError(format!("not a public key for {algorithm}")))
        }
    }

    /// A key as JSON (RFC 7517). Its `alg`, `use` and `key_ops` are kept to.
    ///
    /// # Errors
    /// If it is no key, is for something else, or is weak.
    pub fn jwk(json: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        jwk::one(json.as_ref())
    }

    /// The name by which tokens ask for it. Default: none, or that in the JSON.
    #[must_use]
    pub fn named(mut self, kid: impl Into<String>) -> Self {
        let kid = kid.into();
        if let Some(public) = &mut self.public {
            public.insert("kid".to_owned(), kid.as_str().into());
        }
        self.kid = Some(kid);
        self
    }

    pub(crate) fn of(algorithm: Algorithm, decoding: DecodingKey) -> Self {
        Self { kid: None, algorithm: Some(algorithm), family: algorithm.family(), decoding, public: None }
    }

    /// An RSA key that does not say its algorithm.
    pub(crate) fn of_rsa(algorithm: Option<Algorithm>, modulus: &[u8], exponent: &[u8]) -> Self {
        let decoding = DecodingKey::from_rsa_raw_components(modulus, exponent);
        Self { kid: None, algorithm, family: Family::Rsa, decoding, public: None }
    }

    /// Whether this is its signature of a message.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &Vec<u8>) -> bool {
        provider::verify(algorithm, &self.decoding, message, signature)
    }

    /// Whether it is the same key, byte for byte, with the same name and for the same.
    #[cfg(feature = "fetch")]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let bytes = |key: &Self| match key.decoding.kind() {
            DecodingKeyKind::SecretOrDer(bytes) => (bytes.clone(), Vec::new()),
            DecodingKeyKind::RsaModulusExponent { n, e } => (n.clone(), e.clone()),
        };
        self.kid == other.kid
            && self.algorithm == other.algorithm
            && self.family == other.family
            && bytes(self) == bytes(other)
    }

    pub(crate) fn is_secret(&self) -> bool {
        self.family == Family::Secret
    }

    /// Whether a signature by this algorithm may be checked with it.
    pub(crate) fn is_for(&self, asked: Algorithm, allowed: &[Algorithm]) -> bool {
        match self.algorithm {
            Some(own) => own == asked,
            None => {
                asked.family() == self.family
                    && allowed.iter().all(|other| *other == asked || other.family() != self.family)
            }
        }
    }
}

// === impl Keys ===

impl Keys {
    /// These keys.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        Self::of(KeySet::new(keys.into_iter().collect()))
    }

    /// The keys of a key set as JSON (RFC 7517 §5). Those that cannot be used are left out and logged.
    ///
    /// # Errors
    /// If it is no key set, or holds no key that can be used.
    pub fn jwks(json: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        jwk::set(json.as_ref(), jwk::From::File).map(|keys| Self::of(KeySet::new(keys)))
    }

    /// The keys of a key set in a file. [`Keys::replace`] reads it again.
    ///
    /// # Errors
    /// If it cannot be read, is no key set, or holds no key that can be used.
    pub fn jwks_file(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        let json = std::fs::read(path).map_err(|error| KeyError(format!("{}: {error}", path.display())))?;
        Self::jwks(json).map_err(|KeyError(why)| KeyError(format!("{}: {why}", path.display())))
    }

    /// The keys that are published at a URL. They are fetched in the background, by a task that ends when the last clone is
    /// dropped: at first there are none, and [`Verifier::is_ready`](crate::Verifier::is_ready) tells when there are.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[cfg(feature = "fetch")]
    pub fn url(url: KeyUrl) -> Self {
        let set = ArcSwap::from_pointee(KeySet::new(Vec::new()));
        url.follow(|finder| Self { shared: Arc::new(Shared { set, finder: Some(finder) }) })
    }

    /// Takes these keys instead, everywhere and at once. Tokens that were verified with a key that is gone are verified again, and fail.
    pub fn replace(&self, keys: impl IntoIterator<Item = Key>) {
        self.set(keys.into_iter().collect());
    }

    /// The keys as they are now.
    #[must_use]
    pub fn list(&self) -> Vec<Key> {
        self.current().keys().to_vec()
    }

    /// Takes this key too, in front of the others; one of the same name goes.
    pub(crate) fn add(&self, key: Key) {
        let mut keys = self.list();
        keys.retain(|other| other.kid.is_none() || other.kid != key.kid);
        keys.insert(0, key);
        self.set(keys);
    }

    /// The public keys as others may have them.
    pub(crate) fn public(&self) -> Vec<Map<String, Value>> {
        self.current().keys().iter().filter_map(|key| key.public.clone()).collect()
    }

    pub(crate) fn set(&self, keys: Vec<Key>) {
        self.shared.set.store(Arc::new(KeySet::new(keys)));
    }

    pub(crate) fn current(&self) -> arc_swap::Guard<Arc<KeySet>> {
        self.shared.set.load()
    }

    /// Takes these keys if they are not the same, whatever their order. Answers whether they were not.
    #[cfg(feature = "fetch")]
    pub(crate) fn update(&self, keys: Vec<Key>) -> bool {
        let differs = !self.current().is_same(&keys);
        if differs {
            self.set(keys);
        }
        differs
    }

    #[cfg(feature = "fetch")]
    pub(crate) fn downgrade(&self) -> WeakKeys {
        WeakKeys(Arc::downgrade(&self.shared))
    }

    /// How a key that is not known is found, if they are fetched.
    #[cfg(feature = "fetch")]
    pub(crate) fn finder(&self) -> Option<&Finder> {
        self.shared.finder.as_ref()
    }

    fn of(set: KeySet) -> Self {
        let set = ArcSwap::from_pointee(set);
        Self {
            shared: Arc::new(Shared {
                set,
                #[cfg(feature = "fetch")]
                finder: None,
            }),
        }
    }
}

// === impl WeakKeys ===

#[cfg(feature = "fetch")]
impl WeakKeys {
    /// The keys, while somebody else has them.
    pub(crate) fn upgrade(&self) -> Option<Keys> {
        self.0.upgrade().map(|shared| Keys { shared })
    }
}

// === impl KeyError ===

impl KeyError {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl From<Weakness> for KeyError {
    fn from(weakness: Weakness) -> Self {
        Self(weakness.as_str().to_owned())
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KeyError {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the key: it may be a secret.
        f.debug_struct("Key").field("kid", &self.kid).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.current().keys()).finish()
    }
}
