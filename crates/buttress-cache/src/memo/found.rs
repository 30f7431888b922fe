//! A stored value, and what may be done with it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use buttress_rfc9111::early;
use buttress_rfc9111::freshness::{LifetimeSource, Staleness};
use metrics::counter;

use crate::admit::LONGEST;
use crate::cache::Cache;
use crate::capture;
use crate::entry::Entry;
use crate::memo::loading::Wish;
use crate::memo::table::Settings;
use crate::terms::Terms;

/// A value that is stored.
pub(crate) struct Found<V> {
    pub(crate) entry: Entry,
    /// It is to be taken for stale.
    pub(crate) soft: bool,
    /// `None` if it cannot be read; then whether there is one.
    pub(crate) value: Option<Option<Arc<V>>>,
}

/// What becomes of a value that was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    Now,
    /// Now, and it is loaded anew behind it.
    NowAndRefresh,
    /// It has to be loaded first.
    Load,
}

// === impl Found ===

impl<V> Found<V> {
    pub(crate) fn is_present(&self) -> bool {
        matches!(self.value, Some(Some(_)))
    }

    pub(crate) fn is_fresh(&self, now: SystemTime) -> bool {
        let terms = self.entry.terms();
        self.value.is_some() && !self.soft && terms.age(now) < terms.lifetime
    }

    pub(crate) fn answer(&self, now: SystemTime, settings: &Settings, random: f64) -> Answer {
        let terms = self.entry.terms();
        let age = terms.age(now);
        if self.is_fresh(now) {
            let is_due = early::is_due(terms.lifetime.saturating_sub(age), self.entry.cost(), settings.early, random);
            return if is_due { Answer::NowAndRefresh } else { Answer::Now };
        }
        let may_be_stale = !terms.stale_while_revalidate.is_zero() && self.value.is_some();
        if may_be_stale && age < terms.lifetime + terms.stale_while_revalidate {
            Answer::NowAndRefresh
        } else {
            Answer::Load
        }
    }

    /// It, if it is fresh.
    pub(crate) fn filter_fresh(self, now: SystemTime) -> Option<Self> {
        self.is_fresh(now).then_some(self)
    }

    /// Whether it may take the place of an error.
    pub(crate) fn stands_in(&self, now: SystemTime) -> bool {
        let terms = self.entry.terms();
        let window = terms.stale_if_error.unwrap_or_default().max(terms.stale_while_revalidate);
        self.value.is_some() && !window.is_zero() && terms.age(now) < terms.lifetime + window
    }

    /// The value. Whatever is being made now is made of it.
    pub(crate) fn used(self, cache: &Cache) -> Option<Arc<V>> {
        capture::note_entry(cache, &self.entry, || self.is_fresh(cache.now()));
        self.value.flatten()
    }
}

// === impl Settings ===

impl Settings {
    /// How long a value is good. `None` if it is not stored.
    pub(crate) fn of_value(&self, is_present: bool, wish: &Wish, received: SystemTime) -> Option<Terms> {
        let ttl = wish.ttl.unwrap_or(if is_present { self.ttl } else { self.absent }).min(LONGEST);
        let lifetime = early::jittered(ttl, self.jitter, rand::random());
        // The record holds whole seconds.
        (lifetime.as_secs() > 0).then(|| Terms {
            response_time: received,
            initial_age: Duration::ZERO,
            lifetime,
            source: LifetimeSource::MaxAge,
            staleness: Staleness::Allowed,
            no_cache: false,
            immutable: false,
            stale_while_revalidate: if is_present { self.stale.min(LONGEST) } else { Duration::ZERO },
            stale_if_error: is_present.then_some(self.stale_on_error.min(LONGEST)).filter(|time| !time.is_zero()),
        })
    }
}

/// Counts how a lookup came out.
pub(crate) fn count(outcome: &'static str) {
    counter!("buttress_cache_memo_total", "outcome" => outcome).increment(1);
}
