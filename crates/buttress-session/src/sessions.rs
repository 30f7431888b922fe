//! Where sessions are kept, and what can be asked of them outside of a request: who is logged in where, and that it ends.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use buttress_core::{Clock, EndLogin};
use futures_util::future::join_all;

use crate::backing::Backing;
use crate::cipher::FieldKey;
use crate::error::{SessionError, SessionErrorKind};
use crate::id::{CookieKey, Name};
use crate::options::SessionsOptions;
use crate::policy::{self, whole_millis};
use crate::record::{Entry, LoggedIn};
use crate::store::{Pace, Store as _, StoreAway, Which};
use crate::turns::Turns;

/// Where sessions are kept: cheap to clone, share one.
///
/// ```
/// use buttress_session::{CookieKey, Sessions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), buttress_session::SessionError> {
/// let sessions = Sessions::embedded(CookieKey::random()); // or Sessions::options(key).redis(redis)
/// for device in sessions.list("ada").await? {
///     println!("{} since {:?}, seen {:?}", device.label, device.since, device.seen);
/// }
/// sessions.end_all("ada").await?; // they stop everywhere, at once
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sessions {
    pub(crate) shared: Arc<Shared>,
}

/// One login of a subject.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Device {
    /// The name of the login, which stays when its id changes; it gives no access.
    pub sid: String,
    /// What was noted of the device when it logged in: by default the start of its `User-Agent`, which can say anything.
    pub label: String,
    /// When they logged in there first.
    pub since: SystemTime,
    /// When the session was used last, as exact as a tenth of the idle time.
    pub seen: SystemTime,
    /// When it ends at the latest.
    pub until: SystemTime,
}

/// What all clones share.
pub(crate) struct Shared {
    pub(crate) keys: Vec<CookieKey>,
    pub(crate) store: Backing,
    pub(crate) idle: u64,
    pub(crate) longest: u64,
    pub(crate) grace: u64,
    pub(crate) most_bytes: u64,
    pub(crate) most_logins: usize,
    pub(crate) seals: bool,
    pub(crate) hanging: Vec<Arc<dyn EndLogin>>,
    pub(crate) clock: Clock,
    pub(crate) turns: Turns,
}

// === impl Sessions ===

impl Sessions {
    /// Kept by this process alone, and forgotten when it ends.
    #[must_use]
    pub fn embedded(key: CookieKey) -> Self {
        Self::options(key).embedded()
    }

    /// Settings other than the defaults; end with [`SessionsOptions::redis`] or [`SessionsOptions::embedded`].
    pub fn options(key: CookieKey) -> SessionsOptions {
        SessionsOptions::new(key)
    }

    /// Where a subject is logged in, the latest first; also where somebody was about to end it and could not. Costs a round trip, and one for each
    /// login, at the same time.
    ///
    /// # Errors
    /// Where sessions are kept cannot be reached.
    pub async fn list(&self, subject: &str) -> Result<Vec<Device>, SessionError> {
        let store = &self.shared.store;
        let entries = store.list(Name::of_subject(subject)).await?;
        let seen = entries.into_iter().map(async |entry| store.seen(entry.name).await.map(|seen| (entry, seen)));
        let mut devices = Vec::new();
        for found in join_all(seen).await {
            let (entry, seen) = found?;
            devices.extend(seen.map(|seen| Device::of(entry, seen)));
        }
        devices.sort_by(|one, other| (other.since, &other.sid).cmp(&(one.since, &one.sid)));
        Ok(devices)
    }

    /// Ends one login of a subject, and what hangs on it. Answers whether there was one.
    ///
    /// # Errors
    /// It may go on; try again.
    pub async fn end(&self, subject: &str, sid: &str) -> Result<bool, SessionError> {
        self.shared.end_logins(subject, Which::Only(sid)).await.map(|ended| ended > 0)
    }

    /// Ends all logins of a subject but this one, as after a change of the password. Answers how many.
    ///
    /// # Errors
    /// Some may go on; try again.
    pub async fn end_others(&self, subject: &str, sid: &str) -> Result<usize, SessionError> {
        self.shared.end_logins(subject, Which::But(sid)).await
    }

