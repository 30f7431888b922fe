//! How old a response is when it arrives (RFC 9111 section 4.2.3).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::{AGE, DATE};

use crate::cache_control::parse_delta;
use crate::date;

/// `corrected_initial_age` of section 4.2.3: the greater of what the clocks say and what the caches on the way say,
/// the latter with the time that the response took to come.
///
/// A clock that went back between request and response counts as no delay; a `Date` in the future as no apparent age.
pub fn initial_age(headers: &HeaderMap, request_time: SystemTime, response_time: SystemTime) -> Duration {
    let response_delay = response_time.duration_since(request_time).unwrap_or_default();
    let corrected_age = age_value(headers).saturating_add(response_delay);
    // `Date` has whole seconds only. Against the fraction of our clock, every response would arrive half a second old.
    let arrival = whole_seconds(response_time);
    let apparent_age = arrival.duration_since(date_value(headers, response_time)).unwrap_or_default();
    apparent_age.max(corrected_age)
}

/// The time at which the origin made the response; the time of arrival where it does not say so in a valid way
/// (RFC 9110 section 6.6.1).
pub(crate) fn date_value(headers: &HeaderMap, response_time: SystemTime) -> SystemTime {
    let dates = headers.get_all(DATE).into_iter().filter_map(|line| date::parse_at(line, response_time));
    dates.min().unwrap_or(response_time)
}

/// The first member of `Age` if that is a number, else zero (section 5.1).
fn age_value(headers: &HeaderMap) -> Duration {
    let first = headers.get(AGE).map(|line| line.as_bytes().split(|byte| *byte == b',').next().unwrap_or_default());
    first.and_then(|text| parse_delta(text.trim_ascii())).unwrap_or_default()
}

fn whole_seconds(time: SystemTime) -> SystemTime {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => UNIX_EPOCH + Duration::from_secs(since.as_secs()),
        Err(_) => time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, headers, seconds};

    #[track_caller]
    fn check(lines: &str, request: i64, response: i64, expected: u64) {
        assert_eq!(initial_age(&headers(lines), at(request), at(response)), seconds(expected), "{lines}");
    }

    #[test]
    fn rfc9111_4_2_3_the_greater_of_two_estimates() {
        check("", 0, 0, 0);
        check("", 0, 3, 3);
        check("", 3, 0, 0);
        check("Date: {+0}", 0, 2, 2);
        check("Date: {-60}", 0, 2, 62);
        check("Date: {-60}\nAge: 10", 0, 2, 62);
        check("Date: {-60}\nAge: 100", 0, 2, 102);
        check("Date: {+3600}", 0, 0, 0);
        check("Date: {+3600}\nAge: 7", 0, 0, 7);
        check("Date: yesterday", 0, 0, 0);
        check("Date: {-5}\nDate: {-50}", 0, 0, 50);
        check("Date: nonsense\nDate: {-50}", 0, 0, 50);
    }

    #[test]
    fn rfc9111_5_1_the_first_member_of_age_or_nothing() {
        for (age, expected) in [
            ("7", 7),
            ("007", 7),
            ("7, 3", 7),
            ("7,0", 7),
            ("3\nAge: 7", 3),
            ("99999999999999999999", 1 << 31),
            ("2147483649", 1 << 31),
            ("-7", 0),
            ("7.5", 0),
            ("abc", 0),
            ("abc, 7", 0),
            ("", 0),
        ] {
            check(&format!("Age: {age}"), 0, 0, expected);
        }
    }

    #[test]
    fn the_fraction_of_a_second_is_no_age() {
        let arrival = at(0) + Duration::from_millis(900);
        assert_eq!(initial_age(&headers("Date: {+0}"), arrival, arrival), Duration::ZERO);
    }
}
