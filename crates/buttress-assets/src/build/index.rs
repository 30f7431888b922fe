//! The table that requests are looked up in.

use std::borrow::Cow;
use std::collections::HashMap;

use http::HeaderValue;
use percent_encoding::percent_decode_str;

use super::Vouched;
use crate::name::{NotAHash, file_name, hash_in, is_map};

/// What is known of all files.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) one_mtime: bool,
    /// What a manifest lists, and is no file.
    pub(crate) missing: Vec<Box<str>>,
    /// By the path of the URL, decoded.
    files: Files,
    trusted: Vec<Box<str>>,
}

/// Looked into for each request; whoever asks does not choose what stands in it, so that a quick hash will do.
pub(crate) type Files = HashMap<Box<str>, File, foldhash::fast::RandomState>;

/// What is known of one file.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// Who says that it never changes, or why nobody does.
    pub(crate) vouched: Result<Vouched, NotVouched>,
    /// `None` if only its name is known.
    pub(crate) content: Option<Content>,
    /// The same file in a coding, as `app.js.br` lies beside `app.js`.
    pub(crate) coded: Vec<(&'static str, Content)>,
}

/// What is known of a file's bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Content {
    pub(crate) length: u64,
    pub(crate) tag: Option<HeaderValue>,
    /// When it was modified, as `Last-Modified` says it; `None` if it cannot be modified where it is served, or lies elsewhere.
    pub(crate) modified: Option<HeaderValue>,
}

/// How a response is the file that was read under its name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Is<'a> {
    /// Its bytes, or those of a coded form that lies beside it.
    Stored(&'a Content),
    /// A form of it that was coded on the way.
    Coded(&'a Content),
    /// Only its name is known.
    Named,
}

/// What can be seen of a response's content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) coding: Option<&'a str>,
    pub(crate) length: Option<u64>,
    pub(crate) modified: Option<&'a HeaderValue>,
}

/// Why nobody says that a file never changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotVouched {
    /// Its name does not even look hashed.
    Name(NotAHash),
    /// It looks hashed, and neither manifest nor content nor operator say that it is.
    LooksOnly,
    /// A manifest lists it, and its content may change without its hash; or it is a source map.
    Uncovered,
}

/// Codings of precompressed files, by the extension they carry.
const CODINGS: [(&str, &str); 4] = [(".br", "br"), (".gz", "gzip"), (".zst", "zstd"), (".zz", "deflate")];

// === impl Index ===

impl Index {
    pub(crate) fn new(files: Files, trusted: Vec<Box<str>>, missing: Vec<Box<str>>, one_mtime: bool) -> Self {
        Self { one_mtime, missing, files, trusted }
    }

    /// What is known of what is served under this path, decoded.
    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    pub(crate) fn vouches_for(&self, path: &str) -> Option<Vouched> {
        match self.file(path) {
            Some(file) => file.vouched.ok(),
            None => self.trusts(path).then_some(Vouched::Path),
        }
    }

    /// Whether the operator's word covers a path that is not in the table.
    fn trusts(&self, path: &str) -> bool {
        self.trusted.iter().any(|prefix| path.starts_with(&**prefix))
            && !path.contains(['%', '\\']) // it could not be decoded, and may lead elsewhere
            && !path.contains("/../")
            && !is_map(path)
            && hash_in(file_name(path)).is_ok()
    }

    /// The files; directories, which stand for their `index.html`, are not counted again.
    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|(path, _)| !path.ends_with('/')).map(|(_, file)| file)
    }
}

// === impl File ===

impl File {
    #[cfg(test)]
    pub(crate) fn of(content: Content, coded: Vec<(&'static str, Content)>) -> Self {
        Self { vouched: Err(NotVouched::LooksOnly), content: Some(content), coded }
    }

    /// Whether a response is this file, as far as its length and time of modification tell: neither may be another one, and one of
    /// them has to be there where the file can be replaced.
    pub(crate) fn is(&self, seen: Seen<'_>) -> Option<Is<'_>> {
        let Some(plain) = &self.content else { return Some(Is::Named) };
        let Some(coding) = seen.coding else { return plain.fits(seen).then_some(Is::Stored(plain)) };
        let stored =
            self.coded.iter().find(|(known, _)| known.eq_ignore_ascii_case(coding)).map(|(_, content)| content);
        // What is coded on the way is as long as it happens to be.
        let coded = || plain.fits(Seen { length: None, ..seen }).then_some(Is::Coded(plain));
        stored.filter(|content| seen.length.is_some() && content.fits(seen)).map(Is::Stored).or_else(coded)
    }
}

// === impl Content ===

impl Content {
    fn fits(&self, seen: Seen<'_>) -> bool {
        let is_long = seen.length.map(|length| length == self.length);
        let is_dated = self.modified.as_ref().zip(seen.modified).map(|(known, found)| known == found);
        let is_known = is_long.is_some() || is_dated.is_some() || self.modified.is_none();
        is_known && is_long != Some(false) && is_dated != Some(false)
    }
}

/// A path of a URL without its percent-encoding; borrowed where it has none. What is no UTF-8 stays as it is, and is found nowhere.
pub(crate) fn decoded(path: &str) -> Cow<'_, str> {
    if !path.as_bytes().contains(&b'%') {
        return Cow::Borrowed(path);
    }
    percent_decode_str(path).decode_utf8().unwrap_or(Cow::Borrowed(path))
}

/// The coding that a file's extension says it is in, and its path without that extension.
pub(crate) fn coding(path: &str) -> Option<(&str, &'static str)> {
    CODINGS.iter().find_map(|(extension, coding)| Some((path.strip_suffix(extension)?, *coding)))
}