    /// Ends all logins of a subject, and what hangs on them. Answers how many.
    ///
    /// # Errors
    /// Some may go on; try again.
    pub async fn end_all(&self, subject: &str) -> Result<usize, SessionError> {
        self.shared.end_logins(subject, Which::All).await
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("store", &self.shared.store).finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    pub(crate) fn pace(&self) -> Pace {
        Pace { idle: self.idle, slack: self.idle / 10 }
    }

    /// A key for the fields of a new session, if they are sealed.
    pub(crate) fn new_key(&self) -> Option<FieldKey> {
        self.seals.then(FieldKey::random)
    }

    /// Ends the session of this name, whatever it went on as; with it the login that it belongs to.
    pub(crate) async fn end_session(&self, name: Name, login: Option<&LoggedIn>) -> Result<(), SessionError> {
        if let Some(login) = login
            && self.end_logins(&login.subject, Which::Only(&login.sid)).await? == 0
        {
            self.end_hanging(&login.sid).await?; // its entry is missing
        }
        self.end_line(name, None, login.is_some()).await?;
        metrics::counter!("buttress_session_ended_total").increment(1);
        tracing::debug!(target: "buttress_session", session = %name, "ended");
        Ok(())
    }

    /// Ends a session, and before it what it went on as: who followed it there has to learn of it, and an error leaves the way to it. `after` has
    /// ended already.
    pub(crate) async fn end_line(&self, name: Name, after: Option<Name>, was_login: bool) -> Result<(), SessionError> {
        let (mut line, mut after) = (vec![name], after);
        while let Some(&name) = line.last() {
            match self.store.end(name, after).await? {
                Some(moved) if !policy::ends_with_it(moved, was_login) => {
                    return Err(SessionError::new(SessionErrorKind::Ended));
                }
                Some(moved) if line.contains(&moved.to) => after = Some(moved.to), // a ring, which nobody ties here
                Some(moved) => {
                    line.push(moved.to);
                    after = None;
                }
                None => {
                    line.pop();
                    after = Some(name);
                }
            }
        }
        Ok(())
    }

    async fn end_logins(&self, subject: &str, which: Which<'_>) -> Result<usize, SessionError> {
        let subject = Name::of_subject(subject);
        let entries = self.store.doom(subject, which).await?;
        self.end_entries(subject, entries).await
    }

    /// Ends logins that are doomed: what hangs on them, then their sessions, then their entries, so that an error at any point leaves something to
    /// try again.
    pub(crate) async fn end_entries(&self, subject: Name, entries: Vec<Entry>) -> Result<usize, SessionError> {
        let ends = join_all(entries.iter().map(|entry| self.end_entry(entry))).await;
        let (mut ended, mut failed) = (Vec::new(), None);
        for (entry, end) in entries.into_iter().zip(ends) {
            match end {
                Ok(()) => ended.push((entry.sid, entry.name)),
                Err(error) => failed = Some(error),
            }
        }
        self.store.strike(subject, &ended).await?;
        metrics::counter!("buttress_session_ended_total").increment(ended.len() as u64);
        failed.map_or(Ok(ended.len()), Err)
    }

    async fn end_entry(&self, entry: &Entry) -> Result<(), SessionError> {
        self.end_hanging(&entry.sid).await?;
        self.end_line(entry.name, None, true).await?;
        if let Some(former) = entry.former {
            self.end_line(former, Some(entry.name), true).await?;
        }
        tracing::debug!(target: "buttress_session", session = %entry.name, "login ended");
        Ok(())
    }

    async fn end_hanging(&self, sid: &str) -> Result<(), SessionError> {
        for hanging in &self.hanging {
            hanging.end_login(sid).await.map_err(|error| {
                tracing::warn!(target: "buttress_session", %error, "what hangs on a session could not be ended");
                SessionError::new(SessionErrorKind::Hanging)
            })?;
        }
        Ok(())
    }

    /// Notes a login. Those that are too many end with it.
    pub(crate) async fn enlist(&self, subject: &str, entry: &Entry) -> Result<(), StoreAway> {
        let subject = Name::of_subject(subject);
        let over = self.store.enlist(subject, entry, self.most_logins).await?;
        if let Err(error) = self.end_entries(subject, over).await {
            // They stay doomed, and are tried again at the next login.
            tracing::warn!(target: "buttress_session", %error, "a login too many could not be ended yet");
        }
        Ok(())
    }
}

// === impl Device ===

impl Device {
    fn of(entry: Entry, seen: u64) -> Self {
        let Entry { sid, label, created, ends, .. } = entry;
        Self { sid, label, since: time(created), seen: time(seen), until: time(ends) }
    }
}

pub(crate) fn time(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}

/// For those who set it with a duration.
pub(crate) fn at_least_a_second(duration: Duration) -> u64 {
    whole_millis(duration.max(Duration::from_secs(1)))
}
