//! Who is calling, and is the token still good: a tower layer for JSON Web Tokens with revocation, and the whole life of a token.
//!
//! ```
//! use buttress_jwt::{Algorithm, JwtLayer, Key, Keys, Revocations, Rule, TrustedIssuer, Verifier};
//! use tower::Layer as _;
//!
//! # fn secret() -> Vec<u8> { (0..32).collect() }
//! # fn wrap<S>(your_service: S) -> Result<impl Sized, Box<dyn std::error::Error>> {
//! let keys = Keys::new([Key::secret(Algorithm::HS256, secret())?]); // or PEM, JWK, a key set in a file, a URL
//! let issuer = TrustedIssuer::new("https://accounts.example", "shop", [Algorithm::HS256], keys);
//! let layer = JwtLayer::new(Verifier::new([issuer])?, Revocations::embedded())
//!     .rule(Rule::open().under("/public"))
//!     .rule(Rule::required().under("/admin").scope("admin"));
//! Ok(layer.layer(your_service)) // everything else requires a token
//! # }
//! # assert!(wrap(()).is_ok());
//! ```
//!
//! Handlers find a [`Token`] in the request's extensions, or its claims as a type of theirs ([`Jwt`]). [`Revocations`] end tokens before their
//! time, in every process within milliseconds, and cost the request no round trip. An [`Issuer`] makes tokens, and [`TokenEndpoints`]
//! are the services to log in, refresh and log out.
//!
//! # What is believed
//!
//! Issuer, audience, algorithms and keys have to be said; what opens a door is named `any_…` or `dangerous_…`. A token is refused
//!
//! - that is not three parts of strict base64url, is longer than 8 KiB, has a member twice or is deeper than tokens are (RFC 7515, 7519);
//! - whose algorithm is not allowed for its issuer, or not that of the key: a public key never serves as a secret (RFC 8725 §3.1);
//! - that brings its own key or a place to fetch one (`jwk`, `jku`, `x5u`, `x5c` are not read), or an extension (`crit`, `b64`);
//! - of another issuer, for another audience, of another kind (`typ`, and what Keycloak, Cognito and flask-jwt-extended say by a claim);
//! - that has no end, has ended, has not begun, was issued in the future, or lives longer than a day; clocks may be 30 s apart;
//! - that is bound to a key (`cnf`), or was revoked.
//!
//! Keys that are too short, hardly random, published or broken are refused when they are given. `jsonwebtoken` reads keys and checks signatures; the
//! provider of its cryptography is named (`aws-lc-rs`), so nothing depends on which of its features another crate has switched on.
//!
//! # What is answered
//!
//! | | status | `WWW-Authenticate` (RFC 6750) | gRPC |
//! |---|---|---|---|
//! | no token | 401 | `Bearer`, without an error | `UNAUTHENTICATED` |
//! | one that is not believed, or was revoked | 401 | `invalid_token` | `UNAUTHENTICATED` |
//! | two, or something else in its place | 400 | `invalid_request` | `INVALID_ARGUMENT` |
//! | a scope is missing | 403 | `insufficient_scope`, with those that are wanted | `PERMISSION_DENIED` |
//! | a role is missing, a check failed, a foreign page used a cookie | 403 | | `PERMISSION_DENIED` |
//! | the login is too old (RFC 9470) | 401 | `insufficient_user_authentication`, `max_age` | `UNAUTHENTICATED` |
//! | nobody can say whether it was revoked, or has the keys | 503 | | `UNAVAILABLE` |
//!
//! # Metrics
//!
//! | name | counts |
//! |---|---|
//! | `buttress_jwt_requests_total` | requests by `outcome`: `admitted`, `anonymous`, `open`, `preflight`, or why they were refused ([`Reason::as_str`]) |
//! | `buttress_jwt_faults_total` | tokens that were not believed, by `fault` ([`Fault::as_str`]) |
//! | `buttress_jwt_revoked_total` | revocations made here, by `kind` |
//! | `buttress_jwt_revocations` | gauge: revocations known |
//! | `buttress_jwt_revocations_complete_seconds` | gauge: as of when they are complete, in seconds since 1970 |
//! | `buttress_jwt_revocations_lost_total` | times that Redis was found to have lost some |
//! | `buttress_jwt_revocation_lookups_total` | tokens for which Redis was asked |
//! | `buttress_jwt_eviction` | gauge: 1 if this Redis may drop keys |
//! | `buttress_jwt_bad_records_total` | records in Redis that could not be read |
//! | `buttress_jwt_logins_total`, `buttress_jwt_refreshes_total` | what the issuer did, the latter by `outcome` |
//!
//! Keys that are fetched (feature `fetch`, `KeyUrl`) have their own.
//!
//! # What it does not do
//!
//! No encrypted or nested tokens, no token in a JSON body, no DPoP (a bound token is refused), no introspection (RFC 7662), no login at another
//! issuer (OpenID Connect): it takes what such a login gives.

mod layer;
mod service;
mod policy;
mod admission;
mod rule;
mod path;
mod source;
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
mod options;
mod revocation;
mod mark;
mod pending;
mod replica;
mod blacklist;
mod stream;
mod sight;
mod eviction;
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
pub mod flask;
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
pub use options::RevocationsOptions;
pub use reason::Reason;
pub use refresh::RefreshError;
pub use revocation::Revocation;
pub use revocations::{Revocations, RevokeError, Standing};
pub use rule::Rule;
pub use service::JwtService;
pub use signing::SigningKey;
pub use token::{Jwt, Token};
pub use token_cookies::TokenCookies;
pub use tokens::Tokens;
pub use trusted::{Audience, TrustError, TrustedIssuer};
pub use verifier::Verifier;
