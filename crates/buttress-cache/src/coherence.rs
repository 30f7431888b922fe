//! What this process knows of purges, and for how long it may rely on it.
//!
//! The common case costs one comparison: [`Coherence::version`] is another number whenever anything was learned, and an entry
//! that was judged under the present one is [`Checked`]. Only then are the ledger and the stamps of its tags looked at.
//!
//! Without Redis what stands here is all there is. With it, every purge is announced to every process; what was
//! announced is read at once, and for as long as the announcements are known to arrive, nothing has to be asked. When that
//! is in doubt, what this process holds is believed for a bounded time and then asked for again.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, UnitWeighter};

use crate::entry::Entry;
use crate::key::Key;
use crate::ledger::{Generation, Ledger, Scope, Stamp, Sweep, Verdict};
use crate::millis::to_millis;
use crate::recent::Recent;
use crate::stamps::Account;
use crate::tag::Tag;

/// Tags whose stamps are known here. One more is read again when it is needed.
const STAMPS: u64 = 64 << 10;
/// Forgotten records that are remembered one by one. Beyond, every copy is asked about once.
const CHANGES: usize = 16 << 10;

/// What this process knows of purges.
pub(crate) struct Coherence {
    version: AtomicU64,
    /// Copies that were put down under an earlier version may be out of date.
    distrusted: AtomicU64,
    /// Until then everything that was purged is known here, in milliseconds since 1970.
    trusted_until: AtomicU64,
    /// How long a copy may be out of date, in milliseconds. `None` without Redis.
    max_stale: Option<u64>,
    ledger: RwLock<Known>,
    stamps: Cache<Tag, Noted>,
    changes: Mutex<HashMap<String, u64>>,
    /// How many of them there are, to be seen without the lock.
    changed: AtomicUsize,
    /// The tags that this process has purged last, where there is no Redis to know them.
    recent: Mutex<Recent>,
    /// Held while a stamp is read and written, so that none is lost between.
    noting: Mutex<()>,
}

/// The ledger as it is known here.
#[derive(Clone, Debug, Default)]
struct Known {
    ledger: Arc<Ledger>,
    /// When it was read. `None`: it has to be read.
    at: Option<u64>,
}

/// A stamp as it is known here. Kept when it has to be read again: what is read may come from a replica that has missed it.
#[derive(Clone, Copy, Debug, Default)]
struct Noted {
    stamp: Stamp,
    /// When it was read, in milliseconds since 1970, and under which version. `None`: it has to be read.
    read: Option<(u64, u64)>,
}

/// The version under which something was found current; 0 before.
#[derive(Debug, Default)]
pub(crate) struct Checked(AtomicU64);

/// When something was begun: an entry that is made of it is outdated by every later purge.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    pub(crate) generation: Generation,
    pub(crate) version: u64,
}

/// What is to be thought of an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Judged {
    As(Verdict),
    /// Redis has to be asked, for the ledger or for a stamp.
    Unknown,
}

// === impl Coherence ===

impl Coherence {
    /// With `max_stale` there is a Redis, and nothing is known yet.
    pub(crate) fn new(max_stale: Option<Duration>) -> Self {
        let max_stale = max_stale.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let begun = Ledger { generation: Generation(1), ..Ledger::default() };
        Self {
            version: AtomicU64::new(1),
            distrusted: AtomicU64::new(0),
            trusted_until: AtomicU64::new(if max_stale.is_some() { 0 } else { u64::MAX }),
            max_stale,
            ledger: RwLock::new(Known { ledger: Arc::new(begun), at: max_stale.is_none().then_some(0) }),
            stamps: Cache::with(64, STAMPS, UnitWeighter, DefaultHashBuilder::default(), DefaultLifecycle::default()),
            changes: Mutex::default(),
            changed: AtomicUsize::new(0),
            recent: Mutex::default(),
            noting: Mutex::default(),
        }
    }

    /// Now, for a fetch that begins.
    pub(crate) fn moment(&self) -> Moment {
        // The version first: what is learned in between makes the copy look older than it is, never newer.
        let version = self.version();
        // An older generation is always safe: it costs a miss.
        Moment { generation: self.generation(), version }
    }

    /// Whether the ledger is known as it stands. What is begun without it would be outdated before it is stored.
    pub(crate) fn has_ledger(&self) -> bool {
        self.ledger.read().unwrap_or_else(PoisonError::into_inner).at.is_some()
    }

