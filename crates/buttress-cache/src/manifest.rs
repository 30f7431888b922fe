//! Large bodies: in parts, each a record of its own, so that none has to be moved whole.
//!
//! ```text
//! entry   … as others, but the place of its body holds the manifest
//! manifest  id u128, length u64
//! part      0xB7 'c' version kind │ id u128 │ index u32 │ checksum u64 │ bytes
//! ```
//!
//! The parts of one fill have an id that no other fill has. So a reader never puts together what two fills have left, whatever
//! was stored under the key meanwhile; and a part that is gone is a part that is gone, never another one.

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use crate::block::array;
use crate::entry::Malformed;

/// A body of so many bytes is stored in parts of so many bytes.
pub(crate) const PART: usize = 1 << 20;

const MARK: [u8; 4] = [0xB7, b'c', 1, b'k'];
/// What a part takes beside its bytes.
const HEAD: usize = 4 + 16 + 4 + 8;

/// What a body consists of that is stored in parts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Manifest {
    id: u128,
    len: u64,
}

/// A part of a body.
#[derive(Debug)]
pub(crate) struct Part {
    of: u128,
    index: u32,
    bytes: Bytes,
}

// === impl Manifest ===

impl Manifest {
    pub(crate) const LEN: usize = 24;

    pub(crate) fn new(id: u128, len: u64) -> Self {
        Self { id, len }
    }

    /// `None` if the bytes are not those of a manifest.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let manifest = Self { id: u128::from_le_bytes(array(bytes, 0)?), len: u64::from_le_bytes(array(bytes, 16)?) };
        let fits = manifest.len > 0 && manifest.len <= u64::from(u32::MAX);
        (bytes.len() == Self::LEN && fits).then_some(manifest)
    }

    pub(crate) fn write(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[..16].copy_from_slice(&self.id.to_le_bytes());
        out[16..].copy_from_slice(&self.len.to_le_bytes());
        out
    }

    /// How long the body is.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// How many parts it has.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.len.div_ceil(PART as u64)).unwrap_or(u32::MAX)
    }

    /// The index of a part within a process. Ids are random, so that nobody outside can aim at a collision; the parts of one
    /// body go to the shards in turn, so that none has to hold more of it than another.
    pub(crate) fn local(&self, index: u32) -> u128 {
        self.id.wrapping_add(u128::from(index) << 32)
    }

    /// The name of a part in Redis, beside its record.
    pub(crate) fn redis(&self, record: &str, index: u32) -> String {
        format!("{record}:part:{:032x}:{index}", self.id)
    }

    /// How long a part is, if there is one.
    fn len_of(&self, index: u32) -> Option<usize> {
        let before = u64::from(index) * PART as u64;
        let rest = self.len.checked_sub(before).filter(|&rest| rest > 0)?;
        usize::try_from(rest.min(PART as u64)).ok()
    }
}

// === impl Part ===

impl Part {
    pub(crate) fn new(of: u128, index: u32, bytes: Bytes) -> Self {
        Self { of, index, bytes }
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        if !bytes.starts_with(&MARK) {
            return Err(Malformed::Unknown);
        }
        let read = || {
            let (of, index) = (u128::from_le_bytes(array(bytes, 4)?), u32::from_le_bytes(array(bytes, 20)?));
            let sum = u64::from_le_bytes(array(bytes, 24)?);
            Some((Self { of, index, bytes: bytes.slice(HEAD..) }, sum))
        };
        let (part, sum) = read().ok_or(Malformed::Truncated)?;
        if part.sum() == sum { Ok(part) } else { Err(Malformed::Checksum) }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(HEAD + self.bytes.len());
        out.extend_from_slice(&MARK);
        out.extend_from_slice(&self.of.to_le_bytes());
        out.extend_from_slice(&self.index.to_le_bytes());
        out.extend_from_slice(&self.sum().to_le_bytes());
        out.extend_from_slice(&self.bytes);
        out.into()
    }

    /// The bytes, if they are this part of this body.
    pub(crate) fn of(&self, manifest: &Manifest, index: u32) -> Option<Bytes> {
        let is_it = self.of == manifest.id && self.index == index && manifest.len_of(index) == Some(self.bytes.len());
        is_it.then(|| self.bytes.clone())
    }

    /// Its size in bytes.
    pub(crate) fn len(&self) -> usize {
        HEAD + self.bytes.len()
    }

    fn sum(&self) -> u64 {
        let mut hash = Xxh3::new();
        hash.update(&self.of.to_le_bytes());
        hash.update(&self.index.to_le_bytes());
        hash.update(&self.bytes);
        hash.digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_divides_into_parts() {
        let whole = PART as u64;
        for (len, lengths) in
            [(1, &[1][..]), (whole, &[PART]), (whole + 1, &[PART, 1]), (3 * whole - 1, &[PART, PART, PART - 1])]
        {
            let manifest = Manifest::new(7, len);
            assert_eq!(Manifest::read(&manifest.write()), Some(manifest));
            let count = manifest.count();
            let found: Vec<_> = (0..count).map(|index| manifest.len_of(index).unwrap()).collect();
            assert_eq!((&found[..], manifest.len_of(count)), (lengths, None), "{len}");
        }
    }

    #[test]
    fn a_part_is_taken_for_no_other() {
        let (manifest, other) = (Manifest::new(7, PART as u64 + 3), Manifest::new(8, PART as u64 + 3));
        let part = Part::decode(&Part::new(7, 1, Bytes::from_static(b"end")).encode()).unwrap();
        assert_eq!(part.of(&manifest, 1).unwrap(), "end");
        assert_eq!(part.of(&manifest, 0), None);
        assert_eq!(part.of(&other, 1), None, "of another fill");
        assert_eq!(part.of(&Manifest::new(7, PART as u64 + 4), 1), None, "too short");
    }

    #[test]
    fn no_changed_byte_of_a_part_goes_unnoticed() {
        let good = Part::new(7, 1, Bytes::from_static(b"bytes")).encode();
        for at in 0..good.len() {
            let mut bad = good.to_vec();
            bad[at] ^= 1;
            assert!(Part::decode(&bad.into()).is_err(), "byte {at}");
            assert!(Part::decode(&good.slice(..at)).is_err(), "{at} bytes");
        }
    }
}
