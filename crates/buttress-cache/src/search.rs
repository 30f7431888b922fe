//! Which queries of a path are one: what its last response said in `No-Vary-Search`.

use std::time::{Duration, SystemTime};

use buttress_rfc9111::no_vary_search::NoVarySearch;
use bytes::Bytes;

use crate::block::array;
use crate::entry::Malformed;
use crate::key::Key;
use crate::millis::{from_millis, to_millis};

/// `magic | version | kind` of this record; entries begin alike, with another kind.
const MARK: [u8; 4] = [0xB7, b'c', 1, b's'];
const FIXED: usize = 4 + 8 + 4 + 4;
/// It outlives the response that it came with, so that not each response has to renew it.
const LEAST: Duration = Duration::from_secs(3600);

/// The policy that the last response of a path stated, other than the default.
///
/// It says where to look and nothing else: what is found there says itself to which queries it is an answer. So a record
/// that is out of date, or that somebody provoked, costs hits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Search {
    key: Vec<u8>,
    until: SystemTime,
    policy: NoVarySearch,
}

// === impl Search ===

impl Search {
    /// The record of a path whose response is kept for `keep` from `now` on.
    pub(crate) fn new(path: &Key, policy: NoVarySearch, now: SystemTime, keep: Duration) -> Self {
        let lives = (keep * 2).max(LEAST); // no response is kept for longer than ten years
        Self { key: path.text().to_vec(), until: now + lives, policy }
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(crate) fn policy(&self) -> &NoVarySearch {
        &self.policy
    }

    pub(crate) fn until(&self) -> SystemTime {
        self.until
    }

    pub(crate) fn len(&self) -> usize {
        FIXED + self.key.len() + self.policy.to_text().len() + 8
    }

    /// Whether the bytes are this kind of record.
    pub(crate) fn is_encoded_in(bytes: &[u8]) -> bool {
        bytes.starts_with(&MARK)
    }

    pub(crate) fn encode(&self) -> Bytes {
        let text = self.policy.to_text();
        let mut out = Vec::with_capacity(FIXED + self.key.len() + text.len() + 8);
        out.extend_from_slice(&MARK);
        out.extend_from_slice(&to_millis(self.until).to_le_bytes());
        for part in [self.key.as_slice(), text.as_bytes()] {
            out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(part);
        }
        let sum = xxhash_rust::xxh3::xxh3_64(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out.into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let at = bytes.len().checked_sub(8).ok_or(Malformed::Truncated)?;
        let sum = array(bytes, at).ok_or(Malformed::Truncated)?;
        if xxhash_rust::xxh3::xxh3_64(&bytes[..at]) != u64::from_le_bytes(sum) {
            return Err(Malformed::Checksum);
        }
        Self::fields_of(&bytes[..at]).ok_or(Malformed::Truncated)
    }

    fn fields_of(bytes: &[u8]) -> Option<Self> {
        let until = from_millis(u64::from_le_bytes(array(bytes, 4)?));
        let (key, at) = part(bytes, 12)?;
        let (text, _) = part(bytes, at)?;
        let policy = NoVarySearch::from_text(std::str::from_utf8(text).ok()?)?;
        Some(Self { key: key.to_vec(), until, policy })
    }
}

fn part(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let len = usize::try_from(u32::from_le_bytes(array(bytes, at)?)).ok()?;
    let end = (at + 4).checked_add(len)?;
    Some((bytes.get(at + 4..end)?, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_went_in_or_not_at_all() {
        let mut key = Key::empty();
        key.push("path");
        let policy = NoVarySearch::from_text(r#"key-order, params=("utm" "%22")"#).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let search = Search::new(&key, policy, now, Duration::from_secs(60));
        let good = search.encode();
        assert_eq!((Search::decode(&good), good.len()), (Ok(search.clone()), search.len()));
        assert_eq!(search.until(), now + LEAST);
        for at in 0..good.len() {
            let mut bad = good.to_vec();
            bad[at] ^= 1;
            assert!(!Search::is_encoded_in(&bad) || Search::decode(&bad).is_err(), "byte {at}");
            assert!(Search::decode(&good[..at]).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn a_record_outlives_its_response() {
        let now = SystemTime::UNIX_EPOCH;
        for (keep, lives) in [(0, 3600), (60, 3600), (1800, 3600), (3600, 7200), (7200, 14_400)] {
            let search = Search::new(&Key::empty(), NoVarySearch::default(), now, Duration::from_secs(keep));
            assert_eq!(search.until(), now + Duration::from_secs(lives), "{keep}");
        }
    }
}
