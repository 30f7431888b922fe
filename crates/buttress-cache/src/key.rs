//! What an entry is found by: [`Key`], and every Redis key this crate writes.
//!
//! | Redis key | type | holds | lives |
//! |---|---|---|---|
//! | `{prefix}:cache:v1:{digest}` | string | one record: a stored response, packed or plain, or the list of fields a URI varies on | as long as the response may be of use |
//! | `{prefix}:cache:v1:{digest}`, of a path | string | the `No-Vary-Search` that its last response stated | an hour, or twice as long as that response |
//! | `{prefix}:cache:v1:{digest}:lease` | string | the token of the process that fills the record | two seconds, renewed while it does |
//! | `{prefix}:cache:v1:{digest}:part:{fill}:{n}` | string | a part of a large body | a minute longer than the record |
//! | `{prefix}:cache:v1:{tags}` | hash | the ledger of purges | for ever |
//! | `{prefix}:cache:v1:{tags}:{tag}` | string | when the tag was purged last | as long as an entry with it; a minute at least after a purge |
//! | `{prefix}:cache:v1:{tags}:recent` | sorted set | the tags that were purged last, 512 at most | a minute after the last of them |
//! | `{prefix}:cache:news:…` | | nothing: set and removed at once, to announce a change | |
//!
//! The digest is the first 128 bits of the BLAKE3 hash of the key text, in base64url, within braces so that a cluster
//! keeps what belongs to one URI on one node. The text itself travels inside the record and is compared on reuse:
//! two keys with one digest cost a miss, never somebody else's response.
//!
//! ```
//! use buttress_cache::Key;
//!
//! let (parts, _) = http::Request::get("https://Example.com:443/a?b").body(())?.into_parts();
//! let (same, _) = http::Request::get("https://example.com/a?b").body(())?.into_parts();
//! assert_eq!(Key::of(&parts).text(), Key::of(&same).text());
//! # Ok::<(), http::Error>(())
//! ```

use std::fmt;
use std::sync::OnceLock;

use http::Uri;
use http::header::HOST;
use http::request;
use http::uri::{Authority, Scheme};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::ledger::Location;
use crate::tag::Tag;

/// In place of a part's length: that there is none.
const ABSENT: u32 = u32::MAX;
/// In place of a part's length: that what follows is the key of a memoized value.
#[cfg(feature = "memo")]
const MEMO: u32 = u32::MAX - 1;
/// In place of a part's length: that the digest of a content follows.
const CONTENT: u32 = u32::MAX - 2;
/// In place of a query's length: that a policy and the canonical query come.
pub(crate) const SEARCHED: u32 = u32::MAX - 3;
/// In place of a query's length: that the key is that of a path.
pub(crate) const OF_PATH: u32 = u32::MAX - 4;
/// No part is longer.
const LONGEST: u32 = u32::MAX - 5;

/// What a stored response is found by: an unambiguous text, built of length-prefixed parts.
///
/// The default key ([`Key::of`]) is complete: scheme, authority, path and query as received, and those forwarding
/// fields that a service may build its response from, with a `Host` that says something else than the target. GET and HEAD
/// share it; what the content of a QUERY adds comes behind it ([`ContentKeyLayer`](crate::ContentKeyLayer)), whatever the key.
/// [`Key::push`] adds to it; a key that
/// leaves something out begins with [`Key::empty`].
#[derive(Clone, Eq, PartialEq)]
pub struct Key {
    text: Vec<u8>,
    /// How long the part is that says the URI; 0 when the key was made of something else.
    uri: usize,
}

// === impl Key ===

impl Key {
    /// The complete key of a request. Costs one allocation.
    ///
    /// The path is taken byte by byte: `%2F` and `/`, `//` and `/` are different keys, since only the service knows
    /// whether they mean the same. The scheme is `http` when the request does not say.
    #[must_use]
    pub fn of(parts: &request::Parts) -> Self {
        let authority = match parts.uri.authority() {
            Some(authority) => authority.as_str().as_bytes(),
            None => parts.headers.get(HOST).map_or(&b""[..], |host| host.as_bytes()),
        };
        let scheme = parts.uri.scheme().unwrap_or(&Scheme::HTTP);
        let mut key = Self::of_parts(&parts.uri, scheme, authority);
        key.push_treacherous(parts, without_default_port(authority, scheme), scheme);
        key
    }

