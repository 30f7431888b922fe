//! The parts of a large body, written as they come.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::cache::Cache;
use crate::key::Key;
use crate::manifest::{Manifest, PART, Part};
use crate::record::Record;

/// Parts outlive the entry that leads to them, so that whoever finds it finds them.
const MARGIN: Duration = Duration::from_secs(300);
/// How long the parts of an entry stay whose place was taken: for those who read them.
pub(crate) const FAREWELL: Duration = Duration::from_secs(300);
/// So many parts of a body are on the way to Redis at once.
const AT_ONCE: usize = 2;
/// A write that fails is tried so often.
const TRIES: u32 = 3;

/// The parts of a body so far.
///
/// Dropped without being [kept](Parts::keep), what was written of them is taken back.
pub(crate) struct Parts {
    cache: Cache,
    /// The record that will lead to them, if it will stand in Redis.
    shared: Option<(Key, Duration)>,
    id: u128,
    done: Vec<Bytes>,
    writes: Vec<Option<JoinHandle<bool>>>,
    /// Each write has its deadline: what waits for the line must not use it up.
    line: Arc<Semaphore>,
}

// === impl Parts ===

impl Parts {
    pub(crate) fn new(cache: &Cache, shared: Option<(Key, Duration)>) -> Self {
        Self {
            cache: cache.clone(),
            shared,
            id: rand::random(),
            done: Vec::new(),
            writes: Vec::new(),
            line: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Adds a part, of [`PART`] bytes if it is not the last one.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        let index = u32::try_from(self.done.len()).unwrap_or(u32::MAX);
        if let Some((key, keep)) = self.shared.clone() {
            let (cache, part) = (self.cache.clone(), Part::new(self.id, index, bytes.clone()));
            let manifest = self.manifest();
            let line = Arc::clone(&self.line);
            let write = self.cache.later(bytes.len(), async move {
                let _turn = line.acquire().await;
                put(&cache, &key, &manifest, index, &part, keep.saturating_add(MARGIN)).await
            });
            self.writes.push(write);
        }
        self.done.push(bytes);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Bytes> {
        self.done.get(index)
    }

    pub(crate) fn all(&self) -> &[Bytes] {
        &self.done
    }

    pub(crate) fn manifest(&self) -> Manifest {
        Manifest::new(self.id, self.done.iter().map(|part| part.len() as u64).sum())
    }

    /// Keeps the parts in this process.
    pub(crate) fn keep_here(&self, as_of: u64) {
        let (manifest, now) = (self.manifest(), self.cache.now());
        for (index, bytes) in (0..).zip(&self.done) {
            let part = Record::Part(Arc::new(Part::new(self.id, index, bytes.clone())));
            self.cache.memory().keep(manifest.local(index), part, now, as_of);
        }
    }

    /// Waits until all are written. False if one is not: then nothing should lead to them.
    pub(crate) async fn are_written(&mut self) -> bool {
        let mut all = self.shared.is_some();
        for write in std::mem::take(&mut self.writes) {
            // Each of them is waited for: one that came after the others were taken back would stay.
            all &= match write {
                Some(write) => write.await.unwrap_or(false),
                None => false,
            };
        }
        all
    }

    /// The entry that leads to them is stored: they stay.
    pub(crate) fn keep(mut self) {
        self.shared = None;
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if let Some((key, _)) = self.shared.take().filter(|_| !self.done.is_empty()) {
            let (cache, manifest) = (self.cache.clone(), self.manifest());
            let writes = std::mem::take(&mut self.writes);
            let Ok(runtime) = Handle::try_current() else { return }; // they end by themselves
            runtime.spawn(async move {
                for write in writes.into_iter().flatten() {
                    let _ended = write.await.is_ok(); // what is on its way would come after
                }
                touch(&cache, &key, &manifest, Duration::ZERO).await;
            });
        }
    }
}

/// Lets go of the parts of an entry whose place was taken, when those who read them have had their time.
pub(crate) async fn replaced(cache: &Cache, key: &Key, manifest: &Manifest) {
    touch(cache, key, manifest, FAREWELL).await;
}

/// Whether an entry's parts are all there, for those who find it within so long.
pub(crate) async fn prolong(cache: &Cache, key: &Key, manifest: &Manifest, keep: Duration) -> bool {
    touch(cache, key, manifest, keep.saturating_add(MARGIN)).await
}

async fn touch(cache: &Cache, key: &Key, manifest: &Manifest, time: Duration) -> bool {
    let Some(redis) = cache.shared() else { return false };
    let found = redis.touch_parts(key, manifest, Some(time)).await;
    found.inspect_err(|error| Cache::count_error("touch", error)).unwrap_or(false)
}

/// Answers whether the part was written. Nobody else writes under its name, so it may be tried again.
async fn put(cache: &Cache, key: &Key, manifest: &Manifest, index: u32, part: &Part, keep: Duration) -> bool {
    let Some(redis) = cache.shared() else { return false };
    for _ in 0..TRIES {
        match redis.put_part(key, manifest, index, part, keep).await {
            Ok(()) => return true,
            Err(error) => Cache::count_error("put", &error),
        }
    }
    false
}

/// In which part a byte is, and where in it.
pub(crate) fn position(at: u64) -> (usize, usize) {
    let within = usize::try_from(at % PART as u64).unwrap_or(0);
    (usize::try_from(at / PART as u64).unwrap_or(usize::MAX), within)
}
