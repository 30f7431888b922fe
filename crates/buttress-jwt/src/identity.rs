//! Who is calling, told to an upstream in fields: set by us, and never by the client.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::token::Token;

/// Fields made of claims.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    fields: Vec<(HeaderName, String)>,
}

/// What cannot stand in a field, and the sign that says so.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

// === impl Identity ===

impl Identity {
    pub(crate) fn add(&mut self, name: HeaderName, claim: String) {
        self.fields.push((name, claim));
    }

    /// Takes out what a client sent, in every spelling that some server takes for the same: `X_User-Id` and `x-user-id` are one variable
    /// to CGI and its children.
    pub(crate) fn strip(&self, headers: &mut HeaderMap) {
        if self.fields.is_empty() {
            return;
        }
        let is_ours = |name: &HeaderName| self.fields.iter().any(|(ours, _)| alike(ours.as_str(), name.as_str()));
        let theirs: Vec<_> = headers.keys().filter(|name| is_ours(name)).cloned().collect();
        for name in theirs {
            headers.remove(name);
        }
    }

    /// Says what the token says. What is not ASCII is percent-encoded, and so is `%`.
    pub(crate) fn tell(&self, token: &Token, headers: &mut HeaderMap) {
        for (name, claim) in &self.fields {
            let Some(text) = token.claims().text_at(claim) else { continue };
            let text = utf8_percent_encode(&text, ESCAPED).to_string();
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name.clone(), value);
            }
        }
    }
}

/// Whether two names are the same but for their punctuation.
fn alike(a: &str, b: &str) -> bool {
    let plain = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    a.len() == b.len() && a.bytes().map(plain).eq(b.bytes().map(plain))
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
    fn a_client_cannot_say_who_it_is() {
        for name in ["x-user-id", "X-User-Id", "x_user_id", "X_User-ID", "x.user.id", "x-user_id"] {
            let mut headers = HeaderMap::new();
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_static("admin"));
            headers.insert("x-user-idea", HeaderValue::from_static("stays"));
            identity().strip(&mut headers);
            assert_eq!(headers.len(), 1, "{name}");
        }
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
