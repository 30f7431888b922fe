//! Where Flask-Session keeps its sessions.

use std::time::Duration;

use buttress_redis::{Error, Redis, Reply, Script};
use bytes::Bytes;

use super::miss::Miss;

static PEEK: Script = Script::new("flask-peek", include_str!("scripts/peek.lua"));
static TAKE: Script = Script::new("flask-take", include_str!("scripts/take.lua"));
static END: Script = Script::new("flask-end", include_str!("scripts/end.lua"));

/// The keys of one session.
#[derive(Debug)]
pub(super) struct Place {
    /// Flask-Session's own.
    pub(super) record: String,
    /// Where it lies for a moment after it was taken: in the same slot of a cluster, and under no key that a cookie can name there.
    pub(super) copy: String,
}

#[derive(Clone, Debug)]
pub(super) struct Store {
    redis: Redis,
    pub(super) max_record: u32,
    pub(super) grace: Duration,
}

// === impl Place ===

impl Place {
    pub(super) fn of(prefix: &str, id: &str) -> Self {
        let record = format!("{prefix}{id}");
        // A key without a hash tag is its own.
        let copy = if record.contains(['{', '}']) { format!("{record}:taken") } else { format!("{{{record}}}:taken") };
        Self { record, copy }
    }
}

// === impl Store ===

impl Store {
    pub(super) fn new(redis: Redis) -> Self {
        Self { redis, max_record: 256 * 1024, grace: Duration::from_secs(10) }
    }

    /// The record in the first of these places that has anything in it.
    pub(super) async fn peek(&self, places: &[&str]) -> Result<Result<Bytes, Miss>, Error> {
        let reply = self.redis.bodies().run(&PEEK, places, &[self.limit()]).await?;
        found(reply)
    }

    /// The record, moved aside; or what was moved aside a moment ago.
    pub(super) async fn take(&self, place: &Place) -> Result<Result<Bytes, Miss>, Error> {
        let grace = u32::try_from(self.grace.as_millis()).unwrap_or(u32::MAX);
        let args = [self.limit(), grace.to_string().into()];
        let reply = self.redis.bodies().run(&TAKE, &[&place.record, &place.copy], &args).await?;
        found(reply)
    }

    /// Whether there was anything to end.
    pub(super) async fn end(&self, place: &Place) -> Result<bool, Error> {
        let reply = self.redis.run(&END, &[&place.record, &place.copy], &[]).await?;
        reply.as_int().map(|ended| ended > 0).ok_or_else(|| Error::malformed("not how many were deleted"))
    }

    fn limit(&self) -> Bytes {
        self.max_record.to_string().into()
    }
}

fn found(reply: Reply) -> Result<Result<Bytes, Miss>, Error> {
    match reply {
        Reply::Bytes(record) => Ok(Ok(record)),
        Reply::Nil => Ok(Err(Miss::Gone)),
        Reply::Int(-1) => Ok(Err(Miss::Foreign)),
        Reply::Int(_) => Ok(Err(Miss::TooLarge)),
        _ => Err(Error::malformed("neither a record nor why there is none")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_lies_beside_its_record() {
        for (prefix, record, copy) in [
            ("session:", "session:abc", "{session:abc}:taken"),
            ("", "abc", "{abc}:taken"),
            ("{app}:session:", "{app}:session:abc", "{app}:session:abc:taken"),
        ] {
            let place = Place::of(prefix, "abc");
            assert_eq!((place.record.as_str(), place.copy.as_str()), (record, copy));
        }
    }
}
