//! What a record says.

use serde_json::{Map, Value};

use super::miss::Miss;
use super::{msgpack, tagged};

/// How a record is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Format {
    Json,
    Msgpack,
    Pickle,
}

/// Reads a record in whatever format it is; `is_tagged` if its JSON is that of Flask itself.
pub(super) fn read(record: &[u8], is_tagged: bool) -> Result<Map<String, Value>, Miss> {
    let value = match format(record).ok_or(Miss::Malformed)? {
        Format::Pickle => return Err(Miss::Pickle),
        Format::Msgpack => msgpack::read(record)?,
        Format::Json if is_tagged => tagged::untag(json(record)?)?,
        Format::Json => json(record)?,
    };
    match value {
        Value::Object(session) => Ok(session),
        _ => Err(Miss::Malformed),
    }
}

/// The first bytes tell: a session is a map, or was pickled. An empty map of msgpack is the byte that a pickle opens with, but nothing follows it.
fn format(record: &[u8]) -> Option<Format> {
    match record {
        [0x80, 2..=5, ..] => Some(Format::Pickle),
        [0x80..=0x8f | 0xde | 0xdf, ..] => Some(Format::Msgpack),
        [b'{', ..] => Some(Format::Json),
        // Protocols 0 and 1, of Python 2.
        [b'(' | b'}', .., b'.'] => Some(Format::Pickle),
        _ => None,
    }
}

fn json(record: &[u8]) -> Result<Value, Miss> {
    let value = serde_json::from_slice(record).map_err(|_| Miss::Malformed)?;
    if has_huge_integer(record) { Err(Miss::Number) } else { Ok(value) }
}

/// Whether an integer in this JSON has more than 64 bits. It would be rounded, and the ids of two people might become one.
fn has_huge_integer(mut json: &[u8]) -> bool {
    while let [first, rest @ ..] = json {
        json = match first {
            b'"' => behind_text(rest),
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let (number, rest) = json.split_at(json.iter().take_while(|byte| is_part(byte)).count());
                if is_huge_integer(number) {
                    return true;
                }
                rest
            }
            _ => rest,
        };
    }
    false
}

fn is_huge_integer(number: &[u8]) -> bool {
    let is_float = number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    let text = str::from_utf8(number).unwrap_or_default();
    !is_float && text.parse::<i64>().is_err() && text.parse::<u64>().is_err()
}

