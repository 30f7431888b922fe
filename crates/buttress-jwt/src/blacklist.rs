//! The list of an old service: a key for each token that was logged out, by its `jti`.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use buttress_redis::{Consumer, Error, Redis, Script};
use bytes::Bytes;

use crate::claims::whole_millis;
use crate::trusted::MOST_SKEW;

static LIST: Script = Script::new("list", include_str!("scripts/list.lua"));

/// The list, and what this process has put there: Redis may have been away, or lose it.
#[derive(Debug)]
pub(crate) struct Blacklist {
    prefix: String,
    own: Mutex<HashMap<String, Own>>,
}

#[derive(Clone, Copy, Debug)]
struct Own {
    /// When the token ends, in milliseconds since 1970.
    end: u64,
    /// Redis has heard of it, and has lost nothing since.
    told: bool,
}

// === impl Blacklist ===

impl Blacklist {
    pub(crate) fn new(prefix: String) -> Self {
        Self { prefix, own: Mutex::default() }
    }

    /// Whether a token is there, whoever has put it there.
    pub(crate) async fn has(&self, redis: &Redis, id: &str) -> Result<bool, Error> {
        redis.contains(self.key(id)).await
    }

    /// Puts a token there that ends then. If that fails it is done [later](Self::tell).
    pub(crate) async fn add(&self, redis: &Redis, id: &str, end: u64, now: u64) -> Result<(), Error> {
        self.own().insert(id.to_owned(), Own { end, told: false });
        redis.run(&LIST, &[self.key(id)], &[left(end, now)]).await?;
        self.heard(id);
        Ok(())
    }

    /// Puts there what Redis has not heard of. Over this connection: another may lead to another server.
    pub(crate) async fn tell(&self, consumer: &mut Consumer, now: u64) -> Result<(), Error> {
        let open: Vec<_> = self.own().iter().filter(|(_, own)| !own.told).map(|(id, own)| (id.clone(), *own)).collect();
        for (id, own) in open {
            if own.end > now {
                consumer.run(&LIST, &[self.key(&id)], &[left(own.end, now)]).await?;
            }
            self.heard(&id);
        }
        Ok(())
    }

    /// Redis may have lost what it has heard.
    pub(crate) fn lost(&self) {
        self.own().values_mut().for_each(|own| own.told = false);
    }

    /// Forgets what has ended.
    pub(crate) fn sweep(&self, now: u64) {
        self.own().retain(|_, own| own.end > now);
    }

    fn heard(&self, id: &str) {
        if let Some(own) = self.own().get_mut(id) {
            own.told = true;
        }
    }

    fn key(&self, id: &str) -> String {
        format!("{}{id}", self.prefix)
    }

    // Nothing in here panics while it holds the lock.
    fn own(&self) -> MutexGuard<'_, HashMap<String, Own>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The old service may believe a token for some time after its end (`JWT_DECODE_LEEWAY`).
fn left(end: u64, now: u64) -> Bytes {
    (end.saturating_sub(now) + whole_millis(MOST_SKEW)).to_string().into()
}
