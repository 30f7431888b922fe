//! The id of a session: what the cookie carries, and what of it lies at rest.

use std::fmt;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use subtle::ConstantTimeEq as _;

/// The secret that ids are sealed with, so that what was not made here never reaches the store.
///
/// All processes that serve the same sessions hold the same one.
#[derive(Clone)]
pub struct CookieKey([u8; 32]);

/// Bytes that are no key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyError {
    /// So many bytes, fewer than 32.
    TooShort(usize),
    /// The bytes hardly differ from each other: nobody rolled dice for them.
    Monotonous,
}

/// 128 random bits. Whoever knows them has the session, so they stand in the cookie and nowhere else.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct SessionId([u8; 16]);

/// A digest of an id: what the store knows a session by, and what may be logged.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Name([u8; 16]);

/// An id as a cookie carries it, not believed yet.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct Sealed {
    id: [u8; 16],
    tag: [u8; 16],
}

/// Seals ids for one cookie, and knows its own seals.
#[derive(Clone)]
pub(crate) struct Sealer {
    /// The first one seals, all are believed.
    keys: Vec<[u8; 32]>,
}

/// A secret of random bytes has many different ones.
const FEWEST_DIFFERENT: usize = 8;

// === impl CookieKey ===

impl CookieKey {
    /// A key of at least 32 bytes from a good random source, such as `openssl rand 32`.
    ///
    /// # Errors
    /// Fewer bytes, or bytes that are nearly all the same.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let secret = secret.as_ref();
        if secret.len() < 32 {
            return Err(KeyError::TooShort(secret.len()));
        }
        let mut seen = [false; 256];
        secret.iter().for_each(|byte| seen[usize::from(*byte)] = true);
        if seen.iter().filter(|seen| **seen).count() < FEWEST_DIFFERENT {
            return Err(KeyError::Monotonous);
        }
        Ok(Self(blake3::derive_key("buttress-session 2026 cookie key", secret)))
    }

    /// A key that ends with this process, and all cookies with it: for development, and for sessions that are embedded.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieKey")
    }
}

// === impl SessionId ===

impl SessionId {
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    /// The id of another maker, for those that keep their sessions here under ids of their own.
    #[cfg(feature = "tower-sessions")]
    pub(crate) fn of(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) fn name(&self) -> Name {
        let derived = blake3::derive_key("buttress-session 2026 name at rest", &self.0);
        Name(std::array::from_fn(|n| derived[n]))
    }

    /// What wraps the key of the session's fields.
    pub(crate) fn wrapping_key(&self) -> [u8; 32] {
        blake3::derive_key("buttress-session 2026 wrapping key", &self.0)
    }
}

/// Never the id itself.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId of {}", self.name())
    }
}

// === impl Name ===

impl Name {
    pub(crate) fn hex(self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// What stands in a record, so that it is told from another's.
    pub(crate) fn mark(self) -> String {
        HEXLOWER.encode(&self.0[..8])
    }

    /// One of so many places: digests are spread evenly.
    pub(crate) fn place(self, places: usize) -> usize {
        usize::from(self.0[0]) % places
    }

    pub(crate) fn parse(hex: &[u8]) -> Option<Self> {
        HEXLOWER.decode(hex).ok()?.try_into().ok().map(Self)
    }

    /// The name of somebody whose sessions are listed.
    pub(crate) fn of_subject(subject: &str) -> Self {
        let derived = blake3::derive_key("buttress-session 2026 subject at rest", subject.as_bytes());
        Self(std::array::from_fn(|n| derived[n]))
    }
}

/// Enough to follow one session through a log.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0[..6]))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

// === impl Sealed ===

impl Sealed {
    /// Reads a cookie's value: 43 octets of strict base64url, nothing else.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        if value.len() != 43 {
            return None;
        }
        let mut bytes = [0; 32];
        BASE64URL_NOPAD.decode_mut(value, &mut bytes).ok()?;
        Some(Self { id: std::array::from_fn(|n| bytes[n]), tag: std::array::from_fn(|n| bytes[16 + n]) })
    }
}

// === impl Sealer ===

