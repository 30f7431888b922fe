//! Proof that a reply answers its question.
//!
//! The client below matches replies to commands by their order alone, and there are ways to put that order out of step: a
//! frame that nobody asked for, or one that got lost. Then everyone on the connection receives somebody else's data.
//! Nothing that leaves this crate rests on that order:
//!
//! - A stored value opens with the digest of the key it belongs to ([`seal`]), and is believed only under that key ([`open`]).
//! - Every other command is written together with a `PING` that carries a nonce ([`Nonce`]), and its reply is believed only if
//!   the nonce comes back in the next place: had a frame been added or lost before, some other reply would stand there.
//!
//! The digest guards against mix-ups, not against someone who may write to Redis.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{BufMut as _, Bytes, BytesMut};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Not valid UTF-8 and not a number, so that no text written by hand begins with it; the last byte is the format's version.
const MAGIC: [u8; 4] = [0xb7, b'B', b'T', 1];
/// How many bytes a [`seal`] puts in front of a value: magic, length of the payload (u32, little endian), digest of the key.
pub const SEAL_LEN: usize = 4 + 4 + 16;
/// Keeps these digests apart from any other use of the same function.
const SEED: u64 = 0x6275_7474_7265_7373;

/// What a value says about the key it was found under.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Opened {
    /// Written here, for another key: the value was moved, or this reply answers another question.
    AnotherKeys,
    /// Not written here, or not whole.
    Foreign,
    /// Written here for this key: the payload, a slice of what was given.
    Proven(Bytes),
}

/// A word that was never used before in this process, to be sent and to come back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Nonce(u64);

/// A value as [`Redis::set`](crate::Redis::set) would store it under `key`: for a script that writes values which are read by
/// [`Redis::get`](crate::Redis::get). Costs a copy. `None` beyond 4 GiB; Redis ends at 512 MiB.
///
/// ```
/// let stored = buttress_redis::seal(b"key", b"value").unwrap();
/// assert_eq!(buttress_redis::unseal(b"key", stored.clone()).as_deref(), Some(&b"value"[..]));
/// assert_eq!(buttress_redis::unseal(b"another key", stored), None);
/// ```
#[must_use]
pub fn seal(key: &[u8], payload: &[u8]) -> Option<Bytes> {
    let length = u32::try_from(payload.len()).ok()?;
    let mut sealed = BytesMut::with_capacity(SEAL_LEN + payload.len());
    sealed.put_slice(&MAGIC);
    sealed.put_u32_le(length);
    sealed.put_u128_le(digest(key));
    sealed.put_slice(payload);
    Some(sealed.freeze())
}

/// The value of a [`seal`], if it was made for `key` and is whole: for a script that answers with a value. Not copied.
#[must_use]
pub fn unseal(key: &[u8], sealed: Bytes) -> Option<Bytes> {
    match open(key, sealed) {
        Opened::Proven(payload) => Some(payload),
        Opened::AnotherKeys | Opened::Foreign => None,
    }
}

/// Verifies that a value belongs to `key` and is whole; the payload is not copied.
pub(crate) fn open(key: &[u8], sealed: Bytes) -> Opened {
    let Some((header, payload)) = sealed.split_at_checked(SEAL_LEN) else { return Opened::Foreign };
    let (magic, rest) = header.split_at(4);
    let (length, named) = rest.split_at(4);
    if magic != MAGIC
        || u32::try_from(payload.len()).map(u32::to_le_bytes).ok().as_ref().map(<[u8; 4]>::as_slice) != Some(length)
    {
        return Opened::Foreign;
    }
    if named != digest(key).to_le_bytes() {
        return Opened::AnotherKeys;
    }
    Opened::Proven(sealed.slice(SEAL_LEN..))
}

fn digest(key: &[u8]) -> u128 {
    xxh3_128_with_seed(key, SEED)
}

// === impl Nonce ===

impl Nonce {
    pub(crate) fn next() -> Self {
        // A random start, so that two processes behind one proxy do not use the same words at the same time.
        static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(SEED)));
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// As sent: a prefix, so that no small number or text is taken for a nonce.
    pub(crate) fn to_bytes(self) -> Bytes {
        Bytes::from(format!("bt-{:016x}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &[u8] = b"cache:v1:{a}:b";

    #[track_caller]
    fn check(stored: &[u8], expected: Opened) {
        assert_eq!(open(KEY, Bytes::copy_from_slice(stored)), expected);
    }

    #[test]
    fn a_value_is_believed_under_its_own_key_only() {
        let sealed = seal(KEY, b"payload").unwrap();
        check(&sealed, Opened::Proven(Bytes::from_static(b"payload")));
        check(&seal(KEY, b"").unwrap(), Opened::Proven(Bytes::new()));
        check(&seal(b"cache:v1:{a}:c", b"payload").unwrap(), Opened::AnotherKeys);
        check(&seal(b"", b"payload").unwrap(), Opened::AnotherKeys);
    }

    #[test]
    fn what_was_not_written_here_or_is_not_whole_is_foreign() {
        let sealed = seal(KEY, b"payload").unwrap();
        check(b"", Opened::Foreign);
        check(b"OK", Opened::Foreign);
        check(b"written by hand, and longer than a header would be", Opened::Foreign);
        check(&sealed[..sealed.len() - 1], Opened::Foreign);
        check(&sealed[..SEAL_LEN], Opened::Foreign);
        check(&[&sealed[..], b"x"].concat(), Opened::Foreign);
        check(&sealed[1..], Opened::Foreign);
    }

    #[test]
    fn the_payload_is_a_slice_of_the_reply() {
        let sealed = seal(KEY, b"payload").unwrap();
        let start = sealed.as_ptr() as usize;
        let Opened::Proven(payload) = open(KEY, sealed) else { panic!("not proven") };
        assert_eq!(payload.as_ptr() as usize, start + SEAL_LEN);
    }

    #[test]
    fn a_nonce_comes_once() {
        let words: std::collections::HashSet<_> = (0..1000).map(|_| Nonce::next().to_bytes()).collect();
        assert_eq!(words.len(), 1000);
    }

    proptest! {
        #[test]
        fn opening_any_bytes_never_panics_nor_proves(key: Vec<u8>, stored: Vec<u8>) {
            prop_assert!(!matches!(open(&key, Bytes::from(stored)), Opened::Proven(_)));
        }

        #[test]
        fn sealed_then_opened_is_the_same(key: Vec<u8>, other: Vec<u8>, payload: Vec<u8>) {
            let sealed = seal(&key, &payload).unwrap();
            prop_assert_eq!(open(&key, sealed.clone()), Opened::Proven(Bytes::from(payload)));
            if other != key {
                prop_assert_eq!(open(&other, sealed), Opened::AnotherKeys);
            }
        }
    }
}
