//! Entries as they lie in Redis when they are compressed there.
//!
//! ```text
//! fixed part of the entry  80   as it was, but for the kind; with the checksum of the entry as it was
//! LZ4 block                     the rest: key text, tags, head, body, trailers
//! ```
//!
//! The checksum stays where it is and what it is. So a script that compares it does not care how an entry lies there, and
//! whoever unpacks one has the proof of it. How long the rest becomes is what the lengths in the fixed part add up to: memory is
//! taken for that, once it is known to be possible.

use bytes::Bytes;
use lz4_flex::block;

use crate::entry::{Entry, FIXED, MARK, Malformed, stated_len};
use crate::manifest::PART;
use crate::policy;

/// An entry whose rest is compressed.
const PACKED: [u8; 4] = [0xB7, b'c', 2, b'z'];
/// A body that is not in parts is shorter than one part; as much again for the rest is more than any key and head has.
const LONGEST: usize = 2 * PART;
/// Of one byte LZ4 makes 255 at most: what is said to become more is not what was written.
const MOST_OF_A_BYTE: usize = 255;

/// The bytes of an entry, made smaller; `None` where that is not worth it.
pub(crate) fn pack(entry: &Entry) -> Option<Bytes> {
    let bytes = entry.bytes();
    if !bytes.starts_with(&MARK)
        || bytes.len() > LONGEST
        || !policy::is_compressible(entry.body().len(), || entry.headers(0))
    {
        return None;
    }
    let (fixed, rest) = bytes.split_at(FIXED);
    let mut out = vec![0; FIXED + block::get_maximum_output_size(rest.len())];
    let len = block::compress_into(rest, &mut out[FIXED..]).ok()?;
    if !policy::is_worth_packing(rest.len(), len) {
        return None;
    }
    out[..FIXED].copy_from_slice(fixed);
    out[..PACKED.len()].copy_from_slice(&PACKED);
    out.truncate(FIXED + len);
    Some(out.into())
}

/// Whether the bytes are those of a packed entry.
pub(crate) fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&PACKED)
}

/// The bytes of the entry that was packed into these. Whether they are those that were written is for [`Entry::decode`] to say.
pub(crate) fn unpack(packed: &[u8]) -> Result<Bytes, Malformed> {
    let (fixed, rest) = packed.split_at_checked(FIXED).ok_or(Malformed::Truncated)?;
    let len = stated_len(fixed).ok_or(Malformed::Truncated)?;
    if len > LONGEST || len - FIXED > rest.len().saturating_mul(MOST_OF_A_BYTE) {
        return Err(Malformed::Packed);
    }
    let mut out = vec![0; len];
    out[..FIXED].copy_from_slice(fixed);
    out[..MARK.len()].copy_from_slice(&MARK);
    match block::decompress_into(rest, &mut out[FIXED..]) {
        Ok(found) if found == len - FIXED => Ok(out.into()),
        Ok(_) | Err(_) => Err(Malformed::Packed),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use buttress_rfc9111::freshness::Terms;
    use buttress_rfc9111::rules::Rules;
    use http::StatusCode;
    use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

    use super::*;
    use crate::entry::SUM_AT;
    use crate::key::Key;
    use crate::ledger::Generation;
    use crate::writer::{EntryWriter, Label};

    fn entry(body: &[u8]) -> Entry {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/html"))]);
        let terms = Terms::of(StatusCode::OK, &headers, SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH, &Rules::new());
        let key = Key::empty();
        let label = Label { key: &key, generation: Generation(1), cost: Duration::ZERO, tags: &[] };
        let mut writer = EntryWriter::new(&label, StatusCode::OK, &headers, &terms, body.len());
        writer.push(body);
        writer.finish()
    }

    fn text() -> Vec<u8> {
        (0..300).flat_map(|number| format!("line {number} of a text\n").into_bytes()).collect()
    }

    fn read(packed: &[u8]) -> Result<Entry, Malformed> {
        unpack(packed).and_then(Entry::decode)
    }

    #[test]
    fn a_packed_entry_comes_back_as_it_went_in() {
        let entry = entry(&text());
        let packed = pack(&entry).unwrap();
        assert!(is_packed(&packed) && packed.len() < entry.bytes().len() / 2, "{}", packed.len());
        assert_eq!(packed[SUM_AT..FIXED], *entry.sum(), "a script finds the sum where it was");
        assert_eq!(read(&packed).unwrap().bytes(), entry.bytes());
    }

    #[test]
    fn what_does_not_become_smaller_stays_as_it_is() {
        let noise: Vec<u8> = (0..4096).map(|_| rand::random()).collect();
        assert!(pack(&entry(&noise)).is_none());
        assert!(pack(&entry(b"short")).is_none());
    }

    #[test]
    fn no_changed_byte_of_a_packed_entry_goes_unnoticed() {
        let entry = entry(&text());
        let good = pack(&entry).unwrap();
        for at in 4..good.len() {
            for bit in 0..8 {
                let mut bad = good.to_vec();
                bad[at] ^= 1 << bit;
                // Some changes leave what comes out as it was: two ways to say the same.
                assert!(read(&bad).is_err() || *read(&bad).unwrap().bytes() == *entry.bytes(), "byte {at}");
            }
            assert!(read(&good[..at]).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn no_length_makes_it_take_more_memory_than_an_entry_may_have() {
        let good = pack(&entry(&text())).unwrap();
        for len in [0, 1, 80, 1 << 20, LONGEST as u32, 3 << 20, 1 << 30, u32::MAX] {
            for at in (40..56).step_by(4) {
                let mut bad = good.to_vec();
                bad[at..at + 4].copy_from_slice(&len.to_le_bytes());
                assert!(unpack(&bad).map_or(0, |bytes| bytes.len()) <= LONGEST);
                assert!(bad == good || read(&bad).is_err(), "{len} at {at}");
            }
        }
        let mut little = good[..FIXED + 8].to_vec();
        little[48..52].copy_from_slice(&(1u32 << 20).to_le_bytes());
        assert_eq!(unpack(&little), Err(Malformed::Packed), "eight bytes do not become a million");
    }

    #[test]
    fn noise_is_no_entry() {
        let good = pack(&entry(&text())).unwrap();
        for len in 0..2000 {
            let mut noise: Vec<u8> = (0..len).map(|_| rand::random()).collect();
            let known = len.min(FIXED);
            noise[..known].copy_from_slice(&good[..known]); // with a head that can be believed
            assert!(read(&noise).is_err());
        }
    }
}
