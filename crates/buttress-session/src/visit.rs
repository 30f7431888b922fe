//! One request's view of its session: what it came with, what was read, what was done, and what becomes of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buttress_core::{Outage, Personal};
use tokio::sync::OnceCell;

use crate::changes::{Changes, Op};
use crate::cipher::FieldKey;
use crate::error::{SessionError, SessionErrorKind};
use crate::id::{Name, Sealed, SessionId};
use crate::layer::{DeviceLabel, Settings};
use crate::policy::{self, Found, Presented};
use crate::record::{Fields, How, Record, weight};
use crate::sessions::Shared;
use crate::store::{Store as _, StoreAway};

/// One request's view of its session. All handles of the request share it.
pub(crate) struct Visit {
    pub(crate) settings: Arc<Settings>,
    candidates: Option<Vec<Sealed>>,
    /// What was noted of the device.
    pub(crate) label: DeviceLabel,
    personal: Personal,
    touched: AtomicBool,
    loaded: OnceCell<()>,
    /// Held by who writes to the store.
    pub(crate) writing: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

/// What is known and what is to be done.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The session as it was found, if it was.
    pub(crate) now: Option<Now>,
    /// Its fields, with what was done to them.
    pub(crate) view: Fields,
    pub(crate) changes: Changes,
    pub(crate) intent: Intent,
    /// What becomes of the cookie.
    pub(crate) cookie: CookieFate,
    /// The id that was about to be the session's, as long as nobody has heard what became of that.
    pub(crate) begun: Option<SessionId>,
    /// Why nothing is known.
    pub(crate) away: Option<SessionError>,
    /// The request came with a cookie, good or not.
    pub(crate) came_with_cookie: bool,
    /// The request came with more than one session.
    pub(crate) ambiguous: bool,
    /// The session was destroyed: nothing comes after it.
    pub(crate) closed: bool,
    /// The response has begun, or is about to.
    pub(crate) late: bool,
    /// A write came then. It is told only once.
    told_late: bool,
}

/// A session that was found.
#[derive(Clone, Debug)]
pub(crate) struct Now {
    /// Where it is.
    pub(crate) name: Name,
    pub(crate) record: Record,
    /// Its fields, opened.
    pub(crate) plain: Fields,
    pub(crate) key: Option<FieldKey>,
    /// Somebody logged in since the request was sent: it can be read, and not written.
    pub(crate) frozen: bool,
    /// By which ids the request came here, if the session was renewed since it was sent; the last one first.
    pub(crate) came_by: Vec<Name>,
}

/// What is to become of the session, beside its fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intent {
    /// It ends.
    pub(crate) ends: bool,
    /// It goes on under another id.
    pub(crate) renews: bool,
    pub(crate) login: Option<Login>,
}

/// Somebody logs in.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) subject: String,
    pub(crate) sid: String,
    /// By this process's clock; the store's holds in the end.
    pub(crate) at: u64,
}

/// What becomes of the cookie.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum CookieFate {
    /// It is left alone. A cookie that is not good is, too: the browser may have a better one by now.
    #[default]
    Stays,
    /// It is set, for a session that lives so many more seconds.
    IsSet(SessionId, u64),
    /// It is taken back, since its session was ended here.
    IsUnset,
}

// === impl Visit ===

impl Visit {
    pub(crate) fn new(
        settings: Arc<Settings>,
        candidates: Option<Vec<Sealed>>,
        label: DeviceLabel,
        personal: Personal,
    ) -> Self {
        Self {
            settings,
            candidates,
            label,
            personal,
            touched: AtomicBool::new(false),
            loaded: OnceCell::new(),
            writing: tokio::sync::Mutex::new(()),
            state: Mutex::default(),
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.settings.sessions.shared
    }

    /// Whether the answer depends on the session.
    pub(crate) fn is_touched(&self) -> bool {
        self.touched.load(Ordering::Acquire)
    }

    /// The state, as it is.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state when the session was looked for; the answer depends on it from now on.
    pub(crate) async fn read(&self) -> Result<MutexGuard<'_, State>, SessionError> {
        self.personal.mark();
        self.touched.store(true, Ordering::Release);
        self.peek().await
    }

