//! What is counted of one series, and how it is written down.
//!
//! A record is an array of MessagePack, which Redis' scripts can add up (`cmsgpack`): the count; for a distribution also the sum, and the buckets that
//! are not empty with their counts, `[count, sum, bucket, count, bucket, count, …]`.

use rmp::decode;
use rmp::{Marker, encode};

use crate::histogram::{self, Buckets};

/// How often, and how much.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    /// Of what was observed.
    pub(crate) sum: f64,
    pub(crate) buckets: Buckets,
}

/// Numbers beyond it are not exact in a script.
pub(crate) const MOST: u64 = 1 << 53;

// === impl Tally ===

impl Tally {
    pub(crate) fn add(&mut self, count: u64) {
        self.count = self.count.saturating_add(count).min(MOST);
    }

    pub(crate) fn observe(&mut self, value: f64) {
        self.add(1);
        self.sum += value;
        self.buckets.add(histogram::bucket(value), 1);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.add(other.count);
        self.sum += other.sum;
        self.buckets.merge(&other.buckets);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// About how many bytes it takes in memory.
    pub(crate) fn weight(&self) -> usize {
        64 + 16 * self.buckets.len()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut record = Vec::with_capacity(16 + 4 * self.buckets.len());
        let length = if self.buckets.is_empty() { 1 } else { 2 + 2 * self.buckets.len() };
        // Writing to a vector does not fail, and no array here is as long as 2³².
        let mut write = || -> Result<(), encode::ValueWriteError> {
            encode::write_array_len(&mut record, length as u32)?;
            encode::write_uint(&mut record, self.count)?;
            if !self.buckets.is_empty() {
                encode::write_f64(&mut record, self.sum)?;
            }
            for (bucket, count) in self.buckets.iter() {
                encode::write_sint(&mut record, bucket.into())?;
                encode::write_uint(&mut record, count)?;
            }
            Ok(())
        };
        write().expect("memory takes it");
        record
    }

    /// `None` for what is no such record.
    pub(crate) fn decode(mut record: &[u8]) -> Option<Self> {
        let length = decode::read_array_len(&mut record).ok()?;
        let count = read_number(&mut record)? as u64;
        if length == 1 {
            return record.is_empty().then_some(Self { count, ..Self::default() });
        }
        let sum = read_number(&mut record)?;
        let pairs = (length.checked_sub(2)? % 2 == 0).then_some(length / 2 - 1)?;
        let mut buckets = Buckets::default();
        for _ in 0..pairs {
            buckets.add(read_number(&mut record)? as i16, read_number(&mut record)? as u64);
        }
        record.is_empty().then_some(Self { count, sum, buckets })
    }
}

/// A number, however a script has written it. A float that is negative or too large becomes the nearest count when it is taken for one.
fn read_number(record: &mut &[u8]) -> Option<f64> {
    match Marker::from_u8(*record.first()?) {
        Marker::F32 => decode::read_f32(record).ok().map(f64::from),
        Marker::F64 => decode::read_f64(record).ok(),
        _ => decode::read_int::<i64, _>(record).ok().map(|number| number as f64),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_tally() -> impl Strategy<Value = Tally> {
        let buckets = prop::collection::vec((histogram::LOWEST..=histogram::HIGHEST, 1..1_000_000_u64), 0..60);
        (0..MOST, -1e9..1e9_f64, buckets).prop_map(|(count, sum, buckets)| {
            let sum = if buckets.is_empty() { 0.0 } else { sum };
            Tally { count, sum, buckets: buckets.into_iter().collect() }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(tally in any_tally()) {
            prop_assert_eq!(Tally::decode(&tally.encode()), Some(tally));
        }

        #[test]
        fn garbage_is_none_and_does_no_harm(record in prop::collection::vec(any::<u8>(), 0..64)) {
            drop(Tally::decode(&record).map(|tally| tally.encode()));
        }
    }

    #[test]
    fn a_count_takes_few_bytes() {
        assert_eq!(Tally { count: 1, ..Tally::default() }.encode().len(), 2);
        assert_eq!(Tally { count: 60_000, ..Tally::default() }.encode().len(), 4);
    }

    #[test]
    fn no_record() {
        for record in [
            &b""[..],
            b"\x90",
            b"hello",
            b"\x92\x01\x02\x03",
            b"\x93\x01\x02\x03",
            b"\x91\xc0",
            b"\x91\xa1a",
            b"\xdd\xff\xff\xff\xff\x01",
        ] {
            assert_eq!(Tally::decode(record), None, "{record:?}");
        }
    }
}
