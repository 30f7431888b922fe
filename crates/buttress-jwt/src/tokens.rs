//! The two tokens of a login.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

/// What somebody who has logged in gets.
#[derive(Clone)]
pub struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) access_csrf: String,
    pub(crate) refresh_csrf: String,
    pub(crate) access_lifetime: Duration,
    pub(crate) refresh_lifetime: Duration,
    pub(crate) scope: Option<String>,
}

// === impl Tokens ===

impl Tokens {
    /// What is sent with each request.
    #[must_use]
    pub fn access(&self) -> &str {
        &self.access
    }

    /// What is exchanged when the other has ended. It must go nowhere but back to its issuer.
    #[must_use]
    pub fn refresh(&self) -> &str {
        &self.refresh
    }

    /// The answer of a token endpoint (RFC 6749 §5.1).
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut answer = json!({
            "access_token": self.access,
            "token_type": "Bearer",
            "expires_in": self.access_lifetime.as_secs(),
            "refresh_token": self.refresh,
        });
        if let Some(scope) = &self.scope {
            answer["scope"] = scope.as_str().into();
        }
        answer
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the tokens.
        f.debug_struct("Tokens")
            .field("access_lifetime", &self.access_lifetime)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
