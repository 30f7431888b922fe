//! What the targets share: bytes to header fields.

use http::{HeaderMap, HeaderName, HeaderValue};

#[doc(hidden)]
pub use libfuzzer_sys;

/// Field lines from input lines, without those that no server would let through.
pub fn headers(name: &'static str, data: &[u8]) -> HeaderMap {
    let name = HeaderName::from_static(name);
    let lines = data.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok());
    lines.map(|line| (name.clone(), line)).collect()
}

/// A whole target: `field!("age", |headers| { .. });` feeds the lines of this field.
#[macro_export]
macro_rules! field {
    ($name:literal, $check:expr) => {
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            let check: fn(&http::HeaderMap) = $check;
            check(&$crate::headers($name, data));
        });
    };
}
