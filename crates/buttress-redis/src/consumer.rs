//! Waiting for the next item of a list or a stream, on a connection of its own.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    Error, Script, StreamEntry, StreamId,
    command::{Command, Reply},
    link::{Link, Proof},
    proof::{self, Opened},
    redis::millis,
    stream,
};

/// One who waits for items; made by [`Redis::consumer`](crate::Redis::consumer).
///
/// It has a connection of its own, because a command that blocks holds up all that is sent behind it.
#[derive(Debug)]
pub struct Consumer {
    link: Link,
}

/// The server looks for waits that are over ten times a second.
const TICK: Duration = Duration::from_millis(200);

// === impl Consumer ===

impl Consumer {
    pub(crate) fn new(link: Link) -> Self {
        Self { link }
    }

    /// Takes the first item of `list`, waiting for one for at most `wait` (never shorter than a millisecond); `None` if none came.
    ///
    /// At most once: an item that was taken is gone, and it is lost if its reply is, or if this future is dropped while it waits.
    /// Where that matters, have a script move the item and keep it until it is acknowledged.
    ///
    /// # Errors
    ///
    /// Redis is away, slow, or refuses; or the item was not written by [`Redis::push`](crate::Redis::push), and is gone.
    pub async fn take(&mut self, list: impl AsRef<[u8]>, wait: Duration) -> Result<Option<Bytes>, Error> {
        let list = list.as_ref();
        let seconds = wait.max(Duration::from_millis(1)).as_secs_f64();
        let command = Command::on("BLPOP", list).arg(format!("{seconds:.3}")).blocking();
        let deadline = Instant::now() + wait + TICK + self.link.post().pace.deadline;
        let answer = self.link.ask_until(command, Proof::Value, deadline).await?;
        match answer {
            Reply::Nil => Ok(None),
            Reply::List(pair) => self.believe(list, pair).map(Some),
            _ => Err(Error::malformed("BLPOP answered neither a pair nor nil")),
        }
    }

    /// What was added to `stream` after an entry, at most `limit` of it; waits for something to come for `wait`, if that is given (never
    /// shorter than a millisecond). Empty if nothing came, or there is no such stream.
    ///
    /// The answer is of one moment between this call and its return, and not earlier than `wait` after it if it is empty.
    ///
    /// # Errors
    ///
    /// Redis is away, slow, or refuses; or the key holds something else.
    pub async fn read(
        &mut self,
        stream: impl AsRef<[u8]>,
        after: StreamId,
        limit: u32,
        wait: Option<Duration>,
    ) -> Result<Vec<StreamEntry>, Error> {
        let stream = stream.as_ref();
        let mut command = Command::new("XREAD").slot_of(stream).arg("COUNT").number(limit.into());
        if let Some(wait) = wait {
            command = command.arg("BLOCK").number(millis(wait)).blocking();
        }
        let command = command.arg("STREAMS").arg(Bytes::copy_from_slice(stream)).arg(after.to_string());
        let deadline =
            Instant::now() + wait.map_or(Duration::ZERO, |wait| wait + TICK) + self.link.post().pace.deadline;
        // The nonce behind a command that blocks is answered when that is.
        stream::entries(self.link.ask_until(command, Proof::Nonce, deadline).await?, stream)
    }

    /// Runs a script over this very connection, so that it and what is read are of one server. See [`Redis::run`](crate::Redis::run).
    ///
    /// # Errors
    ///
    /// Redis is away, slow, or refuses; or the script failed.
    pub async fn run<K: AsRef<[u8]>>(&mut self, script: &Script, keys: &[K], args: &[Bytes]) -> Result<Reply, Error> {
        script.run(&self.link, keys, args).await
    }

    fn believe(&self, list: &[u8], pair: Vec<Reply>) -> Result<Bytes, Error> {
        let mut pair = pair.into_iter().map(Reply::into_bytes);
        match (pair.next().flatten(), pair.next().flatten()) {
            (Some(from), Some(item)) if from == list => match proof::open(list, item) {
                Opened::Proven(payload) => Ok(payload),
                Opened::AnotherKeys | Opened::Foreign => Err(Error::malformed("an item that was not pushed here")),
            },
            _ => {
                self.link.post().unproven();
                Err(Error::new(crate::ErrorKind::Unproven, "an item of another list"))
            }
        }
    }
}
