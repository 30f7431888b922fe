//! What is revoked, and the record of it.

use std::time::SystemTime;

use crate::claims;
use crate::mark::{Kind, Mark};
use crate::token::Token;

/// Something to revoke: see [`Revocations::revoke`](crate::Revocations::revoke).
///
/// ```
/// use buttress_jwt::Revocation;
///
/// let everywhere = Revocation::subject("https://accounts.example", "ada"); // log out everywhere
/// let leaked = Revocation::key("https://accounts.example", "2026-11"); // a key that got out
/// # let _ = (everywhere, leaked);
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is revoked until it is given to `Revocations::revoke`"]
pub struct Revocation {
    pub(crate) kind: Kind,
    pub(crate) mark: Mark,
    /// Tokens issued up to then are meant; none: all.
    pub(crate) before: Option<Before>,
    /// When there is nothing left to refuse, if that is known.
    pub(crate) until: Option<u64>,
    /// The `jti` of a token and its end, for those who know tokens by it.
    pub(crate) listed: Option<(String, Option<u64>)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Before {
    Now,
    Time(u64),
}

/// One revocation as it is kept: whose, up to which time of issue, and how long it matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) mark: Mark,
    /// Tokens that were issued up to then are refused, in milliseconds since 1970.
    pub(crate) cutoff: u64,
    /// From then on there is nothing left to refuse, in milliseconds since 1970; whole seconds, as a process keeps it, so that what is told
    /// again is what was told.
    pub(crate) until: u64,
}

/// Whenever it was issued. Lua counts in doubles, which are exact up to here.
pub(crate) const WHENEVER: u64 = (1 << 53) - 1;
const VERSION: u8 = 1;
/// Version, kind, mark, cut-off, end.
pub(crate) const LENGTH: usize = 1 + 1 + 16 + 8 + 8;

// === impl Revocation ===

impl Revocation {
    /// This token alone. Where it names the login that it comes from (`sid`), [`Revocation::login_of`] is what a logout means.
    pub fn token(token: &Token) -> Self {
        let verified = token.verified();
        Self { until: Some(verified.until), listed: listed(token), ..Self::all(Kind::Token, token.marks().token) }
    }

    /// The login that this token comes from, with all its tokens; the token alone if it does not name one.
    pub fn login_of(token: &Token) -> Self {
        match token.marks().session {
            Some(session) => Self { listed: listed(token), ..Self::all(Kind::Session, session) },
            None => Self::token(token),
        }
    }

    /// A token by its `jti`. Kept as long as any token of the layer may live; see [`until`](Self::until).
    pub fn id(issuer: &str, jti: &str) -> Self {
        Self { listed: Some((jti.to_owned(), None)), ..Self::all(Kind::Token, Mark::of(Kind::Token, issuer, jti)) }
    }

    /// A login by its `sid`, with all tokens that came of it.
    pub fn session(issuer: &str, sid: &str) -> Self {
        Self::all(Kind::Session, Mark::of(Kind::Session, issuer, sid))
    }

    /// Every token of a subject that was issued up to now, by the clock of the process that revokes: *log out everywhere*. Where an issuer's clock is
    /// ahead of it, give [`before`](Self::before) a time that is as much later.
    pub fn subject(issuer: &str, subject: &str) -> Self {
        Self::now(Kind::Subject, Mark::of(Kind::Subject, issuer, subject))
    }

    /// Every token that was issued up to now to one application (`client_id`, `azp`).
    pub fn client(issuer: &str, client: &str) -> Self {
        Self::now(Kind::Client, Mark::of(Kind::Client, issuer, client))
    }

    /// Every token that names this key, whenever it says that it was issued: for a key that got out. It holds as long as a token
    /// may live; by then the key must no longer be trusted.
    pub fn key(issuer: &str, kid: &str) -> Self {
        Self::all(Kind::Key, Mark::of(Kind::Key, issuer, kid))
    }

    /// Every token of an issuer that was issued up to now.
    pub fn issuer(issuer: &str) -> Self {
        Self::now(Kind::Issuer, Mark::of(Kind::Issuer, issuer, ""))
    }

