//! One value's way: found, waited for, or loaded.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::Instrument as _;

use crate::admit::Times;
use crate::cache::Place;
use crate::capture::{self, Capture, MOST, Used};
use crate::entry::Entry;
use crate::flight::{Follow, Join, Landing, Lead};
use crate::keeper::Keeper;
use crate::lease::{Claim, Right};
use crate::ledger::Verdict;
use crate::memo::chain::{self, Link};
use crate::memo::error::MemoError;
use crate::memo::found::{Answer, Found, count};
use crate::memo::loading::{Loading, Wish};
use crate::memo::table::{Asked, Memo};
use crate::memo::value;
use crate::record::Record;
use crate::turn::{MOST_TRIES, Missed};
use crate::writer::{EntryWriter, Label};

/// How a caller goes on.
enum Turn<V> {
    /// It loads, and stores what it loads.
    Lead(Lead),
    /// It loads for itself.
    Unstored,
    Again,
    Served(Found<V>),
}

/// What a loader came to, and what that was made of. Nothing, if nothing should be kept of it.
type Loaded<V> = (Option<Arc<V>>, Option<Used>);

// === impl Memo ===

impl<K, V> Memo<K, V>
where
    K: Serialize + ?Sized + 'static,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// The value, or that there is none. What is not `wanted` is loaded as if it were not stored.
    pub(crate) async fn get<F, Fut, E>(
        &self,
        asked: &Asked,
        load: F,
        wanted: fn(&Found<V>) -> bool,
    ) -> Result<Option<Arc<V>>, MemoError<E>>
    where
        F: FnOnce(Loading<V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Send + 'static,
    {
        let mut tries = 0;
        loop {
            let found = self.find(&asked.place).await;
            let answer = found
                .as_ref()
                .filter(|found| wanted(found))
                .map_or(Answer::Load, |found| found.answer(self.cache.now(), &self.terms, rand::random()));
            if answer != Answer::Load
                && let Some(found) = found
            {
                count(if answer == Answer::Now { "hit" } else { "refresh" });
                if answer == Answer::NowAndRefresh {
                    self.refresh(asked, &found, load);
                }
                return Ok(found.used(&self.cache));
            }
            if chain::contains(asked.place.local) {
                return Err(MemoError::Recursive);
            }
            let lead = match self.turn(&asked.place, found.as_ref(), &mut tries, wanted).await {
                Turn::Lead(lead) => Some(lead),
                Turn::Unstored => None,
                Turn::Again => continue,
                Turn::Served(found) => {
                    count("collapsed");
                    return Ok(found.used(&self.cache));
                }
            };
            return self.load(asked, found, lead, load).await;
        }
    }

    /// What is stored under a key.
    pub(crate) async fn find(&self, place: &Place) -> Option<Found<V>> {
        let sure = self.cache.find(&place.key, place.local).await?;
        match sure.record {
            Record::Entry(entry) => Some(self.found(entry, sure.soft)),
            _ => None,
        }
    }

    /// What is stored in Redis.
    pub(crate) async fn find_elsewhere(&self, place: &Place) -> Option<Found<V>> {
        let sure = self.cache.ask(&place.key, place.local).await?;
        match sure.record {
            Record::Entry(entry) => Some(self.found(entry, sure.soft)),
            _ => None,
        }
    }

    pub(crate) fn found(&self, entry: Entry, soft: bool) -> Found<V> {
        let value = self.cache.values().of(&entry);
        Found { entry, soft, value }
    }

    async fn turn(
        &self,
        place: &Place,
        known: Option<&Found<V>>,
        tries: &mut u32,
        wanted: fn(&Found<V>) -> bool,
    ) -> Turn<V> {
        let flights = self.cache.flights();
        if *tries > MOST_TRIES {
            return Turn::Lead(flights.alone(place.local, place.local));
        }
        let mut lead = match flights.join(place.local, place.local) {
            Join::Lead(lead) => lead,
            Join::Follow(follow) => return self.follow(place, follow, tries, wanted).await,
        };
        if self.cache.shared().is_none() {
            return Turn::Lead(lead);
        }
        let known = known.map(|found| &found.entry);
        match self.cache.claim_in_turn(&place.key, place.local, known, self.terms.wait).await {
            Ok(lease) => {
                lead.right = lease.map(Right::Lease);
                Turn::Lead(lead)
            }
            Err(Missed::Filled) => {
                *tries += 1;
                Turn::Again
            }
            Err(Missed::TooLong) => Turn::Unstored,
        }
    }

    async fn follow(
        &self,
        place: &Place,
        mut follow: Follow,
        tries: &mut u32,
        wanted: fn(&Found<V>) -> bool,
    ) -> Turn<V> {
        let Ok(landing) = tokio::time::timeout(self.terms.wait, follow.landing()).await else {
            return Turn::Unstored;
        };
        match landing {
            Landing::Landed(entry) => match self.served(place, entry).filter(wanted) {
                Some(found) => Turn::Served(found),
                None => {
                    *tries += 1;
                    Turn::Again
                }
            },
            // It was not to be stored: each loads its own.
            Landing::Open => Turn::Lead(self.cache.flights().alone(place.local, place.local)),
            Landing::Failed => {
                *tries += 2; // one tries again; when that fails too, everybody does
                Turn::Again
            }
            Landing::Vanished => Turn::Again,
        }
    }

    /// What another caller loaded, if it is for this one.
    pub(crate) fn served(&self, place: &Place, entry: Entry) -> Option<Found<V>> {
        // What was purged while it was loaded is for those who asked before.
        let is_current = self.cache.coherence().judge_leniently(&entry) == Verdict::Current;
        if entry.key() != place.key.text() || !is_current {
            return None;
        }
        let found = self.found(entry, false);
        (found.value.is_some() && found.is_fresh(self.cache.now())).then_some(found)
    }

    async fn load<F, Fut, E>(
        &self,
        asked: &Asked,
        stale: Option<Found<V>>,
        lead: Option<Lead>,
        load: F,
    ) -> Result<Option<Arc<V>>, MemoError<E>>
    where
        F: FnOnce(Loading<V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Send + 'static,
    {
        count("load");
        let link = chain::with(asked.place.local);
        let last = stale.as_ref().and_then(|found| found.value.clone().flatten());
        let work = self.clone().run(asked.clone(), Loading::new(last), lead, load, link);
        // In a task of its own: when the caller goes away, it goes on for those who wait.
        let span = tracing::debug_span!("memo.load", memo = self.terms.name);
        match tokio::spawn(work.instrument(span)).await {
            Ok(Ok((value, used))) => {
                capture::note(&self.cache, used);
                Ok(value)
            }
            Ok(Err(error)) => match stale.filter(|found| found.stands_in(self.cache.now())) {
                Some(found) => {
                    count("stale-on-error");
                    Ok(found.used(&self.cache))
                }
                None => Err(MemoError::Load(error)),
            },
            Err(_) => Err(MemoError::Panicked),
        }
    }

    async fn run<F, Fut, E>(
        self,
        asked: Asked,
        loading: Loading<V>,
        lead: Option<Lead>,
        load: F,
        link: Link,
    ) -> Result<Loaded<V>, E>
    where
        F: FnOnce(Loading<V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
    {
        let (sent, moment, capture) = (self.cache.now(), self.cache.coherence().moment(), Capture::new(&self.cache));
        let loaded = load(loading.clone());
        let value = match chain::within(link, capture.around(loaded)).await {
            Ok(value) => value.map(Arc::new),
            Err(error) => {
                if let Some(lead) = lead {
                    lead.fail();
                }
                return Err(error);
            }
        };
        let times = Times { sent, moment, received: self.cache.now() };
        let used = self.keep(&asked, value.as_ref(), &loading.wish(), times, capture.used(), lead);
        Ok((value, used))
    }

    /// Stores a value, if it may be. Gives its tags, and how old that is which they are of; nothing if what is made of it should
    /// not be stored either.
    pub(crate) fn keep(
        &self,
        asked: &Asked,
        value: Option<&Arc<V>>,
        wish: &Wish,
        times: Times,
        made_of: Option<Used>,
        lead: Option<Lead>,
    ) -> Option<Used> {
        let begun = times.moment.generation;
        let made_of = made_of.filter(|_| !wish.is_unwanted);
        let mut tags = vec![self.own_tag(), asked.tag];
        tags.extend(wish.tags.iter().chain(made_of.iter().flatten().map(|(tag, _)| tag)));
        tags.sort_unstable();
        tags.dedup();
        let Some(made_of) = made_of.filter(|_| tags.len() <= MOST) else {
            if let Some(mut lead) = lead {
                lead.open();
            }
            return None;
        };
        let older = |tag| made_of.iter().find(|(other, _)| *other == tag).map_or(begun, |(_, older)| *older);
        let used = Some(tags.iter().map(|&tag| (tag, older(tag))).collect());
        let Some(mut lead) = lead else { return used };
        let terms = self.terms.of_value(value.is_some(), wish, times.received);
        let body = value::encode(value.map(|value| &**value));
        let (Some(terms), Some(body)) = (terms, body) else {
            lead.open();
            return used;
        };
        let cost = times.received.duration_since(times.sent).unwrap_or_default();
        let label = Label { key: &asked.place.key, generation: begun, cost, tags: &tags };
        let mut writer = EntryWriter::new(&label, StatusCode::OK, &HeaderMap::new(), &terms, body.len());
        writer.push(&body);
        let entry = writer.finish();
        self.cache.values().keep(&entry, value.cloned());
        let keep = terms.lifetime + terms.stale_while_revalidate.max(terms.stale_if_error.unwrap_or_default());
        Keeper::of(&self.cache, asked.place.clone(), lead, keep, times).made_of(made_of).keep(entry, None);
        used
    }

    /// Loads anew what has just been given, once in the fleet. An error leaves it as it is.
    fn refresh<F, Fut, E>(&self, asked: &Asked, found: &Found<V>, load: F)
    where
        F: FnOnce(Loading<V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Send + 'static,
    {
        let Some(permit) = self.cache.background() else { return };
        let Some(mut lead) = self.cache.flights().lead(asked.place.local, asked.place.local) else { return };
        let (memo, asked, known) = (self.clone(), asked.clone(), found.entry.clone());
        // Nobody waits for it: whoever it asks for may be waiting for somebody else.
        let (loading, link) = (Loading::new(found.value.clone().flatten()), chain::of(asked.place.local));
        let span = tracing::debug_span!("memo.refresh", memo = self.terms.name);
        let work = async move {
            match memo.cache.claim(&asked.place.key, asked.place.local, Some(&known)).await {
                Claim::Held | Claim::Found => return,
                Claim::Mine(lease) => lead.right = Some(Right::Lease(lease)),
                Claim::Away => {}
            }
            if memo.run(asked, loading, Some(lead), load, link).await.is_err() {
                count("refresh-failed");
            }
            drop(permit);
        };
        tokio::spawn(work.instrument(span));
    }
}
