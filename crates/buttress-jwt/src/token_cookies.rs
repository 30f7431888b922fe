//! Cookies that tokens travel in: set and unset with the same attributes, or a browser keeps what it should drop.

use http::header::{HeaderMap, HeaderValue, SET_COOKIE};

use crate::flask;
use crate::tokens::Tokens;

/// The cookies of the two tokens and of their words against forged requests.
///
/// ```
/// use buttress_jwt::TokenCookies;
///
/// let cookies = TokenCookies::new(); // `__Host-` and `__Secure-`, `HttpOnly`, `SameSite=Lax`, until the browser is closed
/// assert_eq!(cookies.access_name(), "__Host-access_token");
/// ```
///
/// Scripts cannot read the tokens. They can read the words, and repeat them in `x-csrf-token`: that is how the own page is told
/// from a foreign one.
///
/// ```text
/// browser                                              server
///    │  POST /auth/login ada, secret                     │
///    │──────────────────────────────────────────────────▶│ makes a token with the claim csrf=word
///    │  Set-Cookie: __Host-access_token=…; HttpOnly      │
///    │  Set-Cookie: __Host-csrf_access_token=word        │
///    │◀──────────────────────────────────────────────────│
///    │  POST /orders                                     │
///    │  Cookie: both          (the browser adds them)    │
///    │  x-csrf-token: word    (only the own page can)    │
///    │──────────────────────────────────────────────────▶│ word = claim? then it was the own page
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TokenCookies {
    names: Names,
    /// Where the refresh token goes.
    refresh_path: String,
    same_site: &'static str,
    secure: bool,
    persistent: bool,
}

#[derive(Clone, Debug)]
struct Names {
    access: &'static str,
    refresh: &'static str,
    access_csrf: &'static str,
    refresh_csrf: &'static str,
}

const NAMES: Names = Names {
    access: "__Host-access_token",
    refresh: "__Secure-refresh_token",
    access_csrf: "__Host-csrf_access_token",
    refresh_csrf: "__Host-csrf_refresh_token",
};
const PLAIN_NAMES: Names = Names {
    access: "access_token",
    refresh: "refresh_token",
    access_csrf: "csrf_access_token",
    refresh_csrf: "csrf_refresh_token",
};
/// As flask-jwt-extended names them.
const FLASK_NAMES: Names = Names {
    access: flask::ACCESS_COOKIE,
    refresh: flask::REFRESH_COOKIE,
    access_csrf: flask::ACCESS_CSRF_COOKIE,
    refresh_csrf: flask::REFRESH_CSRF_COOKIE,
};

// === impl TokenCookies ===

impl TokenCookies {
    /// Names that only this host can set, over TLS (`__Host-`, `__Secure-`).
    pub fn new() -> Self {
        Self { names: NAMES, refresh_path: "/".to_owned(), same_site: "Lax", secure: true, persistent: false }
    }

    /// The names of flask-jwt-extended, which any sibling of this host can set.
    pub fn flask() -> Self {
        Self { names: FLASK_NAMES, ..Self::new() }
    }

    /// Without `Secure`, under names without prefix, for development over plain http. **Whoever is on the way reads the tokens.**
    pub fn dangerous_plain_http(mut self) -> Self {
        self.secure = false;
        if self.names.access == NAMES.access {
            self.names = PLAIN_NAMES;
        }
        self
    }

    /// Kept when the browser is closed, as long as the refresh token is good. Default: no.
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// `SameSite=Strict`: a link from elsewhere opens the page as a stranger's. Default: `Lax`.
    pub fn strict(mut self) -> Self {
        self.same_site = "Strict";
        self
    }

    /// Where the browser sends the refresh token: nowhere but to what exchanges it. Default: `/`, or where the
    /// [`TokenEndpoints`](crate::TokenEndpoints) are.
    pub fn refresh_path(mut self, path: impl Into<String>) -> Self {
        self.refresh_path = path.into();
        self
    }

    /// The name of the cookie with the access token, for [`JwtLayer::cookie`](crate::JwtLayer::cookie).
    #[must_use]
    pub fn access_name(&self) -> &'static str {
        self.names.access
    }

    /// The name of the cookie with the refresh token.
    #[must_use]
    pub fn refresh_name(&self) -> &'static str {
        self.names.refresh
    }

    /// Sets all of them.
    pub fn set(&self, tokens: &Tokens, headers: &mut HeaderMap) {
        let values = [&tokens.access, &tokens.refresh, &tokens.access_csrf, &tokens.refresh_csrf];
        let age = self.persistent.then_some(tokens.refresh_lifetime.as_secs());
        self.write(values.map(String::as_str), age, headers);
    }

    /// Unsets all of them.
    pub fn unset(&self, headers: &mut HeaderMap) {
        self.write([""; 4], Some(0), headers);
    }

    fn write(&self, values: [&str; 4], age: Option<u64>, headers: &mut HeaderMap) {
        let Names { access, refresh, access_csrf, refresh_csrf } = self.names;
        let rows = [
            (access, "/", "; HttpOnly"),
            (refresh, self.refresh_path.as_str(), "; HttpOnly"),
            (access_csrf, "/", ""),
            (refresh_csrf, "/", ""),
        ];
        let secure = if self.secure { "; Secure" } else { "" };
        let age = age.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
        for ((name, path, http_only), value) in rows.into_iter().zip(values) {
            let line = format!("{name}={value}; Path={path}{secure}{http_only}; SameSite={}{age}", self.same_site);
            if let Ok(line) = HeaderValue::try_from(line) {
                headers.append(SET_COOKIE, line);
            }
        }
    }
}

impl Default for TokenCookies {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn tokens() -> Tokens {
        Tokens {
            access: "a".into(),
            refresh: "r".into(),
            access_csrf: "x".into(),
            refresh_csrf: "y".into(),
            access_lifetime: Duration::from_secs(900),
            refresh_lifetime: Duration::from_secs(3600),
            scope: None,
        }
    }

    fn lines(write: impl FnOnce(&mut HeaderMap)) -> Vec<String> {
        let mut headers = HeaderMap::new();
        write(&mut headers);
        headers.get_all(SET_COOKIE).iter().map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_is_set_is_unset_with_the_same_attributes() {
        for cookies in [
            TokenCookies::new().refresh_path("/auth"),
            TokenCookies::flask(),
            TokenCookies::new().dangerous_plain_http().strict(),
        ] {
            let set = lines(|headers| cookies.set(&tokens(), headers));
            let unset = lines(|headers| cookies.unset(headers));
            let attributes = |line: &String| {
                let (name, rest) = line.split_once('=').unwrap();
                format!("{name} {}", rest.split_once(';').unwrap().1).replace("; Max-Age=0", "")
            };
            assert_eq!(
                set.iter().map(attributes).collect::<Vec<_>>(),
                unset.iter().map(attributes).collect::<Vec<_>>()
            );
            assert!(unset.iter().all(|line| line.ends_with("; Max-Age=0")));
        }
    }

    #[test]
    fn a_prefix_is_kept_to() {
        let set = lines(|headers| TokenCookies::new().refresh_path("/auth").persistent().set(&tokens(), headers));
        assert_eq!(
            set,
            [
                "__Host-access_token=a; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=3600",
                "__Secure-refresh_token=r; Path=/auth; Secure; HttpOnly; SameSite=Lax; Max-Age=3600",
                "__Host-csrf_access_token=x; Path=/; Secure; SameSite=Lax; Max-Age=3600",
                "__Host-csrf_refresh_token=y; Path=/; Secure; SameSite=Lax; Max-Age=3600",
            ]
        );
    }
}
