//! Counts in Redis, shared by all processes with the same prefix.

use std::collections::HashMap;

use buttress_redis::{Error, ErrorKind, Redis, Rejection, Reply, Script};
use bytes::Bytes;

use crate::key;
use crate::series::{Id, Series};
use crate::store::{
    Added, Keep, MOST_RANKED, Name, SALT_KEPT, Salt, Store, StoreAway, VISITORS_KEPT, What, Write, whole_millis,
};
use crate::tally::Tally;
use crate::window::Step;

macro_rules! script {
    ($name:literal) => {
        Script::new(
            concat!("events-", $name),
            concat!(include_str!("scripts/lib.lua"), include_str!(concat!("scripts/", $name, ".lua"))),
        )
    };
}

static ADD: Script = script!("add");
static RANK: Script = script!("rank");
static VISIT: Script = script!("visit");
static ENROLL: Script = script!("enroll");
static SALT: Script = script!("salt");
static NOW: Script = script!("now");
static TOP: Script = script!("top");
static VISITORS: Script = script!("visitors");
#[cfg(feature = "otlp")]
static LEAD: Script = script!("lead");

/// The field by which a hash proves itself.
const MARK: &str = "k";

/// Counts in Redis.
#[derive(Debug)]
pub(crate) struct RedisStore {
    redis: Redis,
    prefix: String,
    /// This process among all, and before and after it was restarted.
    instance: String,
    keep: Keep,
    most_series: usize,
}

// === impl RedisStore ===

impl RedisStore {
    pub(crate) fn new(redis: Redis, prefix: String, keep: Keep, most_series: usize) -> Self {
        let instance = data_encoding::BASE64URL_NOPAD.encode(&rand::random::<[u8; 9]>());
        Self { redis, prefix, instance, keep, most_series }
    }

    #[cfg(test)]
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    async fn ask(&self, script: &Script, keys: &[String], args: &[Bytes]) -> Result<Vec<Reply>, StoreAway> {
        let reply = self.redis.run_marked(script, keys, args).await.map_err(StoreAway)?;
        Ok(reply.into_list().unwrap_or_default())
    }

    /// The same; nothing, if something else lies there: it must not be in the way of what else there is. A refusal would prove nothing, and could be
    /// another command's; so the script says it.
    async fn ask_if_readable(&self, script: &Script, key: String, args: &[Bytes]) -> Result<Vec<Reply>, StoreAway> {
        let reply = self.ask(script, std::slice::from_ref(&key), args).await?;
        if is_other(&reply) {
            unreadable(&key);
            return Ok(Vec::new());
        }
        Ok(reply)
    }

    /// The fields of a hash that are text, but for its mark; nothing, if something else lies there.
    async fn fields(&self, key: &str) -> Result<Vec<(Bytes, Bytes)>, StoreAway> {
        match self.redis.fields(key, (MARK, key::mark(key).as_bytes())).await {
            Ok(fields) => Ok(fields.unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Rejected(Rejection::WrongType) => {
                unreadable(key);
                Ok(Vec::new())
            }
            Err(error) => Err(StoreAway(error)),
        }
    }

    /// The field that says which batches of this lane are in a step.
    fn marker(&self, write: &Write) -> [Bytes; 2] {
        [format!("~{}.{}", self.instance, write.lane).into(), number(write.number)]
    }

    async fn add_counts(&self, write: &Write, counts: &[(Id, Tally)]) -> Result<Vec<Reply>, StoreAway> {
        let key = key::counts(&self.prefix, write.step, write.start);
        let mut args = vec![Bytes::from(key::mark(&key))];
        args.extend(self.marker(write));
        args.extend([number(write.start), number(self.keep.until(write.step, write.start))]);
        args.extend(counts.iter().flat_map(|(id, tally)| [id.text().into(), tally.encode().into()]));
        let reply = self.ask(&ADD, std::slice::from_ref(&key), &args).await?;
        if reply.get(2).and_then(Reply::as_int).is_some_and(|count| count > 0) {
            unreadable(&key);
        }
        Ok(reply)
    }

    async fn add_members(
        &self,
        write: &Write,
        ranking: Id,
        members: &[(Box<str>, u64)],
    ) -> Result<Vec<Reply>, StoreAway> {
        let mut args = self.marker(write).to_vec();
        args.extend([
            number(write.start),
            number(self.keep.until(write.step, write.start)),
            number(MOST_RANKED as u64),
        ]);
        args.extend(
            members.iter().flat_map(|(member, count)| [number(*count), Bytes::copy_from_slice(member.as_bytes())]),
        );
        self.ask(&RANK, &key::ranking(&self.prefix, write.step, write.start, ranking), &args).await
    }

    async fn add_visitors(&self, write: &Write, name: Id, hashes: &[u64]) -> Result<Vec<Reply>, StoreAway> {
        let mut args = vec![number(write.start), number(write.start + whole_millis(VISITORS_KEPT))];
        args.extend(hashes.iter().map(|hash| Bytes::copy_from_slice(&hash.to_le_bytes())));
        self.ask(&VISIT, &[key::visitors(&self.prefix, write.start, name)], &args).await
    }
}

impl Store for RedisStore {
    async fn now(&self) -> Result<u64, StoreAway> {
        let reply = self.ask(&NOW, &[key::names(&self.prefix, 0)], &[]).await?;
        reply.first().and_then(as_u64).ok_or_else(|| malformed("no time"))
    }

