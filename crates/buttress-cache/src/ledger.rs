//! What was purged, and in which order: pure bookkeeping, the same for one process and for a fleet.
//!
//! Each purge has a generation, a number that only grows; an entry carries the one under which its fill began. It is
//! outdated if something that concerns it was purged under a later one, so a purge during a fill counts.
//!
//! Purges of a tag stand in that tag's [`Stamp`]. Those of a host, a path and everything below it, or of all, stand in
//! the [`Ledger`]: an operator makes few of them, and each entry is compared with all. When they become too many, the oldest
//! becomes a purge of everything before it: too much is purged rather than too little.

use std::fmt;

/// So many sweeps are kept apart.
pub(crate) const MOST_SWEEPS: usize = 64;

/// A point in the order of purges. Within a fleet, microseconds by the clock of Redis.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Generation(pub(crate) u64);

/// What is known of the purges beside those of tags.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Ledger {
    pub(crate) generation: Generation,
    /// Everything begun before is gone.
    pub(crate) floor: Generation,
    /// Everything begun before is stale.
    pub(crate) soft_floor: Generation,
    pub(crate) sweeps: Vec<Sweep>,
}

/// A purge of all that lies within a scope.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Sweep {
    pub(crate) generation: Generation,
    pub(crate) soft: bool,
    pub(crate) scope: Scope,
}

/// A part of the URI space. The scheme does not count: behind a proxy that ends TLS nobody agrees on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Scope {
    /// A host, on any port unless it names one.
    Host(String),
    /// An authority, and all paths that begin so.
    Prefix { authority: String, path: String },
    /// One URI, with its query.
    Uri { authority: String, target: String },
}

/// Where an entry lies in the URI space.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Location<'a> {
    pub(crate) authority: &'a [u8],
    pub(crate) path: &'a [u8],
    pub(crate) query: Option<&'a [u8]>,
    /// Whether it answers other queries too, which only it knows.
    pub(crate) any_query: bool,
}

/// The purges of one tag.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Stamp {
    pub(crate) hard: Generation,
    pub(crate) soft: Generation,
}

/// What the purges say of an entry.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Verdict {
    /// Nothing that concerns it was purged since.
    Current,
    /// It is to be taken for stale.
    Soft,
    /// It is not to be used.
    Gone,
}

// === impl Ledger ===

impl Ledger {
    /// What the ledger says of an entry. One without a location may lie anywhere.
    pub(crate) fn judge(&self, begun: Generation, location: Option<Location<'_>>) -> Verdict {
        if begun < self.floor {
            return Verdict::Gone;
        }
        let everything = if begun < self.soft_floor { Verdict::Soft } else { Verdict::Current };
        let concerning = self
            .sweeps
            .iter()
            .filter(|sweep| begun < sweep.generation && location.is_none_or(|location| sweep.scope.holds(location)));
        concerning.map(|sweep| if sweep.soft { Verdict::Soft } else { Verdict::Gone }).fold(everything, Verdict::max)
    }

    /// Notes a purge made by this process, whose generation is its own affair when there is no Redis.
    pub(crate) fn sweep(&mut self, sweep: Sweep) {
        self.generation = self.generation.max(sweep.generation);
        self.sweeps.push(sweep);
        if self.sweeps.len() > MOST_SWEEPS {
            let oldest = self.sweeps.remove(0);
            let floor = if oldest.soft { &mut self.soft_floor } else { &mut self.floor };
            *floor = (*floor).max(oldest.generation);
        }
    }

    /// What two accounts of the same ledger say together: one may come from a replica that has missed something.
    pub(crate) fn merged(mut self, other: &Self) -> Self {
        for sweep in &other.sweeps {
            if !self.sweeps.contains(sweep) && sweep.generation > self.floor {
                self.sweeps.push(sweep.clone());
            }
        }
        self.sweeps.sort_by_key(|sweep| sweep.generation);
        let surplus = self.sweeps.len().saturating_sub(MOST_SWEEPS);
        for oldest in self.sweeps.drain(..surplus) {
            let floor = if oldest.soft { &mut self.soft_floor } else { &mut self.floor };
            *floor = (*floor).max(oldest.generation);
        }
        self.generation = self.generation.max(other.generation);
        self.floor = self.floor.max(other.floor);
        self.soft_floor = self.soft_floor.max(other.soft_floor);
        self
    }
}

