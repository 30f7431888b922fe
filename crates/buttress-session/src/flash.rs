//! Messages for the next page.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::changes::Op;
use crate::error::SessionError;
use crate::record;
use crate::session::{Session, read, written};

/// A message for the page that is shown next, such as the one that a form redirects to.
///
/// ```
/// use buttress_session::{Level, Session, SessionError};
///
/// async fn save(session: &Session) -> Result<(), SessionError> {
///     session.flash(Level::Success, "saved").await // and redirect
/// }
///
/// async fn page(session: &Session) -> Result<(), SessionError> {
///     for flash in session.flashes().await? {
///         println!("{}: {}", flash.level.as_str(), flash.message);
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Flash {
    /// How it is meant.
    pub level: Level,
    /// What it says. Escape it where it is shown.
    pub message: String,
}

/// How a message is meant.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For who builds the application.
    Debug,
    /// Something is so.
    Info,
    /// Something was done.
    Success,
    /// Something should be looked at.
    Warning,
    /// Something was not done.
    Error,
}

impl<T> Session<T> {
    /// Leaves a message for the next page. It counts towards the size of the session until it is shown.
    ///
    /// # Errors
    /// The session would be too large, has ended, or cannot be reached; the response has begun.
    pub async fn flash(&self, level: Level, message: impl Into<String>) -> Result<(), SessionError> {
        let flash = Flash { level, message: message.into() };
        let push = move |mut all: Vec<Flash>| {
            all.push(flash.clone());
            all
        };
        self.on_flashes(push).await
    }

    /// The messages that were left, which are gone then: the oldest first.
    ///
    /// # Errors
    /// The session has ended or cannot be reached; the response has begun.
    pub async fn flashes(&self) -> Result<Vec<Flash>, SessionError> {
        let all = all(self.visit.read().await?.view.get(&name()));
        if all.is_empty() {
            return Ok(all);
        }
        let shown = all.clone();
        // What another request has left meanwhile stays; what it has shown is shown twice.
        let rest = move |all: Vec<Flash>| all.strip_prefix(&shown[..]).map(<[_]>::to_vec).unwrap_or(all);
        self.on_flashes(rest).await?;
        Ok(all)
    }

    async fn on_flashes(
        &self,
        change: impl Fn(Vec<Flash>) -> Vec<Flash> + Send + Sync + 'static,
    ) -> Result<(), SessionError> {
        let updater = move |is: Option<&Bytes>| {
            let flashes = change(all(is));
            if flashes.is_empty() { Ok(None) } else { written(&name(), &flashes).map(Some) }
        };
        self.visit.change(Op::Update(name(), Arc::new(updater))).await.map(drop)
    }
}

fn name() -> String {
    record::own("flash")
}

/// Messages of another version are none.
fn all(is: Option<&Bytes>) -> Vec<Flash> {
    is.and_then(|is| read(&name(), is).ok()).unwrap_or_default()
}

// === impl Level ===

impl Level {
    /// The word for it, as for a class of a style sheet.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}
