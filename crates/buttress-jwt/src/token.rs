//! A token that was verified.

use std::sync::Arc;
use std::time::SystemTime;

use crate::algorithm::Algorithm;
use crate::claims::Claims;
use crate::mark::Marks;

/// A token that was verified, as handlers find it in the request's extensions. Cheap to clone.
///
/// ```
/// use buttress_jwt::Token;
///
/// # #[derive(serde::Deserialize)] struct Account { plan: String }
/// fn handler<B>(request: http::Request<B>) -> String {
///     match request.extensions().get::<Token>() {
///         Some(token) => format!("hello {}", token.claims().subject().unwrap_or("you")),
///         None => "hello stranger".to_owned(), // where the rule is optional
///     }
/// }
/// # assert_eq!(handler(http::Request::new(())), "hello stranger");
/// ```
#[derive(Clone, Debug)]
pub struct Token(Arc<Verified>);

#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) claims: Claims,
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    pub(crate) marks: Marks,
    /// Which of the verifier's issuers.
    pub(crate) trusted: usize,
    /// Of the keys that it was verified with.
    pub(crate) epoch: u64,
    /// When nothing is left to revoke: its end, with the skew.
    pub(crate) until: u64,
}

// === impl Token ===

impl Token {
    pub(crate) fn new(verified: Verified) -> Self {
        Self(Arc::new(verified))
    }

    /// What it says.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.0.claims
    }

    /// What it was signed with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// The name of the key that it asked for.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.0.kid.as_deref()
    }

    /// Whether its subject proved who they are for this very token, not by a refresh token: the claim `fresh`, as `true` or as the
    /// time up to which it holds (as in flask-jwt-extended).
    #[must_use]
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        match self.claims().get("fresh") {
            Some(serde_json::Value::Bool(fresh)) => *fresh,
            Some(value) => value.as_f64().is_some_and(|until| until * 1000.0 >= crate::claims::millis(now) as f64),
            None => false,
        }
    }

    pub(crate) fn verified(&self) -> &Verified {
        &self.0
    }
}
