//! Shadow mode: the service answers every request, and what the cache would have answered is compared with it.
//!
//! ```
//! use buttress_cache::{Cache, CacheLayer, Verdict};
//!
//! let layer = CacheLayer::new(Cache::embedded()).shadow(|report| {
//!     if report.verdict() != Verdict::Same {
//!         eprintln!("{report}"); // "http://shop.example/price: changed (content-type, body) after 12 s"
//!     }
//! });
//! # let _ = layer;
//! ```
//!
//! For a service that was never cached: switched on in production, it tells what would have been served that is out of date,
//! and what would have been shown to somebody it is not for, before anybody is shown anything.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use buttress_core::BoxError;
use buttress_rfc9111::cache_status::Forward;
use buttress_rfc9111::reuse::Reuse;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, ETAG, HeaderName, LOCATION};
use http::{Request, Response, response};
use http_body::Body;
use metrics::counter;
use tower_service::Service;

use crate::body::CacheBody;
use crate::entry::Entry;
use crate::errand::Errand;
use crate::exchange::Exchange;
use crate::fetch::{self, Fetch};
use crate::layer::Report;
use crate::policy;

/// The fields that say what a body is. Others differ from one answer to the next without harm.
const TELLING: [HeaderName; 5] = [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, ETAG, LOCATION];

/// What the cache would have answered, beside what the service did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShadowReport {
    uri: String,
    verdict: Verdict,
    differs: Vec<String>,
    age: Duration,
}

/// How the answer out of the store compares.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is the same.
    Same,
    /// It differs: what is stored is out of date.
    Changed,
    /// It may be somebody else's: it differs and the request said who asks (by `Cookie` or `Authorization`), or the service's answer
    /// to this request is one that may not be shared.
    Leak,
}

/// A hit that is not served, and what there is to compare it with.
pub(crate) struct Comparison {
    report: Arc<Report>,
    uri: String,
    expected: Option<Bytes>,
    length: u64,
    /// The length of what comes, if it is known.
    announced: u64,
    at: u64,
    is_told: bool,
    differs: Vec<String>,
    is_personal: bool,
    age: Duration,
}

/// Lets the service answer, and compares.
pub(crate) async fn watch<S, B, R>(
    mut exchange: Exchange,
    report: Arc<Report>,
    inner: S,
    body: B,
) -> Result<Response<CacheBody<R>>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let found = exchange.look_up().await;
    let now = exchange.cache.now();
    let stale = found.as_ref().ok().map(|(entry, _)| entry.clone());
    let hit = found.ok().filter(|(entry, soft)| would_be_served(exchange.decide(entry, *soft, now)));
    let is_whole = !exchange.asked.conditional && !exchange.asked.range && !exchange.asked.head;
    let Some((entry, _)) = hit else {
        // It is stored as it would be, and the next request compares.
        let lead = if is_whole { Some(exchange.lead_without_waiting(stale.as_ref()).await) } else { None };
        let errand = Errand { lead, ..Errand::unstored(Forward::Bypass) };
        return Fetch::of(exchange).go(inner, body, errand).await;
    };
    let comparison = is_whole.then(|| Comparison::new(&exchange, report, &entry, now));
    let rules = exchange.settings.rules.clone();
    let response = Fetch::of(exchange).go(inner, body, Errand::unstored(Forward::Bypass)).await?;
    let Some(mut comparison) = comparison else { return Ok(response) };
    let (parts, body) = response.into_parts();
    comparison.take_head(&entry, &parts, policy::is_for_one(&parts.headers, &rules));
    comparison.announced(fetch::length_of(&parts.headers, &body));
    Ok(Response::from_parts(parts, CacheBody::compared(body, comparison)))
}

fn would_be_served(reuse: Reuse) -> bool {
    matches!(reuse, Reuse::Fresh | Reuse::Stale(_))
}

// === impl Comparison ===

impl Comparison {
    fn new(exchange: &Exchange, report: Arc<Report>, entry: &Entry, now: SystemTime) -> Self {
        Self {
            report,
            uri: exchange.parts.uri.to_string(),
            // What lies in parts is compared by its length.
            expected: entry.manifest().is_none().then(|| entry.body()),
            length: entry.body_len(),
            announced: u64::MAX,
            at: 0,
            is_told: false,
            differs: Vec::new(),
            is_personal: exchange.asked.cookies || exchange.asked.authorized,
            age: entry.terms().age(now),
        }
    }

    fn take_head(&mut self, entry: &Entry, response: &response::Parts, is_for_one: bool) {
        if entry.status() != response.status {
            self.differs.push("status".to_owned());
        }
        if is_for_one {
            self.differs.push("privacy".to_owned());
            self.is_personal = true;
        }
        let stored = entry.headers(0);
        let differ = TELLING.iter().filter(|name| stored.get(*name) != response.headers.get(*name));
        self.differs.extend(differ.map(|name| name.as_str().to_owned()));
    }

    /// What is known of the length of what comes.
    pub(crate) fn announced(&mut self, length: Option<u64>) {
        self.announced = length.unwrap_or(u64::MAX);
    }

    /// Compares what comes with what is stored.
    pub(crate) fn take(&mut self, data: &[u8]) {
        let end = self.at.saturating_add(data.len() as u64);
        let (from, to) = (usize::try_from(self.at), usize::try_from(end));
        let is_same = match (&self.expected, from, to) {
            (Some(expected), Ok(from), Ok(to)) => expected.get(from..to) == Some(data),
            _ => true,
        };
        if !is_same {
            self.differs_in_body();
        }
        self.at = end;
    }

    /// The body has ended: tells what came of it.
    pub(crate) fn finish(mut self) {
        self.tell();
    }

    fn tell(&mut self) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        if self.at != self.length {
            self.differs_in_body();
        }
        let verdict = match (self.differs.is_empty(), self.is_personal) {
            (true, _) => Verdict::Same,
            (false, false) => Verdict::Changed,
            (false, true) => Verdict::Leak,
        };
        counter!("buttress_cache_shadow_total", "verdict" => verdict.as_str()).increment(1);
        let (uri, differs) = (std::mem::take(&mut self.uri), std::mem::take(&mut self.differs));
        let report = ShadowReport { uri, verdict, differs, age: self.age };
        (self.report)(&report);
    }

    fn differs_in_body(&mut self) {
        if self.differs.last().is_none_or(|last| last != "body") {
            self.differs.push("body".to_owned());
        }
    }
}

/// A server that knows the length does not ask for the end.
impl Drop for Comparison {
    fn drop(&mut self) {
        if self.at == self.announced && !std::thread::panicking() {
            self.tell();
        }
    }
}

impl fmt::Debug for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Comparison").field("uri", &self.uri).finish_non_exhaustive()
    }
}

// === impl ShadowReport ===

impl ShadowReport {
    /// The target of the request, as the layer saw it.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// How the answer out of the store compares with the service's.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// In what they differ: names of fields, `status`, `body`, or `privacy` when the service's answer may not be shared.
    #[must_use]
    pub fn differs(&self) -> &[String] {
        &self.differs
    }

    /// How old the stored response was: it may have been out of date for as long, at most.
    #[must_use]
    pub const fn age(&self) -> Duration {
        self.age
    }
}

impl fmt::Display for ShadowReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.uri, self.verdict.as_str())?;
        if !self.differs.is_empty() {
            write!(f, " ({}) after {} s", self.differs.join(", "), self.age.as_secs())?;
        }
        Ok(())
    }
}

// === impl Verdict ===

impl Verdict {
    /// `same`, `changed` or `leak`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Changed => "changed",
            Self::Leak => "leak",
        }
    }
}
