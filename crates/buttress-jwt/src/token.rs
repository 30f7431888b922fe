//! A token that was verified.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use serde::de::DeserializeOwned;

use crate::algorithm::Algorithm;
use crate::claims::Claims;
use crate::mark::{Mark, Marks};

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
    /// Made when somebody asks what it can be revoked by.
    pub(crate) marks: OnceLock<Marks>,
    /// By what a token is known that has no name.
    pub(crate) unnamed: Option<Mark>,
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

    /// What it can be revoked by. Costs a digest each, once.
    pub(crate) fn marks(&self) -> &Marks {
        self.0.marks.get_or_init(|| Marks::of(&self.0.claims, self.kid(), self.0.unnamed))
    }

    pub(crate) fn verified(&self) -> &Verified {
        &self.0
    }
}

/// The claims of a verified token as a type of the application, as
/// [`JwtLayer::claims`](crate::JwtLayer::claims) leaves them in the extensions. Cheap to clone.
///
/// With the feature `axum` it is an extractor.
///
/// ```
/// use buttress_jwt::Jwt;
///
/// #[derive(serde::Deserialize)]
/// struct Account { sub: String, plan: Option<String> }
///
/// fn handler<B>(request: http::Request<B>) -> Option<String> {
///     let account: &Jwt<Account> = request.extensions().get()?;
///     Some(format!("{} has {:?}", account.sub, account.plan))
/// }
/// # assert_eq!(handler(http::Request::new(())), None);
/// ```
#[derive(Debug)]
pub struct Jwt<T>(Arc<T>);

// === impl Jwt ===

impl<T: DeserializeOwned> Jwt<T> {
    /// The claims of a token as this type.
    ///
    /// # Errors
    /// If they are not what the type asks for.
    pub fn of(token: &Token) -> Result<Self, serde_json::Error> {
        token.claims().decode().map(|claims| Self(Arc::new(claims)))
    }
}

impl<T> Clone for Jwt<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Jwt<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
