#![no_main]
//! Secondary keys: one line or several make no difference, and absent is never anything else.

use buttress_rfc9111::vary::{Normalization, VaryFields};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let plain = Normalization::new();
    let reduced = Normalization::new().codings(["br", "gzip"]).languages(["en", "en-GB", "de"]);
    for name in ["accept", "accept-encoding", "accept-language", "cookie", "x-any"] {
        let lines = buttress_fuzz::headers(name, data);
        let vary = VaryFields::from_names([name]);
        for normalization in [&plain, &reduced] {
            let key = vary.key(&lines, normalization).expect("a name can match");
            if lines.is_empty() {
                continue;
            }
            assert_ne!(Ok(&key), vary.key(&HeaderMap::new(), normalization).as_ref());
            // A quote that one line opens and another closes is only read alike, not written alike.
            if !data.contains(&b'"') {
                let separator = if name == "cookie" { "; " } else { ", " };
                let values: Vec<_> = lines.get_all(name).iter().map(HeaderValue::as_bytes).collect();
                let joined = HeaderValue::from_bytes(&values.join(separator.as_bytes())).expect("values joined");
                let joined = HeaderMap::from_iter([(http::HeaderName::from_static(name), joined)]);
                assert_eq!(Ok(key), vary.key(&joined, normalization));
            }
        }
    }
});
