#![no_main]
//! A token: nobody signs one by chance, whatever is read of it; and a key set is read without panic.

use std::sync::LazyLock;
use std::time::SystemTime;

use buttress_jwt::{Algorithm, Audience, Key, Keys, TrustedIssuer, Verifier};

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let secret: [u8; 32] = std::array::from_fn(|at| (at * 37) as u8 ^ 0x5a);
    let keys = Keys::new([Key::secret(Algorithm::HS256, secret).expect("a secret")]);
    Verifier::new([TrustedIssuer::unnamed(Audience::any_audience(), [Algorithm::HS256], keys)]).expect("a verifier")
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    drop(Keys::jwks(data));
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(VERIFIER.verify(text, SystemTime::UNIX_EPOCH).is_err());
    }
    // The same as parts that are read further.
    if let [at, rest @ ..] = data {
        let (header, payload) = rest.split_at(usize::from(*at).min(rest.len()));
        let part = |bytes: &[u8]| data_encoding::BASE64URL_NOPAD.encode(bytes);
        let token = format!("{}.{}.{}", part(header), part(payload), part(&[0; 32]));
        assert!(VERIFIER.verify(&token, SystemTime::UNIX_EPOCH).is_err());
    }
});
