//! Fields that whoever reads the store cannot read: sealed with a key that is wrapped with a key from the cookie.
//!
//! Each session has a random data key. The store holds it wrapped under a key that is derived from the id, and the id is in the cookie alone. When the id
//! changes, the data key is wrapped anew and the fields stay as they are.

use bytes::Bytes;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::id::SessionId;

/// The data key of one session.
#[derive(Clone)]
pub(crate) struct FieldKey([u8; 32]);

const NONCE_LEN: usize = 24;
const WRAPPED: &[u8] = b"the data key";

// === impl FieldKey ===

impl FieldKey {
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    /// The key as it lies in the store.
    pub(crate) fn wrap(&self, id: &SessionId) -> Bytes {
        seal(&id.wrapping_key(), WRAPPED, &self.0)
    }

    /// The key of a session, if this is the id that it was wrapped for.
    pub(crate) fn unwrap(id: &SessionId, wrapped: &[u8]) -> Option<Self> {
        open(&id.wrapping_key(), WRAPPED, wrapped)?.as_ref().try_into().ok().map(Self)
    }

    /// A field as it lies in the store. Its name is sealed with it: none can be put in another's place.
    pub(crate) fn seal(&self, field: &str, value: &[u8]) -> Bytes {
        seal(&self.0, field.as_bytes(), value)
    }

    pub(crate) fn open(&self, field: &str, sealed: &[u8]) -> Option<Bytes> {
        open(&self.0, field.as_bytes(), sealed)
    }
}

/// Never the key itself.
impl std::fmt::Debug for FieldKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FieldKey")
    }
}

/// Random nonces of 192 bits may be drawn without counting (draft-irtf-cfrg-xchacha §2.1).
fn seal(key: &[u8; 32], about: &[u8], text: &[u8]) -> Bytes {
    let nonce: [u8; NONCE_LEN] = rand::random();
    let payload = Payload { msg: text, aad: about };
    let sealed = XChaCha20Poly1305::new(&(*key).into()).encrypt(&XNonce::from(nonce), payload);
    let sealed = sealed.expect("only texts of 256 GiB are too long");
    Bytes::from([&nonce[..], &sealed].concat())
}

fn open(key: &[u8; 32], about: &[u8], sealed: &[u8]) -> Option<Bytes> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let payload = Payload { msg: sealed, aad: about };
    XChaCha20Poly1305::new(&(*key).into()).decrypt(&XNonce::from(*nonce), payload).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_opens_under_its_name_with_its_key() {
        let (key, id) = (FieldKey::random(), SessionId::random());
        let sealed = key.seal("cart", b"[1]");
        assert_eq!(key.open("cart", &sealed).as_deref(), Some(&b"[1]"[..]));
        assert_eq!(key.open("card", &sealed), None, "in another's place");
        assert_eq!(FieldKey::random().open("cart", &sealed), None, "by another's key");
        assert_ne!(key.seal("cart", b"[1]"), sealed, "two of the same look different");
        for n in 0..sealed.len() {
            let mut tampered = sealed.to_vec();
            tampered[n] ^= 1;
            assert_eq!(key.open("cart", &tampered), None);
            assert_eq!(key.open("cart", &sealed[..n]), None, "cut");
        }
        let again = FieldKey::unwrap(&id, &key.wrap(&id)).unwrap();
        assert_eq!(again.open("cart", &sealed).as_deref(), Some(&b"[1]"[..]));
        assert!(FieldKey::unwrap(&SessionId::random(), &key.wrap(&id)).is_none());
    }
}
