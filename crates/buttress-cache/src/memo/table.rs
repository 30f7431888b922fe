//! The handle: [`Memo`], and what it is asked.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cache::{Cache, Place};
use crate::key::Key;
use crate::memo::error::MemoError;
use crate::memo::found::Found;
use crate::memo::loading::Loading;
use crate::purge::{Purge, PurgeError, Receipt};
use crate::tag::Tag;

/// Results of one function, by its arguments. A cheap handle: clones share the results.
///
/// `K` is what the result depends on (a tuple of arguments, say), `V` the result. Keys are compared by their encoding: all that
/// serde sees of them and nothing else. Of floats the bits count, so that 0.0 and -0.0 are two keys.
pub struct Memo<K: ?Sized, V> {
    pub(crate) cache: Cache,
    pub(crate) terms: Arc<Settings>,
    types: PhantomData<fn(&K) -> V>,
}

/// What a caller asks for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) place: Place,
    /// By which the value, and what was made of it, is taken back.
    pub(crate) tag: Tag,
}

/// What holds for all results of a memo.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) ttl: Duration,
    pub(crate) stale: Duration,
    pub(crate) stale_on_error: Duration,
    pub(crate) absent: Duration,
    pub(crate) wait: Duration,
    pub(crate) early: f64,
    pub(crate) jitter: f64,
}

// === impl Memo ===

