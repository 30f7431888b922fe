//! What lies under a key, here and in Redis: one form for both, so that either may answer.

use std::sync::Arc;

use bytes::Bytes;

use crate::entry::{Entry, Malformed};
use crate::key::Key;
use crate::manifest::Part;
use crate::packed;
use crate::search::Search;
use crate::variants::Variants;

/// What lies under a key.
#[derive(Clone, Debug)]
pub(crate) enum Record {
    /// A stored response.
    Entry(Entry),
    /// The URI's responses vary; each lies under a key of its own.
    Variants(Arc<Variants>),
    /// Under the key of a path: which of its queries are one.
    Search(Arc<Search>),
    /// Nothing that could be shared came of the last request: do not queue for it.
    Pass,
    /// A part of a large body; under a key that no request has.
    Part(Arc<Part>),
}

/// `magic | version | kind` of a [`Record::Pass`], which is all of it.
const PASS: &[u8] = &[0xB7, b'c', 1, b'p'];

// === impl Record ===

impl Record {
    /// Reads a record for `key`.
    pub(crate) fn decode(bytes: Bytes, key: &Key) -> Result<Self, Malformed> {
        let record = if Variants::is_encoded_in(&bytes) {
            Self::Variants(Arc::new(Variants::decode(&bytes)?))
        } else if Search::is_encoded_in(&bytes) {
            Self::Search(Arc::new(Search::decode(&bytes)?))
        } else if bytes == PASS {
            Self::Pass
        } else if packed::is_packed(&bytes) {
            Self::Entry(Entry::decode(packed::unpack(&bytes)?)?)
        } else {
            Self::Entry(Entry::decode(bytes)?)
        };
        if record.is_for(key) { Ok(record) } else { Err(Malformed::OtherKey) }
    }

    /// The bytes to keep.
    pub(crate) fn encode(&self) -> Bytes {
        match self {
            Self::Entry(entry) => entry.bytes().clone(),
            Self::Variants(variants) => variants.encode(),
            Self::Search(search) => search.encode(),
            Self::Pass => Bytes::from_static(PASS),
            Self::Part(part) => part.encode(),
        }
    }

    /// Whether the record was made for this key, and not for one with the same digest.
    pub(crate) fn is_for(&self, key: &Key) -> bool {
        match self {
            Self::Entry(entry) => entry.key() == key.text(),
            Self::Variants(variants) => variants.key() == key.text(),
            Self::Search(search) => search.key() == key.text(),
            Self::Pass => true, // costs a wrong key its place in the queue, nothing else
            Self::Part(_) => false,
        }
    }

    /// Its size in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Entry(entry) => entry.bytes().len(),
            Self::Variants(variants) => variants.len(),
            Self::Search(search) => search.len(),
            Self::Pass => PASS.len(),
            Self::Part(part) => part.len(),
        }
    }
}
