//! What the standard leaves to the operator of a shared cache.
//!
//! ```
//! use std::time::Duration;
//! use buttress_rfc9111::Rules;
//! use http::{HeaderName, header};
//!
//! let rules = Rules::new()
//!     .targeted([HeaderName::from_static("buttress-cache-control"), header::CDN_CACHE_CONTROL])
//!     .default_lifetime(Duration::from_secs(5))
//!     .stale_on_error(Duration::from_secs(600));
//! # assert_ne!(rules, Rules::default());
//! ```

use std::time::Duration;

use http::{HeaderMap, HeaderName, header};

use crate::cache_control::ResponseDirectives;
use crate::targeted;

/// The settings of a shared cache; the default follows RFC 9111 in all that it recommends.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    pub(crate) targeted: Vec<HeaderName>,
    pub(crate) heuristics: bool,
    pub(crate) heuristic_fraction: f64,
    pub(crate) heuristic_cap: Duration,
    pub(crate) heuristic_errors: bool,
    pub(crate) default_lifetime: Option<Duration>,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) stale_on_error: Duration,
    pub(crate) obey_request: Obey,
    pub(crate) partial: bool,
    pub(crate) keyed_content: bool,
}

/// Which directives of a request the cache obeys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obey {
    /// All of them, as RFC 9111 section 5.2.1 wishes.
    #[default]
    All,
    /// All but those by which a client makes the origin work although a fresh response is stored: `no-cache`, `Pragma`,
    /// `max-age` and `min-fresh`. A cache that belongs to the origin may refuse its clients this.
    ExceptReload,
}

// === impl Rules ===

impl Rules {
    /// The defaults, which each setter names.
    pub fn new() -> Self {
        Self {
            targeted: vec![header::CDN_CACHE_CONTROL],
            heuristics: true,
            heuristic_fraction: 0.1,
            heuristic_cap: Duration::from_secs(24 * 60 * 60),
            heuristic_errors: false,
            default_lifetime: None,
            max_lifetime: None,
            stale_on_error: Duration::ZERO,
            obey_request: Obey::All,
            partial: false,
            keyed_content: false,
        }
    }

    /// The fields that take the place of `Cache-Control`, most specific first (RFC 9213).
    ///
    /// Default: `CDN-Cache-Control`. Cost: one look-up each, when a response is stored.
    #[must_use]
    pub fn targeted(mut self, fields: impl IntoIterator<Item = HeaderName>) -> Self {
        self.targeted = fields.into_iter().collect();
        self
    }

    /// Whether a response that states no lifetime gets one from the age of its `Last-Modified` (RFC 9111 section 4.2.2).
    ///
    /// Default: true. Cost: a resource may have changed although its copy is still called fresh.
    #[must_use]
    pub fn heuristics(mut self, on: bool) -> Self {
        self.heuristics = on;
        self
    }

    /// The part of the time since `Last-Modified` that such a response stays fresh; below 0 counts as 0, above 1 as 1.
    ///
    /// Default: 0.1, the example of RFC 9111 section 4.2.2.
    #[must_use]
    pub fn heuristic_fraction(mut self, fraction: f64) -> Self {
        self.heuristic_fraction = if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) };
        self
    }

    /// The longest lifetime that a heuristic gives.
    ///
    /// Default: 24 hours.
    #[must_use]
    pub fn heuristic_cap(mut self, cap: Duration) -> Self {
        self.heuristic_cap = cap;
        self
    }

    /// Whether heuristics and the [default lifetime](Self::default_lifetime) also apply to the errors for which RFC 9110
    /// section 15.1 allows it: 404, 405, 410, 414 and 501.
    ///
    /// Default: false. Cost: a client that provokes an error, with a long URI or an odd method override, may have it
    /// served to others.
    #[must_use]
    pub fn heuristic_errors(mut self, on: bool) -> Self {
        self.heuristic_errors = on;
        self
    }

    /// The lifetime of a response that states none and from which none can be estimated.
    ///
    /// Default: none, so that such a response is stored only if it can be validated. Cost: whoever sets it vouches that
    /// all such responses are the same for everybody.
    #[must_use]
    pub fn default_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.default_lifetime = lifetime.into();
        self
    }

    /// The longest lifetime that counts, whoever states it.
    ///
    /// Default: none. Cost: more validation. It never lengthens a lifetime.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.max_lifetime = lifetime.into();
        self
    }

    /// For how long past its freshness a response is used when the origin is broken and nothing in the response speaks
    /// of that (RFC 9111 section 4.2.4).
    ///
    /// Default: zero. Not for responses with `no-cache`, `must-revalidate`, `proxy-revalidate` or `s-maxage`. Cost:
    /// stored responses take up room for longer.
    #[must_use]
    pub fn stale_on_error(mut self, grace: Duration) -> Self {
        self.stale_on_error = grace;
        self
    }

    /// Which directives of requests are obeyed.
    ///
    /// Default: [all](Obey::All). Cost of obeying: a client decides how often the origin is asked.
    #[must_use]
    pub fn obey_request(mut self, obey: Obey) -> Self {
        self.obey_request = obey;
        self
    }

    /// Whether the cache stores parts of responses (206), which obliges it to combine them as RFC 9111 section 3.4 says.
    ///
    /// Default: false.
    #[must_use]
    pub fn partial(mut self, on: bool) -> Self {
        self.partial = on;
        self
    }

    /// Whether the content of a request, and the fields that describe it, are part of the key, without which no response to a
    /// QUERY may be stored (RFC 10008).
    ///
    /// Default: false. Cost: the content has to be read before anything can be looked up.
    #[must_use]
    pub fn keyed_content(mut self, on: bool) -> Self {
        self.keyed_content = on;
        self
    }

    /// What a response says to a cache with these rules: by the first [targeted](Self::targeted) field that it carries,
    /// or by `Cache-Control`.
    pub fn directives(&self, response: &HeaderMap) -> ResponseDirectives {
        targeted::directives(response, &self.targeted)
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_stays_between_none_and_all() {
        for (given, kept) in [(0.5, 0.5), (-1.0, 0.0), (7.0, 1.0), (f64::NAN, 0.0), (f64::INFINITY, 1.0)] {
            assert_eq!(Rules::new().heuristic_fraction(given).heuristic_fraction, kept);
        }
    }
}
