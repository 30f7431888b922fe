#![no_main]
//! A build's manifest: no path in it leads out of the build.

use buttress_assets::Manifest;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(manifest) = Manifest::parse(data) {
        for output in manifest.outputs() {
            let mut parts = output.path().split('/');
            assert!(parts.all(|part| !part.is_empty() && part != "." && part != ".."), "{:?}", output.path());
        }
    }
});
