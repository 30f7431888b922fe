//! Whether a response is stored, where, for how long, and what of it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use buttress_core::Identified;
use buttress_rfc9111::cache_control::{RequestDirectives, ResponseDirectives};
use buttress_rfc9111::freshness::Terms;
use buttress_rfc9111::groups::{self, Groups};
use buttress_rfc9111::reuse::{self, Reuse};
use buttress_rfc9111::storage::{self, Storage};
use buttress_rfc9111::validation::Validators;
use buttress_rfc9111::vary::{Normalization, VaryFields};
use buttress_rfc9111::{date, fields};
use http::header::{AGE, AUTHORIZATION, DATE, HeaderName, HeaderValue, SET_COOKIE};
use http::uri::Scheme;
use http::{HeaderMap, Method, StatusCode, response};

use crate::cache::Place;
use crate::capture::Used;
use crate::coherence::Moment;
use crate::entry::Entry;
use crate::exchange::Exchange;
use crate::grpc::{self, NotUnary};
use crate::key::{self, Key};
use crate::layer::Settings;
use crate::policy;
use crate::tag::Tag;
use crate::variants::Variants;
use crate::writer::{EntryWriter, Label};

/// Nothing is kept for longer: ten years, which every clock can still add.
pub(crate) const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Fields that say of one request which it was and how it went. A copy would say it of another one.
///
/// RFC 9111 section 3.1 would have them stored, as nginx and Varnish do. But a layer that marks responses leaves a mark that is
/// there, and whoever looks a request up by its identifier would find somebody else's.
const OF_ONE_REQUEST: [HeaderName; 6] = [
    HeaderName::from_static("server-timing"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("traceresponse"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-correlation-id"),
    HeaderName::from_static("x-request-id"),
];

/// What becomes of a response.
pub(crate) enum Admission {
    Store(Box<Admitted>),
    /// Not stored, for this reason; `for_all` when the next request will meet the same.
    Skip {
        why: &'static str,
        for_all: bool,
    },
}

/// A response that is stored.
pub(crate) struct Admitted {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) terms: Terms,
    pub(crate) place: Place,
    pub(crate) times: Times,
    pub(crate) tags: Vec<Tag>,
    /// Memoized values that it was made of, by their tags.
    pub(crate) made_of: Used,
    pub(crate) keep: Duration,
    /// Whether it can answer those who wait, or must be validated even by them.
    pub(crate) is_fresh: bool,
    /// Whether it may be kept: what was validated may be told that it is for one client only, from now on.
    pub(crate) is_kept: bool,
}

/// When a request was sent and its response received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) sent: SystemTime,
    /// When it was sent, in the order of purges.
    pub(crate) moment: Moment,
    pub(crate) received: SystemTime,
}

impl Exchange {
    /// Decides about a response, by RFC 9111 and then by the settings.
    pub(crate) fn admit(
        &self,
        response: &response::Parts,
        times: Times,
        length: Option<u64>,
        used: Option<Used>,
    ) -> Admission {
        if self.asked.is_grpc() && !grpc::is_begun(response) {
            return Admission::Skip { why: NotUnary::Status.as_str(), for_all: false };
        }
        let rules = &*self.rules();
        let headers = &response.headers;
        let directives = rules.directives(headers);
        let method = if self.asked.is_grpc() { &Method::QUERY } else { &self.parts.method };
        let answer = storage::decide(method, &self.credentials(), response.status, headers, rules);
        if let Storage::Refuse(refusal) = answer {
            return Admission::Skip { why: refusal.as_str(), for_all: policy::is_the_responses_own(refusal) };
        }
        let mut terms =
            Terms::with_directives(&directives, response.status, headers, times.sent, times.received, rules);
        if let Err(why) = policy::on_storable(&self.asked, response, terms.source, length, &self.settings) {
            return Admission::Skip { why: why.as_str(), for_all: why.is_the_responses_own() };
        }
        policy::shorten(&mut terms, response.status, &self.settings, rand::random_range(0.0..=1.0));
        let (Some(tags), Some(used)) = (self.tags_of(headers), used) else {
            return Admission::Skip { why: "tags", for_all: true };
        };
        let headers = stored_headers(headers, &directives, times.received);
        let admitted = self.admitted(response.status, headers, terms, times, Some((tags, used)));
        if admitted.is_kept {
            Admission::Store(Box::new(admitted))
        } else {
            Admission::Skip { why: "vary", for_all: true }
        }
    }

