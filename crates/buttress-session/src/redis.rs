//! Sessions in Redis, shared by all processes with the same prefix and cookie keys.

use buttress_core::Clock;
use buttress_redis::{Error, ErrorKind, Redis, Rejection, Reply, Script};
use bytes::Bytes;

use crate::id::Name;
use crate::key;
use crate::policy::{self, millis};
#[cfg(feature = "tower-sessions")]
use crate::record::Fields;
use crate::record::{Entry, How, Moved, Record};
use crate::store::{
    Act, Born, Commit, Committed, Draft, Frozen, Must, Noted, Pace, Span, Store, StoreAway, Which, Write,
};

macro_rules! script {
    ($name:literal) => {
        Script::new(
            concat!("session-", $name),
            concat!(include_str!("scripts/lib.lua"), include_str!(concat!("scripts/", $name, ".lua"))),
        )
    };
}

static LOAD: Script = script!("load");
static CREATE: Script = script!("create");
static COMMIT: Script = script!("commit");
#[cfg(feature = "tower-sessions")]
static REPLACE: Script = script!("replace");
static FREEZE: Script = script!("freeze");
static END: Script = script!("end");
static SEEN: Script = script!("seen");
static ENLIST: Script = script!("enlist");
static MOVE: Script = script!("move");
static LIST: Script = script!("list");
static DOOM: Script = script!("doom");
static STRIKE: Script = script!("strike");

/// The field that says of which session a record is.
const MARK: &str = "i";

/// Sessions in Redis.
#[derive(Debug)]
pub(crate) struct RedisStore {
    redis: Redis,
    prefix: String,
    clock: Clock,
}

// === impl RedisStore ===

impl RedisStore {
    pub(crate) fn new(redis: Redis, prefix: String, clock: Clock) -> Self {
        Self { redis, prefix, clock }
    }

    /// What is there by the server's time, which notes that it was seen.
    async fn load_by_script(&self, name: Name, pace: Pace) -> Result<Option<Record>, StoreAway> {
        match self.on_session(&LOAD, name, &[number(pace.idle), number(pace.slack)]).await {
            Ok(found) => Ok(read(found).unwrap_or_else(|| unreadable(name))),
            Err(error) if is_other(&error) => Ok(unreadable(name)),
            Err(error) => Err(StoreAway(error)),
        }
    }

    async fn on_session(&self, script: &Script, name: Name, args: &[Bytes]) -> Result<Reply, Error> {
        self.redis.run(script, &[key::session(&self.prefix, name)], args).await
    }

    async fn on_logins(&self, script: &Script, subject: Name, args: &[Bytes]) -> Result<Reply, StoreAway> {
        self.redis.run(script, &[key::logins(&self.prefix, subject)], args).await.map_err(StoreAway)
    }
}

impl Store for RedisStore {
    async fn load(&self, name: Name, pace: Pace) -> Result<Option<Record>, StoreAway> {
        let key = key::session(&self.prefix, name);
        let found = match self.redis.fields(&key, (MARK, name.mark().as_bytes())).await {
            Ok(Some(pairs)) => {
                Record::parse(pairs.into_iter().flat_map(|(field, value)| [field, value]).collect()).ok()
            }
            Ok(None) => return self.load_by_script(name, pace).await, // perhaps another's silence
            Err(error) if is_other(&error) => None,
            Err(error) => return Err(StoreAway(error)),
        };
        match found {
            Some(Some(record)) if record.ends <= millis(self.clock.now()) => self.load_by_script(name, pace).await,
            Some(Some(record)) if policy::is_noted_again(&record, pace, millis(self.clock.now())) => {
                self.load_by_script(name, pace).await
            }
            Some(record) => Ok(record),
            None => Ok(unreadable(name)),
        }
    }

    async fn create(&self, name: Name, draft: &Draft) -> Result<Born, StoreAway> {
        let reply = self.on_session(&CREATE, name, &drafted(name, draft)).await.map_err(StoreAway)?;
        let mut times = reply.into_list().unwrap_or_default().into_iter();
        let mut time = || times.next().and_then(|time| u64::try_from(time.as_int()?).ok());
        match (time(), time()) {
            (Some(now), Some(ends)) => Ok(Born { now, ends }),
            _ => Err(malformed("no new session")),
        }
    }

    async fn commit(&self, name: Name, commit: &Commit) -> Result<Committed, StoreAway> {
        let version = commit.version.map(number).unwrap_or_default();
        let mut args = vec![number(commit.idle), number(commit.most), version];
        args.extend(commit.writes.iter().flat_map(written));
        let reply = self.redis.run_marked(&COMMIT, &[key::session(&self.prefix, name)], &args).await;
        committed(reply)
    }

