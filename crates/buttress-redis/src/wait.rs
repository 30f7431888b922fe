//! Answers that the server may keep back: by when they are due, and the one about replicas.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    Error,
    command::{Command, Reply},
    link::Link,
    redis::millis,
};

/// To the server no time at all means for ever.
const SHORTEST: Duration = Duration::from_millis(1);
/// No wait is longer, whatever is asked for: a deadline has to be an instant that exists.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// The server looks for waits that are over ten times a second.
const TICK: Duration = Duration::from_millis(200);

/// What can be waited.
pub(crate) fn bounded(wait: Duration) -> Duration {
    wait.clamp(SHORTEST, LONGEST)
}

/// By when an answer is due that the server may keep back for `wait`.
pub(crate) fn deadline(link: &Link, wait: Duration) -> Instant {
    let tick = if wait.is_zero() { Duration::ZERO } else { TICK };
    Instant::now() + wait + tick + link.post().pace.deadline
}

/// Asks how many replicas have what was written over this connection: of the node that keeps `key`.
pub(crate) fn for_replicas(key: Option<&[u8]>, replicas: u32, timeout: Duration) -> Command {
    let command = Command::new("WAIT").number(replicas.into()).number(millis(timeout));
    match key {
        Some(key) => command.slot_of(key),
        None => command,
    }
}

/// How many there are.
pub(crate) fn count(reply: &Reply) -> Result<u32, Error> {
    let count = reply.as_int().and_then(|count| u32::try_from(count).ok());
    count.ok_or_else(|| Error::malformed("WAIT answered no number"))
}
