//! Entity tags: of the content, of the file's identity, or the service's own.

use std::time::{Duration, SystemTime};

use buttress_core::Clock;
use buttress_rfc9111::date;
use data_encoding::BASE64URL_NOPAD;
use http::HeaderValue;
use xxhash_rust::xxh3::Xxh3;

use crate::build::Is;
use crate::fields::Fields;

/// Times up to here are what archives and package managers write for "none": ZIP's first is 1980-01-01.
pub(crate) const NO_TIME: Duration = Duration::from_secs(315_619_200);

/// Makes a tag of a content: 128 bits of XXH3, which tells versions apart and proves nothing. Somebody who may upload files can make
/// two with one tag, and fools only those who fetch his.
#[derive(Default)]
pub(crate) struct Hasher(Box<Xxh3>);

/// Which tag a response gets.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Tag {
    /// The one that it has, or none.
    Service,
    /// This one.
    Ours(HeaderValue),
    /// One made of its content.
    Hash,
    /// None: what it has says nothing.
    Gone,
}

/// What a tag is chosen by.
#[derive(Debug)]
pub(crate) struct Tagged<'a> {
    pub(crate) fields: &'a Fields<'a>,
    /// How the response is a file of the build, if it is.
    pub(crate) is: Option<Is<'a>>,
    /// The length of the whole representation.
    pub(crate) length: Option<u64>,
    /// Whether the content may be looked at: a complete 200 response to a GET, within the limit.
    pub(crate) may_hash: bool,
    /// Whether times of modification, and tags made of them, say nothing.
    pub(crate) one_mtime: bool,
    pub(crate) clock: &'a Clock,
}

/// Chooses: what was read at start, the service's own, the file's identity, the content.
pub(crate) fn choose(tagged: &Tagged<'_>) -> Tag {
    if let Some(tag) = tagged.is.and_then(|is| of_file(is, tagged.fields.coding())) {
        return Tag::Ours(tag);
    }
    if let Some(own) = tagged.fields.etag
        && !tagged.one_mtime
    {
        return weakened(own, tagged.fields).map_or(Tag::Service, Tag::Ours);
    }
    if !tagged.one_mtime
        && let Some(tag) = of_identity(tagged)
    {
        return Tag::Ours(tag);
    }
    // Where the service answers ranges by itself, parts must carry the tag of the whole, which is not at hand then.
    if tagged.may_hash && (tagged.one_mtime || !tagged.fields.answers_ranges) {
        return Tag::Hash;
    }
    Tag::none(tagged.one_mtime)
}

/// The tag of a file as it was read. In a coding that was made on the way it is weak: the same thing in other bytes.
fn of_file(is: Is<'_>, coding: Option<&str>) -> Option<HeaderValue> {
    match is {
        Is::Stored(content) => content.tag.clone(),
        Is::Coded(plain) => {
            let opaque = plain.tag.as_ref()?.to_str().ok()?.trim_start_matches("W/").trim_matches('"');
            let coding: String =
                coding?.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '-' }).collect();
            HeaderValue::try_from(format!("W/\"{opaque}-{coding}\"")).ok()
        }
        Is::Named => None,
    }
}

/// The service's strong tag as a weak one, where the content was coded after it had been made: then nobody knows its length
/// beforehand.
fn weakened(own: &HeaderValue, fields: &Fields<'_>) -> Option<HeaderValue> {
    let was_coded_on_the_way = fields.content_encoding.is_some() && fields.content_length.is_none();
    let is_strong = own.as_bytes().starts_with(b"\"");
    if !was_coded_on_the_way || !is_strong || fields.content_range.is_some() {
        return None;
    }
    HeaderValue::from_bytes(&[b"W/", own.as_bytes()].concat()).ok()
}

/// A weak tag out of the time of modification and the length, as nginx makes it; `None` if the time cannot be meant.
fn of_identity(tagged: &Tagged<'_>) -> Option<HeaderValue> {
    let modified = date::parse(tagged.fields.last_modified?)?;
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).ok().filter(|since| *since > NO_TIME)?;
    if modified > tagged.clock.now() {
        return None;
    }
    let coding = if tagged.fields.content_encoding.is_some() { "-c" } else { "" };
    HeaderValue::try_from(format!("W/\"{:x}-{:x}{coding}\"", since.as_secs(), tagged.length?)).ok()
}

// === impl Tag ===

impl Tag {
    /// No tag of ours: the service's own stays, unless it says nothing.
    pub(crate) fn none(one_mtime: bool) -> Self {
        if one_mtime { Self::Gone } else { Self::Service }
    }
}

