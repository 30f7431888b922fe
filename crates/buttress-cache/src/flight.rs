//! Single flight: of many requests that miss on one key, one calls the inner service.
//!
//! ```text
//!            join                 land(entry)
//! (nobody) ───────▶ in flight ───────────────────▶ landed: every follower has the entry
//!                     │  │ open()
//!                     │  └───────────────────────▶ open:   followers call for themselves, nobody queues
//!                     │ fail(), or the leader is dropped
//!                     │  │ share(body)
//!                     │  └───────────────────────▶ shared: followers read along, or wait for the end
//!                     └──────────────────────────▶ failed: one follower leads the next try
//! ```
//!
//! A leader that is cancelled or panics drops its [`Lead`], which is the third way: nobody waits for the dead.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use crate::entry::Entry;
use crate::growing::Growing;
use crate::lease::Right;

const SHARDS: usize = 64;
const GENERATIONS: usize = 1024;

/// The flights of one cache, and how often each part of its key space was invalidated.
pub(crate) struct Flights {
    shards: [Mutex<HashMap<u128, watch::Receiver<State>>>; SHARDS],
    /// Counts invalidations. A fill that began under an older count must not be kept: what it read may be older
    /// than the change. Keys share counters; an unlucky neighbour costs a fill, never a wrong answer.
    generations: Box<[AtomicU64]>,
}

/// What a request is given that asks to fetch a key.
pub(crate) enum Join {
    /// It is the one to call the inner service.
    Lead(Lead),
    /// Another one does already.
    Follow(Follow),
}

/// The right and the duty to fetch a key. Dropped without [`Lead::land`] or [`Lead::open`], it has failed.
pub(crate) struct Lead {
    flights: Arc<Flights>,
    key: u128,
    /// The plain key, which is what gets invalidated; `key` may be that of a variant.
    plain: u128,
    generation: u64,
    state: Option<watch::Sender<State>>,
    /// The right to store it in Redis too.
    pub(crate) right: Option<Right>,
}

/// A place in the queue behind a [`Lead`].
pub(crate) struct Follow {
    state: watch::Receiver<State>,
}

/// How a flight ended for those who followed it.
#[derive(Clone, Debug)]
pub(crate) enum Landing {
    /// The entry, stored or about to be.
    Landed(Entry),
    /// Nothing that could be shared came of it: each follower calls for itself.
    Open,
    /// The leader answered an error: another try may do better.
    Failed,
    /// The leader went away without an answer.
    Vanished,
}

/// How far a flight is.
#[derive(Clone)]
enum State {
    UnderWay,
    /// Its body comes, and others may read along. Weak: a body that nobody reads any more is not kept by those who might.
    Shared(Weak<Growing>),
    Ended(Landing),
}

// === impl Flights ===

impl Flights {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            generations: (0..GENERATIONS).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// Leads the flight for `key`, a variant of `plain` or `plain` itself, or follows the one that is under way.
    pub(crate) fn join(self: &Arc<Self>, key: u128, plain: u128) -> Join {
        let mut shard = self.shard(key);
        if let Some(state) = shard.get(&key) {
            return Join::Follow(Follow { state: state.clone() });
        }
        let (sender, receiver) = watch::channel(State::UnderWay);
        shard.insert(key, receiver);
        Join::Lead(self.given(key, plain, Some(sender)))
    }

    /// Leads the flight for `key` if nobody does.
    pub(crate) fn lead(self: &Arc<Self>, key: u128, plain: u128) -> Option<Lead> {
        match self.join(key, plain) {
            Join::Lead(lead) => Some(lead),
            Join::Follow(_) => None,
        }
    }

    /// A lead beside any flight: what is fetched may be stored, but nobody waits for it.
    pub(crate) fn alone(self: &Arc<Self>, key: u128, plain: u128) -> Lead {
        self.given(key, plain, None)
    }

    /// Declares fills of `plain` and its variants that are under way out of date.
    pub(crate) fn invalidate(&self, plain: u128) {
        self.generations[slot(plain, GENERATIONS)].fetch_add(1, Ordering::AcqRel);
    }

    /// Whether no invalidation of `plain` came after a lead was given at `generation`.
    pub(crate) fn is_current(&self, plain: u128, generation: u64) -> bool {
        self.generation(plain) == generation
    }

    fn given(self: &Arc<Self>, key: u128, plain: u128, state: Option<watch::Sender<State>>) -> Lead {
        Lead { flights: Arc::clone(self), key, plain, generation: self.generation(plain), state, right: None }
    }

