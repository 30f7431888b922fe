//! Why there is nothing to take over.

/// Why a request finds no session of before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Miss {
    /// No such cookie.
    NoCookie,
    /// Cookies of this name that name different sessions: one of them is somebody else's.
    Ambiguous,
    /// The cookie cannot be an id, by its length or its letters.
    NoId,
    /// The cookie is not signed, or not with these secrets.
    Signature,
    /// Nothing lies under this id: it ended, or never was.
    Gone,
    /// What lies there is no string.
    Foreign,
    /// More bytes than are read.
    TooLarge,
    /// Written by Flask-Session before 0.7. To read a pickle is to run it.
    Pickle,
    /// Neither msgpack nor JSON, not whole, nested too deeply, or no map.
    Malformed,
    /// Two keys that are one in JSON, such as `1` and `"1"`.
    Keys,
    /// An integer beyond 64 bits: two of them might come out as the same.
    Number,
}

// === impl Miss ===

impl Miss {
    /// The word for it used in logs and metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NoCookie => "no-cookie",
            Self::Ambiguous => "ambiguous",
            Self::NoId => "no-id",
            Self::Signature => "signature",
            Self::Gone => "gone",
            Self::Foreign => "foreign",
            Self::TooLarge => "too-large",
            Self::Pickle => "pickle",
            Self::Malformed => "malformed",
            Self::Keys => "keys",
            Self::Number => "number",
        }
    }
}
