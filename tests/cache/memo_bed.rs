//! Memos in one process or several, and a loader that counts.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use buttress::cache::memo::Memo;
use buttress::cache::{Cache, CacheOptions};
use buttress::core::ManualClock;
use buttress_tests::RedisServer;
use serde::Serialize;

use crate::bed::{Store, patient};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Caches as processes have them: on one Redis, or one that is this process's own.
pub(crate) struct Fleet {
    pub(crate) hand: ManualClock,
    pub(crate) caches: Vec<Cache>,
    pub(crate) redis: Option<RedisServer>,
}

impl Fleet {
    pub(crate) async fn new(store: Store, processes: usize) -> Self {
        Self::with(store, processes, 64 << 20).await
    }

    pub(crate) async fn with(store: Store, processes: usize, capacity: u64) -> Self {
        let hand = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let options = || CacheOptions::new().clock(hand.clock()).capacity(capacity);
        let (mut caches, mut redis) = (Vec::new(), None);
        match store {
            Store::Embedded => {
                let cache = options().embedded();
                caches.resize(processes, cache);
            }
            Store::Redis => {
                let server = RedisServer::start();
                for _ in 0..processes {
                    caches.push(options().redis(patient(&server).await));
                }
                redis = Some(server);
            }
        }
        Self { hand, caches, redis }
    }

    pub(crate) async fn settled(&self) {
        for cache in &self.caches {
            cache.settled().await;
        }
    }

    /// Waits until each process relies on its memory.
    pub(crate) async fn is_listening(&self) {
        tokio::time::sleep(Duration::from_millis(if self.redis.is_some() { 300 } else { 0 })).await;
    }
}

/// A loader that counts its calls and gives their number.
#[derive(Clone, Default)]
pub(crate) struct Numbers(Arc<AtomicUsize>);

impl Numbers {
    pub(crate) fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) async fn of<K: Serialize + ?Sized + 'static>(&self, memo: &Memo<K, usize>, key: &K) -> usize {
        let numbers = self.clone();
        let load = move |_| async move { Ok::<_, Infallible>(numbers.next()) };
        *memo.get_or_try_insert_with(key, load).await.unwrap()
    }
}
