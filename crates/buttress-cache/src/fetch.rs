//! Calling the inner service for an exchange, and what becomes of its response.

use std::time::SystemTime;

use buttress_core::{BoxError, Personal, Refusal};
use buttress_rfc9111::cache_status::Forward;
use buttress_rfc9111::fields;
use buttress_rfc9111::precondition;
use buttress_rfc9111::reuse::{self, OnError};
use buttress_rfc9111::validation::{self, Freshen, HeadAnswer, Validators};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, Entry as Slot, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use http::{Method, Request, Response, StatusCode, request};
use http_body::Body;
use metrics::counter;
use tower_service::Service;
use tracing::Instrument as _;

use crate::admit::{Admission, Admitted, Times};
use crate::answer;
use crate::asked::Asked;
use crate::body::{self, CacheBody};
use crate::capture::Capture;
use crate::coherence::Moment;
use crate::entry::Entry;
use crate::errand::Errand;
use crate::exchange::Exchange;
use crate::fill::{Fill, PERSONAL};
use crate::flight::Lead;
use crate::growing::Growing;
use crate::keeper::Keeper;
use crate::lease::{Right, Standing};
use crate::ledger::Verdict;
use crate::policy;
use crate::reader::read_to_end;

/// An exchange that goes to the service.
pub(crate) struct Fetch {
    exchange: Exchange,
    /// When the request was sent, by the clock and in the order of purges.
    sent: SystemTime,
    moment: Moment,
    /// What the response is made of.
    capture: Capture,
    /// Whether it begins to depend on who is asking.
    personal: Personal,
}

/// A response of the service, and what it was asked for.
struct Fetched<R> {
    response: Response<R>,
    errand: Errand,
    received: SystemTime,
}

// === impl Fetch ===

impl Fetch {
    pub(crate) fn of(mut exchange: Exchange) -> Self {
        let (sent, moment) = (exchange.cache.now(), exchange.cache.coherence().moment());
        let capture = Capture::new(&exchange.cache);
        let personal = Personal::of(&mut exchange.parts.extensions);
        Self { exchange, sent, moment, capture, personal }
    }