    /// The key of a URI under a scheme, when the request says nothing else that belongs into it.
    pub(crate) fn of_uri(uri: &Uri, scheme: &Scheme) -> Self {
        // The port that is the default of the scheme in the URI, not of this one.
        let authority = uri.authority().map_or(&b""[..], |authority| authority.as_str().as_bytes());
        let authority = without_default_port(authority, uri.scheme().unwrap_or(&Scheme::HTTP));
        Self::of_parts(uri, scheme, authority)
    }

    fn of_parts(uri: &Uri, scheme: &Scheme, authority: &[u8]) -> Self {
        let mut key = Self { text: Vec::with_capacity(128), uri: 0 };
        key.push(if *scheme == Scheme::HTTPS { "https" } else { scheme.as_str() });
        key.push_authority(authority, scheme);
        key.push(uri.path());
        match uri.query() {
            Some(query) => key.push(query),
            None => key.push_absent(), // `/a` and `/a?` are different resources
        }
        key.uri = key.text.len();
        key
    }

    /// The beginning of a memoized value's key: one that no URI and no other key begins with, since no part is of this length.
    #[cfg(feature = "memo")]
    pub(crate) fn of_memo() -> Self {
        Self { text: MEMO.to_le_bytes().to_vec(), uri: 0 }
    }

    /// A key that says nothing yet.
    #[must_use]
    pub const fn empty() -> Self {
        Self { text: Vec::new(), uri: 0 }
    }

    /// Adds a part. Parts are length-prefixed: pushing `"ab"` and `"c"` is not pushing `"a"` and `"bc"`.
    pub fn push(&mut self, part: impl AsRef<[u8]>) {
        let part = part.as_ref();
        self.push_len(part.len());
        self.text.extend_from_slice(part);
    }

    /// Adds what the request's content says. It begins with a length that no part has: no key without a content is such a key.
    pub(crate) fn push_content(&mut self, digest: &[u8; 32]) {
        self.text.extend_from_slice(&CONTENT.to_le_bytes());
        self.text.extend_from_slice(digest);
    }

    /// Adds a part that is absent, which is not the same as empty.
    pub fn push_absent(&mut self) {
        self.text.extend_from_slice(&ABSENT.to_le_bytes());
    }

    /// The text that is stored with the entry and compared on reuse.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The key of one variant: this key, the epoch of the URI's list of variants, and the normalised request fields.
    pub(crate) fn variant(&self, epoch: u64, fields: &[u8]) -> Self {
        let mut key = Self { text: Vec::with_capacity(self.text.len() + fields.len() + 16), uri: self.uri };
        key.text.extend_from_slice(&self.text);
        key.push(epoch.to_le_bytes());
        key.push(fields);
        key
    }

    /// This key with something else in the place of the query. `None` if it is not that of a URI.
    pub(crate) fn with_query(&self, slot: &[u8]) -> Option<Self> {
        let query = location(&self.text)?.query.map_or(0, <[u8]>::len);
        let before = self.uri.checked_sub(4 + query)?;
        let text = [&self.text[..before], slot, &self.text[self.uri..]].concat();
        Some(Self { text, uri: before + slot.len() })
    }

    /// The index of this key within this process. Seeded at random, so that nobody outside can aim at a collision.
    pub(crate) fn local(&self) -> u128 {
        static SEED: OnceLock<u64> = OnceLock::new();
        xxh3_128_with_seed(&self.text, *SEED.get_or_init(rand::random))
    }

    /// Whether the key begins with the URI.
    pub(crate) fn begins_with_uri(&self) -> bool {
        self.uri > 0
    }

    /// Whether the key is the URI and nothing else: then it can be found by it.
    pub(crate) fn is_uri(&self) -> bool {
        self.uri == self.text.len()
    }

    /// What its record is called in Redis, without what stands before. BLAKE3, since the processes of a fleet share no
    /// secret and a client may choose most of the text.
    pub(crate) fn digest(&self) -> String {
        let mut digest = String::with_capacity(22);
        base64url(&blake3::hash(&self.text).as_bytes()[..16], &mut digest);
        digest
    }

    /// The name of this key's record in Redis.
    pub(crate) fn redis(&self, prefix: &str) -> String {
        format!("{prefix}:cache:v1:{{{}}}", self.digest())
    }

