//! Whoever signs tokens: a key with a name, and its public half as JSON.

use std::time::SystemTime;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PublicKeyData as _};

pub(crate) struct Signer {
    kid: &'static str,
    key: KeyPair,
}

// === impl Signer ===

impl Signer {
    /// A fresh key on P-256.
    pub(crate) fn new(kid: &'static str) -> Self {
        Self { kid, key: KeyPair::generate().unwrap() }
    }

    pub(crate) fn jwk(&self) -> String {
        let (x, y) = self.key.der_bytes()[1..].split_at(32);
        let (x, y) = (BASE64URL_NOPAD.encode(x), BASE64URL_NOPAD.encode(y));
        format!(r#"{{"kty":"EC","crv":"P-256","kid":"{}","x":"{x}","y":"{y}"}}"#, self.kid)
    }

    /// A token for an hour.
    pub(crate) fn token(&self, now: SystemTime) -> String {
        self.token_naming(self.kid, "", now)
    }

    /// The same with another name for its key, and further members in the header.
    pub(crate) fn token_naming(&self, kid: &str, members: &str, now: SystemTime) -> String {
        self.sign(&format!(r#"{{"alg":"ES256","kid":"{kid}"{members}}}"#), now)
    }

    /// The same without a name for its key.
    pub(crate) fn nameless_token(&self, now: SystemTime) -> String {
        self.sign(r#"{"alg":"ES256"}"#, now)
    }

    fn sign(&self, header: &str, now: SystemTime) -> String {
        let end = now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + 3600;
        let part = |json: &str| BASE64URL_NOPAD.encode(json.as_bytes());
        let claims = format!(r#"{{"iss":"https://issuer","aud":"us","exp":{end}}}"#);
        let message = format!("{}.{}", part(header), part(&claims));
        let key = EncodingKey::from_ec_der(self.key.serialized_der());
        let signer = (DEFAULT_PROVIDER.signer_factory)(&Algorithm::ES256, &key).unwrap();
        format!("{message}.{}", BASE64URL_NOPAD.encode(&signer.try_sign(message.as_bytes()).unwrap()))
    }
}
