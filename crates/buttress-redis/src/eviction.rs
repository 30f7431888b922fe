//! Whether this Redis may drop what was written to it.

use crate::{
    Error, ErrorKind, Rejection,
    command::{Command, Reply},
    link::{Link, Proof},
};

/// What a server does when its memory is full; asked by [`Redis::eviction`](crate::Redis::eviction).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Eviction {
    /// Its `maxmemory-policy`, such as `noeviction` or `allkeys-lru`.
    pub policy: String,
    /// The bytes from which on it acts; 0 is no limit.
    pub maxmemory: u64,
    /// How many keys it has dropped since it was started; `None` where `INFO` may not be asked.
    pub evicted_keys: Option<u64>,
}

/// What this server does; `None` if it does not say.
///
/// `INFO` comes first: it has all three in one answer, and hosted servers allow it where they refuse `CONFIG`.
pub(crate) async fn ask(link: &Link) -> Result<Option<Eviction>, Error> {
    if let Some(found) = allowed(link.ask(Command::new("INFO"), Proof::Nonce).await)?.and_then(of_info) {
        return Ok(Some(found));
    }
    let config = Command::new("CONFIG").arg("GET").arg("maxmemory*");
    Ok(allowed(link.ask(config, Proof::Nonce).await)?.and_then(of_config))
}

/// `None` if the server does not allow the question, or does not know it.
fn allowed(answer: Result<Reply, Error>) -> Result<Option<Reply>, Error> {
    match answer {
        Ok(reply) => Ok(Some(reply)),
        Err(error) if error.ends_the_connection() => Err(error),
        Err(error) if matches!(error.kind(), ErrorKind::Rejected(Rejection::Denied | Rejection::Other)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lines of `name:value`.
fn of_info(reply: Reply) -> Option<Eviction> {
    let text = reply.into_bytes()?;
    let text = std::str::from_utf8(&text).ok()?;
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    Some(Eviction {
        policy: value("maxmemory_policy")?.to_owned(),
        maxmemory: value("maxmemory")?.parse().ok()?,
        evicted_keys: value("evicted_keys").and_then(|count| count.parse().ok()),
    })
}

/// `{name: value, …}`, which arrives as a flat list in both protocols.
fn of_config(reply: Reply) -> Option<Eviction> {
    let words: Vec<_> = reply.into_list()?.into_iter().map(Reply::into_bytes).collect::<Option<_>>()?;
    let value = |name: &str| {
        let (pairs, _) = words.as_chunks::<2>();
        let found = pairs.iter().find(|[key, _]| key == name.as_bytes());
        found.and_then(|[_, value]| std::str::from_utf8(value).ok())
    };
    let (policy, maxmemory) = (value("maxmemory-policy")?.to_owned(), value("maxmemory")?.parse().ok()?);
    Some(Eviction { policy, maxmemory, evicted_keys: None })
}

// === impl Eviction ===

impl Eviction {
    /// Whether it may drop keys that are still to live: under a policy other than `noeviction`, once there is a limit. A `volatile-…`
    /// policy drops only keys with a lifetime, which this does not tell apart.
    #[must_use]
    pub fn may_drop_keys(&self) -> bool {
        self.maxmemory > 0 && self.policy != "noeviction"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &'static str) -> Reply {
        Reply::Bytes(text.into())
    }

    #[track_caller]
    fn check(seen: Option<Eviction>, expected: Option<(&str, u64, Option<u64>)>) {
        let seen = seen.as_ref().map(|seen| (seen.policy.as_str(), seen.maxmemory, seen.evicted_keys));
        assert_eq!(seen, expected);
    }

    #[test]
    fn info_is_lines() {
        let memory = "# Memory\r\nmaxmemory:9\r\nmaxmemory_human:9B\r\nmaxmemory_policy:noeviction\r\n";
        check(of_info(text(memory)), Some(("noeviction", 9, None)));
        let others = "maxmemory_policy:allkeys-lru\nevicted_keys:3\nmaxmemory:0";
        check(of_info(text(others)), Some(("allkeys-lru", 0, Some(3))));
        check(of_info(text("maxmemory:9\r\n")), None);
        check(of_info(text("maxmemory:much\r\nmaxmemory_policy:noeviction\r\n")), None);
        check(of_info(Reply::Nil), None);
    }

    #[test]
    fn a_configuration_is_pairs() {
        let pairs = |words: &[&'static str]| Reply::List(words.iter().map(|word| text(word)).collect());
        let all = ["maxmemory-clients", "1", "maxmemory", "9", "maxmemory-policy", "volatile-ttl"];
        check(of_config(pairs(&all)), Some(("volatile-ttl", 9, None)));
        check(of_config(pairs(&all[..4])), None);
        check(of_config(pairs(&[])), None);
        check(of_config(text("OK")), None);
    }

    #[test]
    fn keys_are_dropped_at_a_limit_by_a_policy_that_drops() {
        let of = |policy: &str, maxmemory| Eviction { policy: policy.to_owned(), maxmemory, evicted_keys: None };
        assert!(of("allkeys-lru", 1).may_drop_keys());
        assert!(of("volatile-ttl", 1).may_drop_keys());
        assert!(!of("allkeys-lru", 0).may_drop_keys());
        assert!(!of("noeviction", 1).may_drop_keys());
    }
}
