//! For how long a response is fresh, and who says so (RFC 9111 sections 4.2.1 and 4.2.2).

use std::time::{Duration, SystemTime};

use http::header::{EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

use super::age::date_value;
use crate::cache_control::{MAX_DELTA, ResponseDirectives};
use crate::date;
use crate::rules::Rules;

/// Where the lifetime of a response comes from, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LifetimeSource {
    /// `s-maxage`.
    SMaxage,
    /// `max-age`.
    MaxAge,
    /// `Expires` less `Date`.
    Expires,
    /// A part of the time since `Last-Modified`.
    Heuristic,
    /// [`Rules::default_lifetime`].
    Default,
    /// Nothing: it is stale at once.
    Nothing,
}

/// The time for which the response is fresh, counted from its making (section 4.2.1), and where it comes from.
///
/// At most 2^31 seconds, and at most [`Rules::max_lifetime`].
pub fn lifetime(
    directives: &ResponseDirectives,
    status: StatusCode,
    headers: &HeaderMap,
    response_time: SystemTime,
    rules: &Rules,
) -> (Duration, LifetimeSource) {
    let (lifetime, source) = if let Some(lifetime) = directives.s_maxage {
        (lifetime, LifetimeSource::SMaxage)
    } else if let Some(lifetime) = directives.max_age {
        (lifetime, LifetimeSource::MaxAge)
    } else if !directives.targeted && headers.contains_key(EXPIRES) {
        (until_expires(headers, response_time), LifetimeSource::Expires)
    } else {
        unstated(directives, status, headers, response_time, rules)
    };
    (lifetime.min(MAX_DELTA).min(rules.max_lifetime.unwrap_or(MAX_DELTA)), source)
}

/// Whether RFC 9110 section 15.1 defines the status code as cacheable although the response states no lifetime.
pub fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Whether these rules let such a response be fresh although it states no lifetime (section 4.2.2).
pub(crate) fn allows_heuristic(directives: &ResponseDirectives, status: StatusCode, rules: &Rules) -> bool {
    let is_error = status.is_client_error() || status.is_server_error();
    (is_heuristically_cacheable(status) || directives.public) && (!is_error || rules.heuristic_errors)
}

fn unstated(
    directives: &ResponseDirectives,
    status: StatusCode,
    headers: &HeaderMap,
    response_time: SystemTime,
    rules: &Rules,
) -> (Duration, LifetimeSource) {
    if !allows_heuristic(directives, status, rules) {
        return (Duration::ZERO, LifetimeSource::Nothing);
    }
    let unchanged = if rules.heuristics { unchanged_for(headers, response_time) } else { None };
    match (unchanged, rules.default_lifetime) {
        (Some(unchanged), _) => {
            let part = unchanged.min(MAX_DELTA).mul_f64(rules.heuristic_fraction);
            (part.min(rules.heuristic_cap), LifetimeSource::Heuristic)
        }
        (None, Some(lifetime)) => (lifetime, LifetimeSource::Default),
        (None, None) => (Duration::ZERO, LifetimeSource::Nothing),
    }
}

/// `Expires` less `Date`: zero when any of its lines is no date, else by the earliest (section 5.3).
fn until_expires(headers: &HeaderMap, response_time: SystemTime) -> Duration {
    let dates = headers.get_all(EXPIRES).into_iter().map(|line| date::parse_at(line, response_time));
    let earliest = dates.min().flatten(); // a malformed line is `None`, which is the least
    let date = date_value(headers, response_time);
    earliest.and_then(|expires| expires.duration_since(date).ok()).unwrap_or_default()
}

/// The time from `Last-Modified`, the latest if there are several, to `Date`. `None` if it is missing, malformed or
/// lies in the future.
fn unchanged_for(headers: &HeaderMap, response_time: SystemTime) -> Option<Duration> {
    let lines = headers.get_all(LAST_MODIFIED).into_iter();
    let latest = lines.filter_map(|line| date::parse_at(line, response_time)).max()?;
    date_value(headers, response_time).duration_since(latest).ok()
}

// === impl LifetimeSource ===

impl LifetimeSource {
    const ALL: [Self; 6] = [Self::SMaxage, Self::MaxAge, Self::Expires, Self::Heuristic, Self::Default, Self::Nothing];

    /// Whether the response states its lifetime itself.
    pub fn is_explicit(self) -> bool {
        matches!(self, Self::SMaxage | Self::MaxAge | Self::Expires)
    }

