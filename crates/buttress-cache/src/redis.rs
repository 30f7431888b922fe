//! The shared store: one Redis string for each record.

use std::fmt;
use std::time::Duration;

use buttress_redis::{Error, Mode, Redis};
use bytes::Bytes;
use metrics::counter;

use crate::key::Key;
use crate::record::Record;

/// Records in Redis.
pub(crate) struct RedisStore {
    redis: Redis,
    prefix: String,
    /// Whether what is read will be kept: then it must not pin the socket's buffer, and is copied out.
    copies: bool,
}

// === impl RedisStore ===

impl RedisStore {
    /// Entries may be large, so they travel on the connection for large values.
    pub(crate) fn new(redis: &Redis, prefix: &str, copies: bool) -> Self {
        Self { redis: redis.bodies(), prefix: prefix.to_owned(), copies }
    }

    /// The record for `key`. What cannot be read, or is another key's, is absent.
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Record>, Error> {
        let Some(bytes) = self.redis.get(key.redis(&self.prefix)).await? else { return Ok(None) };
        let bytes = if self.copies { Bytes::copy_from_slice(&bytes) } else { bytes };
        match Record::decode(bytes, key) {
            Ok(record) => Ok(Some(record)),
            Err(why) => {
                counter!("buttress_cache_bad_records_total", "reason" => why.as_str()).increment(1);
                Ok(None)
            }
        }
    }

    /// Keeps `record` for as long as `keep`.
    pub(crate) async fn put(&self, key: &Key, record: &Record, keep: Duration) -> Result<(), Error> {
        if let Some(bytes) = record.encode() {
            self.redis.set(key.redis(&self.prefix), bytes, Some(keep), Mode::Always).await?;
        }
        Ok(())
    }

    /// Forgets the record for `key`.
    pub(crate) async fn remove(&self, key: &Key) -> Result<(), Error> {
        self.redis.delete(key.redis(&self.prefix)).await?;
        Ok(())
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
