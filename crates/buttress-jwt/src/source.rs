//! Where tokens are found in a request.

use buttress_core::cookie;
use http::header::{AUTHORIZATION, HeaderMap};
use http::request::Parts;

use crate::reason::Reason;

/// The places that are looked at.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    pub(crate) bearer: bool,
    pub(crate) cookie: Option<String>,
    pub(crate) query: Option<String>,
}

/// Where a token was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    Header,
    Cookie,
    Query,
}

// === impl Sources ===

impl Sources {
    /// The one token of a request. Two are an attack or a mistake, and nobody can tell which of them the sender meant (RFC 6750 §2).
    pub(crate) fn find<'a>(&'a self, parts: &'a Parts) -> Result<Option<(Place, &'a str)>, Reason> {
        let header = self.bearer.then(|| bearer(&parts.headers)).transpose()?.flatten();
        let cookie = self.cookie.as_ref().map(|name| in_cookie(&parts.headers, name)).transpose()?.flatten();
        let query = self.query.as_ref().map(|name| in_query(parts.uri.query(), name)).transpose()?.flatten();
        let found = [(Place::Header, header), (Place::Cookie, cookie), (Place::Query, query)];
        let mut found = found.into_iter().filter_map(|(place, token)| token.map(|token| (place, token)));
        match (found.next(), found.next()) {
            (one, None) => Ok(one),
            _ => Err(Reason::SeveralTokens),
        }
    }

    /// Takes the token out of a request that goes on.
    pub(crate) fn remove(&self, parts: &mut Parts, place: Place) {
        match (place, &self.cookie, &self.query) {
            (Place::Header, ..) => drop(parts.headers.remove(AUTHORIZATION)),
            (Place::Cookie, Some(name), _) => cookie::remove(&mut parts.headers, name),
            (Place::Query, _, Some(name)) => without_query(parts, name),
            _ => {}
        }
    }
}

/// `Authorization: Bearer token` (RFC 6750 §2.1). Other schemes are somebody else's; the field must not stand there twice (RFC 9110 §5.3).
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Reason> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    if fields.next().is_some() {
        return Err(Reason::SeveralTokens);
    }
    let field = field.as_bytes();
    match field.split_at_checked(6) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"bearer") => {
            let token = rest.strip_prefix(b" ").map(|rest| rest.trim_ascii_start()).ok_or(Reason::Malformed)?;
            text(token).filter(|token| !token.is_empty()).map(Some).ok_or(Reason::Malformed)
        }
        _ => Ok(None),
    }
}

/// Cookies of one name with different values are refused: which of them the neighbour has set cannot be known.
fn in_cookie<'a>(headers: &'a HeaderMap, name: &'a str) -> Result<Option<&'a str>, Reason> {
    let mut values = cookie::values(headers, name);
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err(Reason::SeveralTokens);
    }
    if first.is_empty() {
        return Ok(None);
    }
    text(first).map(Some).ok_or(Reason::Malformed)
}

fn in_query<'a>(query: Option<&'a str>, name: &str) -> Result<Option<&'a str>, Reason> {
    let mut values = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let mut values = std::iter::from_fn(|| values.find(|(key, _)| *key == name)).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (None | Some(""), None) => Ok(None),
        (Some(token), None) => Ok(Some(token)),
        _ => Err(Reason::SeveralTokens),
    }
}

