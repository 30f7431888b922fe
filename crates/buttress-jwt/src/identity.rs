//! Who is calling, told to an upstream in fields: set by us, and never by the client.

use buttress_core::told;
use http::header::{HeaderMap, HeaderName};

use crate::token::Token;

/// Fields made of claims.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    fields: Vec<(HeaderName, String)>,
}

// === impl Identity ===

impl Identity {
    pub(crate) fn add(&mut self, name: HeaderName, claim: String) {
        self.fields.push((name, claim));
    }

    /// Takes out what a client sent, in every spelling.
    pub(crate) fn strip(&self, headers: &mut HeaderMap) {
        if !self.fields.is_empty() {
            told::strip(headers, self.fields.iter().map(|(name, _)| name));
        }
    }

    /// Says what the token says.
    pub(crate) fn tell(&self, token: &Token, headers: &mut HeaderMap) {
        for (name, claim) in &self.fields {
            if let Some(text) = token.claims().text_at(claim) {
                told::tell(headers, name, &text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn identity() -> Identity {
        let mut identity = Identity::default();
        for (name, claim) in [("x-user-id", "/sub"), ("x-scopes", "/scope"), ("x-roles", "/realm_access/roles")] {
            identity.add(HeaderName::from_static(name), claim.to_owned());
        }
        identity
    }

    #[test]
    fn what_is_told_is_what_the_token_says() {
        let mut headers = HeaderMap::new();
        let token = testing::token(r#""sub":"ä  100%\r\nx: y","scope":"a b","realm_access":{"roles":["r","s"]}"#);
        identity().tell(&token, &mut headers);
        assert_eq!(headers["x-user-id"], "%C3%A4  100%25%0D%0Ax: y");
        assert_eq!(headers["x-scopes"], "a b");
        assert_eq!(headers["x-roles"], "r s");
    }
}
