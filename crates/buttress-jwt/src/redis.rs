//! Logins in Redis, shared by all processes with the same prefix.

use buttress_redis::{Error, Redis, Reply, Script};
use bytes::Bytes;

use crate::key;
use crate::mark::Mark;
use crate::store::{Digest, Exchange, Families, Life, Rotation, StoreAway};

static BEGIN: Script = Script::new("begin-login", include_str!("scripts/begin.lua"));
static ROTATE: Script = Script::new("rotate-login", include_str!("scripts/rotate.lua"));

/// Logins in Redis.
#[derive(Debug)]
pub(crate) struct RedisFamilies {
    redis: Redis,
    prefix: String,
}

// === impl RedisFamilies ===

impl RedisFamilies {
    pub(crate) fn new(redis: Redis, prefix: String) -> Self {
        Self { redis, prefix }
    }

    async fn run(&self, script: &Script, family: Mark, args: &[Bytes]) -> Result<Reply, StoreAway> {
        self.redis.run(script, &[key::family(&self.prefix, family)], args).await.map_err(StoreAway)
    }
}

impl Families for RedisFamilies {
    async fn begin(&self, family: Mark, first: Digest, life: Life) -> Result<(), StoreAway> {
        let args = [text(first), number(life.idle), number(life.longest)];
        self.run(&BEGIN, family, &args).await.map(drop)
    }

    async fn rotate(&self, family: Mark, exchange: Exchange) -> Result<Rotation, StoreAway> {
        let Exchange { presented, successor, grace, idle } = exchange;
        let args = [text(presented), text(successor), number(grace), number(idle)];
        let mut parts = self.run(&ROTATE, family, &args).await?.into_list().unwrap_or_default().into_iter();
        let outcome = parts.next().and_then(Reply::into_bytes).unwrap_or_default();
        let mut time = || parts.next().and_then(|part| u64::try_from(part.as_int()?).ok());
        match (&outcome[..], time(), time()) {
            (b"done", Some(at), Some(end)) => Ok(Rotation::Done { at, end, again: false }),
            (b"again", Some(at), Some(end)) => Ok(Rotation::Done { at, end, again: true }),
            (b"reused", ..) => Ok(Rotation::Reused),
            (b"gone", ..) => Ok(Rotation::Gone),
            _ => Err(StoreAway(Error::malformed("a rotation of another shape"))),
        }
    }

    async fn end(&self, family: Mark) -> Result<(), StoreAway> {
        self.redis.delete(key::family(&self.prefix, family)).await.map(drop).map_err(StoreAway)
    }
}

fn text(digest: Digest) -> Bytes {
    data_encoding::HEXLOWER.encode(&digest).into()
}

fn number(number: u64) -> Bytes {
    number.to_string().into()
}
