//! Whether a request that carries its token in a cookie was meant by the page that sent it.
//!
//! A browser adds cookies to whatever anybody has it send. Two things tell the own page from a foreign one: what the browser says of where
//! the request comes from, and a word that stands in the token, that the own page can read in a second cookie and repeats in a field.
//! A foreign page can neither read that cookie nor, being signed, plant another.

use http::header::{HOST, HeaderName, ORIGIN, UPGRADE};
use http::request::Parts;
use subtle::ConstantTimeEq as _;

use crate::reason::Reason;
use crate::token::Token;

/// How requests with a cookie are told from forged ones.
#[derive(Clone, Debug)]
pub(crate) struct Csrf {
    /// Where the word of the token is repeated; none where the browser's own statement is enough.
    pub(crate) field: Option<HeaderName>,
    /// Origins that may send requests here.
    pub(crate) origins: Vec<String>,
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

// === impl Csrf ===

impl Csrf {
    /// Whether the request may use its cookie. Reading is always allowed, but for the opening of a WebSocket, which is a GET that acts.
    pub(crate) fn check(&self, parts: &Parts, token: &Token) -> Result<(), Reason> {
        let opens = parts.headers.contains_key(UPGRADE);
        if parts.method.is_safe() && !opens {
            return Ok(());
        }
        let said = self.origin(parts);
        match &self.field {
            _ if said == Some(false) => Err(Reason::CrossSite),
            // A browser's WebSocket sends no fields of the page's own; but it says where it comes from.
            Some(field) if !opens => self.repeats(parts, field, token),
            _ if said == Some(true) => Ok(()),
            _ => Err(Reason::CrossSite),
        }
    }

    /// What the browser says of where the request comes from; none if it says nothing.
    pub(crate) fn origin(&self, parts: &Parts) -> Option<bool> {
        let text = |name: &HeaderName| parts.headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let origin = text(&ORIGIN);
        let known = |origin: &str| self.origins.iter().any(|known| known == origin);
        match (text(&SEC_FETCH_SITE), origin) {
            (_, Some(origin)) if known(origin) => Some(true),
            (Some(site), _) => Some(matches!(site, "same-origin" | "none")),
            (None, Some(origin)) => Some(is_here(origin, parts)),
            (None, None) => None,
        }
    }

    fn repeats(&self, parts: &Parts, field: &HeaderName, token: &Token) -> Result<(), Reason> {
        let word = token.claims().get("csrf").and_then(|word| word.as_str()).filter(|word| !word.is_empty());
        let mut fields = parts.headers.get_all(field).iter();
        let same = match (word, fields.next(), fields.next()) {
            (Some(word), Some(said), None) => bool::from(word.as_bytes().ct_eq(said.as_bytes())),
            _ => false,
        };
        if same { Ok(()) } else { Err(Reason::CrossSite) }
    }
}

/// Whether an origin has the authority that the request was sent to. The scheme is not compared: behind a proxy it is not known.
fn is_here(origin: &str, parts: &Parts) -> bool {
    let of_target = parts.uri.authority().map(|authority| authority.as_str());
    let host = of_target.or_else(|| parts.headers.get(HOST).and_then(|host| host.to_str().ok()));
    let origin = [("https://", ":443"), ("http://", ":80")].into_iter().find_map(|(scheme, port)| {
        let origin = origin.strip_prefix(scheme)?;
        Some((origin.strip_suffix(port).unwrap_or(origin), port))
    });
    match (origin, host) {
        // An origin leaves out the port of its scheme; a Host may not.
        (Some((origin, port)), Some(host)) => origin.eq_ignore_ascii_case(host.strip_suffix(port).unwrap_or(host)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use http::Request;

    #[test]
    fn a_cookie_acts_only_for_its_own_page() {
        let word = ("x-csrf-token", "word");
        let both =
            Csrf { field: Some(HeaderName::from_static("x-csrf-token")), origins: vec!["https://app.example".into()] };
        let browser = Csrf { field: None, ..both.clone() };
        for (csrf, method, fields, fine) in [
            (&both, "GET", &[][..], true),
            (&both, "HEAD", &[("sec-fetch-site", "cross-site")], true),
            (&both, "POST", &[word], true), // no browser at all
            (&both, "POST", &[], false),
            (&both, "POST", &[("x-csrf-token", "")], false),
            (&both, "POST", &[("x-csrf-token", "wort")], false),
            (&both, "POST", &[word, word], false),
            (&both, "POST", &[word, ("sec-fetch-site", "same-origin")], true),
            (&both, "POST", &[word, ("sec-fetch-site", "none")], true),
            (&both, "POST", &[word, ("sec-fetch-site", "same-site")], false),
            (&both, "POST", &[word, ("sec-fetch-site", "cross-site")], false),
            (&both, "POST", &[word, ("sec-fetch-site", "nonsense")], false),
            (&both, "POST", &[("sec-fetch-site", "same-origin")], false),
            (&both, "POST", &[word, ("origin", "https://here.example")], true),
            (&both, "POST", &[word, ("origin", "https://HERE.example")], true),
            (&both, "POST", &[word, ("origin", "https://here.example.evil")], false),
            (&both, "POST", &[word, ("origin", "https://evil.example")], false),
            (&both, "POST", &[word, ("origin", "null")], false),
            (&both, "POST", &[word, ("origin", "https://app.example"), ("sec-fetch-site", "same-site")], true),
            (&both, "DELETE", &[("origin", "https://here.example")], false),
            (&both, "GET", &[("upgrade", "websocket"), ("origin", "https://here.example")], true),
            (&both, "GET", &[("upgrade", "websocket"), ("origin", "https://evil.example")], false),
            (&both, "GET", &[("upgrade", "websocket")], false),
            (&browser, "POST", &[("sec-fetch-site", "same-origin")], true),
            (&browser, "POST", &[("origin", "http://here.example")], true),
            (&browser, "POST", &[], false),
            (&browser, "POST", &[word], false),
            (&browser, "POST", &[("sec-fetch-site", "cross-site")], false),
        ] {
            let request = Request::builder().method(method).uri("/").header("host", "here.example");
            let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let answer = csrf.check(&parts, &testing::token(r#""csrf":"word""#));
            assert_eq!(answer.is_ok(), fine, "{method} {fields:?}");
        }
    }

    #[test]
    fn an_origin_is_here_by_name_and_port() {
        for (origin, host, expected) in [
            ("https://a.example", "a.example", true),
            ("https://a.example", "a.example:443", true),
            ("http://a.example", "a.example:80", true),
            ("http://a.example", "a.example:443", false),
            ("https://a.example:8443", "a.example:8443", true),
            ("https://a.example:8443", "a.example", false),
            ("https://a.example", "a.example:8443", false),
            ("ftp://a.example", "a.example", false),
            ("a.example", "a.example", false),
            ("http://[::1]:80", "[::1]", true),
        ] {
            let (parts, ()) = Request::get("/").header("host", host).body(()).unwrap().into_parts();
            assert_eq!(is_here(origin, &parts), expected, "{origin} at {host}");
        }
    }

    #[test]
    fn a_token_without_the_word_acts_for_nobody() {
        let csrf = Csrf { field: Some(HeaderName::from_static("x-csrf-token")), origins: Vec::new() };
        for claims in ["", r#""csrf":"""#, r#""csrf":1"#] {
            let request = Request::post("/").header("x-csrf-token", "").body(()).unwrap();
            assert!(csrf.check(&request.into_parts().0, &testing::token(claims)).is_err(), "{claims}");
        }
    }
}