fn without_query(parts: &mut Parts, name: &str) {
    let mine = |pair: &&str| pair.split_once('=').is_some_and(|(key, _)| key == name);
    let query = parts.uri.query().unwrap_or_default();
    let kept: Vec<_> = query.split('&').filter(|pair| !mine(pair)).collect();
    let path = parts.uri.path();
    let target = if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) };
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.path_and_query = target.parse().ok().or(uri.path_and_query);
    parts.uri = http::Uri::from_parts(uri).unwrap_or_default();
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Nothing but the letters of RFC 6750's `b64token`: no second credential behind a comma, no tab. Asked only of what is not believed, to tell what is
/// wrong with it: one that is believed has no others.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn find(target: &str, fields: &[(&str, &str)]) -> Result<Option<(Place, String)>, Reason> {
        let sources = Sources { bearer: true, cookie: Some("__Host-t".into()), query: Some("access_token".into()) };
        let request = fields.iter().fold(Request::get(target), |request, (name, value)| request.header(*name, *value));
        let (parts, ()) = request.body(()).unwrap().into_parts();
        sources.find(&parts).map(|found| found.map(|(place, token)| (place, token.to_owned())))
    }

    #[test]
    fn one_token_is_found_where_it_may_stand() {
        let auth = "authorization";
        for (target, fields, expected) in [
            ("/", &[][..], Ok(None)),
            ("/", &[(auth, "Bearer a.b.c")], Ok(Some((Place::Header, "a.b.c")))),
            ("/", &[(auth, "bEARER   a.b.c")], Ok(Some((Place::Header, "a.b.c")))),
            ("/", &[("cookie", "x=1; __Host-t=a.b.c")], Ok(Some((Place::Cookie, "a.b.c")))),
            ("/", &[("cookie", "__Host-t=a.b.c; __Host-t=a.b.c")], Ok(Some((Place::Cookie, "a.b.c")))),
            ("/", &[("cookie", "__Host-t=")], Ok(None)),
            ("/?x=1&access_token=a.b.c", &[], Ok(Some((Place::Query, "a.b.c")))),
            ("/?access_token=", &[], Ok(None)),
            ("/", &[(auth, "Basic eDp5")], Ok(None)),
            ("/", &[(auth, "DPoP a.b.c")], Ok(None)),
            ("/", &[(auth, "Bearer")], Err(Reason::Malformed)),
            ("/", &[(auth, "Bearer ")], Err(Reason::Malformed)),
            ("/", &[(auth, "Bearer\ta.b.c")], Err(Reason::Malformed)),
            ("/", &[(auth, "Bearer a"), (auth, "Bearer a")], Err(Reason::SeveralTokens)),
            ("/", &[(auth, "Bearer a"), (auth, "Basic b")], Err(Reason::SeveralTokens)),
            ("/", &[(auth, "Bearer a"), ("cookie", "__Host-t=a")], Err(Reason::SeveralTokens)),
            ("/?access_token=a", &[(auth, "Bearer a")], Err(Reason::SeveralTokens)),
            ("/?access_token=a", &[("cookie", "__Host-t=a")], Err(Reason::SeveralTokens)),
            ("/?access_token=a&access_token=a", &[], Err(Reason::SeveralTokens)),
            ("/", &[("cookie", "__Host-t=a; __Host-t=b")], Err(Reason::SeveralTokens)),
            ("/", &[("cookie", "__Host-t=a"), ("cookie", "__Host-t=b")], Err(Reason::SeveralTokens)),
            ("/", &[("cookie", "__Host-t=; __Host-t=b")], Err(Reason::SeveralTokens)),
        ] {
            let expected =
                expected.map(|found: Option<(Place, &str)>| found.map(|(place, token)| (place, token.to_owned())));
            assert_eq!(find(target, fields), expected, "{target} {fields:?}");
        }
    }

    #[test]
    fn a_token_has_no_other_letters() {
        for (text, expected) in [
            ("a.b-c_d~e+f/g=", true),
            ("", false),
            ("a.b.c, Bearer d.e.f", false),
            ("a.b.c d", false),
            ("{\"payload\":1}", false),
            ("\"a\"", false),
            ("a\tb", false),
        ] {
            assert_eq!(is_token(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_looked_at_is_not_found() {
        let sources = Sources { bearer: true, cookie: None, query: None };
        let request = Request::get("/?access_token=a").header("cookie", "__Host-t=b").body(()).unwrap();
        assert_eq!(sources.find(&request.into_parts().0), Ok(None));
    }

    #[test]
    fn a_token_leaves_the_query_and_nothing_else_does() {
        let sources = Sources { bearer: true, cookie: None, query: Some("t".into()) };
        for (target, expected) in
            [("/a?t=1", "/a"), ("/a?x=1&t=1&y=%20", "/a?x=1&y=%20"), ("http://host/a?t=1", "http://host/a")]
        {
            let (mut parts, ()) = Request::get(target).body(()).unwrap().into_parts();
            sources.remove(&mut parts, Place::Query);
            assert_eq!(parts.uri.to_string(), expected);
        }
    }
}
