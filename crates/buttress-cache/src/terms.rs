//! The terms of reuse in a record: 32 bytes.

use std::time::Duration;

pub(crate) use buttress_rfc9111::freshness::Terms;
use buttress_rfc9111::freshness::{LifetimeSource, Staleness};

use crate::block::array;
use crate::millis::{from_millis, to_millis};

/// How many bytes [`write`] appends and [`read`] takes.
pub(crate) const LEN: usize = 32;

const NO_CACHE: u8 = 1;
const IMMUTABLE: u8 = 2;
const ABSENT: u32 = u32::MAX;

pub(crate) fn write(terms: &Terms, out: &mut Vec<u8>) {
    let initial_age = u64::try_from(terms.initial_age.as_millis()).unwrap_or(u64::MAX);
    out.extend_from_slice(&to_millis(terms.response_time).to_le_bytes());
    out.extend_from_slice(&initial_age.to_le_bytes());
    out.extend_from_slice(&seconds(terms.lifetime).to_le_bytes());
    out.extend_from_slice(&seconds(terms.stale_while_revalidate).to_le_bytes());
    out.extend_from_slice(&terms.stale_if_error.map_or(ABSENT, seconds).to_le_bytes());
    let no_cache = if terms.no_cache { NO_CACHE } else { 0 };
    let immutable = if terms.immutable { IMMUTABLE } else { 0 };
    out.extend_from_slice(&[terms.source.code(), terms.staleness.code(), no_cache | immutable, 0]);
}

/// `None` for codes that this version does not know.
pub(crate) fn read(at: &[u8]) -> Option<Terms> {
    let seconds = |place| Some(u32::from_le_bytes(array(at, place)?));
    let flags = *at.get(30)?;
    Some(Terms {
        response_time: from_millis(u64::from_le_bytes(array(at, 0)?)),
        initial_age: Duration::from_millis(u64::from_le_bytes(array(at, 8)?)),
        lifetime: Duration::from_secs(seconds(16)?.into()),
        stale_while_revalidate: Duration::from_secs(seconds(20)?.into()),
        stale_if_error: Some(seconds(24)?).filter(|&s| s != ABSENT).map(|s| Duration::from_secs(s.into())),
        source: LifetimeSource::from_code(*at.get(28)?)?,
        staleness: Staleness::from_code(*at.get(29)?)?,
        no_cache: flags & NO_CACHE != 0,
        immutable: flags & IMMUTABLE != 0,
    })
}

/// Whole seconds, rounded down: a response becomes stale too early rather than too late.
fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(ABSENT - 1)
}
