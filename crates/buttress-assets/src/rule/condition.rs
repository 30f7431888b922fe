//! The conditions of a rule, but for those that it holds itself since every rule has them.

use std::fmt;
use std::sync::Arc;

use globset::GlobMatcher;
use http::Method;
use regex::Regex;

use crate::served::Served;

/// One condition of a rule.
#[derive(Clone)]
pub(super) enum Condition {
    Closure(Arc<dyn Fn(&Served<'_>) -> bool + Send + Sync>),
    Extension(Vec<Box<str>>),
    Glob(GlobMatcher),
    MediaType(Vec<Box<str>>),
    Method(Vec<Method>),
    Prefix(Box<str>),
    Regex(Regex),
    Vouched,
}

// === impl Condition ===

impl Condition {
    pub(super) fn holds(&self, served: &Served<'_>) -> bool {
        match self {
            Self::Closure(closure) => closure(served),
            Self::Extension(all) => {
                served.extension().is_some_and(|found| all.iter().any(|one| one.eq_ignore_ascii_case(found)))
            }
            Self::Glob(glob) => glob.is_match(served.path()),
            Self::MediaType(all) => served.media_type().is_some_and(|found| all.iter().any(|one| is_of(one, found))),
            Self::Method(methods) => methods.contains(served.method()),
            Self::Prefix(prefix) => served.path().starts_with(&**prefix),
            Self::Regex(regex) => regex.is_match(served.path()),
            // A 201 or a 207 is about the file, and is not it.
            Self::Vouched => served.vouched().is_some() && served.is_file(),
        }
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closure(_) => f.write_str("a closure"),
            Self::Extension(all) => write!(f, "extension {all:?}"),
            Self::Glob(glob) => write!(f, "glob {}", glob.glob()),
            Self::MediaType(all) => write!(f, "media type {all:?}"),
            Self::Method(methods) => write!(f, "method {methods:?}"),
            Self::Prefix(prefix) => write!(f, "prefix {prefix}"),
            Self::Regex(regex) => write!(f, "regex {regex}"),
            Self::Vouched => f.write_str("vouched for"),
        }
    }
}

/// Whether a media type is in a range such as `image/*`.
fn is_of(range: &str, found: &str) -> bool {
    match range.strip_suffix('*') {
        Some(top) => found.get(..top.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(top)),
        None => range.eq_ignore_ascii_case(found),
    }
}
