//! The store for tower-sessions: its `SessionStore`, kept as sessions are kept here.
//!
//! For those who use tower-sessions, or axum-login on top of it, and want their sessions in Redis through this crate's connection: with deadlines,
//! proven replies, ids that lie there only as digests, a size limit, perhaps sealed fields, and no session that comes back after it was ended.
//!
//! ```
//! use buttress_session::tower_sessions::TowerSessionsStore;
//! use buttress_session::{CookieKey, Sessions};
//!
//! let sessions = Sessions::embedded(CookieKey::random()); // or Sessions::options(key).redis(redis)
//! let store = TowerSessionsStore::new(sessions); // for tower_sessions::SessionManagerLayer::new(store)
//! # let _ = store;
//! ```
//!
//! What tower-sessions does itself stays as it is: it reads and writes a session whole, so that of two requests at the same time the last one
//! holds; and its cookie holds the bare id. [`SessionLayer`](crate::SessionLayer) does neither.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use time::OffsetDateTime;
use tower_sessions_core::SessionStore;
use tower_sessions_core::session::{Id, Record as Theirs};
use tower_sessions_core::session_store::{Error, Result};

use crate::cipher::FieldKey;
use crate::error::{SessionError, SessionErrorKind};
use crate::id::SessionId;
use crate::policy::millis;
use crate::record::{self, Fields, weight};
use crate::sessions::Sessions;
use crate::store::{Committed, Draft, Pace, Span, Store as _};
use crate::visit::Now;

/// Keeps the sessions of tower-sessions. Of the settings, those of the size, of sealed fields and of where they are kept hold; how long a session
/// lives is what tower-sessions says.
#[derive(Clone, Debug)]
pub struct TowerSessionsStore {
    sessions: Sessions,
}

/// How long a session lives is said when it is written, not when it is read.
const PACE: Pace = Pace { idle: u64::MAX, slack: u64::MAX };

// === impl TowerSessionsStore ===

impl TowerSessionsStore {
    /// Keeps them where these sessions are kept.
    #[must_use]
    pub fn new(sessions: Sessions) -> Self {
        Self { sessions }
    }

    async fn find(&self, id: &SessionId) -> Result<Option<Now>> {
        let record = self.sessions.shared.store.load(id.name(), PACE).await.map_err(backend)?;
        Ok(record.filter(|record| record.moved.is_none()).and_then(|record| {
            let key = match record.key.as_deref().map(|key| FieldKey::unwrap(id, key)) {
                Some(None) => return None,
                key => key.flatten(),
            };
            Some(Now::new(id.name(), record, key, false))
        }))
    }
}

#[async_trait]
impl SessionStore for TowerSessionsStore {
    async fn create(&self, session: &mut Theirs) -> Result<()> {
        let shared = &self.sessions.shared;
        session.id = Id::default(); // random; whatever was asked for is not adopted
        let id = id(&session.id);
        let key = shared.seals.then(FieldKey::random);
        let fields = fields(session, key.as_ref())?;
        if fields.iter().map(|(name, value)| weight(name, value)).sum::<u64>() > shared.most_bytes {
            return Err(backend(SessionError::new(SessionErrorKind::TooLarge)));
        }
        let span = Span::Of { created: millis(shared.clock.now()), ends: ends(session) };
        let key = key.map(|key| key.wrap(&id));
        let draft = Draft { idle: PACE.idle, span, login: None, logs_in: false, label: None, key, fields };
        shared.store.create(id.name(), &draft).await.map(drop).map_err(backend)
    }

    async fn save(&self, session: &Theirs) -> Result<()> {
        let shared = &self.sessions.shared;
        let id = id(&session.id);
        let key = if shared.seals { self.find(&id).await?.and_then(|now| now.key) } else { None };
        let fields = fields(session, key.as_ref())?;
        let replaced = shared.store.replace(id.name(), &fields, ends(session), shared.most_bytes).await;
        match replaced.map_err(backend)? {
            Committed::Done(_) => Ok(()),
            Committed::TooLarge(_) => Err(backend(SessionError::new(SessionErrorKind::TooLarge))),
            _ => Err(backend(SessionError::new(SessionErrorKind::Ended))),
        }
    }

    async fn load(&self, theirs: &Id) -> Result<Option<Theirs>> {
        let Some(now) = self.find(&id(theirs)).await? else { return Ok(None) };
        let named = now.plain.iter().filter_map(|(name, value)| Some((name.strip_prefix('=')?.to_owned(), value)));
        let values = named.map(|(name, value)| match serde_json::from_slice(value) {
            Ok(value) => Ok((name, value)),
            Err(error) => Err(Error::Decode(error.to_string())),
        });
        let ends = UNIX_EPOCH + Duration::from_millis(now.record.ends);
        Ok(Some(Theirs { id: *theirs, data: values.collect::<Result<_>>()?, expiry_date: OffsetDateTime::from(ends) }))
    }

    async fn delete(&self, theirs: &Id) -> Result<()> {
        self.sessions.shared.end_session(id(theirs).name(), None).await.map_err(backend)
    }
}

fn id(theirs: &Id) -> SessionId {
    SessionId::of(theirs.0.to_be_bytes())
}

fn ends(session: &Theirs) -> u64 {
    u64::try_from(session.expiry_date.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}

fn fields(session: &Theirs, key: Option<&FieldKey>) -> Result<Fields> {
    let field = |(name, value): (&String, &serde_json::Value)| {
        let name = record::user(name);
        let value = serde_json::to_vec(value).map(Bytes::from).map_err(|error| Error::Encode(error.to_string()))?;
        let value = key.map_or_else(|| value.clone(), |key| key.seal(&name, &value));
        Ok((name, value))
    };
    session.data.iter().map(field).collect()
}

fn backend(error: impl fmt::Display) -> Error {
    Error::Backend(error.to_string())
}