    #[cfg(feature = "tower-sessions")]
    async fn replace(&self, name: Name, fields: &Fields, ends: u64, most: u64) -> Result<Committed, StoreAway> {
        let mut args = vec![number(ends), number(most)];
        args.extend(fields.iter().flat_map(|(name, value)| [name.clone().into(), value.clone()]));
        committed(self.on_session(&REPLACE, name, &args).await)
    }

    async fn freeze(&self, name: Name, version: u64, to: Moved, grace: u64) -> Result<Frozen, StoreAway> {
        let args = [number(version), to.to.hex().into(), Bytes::from_static(to.how.as_str().as_bytes()), number(grace)];
        let reply = self.on_session(&FREEZE, name, &args).await;
        let Some((word, mut rest)) = answer(reply)? else { return Ok(Frozen::Gone) };
        let frozen = match &*word {
            b"done" => Some(Frozen::Done),
            b"gone" => Some(Frozen::Gone),
            b"moved" => moved(rest).map(Frozen::Moved),
            b"conflict" => conflict(rest.next()).map(Frozen::Conflict),
            _ => None,
        };
        frozen.ok_or_else(|| malformed("a freeze of another shape"))
    }

    async fn end(&self, name: Name, after: Option<Name>) -> Result<Option<Moved>, StoreAway> {
        let after = after.map(Name::hex).unwrap_or_default().into();
        let Some((word, rest)) = answer(self.on_session(&END, name, &[after]).await)? else { return Ok(None) };
        let ended = match &*word {
            b"ended" => Some(None),
            b"moved" => Some(moved(rest)), // what cannot be read is left alone
            _ => None,
        };
        ended.ok_or_else(|| malformed("an end of another shape"))
    }

    async fn seen(&self, name: Name) -> Result<Option<u64>, StoreAway> {
        match self.on_session(&SEEN, name, &[]).await {
            Ok(reply) => Ok(as_u64(&reply)),
            Err(error) if is_other(&error) => Ok(None),
            Err(error) => Err(StoreAway(error)),
        }
    }

    async fn enlist(&self, subject: Name, entry: &Entry, most: usize) -> Result<Vec<Entry>, StoreAway> {
        let args = [entry.sid.clone().into(), entry.text().into(), number(most as u64)];
        self.on_logins(&ENLIST, subject, &args).await.map(entries)
    }

    async fn move_to(&self, subject: Name, sid: &str, from: &[Name], to: (Name, u64)) -> Result<Noted, StoreAway> {
        let mut args = vec![sid.to_owned().into(), to.0.hex().into(), number(to.1)];
        args.extend(from.iter().map(|from| Bytes::from(from.hex())));
        let word = self.on_logins(&MOVE, subject, &args).await?.into_bytes();
        match word.as_deref() {
            Some(b"done") => Ok(Noted::Done),
            Some(b"ended") => Ok(Noted::Ended),
            Some(b"elsewhere") => Ok(Noted::Elsewhere),
            _ => Err(malformed("a move of another shape")),
        }
    }

    async fn list(&self, subject: Name) -> Result<Vec<Entry>, StoreAway> {
        self.on_logins(&LIST, subject, &[]).await.map(entries)
    }

    async fn doom(&self, subject: Name, which: Which<'_>) -> Result<Vec<Entry>, StoreAway> {
        let (word, sid) = match which {
            Which::All => ("all", ""),
            Which::Only(sid) => ("only", sid),
            Which::But(sid) => ("but", sid),
        };
        let args = [Bytes::from_static(word.as_bytes()), sid.to_owned().into()];
        self.on_logins(&DOOM, subject, &args).await.map(entries)
    }

    async fn strike(&self, subject: Name, ended: &[(String, Name)]) -> Result<(), StoreAway> {
        if ended.is_empty() {
            return Ok(());
        }
        let args: Vec<_> = ended.iter().flat_map(|(sid, name)| [sid.clone().into(), name.hex().into()]).collect();
        self.on_logins(&STRIKE, subject, &args).await.map(drop)
    }
}

fn unreadable(name: Name) -> Option<Record> {
    metrics::counter!("buttress_session_bad_records_total").increment(1);
    tracing::warn!(target: "buttress_session", session = %name, "what lies here is no session that can be read");
    None
}

// === What a script is told ===

