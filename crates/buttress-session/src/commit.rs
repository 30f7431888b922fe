//! What was done to a session is kept: in one step where that is possible, and otherwise in the order that leaves no gap.
//!
//! | | steps |
//! |---|---|
//! | fields have changed | they are written if the session is there, and is as they were made of it; otherwise what was done is done again |
//! | the id changes | the new session is created, the old one ends in its favour, then the login is moved |
//! | somebody logs in | the new session is created, its login is noted, then the old session ends in its favour |
//! | it ends | what hangs on it ends, then what it went on as, then the session |
//!
//! The new id is told to nobody before the last step: where one fails, what was made before it is out of reach. Between two steps of one request others
//! may come by the old id, and take the session further: a login is moved from any id that led to the session, and an end follows it to its last one.

use crate::changes::{Base, Changes};
use crate::error::{SessionError, SessionErrorKind};
use crate::fresh::{Fresh, Kept, Who, create, note};
use crate::id::SessionId;
use crate::policy;
use crate::record::{Fields, Moved, Record};
use crate::sessions::Shared;
use crate::store::{Commit, Committed, Frozen, Span, Store as _};
use crate::turns;
use crate::visit::{CookieFate, Intent, Login, Now, State, Visit};

/// What is taken out of the state to be kept.
#[derive(Default)]
struct Work {
    now: Option<Now>,
    changes: Changes,
    intent: Intent,
    came_with_cookie: bool,
}

/// Work that goes back where it is not kept, also when nobody waits for it any more.
struct Taken<'a> {
    visit: &'a Visit,
    work: Work,
    is_kept: bool,
}

/// Each time that a write has to be done again, another one was done: so many are waited for.
const MOST_TRIES: usize = 128;
/// A new id takes three steps, in which nobody may write. Each time that somebody does, there is a pause before it is done again.
const MOST_ROTATIONS: u32 = 16;

/// Keeps what was done, or nothing of it, when the response is ready.
pub(crate) async fn keep(visit: &Visit) -> Result<(), SessionError> {
    let _one_at_a_time = visit.writing.lock().await;
    keep_now(visit).await
}

/// The same before that.
pub(crate) async fn save(visit: &Visit) -> Result<(), SessionError> {
    let _one_at_a_time = visit.writing.lock().await;
    if !visit.state().has_work() {
        return Ok(());
    }
    visit.state().in_time()?;
    keep_now(visit).await
}

async fn keep_now(visit: &Visit) -> Result<(), SessionError> {
    let work = visit.state().take();
    let mut taken = Taken { visit, work, is_kept: false };
    match taken.work.keep(visit).await {
        Ok(kept) => {
            taken.is_kept = true;
            visit.state().kept(kept);
            Ok(())
        }
        Err(error) => {
            metrics::counter!("buttress_session_failed_commits_total", "reason" => error.kind().as_str()).increment(1);
            tracing::debug!(target: "buttress_session", reason = error.kind().as_str(), "a session was not written");
            Err(error)
        }
    }
}

// === impl Taken ===

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.visit.state().give_back(std::mem::take(&mut self.work));
        }
    }
}

// === impl Work ===

impl Work {
    async fn keep(&self, visit: &Visit) -> Result<Kept, SessionError> {
        let shared = visit.shared();
        let now = match &self.now {
            Some(now) if self.intent.ends => {
                shared.end_session(now.name, now.record.login.as_ref()).await?;
                None
            }
            now => now.clone(),
        };
        // Also for one that had ended before: whoever logs out has no use for its cookie.
        let ended = (self.intent.ends && self.came_with_cookie).then_some(CookieFate::IsUnset);
        match (&self.intent.login, now) {
            (Some(login), now) => self.log_in(visit, now, login).await,
            (None, Some(now)) if self.intent.renews => self.renew(visit, now).await,
            (None, Some(now)) => self.write(shared, now).await.map(|now| Kept { now: Some(now), cookie: ended }),
            (None, None) => {
                let fields = self.changes.on(&Fields::new())?;
                if fields.is_empty() {
                    return Ok(Kept { now: None, cookie: ended });
                }
                let fresh = create(shared, shared.new_key(), fields, Span::New(shared.longest), Who::Nobody).await?;
                note("created", fresh.now.name);
                Ok(fresh.kept(visit, true))
            }
        }
    }