// === impl Sweep ===

impl Sweep {
    /// As it stands in Redis, under its generation.
    pub(crate) fn encode(&self) -> String {
        let soft = if self.soft { 's' } else { 'h' };
        match &self.scope {
            Scope::Host(host) => format!("{soft}host\n{host}"),
            Scope::Prefix { authority, path } => format!("{soft}prefix\n{authority}\n{path}"),
            Scope::Uri { authority, target } => format!("{soft}uri\n{authority}\n{target}"),
        }
    }

    /// What cannot be read was written by another version. It purges something, nobody knows what.
    pub(crate) fn decode(generation: Generation, text: &str) -> Option<Self> {
        let (soft, text) = match text.split_at_checked(1)? {
            ("s", text) => (true, text),
            ("h", text) => (false, text),
            _ => return None,
        };
        let scope = match text.split('\n').collect::<Vec<_>>()[..] {
            ["host", host] => Scope::Host(host.to_owned()),
            ["prefix", authority, path] => Scope::Prefix { authority: authority.to_owned(), path: path.to_owned() },
            ["uri", authority, target] => Scope::Uri { authority: authority.to_owned(), target: target.to_owned() },
            _ => return None,
        };
        Some(Self { generation, soft, scope })
    }
}

// === impl Scope ===

impl Scope {
    fn holds(&self, location: Location<'_>) -> bool {
        match self {
            Self::Host(host) => location
                .authority
                .strip_prefix(host.as_bytes())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b":")),
            Self::Prefix { authority, path } => {
                location.authority == authority.as_bytes() && location.path.starts_with(path.as_bytes())
            }
            Self::Uri { authority, target } => {
                location.authority == authority.as_bytes() && location.is_target(target.as_bytes())
            }
        }
    }
}

// === impl Location ===

impl Location<'_> {
    fn is_target(self, target: &[u8]) -> bool {
        let rest = target.strip_prefix(self.path);
        match self.query {
            // Too much rather than too little.
            _ if self.any_query => rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"?")),
            None => rest == Some(b""),
            Some(query) => rest.and_then(|rest| rest.strip_prefix(b"?")) == Some(query),
        }
    }
}

// === impl Stamp ===

impl Stamp {
    pub(crate) fn judge(self, begun: Generation) -> Verdict {
        match () {
            () if begun < self.hard => Verdict::Gone,
            () if begun < self.soft => Verdict::Soft,
            () => Verdict::Current,
        }
    }

    pub(crate) fn merged(self, other: Self) -> Self {
        Self { hard: self.hard.max(other.hard), soft: self.soft.max(other.soft) }
    }