    fn generation(&self, plain: u128) -> u64 {
        self.generations[slot(plain, GENERATIONS)].load(Ordering::Acquire)
    }

    fn shard(&self, key: u128) -> MutexGuard<'_, HashMap<u128, watch::Receiver<State>>> {
        self.shards[slot(key, SHARDS)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let under_way: usize = (0..SHARDS as u128).map(|shard| self.shard(shard).len()).sum();
        f.debug_struct("Flights").field("under_way", &under_way).finish_non_exhaustive()
    }
}

// === impl Lead ===

impl Lead {
    /// Whether the key was not invalidated since this lead was given.
    pub(crate) fn is_current(&self) -> bool {
        self.flights.is_current(self.plain, self.generation)
    }

    /// How many follow.
    pub(crate) fn followers(&self) -> usize {
        // The map holds one receiver.
        self.state.as_ref().map_or(0, |state| state.receiver_count().saturating_sub(1))
    }

    /// Hands the entry to every follower.
    pub(crate) fn land(mut self, entry: Entry) {
        self.end(Landing::Landed(entry));
    }

    /// Tells the followers that the body comes, and that they can read along.
    pub(crate) fn share(&self, growing: Weak<Growing>) {
        if let Some(state) = &self.state {
            state.send_replace(State::Shared(growing));
        }
    }

    /// Sends every follower on its own way; the lead itself may still store what it fetches.
    pub(crate) fn open(&mut self) {
        self.end(Landing::Open);
    }

    /// Lets one of the followers try again.
    pub(crate) fn fail(mut self) {
        self.end(Landing::Failed);
    }

    fn end(&mut self, landing: Landing) {
        let Some(state) = self.state.take() else { return };
        // First out of the map, then the news: whoever is woken and joins again finds no flight that has ended.
        self.flights.shard(self.key).remove(&self.key);
        state.send_replace(State::Ended(landing));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.end(Landing::Vanished);
    }
}

// === impl Follow ===

impl Follow {
    /// Waits until the body comes. `None` when the flight has ended before.
    pub(crate) async fn shared(&mut self) -> Option<Arc<Growing>> {
        match &*self.state.wait_for(|state| !matches!(state, State::UnderWay)).await.ok()? {
            State::Shared(growing) => growing.upgrade(),
            State::UnderWay | State::Ended(_) => None,
        }
    }

    /// Waits until the flight has ended.
    pub(crate) async fn landing(&mut self) -> Landing {
        match self.state.wait_for(|state| matches!(state, State::Ended(_))).await.as_deref() {
            Ok(State::Ended(landing)) => landing.clone(),
            Ok(State::UnderWay | State::Shared(_)) | Err(_) => Landing::Vanished,
        }
    }
}

/// The low bits of a hash are as good as all of them.
fn slot(key: u128, slots: usize) -> usize {
    key as usize % slots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(flights: &Arc<Flights>, key: u128) -> Follow {
        match flights.join(key, key) {
            Join::Follow(follow) => follow,
            Join::Lead(_) => panic!("nobody leads"),
        }
    }

    #[tokio::test]
    async fn a_dropped_lead_lets_a_follower_lead() {
        let flights = Flights::new();
        let lead = flights.lead(7, 7).expect("the first leads");
        let mut waiting = follow(&flights, 7);
        assert_eq!(lead.followers(), 1);
        drop(lead);
        assert!(matches!(waiting.landing().await, Landing::Vanished));
        assert!(flights.lead(7, 7).is_some());
    }

    #[tokio::test]
    async fn an_opened_flight_does_not_queue_the_next() {
        let flights = Flights::new();
        let mut lead = flights.lead(7, 7).expect("the first leads");
        let mut waiting = follow(&flights, 7);
        lead.open();
        assert!(matches!(waiting.landing().await, Landing::Open));
        assert!(flights.lead(7, 7).is_some());
        drop(lead);
        assert!(flights.lead(7, 7).is_some(), "the drop of an opened lead leaves no trace");
    }

    #[test]
    fn an_invalidation_outdates_the_fill_under_way_and_no_later_one() {
        let flights = Flights::new();
        let lead = flights.lead(9, 7).expect("the first leads");
        assert!(lead.is_current());
        flights.invalidate(7);
        assert!(!lead.is_current());
        drop(lead);
        assert!(flights.lead(7, 7).expect("nobody leads now").is_current());
    }

    #[test]
    fn flights_leave_nothing_behind() {
        let flights = Flights::new();
        for key in 0..1000 {
            drop(flights.lead(key, key));
        }
        assert!((0..64).all(|shard| flights.shard(shard).is_empty()));
    }
}