impl<K, V> Memo<K, V>
where
    K: Serialize + ?Sized + 'static,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// A memo in this cache. Two memos of one name, version and type are one. Its results are fresh for a minute.
    #[must_use]
    pub fn new(cache: &Cache, name: impl Into<String>) -> Self {
        let terms = Settings {
            name: name.into(),
            version: 0,
            ttl: Duration::from_secs(60),
            stale: Duration::ZERO,
            stale_on_error: Duration::ZERO,
            absent: Duration::ZERO,
            wait: Duration::from_secs(5),
            early: 1.0,
            jitter: 0.0,
        };
        Self { cache: cache.clone(), terms: Arc::new(terms), types: PhantomData }
    }

    /// To be raised when the values' type changes and keeps its name, or the function gives other results. Default: 0.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.set().version = version;
        self
    }

    /// How long a result is fresh. Default: a minute. In whole seconds; of less than one nothing is stored.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.set().ttl = ttl;
        self
    }

    /// For how long after that a result is still given at once, while it is refreshed in the background, once in the fleet.
    /// Default: not at all.
    #[must_use]
    pub fn stale_for(mut self, time: Duration) -> Self {
        self.set().stale = time;
        self
    }

    /// For how long after its freshness a result is given in place of the loader's error. Default: not at all.
    #[must_use]
    pub fn stale_on_error(mut self, time: Duration) -> Self {
        self.set().stale_on_error = time;
        self
    }

    /// How long it is remembered that [there is none](Self::get_or_try_insert_optional_with). Default: not at all.
    #[must_use]
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.set().absent = ttl;
        self
    }

    /// How long a caller waits for another one that loads the same. Default: five seconds; then it loads for itself, and does not
    /// store it.
    #[must_use]
    pub fn wait(mut self, time: Duration) -> Self {
        self.set().wait = time;
        self
    }

    /// How eagerly a result is refreshed before its end; see [`CacheLayer::early_refresh`](crate::CacheLayer::early_refresh). Default: 1.
    #[must_use]
    pub fn early_refresh(mut self, beta: f64) -> Self {
        self.set().early = if beta.is_finite() { beta.clamp(0.0, 1000.0) } else { 0.0 };
        self
    }

    /// A random part of each lifetime that is taken away, at most this share of it. Default: 0.
    #[must_use]
    pub fn jitter(mut self, share: f64) -> Self {
        self.set().jitter = share;
        self
    }

    /// The result for a key, or what the loader makes of it.
    ///
    /// # Errors
    ///
    /// The loader's own; that it asks for its own key; that it panicked.
    pub async fn get_or_try_insert_with<F, Fut, E>(&self, key: &K, load: F) -> Result<Arc<V>, MemoError<E>>
    where
        F: FnOnce(Loading<V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Send + 'static,
    {
        let asked = self.asked(key).map_err(MemoError::Key)?;
        let load = move |loading| {
            let loaded = load(loading);
            async move { loaded.await.map(Some) }
        };
        match self.get(&asked, load, Found::is_present).await? {
            Some(value) => Ok(value),
            None => unreachable!("what is absent was not wanted, and the loader gives a value"),
        }
    }

    /// The result for a key, or what the loader makes of it, who may say that there is none. That is remembered for
    /// [`negative_ttl`](Self::negative_ttl).
    ///
    /// # Errors
    ///
    /// As of [`get_or_try_insert_with`](Self::get_or_try_insert_with).
    pub async fn get_or_try_insert_optional_with<F, Fut, E>(
        &self,
        key: &K,
        load: F,
    ) -> Result<Option<Arc<V>>, MemoError<E>>
    where
        F: FnOnce(Loading<V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Send + 'static,
    {
        let asked = self.asked(key).map_err(MemoError::Key)?;
        self.get(&asked, load, |_| true).await
    }

    /// The result for a key, if it is stored and fresh. Asks Redis, and no loader.
    pub async fn peek(&self, key: &K) -> Option<Arc<V>> {
        let asked = self.asked(key).ok()?;
        let found = self.find(&asked.place).await?;
        let now = self.cache.now();
        if found.is_fresh(now) {
            return found.used(&self.cache);
        }
        // Another process may have a newer one than this one's memory.
        self.find_elsewhere(&asked.place).await?.filter_fresh(now)?.used(&self.cache)
    }

    /// Stores a result that the caller has, in place of what is stored: after a write, so that the next reader need not load.
    ///
    /// # Errors
    ///
    /// Redis was not reached: then what is stored may be the old one.
    pub async fn insert(&self, key: &K, value: V) -> Result<(), PurgeError> {
        self.invalidate(key).await?;
        let load = |_| async { Ok::<_, std::convert::Infallible>(value) };
        let _stored = self.get_or_try_insert_with(key, load).await.is_ok();
        Ok(())
    }

    /// Takes a result back, and all that was made of it: values of other memos, and pages. One round trip.
    ///
    /// # Errors
    ///
    /// Redis was not reached, or did not say that it was done.
    pub async fn invalidate(&self, key: &K) -> Result<Receipt, PurgeError> {
        // What cannot be encoded was never stored: then nothing has this tag.
        let arguments = postcard::to_stdvec(key).unwrap_or_default();
        self.cache.purge(Purge::of_tag(self.tag_of(&arguments))).await
    }

    /// Takes back all results of memos of this name, whatever their version, and all that was made of them. One round trip.
    ///
    /// # Errors
    ///
    /// Redis was not reached, or did not say that it was done.
    pub async fn clear(&self) -> Result<Receipt, PurgeError> {
        self.cache.purge(Purge::of_tag(self.own_tag())).await
    }

    pub(crate) fn own_tag(&self) -> Tag {
        Tag::memo(&self.terms.name)
    }

    /// Of the value of whatever version: who invalidates it may run a later one than who stored it.
    fn tag_of(&self, arguments: &[u8]) -> Tag {
        Tag::value(&self.terms.name, arguments)
    }

    pub(crate) fn asked(&self, key: &K) -> Result<Asked, String> {
        let arguments = postcard::to_stdvec(key).map_err(|error| error.to_string())?;
        let Settings { name, version, .. } = &*self.terms;
        let mut key = Key::of_memo();
        for part in [name.as_bytes(), &version.to_le_bytes(), std::any::type_name::<V>().as_bytes(), &arguments] {
            key.push(part);
        }
        Ok(Asked { place: Place { local: key.local(), key, variants: None }, tag: self.tag_of(&arguments) })
    }

    fn set(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.terms)
    }
}

impl<K: ?Sized, V> Clone for Memo<K, V> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), terms: Arc::clone(&self.terms), types: PhantomData }
    }
}

impl<K: ?Sized, V> fmt::Debug for Memo<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo").field("terms", &self.terms).finish_non_exhaustive()
    }
}
