//! Why a manifest could not be read: what is the matter, and the value that it is the matter with.

use std::fmt;

use serde_json::error::Category;
use serde_json::value::RawValue;

use super::outputs::MOST_OUTPUTS;
use super::{MOST_BYTES, Members, Shape};

/// So much of an offending value is kept, in characters.
const CLIP: usize = 120;
/// So many members are named of what is no manifest.
const NAMED: usize = 4;

/// Why a manifest could not be read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ManifestError {
    /// It lists no file.
    Empty,
    /// An entry is not as its shape has it.
    Entry {
        /// What the rest is.
        shape: Shape,
        /// The member.
        key: Box<str>,
        /// What it holds, as it is written, or the beginning of that.
        value: Box<str>,
    },
    /// It is not JSON.
    Json {
        /// Counted from one.
        line: usize,
        /// In bytes.
        column: usize,
    },
    /// It is JSON, but no object.
    NotAnObject,
    /// An entry names what cannot be a file below a root.
    Path {
        /// As it is written, or the beginning of it.
        path: Box<str>,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It is longer than 64 MiB.
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It lists more than 200,000 files.
    TooMany,
    /// It is not built as any known manifest is.
    UnknownShape {
        /// The first of its members.
        members: Box<str>,
    },
}

// === impl ManifestError ===

impl ManifestError {
    /// Whether it may be no manifest at all, but something else of the same name: `manifest.json` is a web application's
    /// just as often.
    #[must_use]
    pub fn is_unknown_shape(&self) -> bool {
        matches!(self, Self::UnknownShape { .. } | Self::NotAnObject)
    }

    /// Of a value that should be an object.
    pub(super) fn json(error: serde_json::Error) -> Self {
        match error.classify() {
            // The members are taken as they are, so only the whole can be of another type.
            Category::Data => Self::NotAnObject,
            _ => Self::Json { line: error.line(), column: error.column() },
        }
    }

    pub(super) fn unknown(members: &Members<'_>) -> Self {
        if members.is_empty() {
            return Self::Empty;
        }
        let names: Vec<_> = members.keys().take(NAMED).map(|name| format!("`{}`", clip(name))).collect();
        Self::UnknownShape { members: names.join(", ").into() }
    }

    pub(super) fn entry(shape: Shape, key: &str, value: &RawValue) -> Self {
        Self::Entry { shape, key: clip(key), value: clip(value.get()) }
    }

    pub(super) fn path(path: &str, why: &'static str) -> Self {
        Self::Path { path: clip(path), why }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the manifest lists nothing"),
            Self::Entry { shape, key, value } => {
                write!(f, "no entry of a manifest of {}: {key:?} is {value}", of(*shape))
            }
            Self::Json { line, column } => write!(f, "no JSON: line {line}, column {column}"),
            Self::NotAnObject => f.write_str("no JSON object"),
            Self::Path { path, why } => write!(f, "{path:?} is no path below the build: it {why}"),
            Self::TooLong { bytes } => write!(f, "{bytes} bytes long, where at most {MOST_BYTES} are read"),
            Self::TooMany => write!(f, "more than {MOST_OUTPUTS} files"),
            Self::UnknownShape { members } => write!(f, "no known manifest has these members: {members}"),
        }
    }
}

impl std::error::Error for ManifestError {}

fn of(shape: Shape) -> &'static str {
    match shape {
        Shape::Map => "names",
        shape => shape.as_str(),
    }
}

fn clip(text: &str) -> Box<str> {
    text.char_indices().nth(CLIP).map_or_else(|| text.into(), |(at, _)| format!("{}…", &text[..at]).into())
}
