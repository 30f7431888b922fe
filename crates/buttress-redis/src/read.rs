//! Reading values, and what a reply that names another key means.

use std::collections::BTreeMap;

use bytes::Bytes;
use fred::util::redis_keyslot;
use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::{
    Error, ErrorKind, Rejection,
    command::{Command, Reply},
    link::{Link, Proof},
    names,
    proof::{self, Opened},
};

/// The value under `key`, if it was written here for that key.
pub(crate) async fn one(link: &Link, key: &[u8]) -> Result<Option<Bytes>, Error> {
    match fetch(link, key, Proof::Value).await {
        Ok(Some(Opened::Proven(payload))) => Ok(Some(payload)),
        Ok(Some(Opened::Foreign) | None) => Ok(None),
        Err(error) if !is_refusal(&error) => Err(error),
        unproven => again(link, key, unproven).await,
    }
}

/// The values under `keys`, in their order.
pub(crate) async fn many<K: AsRef<[u8]>>(link: &Link, keys: &[K]) -> Result<Vec<Option<Bytes>>, Error> {
    let mut found = vec![None; keys.len()];
    let groups = by_node(link, keys).into_iter().map(|places| fetch_all(link, keys, places));
    for (place, value) in try_join_all(groups).await?.into_iter().flatten() {
        found[place] = value;
    }
    Ok(found)
}

/// The fields of the hash under `key`. A reply without the mark may be another's: the same question with a nonce behind it tells.
pub(crate) async fn fields(
    link: &Link,
    key: &[u8],
    mark: (&str, &[u8]),
    deadline: Instant,
) -> Result<Option<Vec<(Bytes, Bytes)>>, Error> {
    let is_marked = |pairs: &[(Bytes, Bytes)]| pairs.iter().any(|(field, value)| field == mark.0 && value == mark.1);
    match link.ask_until(Command::fields(key), Proof::Value, deadline).await.map(pairs) {
        Ok(Some(pairs)) if pairs.is_empty() => return Ok(None),
        Ok(Some(pairs)) if is_marked(&pairs) => return Ok(Some(pairs)),
        Err(error) if !is_refusal(&error) => return Err(error),
        _ => {}
    }
    match link.ask_until(Command::fields(key), Proof::Nonce, deadline).await.map(pairs)? {
        Some(pairs) if pairs.is_empty() => Ok(None),
        Some(pairs) if is_marked(&pairs) => {
            link.post().unproven(); // the first reply was another's
            Ok(Some(pairs))
        }
        Some(pairs) => {
            names::foreign(link.post().role);
            Ok(Some(pairs))
        }
        None => Err(Error::malformed("HGETALL answered no fields")),
    }
}

fn pairs(reply: Reply) -> Option<Vec<(Bytes, Bytes)>> {
    let mut parts = reply.into_list()?.into_iter().map(Reply::into_bytes);
    let mut pairs = Vec::with_capacity(parts.len() / 2);
    while let Some(field) = parts.next() {
        pairs.push((field?, parts.next()??));
    }
    Some(pairs)
}

/// What is under `key`, as far as this one reply tells.
async fn fetch(link: &Link, key: &[u8], proof: Proof) -> Result<Option<Opened>, Error> {
    let opened = match link.ask(Command::get(key), proof).await {
        Ok(Reply::Nil) => return Ok(None),
        Ok(Reply::Bytes(sealed)) => proof::open(key, sealed),
        Ok(_) => {
            // GET never answers so: this is the reply to something else.
            link.post().unproven();
            return Ok(None);
        }
        Err(error) if error.kind() == ErrorKind::Rejected(Rejection::WrongType) => Opened::Foreign,
        Err(error) => return Err(error),
    };
    if opened == Opened::Foreign {
        names::foreign(link.post().role);
    }
    Ok(Some(opened))
}

/// The reply named another key, or it was a refusal, which names none. Either it is true (somebody's `RENAME` has moved the
/// value, which must not cost the connection each time it is read), or replies are out of step. The same question with a
/// nonce behind it tells.
async fn again(link: &Link, key: &[u8], first: Result<Option<Opened>, Error>) -> Result<Option<Bytes>, Error> {
    match (first, fetch(link, key, Proof::Nonce).await) {
        (Ok(_), Ok(Some(Opened::AnotherKeys))) => names::foreign(link.post().role),
        (_, Ok(_)) => link.post().unproven(),
        // Counted, and the connection given up, where it was found.
        (_, Err(error)) if error.kind() == ErrorKind::Unproven => {}
        (_, Err(error)) => return Err(error),
    }
    Ok(None)
}

/// Whether this is the server's word. A redirection is not: it comes from the client, which has read it.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Rejected(why) if why != Rejection::Moving)
}

/// The places of `keys` that one command may name together: all of them, or in a cluster those of one slot.
fn by_node<K: AsRef<[u8]>>(link: &Link, keys: &[K]) -> Vec<Vec<usize>> {
    let is_clustered = link.post().plan.config.server.is_clustered();
    let mut groups = BTreeMap::<u16, Vec<usize>>::new();
    for (place, key) in keys.iter().enumerate() {
        let group = if is_clustered { redis_keyslot(key.as_ref()) } else { 0 };
        groups.entry(group).or_default().push(place);
    }
    groups.into_values().collect()
}

async fn fetch_all<K: AsRef<[u8]>>(
    link: &Link,
    keys: &[K],
    places: Vec<usize>,
) -> Result<Vec<(usize, Option<Bytes>)>, Error> {
    let mut command = Command::new("MGET").slot_of(keys[places[0]].as_ref());
    for &place in &places {
        command = command.arg(Bytes::copy_from_slice(keys[place].as_ref()));
    }
    let replies = link.ask(command, Proof::Nonce).await?.into_list().filter(|list| list.len() == places.len());
    let replies = replies.ok_or_else(|| Error::malformed("MGET answered another number of values"))?;
    let found = places.into_iter().zip(replies);
    Ok(found.map(|(place, reply)| (place, believe(link, keys[place].as_ref(), reply))).collect())
}

/// The payload of a reply that is proven to be in its place.
fn believe(link: &Link, key: &[u8], reply: Reply) -> Option<Bytes> {
    let sealed = reply.into_bytes()?;
    match proof::open(key, sealed) {
        Opened::Proven(payload) => Some(payload),
        Opened::AnotherKeys | Opened::Foreign => {
            names::foreign(link.post().role);
            None
        }
    }
}
