//! Finding responses by equivalent queries: `No-Vary-Search`, where the setting is on.
//!
//! ```text
//! under the URI as it is ──found──▶ use it
//!   │ nothing
//! what did the path say last? (this process knows, or Redis is asked once) ──nothing──▶ fetch
//!   │ a policy
//! under the canonical query ──found, and it says the same itself──▶ use it
//! ```
//!
//! First comes what was stored for the very URI: a response that lacks the field is answered with as long as it is there,
//! whatever its path says by now.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use buttress_rfc9111::no_vary_search::NoVarySearch;
use http::{HeaderMap, StatusCode};
use tracing::Instrument as _;

use crate::admit::Admitted;
use crate::cache::{Cache, Place};
use crate::entry::Entry;
use crate::exchange::Exchange;
use crate::key::Key;
use crate::layer::Settings;
use crate::lookup::Peek;
use crate::policy;
use crate::record::Record;
use crate::search::Search;

/// What a request whose query may not matter knows of its path.
pub(crate) struct Alike {
    /// The key of the URI as it is.
    exact: Key,
    path: Key,
    path_local: u128,
    /// What the path said last.
    known: Option<Arc<Search>>,
    /// Whether Redis was asked for it.
    was_asked: bool,
    /// Whether the request now looks where the canonical query leads.
    is_there: bool,
}

/// What is to be remembered of a path beside a response.
pub(crate) enum Note {
    Nothing,
    /// This policy, for so long.
    Last(Key, Arc<Search>, Duration),
    /// That there is none any more, if there was one.
    End(Key),
}

// === impl Alike ===

impl Alike {
    /// `None` where the setting is off, or keys are not made of URIs.
    pub(crate) fn of(settings: &Settings, exact: &Key) -> Option<Box<Self>> {
        if !settings.follows_search() {
            return None;
        }
        let path = exact.of_path()?;
        Some(Box::new(Self {
            exact: exact.clone(),
            path_local: path.local(),
            path,
            known: None,
            was_asked: false,
            is_there: false,
        }))
    }

    /// Where responses with this policy are that answer the request; `None` for the URI's own place.
    fn under(&self, policy: &NoVarySearch) -> Option<Key> {
        let key = if policy.is_default() { None } else { self.exact.searched(policy) };
        key.filter(|key| policy::is_reasonable(key.text()))
    }
}

impl Exchange {
    /// Back to the URI as it is, for a lookup that begins.
    pub(crate) fn begin(&mut self) {
        if let Some(alike) = &mut self.alike {
            alike.is_there = false;
            self.place = Place::of(alike.exact.clone());
        }
    }

    /// Turns to where equivalent queries are, by what this process knows. False if there is no such place, or it is there already.
    pub(crate) fn turn_to_alike(&mut self, now: SystemTime) -> bool {
        let Some(alike) = self.alike.as_mut().filter(|alike| !alike.is_there) else { return false };
        if let Peek::Found(sure) = self.cache.peek(&alike.path, alike.path_local, now)
            && let Record::Search(search) = sure.record
        {
            alike.known = Some(search);
        }
        let Some(key) = alike.known.as_ref().and_then(|search| alike.under(search.policy())) else { return false };
        alike.is_there = true;
        self.pass = false; // what was said of the other place
        self.place = Place::of(key);
        true
    }

    /// The same; what this process does not know, Redis is asked.
    pub(crate) async fn ask_for_alike(&mut self) -> bool {
        if self.turn_to_alike(self.cache.now()) {
            return true;
        }
        let Some(alike) = self.alike.as_mut().filter(|alike| alike.known.is_none()) else { return false };
        alike.was_asked = true;
        let Some(search) = said_last(&self.cache, &alike.path, alike.path_local).await else { return false };
        alike.known = Some(search);
        self.turn_to_alike(self.cache.now())
    }

