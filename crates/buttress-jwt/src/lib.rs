//! Who is calling, and is the token still good: a tower layer for JSON Web Tokens with revocation.

mod policy;
mod fault;
mod algorithm;
mod compact;
mod json;
mod header;
mod claims;
mod keys;
mod key_set;
mod jwk;
mod weak;
mod provider;
mod trusted;
mod verifier;
mod remembered;
mod token;
mod mark;
#[cfg(feature = "fetch")]
mod fetch;

pub use algorithm::Algorithm;
pub use claims::Claims;
pub use fault::Fault;
#[cfg(feature = "fetch")]
pub use fetch::{KeyUrl, Unverified};
pub use keys::{Key, KeyError, Keys};
pub use mark::Kind;
pub use token::Token;
pub use trusted::{Audience, TrustError, TrustedIssuer};
pub use verifier::Verifier;
