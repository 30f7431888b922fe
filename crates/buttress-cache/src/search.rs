//! Which queries of a path are one: what its last response said in `No-Vary-Search`.

use std::time::{Duration, SystemTime};

use buttress_rfc9111::no_vary_search::NoVarySearch;
use bytes::Bytes;

use crate::block::array;
use crate::entry::Malformed;
use crate::key::{self, Key, OF_PATH, SEARCHED};
use crate::ledger::Location;
use crate::millis::{from_millis, to_millis};
use crate::sealed::{SUM, opened, part, push_part, seal};
use crate::tag::Tag;

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
        FIXED + self.key.len() + self.policy.to_text().len() + SUM
    }

    /// Whether the bytes are this kind of record.
    pub(crate) fn is_encoded_in(bytes: &[u8]) -> bool {
        bytes.starts_with(&MARK)
    }

    pub(crate) fn encode(&self) -> Bytes {
        let text = self.policy.to_text();
        let mut out = Vec::with_capacity(FIXED + self.key.len() + text.len() + SUM);
        out.extend_from_slice(&MARK);
        out.extend_from_slice(&to_millis(self.until).to_le_bytes());
        for part in [self.key.as_slice(), text.as_bytes()] {
            push_part(&mut out, part);
        }
        seal(out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::fields_of(opened(bytes)?).ok_or(Malformed::Truncated)
    }

    fn fields_of(bytes: &[u8]) -> Option<Self> {
        let until = from_millis(u64::from_le_bytes(array(bytes, 4)?));
        let (key, at) = part(bytes, 12)?;
        let (text, _) = part(bytes, at)?;
        let policy = NoVarySearch::from_text(std::str::from_utf8(text).ok()?)?;
        Some(Self { key: key.to_vec(), until, policy })
    }
}

// === impl Key ===

impl Key {
    /// The key of all requests for this path whose query is the same under a policy. `None` if the key is not that of a URI.
    ///
    /// The policy is part of it: whatever lies there said the same of itself.
    pub(crate) fn searched(&self, policy: &NoVarySearch) -> Option<Self> {
        let query = key::location(self.text())?.query.map(str::from_utf8).transpose().ok()?;
        let mut said = Self::empty();
        said.push(policy.to_text());
        match policy.normalise(query) {
            Some(query) => said.push(&*query),
            None => said.push_absent(),
        }
        self.with_query(&[&SEARCHED.to_le_bytes(), said.text()].concat())
    }

    /// The key of this path, where is remembered which of its queries are the same. `None` if the key is not that of a URI.
    pub(crate) fn of_path(&self) -> Option<Self> {
        self.with_query(&OF_PATH.to_le_bytes())
    }

    /// By what all entries of a path are purged that answer more than one of its queries; `None` for a key of one URI.
    pub(crate) fn search_tag(&self) -> Option<Tag> {
        let Location { authority, path, any_query, .. } =
            key::location(self.text()).filter(|_| self.begins_with_uri())?;
        any_query.then(|| Tag::search(authority, path))
    }
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

    fn key(uri: &str, headers: &[(&str, &str)]) -> Key {
        let request =
            headers.iter().fold(http::Request::get(uri), |request, (name, value)| request.header(*name, *value));
        Key::of(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn equivalent_queries_have_one_key_and_others_another() {
        let policy = NoVarySearch::from_text(r#"key-order, params=("utm")"#).unwrap();
        let under = |uri: &str, headers: &[_]| key(uri, headers).searched(&policy).unwrap();
        let all = [
            under("http://a/x?b=1&utm=2", &[]),
            under("http://a/x?b=2", &[]),
            under("http://a/y?b=1", &[]),
            under("http://b/x?b=1", &[]),
            under("http://a/x?b=1", &[("x-forwarded-host", "evil")]),
            under("http://a/x", &[]),
            key("http://a/x?b=1", &[]).searched(&NoVarySearch::from_text("params").unwrap()).unwrap(),
            key("http://a/x?b=1", &[]),
            key("http://a/x?b=1", &[]).of_path().unwrap(),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[..place].contains(one), "{place}");
        }
        assert_eq!(all[0], under("http://A:80/x?utm=3&b=%31", &[]));
        assert_eq!(all[5], under("http://a/x?utm", &[]), "no query is an empty one");
        assert_eq!(all[8], key("http://a/x", &[]).of_path().unwrap());
        assert_eq!(all[0].search_tag(), Some(Tag::search(b"a", b"/x")));
        assert_eq!(all[7].search_tag(), None);
    }

    #[test]
    fn a_key_that_is_not_that_of_a_uri_has_no_path() {
        let mut key = Key::empty();
        assert_eq!(key.of_path(), None);
        for part in ["http", "a", "/x", "b=1"] {
            key.push(part);
        }
        assert_eq!((key.of_path(), key.search_tag()), (None, None));
        assert_eq!(key.searched(&NoVarySearch::default()), None);
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
