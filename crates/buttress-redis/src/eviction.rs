//! Whether a server may drop what it was told to keep.

use crate::command::Reply;

/// What a server does when its memory is full.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Eviction {
    /// Its `maxmemory-policy`, such as `noeviction`.
    pub policy: String,
    /// Its `maxmemory` in bytes; 0 for no limit.
    pub maxmemory: u64,
}

// === impl Eviction ===

impl Eviction {
    /// Whether keys may be dropped before their time.
    #[must_use]
    pub fn may_drop_keys(&self) -> bool {
        self.policy != "noeviction" && self.maxmemory > 0
    }

    /// From the section `memory` of `INFO`: all clients may read that, where `CONFIG` is often forbidden.
    pub(crate) fn from_info(reply: &Reply) -> Option<Self> {
        let Reply::Bytes(text) = reply else { return None };
        let text = std::str::from_utf8(text).ok()?;
        let value = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(|value| value.trim().to_owned())
        };
        Some(Self { policy: value("maxmemory_policy")?, maxmemory: value("maxmemory")?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_found_in_the_info() {
        let info = |text: &'static str| Eviction::from_info(&Reply::Bytes(text.into()));
        let found =
            info("# Memory\r\nmaxmemory:100\r\nmaxmemory_human:100B\r\nmaxmemory_policy:allkeys-lru\r\n").unwrap();
        assert_eq!((found.policy.as_str(), found.maxmemory, found.may_drop_keys()), ("allkeys-lru", 100, true));
        assert!(!info("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n").unwrap().may_drop_keys());
        assert!(!info("maxmemory:100\r\nmaxmemory_policy:noeviction\r\n").unwrap().may_drop_keys());
        assert_eq!(info("maxmemory:100\r\n"), None);
        assert_eq!(Eviction::from_info(&Reply::Nil), None);
    }
}
