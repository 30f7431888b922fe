#![no_main]
//! `Cache-Control`, read strictly: what is taken comes back from what is written, and says the same to the lenient readers;
//! what they take can be written.

use buttress_rfc9111::{CacheControl, RequestDirectives, ResponseDirectives, targeted};
use http::HeaderMap;
use http::header::{CACHE_CONTROL, CDN_CACHE_CONTROL};

buttress_fuzz::field!("cache-control", |headers| {
    let response = ResponseDirectives::from_headers(headers);
    let request = RequestDirectives::from_headers(headers);
    for field in [CacheControl::from(&response), CacheControl::from(&request)] {
        comes_back(&field);
    }
    if let Ok(field) = CacheControl::from_headers(headers) {
        comes_back(&field);
        // Readers keep the directives of the other direction as extensions, with arguments as they were spelled.
        let known = |response| ResponseDirectives { extensions: Vec::new(), ..response };
        assert_eq!(known(ResponseDirectives::from(&field)), known(response));
        let known = |request| RequestDirectives { extensions: Vec::new(), ..request };
        assert_eq!(known(RequestDirectives::from(&field)), known(request));
    }
});

fn comes_back(field: &CacheControl) {
    let value = field.to_value();
    assert_eq!(CacheControl::try_from(&value).as_ref(), Ok(field));
    let headers = HeaderMap::from_iter([(CACHE_CONTROL, value)]);
    let response = ResponseDirectives::from(field);
    assert_eq!(response, ResponseDirectives::from_headers(&headers));
    assert_eq!(RequestDirectives::from(field), RequestDirectives::from_headers(&headers));
    if let Ok(value) = field.to_targeted() {
        let headers = HeaderMap::from_iter([(CDN_CACHE_CONTROL, value)]);
        let read = targeted::directives(&headers, &[CDN_CACHE_CONTROL]);
        assert_eq!(read, ResponseDirectives { targeted: true, ..response });
    }
}
