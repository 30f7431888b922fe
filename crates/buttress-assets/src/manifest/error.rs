//! Why a manifest cannot be read.

use std::fmt;

/// Why a manifest cannot be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ManifestError {
    /// It lists nothing.
    Empty,
    /// It is no JSON; where, and why.
    Json(serde_json::Error),
    /// This path leads out of the build, or nowhere.
    Path(Box<str>),
    /// It is so many bytes long, which is more than 64 MiB.
    TooLarge(usize),
    /// It is JSON, and no manifest of a known tool.
    UnknownShape,
}

// === impl ManifestError ===

impl ManifestError {
    /// Whether it is well-formed, and something else.
    #[must_use]
    pub fn is_unknown_shape(&self) -> bool {
        matches!(self, Self::UnknownShape)
    }

    pub(super) fn json(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the manifest lists nothing"),
            Self::Json(error) => write!(f, "no JSON: {error}"),
            Self::Path(path) => write!(f, "{path:?} is no path below the build"),
            Self::TooLarge(bytes) => write!(f, "{bytes} bytes are too many for a manifest"),
            Self::UnknownShape => f.write_str("no manifest of a known build tool"),
        }
    }
}

impl std::error::Error for ManifestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Json(error) => Some(error),
            _ => None,
        }
    }
}