    /// Asks the service, stores what may be stored, and answers.
    pub(crate) async fn go<S, B, R>(
        self,
        mut inner: S,
        body: B,
        mut errand: Errand,
    ) -> Result<Response<CacheBody<R>>, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>>,
        R: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        counter!("buttress_cache_requests_total", "outcome" => errand.why.as_str()).increment(1);
        // It may have waited since it was found. What is purged from here on is younger than what comes of this.
        errand.stale.take_if(|stale| self.exchange.cache.coherence().judge_leniently(stale) == Verdict::Gone);
        let request = Request::from_parts(self.outgoing(&errand), body);
        let span = tracing::debug_span!("cache.fetch", why = errand.why.as_str(), uri = %self.exchange.parts.uri);
        let capture = self.capture.clone();
        let result = capture.around(async { inner.call(request).await }).instrument(span).await;
        capture.pass_on(); // to whoever is making something of this response
        let received = self.exchange.cache.now();
        match result {
            Ok(response) => Ok(self.on_response(Fetched { response, errand, received })),
            Err(error) => {
                let stale = self.stale_instead(&errand, None, received);
                errand.fail();
                stale.ok_or(error)
            }
        }
    }

    /// Brings a stale entry up to date for nobody in particular: without what only this client sent.
    pub(crate) async fn refresh<S, B, R>(mut self, mut inner: S, body: B, stale: Entry, lead: Lead)
    where
        S: Service<Request<B>, Response = Response<R>>,
        R: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let varies_on = self.exchange.place.variants.as_ref().map(|(_, variants)| variants.fields().clone());
        policy::make_anonymous(&mut self.exchange.parts.headers, varies_on.as_ref());
        if self.exchange.asked.head {
            self.exchange.parts.method = Method::GET; // the others ask with their method and content again
        }
        self.exchange.asked = Asked::anonymous(&self.exchange.parts, self.exchange.asked.keyed);
        let errand = Errand { why: Forward::Stale, lead: Some(lead), stale: Some(stale), waited: false };
        let request = Request::from_parts(self.outgoing(&errand), body);
        // A refresh that fails leaves the stale entry as it is; the next request tries again.
        let capture = self.capture.clone();
        if let Ok(response) = capture.around(async { inner.call(request).await }).await {
            let received = self.exchange.cache.now();
            read_to_end(self.on_response(Fetched { response, errand, received }).into_body()).await;
        }
    }

    /// The request as the service gets it. A fill needs the whole response: the client's conditions are answered from
    /// the entry afterwards. A stale entry is validated with its own.
    fn outgoing(&self, errand: &Errand) -> request::Parts {
        let mut parts = self.exchange.parts.clone();
        let Some(_) = errand.lead else { return parts };
        match &errand.stale {
            Some(stale) => {
                validation::make_conditional(&mut parts.headers, &[Validators::of(&stale.headers(0))]);
            }
            None if self.exchange.asked.range => {} // a part is asked for, and a part is not stored
            None => validation::strip_conditions(&mut parts.headers),
        }
        parts
    }

    fn on_response<R>(self, fetched: Fetched<R>) -> Response<CacheBody<R>>
    where
        R: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let status = fetched.response.status();
        let is_kept = fetched.errand.stale.is_none() && self.exchange.settings.keep_errors.contains(&status);
        if reuse::is_broken(status) && !is_kept {
            return self.on_broken(fetched);
        }
        if status == StatusCode::NOT_MODIFIED && fetched.errand.validates() {
            return self.on_not_modified(fetched);
        }
        if self.exchange.asked.head {
            return self.on_head(fetched);
        }
        self.on_other(fetched)
    }

    fn on_broken<R>(self, fetched: Fetched<R>) -> Response<CacheBody<R>> {
        let Fetched { response, errand, received } = fetched;
        let answer = self
            .stale_instead(&errand, Some(response.status()), received)
            .unwrap_or_else(|| self.announced(response.map(CacheBody::inner), &errand, None));
        errand.fail();
        answer
    }

    /// RFC 9111 section 4.3.4: the stored response is updated, if the 304 is about it.
    fn on_not_modified<R>(self, fetched: Fetched<R>) -> Response<CacheBody<R>> {
        let Fetched { response, mut errand, received } = fetched;
        let mut update = response.into_parts().0.headers;
        let cookies = set_cookies(&mut update);
        let stale = errand.stale.take().expect("a 304 is taken for ours only with an entry that was validated");
        let Some(admitted) = self.freshened(&stale, &update, received) else {
            return self.on_bad_validation(errand);
        };
        let entry = admitted.with_body_of(&stale);
        let is_personal = self.personal.is_marked();
        let status = errand
            .status(&self.exchange.settings.name)
            .forward_status(StatusCode::NOT_MODIFIED)
            .stored(admitted.is_kept && !is_personal);
        let mut response = self.exchange.reuse(&entry, received, status);
        response.headers_mut().extend(cookies); // for this client alone
        if is_personal {
            // Good for who asked; of the others it says nothing.
            self.let_go_as_personal(&mut errand);
        } else if let Some(lead) = errand.lead.take() {
            Keeper::new(&self.exchange, &admitted, lead).keep(entry, None);
        }
        response
    }

    /// The 304 speaks of another representation than ours. What we have is not to be trusted any more, and what the
    /// service has was not sent: the next request asks for all of it.
    fn on_bad_validation<R>(self, errand: Errand) -> Response<CacheBody<R>> {
        self.exchange.cache.drop_entry(&self.exchange.place);
        errand.fail();
        Refusal::new(StatusCode::BAD_GATEWAY, "bad-validation")
            .detail("the service confirmed a stored response that it was not asked about")
            .response(&self.exchange.parts.headers)
            .map(|body| CacheBody::stored(body, None))
    }

    /// RFC 9111 section 4.3.5: a HEAD that tells of the stored response freshens it, one that tells of another ends it.
    fn on_head<R>(self, fetched: Fetched<R>) -> Response<CacheBody<R>>
    where
        R: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let Fetched { response, mut errand, received } = fetched;
        if self.personal.is_marked() {
            self.let_go_as_personal(&mut errand);
        } else if let (Some(stale), Some(mut lead)) = (errand.stale.take(), errand.lead.take()) {
            // A HEAD holds no lease. What it shows to be the same takes the place of what it was, and of nothing else.
            let Exchange { cache, place, .. } = &self.exchange;
            let standing = Standing::Entry(Bytes::copy_from_slice(stale.sum()));
            lead.right = Some(Right::Place(cache.clone(), place.key.clone(), standing));
            let (stored, length) = (stale.headers(0), stale.body_len());
            match validation::judge_by_head(&stored, length, response.status(), response.headers()) {
                HeadAnswer::Update(_) => {
                    let admitted = self.updated(&stale, stored, response.headers(), received);
                    Keeper::new(&self.exchange, &admitted, lead).keep(admitted.with_body_of(&stale), None);
                }
                HeadAnswer::Invalidate(_) => self.exchange.cache.drop_entry(&self.exchange.place),
                HeadAnswer::Ignore(_) => {}
            }
        }
        self.announced(response.map(CacheBody::inner), &errand, None)
    }

    /// A response of its own: stored if it may be, and passed on.
    fn on_other<R>(self, fetched: Fetched<R>) -> Response<CacheBody<R>>
    where
        R: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let Fetched { response, mut errand, received } = fetched;
        if self.personal.is_marked() {
            self.let_go_as_personal(&mut errand);
        }
        let Some(lead) = errand.lead.take() else {
            return self.announced(response.map(CacheBody::inner), &errand, None);
        };
        let (parts, body) = response.into_parts();
        let length = length_of(&parts.headers, &body);
        let times = self.times(received);
        match self.exchange.admit(&parts, times, length, self.capture.used()) {
            Admission::Store(admitted) => {
                self.store(Response::from_parts(parts, body), &admitted, lead, &errand, length)
            }
            Admission::Skip { why, for_all } => {
                counter!("buttress_cache_not_stored_total", "reason" => why).increment(1);
                self.exchange.let_go(lead, for_all);
                self.announced(Response::from_parts(parts, CacheBody::inner(body)), &errand, None)
            }
        }
    }

    /// What was made for one caller is for nobody who waits, and those who come next need not queue.
    fn let_go_as_personal(&self, errand: &mut Errand) {
        let Some(lead) = errand.lead.take() else { return };
        counter!("buttress_cache_not_stored_total", "reason" => PERSONAL).increment(1);
        self.exchange.let_go(lead, true);
    }

    /// Passes the response on while the entry fills.
    fn store<R>(
        self,
        response: Response<R>,
        admitted: &Admitted,
        mut lead: Lead,
        errand: &Errand,
        length: Option<u64>,
    ) -> Response<CacheBody<R>>
    where
        R: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let exchange = &self.exchange;
        let Some(space) = exchange.cache.space(length.unwrap_or(0)) else {
            counter!("buttress_cache_not_stored_total", "reason" => "no-space").increment(1);
            exchange.let_go(lead, false);
            return self.announced(response.map(CacheBody::inner), errand, None);
        };
        if !admitted.is_fresh {
            lead.open(); // it can be validated later, but answers nobody who waits now
        }
        let keeper = Keeper::new(exchange, admitted, lead);
        let fill = Fill::new(admitted.writer(length), length, exchange.settings.max_body, space, keeper)
            .unary(exchange.asked.is_grpc())
            .personal(self.personal.clone());
        let (parts, body) = response.into_parts();
        if body.is_end_stream() {
            fill.finish(false);
            return self.announced(Response::from_parts(parts, CacheBody::inner(body)), errand, Some(admitted));
        }
        let growing = Growing::new(body::source(body), fill);
        let is_copy_good = exchange.asked.conditional
            && answer::is_not_modified(&exchange.parts, &parts, admitted.terms.response_time);
        if is_copy_good {
            growing.drain();
            let mut parts = parts;
            parts.status = StatusCode::NOT_MODIFIED;
            precondition::to_not_modified(&mut parts.headers);
            return self.announced(Response::from_parts(parts, CacheBody::empty()), errand, Some(admitted));
        }
        let body = CacheBody::filling(growing.first());
        self.announced(Response::from_parts(parts, body), errand, Some(admitted))
    }

    /// What an entry becomes by a 304, if that is about it.
    fn freshened(&self, stale: &Entry, update: &HeaderMap, received: SystemTime) -> Option<Admitted> {
        let stored = stale.headers(update.len());
        match validation::select(&Validators::of(update), &[Validators::of(&stored)]) {
            Freshen::Update { .. } => Some(self.updated(stale, stored, update, received)),
            Freshen::Ignore(_) => None,
        }
    }

    /// What an entry becomes by the fields of a 304 or a HEAD.
    fn updated(&self, stale: &Entry, mut stored: HeaderMap, update: &HeaderMap, received: SystemTime) -> Admitted {
        let mut update = update.clone();
        let directives = self.exchange.settings.rules.directives(&update);
        fields::remove_unstorable(&mut update, &directives);
        validation::update(&mut stored, &update);
        // What does not say its tags anew keeps them; so does what may have them from values that it was made of.
        let tags = self.exchange.tags_of(&update).map(|said| {
            let mut tags: Vec<_> = stale.tags().collect();
            tags.extend(said.into_iter().filter(|tag| !stale.tags().any(|known| known == *tag)));
            tags
        });
        self.exchange.admit_again(stale.status(), &stored, self.times(received), tags.zip(self.capture.used()))
    }

    fn times(&self, received: SystemTime) -> Times {
        Times { sent: self.sent, moment: self.moment, received }
    }

    /// A stale entry in place of an error, where nothing forbids it (RFC 9111 section 4.2.4, RFC 5861 section 4).
    fn stale_instead<R>(
        &self,
        errand: &Errand,
        broken: Option<StatusCode>,
        now: SystemTime,
    ) -> Option<Response<CacheBody<R>>> {
        let stale = errand.stale.as_ref()?;
        let verdict = self.exchange.cache.coherence().judge_leniently(stale);
        if verdict == Verdict::Gone || verdict == Verdict::Soft && !policy::stands_in(stale.terms()) {
            return None;
        }
        let (asked, rules) = (&self.exchange.asked.directives, &self.exchange.settings.rules);
        match reuse::on_error(asked, stale.terms(), now, rules) {
            OnError::Use(why) => {
                let mut status = errand.status(&self.exchange.settings.name).detail(why.as_str());
                if let Some(broken) = broken {
                    status = status.forward_status(broken);
                }
                Some(self.exchange.reuse(stale, now, status))
            }
            OnError::Fail(_) => None,
        }
    }

    /// The response with our word on what became of it: stored with so many seconds to live, or not.
    fn announced<B>(&self, mut response: Response<B>, errand: &Errand, stored: Option<&Admitted>) -> Response<B> {
        self.exchange.settings.strip_tags(response.headers_mut());
        if self.exchange.settings.announce {
            let mut status = errand.status(&self.exchange.settings.name);
            if let Some(Admitted { terms, .. }) = stored {
                status = status.stored(true).ttl(terms.freshness_left(terms.response_time));
            }
            status.append_to(response.headers_mut());
        }
        response
    }
}

/// What a response says of its length, or its body knows of it.
pub(crate) fn length_of(headers: &HeaderMap, body: &impl Body) -> Option<u64> {
    let stated = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    stated.or_else(|| body.size_hint().exact())
}

/// Takes the cookies out: they are for one client, and never stored.
fn set_cookies(headers: &mut HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    match headers.entry(SET_COOKIE) {
        Slot::Occupied(cookies) => cookies.remove_entry_mult().1.map(|cookie| (SET_COOKIE, cookie)).collect(),
        Slot::Vacant(_) => Vec::new(),
    }
}
