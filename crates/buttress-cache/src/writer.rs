//! Writing an [`Entry`], front to back.

use std::time::Duration;

use buttress_rfc9111::fields;
use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};

use crate::block;
use crate::entry::{ELSEWHERE, Entry, FIXED, GENERATION_AT, LARGE, Lengths, MARK, SUM_AT, checksum};
use crate::key::Key;
use crate::ledger::Generation;
use crate::manifest::Manifest;
use crate::tag::Tag;
use crate::terms::{self, Terms};

/// What an entry is known by beside its response.
#[derive(Clone, Debug)]
pub(crate) struct Label<'a> {
    pub(crate) key: &'a Key,
    pub(crate) generation: Generation,
    /// How long its response took.
    pub(crate) cost: Duration,
    pub(crate) tags: &'a [Tag],
}

/// Writes an entry front to back, the body as it comes.
pub(crate) struct EntryWriter {
    out: Vec<u8>,
    lengths: Lengths,
    trailers: Vec<u8>,
}

// === impl EntryWriter ===

impl EntryWriter {
    /// Begins an entry, with room for a body of so many bytes.
    pub(crate) fn new(label: &Label<'_>, status: StatusCode, headers: &HeaderMap, terms: &Terms, room: usize) -> Self {
        let (key, tags) = (label.key.text(), label.tags.len() * Tag::LEN);
        let mut out = Vec::with_capacity(FIXED + key.len() + tags + 64 * headers.len() + room);
        out.extend_from_slice(&MARK);
        out.extend_from_slice(&status.as_u16().to_le_bytes());
        // More tags than fit are not admitted.
        let count = u16::try_from(label.tags.len()).unwrap_or(ELSEWHERE - 1);
        let elsewhere = if label.key.begins_with_uri() { 0 } else { ELSEWHERE };
        out.extend_from_slice(&(count | elsewhere).to_le_bytes());
        terms::write(terms, &mut out);
        out.resize(GENERATION_AT, 0);
        out.extend_from_slice(&label.generation.0.to_le_bytes());
        out.extend_from_slice(&u32::try_from(label.cost.as_millis()).unwrap_or(u32::MAX).to_le_bytes());
        out.resize(FIXED, 0);
        out.extend_from_slice(key);
        for tag in label.tags {
            out.extend_from_slice(tag.as_bytes());
        }
        let before = out.len();
        block::encode(headers, &mut out);
        let head = out.len() - before;
        let lengths = Lengths {
            key: narrow(key.len()),
            tags: u32::from(count),
            head: narrow(head),
            fields: narrow(headers.len()),
            ..Lengths::default()
        };
        Self { out, lengths, trailers: Vec::new() }
    }

    /// Appends to the body.
    pub(crate) fn push(&mut self, data: &[u8]) {
        self.out.extend_from_slice(data);
        self.lengths.body = narrow(self.lengths.body as usize + data.len());
    }

    /// The body so far.
    pub(crate) fn body(&self) -> &[u8] {
        &self.out[self.out.len() - self.lengths.body as usize..]
    }

    /// Takes the body out: the entry goes on without it.
    pub(crate) fn take_body(&mut self) -> Bytes {
        let body = Bytes::copy_from_slice(self.body());
        self.out.truncate(self.out.len() - body.len());
        self.lengths.body = 0;
        body
    }

    /// The entry as it would be without a body and trailers.
    pub(crate) fn head(&self) -> Entry {
        let out = self.out[..self.out.len() - self.lengths.body as usize].to_vec();
        let lengths = Lengths { body: 0, ..self.lengths };
        Self { out, lengths, trailers: Vec::new() }.finish()
    }

    /// Keeps the trailers.
    pub(crate) fn trailers(&mut self, trailers: &HeaderMap) {
        block::encode(&shared_trailers(trailers), &mut self.trailers);
    }

    /// The entry, sealed. Bodies of known length are not copied here.
    pub(crate) fn finish(self) -> Entry {
        let Self { mut out, mut lengths, trailers } = self;
        lengths.trailers = narrow(trailers.len());
        out.extend_from_slice(&trailers);
        out.shrink_to_fit();
        lengths.write(&mut out[8 + terms::LEN..GENERATION_AT]);
        let sum = checksum(&out);
        out[SUM_AT..FIXED].copy_from_slice(&sum.to_le_bytes());
        Entry::written(out.into()).expect("what was just written can be read")
    }

    /// The entry, whose body lies in parts.
    pub(crate) fn finish_with(mut self, manifest: Manifest) -> Entry {
        self.out.truncate(self.out.len() - self.lengths.body as usize);
        self.lengths.body = 0;
        self.out[..LARGE.len()].copy_from_slice(&LARGE);
        self.push(&manifest.write());
        self.finish()
    }
}

/// Trailers without what belongs to one client or connection: nobody looked at them when the response was admitted.
pub(crate) fn shared_trailers(trailers: &HeaderMap) -> HeaderMap {
    let mut shared = trailers.clone();
    fields::remove_hop_by_hop(&mut shared);
    shared.remove(SET_COOKIE);
    shared
}

/// Nothing is as long as 4 GiB: Redis ends at 512 MiB. If it were, the lengths would not add up, and it is a miss.
fn narrow(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
