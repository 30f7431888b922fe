#![no_main]
//! `Connection`: afterwards no field of the connection is left, and what decides is still there.

use buttress_rfc9111::fields;
use http::HeaderValue;
use http::header::{CONNECTION, VARY};

buttress_fuzz::field!("connection", |headers| {
    let mut headers = headers.clone();
    headers.insert(VARY, HeaderValue::from_static("accept"));
    fields::remove_hop_by_hop(&mut headers);
    assert!(!headers.contains_key(CONNECTION) && headers.contains_key(VARY));
});
