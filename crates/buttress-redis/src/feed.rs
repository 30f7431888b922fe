//! Announcements of changed keys, for copies kept in process.
//!
//! ```no_run
//! use buttress_redis::{Change, Redis};
//!
//! # async fn example(redis: Redis, copies: &mut std::collections::HashMap<Vec<u8>, String>) {
//! let mut feed = redis.watch("shop:price:");
//! loop {
//!     match feed.next().await {
//!         Change::Everything => copies.clear(),
//!         Change::Keys(keys) => keys.iter().for_each(|key| drop(copies.remove(&key[..]))),
//!     }
//! }
//! # }
//! ```

use std::sync::Arc;

use bytes::Bytes;
use fred::types::{client::Invalidation, config::Server};
use tokio::{
    sync::{
        broadcast::{self, error::RecvError, error::TryRecvError},
        watch,
    },
    time::{Duration, Instant, sleep, sleep_until},
};

use crate::{
    Error,
    canary::Canary,
    command::Command,
    line::Line,
    link::{Link, State},
    sight::Sight,
};

/// What changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// Any key may have: the feed was blind, fell behind, or the database was flushed. Forget every copy.
    Everything,
    /// These keys were written, deleted, evicted, or expired.
    Keys(Vec<Bytes>),
}

/// The changes of all keys that begin with one prefix; made by [`Redis::watch`](crate::Redis::watch).
///
/// It works only while [`Feed::next`] is awaited, so it is best given a task of its own. Rests on `CLIENT TRACKING` in
/// broadcasting mode (Redis 6), on every node of a cluster.
#[derive(Debug)]
pub struct Feed {
    link: Link,
    states: watch::Receiver<State>,
    prefix: Bytes,
    sight: Sight,
    watching: Option<Watching>,
}

/// A connection on which changes are being announced.
#[derive(Debug)]
struct Watching {
    line: Arc<Line>,
    nodes: Vec<Option<Server>>,
    announced: broadcast::Receiver<Invalidation>,
    /// None where the user may not write them.
    canaries: Vec<Canary>,
    next_round: Instant,
    last_round: Instant,
}

/// What the feed learned.
enum News {
    Announced(Invalidation),
    /// The connection ended, or has other nodes than those that were told to announce.
    Blind,
    /// Announcements were lost, or a canary is gone.
    Lost,
    Nothing,
}

// === impl Feed ===

impl Feed {
    pub(crate) fn new(link: Link, prefix: Bytes) -> Self {
        let states = link.post().subscribe();
        Self { link, states, prefix, sight: Sight::new(), watching: None }
    }

    /// How well it sees; to be kept beside the copies.
    #[must_use]
    pub fn sight(&self) -> Sight {
        self.sight.clone()
    }