    /// Writes what has changed. What was faster is taken into account.
    async fn write(&self, shared: &Shared, mut now: Now) -> Result<Now, SessionError> {
        let mut turn = None;
        for _ in 0..MOST_TRIES {
            let base = Base { plain: &now.plain, stored: &now.record.fields, sealed: now.key.is_some() };
            let plan = self.changes.plan(base, |field, value| match &now.key {
                Some(key) => key.seal(field, value),
                None => value.clone(),
            })?;
            if plan.writes.is_empty() {
                return Ok(now);
            }
            let version = plan.for_this_version.then_some(now.record.version);
            let commit = Commit { idle: shared.idle, most: shared.most_bytes, version, writes: plan.writes };
            match shared.store.commit(now.name, &commit).await? {
                Committed::Done(version) => {
                    let mut record = now.record.clone();
                    policy::commit(&mut record, &commit);
                    return Ok(now.again(Record { version, ..record }));
                }
                Committed::Conflict(record) => {
                    metrics::counter!("buttress_session_conflicts_total").increment(1);
                    if turn.is_none() {
                        turn = shared.turns.of(now.name).await;
                    }
                    now = now.again(*record);
                }
                Committed::Moved(moved) if policy::is_written_to_the_successor(moved) => {
                    now = follow(shared, &now, moved).await?;
                }
                Committed::Moved(_) | Committed::Gone => return Err(SessionError::new(SessionErrorKind::Ended)),
                Committed::TooLarge(_) => return Err(SessionError::new(SessionErrorKind::TooLarge)),
                Committed::NoNumber(field) => return Err(SessionError::about(SessionErrorKind::NotANumber, &field)),
            }
        }
        Err(SessionError::new(SessionErrorKind::Contended))
    }

    /// The session goes on under another id.
    async fn renew(&self, visit: &Visit, mut now: Now) -> Result<Kept, SessionError> {
        let shared = visit.shared();
        for tries in 0..MOST_ROTATIONS {
            let Record { created, ends, ref login, ref label, .. } = now.record;
            let who = login.clone().map_or(Who::Nobody, |login| Who::Still(login, label.clone()));
            let fields = self.changes.on(&now.plain)?;
            let fresh = create(shared, now.key.clone(), fields, Span::Of { created, ends }, who).await?;
            let earlier = visit.state().begun.replace(fresh.id);
            let to = Moved::renewed(fresh.now.name);
            match shared.store.freeze(now.name, now.record.version, to, shared.grace).await? {
                Frozen::Done => {
                    let is_ours = fresh.take_over(shared, &now).await?;
                    note("renewed", fresh.now.name);
                    return Ok(fresh.kept(visit, is_ours));
                }
                Frozen::Conflict(record) => {
                    fresh.undo(shared, None).await?;
                    turns::pause(tries).await;
                    now = now.again(*record);
                }
                Frozen::Moved(moved) if earlier.is_some_and(|id| id.name() == moved.to) => {
                    fresh.undo(shared, None).await?;
                    return self.go_on(visit, earlier, &now, moved).await;
                }
                // Another request was faster: its browser is the same, and gets that one's cookie.
                Frozen::Moved(moved) if policy::is_written_to_the_successor(moved) => {
                    fresh.undo(shared, None).await?;
                    let now = follow(shared, &now, moved).await?;
                    return self.write(shared, now).await.map(|now| Kept { now: Some(now), cookie: None });
                }
                Frozen::Moved(_) | Frozen::Gone => {
                    fresh.undo(shared, None).await?;
                    return Err(SessionError::new(SessionErrorKind::Ended));
                }
            }
        }
        Err(SessionError::new(SessionErrorKind::Contended))
    }

    /// An earlier try of this request has gone through, and was not heard of: the id that it has begun is ours.
    async fn go_on(
        &self,
        visit: &Visit,
        begun: Option<SessionId>,
        old: &Now,
        moved: Moved,
    ) -> Result<Kept, SessionError> {
        let shared = visit.shared();
        let now = follow(shared, old, moved).await?;
        let id = begun.ok_or(SessionError::new(SessionErrorKind::Ended))?;
        let fresh = Fresh { id, created_at: now.record.created, now };
        let is_ours = fresh.take_over(shared, old).await?;
        let now = self.write(shared, fresh.now.clone()).await?;
        Ok(Fresh { now, ..fresh }.kept(visit, is_ours))
    }