    /// The state when the session was looked for, by who answers for what depends on it.
    pub(crate) async fn peek(&self) -> Result<MutexGuard<'_, State>, SessionError> {
        self.prefetch().await;
        let state = self.state();
        match &state.away {
            Some(error) if self.settings.outage == Outage::Closed => {
                self.touched.store(true, Ordering::Release); // the layer answers
                Err(error.clone())
            }
            _ => Ok(state),
        }
    }

    /// The state, if something can be done to it.
    pub(crate) async fn write(&self) -> Result<MutexGuard<'_, State>, SessionError> {
        let mut state = self.read().await?;
        state.may_write()?;
        Ok(state)
    }

    /// Does something to the fields.
    pub(crate) async fn change(&self, op: Op) -> Result<MutexGuard<'_, State>, SessionError> {
        let mut state = self.write().await?;
        state.apply(op, self.shared().most_bytes)?;
        Ok(state)
    }

    /// For how long the browser may keep the cookie of a session that ends then.
    pub(crate) fn seconds_until(&self, ends: u64) -> u64 {
        ends.saturating_sub(policy::millis(self.shared().clock.now())).div_ceil(1000)
    }

    /// Looks for the session, if nobody has.
    pub(crate) async fn prefetch(&self) {
        self.loaded.get_or_init(|| self.load()).await;
    }

    async fn load(&self) {
        let presented = policy::presented(self.candidates.as_deref(), &self.settings.sealer);
        self.state().came_with_cookie = presented != Presented::Nothing;
        let outcome = match presented {
            Presented::Nothing => "none",
            Presented::Forged => "forged",
            Presented::Ambiguous => {
                self.state().ambiguous = true;
                "ambiguous"
            }
            Presented::One { id, by_former_key } => match find(self.shared(), &id).await {
                Ok(None) => "unknown",
                Ok(Some(now)) => {
                    let seal_again = by_former_key.then(|| (id, self.seconds_until(now.record.ends)));
                    self.state().found(now, seal_again);
                    "found"
                }
                Err(error) => {
                    tracing::warn!(target: "buttress_session", error = %error.0, "sessions cannot be reached");
                    self.state().away = Some(error.into());
                    "away"
                }
            },
        };
        metrics::counter!("buttress_session_loads_total", "outcome" => outcome).increment(1);
    }
}

/// Requests on their way may come by an id that was followed by so many others meanwhile.
const MOST_HOPS: usize = 4;

/// The session of an id. One that moved is followed, and has ended if its successor has.
async fn find(shared: &Shared, id: &SessionId) -> Result<Option<Now>, StoreAway> {
    let mut name = id.name();
    let Some(mut record) = shared.store.load(name, shared.pace()).await? else { return Ok(None) };
    let key = match record.key.as_deref().map(|key| FieldKey::unwrap(id, key)) {
        Some(None) => {
            metrics::counter!("buttress_session_bad_records_total").increment(1);
            return Ok(None);
        }
        key => key.flatten(),
    };
    let mut before: Option<(Name, Record)> = None;
    let mut came_by = Vec::new();
    for _ in 0..MOST_HOPS {
        let Found::Follow(moved) = policy::found(&record) else {
            return Ok(Some(match before {
                Some((name, record)) => Now::new(name, record, key, true),
                None => Now { came_by, ..Now::new(name, record, key, false) },
            }));
        };
        let Some(successor) = shared.store.load(moved.to, shared.pace()).await? else { return Ok(None) };
        if moved.how == How::Raised && before.is_none() {
            before = Some((name, record));
        }
        came_by.insert(0, name);
        (name, record) = (moved.to, successor);
    }
    Ok(None)
}

// === impl Now ===