    /// Its name for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SMaxage => "s-maxage",
            Self::MaxAge => "max-age",
            Self::Expires => "expires",
            Self::Heuristic => "heuristic",
            Self::Default => "default",
            Self::Nothing => "nothing",
        }
    }

    /// A number for a stored record; it never changes its meaning.
    pub fn code(self) -> u8 {
        match self {
            Self::SMaxage => 0,
            Self::MaxAge => 1,
            Self::Expires => 2,
            Self::Heuristic => 3,
            Self::Default => 4,
            Self::Nothing => 5,
        }
    }

    /// The reverse of [`code`](Self::code); `None` for a number that is not known (yet).
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|this| this.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targeted;
    use crate::testing::{at, headers, seconds};

    const DAY: u64 = 24 * 60 * 60;

    #[track_caller]
    fn check_with(rules: &Rules, status: u16, lines: &str, expected: (u64, LifetimeSource)) {
        let headers = headers(lines);
        let directives = targeted::directives(&headers, &rules.targeted);
        let status = StatusCode::from_u16(status).expect("valid");
        let found = lifetime(&directives, status, &headers, at(0), rules);
        assert_eq!(found, (seconds(expected.0), expected.1), "{status} {lines}");
    }

    #[track_caller]
    fn check(lines: &str, expected: u64, source: LifetimeSource) {
        check_with(&Rules::default(), 200, lines, (expected, source));
    }

    #[test]
    fn rfc9111_4_2_1_precedence() {
        use LifetimeSource::{Expires, MaxAge, Nothing, SMaxage};
        check("Cache-Control: max-age=60, s-maxage=5\nExpires: {+99}", 5, SMaxage);
        check("Cache-Control: max-age=1, s-maxage=500", 500, SMaxage);
        check("Cache-Control: max-age=60\nExpires: {+99}", 60, MaxAge);
        check("Cache-Control: max-age=60\nExpires: 0", 60, MaxAge);
        check("Cache-Control: max-age=0\nExpires: {+99}", 0, MaxAge);
        check("Cache-Control: max-age=99999999999", 1 << 31, MaxAge);
        check("Expires: {+99}\nDate: {+0}", 99, Expires);
        check("Expires: {+99}", 99, Expires);
        check("Cache-Control: public\nExpires: {+99}", 99, Expires);
        check("", 0, Nothing);
    }

    #[test]
    fn rfc9111_5_3_expires() {
        use LifetimeSource::Expires;
        check("Expires: {-1}", 0, Expires);
        check("Expires: 0", 0, Expires);
        check("Expires: -1", 0, Expires);
        check("Expires:", 0, Expires);
        check("Expires: {+99}, {+99}", 0, Expires);
        check("Expires: {+99}\nExpires: {+50}", 50, Expires);
        check("Expires: {+50}\nExpires: {+99}", 50, Expires);
        check("Expires: {+99}\nExpires: 0", 0, Expires);
        check("Expires: 0\nExpires: {+99}", 0, Expires);
        check("Expires: {+99}\nDate: {-10}", 109, Expires);
        check("Expires: {+99}\nDate: {+100}", 0, Expires);
        check("Expires: {+99}\nDate: nonsense", 99, Expires);
        check("Expires: Fri, 31 Dec 9999 23:59:59 GMT", 1 << 31, Expires);
        check("Expires: 0\nLast-Modified: {-1000}", 0, Expires);
    }

    #[test]
    fn rfc9213_2_2_a_targeted_field_also_replaces_expires() {
        check("CDN-Cache-Control: max-age=7\nCache-Control: s-maxage=99\nExpires: {+99}", 7, LifetimeSource::MaxAge);
        check("CDN-Cache-Control: public\nExpires: {+99}", 0, LifetimeSource::Nothing);
        check("CDN-Cache-Control: max-age=\"7\"\nExpires: {+99}", 0, LifetimeSource::Nothing);
        check("CDN-Cache-Control: &&&\nExpires: {+99}", 99, LifetimeSource::Expires);
    }

    #[test]
    fn rfc9111_4_2_2_heuristics() {
        use LifetimeSource::{Default, Heuristic, Nothing};
        check("Last-Modified: {-1000}", 100, Heuristic);
        check("Last-Modified: {-1000}\nDate: {-500}", 50, Heuristic);
        check("Last-Modified: {-100000000}", DAY, Heuristic);
        check("Last-Modified: {+1000}", 0, Nothing);
        check("Last-Modified: nonsense", 0, Nothing);
        check("Last-Modified: {-1000}\nLast-Modified: {-100}", 10, Heuristic);
        let rules = Rules::new().default_lifetime(seconds(7));
        check_with(&rules, 200, "", (7, Default));
        check_with(&rules, 200, "Last-Modified: {-1000}", (100, Heuristic));
        check_with(&rules, 200, "Cache-Control: max-age=0", (0, LifetimeSource::MaxAge));
        check_with(&rules.clone().heuristics(false), 200, "Last-Modified: {-1000}", (7, Default));
        check_with(&Rules::new().heuristics(false), 200, "Last-Modified: {-1000}", (0, Nothing));
        check_with(&Rules::new().heuristic_fraction(0.5), 200, "Last-Modified: {-1000}", (500, Heuristic));
        check_with(&Rules::new().heuristic_cap(seconds(3)), 200, "Last-Modified: {-1000}", (3, Heuristic));
    }

    #[test]
    fn rfc9110_15_1_statuses_with_a_heuristic() {
        let rules = Rules::new().heuristic_errors(true);
        for status in 100..=599 {
            let by_default = [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501].contains(&status);
            let expected = if by_default { (100, LifetimeSource::Heuristic) } else { (0, LifetimeSource::Nothing) };
            check_with(&rules, status, "Last-Modified: {-1000}", expected);
            check_with(
                &rules,
                status,
                "Last-Modified: {-1000}\nCache-Control: public",
                (100, LifetimeSource::Heuristic),
            );
            let cautious = if status < 400 { expected } else { (0, LifetimeSource::Nothing) };
            check_with(&Rules::default(), status, "Last-Modified: {-1000}", cautious);
        }
    }

    #[test]
    fn max_lifetime_caps_every_source() {
        let rules = Rules::new().max_lifetime(seconds(5)).default_lifetime(seconds(60));
        check_with(&rules, 200, "Cache-Control: s-maxage=60", (5, LifetimeSource::SMaxage));
        check_with(&rules, 200, "Expires: {+60}", (5, LifetimeSource::Expires));
        check_with(&rules, 200, "", (5, LifetimeSource::Default));
        check_with(&rules, 200, "Cache-Control: max-age=3", (3, LifetimeSource::MaxAge));
    }
}
