//! A session under a new id: created first, told to nobody, and ended again where what was to follow has failed.

use crate::cipher::FieldKey;
use crate::error::{SessionError, SessionErrorKind};
use crate::id::{Name, SessionId};
use crate::record::{Entry, Fields, LoggedIn, Record, weight};
use crate::sessions::Shared;
use crate::store::{Draft, Noted, Span, Store as _};
use crate::visit::{CookieFate, Login, Now, Visit};

/// A session that was created, and that nobody else knows.
pub(crate) struct Fresh {
    pub(crate) id: SessionId,
    pub(crate) now: Now,
    pub(crate) created_at: u64,
}

/// What came of what was done.
pub(crate) struct Kept {
    pub(crate) now: Option<Now>,
    pub(crate) cookie: Option<CookieFate>,
}

/// Whose session is created.
pub(crate) enum Who {
    Nobody,
    /// Theirs who was logged in, with the label of the device.
    Still(LoggedIn, Option<String>),
    /// Theirs who logs in now.
    Anew(Login, String),
}

// === impl Fresh ===

impl Fresh {
    /// Its cookie is set if it is `ours`.
    pub(crate) fn kept(self, visit: &Visit, is_ours: bool) -> Kept {
        let seconds = visit.seconds_until(self.now.record.ends);
        Kept { cookie: is_ours.then_some(CookieFate::IsSet(self.id, seconds)), now: Some(self.now) }
    }

    /// Its entry among the logins of its subject.
    pub(crate) fn entry(&self, login: &Login) -> Entry {
        Entry {
            sid: login.sid.clone(),
            name: self.now.name,
            former: None,
            created: self.created_at,
            ends: self.now.record.ends,
            doomed: false,
            label: self.now.record.label.clone().unwrap_or_default(),
        }
    }

    /// The login of the old session is in this one from now on; if it has been ended meanwhile, so has this. False if another request came by the old
    /// one, and has taken it further already: its browser is the same, and gets that one's cookie.
    pub(crate) async fn take_over(&self, shared: &Shared, old: &Now) -> Result<bool, SessionError> {
        let Some(login) = &old.record.login else { return Ok(true) };
        let to = (self.now.name, self.now.record.ends);
        match shared.store.move_to(Name::of_subject(&login.subject), &login.sid, &old.line(), to).await? {
            Noted::Done => Ok(true),
            Noted::Elsewhere => Ok(false),
            Noted::Ended => {
                self.undo(shared, None).await?;
                Err(SessionError::new(SessionErrorKind::Ended))
            }
        }
    }

    /// Nobody needs it, nor what it went on as.
    pub(crate) async fn undo(&self, shared: &Shared, noted: Option<&Login>) -> Result<(), SessionError> {
        shared.end_line(self.now.name, None, true).await?;
        if let Some(login) = noted {
            let ended = (login.sid.clone(), self.now.name);
            shared.store.strike(Name::of_subject(&login.subject), &[ended]).await?;
        }
        Ok(())
    }
}

/// Creates a session, under an id that nobody was told.
pub(crate) async fn create(
    shared: &Shared,
    key: Option<FieldKey>,
    plain: Fields,
    span: Span,
    who: Who,
) -> Result<Fresh, SessionError> {
    if plain.iter().map(|(name, value)| weight(name, value)).sum::<u64>() > shared.most_bytes {
        return Err(SessionError::new(SessionErrorKind::TooLarge));
    }
    let id = SessionId::random();
    let fields = match &key {
        Some(key) => plain.iter().map(|(name, value)| (name.clone(), key.seal(name, value))).collect(),
        None => plain.clone(),
    };
    let (login, logs_in, label) = match who {
        Who::Nobody => (None, false, None),
        Who::Still(login, label) => (Some(login), false, label),
        Who::Anew(Login { subject, sid, at }, label) => (Some(LoggedIn { subject, sid, at }), true, Some(label)),
    };
    let key_at_rest = key.as_ref().map(|key| key.wrap(&id));
    let draft =
        Draft { idle: shared.idle, span, login, logs_in, label, key: key_at_rest.clone(), fields: fields.clone() };
    let name = id.name();
    let born = shared.store.create(name, &draft).await?;
    let Draft { login, label, .. } = draft;
    let login = login.map(|login| LoggedIn { at: if logs_in { born.now } else { login.at }, ..login });
    let created = match span {
        Span::New(_) => born.now,
        Span::Of { created, .. } => created,
    };
    let record = Record {
        version: 1,
        created,
        ends: born.ends,
        seen: born.now,
        login,
        label,
        key: key_at_rest,
        moved: None,
        fields,
    };
    Ok(Fresh { id, now: Now { name, record, plain, key, frozen: false, came_by: Vec::new() }, created_at: born.now })
}

/// Tells the log and the metrics how a session got its id.
pub(crate) fn note(what: &'static str, name: Name) {
    metrics::counter!("buttress_session_created_total", "how" => what).increment(1);
    tracing::debug!(target: "buttress_session", session = %name, "{what}");
}
