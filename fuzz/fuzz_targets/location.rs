#![no_main]
//! `Location`: whatever it says, nothing of another origin becomes invalid.

use buttress_rfc9111::invalidation::{is_same_origin, targets};
use http::{Method, StatusCode, Uri};

buttress_fuzz::field!("location", |headers| {
    let uri = Uri::from_static("https://example.com/a/b?q");
    for target in targets(&Method::POST, &uri, StatusCode::CREATED, headers) {
        assert!(is_same_origin(&uri, &target));
    }
});
