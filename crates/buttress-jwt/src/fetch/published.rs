//! What an issuer published, as it is kept and shared.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::claims::{at, millis};
use crate::jwk;
use crate::keys::{Key, KeyError};

/// A key set is never larger; those of large issuers have a tenth.
pub(super) const LARGEST: usize = 256 << 10;
/// `magic | version`, then two numbers of eight bytes, and what the issuer said.
const MAGIC: &[u8] = &[0xB7, b'k', 1];
const HEAD: usize = MAGIC.len() + 16;
/// In place of how long it is fresh: the issuer did not say.
const UNSAID: u64 = u64::MAX;

/// A key set, and when its issuer gave it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Published {
    pub(super) body: Bytes,
    /// Before it was asked: never later than the truth.
    pub(super) fetched: SystemTime,
    /// For how long the issuer said that it is fresh.
    pub(super) max_age: Option<Duration>,
}

// === impl Published ===

impl Published {
    /// The keys that can be used; at least one.
    pub(super) fn keys(&self) -> Result<Vec<Key>, KeyError> {
        jwk::set(&self.body, jwk::From::Url)
    }

    pub(super) fn encode(&self) -> Bytes {
        let max_age = self.max_age.map_or(UNSAID, |age| age.as_secs().min(UNSAID - 1));
        let mut out = Vec::with_capacity(HEAD + self.body.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&millis(self.fetched).to_le_bytes());
        out.extend_from_slice(&max_age.to_le_bytes());
        out.extend_from_slice(&self.body);
        out.into()
    }

    /// None of what is of another version, or nothing that was written here.
    pub(super) fn decode(bytes: &Bytes) -> Option<Self> {
        if !bytes.starts_with(MAGIC) || bytes.len() > HEAD + LARGEST {
            return None;
        }
        let number = |from: usize| Some(u64::from_le_bytes(bytes.get(from..from + 8)?.try_into().ok()?));
        let (fetched, max_age) = (number(MAGIC.len())?, number(MAGIC.len() + 8)?);
        // Beyond any clock: what is computed from it would have no time to be in.
        let fetched = (fetched <= u64::from(u32::MAX) * 1000 * 16).then(|| at(fetched))?;
        Some(Self {
            // Not a slice: it would keep the socket's buffer.
            body: Bytes::copy_from_slice(bytes.get(HEAD..)?),
            fetched,
            max_age: (max_age != UNSAID).then(|| Duration::from_secs(max_age)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_was_written_and_nothing_else() {
        for max_age in [None, Some(Duration::ZERO), Some(Duration::from_secs(u64::MAX - 1))] {
            let one = Published { body: Bytes::from_static(b"{}"), fetched: at(1_764_000_000_123), max_age };
            let bytes = one.encode();
            assert_eq!(Published::decode(&bytes), Some(one));
            for len in 0..HEAD {
                assert_eq!(Published::decode(&bytes.slice(..len)), None);
            }
            for place in 0..MAGIC.len() {
                let mut other = bytes.to_vec();
                other[place] ^= 1;
                assert_eq!(Published::decode(&other.into()), None);
            }
        }
        let long = Published { body: vec![b' '; LARGEST + 1].into(), fetched: at(0), max_age: None };
        assert_eq!(Published::decode(&long.encode()), None);
        let never = Bytes::from([MAGIC, &[0xff; 16], b"{}"].concat());
        assert_eq!(Published::decode(&never), None);
    }
}
