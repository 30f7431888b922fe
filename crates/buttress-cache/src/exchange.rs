//! One request's way through the cache.
//!
//! ```text
//! here? ──fresh──▶ answer at once
//!   │
//! in Redis? ──fresh──▶ answer
//!   │
//! lead or follow? ──follow──▶ answer with what the leader fetched, or begin again
//!   │
//! fetch ──▶ store what may be stored, answer
//! ```

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use buttress_core::{BoxError, Refusal};
use buttress_rfc9111::cache_status::{CacheStatus, Forward};
use buttress_rfc9111::reuse::{self, Allowance, OnMiss, Reuse};
use buttress_rfc9111::rules::Rules;
use bytes::Bytes;
use http::{Request, Response, StatusCode, request};
use http_body::Body;
use metrics::counter;
use tower_service::Service;
use tracing::Instrument as _;

use crate::alike::Alike;
use crate::answer::{self, Asking, Kept};
use crate::asked::Asked;
use crate::body::CacheBody;
use crate::cache::{Cache, Place};
use crate::capture;
use crate::entry::Entry;
use crate::errand::{self, Errand};
use crate::fetch::Fetch;
use crate::flight::{Join, Lead};
use crate::layer::Settings;
use crate::lease::{Claim, Right};
use crate::lookup::{Peek, Sure};
use crate::policy;
use crate::reader::Reader;
use crate::record::Record;
use crate::turn::{Claimed, Waited};

/// A request that the cache is asked for.
pub(crate) struct Exchange {
    pub(crate) cache: Cache,
    pub(crate) settings: Arc<Settings>,
    pub(crate) parts: request::Parts,
    pub(crate) asked: Asked,
    pub(crate) place: Place,
    /// Where else its response may be, if its query may not matter.
    pub(crate) alike: Option<Box<Alike>>,
    /// Nothing that can be shared came of this key lately: nobody waits for it.
    pub(crate) pass: bool,
    /// This request is the one that refreshes a fresh entry before its end.
    refreshes: bool,
}

/// What one step of a lookup says.
enum Step {
    /// An entry; `soft` if it is to be taken for stale.
    Found { entry: Entry, soft: bool },
    /// There is nothing, for this reason.
    Nothing(Forward),
    /// The URI varies: look under the place that the exchange now has.
    Further,
}

// === impl Exchange ===

impl Exchange {
    pub(crate) fn new(cache: &Cache, settings: &Arc<Settings>, parts: request::Parts, asked: Asked) -> Self {
        let mut key = settings.key_of(&parts);
        if let Some(keyed) = &asked.keyed {
            key.push_content(keyed.digest());
        }
        // What a content asks is told apart by it, and by the whole query.
        let alike = if asked.keyed.is_none() { Alike::of(settings, &key) } else { None };
        Self {
            cache: cache.clone(),
            settings: Arc::clone(settings),
            parts,
            asked,
            alike,
            place: Place::of(key),
            pass: false,
            refreshes: false,
        }
    }

    /// The answer, if this process has one that is fresh. Costs no lock and no round trip.
    pub(crate) fn answer_at_once<R>(&mut self) -> Option<Response<CacheBody<R>>> {
        let now = self.cache.now();
        loop {
            let sure = match self.cache.peek(&self.place.key, self.place.local, now) {
                Peek::Found(sure) => Some(sure),
                Peek::Unsure(..) => return None,
                Peek::Nothing => None,
            };
            match self.step(sure) {
                Step::Found { entry, soft } if self.cache.has_all_here(&entry) => {
                    let is_fresh = self.decide(&entry, soft, now) == Reuse::Fresh;
                    self.refreshes = is_fresh && policy::is_due(&entry, now, &self.settings);
                    return (is_fresh && !self.refreshes).then(|| self.hit(&entry, now));
                }
                Step::Nothing(_) if self.turn_to_alike(now) => {}
                Step::Found { .. } | Step::Nothing(_) => return None,
                Step::Further => {}
            }
        }
    }