    /// Waits for the next change. The first is always [`Change::Everything`], once the feed sees; so is the one after each blindness,
    /// and one more when a blindness begins.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Change {
        loop {
            let Some(watching) = &mut self.watching else {
                self.watching = Some(self.begin().await);
                self.sight.everything_changed();
                return Change::Everything;
            };
            match watching.news(&mut self.states, &self.sight, &self.link).await {
                News::Announced(invalidation) => {
                    if let Some(keys) = watching.keys(invalidation, &self.sight) {
                        return Change::Keys(keys);
                    }
                }
                News::Blind => {
                    self.watching = None;
                    self.sight.close();
                    self.sight.everything_changed();
                    return Change::Everything;
                }
                News::Lost => {
                    self.sight.everything_changed();
                    return Change::Everything;
                }
                News::Nothing => {}
            }
        }
    }

    /// Waits for a connection and has it announce changes; tries until it does.
    async fn begin(&mut self) -> Watching {
        loop {
            let line = self.connected().await;
            let begun = Instant::now();
            match Watching::begin(line.clone(), &self.prefix, &self.link).await {
                Ok(watching) => {
                    self.sight.open(begun);
                    return watching;
                }
                Err(error) => {
                    tracing::warn!(%error, "changes are not announced");
                    line.condemn();
                    // Not a loop at full speed where the user may not track, or the server cannot.
                    sleep(self.link.post().pace.probe * 5).await;
                }
            }
        }
    }

    async fn connected(&mut self) -> Arc<Line> {
        loop {
            if let State::Up(line) = &*self.states.borrow_and_update() {
                return line.clone();
            }
            // The sender lives as long as the link, which is ours; were it gone, there would be nothing to wait for.
            if self.states.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

// === impl Watching ===

impl Watching {
    async fn begin(line: Arc<Line>, prefix: &Bytes, link: &Link) -> Result<Self, Error> {
        let limit = link.post().pace.probe;
        // Before the first announcement, or it could be missed.
        let announced = line.invalidations();
        let nodes = line.nodes();
        for node in &nodes {
            // Off first: an earlier attempt that was given up half way would make the second an error.
            line.exchange_proven(tracking("OFF"), node.clone(), limit).await?;
            let on = tracking("ON").arg("BCAST").arg("PREFIX").arg(prefix.clone());
            line.exchange_proven(on, node.clone(), limit).await?;
        }
        let canaries = match Canary::set_out(&line, prefix, limit).await {
            Ok(canaries) => canaries,
            Err(error) => {
                tracing::warn!(%error, "a flush of the database will not be noticed");
                Vec::new()
            }
        };
        let now = Instant::now();
        Ok(Self { line, nodes, announced, canaries, next_round: now + link.post().pace.watch, last_round: now })
    }

    /// Waits for something to happen.
    async fn news(&mut self, states: &mut watch::Receiver<State>, sight: &Sight, link: &Link) -> News {
        tokio::select! {
            // Announcements first: the round below vouches for all that came before it.
            biased;
            announced = self.announced.recv() => match announced {
                Ok(invalidation) => News::Announced(invalidation),
                Err(RecvError::Lagged(_)) => News::Lost,
                Err(RecvError::Closed) => News::Blind,
            },
            changed = states.changed() => match &*states.borrow_and_update() {
                State::Up(line) if changed.is_ok() && Arc::ptr_eq(line, &self.line) => News::Nothing,
                _ => News::Blind,
            },
            () = sleep_until(self.next_round) => self.round(sight, link).await,
        }
    }

    /// Looks after the canaries, and thereby proves that the connection is alive.
    async fn round(&mut self, sight: &Sight, link: &Link) -> News {
        let (begun, limit) = (Instant::now(), link.post().pace.probe);
        if self.line.nodes() != self.nodes {
            self.line.condemn();
            return News::Blind;
        }
        let all_live = self.all_canaries_live(limit).await;
        self.next_round = Instant::now() + link.post().pace.watch;
        let Ok(all_live) = all_live else {
            // Whether the connection is at fault is for its supervisor to find out.
            link.post().suspicion.notify_one();
            return News::Nothing;
        };
        let vouched_for = std::mem::replace(&mut self.last_round, begun);
        match self.announced.try_recv() {
            _ if !all_live => News::Lost,
            Ok(invalidation) => News::Announced(invalidation),
            Err(TryRecvError::Lagged(_)) => News::Lost,
            Err(TryRecvError::Closed) => News::Blind,
            Err(TryRecvError::Empty) => {
                // The server may announce a change just after the replies of the same turn of its loop: so it is what came
                // before the round before this one that has certainly arrived.
                sight.proven_until(vouched_for);
                News::Nothing
            }
        }
    }

    async fn all_canaries_live(&mut self, limit: Duration) -> Result<bool, Error> {
        if self.canaries.is_empty() {
            return self.line.probe(limit).await.map(|()| true);
        }
        let mut all_live = true;
        for canary in &mut self.canaries {
            all_live &= canary.lives(&self.line, limit).await?;
        }
        Ok(all_live)
    }

    /// The changed keys other than the canaries; the sequence moves before anyone is told.
    fn keys(&self, invalidation: Invalidation, sight: &Sight) -> Option<Vec<Bytes>> {
        let keys = invalidation.keys.into_iter().map(fred::types::Key::into_bytes);
        let keys: Vec<_> = keys.filter(|key| !self.canaries.iter().any(|canary| canary.is(key))).collect();
        keys.iter().for_each(|key| sight.changed(key));
        (!keys.is_empty()).then_some(keys)
    }
}

fn tracking(switch: &'static str) -> Command {
    Command::new("CLIENT").arg("TRACKING").arg(switch)
}
