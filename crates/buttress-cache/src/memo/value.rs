//! Values as bytes in an entry, and decoded in this process.
//!
//! ```text
//! body := 0            the loader said that there is none
//!       | 1 postcard   the value
//! ```

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use metrics::counter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, Weighter};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::entry::Entry;

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;
/// What a decoded value costs beside itself.
const OVERHEAD: u64 = 128;

/// Decoded values, by the identity of their entry. A value is taken to be as large as its encoding.
pub(crate) struct Values {
    kept: OnceLock<Cache<u64, Kept, Size>>,
    capacity: u64,
}

/// A value, or that there is none.
#[derive(Clone)]
struct Kept {
    value: Option<Arc<dyn Any + Send + Sync>>,
    size: u64,
}

#[derive(Clone)]
struct Size;

// === impl Values ===

impl Values {
    /// As much as the entries may take, at most: nothing before the first value.
    pub(crate) fn new(capacity: u64) -> Self {
        Self { kept: OnceLock::new(), capacity }
    }

    /// The value in an entry. `None` if it is not one of this type.
    pub(crate) fn of<V>(&self, entry: &Entry) -> Option<Option<Arc<V>>>
    where
        V: DeserializeOwned + Send + Sync + 'static,
    {
        if let Some(Kept { value, .. }) = self.kept().get(&entry.id()) {
            return match value {
                None => Some(None),
                Some(value) => value.downcast().ok().map(Some),
            };
        }
        let decoded = decode(&entry.body());
        if decoded.is_none() {
            counter!("buttress_cache_bad_records_total", "reason" => "value").increment(1);
        }
        let value = decoded?.map(Arc::new);
        self.keep(entry, value.clone());
        Some(value)
    }

    /// Keeps the value of an entry.
    pub(crate) fn keep<V: Send + Sync + 'static>(&self, entry: &Entry, value: Option<Arc<V>>) {
        let value = value.map(|value| value as Arc<dyn Any + Send + Sync>);
        self.kept().insert(entry.id(), Kept { value, size: entry.body_len() + OVERHEAD });
    }

    fn kept(&self) -> &Cache<u64, Kept, Size> {
        self.kept.get_or_init(|| {
            let estimated = usize::try_from(self.capacity / 1024).unwrap_or(usize::MAX).clamp(16, 1 << 20);
            Cache::with(estimated, self.capacity, Size, DefaultHashBuilder::default(), DefaultLifecycle::default())
        })
    }
}

impl Weighter<u64, Kept> for Size {
    fn weight(&self, _: &u64, kept: &Kept) -> u64 {
        kept.size
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").field("len", &self.kept.get().map_or(0, Cache::len)).finish_non_exhaustive()
    }
}

/// `None` for a value that cannot be encoded: then it is not stored.
pub(crate) fn encode<V: Serialize>(value: Option<&V>) -> Option<Vec<u8>> {
    match value {
        None => Some(vec![ABSENT]),
        Some(value) => postcard::to_extend(value, vec![PRESENT]).ok(),
    }
}

fn decode<V: DeserializeOwned>(body: &Bytes) -> Option<Option<V>> {
    match body.split_first()? {
        (&ABSENT, []) => Some(None),
        (&PRESENT, encoded) => match postcard::take_from_bytes(encoded) {
            Ok((value, [])) => Some(Some(value)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_went_in() {
        let value = ("text".to_owned(), -7_i64, vec![1_u8, 2]);
        assert_eq!(decode(&encode(Some(&value)).unwrap().into()), Some(Some(value)));
        assert_eq!(decode::<u64>(&encode::<u64>(None).unwrap().into()), Some(None));
    }

    #[test]
    fn what_is_no_value_is_none() {
        for bytes in [&b""[..], b"\x02", b"\x00x", b"\x01", b"\x01\x05", b"\x01\x03abcd"] {
            assert_eq!(decode::<String>(&Bytes::from_static(bytes)), None, "{bytes:?}");
        }
    }
}
