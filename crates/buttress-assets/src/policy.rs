//! What is said of a response, and why: plain functions over what was asked for and answered.

use std::fmt;
use std::time::SystemTime;

use buttress_rfc9111::{date, targeted};
use http::header::{CACHE_CONTROL, EXPIRES, HeaderMap, HeaderName, PRAGMA, VARY};
use http::{Method, StatusCode};

use crate::rule::{Mode, Rule};
use crate::served::Served;

/// What becomes of a response.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict<'a> {
    /// It says what the rule says.
    Says(&'a Rule),
    /// It says nothing any more.
    Removed(&'a Rule),
    /// It is left as the service made it.
    Left(Left),
}

/// Why a response is left as the service made it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Left {
    /// The rule would let shared caches keep what was made for somebody who proved who he is.
    Authorized,
    /// A 304 that the service made: what the client has said so already, and what it is cannot be seen.
    NotModified,
    /// No rule is for it.
    NoRule,
    /// It varies by who asks.
    Personal,
    /// It says something itself.
    Says,
    /// It sets a cookie.
    SetCookie,
    /// The first rule that is for it says nothing.
    Silent,
}

/// The first rule that is for this response decides.
pub(crate) fn decide<'a>(rules: &'a [Rule], served: &Served<'_>) -> Verdict<'a> {
    if served.fields.sets_cookie {
        return Verdict::Left(Left::SetCookie);
    }
    if served.status == StatusCode::NOT_MODIFIED {
        return Verdict::Left(Left::NotModified);
    }
    if served.fields.varies && is_personal(served.headers) {
        return Verdict::Left(Left::Personal);
    }
    let Some(rule) = rules.iter().find(|rule| rule.matches(served)) else { return Verdict::Left(Left::NoRule) };
    let is_silent = rule.effect.value.is_none() && rule.effect.targeted.is_empty();
    match rule.mode {
        Mode::Remove => Verdict::Removed(rule),
        _ if is_silent => Verdict::Left(Left::Silent),
        Mode::IfAbsent if served.fields.says => Verdict::Left(Left::Says),
        _ if served.asked.authorized && rule.effect.shares_authorized && !rule.even_if_authorized => {
            Verdict::Left(Left::Authorized)
        }
        _ => Verdict::Says(rule),
    }
}

/// Whether a response varies by who asks, so that whatever is said of it would be said of one person's.
fn is_personal(headers: &HeaderMap) -> bool {
    let is = |name: &[u8], word: &str| name.eq_ignore_ascii_case(word.as_bytes());
    vary_names(headers).any(|name| is(name, "*") || is(name, "authorization") || is(name, "cookie"))
}

fn vary_names(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(VARY).into_iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

/// Whether the content of a response may be read to make a tag of it: complete, and not too long.
pub(crate) fn may_hash(served: &Served<'_>, most: u64) -> bool {
    served.asked.method == Method::GET
        && served.status == StatusCode::OK
        && served.length().is_some_and(|length| length <= most)
}

// === What it says then ===

/// Writes a verdict into a response's fields. `now` is asked for only where `Expires` is wanted.
pub(crate) fn apply(headers: &mut HeaderMap, verdict: Verdict<'_>, now: impl FnOnce() -> SystemTime) {
    match verdict {
        Verdict::Left(_) => {}
        Verdict::Removed(_) => silence(headers),
        Verdict::Says(rule) => {
            if rule.mode == Mode::Override {
                silence(headers);
            }
            if let Some(value) = &rule.effect.value {
                headers.insert(CACHE_CONTROL, value.clone());
            }
            for (field, value) in &rule.effect.targeted {
                headers.insert(field.clone(), value.clone());
            }
            if let Some(time) = rule.expires_in() {
                headers.insert(EXPIRES, date::to_header_value(now() + time));
            }
        }
    }
}

/// A 304 that the service made goes with what the client was told by the 200: where a rule may have overruled the service then,
/// the service is not heard now.
pub(crate) fn apply_not_modified(headers: &mut HeaderMap, rules: &[Rule]) {
    if rules.iter().any(|rule| rule.mode != Mode::IfAbsent) {
        silence(headers);
    }
}

fn silence(headers: &mut HeaderMap) {
    for name in [CACHE_CONTROL, EXPIRES, PRAGMA] {
        headers.remove(name);
    }
    targeted::remove_all(headers);
}

/// Adds a name to `Vary`, unless it stands there or everything does.
pub(crate) fn merge_vary(headers: &mut HeaderMap, name: &HeaderName) {
    let is_there =
        vary_names(headers).any(|found| found == b"*" || found.eq_ignore_ascii_case(name.as_str().as_bytes()));
    if !is_there {
        headers.append(VARY, name.clone().into());
    }
}

// === impl Verdict ===

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Says(rule) | Self::Removed(rule) => rule.fmt(f),
            Self::Left(why) => f.write_str(why.as_str()),
        }
    }
}

// === impl Left ===

impl Left {
    /// The reason as a sentence.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Authorized => "made for somebody with Authorization",
            Self::NoRule => "no rule is for it",
            Self::NotModified => "the service's own 304",
            Self::Personal => "varies by who asks",
            Self::Says => "says something itself",
            Self::SetCookie => "sets a cookie",
            Self::Silent => "the rule for it says nothing",
        }
    }
}

#[cfg(test)]
mod tests;
