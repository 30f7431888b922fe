//! Many values at once: one round trip for what is stored, one call for what is not.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::Instrument as _;

use crate::admit::{LONGEST, Times};
use crate::cache::{Cache, Place};
use crate::capture::{self, Capture};
use crate::entry::Entry;
use crate::flight::{Follow, Join, Landing, Lead};
use crate::lease::{Claim, Right};
use crate::memo::chain;
use crate::memo::error::MemoError;
use crate::memo::found::{Found, count};
use crate::memo::loading::Wish;
use crate::memo::table::{Asked, Memo};
use crate::policy;
use crate::record::Record;

/// A key of a batch, each once.
struct Item<K, V> {
    key: K,
    asked: Asked,
    /// What is stored and cannot be used.
    known: Option<Entry>,
    /// `None` for as long as nothing is known.
    value: Option<Option<Arc<V>>>,
}

/// What a batch has to load.
struct ToLoad<K> {
    key: K,
    asked: Asked,
    lead: Option<Lead>,
}

impl<K, V> Memo<K, V>
where
    K: Serialize + Clone + Eq + Hash + Send + Sync + 'static,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// The results for these keys, in their order, or what the loader makes of those that are missing. What it leaves out is
    /// absent, which is remembered for [`negative_ttl`](Self::negative_ttl).
    ///
    /// One round trip to Redis for all that is stored there, and one call of the loader. What others are loading at the moment is waited
    /// for, up to [`wait`](Self::wait), after that; only what did not come of it is loaded by a second call.
    ///
    /// # Errors
    ///
    /// As of [`get_or_try_insert_with`](Self::get_or_try_insert_with). The loader's error is one for all that it was asked for; what was stored
    /// before stays.
    pub async fn get_many_or_try_insert_with<F, Fut, E>(
        &self,
        keys: &[K],
        load: F,
    ) -> Result<Vec<Option<Arc<V>>>, MemoError<E>>
    where
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<HashMap<K, V>, E>> + Send + 'static,
        E: Send + 'static,
    {
        let (load, mut items) = (Arc::new(load), self.items(keys)?);
        self.find_all(&mut items).await;
        let (mut leads, mut follows) = (Vec::new(), Vec::new());
        for (index, item) in items.iter().enumerate().filter(|(_, item)| item.value.is_none()) {
            if chain::contains(item.asked.place.local) {
                return Err(MemoError::Recursive);
            }
            match self.cache.flights().join(item.asked.place.local, item.asked.place.local) {
                Join::Lead(lead) => leads.push((index, lead)),
                Join::Follow(follow) => follows.push((index, follow)),
            }
        }
        let to_load = self.claim_all(&items, leads).await;
        self.load_all(&mut items, to_load, &load).await?;
        // Only now: who waits while others wait for it might wait for itself.
        let deadline = tokio::time::Instant::now() + self.terms.wait.min(LONGEST);
        loop {
            let waited = self.wait_for_others(&mut items, std::mem::take(&mut follows));
            match tokio::time::timeout_at(deadline, waited).await {
                Ok(to_load) if to_load.is_empty() => break,
                Ok(to_load) => self.load_all(&mut items, to_load, &load).await?,
                Err(_) => break,
            }
        }
        let left = items.iter().filter(|item| item.value.is_none());
        let left = left.map(|item| ToLoad { key: item.key.clone(), asked: item.asked.clone(), lead: None }).collect();
        self.load_all(&mut items, left, &load).await?;
        let by_key: HashMap<_, _> = items.into_iter().map(|item| (item.key, item.value.flatten())).collect();
        Ok(keys.iter().map(|key| by_key.get(key).cloned().flatten()).collect())
    }

    fn items<E>(&self, keys: &[K]) -> Result<Vec<Item<K, V>>, MemoError<E>> {
        let mut items: Vec<Item<K, V>> = Vec::with_capacity(keys.len());
        let mut seen = std::collections::HashSet::with_capacity(keys.len());
        for key in keys.iter().filter(|key| seen.insert(*key)) {
            let asked = self.asked(key).map_err(MemoError::Key)?;
            items.push(Item { key: key.clone(), asked, known: None, value: None });
        }
        Ok(items)
    }

    /// Takes what is stored and fresh.
    async fn find_all(&self, items: &mut [Item<K, V>]) {
        let missing: Vec<_> = (0..items.len()).filter(|&index| items[index].value.is_none()).collect();
        let places: Vec<_> = missing.iter().map(|&index| items[index].asked.place.clone()).collect();
        let found = self.cache.find_many(&places.iter().collect::<Vec<_>>()).await;
        for (index, sure) in missing.into_iter().zip(found) {
            let Some((Record::Entry(entry), soft)) = sure.map(|sure| (sure.record, sure.soft)) else { continue };
            items[index].known = Some(entry.clone());
            items[index].take(&self.cache, self.found(entry, soft).filter_fresh(self.cache.now()));
        }
    }

    /// The right to store each in Redis. What other processes have is left to these.
    async fn claim_all(&self, items: &[Item<K, V>], leads: Vec<(usize, Lead)>) -> Vec<ToLoad<K>> {
        let mut claims = tokio::task::JoinSet::new();
        for (index, mut lead) in leads {
            let (cache, place, known) =
                (self.cache.clone(), items[index].asked.place.clone(), items[index].known.clone());
            claims.spawn(async move {
                match cache.claim(&place.key, place.local, known.as_ref()).await {
                    Claim::Held | Claim::Found => return None,
                    Claim::Mine(lease) => lead.right = Some(Right::Lease(lease)),
                    Claim::Away => {}
                }
                Some((index, lead))
            });
        }
        let mut claimed: Vec<_> = claims.join_all().await.into_iter().flatten().collect();
        claimed.sort_unstable_by_key(|(index, _)| *index);
        let to_load = |(index, lead): (usize, Lead)| {
            let Item { key, asked, .. } = &items[index];
            ToLoad { key: key.clone(), asked: asked.clone(), lead: Some(lead) }
        };
        claimed.into_iter().map(to_load).collect()
    }

    /// Waits for what others load, here and elsewhere. What they have given up by then is for this batch to load.
    async fn wait_for_others(&self, items: &mut [Item<K, V>], follows: Vec<(usize, Follow)>) -> Vec<ToLoad<K>> {
        for (index, mut follow) in follows {
            if let Landing::Landed(entry) = follow.landing().await {
                let item = &mut items[index];
                item.take(&self.cache, self.served(&item.asked.place, entry));
            }
        }
        loop {
            self.find_all(items).await;
            let mut leads = Vec::new();
            let mut is_complete = true;
            for (index, item) in items.iter().enumerate().filter(|(_, item)| item.value.is_none()) {
                is_complete = false;
                let place = &item.asked.place;
                leads.extend(self.cache.flights().lead(place.local, place.local).map(|lead| (index, lead)));
            }
            let to_load = self.claim_all(items, leads).await;
            if is_complete || !to_load.is_empty() {
                return to_load;
            }
            tokio::time::sleep(policy::pause_between_claims(rand::random())).await;
        }
    }

    async fn load_all<F, Fut, E>(
        &self,
        items: &mut [Item<K, V>],
        to_load: Vec<ToLoad<K>>,
        load: &Arc<F>,
    ) -> Result<(), MemoError<E>>
    where
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<HashMap<K, V>, E>> + Send + 'static,
        E: Send + 'static,
    {
        let mut keys = to_load.iter().map(|item| item.asked.place.local);
        let Some(first) = keys.next() else { return Ok(()) };
        let link = keys.fold(chain::with(first), chain::after);
        count("load-many");
        let span = tracing::debug_span!("memo.load", memo = self.terms.name, many = to_load.len());
        let work = chain::within(link, self.clone().run_all(to_load, Arc::clone(load)));
        let loaded = match tokio::spawn(work.instrument(span)).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(error)) => return Err(MemoError::Load(error)),
            Err(_) => return Err(MemoError::Panicked),
        };
        let mut by_place: HashMap<u128, Option<Arc<V>>> = HashMap::with_capacity(loaded.len());
        for (place, value, used) in loaded {
            capture::note(&self.cache, used);
            by_place.insert(place.local, value);
        }
        for item in items {
            if let Some(value) = by_place.get(&item.asked.place.local) {
                item.value = Some(value.clone());
            }
        }
        Ok(())
    }

    async fn run_all<F, Fut, E>(
        self,
        to_load: Vec<ToLoad<K>>,
        load: Arc<F>,
    ) -> Result<Vec<(Place, Option<Arc<V>>, Option<capture::Used>)>, E>
    where
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<HashMap<K, V>, E>> + Send + 'static,
    {
        let (sent, moment, capture) = (self.cache.now(), self.cache.coherence().moment(), Capture::new(&self.cache));
        let keys = to_load.iter().map(|item| item.key.clone()).collect();
        let mut loaded = match capture.around(load(keys)).await {
            Ok(loaded) => loaded,
            Err(error) => {
                to_load.into_iter().filter_map(|item| item.lead).for_each(Lead::fail);
                return Err(error);
            }
        };
        let times = Times { sent, moment, received: self.cache.now() };
        let made_of = capture.used();
        let keep = |ToLoad { key, asked, lead }| {
            let value = loaded.remove(&key).map(Arc::new);
            let used = self.keep(&asked, value.as_ref(), &Wish::default(), times, made_of.clone(), lead);
            (asked.place, value, used)
        };
        Ok(to_load.into_iter().map(keep).collect())
    }
}

impl<K, V> Item<K, V> {
    fn take(&mut self, cache: &Cache, found: Option<Found<V>>) {
        if let Some(found) = found {
            count("hit");
            self.value = Some(found.used(cache));
        }
    }
}
