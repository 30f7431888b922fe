//! Why a build could not be read.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::manifest::ManifestError;

/// Why a build could not be read.
#[derive(Debug)]
pub struct BuildError {
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Io(std::io::Error),
    Manifest(ManifestError),
    Nothing,
    Tag,
}

// === impl BuildError ===

impl BuildError {
    /// The file or directory that is the matter.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn io(path: &Path, error: std::io::Error) -> Self {
        Self { path: path.to_owned(), cause: Cause::Io(error) }
    }

    pub(crate) fn manifest(path: &Path, error: ManifestError) -> Self {
        Self { path: path.to_owned(), cause: Cause::Manifest(error) }
    }

    pub(crate) fn nothing() -> Self {
        Self { path: PathBuf::new(), cause: Cause::Nothing }
    }

    pub(crate) fn tag(path: &Path) -> Self {
        Self { path: path.to_owned(), cause: Cause::Tag }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.cause {
            Cause::Io(error) => write!(f, "{path}: {error}"),
            Cause::Manifest(error) => write!(f, "{path}: {error}"),
            Cause::Nothing => f.write_str("a build needs a directory, a manifest, a file or a trusted path"),
            Cause::Tag => write!(f, "{path}: no entity tag in it, such as \"v1\""),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Io(error) => Some(error),
            Cause::Manifest(error) => Some(error),
            Cause::Nothing | Cause::Tag => None,
        }
    }
}