// === impl Hasher ===

impl Hasher {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// A strong tag: the bytes are these.
    pub(crate) fn tag(self) -> HeaderValue {
        let text = BASE64URL_NOPAD.encode(&self.0.digest128().to_be_bytes());
        HeaderValue::try_from(format!("\"{text}\"")).expect("base64url is visible ASCII")
    }
}

#[cfg(test)]
mod tests {
    use buttress_core::ManualClock;

    use super::*;
    use crate::build::{Content, File, Seen};
    use crate::testing::headers;

    fn file() -> File {
        let content =
            |length, tag: &'static str| Content { length, tag: Some(HeaderValue::from_static(tag)), modified: None };
        File::of(content(10, "\"plain\""), vec![("br", content(5, "\"coded\""))])
    }

    /// How a tag is chosen, but for the response's fields.
    #[derive(Clone, Copy)]
    struct Given<'a> {
        file: Option<&'a File>,
        length: Option<u64>,
        may_hash: bool,
        one_mtime: bool,
    }

    const PLAIN: Given<'static> = Given { file: None, length: Some(10), may_hash: true, one_mtime: false };

    fn chosen(lines: &str, given: Given<'_>) -> String {
        let headers = headers(lines);
        let clock = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)).clock();
        let Given { file, length, may_hash, one_mtime } = given;
        let fields = Fields::of(&headers);
        let seen = Seen { coding: fields.coding(), length, modified: fields.last_modified };
        let is = file.and_then(|file| file.is(seen));
        match choose(&Tagged { fields: &fields, is, length, may_hash, one_mtime, clock: &clock }) {
            Tag::Ours(tag) => tag.to_str().unwrap().to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_was_read_at_start_comes_first() {
        let file = file();
        for (lines, length, expected) in [
            ("ETag: \"service\"", Some(10), "\"plain\""),
            ("", Some(10), "\"plain\""),
            ("ETag: \"service\"", Some(11), "Service"),
            ("Content-Encoding: br", Some(5), "\"coded\""),
            ("Content-Encoding: BR", Some(5), "\"coded\""),
            ("Content-Encoding: br", Some(6), "W/\"plain-br\""),
            ("Content-Encoding: br", None, "W/\"plain-br\""),
            ("Content-Encoding: gzip", Some(7), "W/\"plain-gzip\""),
            ("Content-Encoding: br, gzip", None, "W/\"plain-br--gzip\""),
        ] {
            assert_eq!(chosen(lines, Given { file: Some(&file), length, ..PLAIN }), expected, "{lines} {length:?}");
        }
    }

    #[test]
    fn then_the_services_own_then_identity_then_the_content() {
        const TIME: &str = "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT";
        for (lines, expected) in [
            ("ETag: \"service\"", "Service"),
            (TIME, "W/\"6955b900-a\""),
            (&format!("{TIME}\nContent-Encoding: br"), "W/\"6955b900-a-c\""),
            ("Last-Modified: Thu, 01 Jan 1970 00:00:01 GMT", "Hash"),
            ("Last-Modified: Tue, 01 Jan 1980 00:00:00 GMT", "Hash"),
            ("Last-Modified: Fri, 01 Jan 2100 00:00:00 GMT", "Hash"),
            ("Last-Modified: yesterday", "Hash"),
            ("", "Hash"),
            ("Accept-Ranges: none", "Hash"),
            ("Accept-Ranges: bytes", "Service"),
            ("ETag: \"service\"\nContent-Encoding: gzip", "W/\"service\""),
            ("ETag: \"service\"\nContent-Encoding: br\nContent-Length: 10", "Service"),
        ] {
            assert_eq!(chosen(lines, PLAIN), expected, "{lines}");
        }
        assert_eq!(chosen("", Given { may_hash: false, ..PLAIN }), "Service");
        assert_eq!(chosen(TIME, Given { length: None, ..PLAIN }), "Hash", "a length is half of the identity");
    }

    #[test]
    fn with_one_time_for_all_files_only_the_content_counts() {
        for (lines, may_hash, expected) in [
            ("ETag: \"service\"", true, "Hash"),
            ("ETag: \"service\"\nAccept-Ranges: bytes", true, "Hash"),
            ("ETag: \"service\"", false, "Gone"),
            ("Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT", false, "Gone"),
        ] {
            let found = chosen(lines, Given { may_hash, one_mtime: true, ..PLAIN });
            assert_eq!(found, expected, "{lines}");
        }
    }
}
