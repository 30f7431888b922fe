//! The keys of an issuer at one moment, and how a token finds its own.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::algorithm::Algorithm;
use crate::fault::Fault;
use crate::keys::Key;

/// The keys at one moment.
pub(crate) struct KeySet {
    keys: Vec<Key>,
    /// No two sets of a process have the same.
    pub(crate) epoch: u64,
}

/// A token without `kid` is tried with so many keys: each may cost a signature.
const MOST_TRIED: usize = 4;

// === impl KeySet ===

impl KeySet {
    pub(crate) fn new(keys: Vec<Key>) -> Self {
        static EPOCH: AtomicU64 = AtomicU64::new(1);
        Self { keys, epoch: EPOCH.fetch_add(1, Ordering::Relaxed) }
    }

    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Checks a signature with the key that the token names; without a name, with those of its algorithm.
    pub(crate) fn verify(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        allowed: &[Algorithm],
        signed: &str,
        signature: &Vec<u8>,
    ) -> Result<(), Fault> {
        let mut known = false;
        // A set without names takes tokens with any, and a token without a name takes any key.
        let by_name = kid.filter(|_| self.keys.iter().any(|key| key.kid.is_some()));
        let named = |key: &&Key| by_name.is_none() || key.kid.as_deref() == by_name;
        let fitting = self.keys.iter().filter(named).filter(|key| key.is_for(algorithm, allowed));
        for key in fitting.take(MOST_TRIED) {
            known = true;
            if key.verifies(algorithm, signed.as_bytes(), signature) {
                return Ok(());
            }
        }
        Err(if known { Fault::Signature } else { Fault::Key })
    }

    /// Whether there is no key at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether there is a key of this name.
    #[cfg(feature = "fetch")]
    pub(crate) fn names(&self, kid: Option<&str>) -> bool {
        kid.is_some() && self.keys.iter().any(|key| key.kid.as_deref() == kid)
    }

    /// Whether the key of a token that names this one may be there.
    #[cfg(feature = "fetch")]
    pub(crate) fn may_have(&self, kid: Option<&str>) -> bool {
        may_have(&self.keys, kid)
    }

    /// Whether they are these keys, in whatever order.
    #[cfg(feature = "fetch")]
    pub(crate) fn is_same(&self, others: &[Key]) -> bool {
        let is_among = |key: &Key, keys: &[Key]| keys.iter().any(|other| other.is_same(key));
        self.keys.len() == others.len()
            && self.keys.iter().all(|key| is_among(key, others))
            && others.iter().all(|key| is_among(key, &self.keys))
    }
}

/// Whether the key of a token that names this one may be among these.
#[cfg(feature = "fetch")]
pub(crate) fn may_have(keys: &[Key], kid: Option<&str>) -> bool {
    let any_will_do = kid.is_none() || keys.iter().all(|key| key.kid.is_none());
    keys.iter().any(|key| any_will_do || key.kid.as_deref() == kid)
}

#[cfg(test)]
#[cfg(feature = "fetch")]
mod tests {
    use super::*;
    use crate::keys::Keys;

    fn key(byte: u8, kid: Option<&str>) -> Key {
        let secret: [u8; 32] = std::array::from_fn(|n| (n as u8).wrapping_mul(7) ^ byte);
        let key = Key::secret(Algorithm::HS256, secret).unwrap();
        kid.map_or(key.clone(), |kid| key.named(kid))
    }

    #[test]
    fn a_set_is_replaced_only_when_a_key_changed() {
        let keys = Keys::new([key(1, Some("a")), key(2, Some("b"))]);
        for (other, changes) in [
            (vec![key(1, Some("a")), key(2, Some("b"))], false),
            (vec![key(2, Some("b")), key(1, Some("a"))], false), // in another order
            (vec![key(1, Some("b")), key(2, Some("a"))], true),  // under other names
            (vec![key(1, Some("b"))], true),
            (vec![key(1, Some("b")), key(1, None)], true),
            (vec![key(1, Some("b")), key(3, None)], true), // another key
            (vec![], true),
            (vec![], false),
        ] {
            let before = keys.current().epoch;
            assert_eq!(keys.update(other.clone()), changes, "{other:?}");
            assert_eq!(keys.current().epoch != before, changes, "{other:?}");
        }
    }

    #[test]
    fn a_key_may_be_there_under_its_name_or_where_there_are_no_names() {
        let (a, b, unnamed) = (key(1, Some("a")), key(2, Some("b")), key(3, None));
        for (keys, kid, expected) in [
            (vec![a.clone(), b.clone()], Some("a"), true),
            (vec![a.clone(), b.clone()], Some("c"), false),
            (vec![a.clone(), unnamed.clone()], Some("c"), false),
            (vec![a.clone(), b], None, true),
            (vec![unnamed], Some("c"), true),
            (vec![], Some("a"), false),
            (vec![], None, false),
        ] {
            assert_eq!(may_have(&keys, kid), expected, "{keys:?} {kid:?}");
        }
    }
}
