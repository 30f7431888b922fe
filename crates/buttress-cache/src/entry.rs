//! A stored response as one run of bytes: the same in this process and in Redis.
//!
//! ```text
//! 0xB7 'c' version kind            4
//! status u16, tags u16             4   how many tags; the highest bit: the key does not begin with the URI
//! terms of reuse                  32
//! key, head, body, trailers u32   16   lengths
//! fields u32                       4   how many the head has
//! generation u64                   8   of purges, when the fill began
//! cost u32                         4   milliseconds from the request to the response
//! checksum u64                     8   XXH3 of all the rest
//! ──────────────────────────────  80
//! key text │ tags │ head block │ body │ trailer block
//! ```
//!
//! A body from 1 MiB on is not in the entry: in its place is the [`Manifest`] of its parts, and the kind is another one.
//! The body is served as a slice of these bytes, and so is each field value. A record with another version, a wrong
//! sum or lengths that do not add up is [`Malformed`]: a miss and a counter. In Redis an entry may be [`packed`](crate::packed).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use xxhash_rust::xxh3::Xxh3;

use crate::block::{self, array};
use crate::coherence::Checked;
use crate::key;
use crate::ledger::{Generation, Location};
use crate::manifest::Manifest;
use crate::tag::Tag;
use crate::terms::{self, Terms};

pub(crate) const MARK: [u8; 4] = [0xB7, b'c', 2, b'e'];
/// An entry whose body lies in parts.
pub(crate) const LARGE: [u8; 4] = [0xB7, b'c', 2, b'l'];
pub(crate) const FIXED: usize = COST_AT + 4 + SUM;
pub(crate) const GENERATION_AT: usize = 8 + terms::LEN + 20;
const COST_AT: usize = GENERATION_AT + 8;
const SUM: usize = 8;
/// Where an entry's checksum stands: what tells it from another entry under the same key.
pub(crate) const SUM_AT: usize = FIXED - SUM;

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// In the count of tags: the key does not begin with the URI.
pub(crate) const ELSEWHERE: u16 = 1 << 15;

/// A stored response. Clones share the bytes.
#[derive(Clone)]
pub(crate) struct Entry(Arc<Inner>);

struct Inner {
    /// No other entry of this process has it.
    id: u64,
    was_served: AtomicBool,
    checked: Checked,
    bytes: Bytes,
    status: StatusCode,
    terms: Terms,
    generation: Generation,
    cost: u32,
    lengths: Lengths,
}

/// How the bytes after the fixed part divide. There is one of these for each entry, so they are as narrow as the record has them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lengths {
    pub(crate) key: u32,
    pub(crate) head: u32,
    pub(crate) body: u32,
    pub(crate) trailers: u32,
    /// How many fields the head has.
    pub(crate) fields: u32,
    /// How many tags.
    pub(crate) tags: u32,
}

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Malformed {
    /// The bytes are not those that were written.
    Checksum,
    /// It was made for another key with the same digest.
    OtherKey,
    /// Lengths that do not add up.
    Truncated,
    /// What is compressed does not become what it is said to.
    Packed,
    /// Another version, or no record of ours.
    Unknown,
}

// === impl Entry ===

