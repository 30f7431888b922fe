//! Lua scripts, sent by their digest.
//!
//! ```no_run
//! use bytes::Bytes;
//! use buttress_redis::{Redis, Script};
//!
//! /// KEYS: the counter. ARGV: what to add. Returns: the sum.
//! static ADD: Script = Script::new("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])");
//!
//! # async fn example(redis: Redis) -> Result<(), buttress_redis::Error> {
//! let sum = redis.run(&ADD, &["{visits}:today"], &[Bytes::from_static(b"3")]).await?.as_int();
//! # let _ = sum;
//! # Ok(())
//! # }
//! ```

use std::sync::OnceLock;

use bytes::Bytes;
use sha1::{Digest as _, Sha1};
use tokio::time::Instant;

use crate::{
    Error, ErrorKind, Reply,
    command::Command,
    link::{Link, Proof},
    proof::Nonce,
};

/// A Lua script; keep it in a `static`.
///
/// It runs atomically, and everyone else waits for it: every loop in it needs a limit.
#[derive(Debug)]
pub struct Script {
    name: &'static str,
    source: &'static str,
    digest: OnceLock<Bytes>,
}

// === impl Script ===

impl Script {
    /// A script by its name, used in logs, and its source.
    #[must_use]
    pub const fn new(name: &'static str, source: &'static str) -> Self {
        Self { name, source, digest: OnceLock::new() }
    }

    /// The name it was given.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Runs it by its digest, and by its source if the server does not know that.
    pub(crate) async fn run(
        &self,
        link: &Link,
        keys: &[impl AsRef<[u8]>],
        args: &[Bytes],
        deadline: Instant,
    ) -> Result<Reply, Error> {
        match link.ask_until(self.by_digest(keys, args), Proof::Nonce, deadline).await {
            Err(error) if is_unknown(&error) => {
                link.ask_until(self.by_source(keys, args), Proof::Nonce, deadline).await
            }
            answer => answer,
        }
    }

    /// Runs it with a nonce before its arguments, which it has to give back before its answer: it proves itself then.
    pub(crate) async fn run_marked(
        &self,
        link: &Link,
        keys: &[impl AsRef<[u8]>],
        args: &[Bytes],
        deadline: Instant,
    ) -> Result<Reply, Error> {
        let nonce = Nonce::next().to_bytes();
        let args: Vec<_> = [nonce.clone()].into_iter().chain(args.iter().cloned()).collect();
        let answer = match link.ask_until(self.by_digest(keys, &args), Proof::Value, deadline).await {
            Err(error) if is_unknown(&error) => {
                link.ask_until(self.by_source(keys, &args), Proof::Value, deadline).await
            }
            answer => answer,
        };
        let mut parts = answer?.into_list().unwrap_or_default().into_iter();
        if parts.next().and_then(Reply::into_bytes) == Some(nonce) {
            return Ok(Reply::List(parts.collect()));
        }
        link.post().unproven();
        Err(Error::new(ErrorKind::Unproven, "a script did not give its nonce back"))
    }

    fn by_digest(&self, keys: &[impl AsRef<[u8]>], args: &[Bytes]) -> Command {
        invoke("EVALSHA", self.digest().clone(), keys, args)
    }

    /// The server keeps the source.
    fn by_source(&self, keys: &[impl AsRef<[u8]>], args: &[Bytes]) -> Command {
        invoke("EVAL", Bytes::from_static(self.source.as_bytes()), keys, args)
    }

    fn digest(&self) -> &Bytes {
        self.digest.get_or_init(|| {
            let hex = Sha1::digest(self.source.as_bytes()).into_iter().map(|byte| format!("{byte:02x}"));
            Bytes::from(hex.collect::<String>())
        })
    }
}

fn invoke(name: &'static str, script: Bytes, keys: &[impl AsRef<[u8]>], args: &[Bytes]) -> Command {
    let mut command = Command::new(name).arg(script).number(keys.len() as u64);
    if let Some(first) = keys.first() {
        command = command.slot_of(first.as_ref());
    }
    for key in keys {
        command = command.arg(Bytes::copy_from_slice(key.as_ref()));
    }
    args.iter().fold(command, |command, arg| command.arg(arg.clone()))
}

/// Whether the server does not know the script's digest (never seen, restarted, or flushed).
fn is_unknown(error: &Error) -> bool {
    error.text().starts_with("NOSCRIPT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_server() {
        // redis-cli script load "return 1"
        assert_eq!(Script::new("one", "return 1").digest(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    }
}
