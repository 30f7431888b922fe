//! How old a response is, how long it is fresh, and on what terms it may be used after that (RFC 9111 section 4.2).
//!
//! [`Terms`] is computed once, when the response arrives, and kept beside it; a reuse only compares numbers.
//!
//! Every malformed field has an outcome: `Expires` that is no date has passed already; of several, the earliest counts.
//! A `Date` that is missing or malformed is the time of arrival; of several, the earliest counts. Of an `Age` with
//! several members the first counts, and one that is no number counts as absent (section 5.1).
//!
//! ```
//! use std::time::{Duration, UNIX_EPOCH};
//! use buttress_rfc9111::{LifetimeSource, Rules, Terms};
//! use http::{HeaderMap, HeaderValue, StatusCode, header};
//!
//! let mut headers = HeaderMap::new();
//! headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
//! headers.insert(header::AGE, HeaderValue::from_static("10"));
//! let arrival = UNIX_EPOCH + Duration::from_secs(1_000);
//! let terms = Terms::of(StatusCode::OK, &headers, arrival, arrival, &Rules::default());
//! assert_eq!(terms.source, LifetimeSource::MaxAge);
//! assert_eq!(terms.age(arrival), Duration::from_secs(10));
//! assert_eq!(terms.freshness_left(arrival + Duration::from_secs(70)), -20);
//! ```

mod age;
mod lifetime;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};

use crate::cache_control::ResponseDirectives;
use crate::rules::Rules;

pub use age::initial_age;
pub(crate) use lifetime::allows_heuristic;
pub use lifetime::{LifetimeSource, is_heuristically_cacheable, lifetime};

/// All that is needed to decide on a reuse: plain numbers and flags, cheap to keep beside the stored response.
///
/// The fields are public so that a store can write them down and put them together again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// When the response arrived, by the clock of the cache.
    pub response_time: SystemTime,
    /// How old it was by then (`corrected_initial_age` of RFC 9111 section 4.2.3).
    pub initial_age: Duration,
    /// From which age on it is stale (`freshness_lifetime` of section 4.2.1).
    pub lifetime: Duration,
    /// Where the lifetime comes from.
    pub source: LifetimeSource,
    /// Who may allow its use once it is stale.
    pub staleness: Staleness,
    /// Whether each reuse needs validation (`no-cache`).
    pub no_cache: bool,
    /// Whether a client's reload does not reach the origin while it is fresh (RFC 8246).
    pub immutable: bool,
    /// For how long past its freshness it is used while it is refreshed (RFC 5861 section 3); zero if not stated.
    pub stale_while_revalidate: Duration,
    /// For how long past its freshness it is used when the origin is broken (RFC 5861 section 4), if stated.
    pub stale_if_error: Option<Duration>,
}

/// Who may allow the use of a stale response (RFC 9111 section 4.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Staleness {
    /// The response, the client and the operator.
    Allowed,
    /// Only the response itself, by a window that it states. `s-maxage` implies `proxy-revalidate` (section 5.2.2.10),
    /// but an author who writes `stale-while-revalidate` beside it means that.
    StatedOnly,
    /// Nobody: `must-revalidate`, `proxy-revalidate` or `no-cache`.
    Forbidden,
}

// === impl Terms ===

impl Terms {
    /// The terms of a response: `request_time` is when the request for it was sent, `response_time` when it arrived.
    pub fn of(
        status: StatusCode,
        headers: &HeaderMap,
        request_time: SystemTime,
        response_time: SystemTime,
        rules: &Rules,
    ) -> Self {
        let directives = rules.directives(headers);
        Self::with_directives(&directives, status, headers, request_time, response_time, rules)
    }

    /// [`Terms::of`] for someone who has the directives at hand, which have to be those of these headers.
    pub fn with_directives(
        directives: &ResponseDirectives,
        status: StatusCode,
        headers: &HeaderMap,
        request_time: SystemTime,
        response_time: SystemTime,
        rules: &Rules,
    ) -> Self {
        let (lifetime, source) = lifetime(directives, status, headers, response_time, rules);
        Self {
            response_time,
            initial_age: initial_age(headers, request_time, response_time),
            lifetime,
            source,
            staleness: Staleness::of(directives),
            no_cache: directives.needs_validation(),
            immutable: directives.immutable,
            stale_while_revalidate: directives.stale_while_revalidate.unwrap_or_default(),
            stale_if_error: directives.stale_if_error,
        }
    }

    /// How old the response is (`current_age` of section 4.2.3), the value of its `Age` field.
    ///
    /// Never shrinks as `now` grows; a clock that went back behind the arrival counts as not having moved.
    pub fn age(&self, now: SystemTime) -> Duration {
        self.initial_age.saturating_add(now.duration_since(self.response_time).unwrap_or_default())
    }

