//! Dates in HTTP: three formats to read, one to write (RFC 9110 section 5.6.7).
//!
//! A cache reads dates without regard to case (RFC 9111 section 4.2) and forgives white space between the parts. It
//! forgives nothing else: another zone than GMT, a weekday that does not fit the day or a one-digit hour make the date
//! malformed, and what is malformed grants no freshness.
//!
//! ```
//! use buttress_rfc9111::date;
//!
//! let time = date::parse("Sun, 06 Nov 1994 08:49:37 GMT").expect("a valid date");
//! assert_eq!(date::parse("Sunday, 06-Nov-94 08:49:37 GMT"), Some(time));
//! assert_eq!(date::parse("Sun Nov  6 08:49:37 1994"), Some(time));
//! assert_eq!(date::format(time), "Sun, 06 Nov 1994 08:49:37 GMT");
//! assert_eq!(date::parse("0"), None);
//! ```

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

/// The year around which [`parse`] reads two-digit years.
const PIVOT: u16 = 2020;
/// 9999-12-31 23:59:59, the last second that a four-digit year can say.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// Reads a date in any of the three formats; `None` when it is malformed.
///
/// A two-digit year means one from 1971 to 2070. Where the present is known, [`parse_at`] follows the standard's rule.
/// A date in the preferred format costs no allocation and no copy.
pub fn parse(value: impl AsRef<[u8]>) -> Option<SystemTime> {
    parse_around(value.as_ref(), || PIVOT)
}

/// Reads a date in any of the three formats as someone who lives at `now`: a two-digit year that would lie more than
/// 50 years ahead is one of the past (RFC 9110 section 5.6.7).
pub fn parse_at(value: impl AsRef<[u8]>, now: SystemTime) -> Option<SystemTime> {
    parse_around(value.as_ref(), || year_of(now))
}

/// Writes a date in the preferred format, as in `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// A time before 1970 or after 9999 is written as the nearest that can be. Costs one allocation.
pub fn format(time: SystemTime) -> String {
    httpdate::fmt_http_date(clamp(time))
}

/// [`format()`] as a field value.
pub fn to_header_value(time: SystemTime) -> HeaderValue {
    HeaderValue::try_from(format(time)).expect("a date is visible ASCII")
}

fn clamp(time: SystemTime) -> SystemTime {
    UNIX_EPOCH + time.duration_since(UNIX_EPOCH).unwrap_or_default().min(LAST)
}

fn year_of(time: SystemTime) -> u16 {
    format(time).get(12..16).and_then(|year| year.parse().ok()).unwrap_or(PIVOT)
}

fn parse_around(value: &[u8], present: impl FnOnce() -> u16) -> Option<SystemTime> {
    if let [_, _, _, b',', ..] = value
        && let Some(time) = strict(value)
    {
        return Some(time);
    }
    strict(&canonical(value, present)?)
}

/// The preferred format, exactly; the weekday has to fit.
fn strict(value: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(value).ok()?;
    (text.len() == 29).then(|| httpdate::parse_http_date(text).ok()).flatten()
}

/// Any of the formats, in any case and with any white space between its parts, brought into the preferred one.
fn canonical(value: &[u8], present: impl FnOnce() -> u16) -> Option<[u8; 29]> {
    let mut parts = [&b""[..]; 6];
    let mut count = 0;
    for part in value.split(|byte| matches!(byte, b' ' | b'\t')).filter(|part| !part.is_empty()) {
        *parts.get_mut(count)? = part;
        count += 1;
    }
    match parts[..count] {
        // Sun, 06 Nov 1994 08:49:37 GMT
        [weekday, [d0, d1], month, [y0, y1, y2, y3], time, zone] => {
            zone.eq_ignore_ascii_case(b"GMT").then_some(())?;
            assemble(short(weekday.strip_suffix(b",")?)?, [*d0, *d1], month, [*y0, *y1, *y2, *y3], time)
        }
        // Sunday, 06-Nov-94 08:49:37 GMT
        [weekday, [d0, d1, b'-', month @ .., b'-', y0, y1], time, zone] => {
            zone.eq_ignore_ascii_case(b"GMT").then_some(())?;
            assemble(long(weekday.strip_suffix(b",")?)?, [*d0, *d1], month, century([*y0, *y1], present())?, time)
        }
        // Sun Nov  6 08:49:37 1994
        [weekday, month, day, time, [y0, y1, y2, y3]] => {
            let day = match day {
                [d1] => [b'0', *d1],
                [d0, d1] => [*d0, *d1],
                _ => return None,
            };
            assemble(short(weekday)?, day, month, [*y0, *y1, *y2, *y3], time)
        }
        _ => None,
    }
}

