//! What can go wrong with a session, in words a handler can act on.

use std::fmt;

use buttress_core::Refusal;
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};

use crate::store::StoreAway;

/// Why a session cannot be read or written.
///
/// With the feature `axum` it is a response, so that a handler may pass it on with `?`.
#[derive(Clone, Debug)]
pub struct SessionError {
    kind: SessionErrorKind,
    /// The field that it is about.
    field: Option<String>,
    source: Option<buttress_redis::Error>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SessionErrorKind {
    /// The request came with two sessions. It can read neither, and what it writes would take the place of one of them; only a login may.
    Ambiguous,
    /// Where sessions are kept cannot be reached. Whether a write happened is open.
    Away,
    /// Others write to the same field all the time.
    Contended,
    /// The session was ended while the request was served: nothing was written.
    Ended,
    /// What hangs on the session, such as its tokens, could not be ended, and so the session goes on.
    Hanging,
    /// The response was sent already, or is about to be: nothing was written.
    Late,
    /// The name of a field is empty or longer than 256 bytes; or the subject is.
    Name,
    /// There is no [`SessionLayer`](crate::SessionLayer) around this service.
    NoLayer,
    /// A field cannot be added to: it is no whole number, or would be one of more than 53 bits.
    NotANumber,
    /// The session would be larger than it may be.
    TooLarge,
    /// A field is not of the type that was asked for.
    Unreadable,
    /// A value cannot be written as JSON.
    Unwritable,
}

// === impl SessionError ===

impl SessionError {
    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> SessionErrorKind {
        self.kind
    }

    /// The field that it is about, if it is about one.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    pub(crate) const fn new(kind: SessionErrorKind) -> Self {
        Self { kind, field: None, source: None }
    }

    /// About a field, by its name in the store.
    pub(crate) fn about(kind: SessionErrorKind, field: &str) -> Self {
        Self { field: Some(field.strip_prefix(['=', '!']).unwrap_or(field).to_owned()), ..Self::new(kind) }
    }

    /// What is answered to a request that cannot be served because of it.
    pub(crate) fn refusal(&self) -> Refusal {
        let refusal = Refusal::new(self.kind.status(), self.kind.as_str()).detail(self.kind.detail());
        match self.kind {
            SessionErrorKind::Away | SessionErrorKind::Contended | SessionErrorKind::Hanging => {
                refusal.header(RETRY_AFTER, HeaderValue::from_static("1"))
            }
            _ => refusal,
        }
    }
}

// === impl SessionErrorKind ===

impl SessionErrorKind {
    /// The word for it in answers, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ambiguous => "session-ambiguous",
            Self::Away => "session-store-away",
            Self::Contended => "session-contended",
            Self::Ended => "session-ended",
            Self::Hanging => "session-not-ended",
            Self::Late => "session-late",
            Self::Name => "session-name",
            Self::NoLayer => "session-no-layer",
            Self::NotANumber => "session-not-a-number",
            Self::TooLarge => "session-too-large",
            Self::Unreadable => "session-unreadable",
            Self::Unwritable => "session-unwritable",
        }
    }

    /// The status of an answer to a request that fails because of it.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Ambiguous => StatusCode::BAD_REQUEST,
            Self::Away | Self::Contended | Self::Hanging => StatusCode::SERVICE_UNAVAILABLE,
            Self::Ended => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    const fn detail(self) -> &'static str {
        match self {
            Self::Ambiguous => "the request came with two sessions",
            Self::Away => "sessions cannot be reached at the moment",
            Self::Contended => "others write to the same field of the session all the time",
            Self::Ended => "the session was ended while the request was served; nothing was written",
            Self::Hanging => "what hangs on the session could not be ended, and so it goes on",
            Self::Late => "the session was written to when the response had begun",
            Self::Name => "the name of a field of the session, or its subject, is empty or too long",
            Self::NoLayer => "there are no sessions here",
            Self::NotANumber => "a field of the session cannot be added to",
            Self::TooLarge => "the session would be larger than it may be",
            Self::Unreadable => "a field of the session is of another type",
            Self::Unwritable => "a value for the session cannot be written",
        }
    }
}

impl From<StoreAway> for SessionError {
    fn from(StoreAway(error): StoreAway) -> Self {
        Self { source: Some(error), ..Self::new(SessionErrorKind::Away) }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.detail())?;
        match &self.field {
            Some(field) => write!(f, ": `{}`", field.escape_debug()),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SessionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}
