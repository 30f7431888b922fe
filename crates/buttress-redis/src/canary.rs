//! A key that is gone when somebody flushed the database.
//!
//! `FLUSHALL` and `FLUSHDB` announce themselves by a change of *no* key, which the client drops. So each node keeps a canary
//! under the watched prefix, with a word that whoever finds it missing makes up anew: gone, or another word, means that
//! everything may be gone.

use bytes::{Bytes, BytesMut};
use fred::types::config::Server;
use tokio::time::{Duration, Instant};

use crate::{
    Error,
    command::{Command, Reply},
    line::Line,
    proof::Nonce,
    redis::millis,
};

/// One node's canary, with the word it was last seen with.
#[derive(Debug)]
pub(crate) struct Canary {
    node: Option<Server>,
    key: Bytes,
    word: Bytes,
    fed: Instant,
}

/// It outlives by a day the last process that looks after it.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// How often its life is extended.
const FEEDING: Duration = Duration::from_secs(60 * 60);
/// Names tried until one falls to the node; with so many a node that keeps a hundredth of all slots is missed once in e^40 times.
const NAMES: u32 = 4096;

// === impl Canary ===

impl Canary {
    /// The canaries of all nodes, set out where there are none.
    pub(crate) async fn set_out(line: &Line, prefix: &Bytes, limit: Duration) -> Result<Vec<Self>, Error> {
        let mut canaries = Vec::new();
        for node in line.nodes() {
            // A node that keeps no slots has nothing to flush.
            let Some(key) = name(line, prefix, node.as_ref()) else { continue };
            let word = adopt(line, &key, node.clone(), limit).await?;
            canaries.push(Self { node, key, word, fed: Instant::now() });
        }
        Ok(canaries)
    }

    /// Whether `key` is this canary.
    pub(crate) fn is(&self, key: &[u8]) -> bool {
        self.key == key
    }

    /// Whether it lives with the word it was known by. If not, a new word is known from now on.
    pub(crate) async fn lives(&mut self, line: &Line, limit: Duration) -> Result<bool, Error> {
        if self.fed.elapsed() > FEEDING {
            let feed = Command::on("PEXPIRE", &self.key).number(millis(LIFE));
            line.exchange(feed, self.node.clone(), limit).await?;
            self.fed = Instant::now();
        }
        let seen = line.exchange_proven(Command::get(&self.key), self.node.clone(), limit).await?;
        if seen == Reply::Bytes(self.word.clone()) {
            return Ok(true);
        }
        self.word = adopt(line, &self.key, self.node.clone(), limit).await?;
        Ok(false)
    }
}

/// Sets a canary out unless there is one; its word.
async fn adopt(line: &Line, key: &Bytes, node: Option<Server>, limit: Duration) -> Result<Bytes, Error> {
    let word = Nonce::next().to_bytes();
    let set = Command::set(key, word, Some(millis(LIFE)), true);
    line.exchange(set, node.clone(), limit).await?;
    let found = line.exchange_proven(Command::get(key), node, limit).await?.into_bytes();
    // Copied out of the socket's buffer, since it is kept.
    found.map(|word| Bytes::copy_from_slice(&word)).ok_or_else(|| Error::malformed("the canary does not stay"))
}

fn name(line: &Line, prefix: &Bytes, node: Option<&Server>) -> Option<Bytes> {
    (0..NAMES).map(|number| numbered(prefix, number)).find(|key| line.is_kept_by(key, node))
}

fn numbered(prefix: &Bytes, number: u32) -> Bytes {
    let mut key = BytesMut::from(&prefix[..]);
    key.extend_from_slice(format!("canary:{number}").as_bytes());
    key.freeze()
}