impl Now {
    pub(crate) fn new(name: Name, record: Record, key: Option<FieldKey>, frozen: bool) -> Self {
        let plain = match &key {
            None => record.fields.clone(),
            Some(key) => {
                let opened = record.fields.iter().map(|(name, value)| Some((name.clone(), key.open(name, value)?)));
                let opened: Vec<_> = opened.collect();
                let bad = opened.iter().filter(|field| field.is_none()).count();
                metrics::counter!("buttress_session_bad_records_total").increment(bad as u64);
                opened.into_iter().flatten().collect()
            }
        };
        Self { name, record, plain, key, frozen, came_by: Vec::new() }
    }

    /// The same session as it is by now.
    pub(crate) fn again(&self, record: Record) -> Self {
        let came_by = self.came_by.clone();
        Self { came_by, ..Self::new(self.name, record, self.key.clone(), self.frozen) }
    }

    /// All ids of this session that the request knows, the last one first.
    pub(crate) fn line(&self) -> Vec<Name> {
        std::iter::once(self.name).chain(self.came_by.iter().copied()).collect()
    }
}

// === impl State ===

impl State {
    fn found(&mut self, now: Now, seal_again: Option<(SessionId, u64)>) {
        // Only for the session that lies under this id: requests on their way have no say in the cookie.
        if let Some((id, seconds)) = seal_again.filter(|(id, _)| id.name() == now.name) {
            self.cookie = CookieFate::IsSet(id, seconds);
        }
        self.view = now.plain.clone();
        self.now = Some(now);
    }

    /// Whether the response has not begun; an error that nobody looks at is told to the log.
    pub(crate) fn in_time(&mut self) -> Result<(), SessionError> {
        if !self.late {
            return Ok(());
        }
        if !std::mem::replace(&mut self.told_late, true) {
            metrics::counter!("buttress_session_late_total").increment(1);
            tracing::error!(target: "buttress_session", "a session was written to when the response had begun: nothing was kept");
        }
        Err(SessionError::new(SessionErrorKind::Late))
    }

    /// Whether something can be done to the fields.
    fn may_write(&mut self) -> Result<(), SessionError> {
        self.in_time()?;
        if let Some(error) = &self.away {
            return Err(error.clone());
        }
        let begins = self.intent.login.is_some() || self.intent.ends;
        match &self.now {
            _ if self.closed => Err(SessionError::new(SessionErrorKind::Ended)),
            _ if begins => Ok(()),
            None if self.ambiguous => Err(SessionError::new(SessionErrorKind::Ambiguous)),
            Some(now) if now.frozen => Err(SessionError::new(SessionErrorKind::Ended)),
            _ => Ok(()),
        }
    }

    /// Whether somebody can log in, whatever was before.
    pub(crate) fn may_begin(&mut self) -> Result<(), SessionError> {
        match self.may_write() {
            Err(error) if matches!(error.kind(), SessionErrorKind::Ambiguous | SessionErrorKind::Ended) => {
                if self.closed { Err(error) } else { Ok(()) }
            }
            other => other,
        }
    }

    fn apply(&mut self, op: Op, most_bytes: u64) -> Result<(), SessionError> {
        let size = |fields: &Fields| fields.iter().map(|(name, value)| weight(name, value)).sum::<u64>();
        let before = size(&self.view);
        let mut after = self.view.clone();
        op.apply(&mut after)?;
        if size(&after) > most_bytes.max(before) {
            return Err(SessionError::new(SessionErrorKind::TooLarge));
        }
        self.view = after;
        self.changes.push(op);
        Ok(())
    }

    /// Forgets the session that was found, and what was done to it.
    pub(crate) fn clear(&mut self) {
        self.view.clear();
        self.changes = Changes::default();
    }

    /// Whether the store has to be written to.
    pub(crate) fn has_work(&self) -> bool {
        !self.changes.is_empty() || self.intent.ends || self.intent.renews || self.intent.login.is_some()
    }
}
