//! As of when all revocations are known, and of which stream.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::stream::Epoch;

/// What the one who reads the stream lets the others know.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    /// In milliseconds since 1970; 0 before the stream was read, and while a loss is being mended.
    complete: AtomicU64,
    /// Redis may drop what it was told to keep, so that what it does not have was not necessarily never there.
    may_forget: AtomicBool,
    stream: Mutex<Known>,
}

/// Which stream is being read.
#[derive(Clone, Debug, Default)]
enum Known {
    /// None yet.
    #[default]
    Nothing,
    Epoch(Epoch),
    /// It has lost something, and is being told again what the processes know.
    Mending,
}

// === impl Sight ===

impl Sight {
    /// Whether all that was revoked is known that was revoked so long ago, in milliseconds.
    pub(crate) fn is_current(&self, now: u64, staleness: u64) -> bool {
        let complete = self.complete.load(Ordering::Acquire);
        complete != 0 && now <= complete.saturating_add(staleness)
    }

    /// The epoch in which Redis may be asked: any before the stream was read (`Some(None)`); none while a loss is being mended, and
    /// where Redis may have forgotten.
    pub(crate) fn epoch(&self) -> Option<Option<Epoch>> {
        if self.may_forget.load(Ordering::Acquire) {
            return None;
        }
        match &*self.stream.lock().unwrap_or_else(PoisonError::into_inner) {
            Known::Nothing => Some(None),
            Known::Epoch(epoch) => Some(Some(epoch.clone())),
            Known::Mending => None,
        }
    }

    /// All that this stream was told is known, as of then.
    pub(crate) fn complete(&self, epoch: &Epoch, then: u64) {
        self.set(Known::Epoch(epoch.clone()));
        self.complete.fetch_max(then, Ordering::AcqRel);
    }

    /// Something was lost.
    pub(crate) fn lost(&self) {
        self.set(Known::Mending);
        self.complete.store(0, Ordering::Release);
    }

    pub(crate) fn may_forget(&self, yes: bool) {
        self.may_forget.store(yes, Ordering::Release);
    }

    fn set(&self, known: Known) {
        *self.stream.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }
}