    /// Whether it is fresh: younger than its lifetime. A response that needs validation may be fresh as well.
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        self.lifetime > self.age(now)
    }

    /// The whole seconds for which it stays fresh, or negative, since when it is stale: the `ttl` of `Cache-Status`.
    pub fn freshness_left(&self, now: SystemTime) -> i64 {
        self.freshness_left_at(self.age(now).as_secs())
    }

    /// The same at an age in whole seconds.
    pub fn freshness_left_at(&self, age: u64) -> i64 {
        let signed = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        signed(self.lifetime.as_secs()) - signed(age)
    }

    /// For how long it has been stale; zero while it is fresh.
    pub fn stale_for(&self, now: SystemTime) -> Duration {
        self.age(now).saturating_sub(self.lifetime)
    }

    /// For how long past its freshness it can still be of use without validation: the longest of the windows that the
    /// response or the operator allow. A client's `max-stale` is not foreseen.
    pub fn stale_window(&self, rules: &Rules) -> Duration {
        self.stale_while_revalidate.max(self.error_window(rules)).min(self.staleness_limit())
    }

    /// The last moment at which it can be of use without validation. A store that cannot validate may drop it then.
    pub fn usable_until(&self, rules: &Rules) -> SystemTime {
        if self.no_cache {
            return self.response_time;
        }
        let left = self.lifetime.saturating_add(self.stale_window(rules)).saturating_sub(self.initial_age);
        self.response_time.checked_add(left).unwrap_or(self.response_time)
    }

    /// For how long past its freshness it may be used when the origin is broken.
    pub(crate) fn error_window(&self, rules: &Rules) -> Duration {
        match (self.staleness, self.stale_if_error) {
            (Staleness::Forbidden, _) | (Staleness::StatedOnly, None) => Duration::ZERO,
            (_, Some(stated)) => stated,
            (Staleness::Allowed, None) => rules.stale_on_error,
        }
    }

    fn staleness_limit(&self) -> Duration {
        if self.staleness == Staleness::Forbidden { Duration::ZERO } else { Duration::MAX }
    }
}

// === impl Staleness ===

impl Staleness {
    /// What the directives of a response say about its use once it is stale.
    pub fn of(directives: &ResponseDirectives) -> Self {
        if directives.must_revalidate || directives.proxy_revalidate || directives.needs_validation() {
            Self::Forbidden
        } else if directives.s_maxage.is_some() {
            Self::StatedOnly
        } else {
            Self::Allowed
        }
    }

    /// A number for a stored record; it never changes its meaning.
    pub fn code(self) -> u8 {
        match self {
            Self::Allowed => 0,
            Self::StatedOnly => 1,
            Self::Forbidden => 2,
        }
    }

    /// The reverse of [`code`](Self::code); `None` for a number that is not known (yet).
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Allowed, Self::StatedOnly, Self::Forbidden].into_iter().find(|this| this.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, headers, seconds};

    fn terms(lines: &str) -> Terms {
        Terms::of(StatusCode::OK, &headers(lines), at(0), at(0), &Rules::default())
    }

    #[test]
    fn rfc9111_4_2_fresh_means_younger_than_the_lifetime() {
        let terms = terms("Cache-Control: max-age=10\nAge: 4");
        for (offset, fresh, left, stale) in
            [(0, true, 6, 0), (5, true, 1, 0), (6, false, 0, 0), (7, false, -1, 1), (-99, true, 6, 0)]
        {
            assert_eq!(terms.is_fresh(at(offset)), fresh, "{offset}");
            assert_eq!(terms.freshness_left(at(offset)), left, "{offset}");
            assert_eq!(terms.stale_for(at(offset)), seconds(stale), "{offset}");
        }
    }

    #[test]
    fn rfc9111_4_2_4_and_rfc5861_who_may_allow_staleness() {
        let grace = Rules::new().stale_on_error(seconds(30));
        for (directives, staleness, without, with_grace) in [
            ("max-age=9", Staleness::Allowed, 0, 30),
            ("max-age=9, stale-if-error=5", Staleness::Allowed, 5, 5),
            ("max-age=9, stale-if-error=50, stale-while-revalidate=7", Staleness::Allowed, 50, 50),
            ("max-age=9, stale-while-revalidate=7", Staleness::Allowed, 7, 30),
            ("s-maxage=9", Staleness::StatedOnly, 0, 0),
            ("s-maxage=9, stale-while-revalidate=7", Staleness::StatedOnly, 7, 7),
            ("s-maxage=9, stale-if-error=7", Staleness::StatedOnly, 7, 7),
            ("max-age=9, must-revalidate, stale-while-revalidate=7", Staleness::Forbidden, 0, 0),
            ("max-age=9, proxy-revalidate, stale-if-error=7", Staleness::Forbidden, 0, 0),
        ] {
            let terms = terms(&format!("Cache-Control: {directives}"));
            assert_eq!(terms.staleness, staleness, "{directives}");
            assert_eq!(terms.usable_until(&Rules::default()), at(9 + without), "{directives}");
            assert_eq!(terms.usable_until(&grace), at(9 + with_grace), "{directives}");
        }
        let no_cache = terms("Cache-Control: max-age=9, no-cache, stale-if-error=7");
        assert_eq!((no_cache.staleness, no_cache.usable_until(&grace)), (Staleness::Forbidden, at(0)));
    }

    #[test]
    fn numbers_at_the_edge_do_not_overflow() {
        let terms = Terms { initial_age: Duration::MAX, lifetime: Duration::MAX, ..terms("") };
        assert_eq!(terms.age(at(5)), Duration::MAX);
        assert!(!terms.is_fresh(at(5)));
        assert_eq!(terms.freshness_left(at(5)), 0);
        let terms = Terms { initial_age: Duration::ZERO, stale_if_error: Some(Duration::MAX), ..terms };
        assert_eq!(terms.usable_until(&Rules::default()), at(0));
        let terms = Terms { initial_age: Duration::MAX, lifetime: Duration::ZERO, ..terms };
        assert_eq!(terms.freshness_left(at(5)), -i64::MAX);
    }

    #[test]
    fn codes_come_back() {
        for code in 0..=u8::MAX {
            assert_eq!(Staleness::from_code(code).map_or(code, Staleness::code), code);
            assert_eq!(LifetimeSource::from_code(code).map_or(code, LifetimeSource::code), code);
        }
        assert_eq!(Staleness::from_code(3), None);
    }
}