    /// The last generation that is known here.
    pub(crate) fn generation(&self) -> Generation {
        self.ledger.read().unwrap_or_else(PoisonError::into_inner).ledger.generation
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Whether every purge so far is known here.
    pub(crate) fn is_trusted(&self, now: SystemTime) -> bool {
        // Without Redis there is nobody else: not even the clock has to be looked at.
        self.max_stale.is_none() || to_millis(now) < self.trusted_until.load(Ordering::Acquire)
    }

    /// While not trusted: for how long a copy is believed, and since when it must lie here.
    pub(crate) fn belief(&self) -> (Duration, u64) {
        // What a copy was judged by may have been as old already: half of the bound for each.
        let half = Duration::from_millis(self.max_stale.unwrap_or_default() / 2);
        (half, self.trusted_until.load(Ordering::Acquire))
    }

    /// Whether a copy that was put down under an earlier version has to be asked for again.
    pub(crate) fn is_superseded(&self, as_of: u64, key: &Key) -> bool {
        if as_of == self.version() {
            return false;
        }
        // Not under the lock: it hashes.
        let digest = (self.changed.load(Ordering::Acquire) > 0).then(|| key.digest());
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        as_of < self.distrusted.load(Ordering::Acquire)
            || digest.is_some_and(|digest| changes.get(&digest).is_some_and(|&changed| changed > as_of))
    }

    /// What is known of an entry that was read or begun under version `as_of`. While not trusted, only what was read lately counts.
    pub(crate) fn judge(&self, entry: &Entry, key: &Key, as_of: u64, now: SystemTime) -> Judged {
        // First of all: what is learned while this goes on makes it be judged once more.
        let version = self.version();
        if self.is_superseded(as_of, key) {
            return Judged::As(Verdict::Gone);
        }
        let half = self.max_stale.unwrap_or_default() / 2;
        let oldest = if self.is_trusted(now) { 0 } else { to_millis(now).saturating_sub(half) };
        let ledger = match &*self.ledger.read().unwrap_or_else(PoisonError::into_inner) {
            Known { ledger, at: Some(at) } if *at >= oldest => Arc::clone(ledger),
            _ => return Judged::Unknown,
        };
        let distrusted = self.distrusted.load(Ordering::Acquire);
        let mut verdict = ledger.judge(entry.generation(), entry.location());
        for tag in entry.tags() {
            match self.stamps.get(&tag) {
                Some(Noted { stamp, read: Some((at, as_of)) }) if at >= oldest && as_of >= distrusted => {
                    verdict = verdict.max(stamp.judge(entry.generation()));
                }
                // Without Redis a stamp that is lost vouches for nothing, and there is nobody to ask.
                _ if self.max_stale.is_none() => return Judged::As(Verdict::Gone),
                _ => return Judged::Unknown,
            }
        }
        if verdict == Verdict::Current && oldest == 0 {
            entry.checked().set(version);
        }
        Judged::As(verdict)
    }

    /// The same as far as it is known here, for a copy that is believed for a moment: what this process purged itself counts
    /// even while it cannot hear of others.
    pub(crate) fn judge_leniently(&self, entry: &Entry) -> Verdict {
        let ledger = Arc::clone(&self.ledger.read().unwrap_or_else(PoisonError::into_inner).ledger);
        let stamps = entry.tags().filter_map(|tag| self.stamps.get(&tag));
        let verdict = ledger.judge(entry.generation(), entry.location());
        stamps.map(|known| known.stamp.judge(entry.generation())).fold(verdict, Verdict::max)
    }

    // === what is learned ===

    /// Takes in what Redis said to a question that was asked at a time and under a version. Nothing that was known is taken
    /// back. False if a tag has no stamp any more: what carries it cannot be vouched for.
    pub(crate) fn learn(&self, account: Account, tags: &[Tag], asked: SystemTime, as_of: u64) -> bool {
        let at = to_millis(asked);
        let is_whole = account.stamps.iter().all(Option::is_some);
        for (tag, stamp) in tags.iter().zip(account.stamps).filter_map(|(tag, stamp)| Some((tag, stamp?))) {
            self.note_stamp(*tag, stamp, Some((at, as_of)));
        }
        let mut known = self.ledger.write().unwrap_or_else(PoisonError::into_inner);
        let merged = account.ledger.merged(&known.ledger);
        if merged != *known.ledger {
            known.ledger = Arc::new(merged);
            self.version.fetch_add(1, Ordering::AcqRel);
        }
        known.at = Some(at);
        is_whole
    }

    fn note_stamp(&self, tag: Tag, stamp: Stamp, read: Option<(u64, u64)>) {
        let _noting = self.noting.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.stamps.get(&tag);
        let merged = known.map_or(stamp, |known| known.stamp.merged(stamp));
        self.stamps.insert(tag, Noted { stamp: merged, read });
        // What was not known was relied upon by nobody.
        if known.is_some_and(|known| known.stamp != merged) {
            self.version.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// An entry with these tags is stored: those without a stamp have one now that is not older than it. With Redis, once Redis
    /// has said so; without, if they are known not to have been purged since. If that is not known, they may have been.
    pub(crate) fn stamp_all(&self, tags: impl Iterator<Item = Tag>, begun: Generation, now: SystemTime) {
        let hard = |tag: &Tag| {
            let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            if self.max_stale.is_some() || recent.rules_out(tag, begun) { begun } else { self.generation() }
        };
        let read = Some((to_millis(now), self.version()));
        let _noting = self.noting.lock().unwrap_or_else(PoisonError::into_inner);
        for tag in tags {
            if self.stamps.get(&tag).is_none() {
                self.stamps.insert(tag, Noted { stamp: Stamp { hard: hard(&tag), soft: Generation(0) }, read });
            }
        }
    }

    /// Has to be read again before it counts.
    pub(crate) fn forget_tag(&self, tag: &Tag) {
        let _noting = self.noting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.stamps.get(tag) {
            self.stamps.insert(*tag, Noted { read: None, ..known });
        }
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// Has to be read again before it counts.
    pub(crate) fn forget_ledger(&self) {
        self.ledger.write().unwrap_or_else(PoisonError::into_inner).at = None;
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// Somebody has forgotten a record: copies that were put down before have to be asked for again.
    pub(crate) fn note_change(&self, digest: String) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.version.fetch_add(1, Ordering::AcqRel) + 1;
        if changes.len() >= CHANGES {
            changes.clear();
            self.distrusted.store(version, Ordering::Release);
        }
        changes.insert(digest, version);
        self.changed.store(changes.len(), Ordering::Release);
    }

    /// Announcements were missed: every copy has to be asked for again.
    pub(crate) fn distrust(&self) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.version.fetch_add(1, Ordering::AcqRel) + 1;
        self.distrusted.store(version, Ordering::Release);
        changes.clear();
        self.changed.store(0, Ordering::Release);
        drop(changes);
        self.forget_ledger();
    }

    /// All that was announced until `seen` has been learned.
    pub(crate) fn trust_since(&self, seen: SystemTime) {
        let until = to_millis(seen).saturating_add(self.max_stale.unwrap_or_default());
        self.trusted_until.fetch_max(until, Ordering::AcqRel);
    }

    /// Something was announced that could not be read.
    pub(crate) fn end_trust(&self) {
        self.trusted_until.store(0, Ordering::Release);
    }

    // === purges of this process ===

    /// Purges a tag, of which Redis knows if it says a generation.
    pub(crate) fn purge_tag(&self, tag: Tag, soft: bool, given: Option<Generation>, now: SystemTime) -> Generation {
        let generation = self.advance(given, |_, _| {});
        if given.is_none() {
            self.recent.lock().unwrap_or_else(PoisonError::into_inner).note(tag, generation);
        }
        let known = self.stamps.get(&tag);
        let stamp = match known {
            // What has no stamp here may have one in Redis.
            known if soft && (known.is_some() || given.is_some()) => Stamp { hard: Generation(0), soft: generation },
            _ => Stamp { hard: generation, soft: Generation(0) },
        };
        // Others may have purged it too: with Redis it is read again when it is needed.
        let read = given.is_none().then(|| (to_millis(now), self.version()));
        self.note_stamp(tag, stamp, read);
        self.version.fetch_add(1, Ordering::AcqRel); // after the stamp: whoever judged before it judges again
        generation
    }

    /// Purges all within a scope here.
    pub(crate) fn sweep(&self, scope: Scope, soft: bool, generation: Option<Generation>) -> Generation {
        self.advance(generation, |ledger, generation| ledger.sweep(Sweep { generation, soft, scope }))
    }

    /// Purges everything here.
    pub(crate) fn purge_everything(&self, soft: bool, generation: Option<Generation>) -> Generation {
        self.advance(generation, |ledger, generation| {
            if soft {
                ledger.soft_floor = generation;
            } else {
                ledger.floor = generation;
            }
        })
    }

    fn advance(&self, given: Option<Generation>, note: impl FnOnce(&mut Ledger, Generation)) -> Generation {
        let mut known = self.ledger.write().unwrap_or_else(PoisonError::into_inner);
        let mut ledger = Ledger::clone(&known.ledger);
        let generation = given.unwrap_or(Generation(ledger.generation.0 + 1));
        ledger.generation = ledger.generation.max(generation);
        note(&mut ledger, generation);
        known.ledger = Arc::new(ledger);
        self.version.fetch_add(1, Ordering::AcqRel);
        generation
    }
}

impl fmt::Debug for Coherence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coherence").field("version", &self.version()).finish_non_exhaustive()
    }
}

// === impl Checked ===

impl Checked {
    pub(crate) fn is(&self, version: u64) -> bool {
        self.0.load(Ordering::Relaxed) == version
    }

    fn set(&self, version: u64) {
        self.0.store(version, Ordering::Relaxed);
    }
}