    /// Whether an entry answers the request by what it says itself: where an equivalent query has led, its own field decides.
    pub(crate) fn is_answered_by(&self, entry: &Entry) -> bool {
        let Some(alike) = self.alike.as_ref().filter(|alike| alike.is_there) else { return true };
        let stated = policy::search_of(entry.status(), &entry.headers(0));
        alike.known.as_ref().is_some_and(|search| *search.policy() == stated)
    }

    /// Whether an entry that was fetched for another request lies where this one would look, knowing its policy.
    pub(crate) fn would_find(&self, entry: &Entry) -> bool {
        let Some(alike) = &self.alike else { return false };
        // The parts of a body are found by the key.
        let whole = entry.manifest().is_none();
        let stated = || policy::search_of(entry.status(), &entry.headers(0));
        whole && alike.under(&stated()).is_some_and(|key| key.text() == entry.key())
    }

    /// Whether others may have learned meanwhile under which key this request's response is.
    pub(crate) fn may_be_elsewhere(&self) -> bool {
        self.alike.as_ref().is_some_and(|alike| !alike.is_there)
    }

    /// The plain key under which a response belongs.
    pub(crate) fn plain_for(&self, status: StatusCode, headers: &HeaderMap) -> Key {
        let Some(alike) = &self.alike else { return self.place.plain_key().clone() };
        alike.under(&policy::search_of(status, headers)).unwrap_or_else(|| alike.exact.clone())
    }

    /// What is to be remembered of the path, now that this response is stored.
    pub(crate) fn note(&self, admitted: &Admitted) -> Note {
        let Some(alike) = &self.alike else { return Note::Nothing };
        let policy = policy::search_of(admitted.status, &admitted.headers);
        let now = admitted.times.received;
        let lies_elsewhere = alike.under(&policy).is_some();
        match &alike.known {
            None if !lies_elsewhere && alike.was_asked => Note::Nothing,
            _ if !lies_elsewhere && policy::speaks_for_its_path(admitted.status) => Note::End(alike.path.clone()),
            _ if !lies_elsewhere => Note::Nothing,
            Some(search) if *search.policy() == policy && search.until() >= now + admitted.keep => Note::Nothing,
            _ => {
                let search = Search::new(&alike.path, policy, now, admitted.keep);
                let lives = search.until().duration_since(now).unwrap_or_default();
                Note::Last(alike.path.clone(), Arc::new(search), lives)
            }
        }
    }
}

/// What a path said last, by what Redis knows. It says where to look and nothing else: so it is taken as it is, where an entry
/// that may be out of date would be a miss.
async fn said_last(cache: &Cache, path: &Key, local: u128) -> Option<Arc<Search>> {
    let (redis, as_of) = (cache.shared()?, cache.coherence().version());
    match redis.get(path).instrument(tracing::debug_span!("cache.lookup")).await {
        Ok(Some(Record::Search(search))) => {
            cache.memory().keep(local, Record::Search(Arc::clone(&search)), cache.now(), as_of);
            Some(search)
        }
        Ok(_) => None,
        Err(error) => {
            Cache::count_error("get", &error);
            None
        }
    }
}

// === impl Note ===

impl Note {
    /// Remembers it in this process.
    pub(crate) fn keep_here(&self, cache: &Cache, now: SystemTime, as_of: u64) {
        match self {
            Self::Nothing => {}
            Self::Last(path, search, _) => {
                cache.memory().keep(path.local(), Record::Search(Arc::clone(search)), now, as_of)
            }
            Self::End(path) => cache.memory().forget(path.local()),
        }
    }

    /// Remembers it in Redis. It says where to look: whoever writes it last may.
    pub(crate) async fn keep(self, cache: &Cache) {
        let Some(redis) = cache.shared() else { return };
        let (verb, done) = match self {
            Self::Nothing => return,
            Self::Last(path, search, lives) => ("put", redis.put(&path, &Record::Search(search), lives).await),
            Self::End(path) => match redis.get(&path).await {
                Ok(None) => return,
                Ok(Some(_)) => ("forget", redis.forget(&path).await),
                Err(error) => ("get", Err(error)),
            },
        };
        if let Err(error) = done {
            Cache::count_error(verb, &error);
        }
    }
}
