//! What the unit tests share.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Fields written as they stand on the wire.
pub(crate) fn headers(lines: &str) -> HeaderMap {
    let fields = lines.lines().filter(|line| !line.is_empty()).map(|line| {
        let (name, value) = line.split_once(':').expect("a colon");
        (HeaderName::try_from(name).expect("a name"), HeaderValue::from_str(value.trim()).expect("a value"))
    });
    fields.fold(HeaderMap::new(), |mut all, (name, value)| {
        all.append(name, value);
        all
    })
}
