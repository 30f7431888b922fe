//! Who is calling, and is the token still good: a tower layer for JSON Web Tokens with revocation.

mod layer;
mod service;
mod policy;
mod admission;
mod rule;
mod path;
mod source;
mod cookie;
mod csrf;
mod identity;
mod reason;

mod verifier;
mod trusted;
mod compact;
mod json;
mod header;
mod claims;
mod token;
mod fault;
mod algorithm;
mod keys;
mod key_set;
mod jwk;
mod weak;
mod provider;
mod remembered;
#[cfg(feature = "fetch")]
mod fetch;

mod revocations;
mod revocation;
mod mark;
mod replica;
mod stream;
mod follower;
mod journal;

mod issuer;
mod refresh;
mod login;
mod grant;
mod tokens;
mod signing;
mod endpoints;
mod endpoint_reply;
mod credentials;
mod token_cookies;
mod backing;
mod key;
mod store;
mod memory;
mod redis;
#[cfg(feature = "axum")]
mod extract;
#[cfg(test)]
mod testing;

pub use algorithm::Algorithm;
pub use claims::Claims;
pub use credentials::Credentials;
pub use endpoints::TokenEndpoints;
pub use fault::Fault;
#[cfg(feature = "fetch")]
pub use fetch::{KeyUrl, Unverified};
pub use issuer::Issuer;
pub use keys::{Key, KeyError, Keys};
pub use layer::JwtLayer;
pub use login::Login;
pub use mark::Kind;
pub use reason::Reason;
pub use refresh::RefreshError;
pub use revocation::Revocation;
pub use revocations::{Revocations, RevocationsOptions, RevokeError, Standing};
pub use rule::Rule;
pub use service::JwtService;
pub use signing::SigningKey;
pub use token::{Jwt, Token};
pub use token_cookies::TokenCookies;
pub use tokens::Tokens;
pub use trusted::{Audience, TrustError, TrustedIssuer};
pub use verifier::Verifier;
