//! What can go wrong while a value is looked up.

use std::fmt;

/// Why there is no value.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MemoError<E> {
    /// The loader's own error. It is stored nowhere.
    Load(E),
    /// The loader of this key asks for this key.
    Recursive,
    /// The loader panicked, or its runtime was shut down.
    Panicked,
    /// The key cannot be encoded.
    Key(String),
}

// === impl MemoError ===

impl<E> MemoError<E> {
    /// The loader's error, if it is one.
    pub fn into_load(self) -> Option<E> {
        match self {
            Self::Load(error) => Some(error),
            Self::Recursive | Self::Panicked | Self::Key(_) => None,
        }
    }
}

impl<E: fmt::Display> fmt::Display for MemoError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(error) => write!(f, "the value could not be loaded: {error}"),
            Self::Recursive => f.write_str("the loader of a key asks for the same key"),
            Self::Panicked => f.write_str("the loader panicked"),
            Self::Key(why) => write!(f, "the key cannot be encoded: {why}"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for MemoError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Load(error) => Some(error),
            Self::Recursive | Self::Panicked | Self::Key(_) => None,
        }
    }
}
