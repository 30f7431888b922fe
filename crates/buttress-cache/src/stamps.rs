//! The ledger and the stamps in Redis. They share one hash tag, so that a script reaches them together.

use std::fmt;
use std::time::Duration;

use buttress_redis::{Error, Feed, Redis, Reply, Script};
use bytes::Bytes;

use crate::key;
use crate::ledger::{Generation, Ledger, MOST_SWEEPS, Stamp, Sweep};
use crate::recent::MOST_RECENT;
use crate::tag::Tag;

static PURGE_TAGS: Script =
    Script::new("purge-tags", concat!(include_str!("scripts/ledger.lua"), include_str!("scripts/purge_tags.lua")));
static READ: Script =
    Script::new("read-stamps", concat!(include_str!("scripts/ledger.lua"), include_str!("scripts/read.lua")));
static STAMP: Script = Script::new("stamp", include_str!("scripts/stamp.lua"));
static SWEEP: Script =
    Script::new("sweep", concat!(include_str!("scripts/ledger.lua"), include_str!("scripts/sweep.lua")));

/// A fill that takes longer is not stored.
pub(crate) const LONGEST_FILL: Duration = Duration::from_secs(3600);
/// How long a purge of a tag that nothing carries leaves a stamp. Entries keep theirs alive, and a fill that began before the purge is
/// refused without one as well (`stamp.lua`): it is there so that a fill which begins after the purge need not be.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The ledger and the stamps in Redis.
pub(crate) struct StampStore {
    redis: Redis,
    prefix: String,
}

/// What a read found.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) ledger: Ledger,
    /// In the order in which they were asked for. A stamp that is lost vouches for nothing.
    pub(crate) stamps: Vec<Option<Stamp>>,
}

/// What an announcement is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum News {
    Ledger,
    Tag(Tag),
    /// A record was forgotten; by the digest in its name.
    Record(String),
}

// === impl StampStore ===

impl StampStore {
    pub(crate) fn new(redis: &Redis, prefix: &str) -> Self {
        Self { redis: redis.clone(), prefix: prefix.to_owned() }
    }

    /// The ledger, and the stamps of these tags.
    pub(crate) async fn read(&self, tags: &[Tag], known: Generation) -> Result<Account, Error> {
        let keys: Vec<_> =
            std::iter::once(key::ledger(&self.prefix)).chain(tags.iter().map(|tag| self.stamp(tag))).collect();
        let reply = self.redis.run(&READ, &keys, &[known.to_string().into()]).await?;
        let mut parts = reply.into_list().unwrap_or_default().into_iter();
        let fields = parts.next().and_then(Reply::into_list).unwrap_or_default();
        let stamps = parts.next().and_then(Reply::into_list).unwrap_or_default();
        let mut stamps: Vec<_> =
            stamps.into_iter().map(|stamp| text(stamp).and_then(|text| Stamp::decode(&text))).collect();
        stamps.resize(tags.len(), None);
        Ok(Account { ledger: ledger_of(fields), stamps })
    }

    /// Purges tags.
    pub(crate) async fn purge_tags(&self, tags: &[Tag], soft: bool, known: Generation) -> Result<Generation, Error> {
        let begin = [key::ledger(&self.prefix), key::recent(&self.prefix)];
        let names = tags.iter().flat_map(|tag| [self.stamp(tag), key::news_of_tag(&self.prefix, tag)]);
        let keys: Vec<_> = begin.into_iter().chain(names).collect();
        let kind = Bytes::from_static(if soft { b"soft" } else { b"hard" });
        let args = [kind, millis(REMEMBERED), MOST_RECENT.to_string().into(), known.to_string().into()];
        Ok(generation(self.redis.run(&PURGE_TAGS, &keys, &args).await?))
    }