    /// Somebody logs in: always under a new id, so that nobody who knew the old one is logged in with them.
    async fn log_in(&self, visit: &Visit, mut now: Option<Now>, login: &Login) -> Result<Kept, SessionError> {
        let shared = visit.shared();
        for tries in 0..MOST_ROTATIONS {
            let (plain, key) = match &now {
                Some(now) => (now.plain.clone(), now.key.clone().or_else(|| shared.new_key())),
                None => (Fields::new(), shared.new_key()),
            };
            let who = Who::Anew(login.clone(), visit.label.text());
            let fresh = create(shared, key, self.changes.on(&plain)?, Span::New(shared.longest), who).await?;
            let earlier = visit.state().begun.replace(fresh.id);
            let before = now.as_ref().filter(|now| !now.frozen);
            let goes_on = before.is_some_and(|now| now.record.login.as_ref().is_some_and(|was| was.sid == login.sid));
            if !goes_on {
                shared.enlist(&login.subject, &fresh.entry(login)).await?;
            }
            let noted = (!goes_on).then_some(login);
            let frozen = match before {
                None => Frozen::Done,
                Some(now) => {
                    let to = Moved::raised(fresh.now.name);
                    shared.store.freeze(now.name, now.record.version, to, shared.grace).await?
                }
            };
            let is_ours = match (frozen, before) {
                (Frozen::Done, Some(now)) if goes_on => fresh.take_over(shared, now).await?,
                (Frozen::Done, _) => true,
                (Frozen::Conflict(record), Some(before)) => {
                    let again = before.again(*record);
                    fresh.undo(shared, noted).await?;
                    turns::pause(tries).await;
                    now = Some(again);
                    continue;
                }
                // What was written there goes over, too.
                (Frozen::Moved(moved), Some(before)) if policy::is_written_to_the_successor(moved) => {
                    fresh.undo(shared, noted).await?;
                    now = Some(follow(shared, before, moved).await?);
                    continue;
                }
                (Frozen::Moved(_), _) if !goes_on => true, // somebody else logged in beside: two logins
                (Frozen::Moved(moved), Some(before)) if earlier.is_some_and(|id| id.name() == moved.to) => {
                    fresh.undo(shared, noted).await?;
                    return self.go_on(visit, earlier, before, moved).await;
                }
                _ => {
                    fresh.undo(shared, noted).await?;
                    return Err(SessionError::new(SessionErrorKind::Ended));
                }
            };
            metrics::counter!("buttress_session_logins_total").increment(1);
            note("logged in", fresh.now.name);
            return Ok(fresh.kept(visit, is_ours));
        }
        Err(SessionError::new(SessionErrorKind::Contended))
    }
}

/// The successor of a session, as it is by now.
async fn follow(shared: &Shared, now: &Now, moved: Moved) -> Result<Now, SessionError> {
    let record = shared.store.load(moved.to, shared.pace()).await?;
    let record = record.ok_or(SessionError::new(SessionErrorKind::Ended))?;
    Ok(Now { came_by: now.line(), ..Now::new(moved.to, record, now.key.clone(), false) })
}

// === impl State ===

impl State {
    fn take(&mut self) -> Work {
        Work {
            now: self.now.clone(),
            changes: std::mem::take(&mut self.changes),
            intent: std::mem::take(&mut self.intent),
            came_with_cookie: self.came_with_cookie,
        }
    }

    fn kept(&mut self, kept: Kept) {
        self.begun = None;
        let plain = kept.now.as_ref().map(|now| now.plain.clone()).unwrap_or_default();
        self.view = self.changes.on(&plain).unwrap_or(plain);
        self.now = kept.now;
        self.cookie = kept.cookie.unwrap_or(self.cookie);
    }

    fn give_back(&mut self, work: Work) {
        self.changes = work.changes.then(std::mem::take(&mut self.changes));
        let later = std::mem::replace(&mut self.intent, work.intent);
        self.intent.ends |= later.ends;
        self.intent.renews |= later.renews;
        self.intent.login = later.login.or(self.intent.login.take());
    }
}
