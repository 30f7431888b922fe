#![no_main]
//! `Cache-Status`: any name, key and detail gives a field value.

use buttress_rfc9111::cache_status::{CacheName, CacheStatus};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (&str, &str, &str, i64)| {
    let (name, key, detail, ttl) = data;
    if let Ok(name) = CacheName::new(name) {
        let value = CacheStatus::hit(&name).ttl(ttl).key(key).detail(detail).to_header_value();
        assert!(value.to_str().is_ok());
    }
});
