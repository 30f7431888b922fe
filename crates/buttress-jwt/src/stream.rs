//! Revocations in Redis: published by one script, looked up by another, and checked for loss by a third.

use std::time::Duration;

use buttress_redis::{Consumer, Error, Eviction, Redis, Reply, Script, StreamId};
use bytes::Bytes;

use crate::claims::whole_millis;
use crate::key;
use crate::mark::Kind;
use crate::revocation::Entry;
use crate::token::Token;

static PUBLISH: Script =
    Script::new("revoke", concat!(include_str!("scripts/here.lua"), include_str!("scripts/publish.lua")));
static GREET: Script =
    Script::new("greet-revocations", concat!(include_str!("scripts/here.lua"), include_str!("scripts/greet.lua")));
static MENDING: Script =
    Script::new("mend-revocations", concat!(include_str!("scripts/here.lua"), include_str!("scripts/mending.lua")));
static LOOKUP: Script =
    Script::new("look-up-revocations", concat!(include_str!("scripts/here.lua"), include_str!("scripts/lookup.lua")));

/// The stream of one prefix.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    redis: Redis,
    prefix: String,
}

/// Which stream it is: another one is not what was read, whatever it holds.
pub(crate) type Epoch = Bytes;

/// How the stream was found.
#[derive(Clone, Debug)]
pub(crate) struct Greeting {
    pub(crate) epoch: Epoch,
    /// For how many milliseconds it has been the epoch, by the server's clock.
    pub(crate) age: u64,
    /// How many are telling again what they know.
    pub(crate) menders: u64,
}

/// Who asks how the stream is, and what it has read of it.
#[derive(Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) name: &'a Bytes,
    pub(crate) epoch: Option<&'a Epoch>,
    /// An entry that was read, and until when it matters: where it is, there are those before it.
    pub(crate) witness: Option<(StreamId, u64)>,
}

/// The way to Redis.
#[derive(Debug)]
pub(crate) enum Way<'a> {
    /// That of all commands.
    Shared,
    /// A connection of one's own.
    Own(&'a mut Consumer),
}

/// Scripts stay short: so many entries at once.
pub(crate) const BATCH: usize = 200;
/// One who has to tell again what it knows is waited for so long after it was last heard of, in milliseconds.
const PATIENCE: u64 = 5_000;

// === impl Stream ===

impl Stream {
    pub(crate) fn new(redis: Redis, prefix: String) -> Self {
        Self { redis, prefix }
    }

    pub(crate) fn redis(&self) -> &Redis {
        &self.redis
    }

    /// Whether the server may drop what it was told to keep.
    pub(crate) async fn eviction(&self) -> Result<Option<Eviction>, Error> {
        self.redis.eviction().await
    }

    /// Publishes entries, at most a [`BATCH`]. Doing it twice does no harm, and tells the stream once, unless it is to be told `again`.
    pub(crate) async fn publish(&self, way: Way<'_>, entries: &[Entry], again: bool, now: u64) -> Result<(), Error> {
        let marks = entries.iter().map(|entry| key::mark(&self.prefix, entry.mark));
        let keys: Vec<_> = [key::news(&self.prefix), key::about(&self.prefix)].into_iter().chain(marks).collect();
        let of_entry = |entry: &Entry| {
            [entry.cutoff.to_string().into(), entry.until.to_string().into(), Bytes::copy_from_slice(&entry.encode())]
        };
        let args = [now.to_string().into(), Bytes::from_static(if again { b"1" } else { b"" })];
        let args: Vec<Bytes> = args.into_iter().chain(entries.iter().flat_map(of_entry)).collect();
        match way {
            Way::Shared => self.redis.run(&PUBLISH, &keys, &args).await,
            Way::Own(consumer) => consumer.run(&PUBLISH, &keys, &args).await,
        }
        .map(drop)
    }

    /// Says hello over the connection that the stream is read by. Who has read another epoch is waited for from now on.
    pub(crate) async fn greet(&self, consumer: &mut Consumer, asker: Asker<'_>) -> Result<Greeting, Error> {
        let keys = [key::news(&self.prefix), key::about(&self.prefix), key::mending(&self.prefix)];
        let (witness, until) = asker.witness.map(|(id, until)| (id.to_string(), until)).unwrap_or_default();
        let args = [
            new_word(),
            asker.epoch.cloned().unwrap_or_default(),
            witness.into(),
            until.to_string().into(),
            asker.name.clone(),
            PATIENCE.to_string().into(),
        ];
        let mut parts = consumer.run(&GREET, &keys, &args).await?.into_list().unwrap_or_default().into_iter();
        let epoch = parts.next().and_then(Reply::into_bytes);
        let mut number = || parts.next().and_then(|part| u64::try_from(part.as_int()?).ok());
        match (epoch, number(), number()) {
            (Some(epoch), Some(age), Some(menders)) => {
                Ok(Greeting { epoch: Bytes::copy_from_slice(&epoch), age, menders })
            }
            _ => Err(Error::malformed("a greeting of another shape")),
        }
    }

    /// Says that one who tells again what it knows is still at it, or is done.
    pub(crate) async fn mending(&self, consumer: &mut Consumer, name: &Bytes, is_done: bool) -> Result<(), Error> {
        let patience = if is_done { 0 } else { PATIENCE };
        let args = [name.clone(), patience.to_string().into()];
        consumer.run(&MENDING, &[key::mending(&self.prefix)], &args).await.map(drop)
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

    /// Asks Redis whether a token was revoked; none if its silence would say nothing: it is not the epoch that was read, if one was, or
    /// is younger than `settled`, or somebody is still telling again what was lost.
    pub(crate) async fn look_up(
        &self,
        token: &Token,
        epoch: Option<&Epoch>,
        settled: Duration,
    ) -> Result<Option<Option<Kind>>, Error> {
        let marks = token.marks();
        let names = marks.iter().map(|(_, mark)| key::mark(&self.prefix, mark));
        let keys: Vec<_> = [key::about(&self.prefix), key::mending(&self.prefix)].into_iter().chain(names).collect();
        let args = [whole_millis(settled).to_string().into()];
        let mut parts = self.redis.run(&LOOKUP, &keys, &args).await?.into_list().unwrap_or_default().into_iter();
        let found = parts.next().and_then(Reply::into_bytes).unwrap_or_default();
        if parts.len() + 2 != keys.len() {
            return Err(Error::malformed("another number of cut-offs"));
        }
        let revoked = marks.iter().zip(parts).find_map(|((kind, _), cutoff)| {
            let cutoff = cutoff.into_bytes().filter(|text| !text.is_empty())?;
            // Digits that are too many are a time beyond all times.
            let cutoff = std::str::from_utf8(&cutoff).ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
            token.claims().issued.is_none_or(|issued| issued <= cutoff).then_some(kind)
        });
        // What is found is true in any case.
        let says_all = !found.is_empty() && epoch.is_none_or(|epoch| *epoch == found);
        Ok(if revoked.is_some() || says_all { Some(revoked) } else { None })
    }
}

/// A word that nobody else has.
pub(crate) fn new_word() -> Bytes {
    data_encoding::HEXLOWER.encode(&rand::random::<[u8; 8]>()).into()
}
