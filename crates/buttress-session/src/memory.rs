//! Sessions in this process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use buttress_core::Clock;
use buttress_redis::Error;

use crate::id::Name;
use crate::policy::{self, millis};
#[cfg(feature = "tower-sessions")]
use crate::record::Fields;
use crate::record::{Entry, LoggedIn, Moved, Record};
use crate::store::{Born, Commit, Committed, Draft, Frozen, Noted, Pace, Span, Store, StoreAway, Which};

/// Sessions in this process, forgotten when it ends.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    clock: Clock,
    capacity: u64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    sessions: HashMap<Name, Kept>,
    subjects: HashMap<Name, HashMap<String, Entry>>,
    /// What they weigh together.
    weight: u64,
    /// Ended ones are looked for when there are so many.
    sweep_at: usize,
}

#[derive(Debug)]
struct Kept {
    record: Record,
    until: u64,
}

const FIRST_SWEEP: usize = 1024;
/// What a session weighs beside its fields, about.
const OVERHEAD: u64 = 512;

// === impl MemoryStore ===

impl MemoryStore {
    pub(crate) fn new(clock: Clock, capacity: u64) -> Self {
        Self { clock, capacity, known: Mutex::default() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Known, u64) -> T) -> T {
        act(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner), millis(self.clock.now()))
    }
}

impl Store for MemoryStore {
    async fn load(&self, name: Name, pace: Pace) -> Result<Option<Record>, StoreAway> {
        Ok(self.with(|known, now| {
            let kept = known.live(name, now)?;
            if policy::is_noted_again(&kept.record, pace, now) {
                kept.record.seen = now;
                kept.until = kept.record.ends.min(now.saturating_add(pace.idle));
            }
            Some(kept.record.clone())
        }))
    }

    async fn create(&self, name: Name, draft: &Draft) -> Result<Born, StoreAway> {
        self.with(|known, now| {
            known.sweep(now);
            let (created, ends) = match draft.span {
                Span::New(longest) => (now, now.saturating_add(longest)),
                Span::Of { created, ends } => (created, ends),
            };
            let at = |login: LoggedIn| LoggedIn { at: if draft.logs_in { now } else { login.at }, ..login };
            let record = Record {
                version: 1,
                created,
                ends,
                seen: now,
                login: draft.login.clone().map(at),
                label: draft.label.clone(),
                key: draft.key.clone(),
                moved: None,
                fields: draft.fields.clone(),
            };
            known.make_room(OVERHEAD + record.weight(), self.capacity, now)?;
            known.weight += OVERHEAD + record.weight();
            known.sessions.insert(name, Kept { record, until: ends.min(now.saturating_add(draft.idle)) });
            Ok(Born { now, ends })
        })
    }

    async fn commit(&self, name: Name, commit: &Commit) -> Result<Committed, StoreAway> {
        self.with(|known, now| {
            let Some(kept) = known.live(name, now) else { return Ok(Committed::Gone) };
            let mut record = kept.record.clone();
            let committed = policy::commit(&mut record, commit);
            if matches!(committed, Committed::Done(_)) {
                let until = record.ends.min(now.saturating_add(commit.idle));
                known.replace(name, Kept { record: Record { seen: now, ..record }, until }, self.capacity, now)?;
            }
            Ok(committed)
        })
    }

    #[cfg(feature = "tower-sessions")]
    async fn replace(&self, name: Name, fields: &Fields, ends: u64, most: u64) -> Result<Committed, StoreAway> {
        self.with(|known, now| {
            let Some(kept) = known.live(name, now) else { return Ok(Committed::Gone) };
            let mut record = kept.record.clone();
            let committed = policy::replace(&mut record, fields, most);
            if matches!(committed, Committed::Done(_)) {
                let record = Record { seen: now, ends, ..record };
                known.replace(name, Kept { record, until: ends }, self.capacity, now)?;
            }
            Ok(committed)
        })
    }

    async fn freeze(&self, name: Name, version: u64, to: Moved, grace: u64) -> Result<Frozen, StoreAway> {
        Ok(self.with(|known, now| {
            let Some(kept) = known.live(name, now) else { return Frozen::Gone };
            let frozen = policy::freeze(&mut kept.record, version, to);
            if frozen == Frozen::Done {
                kept.until = kept.until.min(now.saturating_add(grace));
            }
            frozen
        }))
    }