impl Sealer {
    /// A seal holds for this cookie only: what one layer has sealed is nothing to another one with the same keys.
    pub(crate) fn new(keys: &[CookieKey], cookie: &str) -> Self {
        let keys = keys.iter().map(|key| *blake3::keyed_hash(&key.0, cookie.as_bytes()).as_bytes());
        Self { keys: keys.collect() }
    }

    /// The cookie's value for an id.
    pub(crate) fn seal(&self, id: &SessionId) -> String {
        let tag = self.keys.first().map(|key| tag(key, &id.0)).unwrap_or_default();
        BASE64URL_NOPAD.encode(&[id.0, tag].concat())
    }

    /// The id, if it was sealed here; and whether by a former key.
    pub(crate) fn open(&self, sealed: &Sealed) -> Option<(SessionId, bool)> {
        let found = self.keys.iter().position(|key| tag(key, &sealed.id).ct_eq(&sealed.tag).into())?;
        Some((SessionId(sealed.id), found > 0))
    }
}

fn tag(key: &[u8; 32], id: &[u8; 16]) -> [u8; 16] {
    let hash = blake3::keyed_hash(key, id);
    std::array::from_fn(|n| hash.as_bytes()[n])
}

// === impl KeyError ===

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort(bytes) => write!(f, "a cookie key has at least 32 bytes, this has {bytes}"),
            Self::Monotonous => f.write_str("a cookie key is random; the bytes of this one hardly differ"),
        }
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> CookieKey {
        CookieKey::new(std::array::from_fn::<u8, 32, _>(|n| seed ^ u8::try_from(n).unwrap())).unwrap()
    }

    #[test]
    fn what_is_no_secret_is_no_key() {
        assert_eq!(CookieKey::new("short").unwrap_err(), KeyError::TooShort(5));
        assert_eq!(CookieKey::new([7; 64]).unwrap_err(), KeyError::Monotonous);
        assert_eq!(CookieKey::new(&b"abababababababababababababababababab"[..]).unwrap_err(), KeyError::Monotonous);
    }

    #[test]
    fn only_its_own_seals_are_believed() {
        let id = SessionId::random();
        let sealer = Sealer::new(&[key(1)], "__Host-sid");
        let sealed = Sealed::parse(sealer.seal(&id).as_bytes()).unwrap();
        assert_eq!(sealer.open(&sealed), Some((id, false)));
        let rotated = Sealer::new(&[key(2), key(1)], "__Host-sid");
        assert_eq!(rotated.open(&sealed), Some((id, true)), "a former key's");
        for other in [Sealer::new(&[key(2)], "__Host-sid"), Sealer::new(&[key(1)], "__Host-admin")] {
            assert_eq!(other.open(&sealed), None, "another key's, or another cookie's");
        }
        for n in 0..32 {
            let mut bytes = BASE64URL_NOPAD.decode(sealer.seal(&id).as_bytes()).unwrap();
            bytes[n] ^= 1;
            let tampered = Sealed::parse(BASE64URL_NOPAD.encode(&bytes).as_bytes()).unwrap();
            assert_eq!(sealer.open(&tampered), None, "octet {n}");
        }
    }

    #[test]
    fn a_value_is_read_strictly() {
        let good = Sealer::new(&[key(1)], "sid").seal(&SessionId::random());
        assert!(Sealed::parse(good.as_bytes()).is_some());
        let last_bits = format!("{}{}", &good[..42], if good.ends_with('B') { 'D' } else { 'B' });
        for bad in ["", "x", &good[..42], &format!("{good}="), &format!("\"{good}\""), &"+".repeat(43), &last_bits] {
            assert!(Sealed::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(Sealed::parse(&[0xff; 43]).is_none());
        assert!(Sealed::parse(&vec![b'A'; 1 << 20]).is_none());
    }

    #[test]
    fn nothing_at_rest_or_in_a_log_gives_the_id_away() {
        let id = SessionId([9; 16]);
        let name = id.name();
        assert_ne!(name.0, id.0);
        assert_eq!(Name::parse(name.hex().as_bytes()), Some(name));
        let shown = format!("{id:?} {name:?} {name} {:?}", key(1));
        assert!(!shown.contains(&HEXLOWER.encode(&id.0)) && !shown.contains("9, 9"), "{shown}");
        assert_eq!(Name::parse(b"xyz"), None);
    }
}