fn assemble(weekday: &[u8; 3], day: [u8; 2], month: &[u8], year: [u8; 4], time: &[u8]) -> Option<[u8; 29]> {
    let mut out = *b"___, __ ___ ____ __:__:__ GMT";
    let month: [u8; 3] = month.try_into().ok()?;
    let time: [u8; 8] = time.try_into().ok()?;
    out[..3].copy_from_slice(weekday);
    out[5..7].copy_from_slice(&day);
    out[8..11].copy_from_slice(&[
        month[0].to_ascii_uppercase(),
        month[1].to_ascii_lowercase(),
        month[2].to_ascii_lowercase(),
    ]);
    out[12..16].copy_from_slice(&year);
    out[17..25].copy_from_slice(&time);
    if &time[6..] == b"60" {
        out[23..25].copy_from_slice(b"59"); // a leap second, which the system's clock does not count either
    }
    Some(out)
}

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

fn short(name: &[u8]) -> Option<&'static [u8; 3]> {
    weekday(|full| full[..3].eq_ignore_ascii_case(name))
}

fn long(name: &[u8]) -> Option<&'static [u8; 3]> {
    weekday(|full| full.eq_ignore_ascii_case(name))
}

fn weekday(is_it: impl Fn(&[u8]) -> bool) -> Option<&'static [u8; 3]> {
    WEEKDAYS.iter().map(|full| full.as_bytes()).find(|full| is_it(full)).and_then(<[u8]>::first_chunk)
}

/// The one year that ends in these digits and lies less than 50 years before, or up to 50 years after, the present.
fn century(digits: [u8; 2], present: u16) -> Option<[u8; 4]> {
    let [tens, ones] = digits;
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then_some(())?;
    let last = present + 50;
    let year = last - (last + 100 - u16::from((tens - b'0') * 10 + (ones - b'0'))) % 100;
    let digit = |of: u16| b'0' + u8::try_from(of % 10).unwrap_or_default();
    Some([digit(year / 1000), digit(year / 100), digit(year / 10), digit(year)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(time: SystemTime) -> u64 {
        time.duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
    }

    #[test]
    fn a_date_is_read_in_three_formats_any_case_and_any_spacing() {
        for (text, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Sun Nov 6 08:49:37 1994", Some(784_111_777)),
            ("Sun Nov 06 08:49:37 1994", Some(784_111_777)),
            ("SUN, 06 NOV 1994 08:49:37 gmt", Some(784_111_777)),
            ("sunday, 06-nov-94 08:49:37 gMT", Some(784_111_777)),
            ("sun nov  6 08:49:37 1994", Some(784_111_777)),
            ("  Sun, 06 Nov 1994 08:49:37 GMT\t", Some(784_111_777)),
            ("Sun,  06  Nov\t1994 08:49:37  GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_799)),
            ("", None),
            ("0", None),
            ("-1", None),
            ("Mon, 06 Nov 1994 08:49:37 GMT", None), // it was a Sunday
            ("Sun, 06 Nov 1994 08:49:37 UTC", None),
            ("Sun, 06 Nov 1994 08:49:37 AEST", None),
            ("Sun, 06 Nov 1994 08:49:37 +0000", None),
            ("Sun, 06 Nov 1994 08:49:37", None),
            ("Sun, 06 Nov 94 08:49:37 GMT", None),
            ("Sun 06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06-Nov-1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08.49.37 GMT", None),
            ("Sun, 06 Nov 1994 8:49:37 GMT", None),
            ("Sun, 6 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 24:00:00 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT x", None),
            ("Fri, 31 Feb 1994 08:49:37 GMT", None),
            ("Wed, 31 Dec 1969 23:59:59 GMT", None),
        ] {
            assert_eq!(parse(text).map(seconds), expected, "{text:?}");
        }
        assert_eq!(parse(b"Sun, 06 Nov 1994 08:49:37 \xff\xff\xff"), None);
        assert_eq!(parse(HeaderValue::from_static("Sun Nov  6 08:49:37 1994")).map(seconds), Some(784_111_777));
    }

    #[test]
    fn a_two_digit_year_is_at_most_fifty_years_ahead() {
        for (digits, present, expected) in [
            (b"94", 2026, b"1994"),
            (b"26", 2026, b"2026"),
            (b"76", 2026, b"2076"),
            (b"77", 2026, b"1977"),
            (b"00", 2026, b"2000"),
            (b"10", 2090, b"2110"),
            (b"40", 2090, b"2140"),
            (b"41", 2090, b"2041"),
            (b"70", 2020, b"2070"),
            (b"71", 2020, b"1971"),
            (b"99", 1970, b"1999"),
        ] {
            assert_eq!(century(*digits, present).as_ref(), Some(expected), "{digits:?} in {present}");
        }
        let now = parse("Thu, 01 Jan 2026 00:00:00 GMT").expect("valid");
        assert_eq!(parse_at("Monday, 06-Nov-76 08:49:37 GMT", now), None, "in 2076 that is a Friday");
        assert_eq!(
            parse_at("Friday, 06-Nov-76 08:49:37 GMT", now),
            parse("Fri, 06 Nov 2076 08:49:37 GMT"),
            "within 50 years"
        );
    }

    #[test]
    fn a_time_out_of_range_is_written_as_the_nearest() {
        assert_eq!(format(UNIX_EPOCH - Duration::from_secs(1)), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(format(UNIX_EPOCH + LAST + Duration::from_secs(9)), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(to_header_value(UNIX_EPOCH), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
