#![no_main]
//! Both directions of `Cache-Control`; saying everything twice changes nothing that decides. What is well-formed is written so that
//! it is read alike, strictly and leniently.

use buttress_rfc9111::{CacheControl, RequestDirectives, ResponseDirectives};
use http::header::CACHE_CONTROL;

buttress_fuzz::field!("cache-control", |headers| {
    let response = ResponseDirectives::from_headers(headers);
    let _request = RequestDirectives::from_headers(headers);
    if let Ok(said) = CacheControl::from_headers(headers) {
        assert_eq!(CacheControl::try_from(&said.to_value()).as_ref(), Ok(&said));
        assert_eq!(ResponseDirectives::from(&said).max_age, response.max_age);
        let _targeted = said.to_targeted();
    }
    let mut twice = headers.clone();
    for line in headers.get_all(CACHE_CONTROL) {
        twice.append(CACHE_CONTROL, line.clone());
    }
    let again = ResponseDirectives::from_headers(&twice);
    assert_eq!(
        (response.max_age, response.s_maxage, response.no_store, response.private.is_some()),
        (again.max_age, again.s_maxage, again.no_store, again.private.is_some()),
    );
});
