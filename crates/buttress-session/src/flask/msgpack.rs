//! Records in msgpack, as Flask-Session writes them by default since 0.7.

use rmpv::ValueRef;
use rmpv::decode::read_value_ref_with_max_depth;
use serde_json::{Map, Number, Value};

use super::miss::Miss;
use super::text;

/// Two for each level of nesting: as deep as `serde_json` reads.
const DEPTH: usize = 256;
/// The extension that is a time; others are somebody's own.
const TIMESTAMP: i8 = -1;

/// Reads a record, all of it.
pub(super) fn read(mut record: &[u8]) -> Result<Value, Miss> {
    let found = read_value_ref_with_max_depth(&mut record, DEPTH).map_err(|_| Miss::Malformed)?;
    if record.is_empty() { value(&found) } else { Err(Miss::Malformed) }
}

fn value(found: &ValueRef<'_>) -> Result<Value, Miss> {
    Ok(match found {
        ValueRef::Nil => Value::Null,
        ValueRef::Boolean(yes) => Value::Bool(*yes),
        ValueRef::Integer(number) => match number.as_i64() {
            Some(number) => Value::from(number),
            None => Value::from(number.as_u64().ok_or(Miss::Malformed)?),
        },
        ValueRef::F32(number) => float(f64::from(*number)),
        ValueRef::F64(number) => float(*number),
        ValueRef::String(text) => Value::from(text.as_str().ok_or(Miss::Malformed)?),
        ValueRef::Binary(bytes) => Value::from(text::bytes(bytes)),
        ValueRef::Array(values) => Value::Array(values.iter().map(value).collect::<Result<_, _>>()?),
        ValueRef::Map(pairs) => Value::Object(object(pairs)?),
        ValueRef::Ext(TIMESTAMP, data) => Value::from(text::timestamp(data).ok_or(Miss::Malformed)?),
        ValueRef::Ext(_, data) => Value::from(text::bytes(data)),
    })
}

/// Not a number, or beyond all: null, as msgspec writes it into JSON.
fn float(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

fn object(pairs: &[(ValueRef<'_>, ValueRef<'_>)]) -> Result<Map<String, Value>, Miss> {
    let mut object = Map::new();
    for (key, found) in pairs {
        let key = match value(key)? {
            Value::String(text) => text,
            other => other.to_string(),
        };
        if object.insert(key, value(found)?).is_some() {
            return Err(Miss::Keys);
        }
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What `msgspec.msgpack.Encoder().encode({"v": …})` of msgspec 0.22 writes for a value of Python.
    #[test]
    fn values_of_python_become_values_of_json() {
        for (record, expected) in [
            (&b"\x81\xa1v\xc0"[..], json!(null)),                                // None
            (b"\x81\xa1v\xc3", json!(true)),                                     // True
            (b"\x81\xa1v\xcf\xff\xff\xff\xff\xff\xff\xff\xff", json!(u64::MAX)), // 2**64 - 1
            (b"\x81\xa1v\xd3\x80\x00\x00\x00\x00\x00\x00\x00", json!(i64::MIN)), // -2**63
            (b"\x81\xa1v\xcb?\xf0\x00\x00\x00\x00\x00\x00", json!(1.0)),         // 1.0
            (b"\x81\xa1v\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", json!(null)),     // float("nan")
            (b"\x81\xa1v\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", json!(null)),     // float("inf")
            (b"\x81\xa1v\xc4\x02\xff\x00", json!("/wA=")),                       // b"\xff\x00"
            (b"\x81\xa1v\x92\x01\x02", json!([1, 2])),                           // (1, 2)
            (b"\x81\xa1v\x91\x01", json!([1])),                                  // {1}
            (b"\x81\xa1v\xd6\xffe\x93a\x05", json!("2024-01-02T01:04:05Z")), // datetime(…, 3, 4, 5, tzinfo=+2 hours)
            (b"\x81\xa1v\xb32024-01-02T03:04:05", json!("2024-01-02T03:04:05")), // datetime(…), no zone
            (b"\x81\xa1v\xaa2024-01-02", json!("2024-01-02")),               // date(…)
            (b"\x81\xa1v\xa6P1DT2S", json!("P1DT2S")),                       // timedelta(days=1, seconds=2)
            (b"\x81\xa1v\xa41.50", json!("1.50")),                           // Decimal("1.50")
            (b"\x81\xa1v\xd4\x05x", json!("eA==")),                          // msgspec.msgpack.Ext(5, b"x")
            (b"\x81\xa1v\x81\x01\xa1a", json!({ "1": "a" })),                // {1: "a"}
            (b"\x81\xa1v\x81\xcb?\xf8\x00\x00\x00\x00\x00\x00\xa1a", json!({ "1.5": "a" })),
            (b"\x81\xa1v\x81\xc0\x01", json!({ "null": 1 })), // {None: 1}
            (b"\x81\xa1v\x81\xc3\x01", json!({ "true": 1 })), // {True: 1}
            (b"\x81\xa1v\x81\xc4\x01a\x01", json!({ "YQ==": 1 })), // {b"a": 1}
            (b"\x81\xa1v\x81\x92\x01\x02\x03", json!({ "[1,2]": 3 })), // {(1, 2): 3}
            (b"\x81\xa1v\x81\xd6\xffe\x93R\x00\x01", json!({ "2024-01-02T00:00:00Z": 1 })),
        ] {
            assert_eq!(read(record), Ok(json!({ "v": expected })), "{record:?}");
        }
    }

    #[test]
    fn what_json_cannot_keep_apart_is_refused() {
        for record in [
            &b"\x82\x01\xa1a\xa11\xa1b"[..],      // {1: "a", "1": "b"}
            b"\x82\xc4\x01a\x01\xa4YQ==\x02",     // {b"a": 1, "YQ==": 2}
            b"\x81\xa1v\x82\xc0\x01\xa4null\x02", // {"v": {None: 1, "null": 2}}
            b"\x82\xa1a\x01\xa1a\x02",            // never written
        ] {
            assert_eq!(read(record), Err(Miss::Keys), "{record:?}");
        }
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let whole = b"\x82\xa1v\x92\x01\xd7\xff\xa1\xdc\xc4\x80e\x93}%\xa1b\xc4\x02\xff\x00";
        assert!(read(whole).is_ok());
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), Err(Miss::Malformed), "{end}");
        }
        for record in [
            &b"\x80\x80"[..],              // something behind it
            b"\x81\xa1v\xa1\xff",          // a text that is none
            b"\x81\xa1v\xd6\xfe",          // an extension without its bytes
            b"\x81\xa1v\xc7\x05\xff12345", // a time of five bytes
            b"\xdf\xff\xff\xff\xff",       // a map of four thousand million pairs
            b"\x81\xa1v\xdd\xff\xff\xff\xff",
            b"\x81\xa1v\xc6\xff\xff\xff\xff",
        ] {
            assert_eq!(read(record), Err(Miss::Malformed), "{record:?}");
        }
    }
}
