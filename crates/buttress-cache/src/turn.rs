//! Whose turn it is: who asks the service, who waits for whom, and for how long.

use std::sync::Arc;
use std::time::Duration;

use buttress_rfc9111::reuse::Reuse;
use tracing::Instrument as _;

use crate::cache::Cache;
use crate::entry::Entry;
use crate::exchange::Exchange;
use crate::flight::{Follow, Join, Landing, Lead};
use crate::growing::Growing;
use crate::key::Key;
use crate::lease::{Claim, Lease, Right, Standing};
use crate::ledger::Verdict;
use crate::policy;
use crate::reader::Reader;

/// After so many turns in vain a request goes its own way.
pub(crate) const MOST_TRIES: u32 = 2;

/// How a request that waited for another one goes on.
pub(crate) enum Waited {
    /// With this entry.
    Served(Entry),
    /// With this entry, whose body comes.
    Reads(Entry, Reader),
    /// From the beginning.
    Again,
    /// To the service, on its own.
    Alone,
    /// To the service, without storing: it has waited too long.
    TooLong,
}

/// What a request that leads in this process comes to in the fleet.
pub(crate) enum Claimed {
    /// It leads there too, or Redis is away.
    Lead(Lead),
    /// Another process has filled the key: look again.
    Again,
    /// Another process took too long.
    TooLong,
}

/// Why there is no lease to be had.
pub(crate) enum Missed {
    /// Another process has filled the key.
    Filled,
    /// Another process took too long.
    TooLong,
}

impl Cache {
    /// The lease on a key, as soon as no other process has it; none while Redis is away.
    pub(crate) async fn claim_in_turn(
        &self,
        key: &Key,
        local: u128,
        stale: Option<&Entry>,
        wait: Duration,
    ) -> Result<Option<Lease>, Missed> {
        let until_free = async {
            let mut was_held = false;
            loop {
                match self.claim(key, local, stale).await {
                    Claim::Mine(mut lease) => {
                        lease.was_held = was_held;
                        return Ok(Some(lease));
                    }
                    Claim::Away => return Ok(None),
                    Claim::Found => return Err(Missed::Filled),
                    Claim::Held if wait.is_zero() => return Err(Missed::TooLong),
                    Claim::Held => {
                        was_held = true;
                        tokio::time::sleep(policy::pause_between_claims(rand::random())).await;
                    }
                }
            }
        };
        // Without time to wait, for the answer all the same.
        let time = if wait.is_zero() { Duration::from_secs(1) } else { wait };
        tokio::time::timeout(time, until_free).await.unwrap_or(Err(Missed::TooLong))
    }
}

impl Exchange {
    /// Takes the lead, alone where nobody should wait for this request.
    pub(crate) fn join(&self, tries: u32) -> Join {
        if self.is_passed() || tries > MOST_TRIES || !self.asked.may_be_waited_for() {
            return Join::Lead(self.alone());
        }
        self.cache.flights().join(self.place.local, self.place.plain())
    }

    pub(crate) fn alone(&self) -> Lead {
        self.cache.flights().alone(self.place.local, self.place.plain())
    }

    pub(crate) async fn wait(&self, mut follow: Follow, tries: &mut u32) -> Waited {
        let outcome = async {
            match follow.shared().await {
                Some(growing) => self.share(&growing, &mut follow).await,
                None => Err(follow.landing().await),
            }
        };
        let span = tracing::debug_span!("cache.wait", uri = %self.parts.uri);
        let landing = match tokio::time::timeout(self.settings.wait, outcome).instrument(span).await {
            Ok(Ok(waited)) => return waited,
            Ok(Err(landing)) => landing,
            Err(_) => return Waited::TooLong,
        };
        match landing {
            Landing::Landed(entry) if self.is_served_by(&entry) && self.cache.has_all_here(&entry) => {
                Waited::Served(entry)
            }
            Landing::Landed(_) => {
                *tries += 1; // another variant's, perhaps
                Waited::Again
            }
            Landing::Open => Waited::Alone,
            Landing::Failed => {
                *tries += 2; // one leads a second try; when that fails too, everybody goes
                if *tries > MOST_TRIES { Waited::Alone } else { Waited::Again }
            }
            Landing::Vanished => Waited::Again,
        }
    }

    /// Reads along while the body comes, if it is for this request; if not, waits for the end.
    async fn share(&self, growing: &Arc<Growing>, follow: &mut Follow) -> Result<Waited, Landing> {
        if growing.expected().is_some_and(policy::is_soon_there)
            && let Ok(landing) = tokio::time::timeout(policy::SOON, follow.landing()).await
        {
            return Err(landing);
        }
        let Some(head) = growing.head() else {
            // Changed since, or just ended.
            return if growing.is_outdated() { Ok(Waited::Alone) } else { Err(follow.landing().await) };
        };
        if self.cache.coherence().judge_leniently(&head) == Verdict::Gone {
            return Ok(Waited::Alone); // it was purged, and what comes of it is for those who asked before
        }
        if !self.is_served_by(&head) {
            return Err(follow.landing().await);
        }
        match growing.attach() {
            Some(reader) => Ok(Waited::Reads(head, reader)),
            None => Err(follow.landing().await),
        }
    }

    /// Gets the right to fill the key in Redis, too. While another process fills it, whoever may waits for it.
    pub(crate) async fn claim(&self, mut lead: Lead, stale: Option<&Entry>, tries: u32) -> Claimed {
        if self.cache.shared().is_none() || tries > MOST_TRIES {
            return Claimed::Lead(lead);
        }
        if !self.asked.may_be_stored(&self.settings) {
            return Claimed::Lead(lead); // it keeps nobody waiting, here or elsewhere
        }
        if self.is_passed() {
            lead.right = Some(Right::Place(self.cache.clone(), self.place.key.clone(), Standing::Mark));
            return Claimed::Lead(lead);
        }
        let wait = if self.asked.may_be_waited_for() { self.settings.wait } else { Duration::ZERO };
        let span = tracing::debug_span!("cache.claim", uri = %self.parts.uri);
        match self.cache.claim_in_turn(&self.place.key, self.place.local, stale, wait).instrument(span).await {
            // Whoever held it may have learned that its response lies elsewhere, and stored it there.
            Ok(Some(lease)) if lease.was_held && tries == 0 && self.may_be_elsewhere() => Claimed::Again,
            Ok(lease) => {
                lead.right = lease.map(Right::Lease);
                Claimed::Lead(lead)
            }
            Err(Missed::Filled) => Claimed::Again,
            Err(Missed::TooLong) if wait.is_zero() => Claimed::Lead(lead),
            Err(Missed::TooLong) => Claimed::TooLong,
        }
    }

    /// A lead that nobody waits for, and the right to store in Redis if it can be had now.
    pub(crate) async fn lead_without_waiting(&self, stale: Option<&Entry>) -> Lead {
        let mut lead = self.alone();
        if let Claim::Mine(lease) = self.cache.claim(&self.place.key, self.place.local, stale).await {
            lead.right = Some(Right::Lease(lease));
        }
        lead
    }

    /// Whether what another request fetched answers this one.
    fn is_served_by(&self, entry: &Entry) -> bool {
        // What was purged while it was fetched is for those who asked before.
        let is_current = self.cache.coherence().judge_leniently(entry) == Verdict::Current;
        let is_ours = entry.key() == self.place.key.text() || self.would_find(entry);
        is_ours && is_current && self.decide(entry, false, self.cache.now()) == Reuse::Fresh
    }
}
