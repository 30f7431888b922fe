//! By what an entry can be purged beside its place: a digest, so that nobody reads names of customers in Redis.

use std::fmt;

/// A tag, by the BLAKE3 digest of what kind it is and what it is called.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Tag([u8; Self::LEN]);

// === impl Tag ===

impl Tag {
    pub(crate) const LEN: usize = 16;

    /// A name that an operator chose: `Surrogate-Key`, `Cache-Tag`.
    pub(crate) fn named(name: &str) -> Self {
        Self::of(b'n', &[name.as_bytes()])
    }

    /// A group of one origin (RFC 9875): other origins may use the same name.
    pub(crate) fn group(authority: &str, name: &str) -> Self {
        Self::of(b'g', &[authority.as_bytes(), name.as_bytes()])
    }

    /// One URI, for entries whose key says more or less than the URI.
    pub(crate) fn uri(authority: &str, target: &str) -> Self {
        Self::of(b'u', &[authority.as_bytes(), target.as_bytes()])
    }

    /// All values of one memo.
    #[cfg(feature = "memo")]
    pub(crate) fn memo(name: &str) -> Self {
        Self::of(b'm', &[name.as_bytes()])
    }

    /// One memoized value.
    #[cfg(feature = "memo")]
    pub(crate) fn value(memo: &str, arguments: &[u8]) -> Self {
        Self::of(b'v', &[memo.as_bytes(), arguments])
    }

    /// A path, for entries that answer more than one of its queries.
    pub(crate) fn search(authority: &[u8], path: &[u8]) -> Self {
        Self::of(b's', &[authority, path])
    }

    pub(crate) fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    fn of(kind: u8, parts: &[&[u8]]) -> Self {
        let mut hash = blake3::Hasher::new();
        hash.update(&[kind]);
        for part in parts {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let mut tag = [0; Self::LEN];
        hash.finalize_xof().fill(&mut tag);
        Self(tag)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({:032x})", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_different_kinds_and_origins_are_different() {
        let all = [
            Tag::named("a"),
            Tag::named("b"),
            Tag::group("a", "a"),
            Tag::group("b", "a"),
            Tag::group("ab", ""),
            Tag::group("a", "b"),
            Tag::uri("a", "a"),
            Tag::search(b"a", b"a"),
        ];
        for (place, tag) in all.iter().enumerate() {
            assert!(!all[..place].contains(tag), "{place}");
        }
        assert_eq!(Tag::named("a"), Tag::named("a"));
    }
}
