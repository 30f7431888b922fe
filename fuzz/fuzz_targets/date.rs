#![no_main]
//! Dates: what is read can be written and read again.

use buttress_rfc9111::date;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(time) = date::parse(data) {
        assert_eq!(date::parse(date::format(time)), Some(time));
        assert_eq!(date::parse_at(date::format(time), time), Some(time));
    }
});
