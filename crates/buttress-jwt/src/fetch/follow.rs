//! The task behind the keys of one URL: it asks when it is time or a token needs it, and lets go of keys that grew too old.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use buttress_core::Clock;
use bytes::Bytes;
use metrics::{counter, gauge};
use tokio::time::timeout;

use super::KeyUrl;
use super::find::{Desk, End, Finder};
use super::get::{Getter, Trouble};
use super::policy::{self, COOL_DOWN, Seen, Why};
use super::published::Published;
use super::share::{Claim, Share};
use crate::key_set::may_have;
use crate::keys::{Keys, WeakKeys};

/// Keeps the keys of one URL as new as they should be, for as long as somebody has them.
struct Follower {
    keys: WeakKeys,
    desk: Desk,
    getter: Getter,
    share: Option<Arc<Share>>,
    /// What was taken last, and the epoch that the keys have since.
    last: Option<(Bytes, u64)>,
    /// When the issuer gave it.
    fetched: Option<SystemTime>,
    due: SystemTime,
    failures: u32,
    name: Arc<str>,
    refresh: Duration,
    ceiling: Duration,
    timeout: Duration,
    clock: Clock,
}

/// How keys were renewed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Renewed {
    /// The issuer gave other keys than before, or the same.
    Fetched { changed: bool },
    /// The fleet's copy was taken.
    Shared { changed: bool },
}

/// How often the clock is looked at: it may be set, or the machine have slept. Keys that are dropped end the task at once.
const LOOK: Duration = Duration::from_millis(250);

// === impl KeyUrl ===

impl KeyUrl {
    /// Makes keys that are followed from now on.
    pub(crate) fn follow(&self, make: impl FnOnce(Finder) -> Keys) -> Keys {
        let (finder, desk) = Finder::new(Arc::clone(&self.name), self.timeout, self.clock.clone());
        let keys = make(finder);
        tokio::spawn(Follower::new(self, keys.downgrade(), desk).run());
        keys
    }
}

// === impl Follower ===

impl Follower {
    fn new(url: &KeyUrl, keys: WeakKeys, desk: Desk) -> Self {
        let share = url.shared.as_ref().map(|(redis, prefix)| {
            Arc::new(Share::new(redis, prefix, &url.uri.to_string(), url.timeout, url.ceiling()))
        });
        Self {
            keys,
            desk,
            getter: Getter::new(&url.uri, url.timeout, url.roots.clone()),
            share,
            last: None,
            fetched: None,
            due: url.clock.now(),
            failures: 0,
            name: Arc::clone(&url.name),
            refresh: url.refresh,
            ceiling: url.ceiling(),
            timeout: url.timeout,
            clock: url.clock.clone(),
        }
    }

    /// Follows until the last of the keys is dropped.
    async fn run(mut self) {
        if self.begin_with_copy().await {
            self.desk.end(End::Copied, true);
        }
        while let Some(why) = self.next().await {
            self.desk.begin();
            let renewed = self.renew(&why).await;
            self.note(&renewed);
            let (end, changed) = match renewed {
                Ok(Renewed::Fetched { changed }) => (End::Fetched, changed),
                Ok(Renewed::Shared { changed }) => (End::Copied, changed),
                Err(_) => (End::Failed, false),
            };
            self.desk.end(end, changed);
        }
    }

    /// Waits for a reason to ask. None when nobody has the keys any more.
    async fn next(&mut self) -> Option<Why> {
        loop {
            let now = self.clock.now();
            self.look_after(now)?;
            if self.due <= now {
                return Some(Why::Due);
            }
            let pause = policy::age(now, self.due).min(LOOK);
            if let Ok(why) = timeout(pause, self.desk.demands.recv()).await {
                return why;
            }
        }
    }

    /// Lets go of keys that nobody confirmed for too long.
    fn look_after(&mut self, now: SystemTime) -> Option<()> {
        let keys = self.keys.upgrade()?;
        let Some(fetched) = self.fetched else { return Some(()) };
        let age = policy::age(fetched, now);
        gauge!("buttress_jwt_keys_age_seconds", "url" => Arc::clone(&self.name)).set(age.as_secs_f64());
        if age >= self.ceiling && !keys.current().is_empty() {
            tracing::error!(target: "buttress_jwt", url = %self.name, ?age, "keys are too old to be believed");
            keys.replace([]);
            self.due = self.due.min(now + COOL_DOWN);
        }
        Some(())
    }

