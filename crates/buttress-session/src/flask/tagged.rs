//! The JSON of Flask itself, where the old service put `flask.sessions.session_json_serializer` in place of Flask-Session's own: an object with
//! one member whose name is a tag stands for a value that JSON has no type for.

use serde_json::{Map, Value};

use super::miss::Miss;
use super::text;

/// Takes the tags away, the innermost first, as Flask does.
pub(super) fn untag(value: Value) -> Result<Value, Miss> {
    Ok(match value {
        Value::Array(values) => Value::Array(values.into_iter().map(untag).collect::<Result<_, _>>()?),
        Value::Object(object) => {
            let object = object.into_iter().map(|(key, value)| Ok((key, untag(value)?)));
            of_object(object.collect::<Result<_, Miss>>()?)?
        }
        other => other,
    })
}

fn of_object(mut object: Map<String, Value>) -> Result<Value, Miss> {
    let mut keys = object.keys();
    let (Some(key), None) = (keys.next().cloned(), keys.next()) else { return Ok(Value::Object(object)) };
    let is_tag = matches!(key.as_str(), " di" | " t" | " b" | " m" | " u" | " d");
    match object.remove(&key) {
        Some(value) if is_tag => tagged(&key, value).ok_or(Miss::Malformed),
        value => {
            object.extend(value.map(|value| (key, value)));
            Ok(Value::Object(object))
        }
    }
}

fn tagged(tag: &str, value: Value) -> Option<Value> {
    match (tag, value) {
        // A dictionary with one key that looks like a tag: it stands there with two underscores behind.
        (" di", Value::Object(object)) => {
            let (key, value) = object.into_iter().next()?;
            Some(Value::Object(Map::from_iter([(key.strip_suffix("__")?.to_owned(), value)])))
        }
        (" t", tuple @ Value::Array(_)) => Some(tuple),
        // Bytes are in base64 already; a text that was marked safe for HTML is a text.
        (" b" | " m", text @ Value::String(_)) => Some(text),
        (" u", Value::String(hex)) => text::uuid(&hex).map(Value::String),
        (" d", Value::String(date)) => text::http_date(&date).map(Value::String),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What `session_json_serializer.dumps` of Flask 3.1 writes.
    #[test]
    fn tags_become_values() {
        for (tagged, expected) in [
            (json!({ "pair": { " t": [1, 2] } }), json!({ "pair": [1, 2] })),
            (json!({ "key": { " b": "/wA=" } }), json!({ "key": "/wA=" })),
            (json!({ "safe": { " m": "<b>" } }), json!({ "safe": "<b>" })),
            (
                json!({ "cart": { " u": "00000000000000000000000000000005" } }),
                json!({ "cart": "00000000-0000-0000-0000-000000000005" }),
            ),
            (json!({ "born": { " d": "Mon, 02 Jan 1950 00:00:00 GMT" } }), json!({ "born": "1950-01-02T00:00:00Z" })),
            (json!({ "one": { " di": { " t__": 1 } } }), json!({ "one": { " t": 1 } })),
            (json!({ " di": { " t__": { " t": [1] } } }), json!({ " t": [1] })),
            (json!({ "list": [{ " t": [1] }, { "a": { " b": "" } }] }), json!({ "list": [[1], { "a": "" }] })),
            (json!({ "plain": { "x": 1 }, "none": {} }), json!({ "plain": { "x": 1 }, "none": {} })),
            (json!({ "two": { " t": [1], "x": 1 } }), json!({ "two": { " t": [1], "x": 1 } })),
        ] {
            assert_eq!(untag(tagged.clone()), Ok(expected), "{tagged}");
        }
    }

    #[test]
    fn a_tag_before_anything_else_is_none() {
        for tagged in [
            json!({ " t": 1 }),
            json!({ " b": [] }),
            json!({ " u": "5" }),
            json!({ " d": "yesterday" }),
            json!({ " di": {} }),
            json!({ " di": { " t": 1 } }),
        ] {
            assert_eq!(untag(json!([tagged.clone()])), Err(Miss::Malformed), "{tagged}");
        }
    }
}
