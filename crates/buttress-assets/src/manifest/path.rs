//! A path as a build tool writes it, below the root that it does not know.

use super::{ManifestError, Shape};

/// The path below a root: of a URL, what follows its host; empty and `.` segments are dropped.
pub(super) fn below_root(written: &str, shape: Shape) -> Result<Box<str>, ManifestError> {
    let fault = |why| Err(ManifestError::path(written, why));
    let path = without_host(written);
    match path {
        _ if path.contains('\\') => return fault("has a backslash"),
        _ if path.chars().any(char::is_control) => return fault("has a control character"),
        _ if path.ends_with('/') => return fault("names a directory"),
        _ => {}
    }
    let mut segments = path.split('/').filter(|segment| !matches!(*segment, "" | ".")).peekable();
    if is_of_where_it_ran(shape) {
        while segments.next_if(|segment| *segment == "..").is_some() {}
    }
    let segments: Vec<_> = segments.collect();
    match segments.as_slice() {
        [] => fault("is empty"),
        segments if segments.iter().any(|segment| is_parent(segment)) => fault("leads out of it"),
        segments => Ok(segments.join("/").into()),
    }
}

/// A path without the query behind it, and whether it had one: webpack can write the hash there (`main.js?5f2d9c81`), and then
/// the file is always the same.
pub(super) fn without_query(written: &str) -> (&str, bool) {
    written.split_once('?').map_or((written, false), |(path, _)| (path, true))
}

/// Whether a tool counts from the directory that it ran in, so that paths may begin with `..`: Phoenix runs esbuild in
/// `assets`, and has it write to `../priv/static`; webpack's plugins write pages beside its directory.
fn is_of_where_it_ran(shape: Shape) -> bool {
    matches!(shape, Shape::Esbuild | Shape::WebpackStats)
}

/// A URL's path: what follows `scheme://host` or `//host`.
fn without_host(written: &str) -> &str {
    let after_scheme = written.split_once("://").filter(|(scheme, _)| is_scheme(scheme)).map(|(_, rest)| rest);
    match after_scheme.or_else(|| written.strip_prefix("//")) {
        Some(rest) => rest.find('/').map_or("", |at| &rest[at..]),
        None => written,
    }
}

/// RFC 3986 section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// `..`, also as a browser reads it.
fn is_parent(segment: &str) -> bool {
    segment.len() <= "%2e%2e".len() && segment.to_ascii_lowercase().replace("%2e", ".") == ".."
}
