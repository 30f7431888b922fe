//! Somebody who has logged in, as tokens say it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// Somebody who has proved who they are: what [`Issuer::login`](crate::Issuer::login) makes tokens of.
///
/// ```
/// use buttress_jwt::Login;
///
/// let login = Login::new("ada").scope("orders:read orders:write").claim("roles", ["admin"]);
/// # let _ = login;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Login {
    pub(crate) subject: String,
    pub(crate) scope: Option<String>,
    pub(crate) client: Option<String>,
    pub(crate) acr: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) claims: BTreeMap<String, Value>,
}

/// Claims that the issuer makes itself.
const OWN: [&str; 15] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "sid",
    "client_id",
    "auth_time",
    "fresh",
    "csrf",
    "type",
    "ext",
    "fam",
];

// === impl Login ===

impl Login {
    /// The subject, by a name that never becomes another's.
    pub fn new(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), scope: None, client: None, acr: None, session: None, claims: BTreeMap::new() }
    }

    /// What the tokens may be used for: words with spaces between. Default: nothing is said.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// The application that they logged in with (`client_id`). Default: the issuer's audience.
    pub fn client(mut self, client: impl Into<String>) -> Self {
        self.client = Some(client.into());
        self
    }

    /// In which way they proved who they are (`acr`). Default: nothing is said.
    pub fn acr(mut self, acr: impl Into<String>) -> Self {
        self.acr = Some(acr.into());
        self
    }

    /// Which session the tokens are for (`sid`), such as that of `buttress-session`, whose end ends them where the issuer is told of it
    /// ([`EndLogin`](buttress_core::EndLogin)). All tokens of one session end together, however many logins they come from; each of those has refresh
    /// tokens of its own, and if one is presented twice, all of the session are revoked. Default: a session of its own.
    pub fn session(mut self, sid: impl Into<String>) -> Self {
        self.session = Some(sid.into()).filter(|sid: &String| !sid.is_empty());
        self
    }

    /// A further claim. It stands in the access tokens and, so that it outlives them, in the refresh tokens: anybody who holds one can read it.
    /// What the issuer says itself (`iss`, `exp`, …) stays as it is; a value that is no JSON is left out.
    pub fn claim(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        let name = name.into();
        if let Ok(value) = serde_json::to_value(value)
            && !OWN.contains(&name.as_str())
        {
            self.claims.insert(name, value);
        }
        self
    }
}
