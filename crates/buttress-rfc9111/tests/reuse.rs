//! Stored responses are used exactly when a second reading of RFC 9111, written down here, allows it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use buttress_rfc9111::{OnError, RequestDirectives, Reuse, Rules, Terms, reuse};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use proptest::prelude::*;

/// A situation in plain numbers of seconds. Small ones, so that the borders are met often.
#[derive(Clone, Debug)]
struct Situation {
    response: Response,
    request: Request,
    elapsed: u64,
    grace: u64,
}

#[derive(Clone, Debug)]
struct Response {
    max_age: Option<u64>,
    s_maxage: Option<u64>,
    stale_while_revalidate: Option<u64>,
    stale_if_error: Option<u64>,
    must_revalidate: bool,
    proxy_revalidate: bool,
    no_cache: bool,
    immutable: bool,
    age: u64,
}

#[derive(Clone, Debug)]
struct Request {
    no_cache: bool,
    only_if_cached: bool,
    max_age: Option<u64>,
    min_fresh: Option<u64>,
    max_stale: Option<Option<u64>>,
    stale_if_error: Option<u64>,
}

// === the second reading ===

impl Situation {
    fn lifetime(&self) -> u64 {
        self.response.s_maxage.or(self.response.max_age).unwrap_or(0)
    }

    fn age(&self) -> u64 {
        self.response.age + self.elapsed
    }

    fn is_fresh(&self) -> bool {
        self.lifetime() > self.age()
    }

    fn stale_for(&self) -> u64 {
        self.age().saturating_sub(self.lifetime())
    }

    /// Section 4.2.4: an explicit directive against any stale use.
    fn stale_is_forbidden(&self) -> bool {
        self.response.must_revalidate || self.response.proxy_revalidate
    }

    fn client_accepts_stale(&self) -> Option<bool> {
        self.request.max_stale.map(|limit| limit.is_none_or(|limit| self.stale_for() <= limit))
    }

    /// Each line forbids; what nothing forbids is allowed.
    fn may_be_used(&self) -> bool {
        let (request, response) = (&self.request, &self.response);
        let too_old = request.max_age.is_some_and(|limit| self.age() > limit);
        let forbidden = response.no_cache
            || request.no_cache
            || (too_old && !(response.immutable && self.is_fresh()))
            || request.min_fresh.is_some_and(|least| self.age() + least > self.lifetime());
        if forbidden || self.is_fresh() {
            return !forbidden;
        }
        let in_window = response.stale_while_revalidate.is_some_and(|window| self.stale_for() < window);
        let by_client = self.client_accepts_stale();
        !self.stale_is_forbidden()
            && by_client != Some(false)
            && (request.max_age.is_none() || by_client.is_some())
            && (in_window || (by_client == Some(true) && response.s_maxage.is_none()))
    }

    fn may_be_used_on_error(&self) -> bool {
        let (request, response) = (&self.request, &self.response);
        if response.no_cache || request.no_cache || self.is_fresh() {
            return !response.no_cache && !request.no_cache;
        }
        if self.stale_is_forbidden() {
            return false;
        }
        let own = response.s_maxage.is_some();
        let windows =
            [response.stale_if_error, request.stale_if_error.filter(|_| !own || response.stale_if_error.is_some())];
        let window = windows.into_iter().flatten().min();
        let stated = window.is_some_and(|window| self.stale_for() < window);
        let wants_fresh = request.max_age.is_some() || request.min_fresh.is_some();
        let by_client = self.client_accepts_stale();
        let unstated = match by_client {
            Some(accepts) => accepts && !wants_fresh,
            None => window.is_none() && !wants_fresh && self.stale_for() < self.grace,
        };
        stated || (!own && unstated)
    }

    // === as messages ===

    fn terms(&self, rules: &Rules) -> Terms {
        let response = &self.response;
        let numbers = [
            number("max-age", response.max_age),
            number("s-maxage", response.s_maxage),
            number("stale-while-revalidate", response.stale_while_revalidate),
            number("stale-if-error", response.stale_if_error),
        ];
        let flags = [
            flag("must-revalidate", response.must_revalidate),
            flag("proxy-revalidate", response.proxy_revalidate),
            flag("no-cache", response.no_cache),
            flag("immutable", response.immutable),
        ];
        let mut headers = cache_control(numbers.into_iter().chain(flags));
        headers.insert(header::AGE, HeaderValue::from(response.age));
        Terms::of(StatusCode::OK, &headers, arrival(), arrival(), rules)
    }

    fn asked(&self) -> RequestDirectives {
        let request = &self.request;
        let max_stale =
            request.max_stale.map(|limit| limit.map_or("max-stale".to_owned(), |n| format!("max-stale={n}")));
        RequestDirectives::from_headers(&cache_control([
            flag("no-cache", request.no_cache),
            flag("only-if-cached", request.only_if_cached),
            number("max-age", request.max_age),
            number("min-fresh", request.min_fresh),
            number("stale-if-error", request.stale_if_error),
            max_stale,
        ]))
    }

