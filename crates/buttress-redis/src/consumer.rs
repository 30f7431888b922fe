//! What may hold up a connection, on one of its own: waiting for items, for entries of a stream, for replicas.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use fred::types::config::Server;

use crate::{
    Error, ErrorKind, Script, StreamEntry, StreamId,
    command::{Command, Reply},
    line::Line,
    link::{Link, Proof},
    proof::{self, Opened},
    stream, wait,
};

/// One who waits; made by [`Redis::consumer`](crate::Redis::consumer).
///
/// It has a connection of its own, because a command that blocks holds up all that is sent behind it. The connection is left, and
/// another one opened, when an answer is overdue, and when a future that waits is dropped: the wait is over at the server as well.
/// Until there is a new one (10 to 200 milliseconds) commands fail as unavailable, so pause a little before the next.
#[derive(Debug)]
pub struct Consumer {
    link: Link,
    last_run: Option<Place>,
}

/// Where a script ran: on this connection, and in a cluster on the node that kept this key.
#[derive(Debug)]
struct Place {
    line: Weak<Line>,
    key: Option<Bytes>,
    node: Option<Server>,
}

// === impl Consumer ===

impl Consumer {
    pub(crate) fn new(link: Link) -> Self {
        Self { link, last_run: None }
    }

    /// Takes the first item of `list`, waiting for one for at most `wait` (from a millisecond to a day); `None` if none came.
    ///
    /// At most once: an item that was taken is gone, and it is lost if its reply is, or if this future is dropped while it waits.
    /// Where that matters, have a script move the item and keep it until it is acknowledged.
    ///
    /// # Errors
    ///
    /// Redis is away, slow, or refuses; or the item was not written by [`Redis::push`](crate::Redis::push), and is gone.
    pub async fn take(&mut self, list: impl AsRef<[u8]>, wait: Duration) -> Result<Option<Bytes>, Error> {
        let list = list.as_ref();
        let wait = wait::bounded(wait);
        let command = Command::on("BLPOP", list).arg(format!("{:.3}", wait.as_secs_f64())).blocking();
        match self.link.ask_until(command, Proof::Value, wait::deadline(&self.link, wait)).await? {
            Reply::Nil => Ok(None),
            Reply::List(pair) => self.believe(list, pair).map(Some),
            _ => Err(Error::malformed("BLPOP answered neither a pair nor nil")),
        }
    }

    /// The entries of `stream` behind `after`, oldest first, at most `limit` of them (at least one); from the very first with
    /// [`StreamId::ZERO`].
    ///
    /// With `wait` it waits for one for so long (from a millisecond to a day) when there are none, otherwise it answers at once. Nothing
    /// is an empty answer, and so is a stream that does not exist; after a wait it says that nothing had come by its end. That is proven
    /// of the server that was asked: a replica, or a master that was replaced and does not know it yet, answers with what it has.
    /// Reading changes nothing, so it can be repeated.
    ///
    /// # Errors
    ///
    /// Redis is away, slow, or refuses; a key of another type is [`WrongType`](crate::Rejection::WrongType). A server that hangs
    /// costs `wait`, a fifth of a second and one deadline.
    pub async fn read(
        &mut self,
        stream: impl AsRef<[u8]>,
        after: StreamId,
        limit: u32,
        wait: Option<Duration>,
    ) -> Result<Vec<StreamEntry>, Error> {
        let stream = stream.as_ref();
        let wait = wait.map(wait::bounded);
        let command = stream::read(stream, after, limit.max(1), wait);
        let deadline = wait::deadline(&self.link, wait.unwrap_or_default());
        // The nonce behind a command that blocks comes back when that is answered.
        stream::entries(self.link.ask_until(command, Proof::Nonce, deadline).await?, stream, after)
    }

    /// Runs a script as [`Redis::run`](crate::Redis::run) does, over this connection: what it finds, and what is read as long as nothing
    /// fails, is of one server.
    ///
    /// # Errors
    ///
    /// Redis is away, slow, or refuses; or the script failed. [`ErrorKind::may_have_happened`] tells which leave it open.
    pub async fn run<K: AsRef<[u8]>>(&mut self, script: &Script, keys: &[K], args: &[Bytes]) -> Result<Reply, Error> {
        self.last_run = None;
        let deadline = wait::deadline(&self.link, Duration::ZERO);
        let line = self.link.post().line(deadline).await?;
        let place = Place::of(&line, keys.first().map(AsRef::as_ref));
        let reply = script.run(&self.link, keys, args, deadline).await?;
        self.last_run = place.filter(|place| self.link.post().is_up_with(&line) && place.is_on(&line));
        Ok(reply)
    }

    /// How many replicas have all that the last [`Consumer::run`] wrote: at once when they are `replicas`, otherwise after `timeout`
    /// (from a millisecond to a day) as many as they are by then.
    ///
    /// Redis answers this (`WAIT`) for the writes of one connection, and on another it would count replicas that know nothing of
    /// them. So it is asked over the connection, and in a cluster on the node, where the script ran; if that is gone, it is an error.
    /// The replicas have the writes in memory, which a failover to another replica may still lose.
    ///
    /// # Errors
    ///
    /// Redis is away, slow, or refuses; disconnected, if the last run failed, or its connection was left since then, or its slot moved, or in a
    /// cluster it had no key. Nothing is known of the replicas then; what was written is written.
    pub async fn wait_for_replicas(&mut self, replicas: u32, timeout: Duration) -> Result<u32, Error> {
        let gone = || Error::new(ErrorKind::Disconnected, "the connection of the last run is gone");
        let place = self.last_run.as_ref().ok_or_else(gone)?;
        let line = place.line.upgrade().ok_or_else(gone)?;
        let timeout = wait::bounded(timeout);
        let command = wait::for_replicas(place.key.as_deref(), replicas, timeout).blocking();
        let deadline = wait::deadline(&self.link, timeout);
        let count = wait::count(&self.link.post().send_over(&line, command, Proof::Nonce, deadline).await?)?;
        if place.is_on(&line) { Ok(count) } else { Err(gone()) }
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
                Err(Error::new(ErrorKind::Unproven, "an item of another list"))
            }
        }
    }
}

// === impl Place ===

impl Place {
    /// Where a script with this first key is sent; `None` if that cannot be told.
    fn of(line: &Arc<Line>, key: Option<&[u8]>) -> Option<Self> {
        let node = key.and_then(|key| line.owner(key));
        let is_known = node.is_some() || !line.is_clustered();
        is_known.then(|| Self { line: Arc::downgrade(line), key: key.map(Bytes::copy_from_slice), node })
    }

    /// Whether what is asked over `line` still goes there.
    fn is_on(&self, line: &Line) -> bool {
        self.key.as_ref().and_then(|key| line.owner(key)) == self.node
    }
}
