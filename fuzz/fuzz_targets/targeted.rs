#![no_main]
//! Targeted fields: what is malformed leaves `Cache-Control` in force.

use buttress_rfc9111::targeted;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CDN_CACHE_CONTROL};

buttress_fuzz::field!("cdn-cache-control", |headers| {
    let mut headers = headers.clone();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let directives = targeted::directives(&headers, &[CDN_CACHE_CONTROL]);
    assert!(directives.targeted || directives.no_store);
});