impl Entry {
    /// Reads an entry. The bytes are kept, not copied.
    pub(crate) fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        if !bytes.starts_with(&MARK) && !bytes.starts_with(&LARGE) {
            return Err(Malformed::Unknown);
        }
        let inner = Inner::read(bytes).ok_or(Malformed::Truncated)?;
        if inner.bytes[FIXED - SUM..FIXED] != checksum(&inner.bytes).to_le_bytes() {
            return Err(Malformed::Checksum);
        }
        let entry = Self(Arc::new(inner));
        if entry.is_large() && entry.manifest().is_none() { Err(Malformed::Truncated) } else { Ok(entry) }
    }

    /// What was just written, which needs no checking. `None` if its lengths do not add up.
    pub(crate) fn written(bytes: Bytes) -> Option<Self> {
        Inner::read(bytes).map(|inner| Self(Arc::new(inner)))
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// What tells these bytes from those of another entry.
    pub(crate) fn sum(&self) -> &[u8] {
        &self.0.bytes[SUM_AT..FIXED]
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.0.bytes[FIXED..self.0.lengths.tags_at()]
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    pub(crate) fn terms(&self) -> &Terms {
        &self.0.terms
    }

    /// Under which version it was found current.
    pub(crate) fn checked(&self) -> &Checked {
        &self.0.checked
    }

    /// The generation of purges when its fill began.
    pub(crate) fn generation(&self) -> Generation {
        self.0.generation
    }

    /// How long its response took.
    pub(crate) fn cost(&self) -> Duration {
        Duration::from_millis(self.0.cost.into())
    }

    pub(crate) fn tags(&self) -> impl Iterator<Item = Tag> {
        let tags = &self.0.bytes[self.0.lengths.tags_at()..self.0.lengths.head_at()];
        tags.as_chunks().0.iter().map(|tag| Tag::from_bytes(*tag))
    }

    /// Where it lies, if its key says so.
    pub(crate) fn location(&self) -> Option<Location<'_>> {
        let elsewhere = u16::from_le_bytes(array(&self.0.bytes, 6)?) & ELSEWHERE != 0;
        if elsewhere { None } else { key::location(self.key()) }
    }

    /// What tells this entry from every other one of this process.
    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    /// Whether this was asked before.
    pub(crate) fn was_served_before(&self) -> bool {
        // Read first: the usual answer must not write, or every core would share the line.
        self.0.was_served.load(Ordering::Relaxed) || self.0.was_served.swap(true, Ordering::Relaxed)
    }

    /// The head block.
    pub(crate) fn head(&self) -> Bytes {
        self.0.bytes.slice(self.0.lengths.head_at()..self.0.lengths.body_at())
    }

    /// How many fields the head has.
    pub(crate) fn fields(&self) -> usize {
        self.0.lengths.fields as usize
    }

    /// The header fields, with room for `more`. Their values are slices of the entry.
    pub(crate) fn headers(&self, more: usize) -> HeaderMap {
        // The checksum held, so the block is what we wrote; a block that `http` refuses to read would be our mistake,
        // and an empty head is its mildest form.
        block::decode(&self.head(), self.fields(), more).unwrap_or_default()
    }

    /// The body, if it is not in parts.
    pub(crate) fn body(&self) -> Bytes {
        if self.is_large() { Bytes::new() } else { self.inside() }
    }

    /// What the body consists of, if it is in parts.
    pub(crate) fn manifest(&self) -> Option<Manifest> {
        if self.is_large() { Manifest::read(&self.inside()) } else { None }
    }

    pub(crate) fn body_len(&self) -> u64 {
        self.manifest().map_or(u64::from(self.0.lengths.body), |manifest| manifest.len())
    }

    fn is_large(&self) -> bool {
        self.0.bytes.starts_with(&LARGE)
    }

    fn inside(&self) -> Bytes {
        self.0.bytes.slice(self.0.lengths.body_at()..self.0.lengths.trailers_at())
    }

    pub(crate) fn trailers(&self) -> Option<HeaderMap> {
        let lengths = &self.0.lengths;
        let block = || self.0.bytes.slice(lengths.trailers_at()..);
        (lengths.trailers > 0).then(|| block::decode(&block(), 0, 0).unwrap_or_default())
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("status", &self.0.status)
            .field("terms", &self.0.terms)
            .field("lengths", &self.0.lengths)
            .finish_non_exhaustive()
    }
}

// === impl Inner ===

impl Inner {
    fn read(bytes: Bytes) -> Option<Self> {
        let status = StatusCode::from_u16(u16::from_le_bytes(array(&bytes, 4)?)).ok()?;
        let terms = terms::read(bytes.get(8..8 + terms::LEN)?)?;
        let lengths = Lengths::of(&bytes)?;
        let generation = Generation(u64::from_le_bytes(array(&bytes, GENERATION_AT)?));
        let cost = u32::from_le_bytes(array(&bytes, COST_AT)?);
        let checked = Checked::default();
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let was_served = AtomicBool::new(false);
        (lengths.total()? == bytes.len()).then_some(Self {
            id,
            was_served,
            checked,
            bytes,
            status,
            terms,
            generation,
            cost,
            lengths,
        })
    }
}

// === impl Lengths ===

impl Lengths {
    /// As the fixed part of an entry has them.
    fn of(bytes: &[u8]) -> Option<Self> {
        let tags = u32::from(u16::from_le_bytes(array(bytes, 6)?) & !ELSEWHERE);
        Some(Self { tags, ..Self::read(bytes.get(8 + terms::LEN..GENERATION_AT)?)? })
    }

    fn read(at: &[u8]) -> Option<Self> {
        let len = |index: usize| Some(u32::from_le_bytes(array(at, 4 * index)?));
        Some(Self { key: len(0)?, head: len(1)?, body: len(2)?, trailers: len(3)?, fields: len(4)?, tags: 0 })
    }

