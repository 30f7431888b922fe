//! Tokens that were verified before.
//!
//! What makes this safe is what it does not do: no part of a token stands for the whole, nothing that failed is kept, a
//! verifier shares it with no other policy, and what is found is still asked for its times, its keys' epoch and its revocation.
//!
//! The digest is POLYVAL (RFC 8452 §3) of the whole token and its length, under a key of this process. It is no signature, but whoever does not
//! see the key or a digest, and nobody does, finds two tokens of one digest by chance alone: for tokens of 4 KiB with a chance of 2^-120
//! for each that he tries. It costs a fifth of a cryptographic hash.

use polyval::Polyval;
use polyval::universal_hash::UniversalHash as _;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::token::Token;

/// The digest of a whole token, under a key that is this process's own.
pub(crate) type Digest = [u8; 16];

pub(crate) struct Remembered {
    hash: Polyval,
    tokens: Option<Cache<Digest, (Token, u32), ByLength>>,
}

/// Longer ones are rare, and a flood of them would push out the others.
const LONGEST: usize = 4096;

/// A token weighs what its text does.
#[derive(Clone)]
struct ByLength;

// === impl Remembered ===

impl Remembered {
    /// Keeps tokens of so many bytes altogether.
    pub(crate) fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / 512).unwrap_or(usize::MAX);
        let tokens = (bytes > 0).then(|| Cache::with_weighter(items, bytes, ByLength));
        Self { hash: Polyval::new(&rand::random::<[u8; 16]>().into()), tokens }
    }

    /// What a token is remembered by, if it is one to be remembered.
    pub(crate) fn digest(&self, token: &str) -> Option<Digest> {
        let kept = self.tokens.is_some() && token.len() <= LONGEST;
        kept.then(|| {
            let mut hash = self.hash.clone();
            hash.update_padded(token.as_bytes());
            // What is padded with zeros differs by its length.
            hash.update(&[u128::try_from(token.len()).unwrap_or_default().to_le_bytes().into()]);
            hash.finalize().into()
        })
    }

    pub(crate) fn recall(&self, digest: &Digest) -> Option<Token> {
        self.tokens.as_ref()?.get(digest).map(|(token, _)| token)
    }

    pub(crate) fn keep(&self, digest: Digest, token: &Token, length: usize) {
        if let Some(tokens) = &self.tokens {
            tokens.insert(digest, (token.clone(), u32::try_from(length).unwrap_or(u32::MAX)));
        }
    }
}

impl Weighter<Digest, (Token, u32)> for ByLength {
    fn weight(&self, _: &Digest, (_, length): &(Token, u32)) -> u64 {
        u64::from(*length).max(1)
    }
}