fn drafted(name: Name, draft: &Draft) -> Vec<Bytes> {
    let (longest, created, ends) = match draft.span {
        Span::New(longest) => (number(longest), Bytes::new(), Bytes::new()),
        Span::Of { created, ends } => (Bytes::new(), number(created), number(ends)),
    };
    let now = Bytes::from_static(if draft.logs_in { b"1" } else { b"" });
    let mut args = vec![number(draft.idle), longest, created, ends, now];
    let mut field = |name: &str, value: Bytes| args.extend([name.to_owned().into(), value]);
    field(MARK, name.mark().into());
    if let Some(login) = &draft.login {
        field("s", login.subject.clone().into());
        field("l", login.sid.clone().into());
        field("a", number(login.at));
    }
    if let Some(label) = &draft.label {
        field("d", label.clone().into());
    }
    if let Some(key) = &draft.key {
        field("k", key.clone());
    }
    draft.fields.iter().for_each(|(name, value)| field(name, value.clone()));
    args
}

fn written(write: &Write) -> [Bytes; 4] {
    let must = match &write.must {
        Must::BeAnything => Bytes::new(),
        Must::BeAbsent => Bytes::from_static(b"-"),
        Must::Be(value) => [b"=", &value[..]].concat().into(),
    };
    let (act, value) = match &write.act {
        Act::Set(value) => ("s", value.clone()),
        Act::Delete => ("d", Bytes::new()),
        Act::Add(by) => ("i", by.to_string().into()),
    };
    [write.field.clone().into(), must, Bytes::from_static(act.as_bytes()), value]
}

fn number(number: u64) -> Bytes {
    number.to_string().into()
}

// === What a script answers ===

/// The first word of an answer and what follows it. `None` if something else than a session lies there.
fn answer(reply: Result<Reply, Error>) -> Result<Option<(Bytes, std::vec::IntoIter<Reply>)>, StoreAway> {
    let reply = match reply {
        Ok(reply) => reply,
        Err(error) if is_other(&error) => return Ok(None),
        Err(error) => return Err(StoreAway(error)),
    };
    let mut parts = reply.into_list().unwrap_or_default().into_iter();
    let word = parts.next().and_then(Reply::into_bytes).ok_or_else(|| malformed("an answer without a word"))?;
    Ok(Some((word, parts)))
}

fn committed(reply: Result<Reply, Error>) -> Result<Committed, StoreAway> {
    let Some((word, mut rest)) = answer(reply)? else { return Ok(Committed::Gone) };
    let committed = match &*word {
        b"done" => rest.next().and_then(|version| as_u64(&version)).map(Committed::Done),
        b"gone" => Some(Committed::Gone),
        b"moved" => moved(rest).map(Committed::Moved),
        b"conflict" => conflict(rest.next()).map(Committed::Conflict),
        b"large" => rest.next().and_then(|size| as_u64(&size)).map(Committed::TooLarge),
        b"number" => rest.next().and_then(text).map(Committed::NoNumber),
        _ => None,
    };
    committed.ok_or_else(|| malformed("a commit of another shape"))
}

/// The record in an answer; `None` if it cannot be read.
fn read(reply: Reply) -> Option<Option<Record>> {
    let pairs: Option<Vec<_>> = reply.into_list()?.into_iter().map(Reply::into_bytes).collect();
    Record::parse(pairs?).ok()
}

fn conflict(reply: Option<Reply>) -> Option<Box<Record>> {
    read(reply?)?.map(Box::new)
}

fn moved(mut rest: impl Iterator<Item = Reply>) -> Option<Moved> {
    let to = Name::parse(&rest.next()?.into_bytes()?)?;
    Some(Moved { to, how: How::parse(&text(rest.next()?)?)? })
}

/// Entries that cannot be read are left out, and counted.
fn entries(reply: Reply) -> Vec<Entry> {
    let mut parts = reply.into_list().unwrap_or_default().into_iter().map(text);
    let mut entries = Vec::new();
    while let (Some(sid), Some(entry)) = (parts.next(), parts.next()) {
        let entry = sid.zip(entry).and_then(|(sid, entry)| Entry::parse(&sid, &entry));
        if entry.is_none() {
            metrics::counter!("buttress_session_bad_records_total").increment(1);
            tracing::warn!(target: "buttress_session", "what lies among a subject's logins is none that can be read");
        }
        entries.extend(entry);
    }
    entries
}

fn text(reply: Reply) -> Option<String> {
    String::from_utf8(reply.into_bytes()?.into()).ok()
}

fn as_u64(reply: &Reply) -> Option<u64> {
    u64::try_from(reply.as_int()?).ok()
}

fn is_other(error: &Error) -> bool {
    error.kind() == ErrorKind::Rejected(Rejection::WrongType)
}

fn malformed(expected: &'static str) -> StoreAway {
    StoreAway(Error::malformed(expected))
}
