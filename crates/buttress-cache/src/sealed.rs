//! How small records are written: parts, each behind its length, and a checksum behind them all.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::block::array;
use crate::entry::Malformed;

/// What [`seal`] adds, in bytes.
pub(crate) const SUM: usize = 8;

/// Adds a part behind its length.
pub(crate) fn push_part(out: &mut Vec<u8>, part: &[u8]) {
    out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(part);
}

/// The part that begins at `at`, and where the next one does.
pub(crate) fn part(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let len = usize::try_from(u32::from_le_bytes(array(bytes, at)?)).ok()?;
    let end = (at + 4).checked_add(len)?;
    Some((bytes.get(at + 4..end)?, end))
}

/// Adds the checksum of all that is there.
pub(crate) fn seal(mut out: Vec<u8>) -> Bytes {
    let sum = xxh3_64(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out.into()
}

/// What was sealed, if it is still that.
pub(crate) fn opened(bytes: &[u8]) -> Result<&[u8], Malformed> {
    let at = bytes.len().checked_sub(SUM).ok_or(Malformed::Truncated)?;
    let sum = array(bytes, at).ok_or(Malformed::Truncated)?;
    if xxh3_64(&bytes[..at]) == u64::from_le_bytes(sum) { Ok(&bytes[..at]) } else { Err(Malformed::Checksum) }
}
