//! JSON as a token may have it: no member twice, and not deep.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::fault::Fault;

/// Nobody's claims are deeper; Keycloak's reach four.
const DEEPEST: usize = 8;
/// What an error says when a member stands there twice; serde has no other way to tell.
const TWICE: &str = "a member stands there twice";

/// A value at this depth.
struct Strict(usize);

/// The object that these bytes are. Of two members of one name, one reader takes the first and another the last: neither is
/// believed.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, Fault> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = Strict(0).deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    match value {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(Fault::NotJson),
        Err(error) if error.to_string().starts_with(TWICE) => Err(Fault::Duplicate),
        Err(_) => Err(Fault::NotJson),
    }
}

// === impl Strict ===

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is none"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.deeper()?)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(self.deeper()?)?;
            if object.insert(name, value).is_some() {
                return Err(serde::de::Error::custom(TWICE));
            }
        }
        Ok(Value::Object(object))
    }
}

impl Strict {
    fn deeper<E: serde::de::Error>(&self) -> Result<Self, E> {
        if self.0 < DEEPEST { Ok(Self(self.0 + 1)) } else { Err(E::custom("too deep")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_objects_are_read() {
        for (text, expected) in [
            (r#"{}"#, None),
            (r#" {"a":[1,-1,1.5,"x",null,true,{"b":{}}]} "#, None),
            (r#"{"a":1,"a":1}"#, Some(Fault::Duplicate)),
            (r#"{"a":{"b":1,"b":2}}"#, Some(Fault::Duplicate)),
            (r#"{"a":1,"\u0061":2}"#, Some(Fault::Duplicate)),
            (r#"[]"#, Some(Fault::NotJson)),
            (r#""a""#, Some(Fault::NotJson)),
            (r#"{"a":1}{}"#, Some(Fault::NotJson)),
            (r#"{"a":1,}"#, Some(Fault::NotJson)),
            (r#"{"a":NaN}"#, Some(Fault::NotJson)),
            (r#"{"a":1e999}"#, Some(Fault::NotJson)),
            ("{\"a\":\"\u{0}\"}", Some(Fault::NotJson)),
            ("", Some(Fault::NotJson)),
            ("\u{feff}{}", Some(Fault::NotJson)),
        ] {
            assert_eq!(object(text.as_bytes()).err(), expected, "{text}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), Err(Fault::NotJson));
    }

    #[test]
    fn depth_has_an_end() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(object(nested(DEEPEST - 1).as_bytes()).is_ok());
        assert_eq!(object(nested(DEEPEST).as_bytes()), Err(Fault::NotJson));
        assert_eq!(object(nested(100_000).as_bytes()), Err(Fault::NotJson));
    }

    #[test]
    fn what_is_read_is_what_serde_reads() {
        let text = r#"{"iss":"a","exp":1,"n":-2,"f":1.25,"l":[{"x":null}],"é":"\u00e9\ud83d\ude00"}"#;
        assert_eq!(Value::Object(object(text.as_bytes()).unwrap()), serde_json::from_str::<Value>(text).unwrap());
    }
}
