//! Who is logged in: login, logout, and what a page may know of it.

use std::time::{Duration, SystemTime};

use data_encoding::BASE64URL_NOPAD;

use crate::error::{SessionError, SessionErrorKind};
use crate::policy::{self, millis};
use crate::record::LoggedIn;
use crate::session::Session;
use crate::sessions::{Sessions, time};
use crate::visit::{Intent, Login, State};

/// The longest subject.
const LONGEST_SUBJECT: usize = 256;

impl<T> Session<T> {
    /// Somebody has proved who they are. The session goes on under a new id, so that nobody who knew the old one is logged in with them; what is in
    /// it stays, unless it was somebody else's. Answers the name of the login ([`sid`](Self::sid)).
    ///
    /// Logging in again as the same subject says that they have proved it again ([`authenticated`](Self::authenticated)); the login keeps its name.
    ///
    /// # Errors
    /// The session cannot be reached, the response has begun, or the subject is empty or longer than 256 bytes.
    pub async fn login(&self, subject: impl Into<String>) -> Result<String, SessionError> {
        let subject = subject.into();
        if subject.is_empty() || subject.len() > LONGEST_SUBJECT {
            return Err(SessionError::new(SessionErrorKind::Name));
        }
        let mut state = self.visit.read().await?;
        state.may_begin()?;
        let was = state.login();
        if was.as_ref().is_some_and(|was| was.subject != subject) {
            state.clear();
            state.intent.ends |= state.now.as_ref().is_some_and(|now| !policy::goes_over(&now.record, &subject));
        }
        let goes_on = was.filter(|was| was.subject == subject && !state.is_frozen());
        let sid = goes_on.map_or_else(|| BASE64URL_NOPAD.encode(&rand::random::<[u8; 16]>()), |was| was.sid);
        let at = millis(self.visit.shared().clock.now());
        state.forget_csrf_token();
        state.intent.login = Some(Login { subject, sid: sid.clone(), at });
        Ok(sid)
    }

    /// Nobody is logged in any more: the session ends with all that is in it and what hangs on it, and its cookie is taken back. What is written
    /// after this, such as a flash message, goes into a new one.
    ///
    /// # Errors
    /// The session cannot be reached, the response has begun, or somebody has logged in since the request was sent.
    pub async fn logout(&self) -> Result<(), SessionError> {
        let mut state = self.visit.write().await?;
        state.end();
        Ok(())
    }

    /// Ends the session as [`logout`](Self::logout) does, and what is written after this is an error.
    ///
    /// # Errors
    /// As [`logout`](Self::logout).
    pub async fn destroy(&self) -> Result<(), SessionError> {
        let mut state = self.visit.write().await?;
        state.end();
        state.closed = true;
        Ok(())
    }

    /// The session goes on under a new id: after a change of rights that is no login, or now and then. The old one is good for requests on their
    /// way, for the [grace](crate::SessionsOptions::grace).
    ///
    /// # Errors
    /// The session cannot be reached, or the response has begun.
    pub async fn renew(&self) -> Result<(), SessionError> {
        let mut state = self.visit.write().await?;
        state.intent.renews = true;
        Ok(())
    }

    /// Who is logged in.
    ///
    /// # Errors
    /// Where sessions are kept cannot be reached.
    pub async fn subject(&self) -> Result<Option<String>, SessionError> {
        Ok(self.visit.read().await?.login().map(|login| login.subject))
    }

    /// Who is logged in, for a layer that passes it on in the request: unlike after [`subject`](Self::subject), the answer does not count as one that
    /// depends on the session. Whoever asks has to see to it where somebody is logged in: by [`subject`](Self::subject), or by
    /// [`Identified`](buttress_core::Identified) in the request.
    ///
    /// # Errors
    /// Where sessions are kept cannot be reached.
    pub async fn peek_subject(&self) -> Result<Option<String>, SessionError> {
        Ok(self.visit.peek().await?.login().map(|login| login.subject))
    }

    /// The name of the login, which stays when the id changes and gives no access: for the claim `sid` of tokens that end with it, for a log, for
    /// [`Sessions::end`].
    ///
    /// # Errors
    /// Where sessions are kept cannot be reached.
    pub async fn sid(&self) -> Result<Option<String>, SessionError> {
        Ok(self.visit.read().await?.login().map(|login| login.sid))
    }

    /// When they proved last who they are.
    ///
    /// # Errors
    /// Where sessions are kept cannot be reached.
    pub async fn authenticated(&self) -> Result<Option<SystemTime>, SessionError> {
        Ok(self.visit.read().await?.login().map(|login| time(login.at)))
    }

    /// Whether they proved within this time who they are: before a password is changed, for instance. Otherwise let them do it again, and
    /// [`login`](Self::login).
    ///
    /// # Errors
    /// Where sessions are kept cannot be reached.
    pub async fn is_fresh(&self, within: Duration) -> Result<bool, SessionError> {
        let now = self.visit.shared().clock.now();
        let since = |at| now.duration_since(at).unwrap_or_default();
        Ok(self.authenticated().await?.is_some_and(|at| since(at) <= within))
    }

    /// Where this session is kept, to list and end the logins of its subject.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.visit.settings.sessions
    }
}

// === impl State ===

impl State {
    /// Who is logged in, by what was found and what was done.
    pub(crate) fn login(&self) -> Option<LoggedIn> {
        if let Some(Login { subject, sid, at }) = self.intent.login.clone() {
            return Some(LoggedIn { subject, sid, at });
        }
        self.now.as_ref().filter(|_| !self.intent.ends)?.record.login.clone()
    }

    fn is_frozen(&self) -> bool {
        self.now.as_ref().is_some_and(|now| now.frozen)
    }

    fn end(&mut self) {
        self.clear();
        self.intent = Intent { ends: true, ..Intent::default() };
    }
}
