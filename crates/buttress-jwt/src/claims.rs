//! What a token says, once it is believed.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::fault::Fault;

/// The claims of a token (RFC 7519 §4), registered ones with their types checked.
///
/// Made by a [`Verifier`](crate::Verifier), so whoever holds one holds something that was signed.
#[derive(Clone, PartialEq)]
pub struct Claims {
    members: Map<String, Value>,
    audience: Vec<String>,
    /// In milliseconds since 1970.
    pub(crate) expires: Option<u64>,
    pub(crate) not_before: Option<u64>,
    pub(crate) issued: Option<u64>,
    pub(crate) authenticated: Option<u64>,
}

/// The end of the year 9999, in seconds: later times are nobody's.
const LAST_SECOND: f64 = 253_402_300_799.0;

// === impl Claims ===

impl Claims {
    /// The claims in these members: texts must be texts, and times finite numbers of this age.
    pub(crate) fn read(members: Map<String, Value>) -> Result<Self, Fault> {
        for name in ["iss", "sub", "jti", "sid", "client_id", "azp"] {
            if members.get(name).is_some_and(|value| !value.is_string()) {
                return Err(Fault::WrongType);
            }
        }
        Ok(Self {
            audience: audience(members.get("aud"))?,
            expires: time(members.get("exp"))?,
            not_before: time(members.get("nbf"))?,
            issued: time(members.get("iat"))?,
            authenticated: time(members.get("auth_time"))?,
            members,
        })
    }

    /// Who issued it (`iss`).
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.text("iss").unwrap_or_default()
    }

    /// Whom it speaks of (`sub`).
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.text("sub")
    }

    /// Its own name (`jti`), by which it can be revoked.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.text("jti")
    }

    /// The login that it comes from (`sid`), shared with its siblings.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.text("sid")
    }

    /// The application that it was issued to (`client_id` of RFC 9068, or `azp` of OpenID Connect).
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.text("client_id").or_else(|| self.text("azp"))
    }

    /// Whom it is for (`aud`).
    #[must_use]
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// When it ends (`exp`). Its time is checked with the allowed skew, so this may lie a little back.
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        at(self.expires.unwrap_or_default())
    }

    /// When it was issued (`iat`).
    #[must_use]
    pub fn issued(&self) -> Option<SystemTime> {
        self.issued.map(at)
    }

    /// When its subject last proved who they are (`auth_time`).
    #[must_use]
    pub fn authenticated(&self) -> Option<SystemTime> {
        self.authenticated.map(at)
    }

    /// What it may be used for: `scope` (RFC 8693 §4.2), or `scp` as text or list.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        let value = self.members.get("scope").or_else(|| self.members.get("scp"));
        words(value)
    }

    /// The words of a claim by its JSON pointer, such as `/roles` or `/realm_access/roles`: a list of texts, or one text of words.
    pub fn words_at(&self, pointer: &str) -> impl Iterator<Item = &str> {
        words(self.at(pointer))
    }

    /// A claim by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// All claims as a type of yours. Costs about as much as reading that much JSON.
    ///
    /// # Errors
    /// If the claims are not what the type asks for.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        // By reference: the members stay, and texts are copied once.
        T::deserialize(ByRef(&self.members))
    }

    /// A claim by its JSON pointer as one text, as it stands; a list is joined by spaces.
    pub(crate) fn text_at(&self, pointer: &str) -> Option<Cow<'_, str>> {
        match self.at(pointer)? {
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Array(_) => Some(Cow::Owned(self.words_at(pointer).collect::<Vec<_>>().join(" "))),
            Value::Null | Value::Object(_) => None,
            plain => Some(Cow::Owned(plain.to_string())),
        }
    }

    fn at(&self, pointer: &str) -> Option<&Value> {
        let mut names = pointer.strip_prefix('/')?.split('/');
        let first = self.members.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.as_str()
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Their names, never what they say: that is about a person.
        f.debug_set().entries(self.members.keys()).finish()
    }
}

/// A map of members to be read as a type, without a copy of the whole.
struct ByRef<'a>(&'a Map<String, Value>);