/// What follows a text whose opening quote was read.
fn behind_text(mut json: &[u8]) -> &[u8] {
    loop {
        json = match json {
            [b'\\', _, rest @ ..] => rest,
            [b'"', rest @ ..] => return rest,
            [_, rest @ ..] => rest,
            [] => return json,
        };
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The same session, by `msgspec.msgpack.Encoder().encode` and `msgspec.json.Encoder().encode` of msgspec 0.22:
    ///
    /// ```python
    /// {"_permanent": True, "user": "ada", "visits": 3, "ratio": 0.5,
    ///  "seen": datetime(2024, 1, 2, 3, 4, 5, 678900, tzinfo=timezone.utc), "local": datetime(2024, 1, 2, 3, 4, 5),
    ///  "cart": UUID(int=5), "key": b"\xff\x00", "pair": (1, 2), "tags": {7}, "names": {1: "a", 1.5: "b"}, "nothing": None,
    ///  "_flashes": [("message", "hi é")], "price": Decimal("1.50"), "day": date(2024, 1, 2), "odd": float("nan"),
    ///  "big": 2**64 - 1, "small": -(2**63)}
    /// ```
    const MSGPACK: &str = "de0012aa5f7065726d616e656e74c3a475736572a3616461a676697369747303a5726174696fcb3fe0000000000000a47365656ed7\
        ffa1dcc48065937d25a56c6f63616cb3323032342d30312d30325430333a30343a3035a463617274d92430303030303030302d303030302d303030302d303030\
        302d303030303030303030303035a36b6579c402ff00a470616972920102a4746167739107a56e616d65738201a161cb3ff8000000000000a162a76e6f7468\
        696e67c0a85f666c61736865739192a76d657373616765a5686920c3a9a57072696365a4312e3530a3646179aa323032342d30312d3032a36f6464cb7ff800\
        0000000000a3626967cfffffffffffffffffa5736d616c6cd38000000000000000";
    const JSON: &str = r#"{"_permanent":true,"user":"ada","visits":3,"ratio":0.5,"seen":"2024-01-02T03:04:05.678900Z","local":"2024-01-02T03:04:05","cart":"00000000-0000-0000-0000-000000000005","key":"/wA=","pair":[1,2],"tags":[7],"names":{"1":"a","1.5":"b"},"nothing":null,"_flashes":[["message","hi é"]],"price":"1.50","day":"2024-01-02","odd":null,"big":18446744073709551615,"small":-9223372036854775808}"#;

    /// `pickle.dumps({"user": "ada"}, protocol)` and `pickle.dumps({}, protocol)` for each protocol.
    const PICKLES: [&str; 12] = [
        "286470300a56757365720a70310a566164610a70320a732e",
        "7d7100580400000075736572710158030000006164617102732e",
        "80027d7100580400000075736572710158030000006164617102732e",
        "80037d7100580400000075736572710158030000006164617102732e",
        "80049511000000000000007d948c0475736572948c0361646194732e",
        "80059511000000000000007d948c0475736572948c0361646194732e",
        "286470300a2e",
        "7d71002e",
        "80027d71002e",
        "80037d71002e",
        "80047d942e",
        "80057d942e",
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        HEXLOWER.decode(hex.as_bytes()).unwrap()
    }

    #[test]
    fn a_session_reads_the_same_in_both_formats() {
        let session = read(&bytes(MSGPACK), false).unwrap();
        assert_eq!(session["seen"], json!("2024-01-02T03:04:05.678900Z"));
        assert_eq!(session["key"], json!("/wA="));
        assert_eq!(session["names"], json!({ "1": "a", "1.5": "b" }));
        assert_eq!(session.len(), 18);
        assert_eq!(read(JSON.as_bytes(), false), Ok(session.clone()));
        assert_eq!(read(JSON.as_bytes(), true), Ok(session));
        assert_eq!(read(b"\x80", false), Ok(Map::new()));
        assert_eq!(read(b"{}", false), Ok(Map::new()));
    }

    #[test]
    fn a_pickle_is_called_one_and_not_read() {
        for pickle in PICKLES {
            assert_eq!(read(&bytes(pickle), false), Err(Miss::Pickle), "{pickle}");
        }
    }

    #[test]
    fn what_is_no_session_is_refused() {
        for record in [
            &b""[..],
            b"null",
            b"[]",
            b"[{}]",
            b"\"text\"",
            b"{",
            b"{}{}",
            b"{'user': 'ada'}",
            b"{\"odd\": NaN}",
            b"{\"user\": \"\\ud800\"}",
            b"{\"user\": \"\xff\"}",
            b"\x90",      // an array of msgpack
            b"\xa1v",     // a text of it
            b"\x81\xa1v", // half a map
            b"\xc1",
            b"\x80\x01",
        ] {
            assert_eq!(read(record, false), Err(Miss::Malformed), "{record:?}");
        }
        assert_eq!(read(b"{\" t\":[1]}", true), Err(Miss::Malformed), "a tagged tuple is no session");
        assert!(read(b"{\" t\":[1]}", false).is_ok(), "without tags it is");
    }

    #[test]
    fn no_integer_is_rounded() {
        for (json, expected) in [
            (r#"{"id":18446744073709551615}"#, Ok(())),
            (r#"{"id":-9223372036854775808}"#, Ok(())),
            (r#"{"id":18446744073709551616}"#, Err(Miss::Number)),
            (r#"{"id":[{"id":-9223372036854775809}]}"#, Err(Miss::Number)),
            (r#"{"id":"18446744073709551616"}"#, Ok(())),
            (r#"{"\"18446744073709551616\\":1}"#, Ok(())),
            (r#"{"a\\":18446744073709551616}"#, Err(Miss::Number)),
            (r#"{"id":18446744073709551616.0}"#, Ok(())),
            (r#"{"id":1e300}"#, Ok(())),
        ] {
            assert_eq!(read(json.as_bytes(), false).map(drop), expected, "{json}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let msgpack = |levels: usize| [b"\x81\xa1v".repeat(levels), b"\xc0".to_vec()].concat();
        let json = |levels: usize| format!("{}null{}", "{\"v\":".repeat(levels), "}".repeat(levels)).into_bytes();
        for (levels, fine) in [(1, true), (100, true), (200, false), (20_000, false)] {
            assert_eq!(read(&msgpack(levels), false).is_ok(), fine, "{levels}");
            assert_eq!(read(&json(levels), true).is_ok(), fine, "{levels}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(record in proptest::collection::vec(any::<u8>(), 0..200), is_tagged: bool) {
            drop(read(&record, is_tagged));
        }

        #[test]
        fn nothing_panics_behind_a_good_beginning(
            format in prop::sample::select(vec![&b"\x81\xa1v"[..], b"\x82", b"\xde\x00\x03", b"{\"v\":", b"{\" d\":\"", b"{"]),
            rest in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            drop(read(&[format, &rest].concat(), true));
        }

        #[test]
        fn a_changed_byte_is_no_panic(place in 0..10_000usize, byte: u8) {
            for mut record in [bytes(MSGPACK), JSON.as_bytes().to_vec()] {
                let place = place % record.len();
                record[place] = byte;
                drop(read(&record, true));
            }
        }
    }
}