    /// The answer: from the store, from another request's fetch, or from the service.
    pub(crate) async fn answer<S, B, R>(mut self, inner: S, body: B) -> Result<Response<CacheBody<R>>, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
        B: Body + Send + 'static,
        R: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        if !policy::is_reasonable(self.place.key.text()) {
            return Fetch::of(self).go(inner, body, Errand::unstored(Forward::Bypass)).await;
        }
        let mut tries = 0;
        loop {
            let found = self.look_up().await;
            let now = self.cache.now();
            let (why, stale) = match found {
                Ok((entry, soft)) => match self.decide(&entry, soft, now) {
                    reuse if reuse == Reuse::Stale(Allowance::WhileRevalidate) || self.is_due(reuse, &entry, now) => {
                        let response = self.hit(&entry, now);
                        self.refresh(inner, body, entry);
                        return Ok(response);
                    }
                    Reuse::Fresh | Reuse::Stale(_) => return Ok(self.hit(&entry, now)),
                    Reuse::Unavailable(_) => return Ok(self.refuse_to_forward()),
                    Reuse::Validate(why) => (errand::forward_word(why), Some(entry)),
                },
                Err(_) if reuse::on_miss(&self.asked.directives) == OnMiss::Unavailable => {
                    return Ok(self.refuse_to_forward());
                }
                Err(why) => (why, None),
            };
            let lead = match self.join(tries) {
                Join::Lead(lead) => match self.claim(lead, stale.as_ref(), tries).await {
                    Claimed::Lead(lead) => lead,
                    Claimed::Again => {
                        tries += 1;
                        continue;
                    }
                    Claimed::TooLong => {
                        let errand = Errand { why, lead: None, stale, waited: true };
                        return Fetch::of(self).go(inner, body, errand).await;
                    }
                },
                Join::Follow(follow) => match self.wait(follow, &mut tries).await {
                    Waited::Served(entry) => {
                        let now = self.cache.now();
                        let status = CacheStatus::forwarded(&self.settings.name, why).collapsed(true);
                        return Ok(self.reuse(&entry, now, status));
                    }
                    Waited::Reads(head, reader) => return Ok(self.read_along(&head, reader, why)),
                    Waited::Again => continue,
                    Waited::Alone => self.alone(),
                    Waited::TooLong => {
                        let errand = Errand { why, lead: None, stale, waited: true };
                        return Fetch::of(self).go(inner, body, errand).await;
                    }
                },
            };
            return Fetch::of(self).go(inner, body, Errand { why, lead: Some(lead), stale, waited: false }).await;
        }
    }

    /// The entry for this request, here or in Redis.
    pub(crate) async fn look_up(&mut self) -> Result<(Entry, bool), Forward> {
        self.begin();
        match self.look_up_here().await {
            Err(_) if self.ask_for_alike().await => self.look_up_here().await,
            found => found,
        }
    }

    /// The entry at the place where the exchange is, or at that of its variant.
    async fn look_up_here(&mut self) -> Result<(Entry, bool), Forward> {
        loop {
            let record = self.cache.find(&self.place.key, self.place.local).await;
            match self.step(record) {
                Step::Found { entry, soft } => {
                    if self.cache.has_all(&self.place.key, &entry).await {
                        return Ok((entry, soft));
                    }
                    counter!("buttress_cache_bad_records_total", "reason" => "part").increment(1);
                    // Now, not behind this request: it must not take what this one is about to store.
                    self.cache.drop_known(&self.place.key, entry.sum()).await;
                    return Err(Forward::UriMiss);
                }
                Step::Nothing(why) => return Err(why),
                Step::Further => {}
            }
        }
    }

    fn step(&mut self, sure: Option<Sure>) -> Step {
        let varied = self.place.variants.is_some();
        let (record, soft) = sure.map_or((None, false), |sure| (Some(sure.record), sure.soft));
        match record {
            Some(Record::Entry(entry)) if self.is_answered_by(&entry) => Step::Found { entry, soft },
            // One step is enough: variants lie under keys that never hold another list.
            Some(Record::Variants(variants)) if !varied => {
                let place =
                    Place::variant(&self.place.key, variants, &self.parts.headers, &self.settings.normalization);
                match place {
                    Some(place) => {
                        self.place = place;
                        Step::Further
                    }
                    None => {
                        self.pass = true; // no response to this request could be found again
                        Step::Nothing(Forward::VaryMiss)
                    }
                }
            }
            Some(Record::Pass) => {
                self.pass = true;
                Step::Nothing(Forward::UriMiss)
            }
            _ if varied => Step::Nothing(Forward::VaryMiss),
            _ => Step::Nothing(Forward::UriMiss),
        }
    }

    /// Whether nothing that can be shared came of this key lately.
    pub(crate) fn is_passed(&self) -> bool {
        self.pass
    }

    /// Whether this request refreshes an entry that is fresh still. The die is thrown once.
    fn is_due(&self, reuse: Reuse, entry: &Entry, now: SystemTime) -> bool {
        reuse == Reuse::Fresh && (self.refreshes || policy::is_due(entry, now, &self.settings))
    }

    /// The rules for what comes of this request.
    pub(crate) fn rules(&self) -> Cow<'_, Rules> {
        let rules = &self.settings.rules;
        self.asked.keyed.map_or(Cow::Borrowed(rules), |keyed| Cow::Owned(keyed.rules(rules)))
    }

    /// What RFC 9111 says of an entry, and then the purges.
    pub(crate) fn decide(&self, entry: &Entry, soft: bool, now: SystemTime) -> Reuse {
        let (terms, rules) = (entry.terms(), &self.settings.rules);
        match reuse::decide(&self.asked.directives, terms, now, rules) {
            Reuse::Fresh if soft => policy::softly_purged(terms),
            reuse => reuse,
        }
    }

    /// Lets those who wait go their own way; `for_all` when the next request for the key need not queue either.
    pub(crate) fn let_go(&self, mut lead: Lead, for_all: bool) {
        lead.open();
        if for_all {
            self.cache.pass(self.place.local, lead.right.take());
        }
    }

    /// Brings the entry up to date while the client is already answered.
    fn refresh<S, B, R>(self, inner: S, body: B, stale: Entry)
    where
        S: Service<Request<B>, Response = Response<R>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
        B: Body + Send + 'static,
        R: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let Some(permit) = self.cache.background() else { return };
        let Some(mut lead) = self.cache.flights().lead(self.place.local, self.place.plain()) else { return };
        let span = tracing::debug_span!("cache.refresh", uri = %self.parts.uri);
        let refresh = async move {
            // One process of the fleet does it. The others find its result when they look next.
            match self.cache.claim(&self.place.key, self.place.local, Some(&stale)).await {
                Claim::Held | Claim::Found => return,
                Claim::Mine(lease) => lead.right = Some(Right::Lease(lease)),
                Claim::Away => {}
            }
            Fetch::of(self).refresh(inner, body, stale, lead).await;
            drop(permit);
        };
        tokio::spawn(refresh.instrument(span));
    }

    fn hit<R>(&self, entry: &Entry, now: SystemTime) -> Response<CacheBody<R>> {
        self.reuse(entry, now, CacheStatus::hit(&self.settings.name))
    }

    /// The response made of an entry.
    pub(crate) fn reuse<R>(&self, entry: &Entry, now: SystemTime, status: CacheStatus<'_>) -> Response<CacheBody<R>> {
        counter!("buttress_cache_requests_total", "outcome" => "hit").increment(1);
        capture::note_entry(&self.cache, entry, || self.decide(entry, false, now) == Reuse::Fresh);
        answer::from_entry(self.kept(entry), self.asking(now), self.settings.announce.then_some(status))
    }

    /// The response that another request fetches, while it comes.
    fn read_along<R>(&self, head: &Entry, reader: Reader, why: Forward) -> Response<CacheBody<R>> {
        counter!("buttress_cache_requests_total", "outcome" => "shared").increment(1);
        capture::note_entry(&self.cache, head, || true);
        let status = CacheStatus::forwarded(&self.settings.name, why).collapsed(true);
        let asking = self.asking(self.cache.now());
        answer::from_growing(self.kept(head), asking, reader, self.settings.announce.then_some(status))
    }

    fn kept<'a>(&'a self, entry: &'a Entry) -> Kept<'a> {
        Kept { cache: &self.cache, key: &self.place.key, entry }
    }

    fn asking(&self, now: SystemTime) -> Asking<'_> {
        Asking { parts: &self.parts, asked: &self.asked, now }
    }

    /// RFC 9111 section 5.2.1.7: `only-if-cached` is answered from the store or with 504.
    fn refuse_to_forward<R>(&self) -> Response<CacheBody<R>> {
        Refusal::new(StatusCode::GATEWAY_TIMEOUT, "not-cached")
            .detail("the request asks for a stored response only, and none can be used")
            .response(&self.parts.headers)
            .map(|body| CacheBody::stored(body, None))
    }
}
