//! Waiting for the next item of a list, on a connection of its own.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    Error,
    command::{Command, Reply},
    link::{Link, Proof},
    proof::{self, Opened},
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