    /// Purges all within a scope, or everything.
    pub(crate) async fn sweep(
        &self,
        sweep: Option<&Sweep>,
        soft: bool,
        known: Generation,
    ) -> Result<Generation, Error> {
        let keys = [key::ledger(&self.prefix), key::news_of_ledger(&self.prefix)];
        let (floor, scope) = match (sweep, soft) {
            (Some(sweep), _) => ("", sweep.encode()),
            (None, true) => ("soft", String::new()),
            (None, false) => ("floor", String::new()),
        };
        let args = [floor.into(), scope.into(), MOST_SWEEPS.to_string().into(), known.to_string().into()];
        Ok(generation(self.redis.run(&SWEEP, &keys, &args).await?))
    }

    /// Makes sure that the tags of an entry have stamps for as long as it lives. False if one was purged since it was begun.
    /// Tags that it has from something older that it was `made_of` are as old as that.
    pub(crate) async fn stamp_all(
        &self,
        tags: &[Tag],
        begun: Generation,
        made_of: &[(Tag, Generation)],
        keep: Duration,
    ) -> Result<bool, Error> {
        let stamps = tags.iter().map(|tag| self.stamp(tag));
        let keys: Vec<_> = [key::ledger(&self.prefix), key::recent(&self.prefix)].into_iter().chain(stamps).collect();
        let older = tags.iter().map(|tag| {
            let older = made_of.iter().find(|(other, _)| other == tag);
            older.map_or_else(Bytes::new, |(_, begun)| begun.to_string().into())
        });
        let args: Vec<_> = [begun.to_string().into(), millis(keep)].into_iter().chain(older).collect();
        Ok(self.redis.run(&STAMP, &keys, &args).await?.as_int() == Some(1))
    }

    /// Announces every change from now on.
    pub(crate) fn watch(&self) -> Feed {
        self.redis.watch(key::news(&self.prefix))
    }

    /// What an announced key is about.
    pub(crate) fn news(&self, announced: &[u8]) -> Option<News> {
        let name = std::str::from_utf8(announced).ok()?.strip_prefix(&key::news(&self.prefix))?;
        let (name, tag) = name.strip_prefix('{')?.split_once('}')?;
        match (name, tag) {
            ("tags", "") => Some(News::Ledger),
            ("tags", tag) => key::tag_of(tag.strip_prefix(':')?).map(News::Tag),
            (digest, "") => Some(News::Record(digest.to_owned())),
            _ => None,
        }
    }

    fn stamp(&self, tag: &Tag) -> String {
        key::stamp(&self.prefix, tag)
    }
}

impl fmt::Debug for StampStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StampStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// From the fields and values of the hash, in turn. Of what cannot be read nobody knows what it purged: then it is everything.
fn ledger_of(fields: Vec<Reply>) -> Ledger {
    let mut ledger = Ledger::default();
    let mut fields = fields.into_iter().map(text);
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        let (name, value) = (name.unwrap_or_default(), value.unwrap_or_default());
        let number = Generation(value.parse().unwrap_or_default());
        match (&*name, name.parse().map(Generation)) {
            ("generation", _) => ledger.generation = ledger.generation.max(number),
            ("floor", _) => ledger.floor = ledger.floor.max(number),
            ("soft", _) => ledger.soft_floor = ledger.soft_floor.max(number),
            (_, Ok(generation)) => match Sweep::decode(generation, &value) {
                Some(sweep) => ledger.sweeps.push(sweep),
                None => ledger.floor = ledger.floor.max(generation),
            },
            _ => {}
        }
    }
    ledger.sweeps.sort_by_key(|sweep| sweep.generation);
    ledger
}

fn generation(reply: Reply) -> Generation {
    Generation(text(reply).and_then(|text| text.parse().ok()).unwrap_or_default())
}

fn text(reply: Reply) -> Option<String> {
    String::from_utf8(reply.into_bytes()?.to_vec()).ok()
}

fn millis(time: Duration) -> Bytes {
    time.as_millis().clamp(1, i64::MAX as u128 / 2).to_string().into()
}
