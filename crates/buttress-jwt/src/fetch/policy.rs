//! The decisions: when to ask, whether a shared copy will do, and what becomes of a token whose key is not known.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::CACHE_CONTROL;

use super::LEAST_REFRESH;

/// Tokens whose key is not known have the issuer asked so often at most.
pub(super) const COOL_DOWN: Duration = Duration::from_secs(30);
/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Clocks of machines that ask for the time are closer than that.
const MOST_AHEAD: Duration = Duration::from_secs(60);

/// What a token whose key was not known may hope for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Found {
    /// The keys changed: verify it again.
    Refreshed,
    /// The issuer has no such key.
    Unknown,
    /// It cannot be told: no key of the issuer is known.
    Away,
}

/// What a process knows when such a token comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Since the token was tried, keys came that may be its own.
    pub(super) is_there: bool,
    /// There are keys.
    pub(super) usable: bool,
    /// Asking does not help: the key is there and does not fit, or was not there a moment ago.
    pub(super) pointless: bool,
    /// Keys are being asked for.
    pub(super) under_way: bool,
    /// They were not asked for on behalf of a token for a while.
    pub(super) cooled_down: bool,
}

/// What is done about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    Answer(Found),
    /// Have the keys asked for, and wait.
    Ask,
    /// Wait.
    Join,
}

/// Why keys are asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Why {
    /// It is time.
    Due,
    /// A token names this key, or none.
    Wanted(Option<String>),
}

/// The fleet's copy, seen from one process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// The issuer gave it then.
    pub(super) fetched: SystemTime,
    /// Until then nobody has to ask again.
    pub(super) fresh_until: SystemTime,
    /// It has the key that is wanted.
    pub(super) has_wanted: bool,
}

impl Found {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Refreshed => "refreshed",
            Self::Unknown => "unknown",
            Self::Away => "away",
        }
    }
}

/// What is done about a token whose key was not known.
pub(super) fn on_unknown(known: Known) -> Step {
    match () {
        () if known.is_there => Step::Answer(Found::Refreshed),
        () if known.usable && known.pointless => Step::Answer(Found::Unknown),
        () if known.under_way => Step::Join,
        () if known.cooled_down => Step::Ask,
        () if known.usable => Step::Answer(Found::Unknown),
        () => Step::Answer(Found::Away),
    }
}

/// Whether the fleet's copy is taken, and the issuer left in peace.
pub(super) fn takes_copy(seen: Seen, own: Option<SystemTime>, why: &Why, now: SystemTime) -> bool {
    let is_news = own.is_none_or(|own| seen.fetched > own);
    is_news
        && match why {
            Why::Due => seen.fresh_until > now,
            // What the fleet asked for within the cool-down counts as asked for here.
            Why::Wanted(_) => seen.has_wanted || age(seen.fetched, now) < COOL_DOWN,
        }
}

/// Whether a copy may be used at all. One from the future would never grow old.
pub(super) fn is_believable(fetched: SystemTime, ceiling: Duration, now: SystemTime) -> bool {
    fetched <= now + MOST_AHEAD && age(fetched, now) < ceiling
}

/// How long keys serve before they are asked for again.
pub(super) fn lifetime(max_age: Option<Duration>, refresh: Duration) -> Duration {
    max_age.map_or(refresh, |max_age| max_age.clamp(LEAST_REFRESH, refresh))
}

/// That, with up to a tenth more by chance (0 to 1).
pub(super) fn pause_after_answer(lifetime: Duration, chance: f64) -> Duration {
    lifetime.mul_f64(1.0 + chance / 10.0)
}

/// How long to wait after so many failures in a row: twice as long each time, and a quarter more or less by chance (0 to 1).
pub(super) fn pause_after_failure(failures: u32, usable: bool, refresh: Duration, chance: f64) -> Duration {
    // Without keys nothing works here, and nobody may come whose token has them asked for.
    let longest = if usable { refresh } else { COOL_DOWN };
    let doubled = FIRST_PAUSE * 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
    doubled.min(longest).mul_f64(0.75 + chance / 2.0)
}

/// For how long the issuer says that its answer is fresh (RFC 9111 §5.2.2.1).
pub(super) fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let fields = headers.get_all(CACHE_CONTROL).iter().filter_map(|field| field.to_str().ok());
    let mut directives = fields.flat_map(|field| field.split(',')).filter_map(|directive| directive.split_once('='));
    let (_, value) = directives.find(|(name, _)| name.trim().eq_ignore_ascii_case("max-age"))?;
    // A number that is too large to be one means for long (RFC 9111 §1.2.2), one that is none means nothing.
    let digits = value.trim().trim_matches('"');
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(digits.parse::<u32>().unwrap_or(u32::MAX).into()))
}

/// How old something is; what lies ahead is new.
pub(super) fn age(since: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(since).unwrap_or_default()
}

#[cfg(test)]
mod tests;
