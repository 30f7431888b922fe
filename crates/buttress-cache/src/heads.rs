//! The heads of the entries that are asked for most, read already.
//!
//! Reading a head costs more than anything else in a hit: each name and value is checked anew. An entry that was served
//! before gets its head from here, ready but for `Age` and `Cache-Status`, which have their place in it already so
//! that setting them does not make the map grow. A bounded number of heads are kept, and none of the bodies: each
//! head is a copy.

use std::fmt;
use std::sync::Arc;

use buttress_rfc9111::cache_status::CacheStatus;
use bytes::Bytes;
use http::header::{AGE, CACHE_STATUS, HeaderMap, HeaderValue};
use quick_cache::sync::Cache;

use crate::entry::Entry;

/// So many heads at most, of about 1.5 KiB each.
const HEADS: usize = 1024;

/// Heads by the identity of their entry.
pub(crate) struct Heads {
    kept: Cache<u64, Head>,
}

/// The fields of an entry, with a place for what each reuse adds.
#[derive(Clone)]
pub(crate) struct Head {
    fields: Arc<HeaderMap>,
    /// Whether a cache further up has left its word in the entry: then ours is appended.
    has_status: bool,
}

// === impl Heads ===

impl Heads {
    pub(crate) fn new() -> Self {
        Self { kept: Cache::new(HEADS) }
    }

    /// The fields of a response made from an entry that is so many seconds old.
    pub(crate) fn fields(&self, entry: &Entry, age: u64, status: Option<CacheStatus<'_>>) -> HeaderMap {
        if let Some(head) = self.kept.get(&entry.id()) {
            return head.dated(age, status);
        }
        let head = Head::read(entry.head(), entry.fields());
        if entry.was_served_before() {
            let copy = Bytes::copy_from_slice(&entry.head());
            self.kept.insert(entry.id(), Head::read(copy, entry.fields()));
        }
        head.dated(age, status)
    }
}

impl fmt::Debug for Heads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heads").field("len", &self.kept.len()).finish_non_exhaustive()
    }
}

// === impl Head ===

impl Head {
    fn read(block: Bytes, count: usize) -> Self {
        let mut fields = crate::block::decode(&block, count, 2).unwrap_or_default();
        let has_status = fields.contains_key(CACHE_STATUS);
        fields.insert(AGE, HeaderValue::from_static("0"));
        if !has_status {
            fields.insert(CACHE_STATUS, HeaderValue::from_static(""));
        }
        Self { fields: Arc::new(fields), has_status }
    }

    /// RFC 9111 section 5.1: a stored response that is sent again says how old it is.
    fn dated(self, age: u64, status: Option<CacheStatus<'_>>) -> HeaderMap {
        let mut fields = Arc::unwrap_or_clone(self.fields);
        fields.insert(AGE, HeaderValue::from(age));
        match (status, self.has_status) {
            (Some(status), true) => status.append_to(&mut fields),
            (Some(status), false) => drop(fields.insert(CACHE_STATUS, status.to_header_value())),
            (None, true) => {}
            (None, false) => drop(fields.remove(CACHE_STATUS)),
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use buttress_rfc9111::cache_status::CacheName;
    use buttress_rfc9111::freshness::Terms;
    use buttress_rfc9111::rules::Rules;
    use http::StatusCode;

    use super::*;
    use crate::key::Key;
    use crate::ledger::Generation;
    use crate::writer::{EntryWriter, Label};

    fn entry(fields: &[(&'static str, &'static str)]) -> Entry {
        let headers = fields
            .iter()
            .map(|&(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let terms = Terms::of(StatusCode::OK, &headers, SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH, &Rules::new());
        let key = Key::empty();
        let label = Label { key: &key, generation: Generation(1), cost: Duration::ZERO, tags: &[] };
        EntryWriter::new(&label, StatusCode::OK, &headers, &terms, 0).finish()
    }

    #[test]
    fn a_head_is_the_same_however_often_it_is_asked_for() {
        let name = CacheName::new("C").unwrap();
        for (stored, status, expected) in [
            (&[("etag", "\"a\"")][..], true, &["C; hit"][..]),
            (&[("etag", "\"a\"")], false, &[]),
            (&[("cache-status", "up; hit"), ("etag", "\"a\"")], true, &["up; hit", "C; hit"]),
            (&[("cache-status", "up; hit")], false, &["up; hit"]),
        ] {
            let (heads, entry) = (Heads::new(), entry(stored));
            for age in 0..4 {
                let fields = heads.fields(&entry, age, status.then(|| CacheStatus::hit(&name)));
                assert_eq!(fields.get_all(CACHE_STATUS).iter().collect::<Vec<_>>(), expected, "{stored:?}");
                assert_eq!(fields[AGE], age.to_string());
                assert_eq!(fields.get("etag").is_some(), stored.iter().any(|(name, _)| *name == "etag"));
            }
            assert_eq!(heads.kept.len(), 1, "kept once it was served before");
        }
    }

    #[test]
    fn entries_that_are_served_once_leave_no_head() {
        let heads = Heads::new();
        for _ in 0..10 {
            heads.fields(&entry(&[]), 0, None);
        }
        assert_eq!(heads.kept.len(), 0);
    }
}