impl<'de> serde::Deserializer<'de> for ByRef<'_> {
    type Error = serde_json::Error;

    fn deserialize_any<V: serde::de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, serde_json::Error> {
        let members = self.0.iter().map(|(name, value)| (name.clone(), value.clone()));
        visitor.visit_map(serde::de::value::MapDeserializer::new(members))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

fn words(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let text = value.and_then(Value::as_str).unwrap_or_default().split(' ').filter(|word| !word.is_empty());
    let list = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    text.chain(list.iter().filter_map(Value::as_str))
}

/// One text, or several (RFC 7519 §4.1.3).
fn audience(value: Option<&Value>) -> Result<Vec<String>, Fault> {
    let one = |value: &Value| value.as_str().map(str::to_owned).ok_or(Fault::WrongType);
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(one).collect(),
        Some(value) => one(value).map(|audience| vec![audience]),
    }
}

/// Seconds since 1970, fractions allowed (RFC 7519 §2), as milliseconds.
fn time(value: Option<&Value>) -> Result<Option<u64>, Fault> {
    let Some(value) = value else { return Ok(None) };
    match value.as_f64() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within the range that was just checked"
        )]
        Some(seconds) if (0.0..=LAST_SECOND).contains(&seconds) => Ok(Some((seconds * 1000.0).round() as u64)),
        _ => Err(Fault::WrongType),
    }
}

pub(crate) fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// Milliseconds since 1970; times before read as 1970.
pub(crate) fn millis(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, whole_millis)
}

pub(crate) fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn read(text: &str) -> Result<Claims, Fault> {
        Claims::read(json::object(text.as_bytes()).unwrap())
    }

    #[test]
    fn registered_claims_have_their_types() {
        for (text, expected) in [
            (r#"{"iss":"a","sub":"b","aud":"c","exp":1,"nbf":1.5,"iat":0,"jti":"d"}"#, None),
            (r#"{"iss":["a"]}"#, Some(Fault::WrongType)),
            (r#"{"iss":1}"#, Some(Fault::WrongType)),
            (r#"{"iss":null}"#, Some(Fault::WrongType)),
            (r#"{"sub":1}"#, Some(Fault::WrongType)),
            (r#"{"jti":{}}"#, Some(Fault::WrongType)),
            (r#"{"sid":1}"#, Some(Fault::WrongType)),
            (r#"{"aud":1}"#, Some(Fault::WrongType)),
            (r#"{"aud":["a",1]}"#, Some(Fault::WrongType)),
            (r#"{"aud":null}"#, Some(Fault::WrongType)),
            (r#"{"exp":"1"}"#, Some(Fault::WrongType)),
            (r#"{"exp":null}"#, Some(Fault::WrongType)),
            (r#"{"exp":-1}"#, Some(Fault::WrongType)),
            (r#"{"exp":1e18}"#, Some(Fault::WrongType)),
            (r#"{"exp":18446744073709551615}"#, Some(Fault::WrongType)),
            (r#"{"nbf":true}"#, Some(Fault::WrongType)),
            (r#"{"iat":[]}"#, Some(Fault::WrongType)),
            (r#"{"auth_time":"now"}"#, Some(Fault::WrongType)),
        ] {
            assert_eq!(read(text).err(), expected, "{text}");
        }
    }

    #[test]
    fn times_keep_their_milliseconds() {
        let claims = read(r#"{"exp":1764000000.123,"iat":1764000000}"#).unwrap();
        assert_eq!(claims.expires, Some(1_764_000_000_123));
        assert_eq!(claims.issued, Some(1_764_000_000_000));
    }

    #[test]
    fn scopes_and_roles_are_words() {
        for text in [r#"{"scope":"a b"}"#, r#"{"scope":" a  b "}"#, r#"{"scp":"a b"}"#, r#"{"scp":["a","b"]}"#] {
            assert_eq!(read(text).unwrap().scopes().collect::<Vec<_>>(), ["a", "b"], "{text}");
        }
        assert_eq!(read(r#"{"scope":7}"#).unwrap().scopes().count(), 0);
        let claims = read(r#"{"realm_access":{"roles":["admin"]},"roles":"x y"}"#).unwrap();
        assert_eq!(claims.words_at("/realm_access/roles").collect::<Vec<_>>(), ["admin"]);
        assert_eq!(claims.words_at("/roles").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(claims.words_at("roles").count() + claims.words_at("/none/roles").count(), 0);
    }

    #[test]
    fn claims_become_a_type() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Mine {
            sub: String,
            plan: Option<String>,
        }
        let claims = read(r#"{"sub":"ada","plan":"gold","exp":1}"#).unwrap();
        assert_eq!(claims.decode::<Mine>().unwrap(), Mine { sub: "ada".into(), plan: Some("gold".into()) });
        assert!(read("{}").unwrap().decode::<Mine>().is_err());
    }
}