    /// The request's fields as the rules must see them: a credential that a layer took out was one.
    fn credentials(&self) -> Cow<'_, HeaderMap> {
        let headers = &self.parts.headers;
        if self.parts.extensions.get::<Identified>().is_none() || headers.contains_key(AUTHORIZATION) {
            return Cow::Borrowed(headers);
        }
        let mut headers = headers.clone();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("taken out"));
        Cow::Owned(headers)
    }

    /// What becomes of an entry whose fields a validation has brought up to date: it answers the one who asked, and is kept if
    /// it would be stored as it is now. `by` is what it can be purged by, if that is known.
    pub(crate) fn admit_again(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        times: Times,
        by: Option<(Vec<Tag>, Used)>,
    ) -> Admitted {
        let rules = &*self.rules();
        let directives = rules.directives(headers);
        let is_storable = storage::decide(&Method::GET, &HeaderMap::new(), status, headers, rules).is_allowed();
        let mut terms = Terms::with_directives(&directives, status, headers, times.sent, times.received, rules);
        policy::shorten(&mut terms, status, &self.settings, rand::random_range(0.0..=1.0));
        let headers = stored_headers(headers, &directives, times.received);
        self.admitted(status, headers, terms, times, by.filter(|_| is_storable))
    }

    /// By what a response can be purged beside its place. `None` if it says so in a way that cannot be read: then whoever purges
    /// would miss it.
    pub(crate) fn tags_of(&self, response: &HeaderMap) -> Option<Vec<Tag>> {
        let mut tags = match groups::tags(response) {
            Groups::None => Vec::new(),
            Groups::Listed(names) => names.iter().map(|name| Tag::named(name)).collect(),
            Groups::Malformed => return None,
        };
        let plain = self.place.plain_key();
        let groups = groups::of(response);
        if groups == Groups::None && plain.is_uri() {
            return Some(tags);
        }
        let authority = key::authority(&self.parts)?;
        let scheme = self.parts.uri.scheme().unwrap_or(&Scheme::HTTP);
        let authority = String::from_utf8(key::normalised(authority.as_str().as_bytes(), scheme)).ok()?;
        match groups {
            Groups::None => {}
            Groups::Listed(names) => tags.extend(names.iter().map(|name| Tag::group(&authority, name))),
            Groups::Malformed => return None,
        }
        if !plain.is_uri() {
            let target = self.parts.uri.path_and_query().map_or("/", |target| target.as_str());
            tags.push(Tag::uri(&authority, target));
        }
        Some(tags)
    }

    /// When it is not known `by` what it can be purged, or no request could ever find it, it is not kept.
    fn admitted(
        &self,
        status: StatusCode,
        headers: HeaderMap,
        terms: Terms,
        times: Times,
        by: Option<(Vec<Tag>, Used)>,
    ) -> Admitted {
        let now = terms.response_time;
        let keep = self.settings.keep(&terms, &headers);
        let plain = self.plain_for(status, &headers);
        let search_tag = plain.search_tag();
        let place = by.as_ref().and_then(|_| self.place_for(plain, &VaryFields::of(&headers), now + keep));
        let is_kept = place.is_some();
        let (mut tags, made_of) = by.unwrap_or_default();
        for tag in made_of.iter().map(|(tag, _)| *tag).chain(search_tag) {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        let place = place.unwrap_or_else(|| self.place.clone());
        let is_fresh = reuse::decide(&RequestDirectives::default(), &terms, now, &self.settings.rules) == Reuse::Fresh;
        Admitted { status, headers, terms, place, times, tags, made_of, keep, is_fresh, is_kept }
    }

    /// Where under a plain key a response that varies on these fields is kept. `None` when no request could ever find it.
    fn place_for(&self, plain: Key, vary: &VaryFields, until: SystemTime) -> Option<Place> {
        if vary.never_matches().is_some() {
            return None;
        }
        let variants = match &self.place.variants {
            Some((known, variants)) if *known == plain => variants.extended(vary, until),
            _ if vary.is_empty() => return Some(Place::of(plain)),
            _ => Variants::new(plain.text(), vary.clone(), until),
        };
        Place::variant(&plain, Arc::new(variants), &self.parts.headers, &self.settings.normalization)
    }
}

impl Place {
    /// The place of a request's variant of a URI.
    pub(crate) fn variant(
        plain: &Key,
        variants: Arc<Variants>,
        request: &HeaderMap,
        normalization: &Normalization,
    ) -> Option<Self> {
        let fields = variants.fields().key(request, normalization).ok()?;
        let key = plain.variant(variants.epoch(), &fields);
        Some(Self { local: key.local(), key, variants: Some((plain.clone(), variants)) })
    }
}

impl Admitted {
    /// The entry, its body to come.
    pub(crate) fn writer(&self, length: Option<u64>) -> EntryWriter {
        // A length that is not true yet must not make us reserve memory for it: the body grows into the rest.
        let room = usize::try_from(length.unwrap_or(0)).unwrap_or(usize::MAX).min(1 << 20);
        let label = Label {
            key: &self.place.key,
            generation: self.times.moment.generation,
            cost: self.times.received.duration_since(self.times.sent).unwrap_or_default(),
            tags: &self.tags,
        };
        EntryWriter::new(&label, self.status, &self.headers, &self.terms, room)
    }

    /// The entry, with the body of the one that it takes the place of.
    pub(crate) fn with_body_of(&self, stale: &Entry) -> Entry {
        let mut writer = self.writer(Some(stale.body_len()));
        if let Some(trailers) = stale.trailers() {
            writer.trailers(&trailers);
        }
        match stale.manifest() {
            Some(manifest) => writer.finish_with(manifest),
            None => {
                writer.push(&stale.body());
                writer.finish()
            }
        }
    }
}

impl Settings {
    /// How long an entry may be of use: fresh, stale where that is allowed, or to be validated.
    fn keep(&self, terms: &Terms, headers: &HeaderMap) -> Duration {
        let useful = terms.usable_until(&self.rules).duration_since(terms.response_time).unwrap_or_default();
        let keep = if Validators::of(headers).is_empty() { useful } else { useful.saturating_add(self.keep_stale) };
        keep.min(LONGEST)
    }
}

/// The fields that are kept: without those of the connection, of one client and of one moment.
fn stored_headers(response: &HeaderMap, directives: &ResponseDirectives, received: SystemTime) -> HeaderMap {
    let mut headers = response.clone();
    fields::remove_unstorable(&mut headers, directives);
    headers.remove(SET_COOKIE); // here only by leave of the setting, and never for the next client
    headers.remove(AGE); // each reuse states its own
    for field in groups::TAG_FIELDS {
        headers.remove(field); // they were for us
    }
    for field in OF_ONE_REQUEST {
        headers.remove(field);
    }
    // RFC 9110 section 6.6.1: who receives a response without Date notes when that was.
    headers
        .entry(DATE)
        .or_insert_with(|| HeaderValue::try_from(date::format(received)).expect("a date is plain ASCII"));
    headers
}
