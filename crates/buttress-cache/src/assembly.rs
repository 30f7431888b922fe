//! The body of a large entry, put together from its parts while it is sent.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use buttress_core::BoxError;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use metrics::counter;

use crate::cache::Cache;
use crate::entry::Entry;
use crate::key::Key;
use crate::manifest::{Manifest, PART};
use crate::record::Record;

/// A body that is put together from its parts, or some bytes of it.
pub(crate) struct Assembly {
    cache: Cache,
    key: Key,
    manifest: Manifest,
    /// What tells the entry from another one.
    sum: Bytes,
    /// The parts from the one that is sent next. What is not here is fetched when its turn comes.
    parts: VecDeque<Option<Bytes>>,
    /// The one that comes from Redis.
    coming: Option<Coming>,
    at: u64,
    end: u64,
    trailers: Option<HeaderMap>,
}

type Coming = Pin<Box<dyn Future<Output = Option<Bytes>> + Send>>;

/// That a part was gone when its turn came.
#[derive(Debug)]
struct Gone;

// === impl Assembly ===

impl Assembly {
    /// The bytes of an entry's body from `at` to `end`.
    pub(crate) fn new(cache: &Cache, key: &Key, entry: &Entry, manifest: Manifest, at: u64, end: u64) -> Self {
        let (first, last) = (index(at), index(end.saturating_sub(1)));
        let parts = (first..=last).map(|index| cache.part_here(&manifest, index)).collect();
        let sum = Bytes::copy_from_slice(entry.sum());
        Self { cache: cache.clone(), key: key.clone(), manifest, sum, parts, coming: None, at, end, trailers: None }
    }

    pub(crate) fn with_trailers(mut self, trailers: Option<HeaderMap>) -> Self {
        self.trailers = trailers;
        self
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.at >= self.end {
            return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let next = match self.parts.front_mut() {
            Some(here) => here.take(),
            None => return Poll::Ready(None), // it has failed before
        };
        let part = match next {
            Some(part) => Some(part),
            None => ready!(
                self.coming
                    .get_or_insert_with(|| fetch(&self.cache, &self.key, self.manifest, index(self.at)))
                    .as_mut()
                    .poll(cx)
            ),
        };
        self.coming = None;
        let Some(part) = part else {
            self.parts.clear();
            counter!("buttress_cache_bad_records_total", "reason" => "part").increment(1);
            let (cache, key, sum) = (self.cache.clone(), self.key.clone(), self.sum.clone());
            self.cache.later(0, async move { cache.drop_known(&key, &sum).await });
            return Poll::Ready(Some(Err(Box::new(Gone))));
        };
        self.parts.pop_front();
        let within = usize::try_from(self.at % PART as u64).unwrap_or(0);
        let wanted = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let data = part.slice(within..part.len().min(within.saturating_add(wanted)));
        self.at += data.len() as u64;
        if self.parts.front().is_some_and(Option::is_none) {
            // The next one is on its way while this one is sent.
            let mut coming = fetch(&self.cache, &self.key, self.manifest, index(self.at));
            match coming.as_mut().poll(cx) {
                Poll::Ready(part) if part.is_some() => self.parts[0] = part,
                Poll::Ready(_) => {}
                Poll::Pending => self.coming = Some(coming),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.at >= self.end && self.trailers.is_none()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end.saturating_sub(self.at))
    }
}

impl fmt::Debug for Assembly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assembly").field("at", &self.at).field("end", &self.end).finish_non_exhaustive()
    }
}

impl Cache {
    /// Whether all that an entry consists of is in this process.
    pub(crate) fn has_all_here(&self, entry: &Entry) -> bool {
        entry
            .manifest()
            .is_none_or(|manifest| (0..manifest.count()).all(|index| self.part_here(&manifest, index).is_some()))
    }

    /// Whether all that an entry consists of is there: better to learn it now than in the middle of its body.
    pub(crate) async fn has_all(&self, key: &Key, entry: &Entry) -> bool {
        let Some(manifest) = entry.manifest().filter(|_| !self.has_all_here(entry)) else { return true };
        let Some(redis) = self.shared() else { return false };
        match redis.touch_parts(key, &manifest, None).await {
            Ok(all) => all,
            Err(error) => {
                Self::count_error("parts", &error);
                false
            }
        }
    }

    fn part_here(&self, manifest: &Manifest, index: u32) -> Option<Bytes> {
        self.memory().part(manifest.local(index))?.of(manifest, index)
    }
}

/// A part out of Redis, kept here for the next reader.
fn fetch(cache: &Cache, key: &Key, manifest: Manifest, index: u32) -> Coming {
    let (cache, key) = (cache.clone(), key.clone());
    Box::pin(async move {
        let as_of = cache.coherence().version();
        let part = match cache.shared()?.part(&key, &manifest, index).await {
            Ok(part) => part?,
            Err(error) => {
                Cache::count_error("get", &error);
                return None;
            }
        };
        let bytes = part.of(&manifest, index)?;
        cache.memory().keep(manifest.local(index), Record::Part(Arc::new(part)), cache.now(), as_of);
        Some(bytes)
    })
}

fn index(at: u64) -> u32 {
    u32::try_from(at / PART as u64).unwrap_or(u32::MAX)
}

// === impl Gone ===

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of the stored response was lost")
    }
}

impl std::error::Error for Gone {}