    pub(crate) fn decode(text: &str) -> Option<Self> {
        let (hard, soft) = text.split_once(':')?;
        Some(Self { hard: Generation(hard.parse().ok()?), soft: Generation(soft.parse().ok()?) })
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(generation: u64) -> Generation {
        Generation(generation)
    }

    fn prefix(path: &str) -> Scope {
        Scope::Prefix { authority: "a.example".to_owned(), path: path.to_owned() }
    }

    fn uri(target: &str) -> Scope {
        Scope::Uri { authority: "a.example".to_owned(), target: target.to_owned() }
    }

    #[track_caller]
    fn check(scope: &Scope, authority: &str, path: &str, query: Option<&str>, expected: bool) {
        let location = Location {
            authority: authority.as_bytes(),
            path: path.as_bytes(),
            query: query.map(str::as_bytes),
            any_query: false,
        };
        assert_eq!(scope.holds(location), expected, "{scope:?} and {authority}{path}?{query:?}");
    }

    #[test]
    fn a_scope_holds_what_lies_within_it() {
        let host = Scope::Host("a.example".to_owned());
        check(&host, "a.example", "/x", None, true);
        check(&host, "a.example:8080", "/x", None, true);
        check(&host, "a.example.evil", "/x", None, false);
        check(&host, "b.example", "/x", None, false);
        check(&prefix("/a/"), "a.example", "/a/b", Some("c"), true);
        check(&prefix("/a/"), "a.example", "/a", None, false);
        check(&prefix("/a"), "a.example", "/ab", None, true);
        check(&prefix("/a/"), "b.example", "/a/b", None, false);
        check(&uri("/a"), "a.example", "/a", None, true);
        check(&uri("/a"), "a.example", "/a", Some(""), false);
        check(&uri("/a?"), "a.example", "/a", Some(""), true);
        check(&uri("/a?b"), "a.example", "/a", Some("b"), true);
        check(&uri("/a?b"), "a.example", "/a", Some("bc"), false);
        check(&uri("/a/b"), "a.example", "/a", None, false);
    }

    #[test]
    fn what_was_begun_before_a_purge_is_outdated() {
        let location = Some(Location { authority: b"a.example", path: b"/a", query: None, any_query: false });
        let mut ledger = Ledger { generation: at(9), floor: at(3), soft_floor: at(5), sweeps: Vec::new() };
        for (begun, expected) in [(2, Verdict::Gone), (3, Verdict::Soft), (4, Verdict::Soft), (5, Verdict::Current)] {
            assert_eq!(ledger.judge(at(begun), location), expected, "{begun}");
        }
        ledger.sweep(Sweep { generation: at(10), soft: true, scope: prefix("/a") });
        ledger.sweep(Sweep { generation: at(11), soft: false, scope: prefix("/b") });
        for (begun, expected) in [(9, Verdict::Soft), (10, Verdict::Current)] {
            assert_eq!(ledger.judge(at(begun), location), expected, "{begun}");
        }
        assert_eq!(ledger.judge(at(10), None), Verdict::Gone, "it may lie anywhere");
        assert_eq!(ledger.judge(at(11), None), Verdict::Current);
    }

    #[test]
    fn of_too_many_purges_the_oldest_purge_everything_before() {
        let mut ledger = Ledger::default();
        for generation in 1..=70 {
            ledger.sweep(Sweep { generation: at(generation), soft: generation == 2, scope: prefix("/elsewhere") });
        }
        assert_eq!((ledger.sweeps.len(), ledger.floor, ledger.soft_floor), (MOST_SWEEPS, at(6), at(2)));
        let location = Some(Location { authority: b"a.example", path: b"/a", query: None, any_query: false });
        assert_eq!(ledger.judge(at(5), location), Verdict::Gone);
        assert_eq!(ledger.judge(at(6), location), Verdict::Current);
    }

    #[test]
    fn an_account_that_missed_something_takes_nothing_back() {
        let sweep = |generation, path| Sweep { generation: at(generation), soft: false, scope: prefix(path) };
        let mut known = Ledger { floor: at(2), ..Ledger::default() };
        known.sweep(sweep(5, "/a"));
        known.sweep(sweep(7, "/b"));
        let mut replica = Ledger { generation: at(6), ..Ledger::default() };
        replica.sweep(sweep(5, "/a"));
        let merged = replica.merged(&known);
        assert_eq!(merged, known);
    }

    #[test]
    fn sweeps_and_stamps_come_back_as_they_went_in() {
        for scope in [Scope::Host("a.example".to_owned()), prefix("/a"), uri("/a?b")] {
            for soft in [false, true] {
                let sweep = Sweep { generation: at(7), soft, scope: scope.clone() };
                assert_eq!(Sweep::decode(at(7), &sweep.encode()), Some(sweep));
            }
        }
        for bad in ["", "x", "hhost", "zhost\na", "hprefix\na", "hnew\na\nb"] {
            assert_eq!(Sweep::decode(at(7), bad), None, "{bad:?}");
        }
        assert_eq!(Stamp::decode("3:5"), Some(Stamp { hard: at(3), soft: at(5) }));
        for bad in ["", "3", "3:", "a:b", "-1:0"] {
            assert_eq!(Stamp::decode(bad), None, "{bad:?}");
        }
        let stamp = Stamp { hard: at(3), soft: at(5) };
        assert_eq!(
            [2, 3, 4, 5].map(|begun| stamp.judge(at(begun))),
            [Verdict::Gone, Verdict::Soft, Verdict::Soft, Verdict::Current]
        );
    }
}