    pub(crate) fn write(&self, at: &mut [u8]) {
        let lengths = [self.key, self.head, self.body, self.trailers, self.fields];
        for (place, len) in at.chunks_exact_mut(4).zip(lengths) {
            place.copy_from_slice(&len.to_le_bytes());
        }
    }

    fn tags_at(&self) -> usize {
        FIXED + self.key as usize
    }

    fn head_at(&self) -> usize {
        self.tags_at() + self.tags as usize * Tag::LEN
    }

    fn body_at(&self) -> usize {
        self.head_at() + self.head as usize
    }

    fn trailers_at(&self) -> usize {
        self.body_at() + self.body as usize
    }

    /// `None` where the sum does not fit: then it is not that of any bytes.
    fn total(&self) -> Option<usize> {
        let tags = (self.tags as usize).checked_mul(Tag::LEN)?;
        let parts = [self.key, self.head, self.body, self.trailers].map(|len| len as usize);
        parts.iter().try_fold(FIXED.checked_add(tags)?, |sum, &len| sum.checked_add(len))
    }
}

/// How long an entry is by what its fixed part says.
pub(crate) fn stated_len(fixed: &[u8]) -> Option<usize> {
    Lengths::of(fixed)?.total()
}

impl Malformed {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Checksum => "checksum",
            Self::OtherKey => "other-key",
            Self::Packed => "packed",
            Self::Truncated => "truncated",
            Self::Unknown => "unknown",
        }
    }
}

/// Over all but itself. 64 bits against accidents; malice has to get past Redis first.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&bytes[..FIXED - SUM]);
    hash.update(&bytes[FIXED..]);
    hash.digest()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use buttress_rfc9111::rules::Rules;
    use http::header::{CACHE_CONTROL, ETAG, HeaderValue};

    use super::*;
    use crate::key::Key;
    use crate::writer::{EntryWriter, Label};

    fn entry() -> Entry {
        let headers = HeaderMap::from_iter([
            (CACHE_CONTROL, HeaderValue::from_static("max-age=60, stale-if-error=9")),
            (ETAG, HeaderValue::from_static("\"v1\"")),
        ]);
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let terms = Terms::of(StatusCode::OK, &headers, at, at, &Rules::default());
        let mut key = Key::empty();
        key.push("the key");
        let tags = [Tag::named("a"), Tag::named("b")];
        let cost = Duration::from_millis(400);
        let label = Label { key: &key, generation: Generation(7), cost, tags: &tags };
        let mut writer = EntryWriter::new(&label, StatusCode::OK, &headers, &terms, 3);
        writer.push(b"bo");
        writer.push(b"dy");
        writer.trailers(&HeaderMap::from_iter([(ETAG, HeaderValue::from_static("t"))]));
        writer.finish()
    }

    #[test]
    fn an_entry_comes_back_as_it_went_in() {
        let (written, read) = (entry(), Entry::decode(entry().bytes().clone()).unwrap());
        assert_eq!(read.key(), b"\x07\0\0\0the key");
        assert_eq!((read.generation(), read.location()), (Generation(7), None));
        assert_eq!(read.cost(), Duration::from_millis(400));
        assert!(read.tags().eq([Tag::named("a"), Tag::named("b")]));
        assert_eq!(read.status(), StatusCode::OK);
        assert_eq!(read.terms(), written.terms());
        assert_eq!(read.terms().lifetime, Duration::from_secs(60));
        assert_eq!(read.terms().stale_if_error, Some(Duration::from_secs(9)));
        assert_eq!(read.headers(0), written.headers(3));
        assert_eq!(read.headers(0)[ETAG], "\"v1\"");
        assert_eq!(read.body(), "body");
        assert_eq!(read.trailers().unwrap()[ETAG], "t");
    }

    #[test]
    fn no_changed_byte_goes_unnoticed() {
        let good = entry().bytes().to_vec();
        for at in 0..good.len() {
            for bit in [1, 0x80] {
                let mut bad = good.clone();
                bad[at] ^= bit;
                assert!(Entry::decode(bad.into()).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn neither_does_a_changed_length() {
        let good = entry().bytes().to_vec();
        for len in 0..good.len() {
            assert!(Entry::decode(good[..len].to_vec().into()).is_err(), "{len} bytes");
        }
        assert!(Entry::decode([&good[..], b"x"].concat().into()).is_err());
    }

    #[test]
    fn an_entry_takes_little_more_than_its_parts() {
        let entry = entry();
        assert!(entry.bytes().len() <= FIXED + 4 + 7 + 2 * Tag::LEN + 50 + 4 + 8, "{} bytes", entry.bytes().len());
    }
}
