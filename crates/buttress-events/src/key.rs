//! Every Redis key this crate writes.
//!
//! | Redis key | type | holds | lives |
//! |---|---|---|---|
//! | `{prefix}:events:v1:{m:START}`, `{h:…}`, `{d:…}` | hash | the counts of a minute, an hour, a day | 8 hours, 35 days, 400 days after its end |
//! | `{prefix}:events:v1:{names:START}` | hash | what the ids of a day stand for: a name with labels, as a JSON array | as the counts of the day |
//! | `{prefix}:events:v1:{r:m:START:ID}`, … | sorted set | the highest members of a ranking in a step | as the counts of the step |
//! | `{prefix}:events:v1:{r:m:START:ID}:seen` | hash | which batches it has | as the ranking |
//! | `{prefix}:events:v1:{u:START:ID}` | HyperLogLog | the visitors of a day, as digests under the day's salt | 40 days |
//! | `{prefix}:events:v1:{salt:START}` | string | the salt | until the day is over in every time zone |
//! | `{prefix}:events:v1:{leader}` | string | which process pushes totals for all | two and a half of its turns |
//!
//! START is in seconds since 1970. Each step has a hash tag of its own, so that a cluster spreads them. The hash of counts has
//!
//! | field | holds |
//! |---|---|
//! | `k` | a digest of the key, so that a reply is told from another's |
//! | eleven letters | the id of a series: its count as an array of MessagePack; for a distribution also the sum, and buckets with their counts |
//! | `~…` | a process, and the number of the last batch that is in here from it: sent again, it is not added again |

use crate::series::Id;
use crate::window::Step;

/// The counts of a step.
pub(crate) fn counts(prefix: &str, step: Step, start: u64) -> String {
    format!("{prefix}:events:v1:{{{}:{}}}", step.letter(), start / 1000)
}

/// What the ids of a day stand for.
pub(crate) fn names(prefix: &str, day: u64) -> String {
    format!("{prefix}:events:v1:{{names:{}}}", day / 1000)
}

/// The members of a ranking, and the batches they have.
pub(crate) fn ranking(prefix: &str, step: Step, start: u64, ranking: Id) -> [String; 2] {
    let members = format!("{prefix}:events:v1:{{r:{}:{}:{}}}", step.letter(), start / 1000, ranking.text());
    let seen = format!("{members}:seen");
    [members, seen]
}

/// The visitors of a day.
pub(crate) fn visitors(prefix: &str, day: u64, name: Id) -> String {
    format!("{prefix}:events:v1:{{u:{}:{}}}", day / 1000, name.text())
}

/// The salt of a day.
pub(crate) fn salt(prefix: &str, day: u64) -> String {
    format!("{prefix}:events:v1:{{salt:{}}}", day / 1000)
}

/// Which process does what one does for all.
#[cfg(feature = "otlp")]
pub(crate) fn leader(prefix: &str) -> String {
    format!("{prefix}:events:v1:{{leader}}")
}

/// What a hash says of itself.
pub(crate) fn mark(key: &str) -> String {
    let digest = blake3::hash(key.as_bytes());
    data_encoding::BASE64URL_NOPAD.encode(&digest.as_bytes()[..8])
}