    fn now(&self) -> SystemTime {
        arrival() + Duration::from_secs(self.elapsed)
    }
}

fn arrival() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_528_000)
}

fn number(name: &str, value: Option<u64>) -> Option<String> {
    value.map(|value| format!("{name}={value}"))
}

fn flag(name: &str, set: bool) -> Option<String> {
    set.then(|| name.to_owned())
}

fn cache_control(directives: impl IntoIterator<Item = Option<String>>) -> HeaderMap {
    let lines = directives.into_iter().flatten();
    lines.map(|line| (header::CACHE_CONTROL, HeaderValue::try_from(line).expect("a field value"))).collect()
}

// === situations ===

fn small() -> impl Strategy<Value = Option<u64>> {
    prop::option::of(0..8u64)
}

fn rarely() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.15)
}

prop_compose! {
    fn response()(
        (max_age, s_maxage) in (small(), prop::option::weighted(0.3, 0..8u64)),
        (stale_while_revalidate, stale_if_error) in (small(), small()),
        (must_revalidate, proxy_revalidate, no_cache, immutable) in (rarely(), rarely(), rarely(), any::<bool>()),
        age in 0..4u64,
    ) -> Response {
        Response {
            max_age, s_maxage, stale_while_revalidate, stale_if_error,
            must_revalidate, proxy_revalidate, no_cache, immutable, age,
        }
    }
}

prop_compose! {
    fn request()(
        (no_cache, only_if_cached) in (rarely(), rarely()),
        (max_age, min_fresh) in (prop::option::weighted(0.3, 0..8u64), prop::option::weighted(0.3, 0..8u64)),
        max_stale in prop::option::weighted(0.3, small()),
        stale_if_error in prop::option::weighted(0.3, 0..8u64),
    ) -> Request {
        Request { no_cache, only_if_cached, max_age, min_fresh, max_stale, stale_if_error }
    }
}

prop_compose! {
    fn situation()(response in response(), request in request(), elapsed in 0..20u64, grace in 0..8u64) -> Situation {
        Situation { response, request, elapsed, grace }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_response_is_used_exactly_when_nothing_forbids_it(situation in situation()) {
        let rules = Rules::new().stale_on_error(Duration::from_secs(situation.grace));
        let answer = reuse::decide(&situation.asked(), &situation.terms(&rules), situation.now(), &rules);
        let expected = situation.may_be_used();
        prop_assert_eq!(matches!(answer, Reuse::Fresh | Reuse::Stale(_)), expected, "{:?}", answer);
        prop_assert!(answer != Reuse::Fresh || situation.is_fresh());
        prop_assert_eq!(matches!(answer, Reuse::Unavailable(_)), !expected && situation.request.only_if_cached);
    }

    #[test]
    fn a_broken_origin_excuses_no_more_than_is_stated(situation in situation()) {
        let rules = Rules::new().stale_on_error(Duration::from_secs(situation.grace));
        let terms = situation.terms(&rules);
        let answer = reuse::on_error(&situation.asked(), &terms, situation.now(), &rules);
        prop_assert_eq!(matches!(answer, OnError::Use(_)), situation.may_be_used_on_error(), "{:?}", answer);
    }

    #[test]
    fn past_usable_until_nothing_but_max_stale_allows_a_use(situation in situation()) {
        let rules = Rules::new().stale_on_error(Duration::from_secs(situation.grace));
        let (terms, mut asked) = (situation.terms(&rules), situation.asked());
        (asked.max_stale, asked.stale_if_error) = (None, None);
        if situation.now() >= terms.usable_until(&rules) {
            let decided = reuse::decide(&asked, &terms, situation.now(), &rules);
            prop_assert!(!matches!(decided, Reuse::Fresh | Reuse::Stale(_)), "{:?}", decided);
            prop_assert!(matches!(reuse::on_error(&asked, &terms, situation.now(), &rules), OnError::Fail(_)));
        }
    }

    #[test]
    fn age_never_shrinks_and_freshness_never_returns(
        (age, lifetime) in (any::<u64>(), any::<u64>()),
        (earlier, later) in (-5_000_000_000i64..5_000_000_000, 0..5_000_000_000u64),
    ) {
        let rules = Rules::default();
        let parts = Terms::of(StatusCode::OK, &HeaderMap::new(), arrival(), arrival(), &rules);
        let terms = Terms { initial_age: Duration::from_secs(age), lifetime: Duration::from_secs(lifetime), ..parts };
        let earlier = UNIX_EPOCH + Duration::from_secs(5_000_000_000u64.saturating_add_signed(earlier));
        let later = earlier + Duration::from_secs(later);
        prop_assert!(terms.age(earlier) <= terms.age(later));
        prop_assert!(terms.age(earlier) >= terms.initial_age);
        prop_assert!(terms.freshness_left(earlier) >= terms.freshness_left(later));
        prop_assert!(terms.is_fresh(earlier) || !terms.is_fresh(later));
    }
}
