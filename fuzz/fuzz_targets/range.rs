#![no_main]
//! `Range` and `Content-Range`: a part lies inside the representation, and what is written is read again.

use buttress_rfc9111::range::{self, ContentRange, PartAnswer, RangeAnswer, StoredPart};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (&[u8], &[u8], u64)| {
    let (wanted, stored, length) = data;
    let request = buttress_fuzz::headers("range", wanted);
    if let RangeAnswer::Partial { first, last } = range::evaluate(&Method::GET, &request, &HeaderMap::new(), length) {
        assert!(first <= last && last < length);
    }
    if let Some(read) = ContentRange::parse(stored) {
        assert_eq!(ContentRange::parse(read.to_value().as_bytes()), Some(read));
    }
    let mut fields = buttress_fuzz::headers("content-range", stored);
    fields.insert(header::ETAG, HeaderValue::from_static("\"a\""));
    let Ok(part) = StoredPart::of(StatusCode::PARTIAL_CONTENT, &fields, length) else { return };
    if let Ok(wanted) = range::single(&Method::GET, &request)
        && let PartAnswer::Serve { first, last, offset } = part.can_serve(wanted)
    {
        assert!(first <= last && offset + (last - first) < length);
    }
    assert_eq!(part.missing().is_none(), part.is_complete());
    assert_eq!(part.combine(&part).expect("the same part").part, part);
});
