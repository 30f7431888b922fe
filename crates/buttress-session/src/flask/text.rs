//! What JSON has no type for, as text: just as msgspec writes it into JSON, so that a value reads the same in every format.

use data_encoding::BASE64;
use time::format_description::well_known::Rfc2822;
use time::{OffsetDateTime, UtcOffset};

/// Bytes in base64.
pub(super) fn bytes(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// The time in an extension of msgpack (type -1), by RFC 3339.
pub(super) fn timestamp(data: &[u8]) -> Option<String> {
    let (seconds, nanos) = match data.len() {
        4 => (i64::from(u32::from_be_bytes(data.try_into().ok()?)), 0),
        8 => {
            let both = u64::from_be_bytes(data.try_into().ok()?);
            (i64::try_from(both & 0x3_ffff_ffff).ok()?, u32::try_from(both >> 34).ok()?)
        }
        12 => {
            let (nanos, seconds) = data.split_first_chunk()?;
            (i64::from_be_bytes(seconds.try_into().ok()?), u32::from_be_bytes(*nanos))
        }
        _ => return None,
    };
    rfc3339(OffsetDateTime::from_unix_timestamp(seconds).ok()?.replace_nanosecond(nanos).ok()?)
}

/// The time of an HTTP field, as Flask's tagged JSON has it, by RFC 3339.
pub(super) fn http_date(text: &str) -> Option<String> {
    rfc3339(OffsetDateTime::parse(text, &Rfc2822).ok()?.to_offset(UtcOffset::UTC))
}

/// A UUID of 32 hexadecimal digits, as Flask's tagged JSON has it, with the usual hyphens.
pub(super) fn uuid(hex: &str) -> Option<String> {
    if hex.len() != 32 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Some([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

/// Without a fraction if there is none, otherwise with its microseconds, as Python knows no less. Python begins with the year 1.
fn rfc3339(time: OffsetDateTime) -> Option<String> {
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second, micros) = time.to_hms_micro();
    let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
    (1..=9999)
        .contains(&year)
        .then(|| format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z", u8::from(month)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_as_msgspec_writes_it_into_json() {
        for (data, expected) in [
            (&b"e\x93}%"[..], Some("2024-01-02T03:04:05Z")),
            (b"\xa1\xdc\xc4\x80e\x93}%", Some("2024-01-02T03:04:05.678900Z")),
            (b"\x00\x00\x17p\xff\xff\xff\xff|V\xfe%", Some("1900-01-02T03:04:05.000006Z")),
            (b"\x00\x00\x17p\x00\x00\x00\x04\xa0\xff\xef%", Some("2600-01-02T03:04:05.000006Z")),
            (b"\x00\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\x00\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00", None),
            (b"\x00\x00\x00\x00\xff\xff\xff\xf0\x00\x00\x00\x00", None), // the year -208
            (b"\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00", None), // more than a second of nanoseconds
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"", None),
            (b"12345", None),
        ] {
            assert_eq!(timestamp(data).as_deref(), expected, "{data:?}");
        }
    }

    #[test]
    fn a_date_of_http_becomes_one_of_rfc_3339() {
        for (text, expected) in [
            ("Tue, 02 Jan 2024 03:04:05 GMT", Some("2024-01-02T03:04:05Z")),
            ("Mon, 02 Jan 1950 00:00:00 GMT", Some("1950-01-02T00:00:00Z")),
            ("2024-01-02", None),
            ("", None),
        ] {
            assert_eq!(http_date(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_uuid_has_its_hyphens() {
        let hex = "00000000000000000000000000000005";
        assert_eq!(uuid(hex).as_deref(), Some("00000000-0000-0000-0000-000000000005"));
        for text in ["", "5", &hex.replace('5', "x"), &hex.replace("05", "é")] {
            assert_eq!(uuid(text), None, "{text}");
        }
    }
}
