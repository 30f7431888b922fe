//! The shared store: one Redis string for each record, and a lease beside it while it is being filled.

use std::fmt;
use std::time::Duration;

use buttress_redis::{Error, Mode, Redis, Reply, SEAL_LEN, Script, seal, unseal};
use bytes::Bytes;
use metrics::counter;

use crate::entry::{LARGE, Malformed, SUM_AT};
use crate::key::{self, Key};
use crate::lease::LEASE;
use crate::manifest::{Manifest, Part};
use crate::packed;
use crate::parts::FAREWELL;
use crate::record::Record;

static FILL: Script = Script::new("fill", include_str!("scripts/fill.lua"));
static FORGET_KNOWN: Script = Script::new("forget-known", include_str!("scripts/forget_known.lua"));
static FORGET: Script = Script::new("forget", include_str!("scripts/forget.lua"));
static PARTS: Script = Script::new("parts", include_str!("scripts/parts.lua"));
static CLAIM: Script = Script::new("lease", include_str!("scripts/lease.lua"));
static RELEASE: Script = Script::new("release", include_str!("scripts/release.lua"));
static RENEW: Script = Script::new("renew", include_str!("scripts/renew.lua"));
static REPLACE: Script = Script::new("replace", include_str!("scripts/replace.lua"));

/// Records in Redis.
pub(crate) struct RedisStore {
    redis: Redis,
    prefix: String,
    /// Whether what is read will be kept: then it must not pin the socket's buffer, and is copied out.
    copies: bool,
    /// Whether what is written is compressed where that is worth it. What is read may be, in any case.
    packs: bool,
}

/// What stands under a key that somebody wants to fill.
#[derive(Debug)]
pub(crate) enum Claimed {
    Found(Record),
    /// Bytes that are no record, with what tells them from others.
    Unreadable(Bytes),
    Held,
    Mine,
}

// === impl RedisStore ===

impl RedisStore {
    /// Entries may be large, so they travel on the connection for large values.
    pub(crate) fn new(redis: &Redis, prefix: &str, copies: bool, packs: bool) -> Self {
        Self { redis: redis.bodies(), prefix: prefix.to_owned(), copies, packs }
    }

    /// The record for `key`. What cannot be read, or is another key's, is absent.
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Record>, Error> {
        let found = self.redis.get(key.redis(&self.prefix)).await?;
        Ok(found.and_then(|bytes| self.record(bytes, key)))
    }

    /// The records for many keys, in their order.
    #[cfg(feature = "memo")]
    pub(crate) async fn get_many(&self, keys: &[&Key]) -> Result<Vec<Option<Record>>, Error> {
        let names: Vec<_> = keys.iter().map(|key| key.redis(&self.prefix)).collect();
        let found = self.redis.get_many(&names).await?;
        Ok(found.into_iter().zip(keys).map(|(bytes, key)| self.record(bytes?, key)).collect())
    }

    /// Keeps `record` for as long as `keep`, under a key that nobody else can know.
    pub(crate) async fn put(&self, key: &Key, record: &Record, keep: Duration) -> Result<(), Error> {
        self.redis.set(key.redis(&self.prefix), self.at_rest(record), Some(keep), Mode::Always).await?;
        Ok(())
    }

    /// Asks for the lease on a key; for the record instead when there is one by now that is not the `known` one.
    pub(crate) async fn claim(&self, key: &Key, token: &Bytes, known: Option<&[u8]>) -> Result<Claimed, Error> {
        let name = key.redis(&self.prefix);
        let known = known.map_or_else(Bytes::new, |sum| [b"=", sum].concat().into());
        let args = [token.clone(), number(millis(LEASE)), number((SEAL_LEN + SUM_AT) as u64), known];
        Ok(match self.redis.run(&CLAIM, &[&name, &lease(&name)], &args).await? {
            Reply::Int(0) => Claimed::Mine,
            Reply::Bytes(sealed) => {
                let sum = sealed.get(SEAL_LEN + SUM_AT..).map_or(&[][..], |rest| &rest[..rest.len().min(8)]);
                let sum = Bytes::copy_from_slice(sum);
                let record = unseal(name.as_bytes(), sealed).and_then(|bytes| self.record(bytes, key));
                record.map_or(Claimed::Unreadable(sum), Claimed::Found)
            }
            _ => Claimed::Held,
        })
    }

    /// Keeps `record` if the lease is still the token's. Answers whether it was.
    pub(crate) async fn fill(&self, key: &Key, token: &Bytes, record: &Record, keep: Duration) -> Result<bool, Error> {
        let name = key.redis(&self.prefix);
        let Some(sealed) = seal(name.as_bytes(), &self.at_rest(record)) else { return Ok(false) };
        let args = [token.clone(), sealed, number(millis(keep)), Bytes::new()];
        self.ask(&FILL, &[&name, &lease(&name)], &args).await
    }

    /// Marks a key as coming to nothing if the lease is still the token's and no record stands there.
    pub(crate) async fn mark(&self, key: &Key, token: &Bytes, keep: Duration) -> Result<bool, Error> {
        let name = key.redis(&self.prefix);
        let Some(sealed) = seal(name.as_bytes(), &Record::Pass.encode()) else { return Ok(false) };
        let args = [token.clone(), sealed, number(millis(keep)), Bytes::from_static(b"absent")];
        self.ask(&FILL, &[&name, &lease(&name)], &args).await
    }