    /// Every token of anyone that was issued up to now.
    pub fn everything() -> Self {
        Self::now(Kind::Everything, Mark::everything())
    }

    /// Only tokens that were issued up to this time. Of two such times the later holds. Tokens that do not say when they were
    /// issued are meant, too.
    pub fn before(mut self, time: SystemTime) -> Self {
        self.before = Some(Before::Time(claims::millis(time)));
        self
    }

    /// When there is nothing left to refuse: the end of the token that is meant, skew included. Default: as late as a token may end.
    pub fn until(mut self, time: SystemTime) -> Self {
        self.until = Some(claims::millis(time));
        self
    }

    fn all(kind: Kind, mark: Mark) -> Self {
        Self { kind, mark, before: None, until: None, listed: None }
    }

    fn now(kind: Kind, mark: Mark) -> Self {
        Self { before: Some(Before::Now), ..Self::all(kind, mark) }
    }

    /// As it is kept: never longer than `reach` from now, which no token outlives.
    pub(crate) fn entry(&self, now: u64, reach: u64) -> Entry {
        let cutoff = match self.before {
            None => WHENEVER,
            Some(Before::Now) => now,
            Some(Before::Time(time)) => time.min(WHENEVER),
        };
        let last = now.saturating_add(reach);
        let until = self.until.unwrap_or(last).min(last).div_ceil(1000).saturating_mul(1000);
        Entry { kind: self.kind, mark: self.mark, cutoff, until }
    }
}

fn listed(token: &Token) -> Option<(String, Option<u64>)> {
    Some((token.claims().id()?.to_owned(), Some(token.verified().until)))
}

// === impl Entry ===

impl Entry {
    pub(crate) fn encode(&self) -> [u8; LENGTH] {
        let mut record = [0; LENGTH];
        record[0] = VERSION;
        record[1] = self.kind.byte();
        record[2..18].copy_from_slice(&self.mark.0);
        record[18..26].copy_from_slice(&self.cutoff.to_be_bytes());
        record[26..].copy_from_slice(&self.until.to_be_bytes());
        record
    }

    /// None for what this version does not know.
    pub(crate) fn decode(record: &[u8]) -> Option<Self> {
        let record: &[u8; LENGTH] = record.try_into().ok()?;
        let number = |at: usize| Some(u64::from_be_bytes(record[at..at + 8].try_into().ok()?));
        (record[0] == VERSION).then_some(())?;
        let kind = Kind::from_byte(record[1])?;
        let mark = Mark(record[2..18].try_into().ok()?);
        Some(Self { kind, mark, cutoff: number(18)?.min(WHENEVER), until: number(26)?.min(WHENEVER) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        for kind in Kind::ALL {
            let entry = Entry { kind, mark: Mark::of(kind, "a", "b"), cutoff: 7, until: 9 };
            assert_eq!(Entry::decode(&entry.encode()), Some(entry));
        }
        let record = Entry { kind: Kind::Token, mark: Mark::everything(), cutoff: 1, until: 2 }.encode();
        assert_eq!(Entry::decode(&record[1..]), None);
        assert_eq!(Entry::decode(&[&record[..], b"x"].concat()), None);
        for (at, byte) in [(0, 2), (1, 7)] {
            let mut other = record;
            other[at] = byte;
            assert_eq!(Entry::decode(&other), None, "byte {at}");
        }
    }

    #[test]
    fn a_revocation_lasts_as_long_as_a_token_may() {
        let entry = |revocation: Revocation| revocation.entry(1_000, 500);
        assert_eq!(entry(Revocation::subject("a", "b")).cutoff, 1_000);
        assert_eq!(entry(Revocation::subject("a", "b").before(claims::at(900))).cutoff, 900);
        assert_eq!(entry(Revocation::id("a", "b")).cutoff, WHENEVER);
        assert_eq!(entry(Revocation::id("a", "b")).until, 2_000);
        assert_eq!(entry(Revocation::id("a", "b").until(claims::at(900))).until, 1_000);
        assert_eq!(entry(Revocation::id("a", "b").until(claims::at(9_999))).until, 2_000);
    }
}