    fn push_len(&mut self, len: usize) {
        let len = u32::try_from(len).unwrap_or(LONGEST);
        self.text.extend_from_slice(&len.to_le_bytes());
    }

    fn push_authority(&mut self, authority: &[u8], scheme: &Scheme) {
        let authority = without_default_port(authority, scheme);
        self.push(authority);
        let begin = self.text.len() - authority.len();
        self.text[begin..].make_ascii_lowercase();
    }
}

/// What lies where, of a text that begins with the URI.
pub(crate) fn location(text: &[u8]) -> Option<Location<'_>> {
    let (_scheme, rest) = part(text)?;
    let (authority, rest) = part(rest)?;
    let (path, rest) = part(rest)?;
    let any_query = rest.starts_with(&SEARCHED.to_le_bytes());
    let query = if any_query { None } else { part(rest)?.0 };
    Some(Location { authority: authority?, path: path?, query, any_query })
}

/// The first part, if it is not absent, and what comes behind it.
fn part(text: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (len, rest) = text.split_first_chunk()?;
    match u32::from_le_bytes(*len) {
        ABSENT => Some((None, rest)),
        len => rest.split_at_checked(usize::try_from(len).ok()?).map(|(part, rest)| (Some(part), rest)),
    }
}

/// Where changes are announced, by a key that is set and removed at once.
pub(crate) fn news(prefix: &str) -> String {
    format!("{prefix}:cache:news:")
}

pub(crate) fn news_of_ledger(prefix: &str) -> String {
    format!("{prefix}:cache:news:{{tags}}")
}

pub(crate) fn news_of_tag(prefix: &str, tag: &Tag) -> String {
    format!("{prefix}:cache:news:{{tags}}:{}", name_of(tag))
}

pub(crate) fn news_of_record(prefix: &str, key: &Key) -> String {
    format!("{prefix}:cache:news:{{{}}}", key.digest())
}

pub(crate) fn ledger(prefix: &str) -> String {
    format!("{prefix}:cache:v1:{{tags}}")
}

pub(crate) fn recent(prefix: &str) -> String {
    format!("{prefix}:cache:v1:{{tags}}:recent")
}

pub(crate) fn stamp(prefix: &str, tag: &Tag) -> String {
    format!("{prefix}:cache:v1:{{tags}}:{}", name_of(tag))
}

fn name_of(tag: &Tag) -> String {
    let mut name = String::with_capacity(22);
    base64url(tag.as_bytes(), &mut name);
    name
}

/// The tag of a name.
pub(crate) fn tag_of(name: &str) -> Option<Tag> {
    let digits: &[u8; 22] = name.as_bytes().try_into().ok()?;
    let mut bits = 0u128;
    for (place, digit) in digits.iter().enumerate() {
        let value = ALPHABET.iter().position(|letter| letter == digit)? as u128;
        // Of the last digit only two bits are left to say.
        bits = if place < 21 { (bits << 6) | value } else { (bits << 2) | (value >> 4) };
    }
    Some(Tag::from_bytes(bits.to_be_bytes()))
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.text.escape_ascii())
    }
}

/// RFC 9110 section 4.2.3: a port that is empty or the scheme's default names the same authority.
pub(crate) fn without_default_port<'a>(authority: &'a [u8], scheme: &Scheme) -> &'a [u8] {
    let port: &[u8] = if *scheme == Scheme::HTTPS { b":443" } else { b":80" };
    authority.strip_suffix(port).or_else(|| authority.strip_suffix(b":")).unwrap_or(authority)
}

/// An authority as it stands in a key.
pub(crate) fn normalised(authority: &[u8], scheme: &Scheme) -> Vec<u8> {
    without_default_port(authority, scheme).to_ascii_lowercase()
}

