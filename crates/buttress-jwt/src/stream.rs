//! Revocations in Redis: published by one script, looked up by another, and checked for loss.

use std::time::Duration;

use buttress_redis::{Consumer, Error, Redis, Reply, Script, StreamId};
use bytes::Bytes;

use crate::key;
use crate::mark::Kind;
use crate::revocation::Entry;
use crate::token::Token;

static PUBLISH: Script = Script::new("revoke", include_str!("scripts/publish.lua"));
static GREET: Script = Script::new("greet-revocations", include_str!("scripts/greet.lua"));
static RENEW: Script = Script::new("renew-revocations", include_str!("scripts/renew.lua"));
static LOOKUP: Script = Script::new("look-up-revocations", include_str!("scripts/lookup.lua"));

/// The stream of one prefix.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    redis: Redis,
    prefix: String,
}

/// Which stream it is: another one is not what was read, whatever it holds.
pub(crate) type Epoch = Bytes;

/// How the stream was found.
#[derive(Debug)]
pub(crate) struct Greeting {
    pub(crate) epoch: Epoch,
    /// The witness is there.
    pub(crate) whole: bool,
    /// Nobody was here before; or all was lost.
    pub(crate) created: bool,
}

/// Scripts stay short: so many entries at once.
pub(crate) const BATCH: usize = 200;

// === impl Stream ===

impl Stream {
    pub(crate) fn new(redis: Redis, prefix: String) -> Self {
        Self { redis, prefix }
    }

    pub(crate) fn redis(&self) -> &Redis {
        &self.redis
    }

    /// The key that decides where in a cluster all of it lies.
    pub(crate) fn place(&self) -> String {
        key::about(&self.prefix)
    }

    /// Publishes entries, at most a [`BATCH`]. Doing it twice does no harm.
    pub(crate) async fn publish(&self, entries: &[Entry], now: u64) -> Result<(), Error> {
        let marks = entries.iter().map(|entry| key::mark(&self.prefix, entry.mark));
        let keys: Vec<_> = [key::news(&self.prefix), key::about(&self.prefix)].into_iter().chain(marks).collect();
        let of_entry = |entry: &Entry| {
            let left = entry.until.saturating_sub(now).max(1);
            [entry.cutoff.to_string().into(), left.to_string().into(), Bytes::copy_from_slice(&entry.encode())]
        };
        let args: Vec<Bytes> = std::iter::once(new_epoch()).chain(entries.iter().flat_map(of_entry)).collect();
        self.redis.run(&PUBLISH, &keys, &args).await.map(drop)
    }

    /// Says hello over the connection that the stream is read by. The witness is an entry that was read: where it is, there are those before it.
    pub(crate) async fn greet(&self, consumer: &mut Consumer, witness: Option<StreamId>) -> Result<Greeting, Error> {
        let keys = [key::news(&self.prefix), key::about(&self.prefix)];
        let witness = witness.map(|witness| witness.to_string()).unwrap_or_default();
        let args = [new_epoch(), witness.into()];
        let mut parts = consumer.run(&GREET, &keys, &args).await?.into_list().unwrap_or_default().into_iter();
        let epoch = parts.next().and_then(Reply::into_bytes);
        let mut flag = || parts.next().and_then(|part| part.as_int());
        match (epoch, flag(), flag()) {
            (Some(epoch), Some(whole), Some(created)) => {
                Ok(Greeting { epoch: Bytes::copy_from_slice(&epoch), whole: whole == 1, created: created == 1 })
            }
            _ => Err(Error::malformed("a greeting of another shape")),
        }
    }

    /// Begins a new epoch in place of this one; answers which holds now.
    pub(crate) async fn renew(&self, lost: &Epoch) -> Result<Epoch, Error> {
        let answer = self.redis.run(&RENEW, &[key::about(&self.prefix)], &[lost.clone(), new_epoch()]).await?;
        let epoch = answer.into_bytes().ok_or_else(|| Error::malformed("an epoch of another shape"))?;
        Ok(Bytes::copy_from_slice(&epoch))
    }

    /// What has been published after an entry, waiting for it so long.
    pub(crate) async fn read(
        &self,
        consumer: &mut Consumer,
        after: StreamId,
        limit: u32,
        wait: Option<Duration>,
    ) -> Result<Vec<(StreamId, Option<Entry>)>, Error> {
        let entries = consumer.read(key::news(&self.prefix), after, limit, wait).await?;
        let record =
            |fields: &[(Bytes, Bytes)]| fields.iter().find(|(name, _)| name == "r").map(|(_, value)| value.clone());
        Ok(entries
            .into_iter()
            .map(|entry| (entry.id, record(&entry.fields).and_then(|record| Entry::decode(&record))))
            .collect())
    }

    /// Asks Redis whether a token was revoked; none if this is not the stream of that epoch, so that its silence says nothing.
    pub(crate) async fn look_up(&self, token: &Token, epoch: Option<&Epoch>) -> Result<Option<Option<Kind>>, Error> {
        let marks = token.marks();
        let names = marks.iter().map(|(_, mark)| key::mark(&self.prefix, mark));
        let keys: Vec<_> = std::iter::once(key::about(&self.prefix)).chain(names).collect();
        let mut parts = self.redis.run(&LOOKUP, &keys, &[]).await?.into_list().unwrap_or_default().into_iter();
        let found = parts.next().and_then(Reply::into_bytes).unwrap_or_default();
        if parts.len() + 1 != keys.len() {
            return Err(Error::malformed("another number of cut-offs"));
        }
        if found.is_empty() || epoch.is_some_and(|epoch| *epoch != found) {
            return Ok(None);
        }
        let revoked = marks.iter().zip(parts).find_map(|((kind, _), cutoff)| {
            let cutoff = cutoff.into_bytes().filter(|text| !text.is_empty())?;
            // What is there and cannot be read revokes: somebody meant something by it.
            let cutoff = std::str::from_utf8(&cutoff).ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
            token.claims().issued.is_none_or(|issued| issued <= cutoff).then_some(kind)
        });
        Ok(Some(revoked))
    }
}

fn new_epoch() -> Epoch {
    data_encoding::HEXLOWER.encode(&rand::random::<[u8; 8]>()).into()
}
