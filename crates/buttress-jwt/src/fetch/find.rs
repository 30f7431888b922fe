//! A token whose key is not known: whether to have the keys asked for, and the wait for that.
//!
//! ```text
//! request ──unknown key──▶ Board ◀── locked for an instant, never across an await
//!    │ Ask, Join             │ demands: one at a time
//!    │                       ▼
//!    └──◀── rounds ◀── the follower: copy of the fleet? issuer? ──▶ keys, swapped
//! ```
//!
//! Only the follower fetches, so that a request that goes away takes nothing with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use buttress_core::Clock;
use metrics::counter;
use quick_cache::sync::Cache;
use tokio::sync::{Semaphore, mpsc, watch};

use super::policy::{self, COOL_DOWN, Found, Known, Step, Why};
use crate::keys::Keys;
use crate::verifier::Missing;

/// How tokens reach the follower of their issuer's keys.
pub(crate) struct Finder {
    board: Arc<Board>,
    demands: mpsc::Sender<Why>,
    rounds: watch::Receiver<Round>,
    /// For those who wait: an issuer that hangs must not collect requests without end.
    places: Semaphore,
    timeout: Duration,
    clock: Clock,
    name: Arc<str>,
}

/// What the follower and the tokens know of each other.
pub(super) struct Board {
    state: Mutex<State>,
    /// Names that were not there, until when that is believed. By digest: the names are anybody's.
    missed: Cache<[u8; 32], SystemTime>,
}

/// The follower's end.
pub(super) struct Desk {
    pub(super) board: Arc<Board>,
    pub(super) demands: mpsc::Receiver<Why>,
    pub(super) rounds: watch::Sender<Round>,
}

/// How many times the keys were asked for, and how the last time ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Round {
    number: u64,
    end: End,
}

/// How it ends that keys are asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum End {
    #[default]
    Failed,
    /// The fleet's copy was taken, which others asked for a while ago.
    Copied,
    /// The issuer answered.
    Fetched,
}

/// Whether a round was begun for the token that waits for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Turn {
    Own,
    Joined,
}

struct State {
    under_way: bool,
    /// When they were asked for on behalf of a token.
    asked: Option<SystemTime>,
}

const MOST_WAITING: usize = 1024;
const MOST_MISSED: usize = 256;
/// Some issuers sign with a key before all of their servers publish it.
const MISSED: Duration = Duration::from_secs(120);

// === impl Finder ===

impl Finder {
    /// Both ends. The keys are under way from the beginning: the follower asks for them first of all.
    pub(super) fn new(name: Arc<str>, timeout: Duration, clock: Clock) -> (Self, Desk) {
        let state = Mutex::new(State { under_way: true, asked: None });
        let board = Arc::new(Board { state, missed: Cache::new(MOST_MISSED) });
        let ((demands, demanded), (told, rounds)) = (mpsc::channel(1), watch::channel(Round::default()));
        let desk = Desk { board: Arc::clone(&board), demands: demanded, rounds: told };
        (Self { board, demands, rounds, places: Semaphore::new(MOST_WAITING), timeout, clock, name }, desk)
    }

    /// What a token may hope for whose key was not among these. Returns at once where asking would not help, and waits for the
    /// timeout at most where it may.
    pub(crate) async fn find(&self, keys: &Keys, missing: &Missing) -> Found {
        let found = self.seek(keys, missing).await;
        counter!("buttress_jwt_keys_sought_total", "url" => Arc::clone(&self.name), "outcome" => found.as_str())
            .increment(1);
        found
    }

    async fn seek(&self, keys: &Keys, missing: &Missing) -> Found {
        let waited = tokio::time::timeout(self.timeout, self.wait(keys, missing)).await;
        waited.unwrap_or_else(|_| standing(keys, missing))
    }

    async fn wait(&self, keys: &Keys, missing: &Missing) -> Found {
        let (name, mut place) = (digest(missing.kid.as_deref()), None);
        loop {
            let (turn, before) = match self.join(keys, missing, &name) {
                Ok(joined) => joined,
                Err(found) => return found,
            };
            if place.is_none() {
                let Ok(free) = self.places.try_acquire() else { return standing(keys, missing) };
                place = Some(free);
            }
            let mut rounds = self.rounds.clone();
            let ended = rounds.wait_for(|round| round.number > before.number).await;
            let (end, found) = (ended.map_or(End::Failed, |round| round.end), standing(keys, missing));
            match turn {
                _ if found != Found::Unknown || end == End::Failed => return found,
                Turn::Own => {
                    if end == End::Fetched {
                        self.board.missed.insert(name, self.clock.now() + MISSED);
                    }
                    return found;
                }
                // It may have begun before the key was published: it proves nothing.
                Turn::Joined => {}
            }
        }
    }