/// The authority a request is for, from its target or its `Host` field.
pub(crate) fn authority(parts: &request::Parts) -> Option<Authority> {
    let host = || Authority::try_from(parts.headers.get(HOST)?.as_bytes()).ok();
    parts.uri.authority().cloned().or_else(host)
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64url(bytes: &[u8], out: &mut String) {
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, &byte| (bits << 8) | u32::from(byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            out.push(char::from(ALPHABET[(bits >> (18 - 6 * digit)) as usize & 63]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn key(uri: &str, headers: &[(&str, &str)]) -> Key {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Key::of(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn requests_for_the_same_resource_have_one_key() {
        for (a, b) in [
            (key("http://a/x", &[]), key("http://A:80/x", &[])),
            (key("https://a/x", &[]), key("https://a:443/x", &[])),
            (key("http://a/x", &[]), key("/x", &[("host", "A")])),
            (key("/x", &[("host", "[::1]:80")]), key("http://[::1]/x", &[])),
            (key("http://a/x", &[("x-forwarded-for", "1.2.3.4")]), key("http://a/x", &[])),
            (key("http://a/x", &[("host", "A")]), key("http://a/x", &[])),
            (key("http://a:80/x", &[("host", "a")]), key("http://a/x", &[("host", "a:80")])),
            (key("/x", &[("host", "a"), ("host", "a")]), key("http://a/x", &[])),
            (key("/x", &[("forwarded", "for=1.2.3.4;host=a")]), key("/x", &[("forwarded", "For=5.6.7.8; host=a")])),
        ] {
            assert_eq!(a, b);
        }
    }

    #[test]
    fn requests_for_different_resources_have_different_keys() {
        let base = || key("http://a/x", &[]);
        for other in [
            key("https://a/x", &[]),
            key("http://b/x", &[]),
            key("http://a:8080/x", &[]),
            key("http://a:443/x", &[]),
            key("http://a/X", &[]),
            key("http://a/x?", &[]),
            key("http://a/x?a", &[]),
            key("http://a/x/", &[]),
            key("http://a//x", &[]),
            key("http://a/x", &[("x-forwarded-host", "evil")]),
            key("http://a/x", &[("x-original-url", "/admin")]),
            key("http://a/x", &[("x-http-method-override", "DELETE")]),
            key("http://a/x", &[("x-method-override", "DELETE")]),
            key("http://a/x", &[("x-forwarded-ssl", "on")]),
            key("http://a/x", &[("x-forwarded-user", "somebody")]),
            key("http://a/x", &[("forwarded", "for=1;host=evil")]),
            key("http://a/x", &[("forwarded", "for=1 host=evil")]),
            key("http://a/x", &[("forwarded", "for=\"1;host=evil\"")]),
            key("http://a/x", &[("host", "evil")]),
            key("/x", &[("host", "a"), ("host", "evil")]),
        ] {
            assert_ne!(base(), other);
        }
        assert_ne!(key("/%2F", &[]), key("//", &[]));
        assert_ne!(key("http://a/b", &[]), key("/b", &[("host", "")]));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let mut a = Key::empty();
        a.push("ab");
        a.push("c");
        let mut b = Key::empty();
        b.push("a");
        b.push("bc");
        assert_ne!(a, b);
        let mut empty = Key::empty();
        empty.push("");
        let mut absent = Key::empty();
        absent.push_absent();
        assert_ne!(empty, absent);
    }

    #[test]
    fn a_tag_is_found_in_its_name() {
        for name in ["a", "b", "c"] {
            let tag = Tag::named(name);
            assert_eq!(tag_of(&name_of(&tag)), Some(tag));
        }
        for bad in ["", "short", "twenty-two but no digi!", "äääääääääää"] {
            assert_eq!(tag_of(bad), None);
        }
    }

    #[test]
    fn a_key_of_a_uri_says_where_it_lies() {
        let location = |uri: &str| {
            let key = key(uri, &[]);
            let Location { authority, path, query, .. } = location(key.text()).unwrap();
            [authority, path, query.unwrap_or(b"none")].map(|part| String::from_utf8(part.to_vec()).unwrap())
        };
        assert_eq!(location("http://A.example:80/b/c?d"), ["a.example", "/b/c", "d"]);
        assert_eq!(location("http://a.example/"), ["a.example", "/", "none"]);
        assert!(super::location(b"no key").is_none());
        assert!(key("http://a/b", &[]).is_uri() && !key("http://a/b", &[("x-host", "c")]).is_uri());
        assert!(!Key::empty().begins_with_uri());
    }

    #[test]
    fn the_redis_name_is_stable_across_processes() {
        let mut key = Key::empty();
        key.push("x");
        assert_eq!(key.redis("app"), key.clone().redis("app"));
        assert_eq!(key.redis("app").len(), "app:cache:v1:{}".len() + 22);
        let mut out = String::new();
        base64url(b"\xfb\xff\xfe\x00", &mut out);
        assert_eq!(out, "-__-AA");
    }
}
