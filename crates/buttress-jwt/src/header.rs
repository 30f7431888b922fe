//! The header of a token: which algorithm, which key, what kind of token.

use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::fault::Fault;

/// What is read of a header. What it offers as a key or as a place to fetch one (`jwk`, `jku`, `x5u`, `x5c`) is not: a token that
/// brings its own key proves nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    /// The media type in lower case, without `application/`.
    pub(crate) kind: Option<String>,
}

/// A `kid` beyond this is nobody's name for a key.
const LONGEST_KID: usize = 256;

// === impl Header ===

impl Header {
    pub(crate) fn read(mut members: Map<String, Value>) -> Result<Self, Fault> {
        // None of the extensions is understood here, and an empty list is forbidden; `b64` may not stand without `crit`.
        if members.contains_key("crit") || members.contains_key("b64") {
            return Err(Fault::Critical);
        }
        let algorithm = text(&mut members, "alg")?.and_then(|name| Algorithm::from_name(&name));
        let kid = text(&mut members, "kid")?;
        if kid.as_ref().is_some_and(|kid| kid.len() > LONGEST_KID) {
            return Err(Fault::Key);
        }
        let kind = text(&mut members, "typ")?.map(|kind| media_type(&kind));
        // A signed token inside of another (RFC 7519 §5.2) is not looked for.
        if text(&mut members, "cty")?.is_some_and(|inner| media_type(&inner) == "jwt") {
            return Err(Fault::Kind);
        }
        Ok(Self { algorithm: algorithm.ok_or(Fault::Algorithm)?, kid, kind })
    }
}

fn text(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Fault> {
    match members.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Fault::WrongType),
    }
}

/// A media type without a slash is one of `application` (RFC 7515 §4.1.9).
pub(crate) fn media_type(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    lower.strip_prefix("application/").map(str::to_owned).unwrap_or(lower)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[track_caller]
    fn read(text: &str) -> Result<Header, Fault> {
        Header::read(json::object(text.as_bytes()).unwrap())
    }

    #[test]
    fn headers_are_read_strictly() {
        for (text, expected) in [
            (r#"{"alg":"HS256"}"#, None),
            (r#"{"alg":"HS256","typ":"JWT","kid":"../../etc/passwd"}"#, None),
            (r#"{"alg":"HS256","jku":"http://evil","jwk":{},"x5u":1,"x5c":[]}"#, None),
            (r#"{"alg":"none"}"#, Some(Fault::Algorithm)),
            (r#"{"alg":"nOnE"}"#, Some(Fault::Algorithm)),
            (r#"{"alg":""}"#, Some(Fault::Algorithm)),
            (r#"{}"#, Some(Fault::Algorithm)),
            (r#"{"alg":["HS256"]}"#, Some(Fault::WrongType)),
            (r#"{"alg":null}"#, Some(Fault::WrongType)),
            (r#"{"alg":"HS256","kid":1}"#, Some(Fault::WrongType)),
            (r#"{"alg":"HS256","typ":{}}"#, Some(Fault::WrongType)),
            (r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, Some(Fault::Critical)),
            (r#"{"alg":"HS256","crit":[]}"#, Some(Fault::Critical)),
            (r#"{"alg":"HS256","b64":true}"#, Some(Fault::Critical)),
            (r#"{"alg":"HS256","cty":"JWT"}"#, Some(Fault::Kind)),
        ] {
            assert_eq!(read(text).err(), expected, "{text}");
        }
        let kid = "k".repeat(LONGEST_KID + 1);
        assert_eq!(read(&format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#)), Err(Fault::Key));
    }

    #[test]
    fn a_kind_is_a_media_type() {
        for (typ, kind) in [("JWT", "jwt"), ("at+JWT", "at+jwt"), ("application/AT+jwt", "at+jwt"), ("a/b", "a/b")] {
            assert_eq!(read(&format!(r#"{{"alg":"HS256","typ":"{typ}"}}"#)).unwrap().kind.as_deref(), Some(kind));
        }
    }
}