    async fn end(&self, name: Name, after: Option<Name>) -> Result<Option<Moved>, StoreAway> {
        Ok(self.with(|known, now| {
            let moved = known.live(name, now).and_then(|kept| kept.record.moved);
            let first = moved.filter(|moved| Some(moved.to) != after);
            if first.is_none()
                && let Some(kept) = known.sessions.remove(&name)
            {
                known.weight -= OVERHEAD + kept.record.weight();
            }
            first
        }))
    }

    async fn seen(&self, name: Name) -> Result<Option<u64>, StoreAway> {
        Ok(self.with(|known, now| known.live(name, now).map(|kept| kept.record.seen)))
    }

    async fn enlist(&self, subject: Name, entry: &Entry, most: usize) -> Result<Vec<Entry>, StoreAway> {
        Ok(self.with(|known, now| {
            let logins = known.subjects.entry(subject).or_default();
            logins.insert(entry.sid.clone(), entry.clone());
            logins.retain(|_, entry| entry.ends > now);
            let over = policy::too_many(logins.values(), &entry.sid, most);
            over.iter().filter_map(|sid| doomed(logins.get_mut(sid)?)).collect()
        }))
    }

    async fn move_to(&self, subject: Name, sid: &str, from: &[Name], to: (Name, u64)) -> Result<Noted, StoreAway> {
        Ok(self.with(|known, _| {
            let entry = known.subjects.get_mut(&subject).and_then(|logins| logins.get_mut(sid));
            let Some(entry) = entry.filter(|entry| !entry.doomed) else { return Noted::Ended };
            if entry.name != to.0 && !from.contains(&entry.name) {
                return Noted::Elsewhere;
            }
            (entry.name, entry.ends, entry.former) = (to.0, to.1, from.first().copied());
            Noted::Done
        }))
    }

    async fn list(&self, subject: Name) -> Result<Vec<Entry>, StoreAway> {
        Ok(self.with(|known, now| {
            let entries = known.subjects.get(&subject).into_iter().flat_map(HashMap::values);
            entries.filter(|entry| entry.ends > now).cloned().collect()
        }))
    }

    async fn doom(&self, subject: Name, which: Which<'_>) -> Result<Vec<Entry>, StoreAway> {
        Ok(self.with(|known, _| {
            let entries = known.subjects.get_mut(&subject).into_iter().flat_map(HashMap::values_mut);
            entries.filter(|entry| which.is(&entry.sid)).filter_map(doomed).collect()
        }))
    }

    async fn strike(&self, subject: Name, ended: &[(String, Name)]) -> Result<(), StoreAway> {
        self.with(|known, _| {
            if let Some(logins) = known.subjects.get_mut(&subject) {
                logins.retain(|sid, entry| !ended.iter().any(|(ended, name)| ended == sid && *name == entry.name));
                if logins.is_empty() {
                    known.subjects.remove(&subject);
                }
            }
        });
        Ok(())
    }
}

fn doomed(entry: &mut Entry) -> Option<Entry> {
    entry.doomed = true;
    Some(entry.clone())
}

// === impl Known ===

impl Known {
    fn live(&mut self, name: Name, now: u64) -> Option<&mut Kept> {
        self.sessions.get_mut(&name).filter(|kept| kept.until > now)
    }

    fn sweep(&mut self, now: u64) {
        if self.sessions.len() >= self.sweep_at {
            self.forget_ended(now);
        }
    }

    fn forget_ended(&mut self, now: u64) {
        self.sessions.retain(|_, kept| kept.until > now);
        self.subjects.retain(|_, logins| {
            logins.retain(|_, entry| entry.ends > now);
            !logins.is_empty()
        });
        self.weight = self.sessions.values().map(|kept| OVERHEAD + kept.record.weight()).sum();
        self.sweep_at = FIRST_SWEEP.max(2 * self.sessions.len());
    }

    fn make_room(&mut self, more: u64, capacity: u64, now: u64) -> Result<(), StoreAway> {
        if self.weight + more > capacity {
            self.forget_ended(now);
        }
        if self.weight + more > capacity {
            return Err(StoreAway(Error::malformed("sessions take all the memory that they may")));
        }
        Ok(())
    }

    fn replace(&mut self, name: Name, kept: Kept, capacity: u64, now: u64) -> Result<(), StoreAway> {
        let before = self.sessions.get(&name).map_or(0, |kept| kept.record.weight());
        let after = kept.record.weight();
        if after > before {
            self.make_room(after - before, capacity, now)?;
        }
        self.weight = self.weight + after - before;
        self.sessions.insert(name, kept);
        Ok(())
    }
}
