//! A command as it is sent, and a reply as it is believed.

use bytes::Bytes;
use fred::{
    error::Error as FredError,
    interfaces::{HashesInterface, KeysInterface},
    types::{ClusterHash, CustomCommand, Expiration, SetOptions, Value},
    util::redis_keyslot,
};

/// What a script answered.
///
/// Lua's `false` and `nil` arrive as [`Reply::Nil`], its numbers as whole numbers, its `true` as 1.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// A string, or a status such as `OK`. A slice of the socket's buffer: copy what is kept for long.
    Bytes(Bytes),
    /// A whole number.
    Int(i64),
    /// Several answers in order.
    List(Vec<Self>),
    /// Nothing.
    Nil,
}

/// One command, built once and sent at most once.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    verb: Verb,
    slot: Option<u16>,
    bytes: usize,
}

/// What is to be done. The client writes its own verbs to the socket together with their neighbours, and each custom command by
/// itself: so the busiest are spelled in its words.
#[derive(Clone, Debug)]
enum Verb {
    Custom { name: &'static str, blocking: bool, args: Vec<Value> },
    Get(Bytes),
    Set { key: Bytes, value: Bytes, ttl: Option<u64>, only_if_absent: bool },
    Fields(Bytes),
}

// === impl Reply ===

impl Reply {
    /// The whole number, if this is one.
    #[must_use]
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The bytes, if this is a string or a status.
    #[must_use]
    pub fn into_bytes(self) -> Option<Bytes> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The answers in order, if there are several.
    #[must_use]
    pub fn into_list(self) -> Option<Vec<Self>> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// What arrived. No bytes are copied.
    pub(crate) fn from_value(value: Value) -> Self {
        match value {
            Value::Bytes(bytes) => Self::Bytes(bytes),
            Value::String(text) => Self::Bytes(text.into_inner()),
            Value::Queued => Self::Bytes(Bytes::from_static(b"QUEUED")), // a status like any other: there are no transactions here
            Value::Integer(number) => Self::Int(number),
            Value::Boolean(yes) => Self::Int(i64::from(yes)),
            Value::Double(number) => Self::Bytes(Bytes::from(number.to_string())),
            Value::Null => Self::Nil,
            Value::Array(values) => Self::List(values.into_iter().map(Self::from_value).collect()),
            Value::Map(map) => {
                let pairs = map
                    .inner()
                    .into_iter()
                    .flat_map(|(key, value)| [Self::Bytes(key.into_bytes()), Self::from_value(value)]);
                Self::List(pairs.collect())
            }
        }
    }
}

// === impl Command ===

impl Command {
    pub(crate) fn get(key: &[u8]) -> Self {
        Self { bytes: key.len(), slot: Some(redis_keyslot(key)), verb: Verb::Get(Bytes::copy_from_slice(key)) }
    }

    /// All fields of a hash.
    pub(crate) fn fields(key: &[u8]) -> Self {
        Self { bytes: key.len(), slot: Some(redis_keyslot(key)), verb: Verb::Fields(Bytes::copy_from_slice(key)) }
    }

    /// `ttl` in milliseconds.
    pub(crate) fn set(key: &[u8], value: Bytes, ttl: Option<u64>, only_if_absent: bool) -> Self {
        let (bytes, slot) = (key.len() + value.len(), Some(redis_keyslot(key)));
        Self { bytes, slot, verb: Verb::Set { key: Bytes::copy_from_slice(key), value, ttl, only_if_absent } }
    }

    /// A command that touches no key.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { verb: Verb::Custom { name, blocking: false, args: Vec::new() }, slot: None, bytes: 0 }
    }

    /// A command whose first key is `key`: its first argument too, and what decides on the node of a cluster.
    pub(crate) fn on(name: &'static str, key: &[u8]) -> Self {
        Self::new(name).slot_of(key).arg(Bytes::copy_from_slice(key))
    }

    /// Sends the command to the node that holds `key`.
    pub(crate) fn slot_of(mut self, key: &[u8]) -> Self {
        self.slot = Some(redis_keyslot(key));
        self
    }

    /// The same node as `other`.
    pub(crate) fn beside(mut self, other: &Self) -> Self {
        self.slot = other.slot;
        self
    }

    /// Holds the connection until there is something to answer; only on a connection of its own.
    pub(crate) fn blocking(mut self) -> Self {
        if let Verb::Custom { blocking, .. } = &mut self.verb {
            *blocking = true;
        }
        self
    }

    pub(crate) fn arg(mut self, arg: impl Into<Bytes>) -> Self {
        let arg = arg.into();
        if let Verb::Custom { args, .. } = &mut self.verb {
            self.bytes += arg.len();
            args.push(Value::Bytes(arg));
        }
        self
    }

    pub(crate) fn number(self, number: u64) -> Self {
        self.arg(number.to_string())
    }

    pub(crate) const fn is_blocking(&self) -> bool {
        matches!(self.verb, Verb::Custom { blocking: true, .. })
    }

    /// The bytes of its arguments: what it costs to have it wait.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Hands it to the client; a pipeline only takes it down.
    pub(crate) async fn send(self, client: &(impl HashesInterface + KeysInterface)) -> Result<Value, FredError> {
        match self.verb {
            Verb::Get(key) => client.get(key).await,
            Verb::Set { key, value, ttl, only_if_absent } => {
                let ttl = ttl.map(|millis| Expiration::PX(i64::try_from(millis).unwrap_or(i64::MAX)));
                let options = only_if_absent.then_some(SetOptions::NX);
                client.set(key, value, ttl, options, false).await
            }
            Verb::Fields(key) => client.hgetall(key).await,
            Verb::Custom { name, blocking, args } => {
                let hash = self.slot.map_or(ClusterHash::Random, ClusterHash::Custom);
                client.custom(CustomCommand::new_static(name, hash, blocking), args).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: Value, expected: Reply) {
        assert_eq!(Reply::from_value(value), expected);
    }

    #[test]
    fn values_become_replies() {
        check(Value::Bytes(Bytes::from_static(b"\xff")), Reply::Bytes(Bytes::from_static(b"\xff")));
        check(Value::String("OK".into()), Reply::Bytes("OK".into()));
        check(Value::Integer(-2), Reply::Int(-2));
        check(Value::Boolean(true), Reply::Int(1));
        check(Value::Double(1.5), Reply::Bytes("1.5".into()));
        check(Value::Null, Reply::Nil);
        check(Value::Queued, Reply::Bytes("QUEUED".into()));
        check(
            Value::Array(vec![Value::String("a".into()), Value::Null]),
            Reply::List(vec![Reply::Bytes("a".into()), Reply::Nil]),
        );
    }

    #[test]
    fn a_command_costs_its_arguments() {
        assert_eq!(Command::on("LPUSH", b"key").arg("value").number(10).bytes(), 3 + 5 + 2);
        assert_eq!(Command::set(b"key", "value".into(), None, false).bytes(), 3 + 5);
    }
}