    async fn enroll(&self, day: u64, names: &[Name]) -> Result<Vec<Id>, StoreAway> {
        let key = key::names(&self.prefix, day);
        let until = self.keep.until(Step::Day, day);
        let most = self.most_series as u64;
        let mut args = vec![key::mark(&key).into(), number(until), number(most), number(2 * most + 100)];
        args.extend(names.iter().flat_map(|name| {
            let reserved = Bytes::from_static(if name.reserved { b"1" } else { b"" });
            [name.id.text().into(), name.text.clone().into(), reserved]
        }));
        let refused = self.ask_if_readable(&ENROLL, key, &args).await?;
        Ok(refused.into_iter().filter_map(|id| Id::parse(&id.into_bytes()?)).collect())
    }

    async fn add(&self, write: &Write) -> Result<Added, StoreAway> {
        let reply = match &write.what {
            What::Counts(counts) => self.add_counts(write, counts).await,
            What::Members(ranking, members) => self.add_members(write, *ranking, members).await,
            What::Visitors(name, hashes) => self.add_visitors(write, *name, hashes).await,
        };
        let mut reply = reply?.into_iter();
        let word = reply.next().and_then(Reply::into_bytes);
        let now = reply.next().and_then(|now| as_u64(&now));
        match (word.as_deref(), now) {
            (Some(b"done"), Some(now)) => Ok(Added::Done(now)),
            (Some(b"again"), Some(now)) => Ok(Added::Again(now)),
            (Some(b"future"), Some(now)) => Ok(Added::Future(now)),
            (Some(b"other"), Some(now)) => Ok(Added::Other(now)),
            _ => Err(malformed("an addition of another shape")),
        }
    }

    async fn salt(&self, day: u64, brought: Salt) -> Result<Salt, StoreAway> {
        let args = [Bytes::copy_from_slice(&brought), number(day + whole_millis(SALT_KEPT))];
        let key = key::salt(&self.prefix, day);
        let salt = self.ask_if_readable(&SALT, key, &args).await?.into_iter().next().and_then(Reply::into_bytes);
        // Where something else lies each process goes on with its own.
        Ok(salt.and_then(|salt| Salt::try_from(&*salt).ok()).unwrap_or(brought))
    }

    async fn counts(&self, step: Step, start: u64) -> Result<HashMap<Id, Tally>, StoreAway> {
        let key = key::counts(&self.prefix, step, start);
        let mut counts = HashMap::new();
        for (field, value) in self.fields(&key).await? {
            if field == MARK || field.starts_with(b"~") {
                continue;
            }
            match Id::parse(&field).zip(Tally::decode(&value)) {
                Some((id, tally)) => drop(counts.insert(id, tally)),
                None => unreadable(&key),
            }
        }
        Ok(counts)
    }

    async fn names(&self, day: u64) -> Result<Vec<Series>, StoreAway> {
        let key = key::names(&self.prefix, day);
        let fields = self.fields(&key).await?.into_iter().filter(|(field, _)| field != MARK);
        let parse = |(id, text): (Bytes, Bytes)| {
            let series = Series::parse(&text).filter(|series| Id::parse(&id) == Some(series.id));
            if series.is_none() {
                unreadable(&key);
            }
            series
        };
        Ok(fields.filter_map(parse).collect())
    }

    async fn ranking(&self, step: Step, start: u64, ranking: Id) -> Result<Vec<(Box<str>, u64)>, StoreAway> {
        let [key, _] = key::ranking(&self.prefix, step, start, ranking);
        let mut reply = self.ask_if_readable(&TOP, key, &[number(MOST_RANKED as u64)]).await?.into_iter();
        let mut members = Vec::new();
        while let (Some(member), Some(score)) = (reply.next(), reply.next()) {
            let member = member.into_bytes().map(|member| String::from_utf8_lossy(&member).into());
            let score = score.into_bytes().and_then(|score| std::str::from_utf8(&score).ok()?.parse::<f64>().ok());
            members.extend(member.zip(score.map(|score| score as u64)));
        }
        Ok(members)
    }

    async fn visitors(&self, day: u64, name: Id) -> Result<u64, StoreAway> {
        let reply = self.ask_if_readable(&VISITORS, key::visitors(&self.prefix, day, name), &[]).await?;
        Ok(reply.first().and_then(as_u64).unwrap_or_default())
    }

    #[cfg(feature = "otlp")]
    async fn lead(&self, millis: u64) -> Result<bool, StoreAway> {
        let reply =
            self.ask(&LEAD, &[key::leader(&self.prefix)], &[self.instance.clone().into(), number(millis)]).await?;
        Ok(reply.first().and_then(as_u64) == Some(1))
    }
}

/// Whether a script says that something else lies there. A member of a ranking that is called so has a score in letters.
fn is_other(reply: &[Reply]) -> bool {
    matches!(reply, [word, now] if now.as_int().is_some() && word.clone().into_bytes().as_deref() == Some(b"other"))
}

fn unreadable(key: &str) {
    metrics::counter!("buttress_events_bad_records_total").increment(1);
    tracing::warn!(target: "buttress_events", key, "what lies here are no counts that can be read");
}

fn number(number: u64) -> Bytes {
    number.to_string().into()
}

fn as_u64(reply: &Reply) -> Option<u64> {
    u64::try_from(reply.as_int()?).ok()
}

fn malformed(expected: &'static str) -> StoreAway {
    StoreAway(Error::malformed(expected))
}
