//! A command as it is sent, and a reply as it is believed.

use bytes::Bytes;
use fred::{
    clients::{Client, WithOptions},
    error::Error as FredError,
    interfaces::{ClientLike as _, KeysInterface as _, Resp3Frame as Frame},
    types::{ClusterHash, CustomCommand, Expiration, SetOptions, Value},
    util::redis_keyslot,
};

use crate::Error;

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

    /// What arrived, or the error it says. No bytes are copied.
    pub(crate) fn from_frame(frame: Frame) -> Result<Self, Error> {
        Ok(match frame {
            Frame::BlobString { data, .. } | Frame::SimpleString { data, .. } | Frame::VerbatimString { data, .. } => {
                Self::Bytes(data)
            }
            Frame::BigNumber { data, .. } | Frame::ChunkedString(data) => Self::Bytes(data),
            Frame::Number { data, .. } => Self::Int(data),
            Frame::Boolean { data, .. } => Self::Int(i64::from(data)),
            Frame::Double { data, .. } => Self::Bytes(Bytes::from(data.to_string())),
            Frame::Null => Self::Nil,
            Frame::Array { data, .. } | Frame::Push { data, .. } => Self::list(data)?,
            Frame::Set { data, .. } => Self::list(data)?,
            Frame::Map { data, .. } => Self::list(data.into_iter().flat_map(|(key, value)| [key, value]))?,
            Frame::SimpleError { data, .. } => return Err(Error::from_reply(&data)),
            Frame::BlobError { data, .. } => return Err(Error::from_reply(&String::from_utf8_lossy(&data))),
            Frame::Hello { .. } => return Err(Error::malformed("a greeting instead of a reply")),
        })
    }

    /// The same for the replies to the client's own verbs; an error has become one of the client's before.
    fn from_value(value: Value) -> Result<Self, Error> {
        match value {
            Value::Bytes(bytes) => Ok(Self::Bytes(bytes)),
            Value::String(text) => Ok(Self::Bytes(text.into_inner())),
            Value::Integer(number) => Ok(Self::Int(number)),
            Value::Null => Ok(Self::Nil),
            _ => Err(Error::malformed("a collection where one value was expected")),
        }
    }

    fn list(frames: impl IntoIterator<Item = Frame>) -> Result<Self, Error> {
        frames.into_iter().map(Self::from_frame).collect::<Result<_, _>>().map(Self::List)
    }
}

// === impl Command ===

impl Command {
    pub(crate) fn get(key: &[u8]) -> Self {
        Self { bytes: key.len(), slot: Some(redis_keyslot(key)), verb: Verb::Get(Bytes::copy_from_slice(key)) }
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

    /// The bytes of its arguments: what it costs to have it wait.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Hands it to the client and waits for what comes back in its place.
    pub(crate) async fn send(self, client: WithOptions<Client>) -> Result<Result<Reply, Error>, FredError> {
        match self.verb {
            Verb::Get(key) => client.get(key).await.map(Reply::from_value),
            Verb::Set { key, value, ttl, only_if_absent } => {
                let ttl = ttl.map(|millis| Expiration::PX(i64::try_from(millis).unwrap_or(i64::MAX)));
                let options = only_if_absent.then_some(SetOptions::NX);
                client.set(key, value, ttl, options, false).await.map(Reply::from_value)
            }
            Verb::Custom { name, blocking, args } => {
                let hash = self.slot.map_or(ClusterHash::Random, ClusterHash::Custom);
                client.custom_raw(CustomCommand::new_static(name, hash, blocking), args).await.map(Reply::from_frame)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, Rejection};

    fn blob(data: &'static str) -> Frame {
        Frame::BlobString { data: Bytes::from_static(data.as_bytes()), attributes: None }
    }

    #[track_caller]
    fn check(frame: Frame, expected: Reply) {
        assert_eq!(Reply::from_frame(frame).unwrap(), expected);
    }

    #[test]
    fn frames_become_replies() {
        check(blob("a"), Reply::Bytes("a".into()));
        check(Frame::SimpleString { data: "OK".into(), attributes: None }, Reply::Bytes("OK".into()));
        check(Frame::Number { data: -2, attributes: None }, Reply::Int(-2));
        check(Frame::Boolean { data: true, attributes: None }, Reply::Int(1));
        check(Frame::Null, Reply::Nil);
        check(
            Frame::Array { data: vec![blob("a"), Frame::Null], attributes: None },
            Reply::List(vec![Reply::Bytes("a".into()), Reply::Nil]),
        );
    }

    #[test]
    fn an_error_anywhere_is_an_error() {
        let error = Frame::SimpleError { data: "OOM no".into(), attributes: None };
        let kind = ErrorKind::Rejected(Rejection::OutOfMemory);
        assert_eq!(Reply::from_frame(error.clone()).unwrap_err().kind(), kind);
        let nested = Frame::Array { data: vec![blob("a"), error], attributes: None };
        assert_eq!(Reply::from_frame(nested).unwrap_err().kind(), kind);
    }

    #[test]
    fn a_command_costs_its_arguments() {
        assert_eq!(Command::on("SET", b"key").arg("value").number(10).bytes(), 3 + 5 + 2);
    }
}