    /// Asks the fleet, then the issuer.
    async fn renew(&mut self, why: &Why) -> Result<Renewed, Trouble> {
        let Some(share) = self.share.clone() else { return self.fetch().await };
        if let Some(renewed) = self.take_copy(&share, why).await {
            return Ok(renewed);
        }
        let mut claim = share.claim().await;
        if claim == Claim::Held {
            share.wait(self.timeout).await;
            if let Some(renewed) = self.take_copy(&share, why).await {
                return Ok(renewed);
            }
            claim = share.claim().await; // it may have died
        }
        match claim {
            Claim::Away => self.fetch().await,
            Claim::Held => Err(Trouble::Elsewhere),
            Claim::Mine => {
                // Somebody may have been quicker between the look and the claim.
                let renewed = match self.take_copy(&share, why).await {
                    Some(renewed) => Ok(renewed),
                    None => self.fetch().await,
                };
                // After a failure it ends by itself, so that the others do not all try at once.
                if renewed.is_ok() {
                    share.release().await;
                }
                renewed
            }
        }
    }

    async fn fetch(&mut self) -> Result<Renewed, Trouble> {
        let fetched = self.clock.now();
        let answer = self.getter.get().await?;
        let published = Published { body: answer.body, fetched, max_age: answer.max_age };
        let changed = self.adopt(&published)?;
        if let Some(share) = &self.share {
            share.put(&published).await;
        }
        Ok(Renewed::Fetched { changed })
    }

    /// Takes the fleet's copy, if it is one that saves the question to the issuer.
    async fn take_copy(&mut self, share: &Share, why: &Why) -> Option<Renewed> {
        let copy = share.copy().await?;
        let now = self.clock.now();
        let seen = Seen {
            fetched: copy.fetched,
            fresh_until: copy.fetched + policy::lifetime(copy.max_age, self.refresh),
            has_wanted: matches!(why, Why::Wanted(kid) if self.is_in(&copy, kid.as_deref())),
        };
        if !policy::is_believable(copy.fetched, self.ceiling, now) || !policy::takes_copy(seen, self.fetched, why, now)
        {
            return None;
        }
        self.adopt(&copy).ok().map(|changed| Renewed::Shared { changed })
    }

    /// At the start any copy will do until the issuer has been asked.
    async fn begin_with_copy(&mut self) -> bool {
        let Some(share) = self.share.clone() else { return false };
        let copy = share.copy().await;
        let copy = copy.filter(|copy| policy::is_believable(copy.fetched, self.ceiling, self.clock.now()));
        copy.is_some_and(|copy| self.adopt(&copy).is_ok())
    }

    /// Whether a copy has a key that is not known here.
    fn is_in(&self, copy: &Published, kid: Option<&str>) -> bool {
        !self.is_known(copy) && copy.keys().is_ok_and(|keys| may_have(&keys, kid))
    }

    /// Whether it is what the keys were made of, word for word: then it need not be read.
    fn is_known(&self, published: &Published) -> bool {
        let epoch = self.keys.upgrade().map(|keys| keys.current().epoch);
        self.last.as_ref().is_some_and(|(body, since)| *body == published.body && Some(*since) == epoch)
    }

    /// Takes what was published. Answers whether a key changed.
    fn adopt(&mut self, published: &Published) -> Result<bool, Trouble> {
        let Some(keys) = self.keys.upgrade() else { return Ok(false) };
        let changed = !self.is_known(published) && keys.update(published.keys().map_err(Trouble::Unusable)?);
        self.last = Some((published.body.clone(), keys.current().epoch));
        self.fetched = Some(published.fetched);
        let lifetime = policy::lifetime(published.max_age, self.refresh);
        self.due = published.fetched + policy::pause_after_answer(lifetime, rand::random());
        self.failures = 0;
        Ok(changed)
    }

    /// Counts it, and after a failure says when to try again.
    fn note(&mut self, renewed: &Result<Renewed, Trouble>) {
        let outcome = match renewed {
            Ok(renewed) => renewed.as_str(),
            Err(trouble) => trouble.as_str(),
        };
        counter!("buttress_jwt_key_fetches_total", "url" => Arc::clone(&self.name), "outcome" => outcome).increment(1);
        match renewed {
            Ok(_) => tracing::debug!(target: "buttress_jwt", url = %self.name, outcome, "keys are renewed"),
            Err(trouble) => {
                let usable = self.keys.upgrade().is_some_and(|keys| !keys.current().is_empty());
                self.failures = self.failures.saturating_add(1);
                let pause = policy::pause_after_failure(self.failures, usable, self.refresh, rand::random());
                self.due = self.clock.now() + pause;
                tracing::warn!(target: "buttress_jwt", url = %self.name, why = %trouble, usable, "keys are not renewed");
            }
        }
    }
}

// === impl Renewed ===

impl Renewed {
    /// The word used in metrics.
    fn as_str(self) -> &'static str {
        match self {
            Self::Fetched { changed: true } => "changed",
            Self::Fetched { changed: false } => "unchanged",
            Self::Shared { .. } => "shared",
        }
    }
}
