//! What is revoked, in this process: asked for every token, changed rarely.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::mark::{Kind, Mark};
use crate::revocation::Entry;
use crate::token::Token;

/// Revocations by mark, in shards, so that a writer holds up few readers and a table that grows is a small one.
#[derive(Debug)]
pub(crate) struct Replica {
    shards: Box<[Shard]>,
    /// How many there are of each kind: what nobody has revoked is not looked up.
    counts: [AtomicUsize; Kind::ALL.len()],
}

type Shard = RwLock<HashMap<Mark, Kept, foldhash::fast::RandomState>>;

/// 16 bytes beside the 16 of the mark.
#[derive(Clone, Copy, Debug)]
struct Kept {
    cutoff: u64,
    /// In seconds, rounded up.
    until: u32,
    /// When it was last read out of the stream, as the number of times that the stream was read from the beginning; 0 for not at all.
    round: u16,
    kind: Kind,
}

const SHARDS: usize = 64;
static EVERYTHING: LazyLock<Mark> = LazyLock::new(Mark::everything);

// === impl Replica ===

impl Replica {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), counts: Default::default() }
    }

    /// Takes an entry in. Cut-offs and ends only move forward, so the order does not matter, nor does it to hear twice. False if it
    /// changes nothing.
    pub(crate) fn add(&self, entry: &Entry) -> bool {
        self.merge(entry, 0)
    }

    /// Takes an entry in that the stream was found to have, when it was read for the so manieth time.
    pub(crate) fn read(&self, entry: &Entry, round: u16) {
        self.merge(entry, round);
    }

    fn merge(&self, entry: &Entry, round: u16) -> bool {
        let until = u32::try_from(entry.until.div_ceil(1000)).unwrap_or(u32::MAX);
        let mut shard = write(self.shard(&entry.mark));
        match shard.entry(entry.mark) {
            Slot::Occupied(mut known) => {
                let known = known.get_mut();
                let (cutoff, late) = (known.cutoff.max(entry.cutoff), known.until.max(until));
                let changed = (cutoff, late) != (known.cutoff, known.until);
                // Told is what one entry of the stream tells alone.
                let told = (cutoff, late) == (entry.cutoff, until);
                known.round = if told && round > 0 {
                    round
                } else if changed {
                    0
                } else {
                    known.round
                };
                (known.cutoff, known.until) = (cutoff, late);
                changed
            }
            Slot::Vacant(free) => {
                free.insert(Kept { cutoff: entry.cutoff, until, round, kind: entry.kind });
                self.counts[usize::from(entry.kind.byte())].fetch_add(1, Ordering::Release);
                true
            }
        }
    }

    /// What a token was revoked by, if it was. The latest cut-off of all levels decides, since each is asked.
    pub(crate) fn revoked(&self, token: &Token, now: u64) -> Option<Kind> {
        if self.len() == 0 {
            return None;
        }
        let (marks, claims) = (token.marks(), token.claims());
        let now = now / 1000;
        let is = |kind: Kind, mark: Option<&Mark>| {
            let mark = mark?;
            if self.counts[usize::from(kind.byte())].load(Ordering::Acquire) == 0 {
                return None;
            }
            let kept = *read(self.shard(mark)).get(mark)?;
            let meant = claims.issued.is_none_or(|issued| issued <= kept.cutoff) && u64::from(kept.until) > now;
            meant.then_some(kind)
        };
        is(Kind::Token, Some(&marks.token))
            .or_else(|| is(Kind::Session, marks.session.as_ref()))
            .or_else(|| is(Kind::Subject, marks.subject.as_ref()))
            .or_else(|| is(Kind::Client, marks.client.as_ref()))
            .or_else(|| is(Kind::Key, marks.key.as_ref()))
            .or_else(|| is(Kind::Issuer, Some(&marks.issuer)))
            .or_else(|| is(Kind::Everything, Some(&EVERYTHING)))
    }

    /// Forgets what no token can be refused for any more.
    pub(crate) fn sweep(&self, now: u64) {
        for shard in &self.shards {
            write(shard).retain(|_, kept| {
                let stays = u64::from(kept.until) > now / 1000;
                if !stays {
                    self.counts[usize::from(kept.kind.byte())].fetch_sub(1, Ordering::Release);
                }
                stays
            });
        }
    }

    /// All that is known, a shard at a time.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Vec<Entry>> {
        self.entries_but(None)
    }

    /// What the stream was not found to have when it was read for the so manieth time, a shard at a time.
    pub(crate) fn untold(&self, round: u16) -> impl Iterator<Item = Vec<Entry>> {
        self.entries_but(Some(round))
    }

    fn entries_but(&self, round: Option<u16>) -> impl Iterator<Item = Vec<Entry>> {
        self.shards.iter().map(move |shard| {
            let wanted = |(_, kept): &(&Mark, &Kept)| round != Some(kept.round);
            let entry = |(mark, kept): (&Mark, &Kept)| Entry {
                kind: kept.kind,
                mark: *mark,
                cutoff: kept.cutoff,
                until: u64::from(kept.until) * 1000,
            };
            read(shard).iter().filter(wanted).map(entry).collect()
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.counts.iter().map(|count| count.load(Ordering::Acquire)).sum()
    }

    fn shard(&self, mark: &Mark) -> &Shard {
        &self.shards[usize::from(mark.0[15]) % SHARDS]
    }
}

// Nothing in here panics while it holds a lock; and if it did, what is there would still be true.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocation::{Revocation, WHENEVER};
    use crate::testing;

    const NOW: u64 = testing::NOW;

    fn revoked(entries: &[Entry], claims: &str) -> Option<Kind> {
        let replica = Replica::new();
        for entry in entries {
            replica.add(entry);
        }
        replica.revoked(&testing::token(claims), NOW)
    }

    fn entry(revocation: &Revocation) -> Entry {
        revocation.entry(NOW, 3_600_000)
    }

    #[test]
    fn each_level_refuses_what_it_is_about() {
        let now = NOW / 1000;
        let ada = format!(r#""sub":"ada","jti":"1","sid":"s","client_id":"c","iat":{}"#, now - 1);
        let token = ada.as_str();
        for (revocation, expected) in [
            (Revocation::id("a", "1"), Some(Kind::Token)),
            (Revocation::id("a", "2"), None),
            (Revocation::id("b", "1"), None),
            (Revocation::session("a", "s"), Some(Kind::Session)),
            (Revocation::session("a", "1"), None),
            (Revocation::subject("a", "ada"), Some(Kind::Subject)),
            (Revocation::subject("b", "ada"), None),
            (Revocation::client("a", "c"), Some(Kind::Client)),
            (Revocation::key("a", "k"), Some(Kind::Key)),
            (Revocation::issuer("a"), Some(Kind::Issuer)),
            (Revocation::issuer("b"), None),
            (Revocation::everything(), Some(Kind::Everything)),
        ] {
            assert_eq!(revoked(&[entry(&revocation)], token), expected, "{revocation:?}");
        }
    }

    #[test]
    fn cut_offs_compose_by_maximum_and_only_move_forward() {
        let at = |cutoff| Entry { cutoff, ..entry(&Revocation::subject("a", "ada")) };
        let issuer = |cutoff| Entry { cutoff, ..entry(&Revocation::issuer("a")) };
        let token = |iat: &str| format!(r#""sub":"ada","jti":"1"{iat}"#);
        let issued = (NOW / 1000 - 10) * 1000;
        let iat = token(&format!(r#","iat":{}"#, issued / 1000));
        for (entries, token, expected) in [
            (vec![at(issued)], iat.clone(), Some(Kind::Subject)), // the same moment counts
            (vec![at(issued - 1)], iat.clone(), None),
            (vec![at(issued), at(issued - 1000)], iat.clone(), Some(Kind::Subject)),
            (vec![at(issued - 1000), at(issued)], iat.clone(), Some(Kind::Subject)),
            (vec![at(issued - 1), issuer(issued)], iat.clone(), Some(Kind::Issuer)),
            (vec![at(issued), issuer(issued - 1)], iat.clone(), Some(Kind::Subject)),
            (vec![at(0)], token(""), Some(Kind::Subject)), // who does not say when is meant
            // A login in the same second, a millisecond later, is another.
            (vec![at(issued)], token(&format!(r#","iat":{}.001"#, issued / 1000)), None),
        ] {
            assert_eq!(revoked(&entries, &token), expected, "{entries:?} {token}");
        }
    }

    #[test]
    fn an_entry_ends_when_nothing_is_left_to_refuse() {
        let replica = Replica::new();
        let token = testing::token(r#""jti":"1","sub":"ada""#);
        replica.add(&Entry { until: NOW + 500, ..entry(&Revocation::id("a", "1")) });
        replica.add(&Entry { until: NOW - 500, ..entry(&Revocation::subject("a", "ada")) });
        assert_eq!(replica.len(), 2);
        replica.sweep(NOW);
        assert_eq!(replica.len(), 1);
        assert_eq!(replica.revoked(&token, NOW), Some(Kind::Token));
        replica.sweep(NOW + 2_000);
        assert_eq!((replica.len(), replica.revoked(&token, NOW)), (0, None));
    }

    #[test]
    fn everything_known_is_told() {
        let replica = Replica::new();
        let known: Vec<_> = (0..500).map(|n| entry(&Revocation::id("a", &n.to_string()))).collect();
        known.iter().for_each(|entry| assert!(replica.add(entry)));
        let told: Vec<_> = replica.entries().flatten().collect();
        assert_eq!(told.len(), known.len());
        assert!(told.iter().all(|entry| entry.cutoff == WHENEVER && entry.until >= NOW + 3_600_000));
    }

    #[test]
    fn what_the_stream_has_is_not_told_again() {
        let replica = Replica::new();
        let ada = |cutoff, until| Entry { cutoff, until, ..entry(&Revocation::subject("a", "ada")) };
        let untold = |round| replica.untold(round).flatten().collect::<Vec<_>>();
        assert!(replica.add(&ada(5, 10_000)));
        assert!(!replica.add(&ada(4, 9_000)));
        assert_eq!(untold(1), [ada(5, 10_000)]);
        replica.read(&ada(5, 9_000), 1);
        assert_eq!(untold(1).len(), 1, "the stream has it for a shorter time");
        replica.read(&ada(5, 10_000), 1);
        replica.read(&ada(4, 10_000), 1);
        assert_eq!(untold(1), []);
        assert_eq!(untold(2), [ada(5, 10_000)], "another stream");
        assert!(replica.add(&ada(6, 10_000)));
        assert_eq!(untold(1), [ada(6, 10_000)]);
        replica.read(&ada(1, 20_000), 1);
        assert_eq!(untold(1), [ada(6, 20_000)], "the stream has both, but no entry has");
    }
}