    /// The round whose end to wait for, or what is known without waiting.
    fn join(&self, keys: &Keys, missing: &Missing, name: &[u8; 32]) -> Result<(Turn, Round), Found> {
        let now = self.clock.now();
        let mut state = self.board.state();
        let known = {
            let set = keys.current();
            Known {
                is_there: is_there(keys, missing),
                usable: !set.is_empty(),
                pointless: set.names(missing.kid.as_deref()) || self.board.is_missed(name, now),
                under_way: state.under_way,
                cooled_down: state.asked.is_none_or(|asked| policy::age(asked, now) >= COOL_DOWN),
            }
        };
        let turn = match policy::on_unknown(known) {
            Step::Answer(found) => return Err(found),
            Step::Join => Turn::Joined,
            Step::Ask => {
                (state.asked, state.under_way) = (Some(now), true);
                // It fails if the task was ended with its runtime: then there is nothing to wait for either, which ends the wait.
                drop(self.demands.try_send(Why::Wanted(missing.kid.clone())));
                Turn::Own
            }
        };
        // Before the lock is left: or it could end in between, and the next be waited for in vain.
        Ok((turn, *self.rounds.borrow()))
    }
}

/// What may be hoped for by what is known now.
fn standing(keys: &Keys, missing: &Missing) -> Found {
    match () {
        () if is_there(keys, missing) => Found::Refreshed,
        () if keys.current().is_empty() => Found::Away,
        () => Found::Unknown,
    }
}

/// Whether other keys than those it was tried with are known, and its own may be among them.
fn is_there(keys: &Keys, missing: &Missing) -> bool {
    let set = keys.current();
    set.epoch != missing.epoch && set.may_have(missing.kid.as_deref())
}

fn digest(kid: Option<&str>) -> [u8; 32] {
    kid.map_or([0; 32], |kid| *blake3::hash(kid.as_bytes()).as_bytes())
}

// === impl Board ===

impl Board {
    /// Never held across an await.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_missed(&self, name: &[u8; 32], now: SystemTime) -> bool {
        self.missed.get(name).is_some_and(|until| now < until)
    }
}

// === impl Desk ===

impl Desk {
    /// From now on, whoever comes joins.
    pub(super) fn begin(&self) {
        self.board.state().under_way = true;
    }

    /// Answers all who wait.
    pub(super) fn end(&mut self, end: End, changed: bool) {
        if changed {
            self.board.missed.clear();
        }
        let mut state = self.board.state();
        state.under_way = false;
        // What was demanded meanwhile has been answered.
        while self.demands.try_recv().is_ok() {}
        self.rounds.send_modify(|round| *round = Round { number: round.number + 1, end });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_demanded_while_keys_are_asked_for_is_answered_with_them() {
        let (finder, mut desk) = Finder::new("test".into(), Duration::from_secs(1), Clock::system());
        let (keys, missing) = (Keys::new([]), Missing { issuer: 0, kid: None, epoch: 0 });
        let join = || finder.join(&keys, &missing, &digest(None)).map(|(turn, _)| turn);
        assert_eq!(join(), Ok(Turn::Joined));
        desk.end(End::Failed, false);
        assert_eq!((join(), join()), (Ok(Turn::Own), Ok(Turn::Joined)));
        // In that moment it was time anyhow.
        desk.begin();
        desk.end(End::Failed, false);
        assert_eq!(desk.demands.try_recv().err(), Some(mpsc::error::TryRecvError::Empty));
        assert_eq!(join(), Err(Found::Away));
    }

    #[test]
    fn names_that_were_not_there_take_no_more_room_than_that() {
        let clock = Clock::system();
        let (finder, _desk) = Finder::new("test".into(), Duration::from_secs(1), clock.clone());
        (0..100_000).for_each(|n| finder.board.missed.insert(digest(Some(&n.to_string())), clock.now()));
        assert!(finder.board.missed.len() <= MOST_MISSED, "{}", finder.board.missed.len());
        assert_ne!(digest(None), digest(Some("")));
    }
}
