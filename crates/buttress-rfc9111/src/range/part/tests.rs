use http::header::HeaderName;
use proptest::prelude::*;

use super::*;
use crate::range::{CombineError, Combined, Source};

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn part(first: u64, last: u64, complete: Option<u64>) -> StoredPart {
    StoredPart { first, last, complete, etag: HeaderValue::from_static("\"a\"") }
}

#[test]
fn only_what_can_be_completed_is_a_part() {
    let check = |status: u16, fields: &[(&'static str, &str)], received, expected: Result<_, _>| {
        let found = StoredPart::of(StatusCode::from_u16(status).unwrap(), &headers(fields), received);
        let found = found.map(|part| (part.first, part.last, part.complete));
        assert_eq!(found, expected, "{status} {fields:?} {received}");
    };
    let tag = ("etag", "\"a\"");
    let range = |value| ("content-range", value);
    check(206, &[tag, range("bytes 2-4/10")], 3, Ok((2, 4, Some(10))));
    check(206, &[tag, range("bytes 2-4/*")], 3, Ok((2, 4, None)));
    check(206, &[tag, range("bytes 2-4/10")], 2, Ok((2, 3, Some(10))));
    check(206, &[tag, range("bytes 2-4/10")], 4, Err(NotAPart::Malformed));
    check(206, &[tag, range("bytes 2-4/10")], 0, Err(NotAPart::NoBytes));
    check(206, &[tag, range("bytes 0-9/10")], 10, Err(NotAPart::Complete));
    check(206, &[tag, range("bytes */10")], 3, Err(NotAPart::Malformed));
    check(206, &[tag, range("bytes 2-4/10"), range("bytes 2-4/10")], 3, Err(NotAPart::Malformed));
    check(206, &[tag], 3, Err(NotAPart::Malformed));
    check(206, &[range("bytes 2-4/10")], 3, Err(NotAPart::NoStrongValidator));
    check(206, &[("etag", "W/\"a\""), range("bytes 2-4/10")], 3, Err(NotAPart::NoStrongValidator));
    check(206, &[tag, ("content-type", "Multipart/ByteRanges; boundary=x")], 3, Err(NotAPart::Multipart));
    check(200, &[tag, ("content-length", "10")], 4, Ok((0, 3, Some(10))));
    check(200, &[tag], 4, Ok((0, 3, None)));
    check(200, &[tag, ("content-length", "10")], 10, Err(NotAPart::Complete));
    check(200, &[tag, ("content-length", "0")], 0, Err(NotAPart::NoBytes));
    check(200, &[tag, ("content-length", "10")], 11, Err(NotAPart::Malformed));
    check(200, &[tag, ("content-length", "ten")], 4, Err(NotAPart::Malformed));
    check(404, &[tag], 4, Err(NotAPart::Status));
}

#[test]
fn a_part_serves_what_lies_wholly_within_it() {
    use ByteRange::{From, FromTo, Suffix};
    use PartAnswer::{LengthUnknown, Outside, Serve, Unsatisfiable};
    fn check(part: &StoredPart, range: ByteRange, expected: PartAnswer) {
        assert_eq!(part.can_serve(range), expected, "{part:?} {range:?}");
    }
    let (middle, end, unknown) = (part(2, 5, Some(10)), part(6, 9, Some(10)), part(2, 5, None));
    check(&middle, FromTo { first: 3, last: 4 }, Serve { first: 3, last: 4, offset: 1 });
    check(&middle, FromTo { first: 2, last: 5 }, Serve { first: 2, last: 5, offset: 0 });
    check(&middle, FromTo { first: 2, last: 6 }, Outside);
    check(&middle, FromTo { first: 1, last: 3 }, Outside);
    check(&middle, From { first: 3 }, Outside);
    check(&middle, FromTo { first: 10, last: 12 }, Unsatisfiable);
    check(&middle, Suffix { length: 0 }, Unsatisfiable);
    check(&end, Suffix { length: 3 }, Serve { first: 7, last: 9, offset: 1 });
    check(&end, Suffix { length: 5 }, Outside);
    check(&end, From { first: 8 }, Serve { first: 8, last: 9, offset: 2 });
    check(&end, FromTo { first: 8, last: 99 }, Serve { first: 8, last: 9, offset: 2 });
    check(&unknown, FromTo { first: 3, last: 4 }, Serve { first: 3, last: 4, offset: 1 });
    check(&unknown, FromTo { first: 3, last: 9 }, Outside);
    check(&unknown, From { first: 3 }, LengthUnknown);
    check(&unknown, Suffix { length: 1 }, LengthUnknown);
}

#[test]
fn parts_of_different_things_are_never_combined() {
    fn check(one: &StoredPart, two: &StoredPart, expected: CombineError) {
        assert_eq!(one.combine(two), Err(expected), "{one:?} {two:?}");
        assert_eq!(two.combine(one), Err(expected), "{two:?} {one:?}");
    }
    let other = StoredPart { etag: HeaderValue::from_static("\"b\""), ..part(3, 5, Some(10)) };
    check(&part(0, 2, Some(10)), &other, CombineError::ValidatorsDiffer);
    let weak = StoredPart { etag: HeaderValue::from_static("W/\"a\""), ..part(3, 5, Some(10)) };
    check(&part(0, 2, Some(10)), &weak, CombineError::ValidatorsDiffer);
    check(&part(0, 2, Some(10)), &part(3, 5, Some(11)), CombineError::LengthsDiffer);
    check(&part(0, 2, Some(10)), &part(3, 12, None), CombineError::LengthsDiffer);
    check(&part(0, 2, Some(10)), &part(4, 5, Some(10)), CombineError::Gap);
}

#[test]
fn what_is_missing_is_asked_for_under_if_range() {
    let check = |part: StoredPart, expected: Option<&str>| {
        let missing = part.missing();
        assert_eq!(missing.as_ref().map(|missing| missing.range.to_str().unwrap()), expected, "{part:?}");
        assert!(missing.is_none_or(|missing| missing.if_range == part.etag));
    };
    check(part(0, 4, Some(10)), Some("bytes=5-"));
    check(part(0, 4, None), Some("bytes=5-"));
    check(part(5, 9, Some(10)), Some("bytes=0-4"));
    check(part(3, 4, Some(10)), Some("bytes=0-2"));
    check(part(0, 9, Some(10)), None);
}

#[test]
fn a_completed_part_becomes_a_200() {
    let mut fields = headers(&[("content-range", "bytes 5-9/10"), ("content-length", "5"), ("etag", "\"a\"")]);
    let before = fields.clone();
    part(5, 9, Some(10)).to_complete(&mut fields);
    assert_eq!(fields, before);
    part(0, 9, Some(10)).to_complete(&mut fields);
    assert_eq!(fields, headers(&[("content-length", "10"), ("etag", "\"a\"")]));
}

proptest! {
    /// Against the bytes themselves: what is put together is a slice of the representation.
    #[test]
    fn combined_bodies_are_slices_of_the_whole(
        bytes in proptest::collection::vec(any::<u8>(), 1..40),
        picks in proptest::array::uniform4(any::<prop::sample::Index>()),
        known in proptest::array::uniform2(any::<bool>()),
    ) {
        let length = bytes.len() as u64;
        let make = |a: prop::sample::Index, b: prop::sample::Index, known: bool| {
            let (a, b) = (a.index(bytes.len()), b.index(bytes.len()));
            let (first, last) = (a.min(b), a.max(b));
            (part(first as u64, last as u64, known.then_some(length)), bytes[first..=last].to_vec())
        };
        let (one, one_body) = make(picks[0], picks[1], known[0]);
        let (two, two_body) = make(picks[2], picks[3], known[1]);
        let touch = one.first <= two.last + 1 && two.first <= one.last + 1;
        match one.combine(&two) {
            Err(why) => {
                prop_assert_eq!(why, CombineError::Gap);
                prop_assert!(!touch);
            }
            Ok(Combined { part, head, tail }) => {
                prop_assert!(touch);
                let mut body = Vec::new();
                for piece in [Some(head), tail].into_iter().flatten() {
                    let source = if piece.source == Source::This { &one_body } else { &two_body };
                    body.extend_from_slice(&source[piece.offset as usize..(piece.offset + piece.length) as usize]);
                }
                let (first, last) = part.range();
                prop_assert_eq!(&body[..], &bytes[first as usize..=last as usize]);
                prop_assert_eq!((first, last), (one.first.min(two.first), one.last.max(two.last)));
                prop_assert_eq!(part.is_complete(), body.len() == bytes.len() && part.complete.is_some());
            }
        }
    }

    #[test]
    fn a_part_grows_until_it_is_complete(length in 1_u64..60, first in 0_u64..60, steps in 1_u64..9) {
        let first = first % length;
        let mut stored = part(first, first, Some(length));
        for _ in 0..200 {
            let Some(missing) = stored.missing() else { break };
            let range = ByteRange::parse(missing.range.as_bytes().strip_prefix(b"bytes=").unwrap()).unwrap();
            let (first, last) = range.within(length).unwrap();
            // An origin that sends no more than a few bytes of what lies after, and all of what lies before.
            let last = if first > 0 { last.min(first + steps - 1) } else { last };
            stored = stored.combine(&part(first, last, Some(length))).unwrap().part;
        }
        prop_assert!(stored.is_complete());
    }
}
