//! What the tables of tests share.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};

/// Noon of a Sunday in 2026, the present of all tests.
pub(crate) const NOW: u64 = 1_767_528_000;

/// That many seconds after the tests' present.
pub(crate) fn at(offset: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW.checked_add_signed(offset).expect("after 1970"))
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Field lines as they stand in a message. `{+10}` and `{-10}` become the date that many seconds from the present.
#[track_caller]
pub(crate) fn headers(lines: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let (name, value) = line.trim_start().split_once(':').expect("a colon");
        let name: HeaderName = name.parse().expect("a field name");
        headers.append(name, HeaderValue::from_str(&dated(value.trim())).expect("a field value"));
    }
    headers
}

fn dated(value: &str) -> String {
    match (value.find('{'), value.find('}')) {
        (Some(open), Some(close)) => {
            let offset: i64 = value[open + 1..close].parse().expect("an offset in seconds");
            format!("{}{}{}", &value[..open], crate::date::format(at(offset)), &value[close + 1..])
        }
        _ => value.to_owned(),
    }
}