    /// Prolongs a lease. Answers whether it was still the token's.
    pub(crate) async fn renew(&self, key: &Key, token: &Bytes) -> Result<bool, Error> {
        let lease = lease(&key.redis(&self.prefix));
        self.ask(&RENEW, &[&lease], &[token.clone(), number(millis(LEASE))]).await
    }

    /// Ends a lease without a record.
    pub(crate) async fn release(&self, key: &Key, token: &Bytes) -> Result<bool, Error> {
        self.ask(&RELEASE, &[&lease(&key.redis(&self.prefix))], std::slice::from_ref(token)).await
    }

    /// Keeps `record` if what stands there has these bytes in this place. Answers whether it did.
    pub(crate) async fn replace(
        &self,
        key: &Key,
        at: usize,
        known: Bytes,
        record: &Record,
        keep: Duration,
    ) -> Result<bool, Error> {
        let name = key.redis(&self.prefix);
        let Some(sealed) = seal(name.as_bytes(), &self.at_rest(record)) else { return Ok(false) };
        self.ask(&REPLACE, &[&name], &[known, number((SEAL_LEN + at) as u64), sealed, number(millis(keep))]).await
    }

    /// Forgets the record for `key`, and refuses it to whoever is filling it.
    pub(crate) async fn forget(&self, key: &Key) -> Result<(), Error> {
        let name = key.redis(&self.prefix);
        let news = key::news_of_record(&self.prefix, key);
        let kind = [number((SEAL_LEN + LARGE.len() - 1) as u64), Bytes::copy_from_slice(&LARGE[LARGE.len() - 1..])];
        let large = self.redis.run(&FORGET, &[&name, &lease(&name), &news], &kind).await?.into_bytes();
        let large = large.and_then(|sealed| unseal(name.as_bytes(), sealed)).and_then(|bytes| self.record(bytes, key));
        if let Some(Record::Entry(entry)) = large
            && let Some(manifest) = entry.manifest()
        {
            self.touch_parts(key, &manifest, Some(FAREWELL)).await?;
        }
        Ok(())
    }

    /// Forgets the record for `key`, if it is the one with this sum.
    pub(crate) async fn forget_known(&self, key: &Key, sum: Bytes) -> Result<(), Error> {
        let (name, news) = (key.redis(&self.prefix), key::news_of_record(&self.prefix, key));
        self.ask(&FORGET_KNOWN, &[&name, &news], &[sum, number((SEAL_LEN + SUM_AT) as u64)]).await?;
        Ok(())
    }

    /// Writes a part of a large body.
    pub(crate) async fn put_part(
        &self,
        key: &Key,
        manifest: &Manifest,
        index: u32,
        part: &Part,
        keep: Duration,
    ) -> Result<(), Error> {
        let name = manifest.redis(&key.redis(&self.prefix), index);
        self.redis.set(name, part.encode(), Some(keep), Mode::Always).await?;
        Ok(())
    }

    /// A part of a large body.
    pub(crate) async fn part(&self, key: &Key, manifest: &Manifest, index: u32) -> Result<Option<Part>, Error> {
        let found = self.redis.get(manifest.redis(&key.redis(&self.prefix), index)).await?;
        Ok(found.and_then(|bytes| self.readable(Part::decode(&self.detached(bytes)))))
    }

    /// Whether all parts of a body are there. With a time, lets them live so long from now.
    pub(crate) async fn touch_parts(
        &self,
        key: &Key,
        manifest: &Manifest,
        keep: Option<Duration>,
    ) -> Result<bool, Error> {
        let record = key.redis(&self.prefix);
        let names: Vec<_> = (0..manifest.count()).map(|index| manifest.redis(&record, index)).collect();
        let keep = keep.map_or_else(Bytes::new, |keep| number(millis(keep)));
        let found = self.redis.run(&PARTS, &names, &[keep]).await?.as_int();
        Ok(found == Some(i64::from(manifest.count())))
    }

    /// The bytes of a record as they lie in Redis.
    fn at_rest(&self, record: &Record) -> Bytes {
        match record {
            Record::Entry(entry) if self.packs => packed::pack(entry).unwrap_or_else(|| record.encode()),
            _ => record.encode(),
        }
    }

    fn record(&self, bytes: Bytes, key: &Key) -> Option<Record> {
        // What is unpacked is a copy already.
        let bytes = if packed::is_packed(&bytes) { bytes } else { self.detached(bytes) };
        self.readable(Record::decode(bytes, key))
    }

    /// Without the socket's buffer, if the bytes are to be kept.
    fn detached(&self, bytes: Bytes) -> Bytes {
        if self.copies { Bytes::copy_from_slice(&bytes) } else { bytes }
    }

    fn readable<T>(&self, record: Result<T, Malformed>) -> Option<T> {
        if let Err(why) = &record {
            counter!("buttress_cache_bad_records_total", "reason" => why.as_str()).increment(1);
        }
        record.ok()
    }

    async fn ask(&self, script: &Script, keys: &[&String], args: &[Bytes]) -> Result<bool, Error> {
        Ok(self.redis.run(script, keys, args).await?.as_int() == Some(1))
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Beside its record, on the same node of a cluster.
fn lease(name: &str) -> String {
    format!("{name}:lease")
}

fn number(number: u64) -> Bytes {
    number.to_string().into()
}

/// At least one: zero would be an error to Redis.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX as u64 / 2)
}
