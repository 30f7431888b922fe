//! Entity tags: of the content, of the file's identity, or the service's own.

use std::time::{Duration, SystemTime};

use buttress_core::Clock;
use buttress_rfc9111::date;
use data_encoding::BASE64URL_NOPAD;
use http::HeaderValue;
use xxhash_rust::xxh3::Xxh3;

use crate::build::{Content, File};
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
    /// The file in the build, if this response is that file.
    pub(crate) file: Option<&'a File>,
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
    if let Some(tag) = tagged.file.and_then(|file| of_file(file, tagged.fields)) {
        return Tag::Ours(tag);
    }
    if tagged.fields.has_etag && !tagged.one_mtime {
        return Tag::Service;
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
    if tagged.one_mtime { Tag::Gone } else { Tag::Service }
}

/// The tag of a file as it was read. In a coding that was made on the way it is weak: the same thing in other bytes.
fn of_file(file: &File, fields: &Fields<'_>) -> Option<HeaderValue> {
    let coding = fields.coding();
    if let Some(Content { tag, .. }) = file.content(coding) {
        return tag.clone();
    }
    let plain = file.content.as_ref()?.tag.as_ref()?.to_str().ok()?;
    let opaque = plain.trim_start_matches("W/").trim_matches('"');
    HeaderValue::try_from(format!("W/\"{opaque}-{}\"", coding.unwrap_or("unknown"))).ok()
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
    use crate::build::File;
    use crate::testing::headers;

    fn file() -> File {
        let content = |length, tag: &'static str| Content { length, tag: Some(HeaderValue::from_static(tag)) };
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
        match choose(&Tagged { fields: &Fields::of(&headers), file, length, may_hash, one_mtime, clock: &clock }) {
            Tag::Ours(tag) => tag.to_str().unwrap().to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_was_read_at_start_comes_first() {
        let file = file();
        for (lines, expected) in [
            ("ETag: \"service\"", "\"plain\""),
            ("", "\"plain\""),
            ("Content-Encoding: br", "\"coded\""),
            ("Content-Encoding: BR", "\"coded\""),
            ("Content-Encoding: gzip", "W/\"plain-gzip\""),
        ] {
            assert_eq!(chosen(lines, Given { file: Some(&file), ..PLAIN }), expected, "{lines}");
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
            ("Accept-Ranges: bytes", "Service"),
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
