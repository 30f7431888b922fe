#![no_main]
//! `Age`, `Date`, `Expires` and `Last-Modified` together: no overflow, and age does not shrink.

use std::time::{Duration, UNIX_EPOCH};

use buttress_rfc9111::{Rules, Terms};
use http::StatusCode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: ([&[u8]; 4], u32, u32)| {
    let (values, sent, delay) = data;
    let mut headers = http::HeaderMap::new();
    for (name, value) in ["age", "date", "expires", "last-modified"].into_iter().zip(values) {
        headers.extend(buttress_fuzz::headers(name, value));
    }
    let sent = UNIX_EPOCH + Duration::from_secs(sent.into());
    let arrived = sent + Duration::from_secs(delay.into());
    let terms = Terms::of(StatusCode::OK, &headers, sent, arrived, &Rules::default());
    assert!(terms.age(sent) <= terms.age(arrived));
    let _until = terms.usable_until(&Rules::default());
});
