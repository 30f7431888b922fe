//! Which stored response a 304 is about (RFC 9111 section 4.3.4).

use super::Validators;

/// What a 304 (Not Modified) does to the stored responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshen {
    /// [`update`](super::update) those at these places of the candidates.
    Update {
        /// Places in the slice of candidates, in its order; at least one.
        selected: Vec<usize>,
        /// How they were recognised.
        why: UpdateReason,
    },
    /// Update none. The stored response must not be reused by virtue of this 304: ask again without conditions.
    Ignore(IgnoreReason),
}

/// How a stored response was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateReason {
    /// The same strong entity tag.
    StrongTag,
    /// The same tag by weak comparison.
    WeakTag,
    /// The same `Last-Modified`.
    LastModified,
    /// The 304 names none, and only one was asked about.
    OnlyOne,
}

/// Why no stored response is updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IgnoreReason {
    /// The 304 names none, and several were asked about.
    Ambiguous,
    /// Nothing is stored that it could be about.
    NoCandidate,
    /// Nothing was stored that could have been asked about: no candidate has a validator, so the 304 answers a condition
    /// that was not ours.
    NoValidator,
    /// It names a representation that is not stored.
    OtherRepresentation,
}

/// Says which of the `candidates` a 304 is about.
///
/// `candidates` are the responses that the request asked about, the most recent first: those whose validators went
/// into [`make_conditional`](super::make_conditional). By RFC 9111 section 4.3.4 a strong tag in the 304 decides alone
/// and selects all that have it; a weak tag or a `Last-Modified` selects the most recent that has it.
///
/// A 304 without any validator selects the single candidate. The standard's letter asks that this one have none either,
/// but a 304 need not repeat `Last-Modified` (RFC 9110 section 15.4.5) and many origins do not: where the request named
/// one stored response, the answer to it is about that one.
#[must_use]
pub fn select(not_modified: &Validators<'_>, candidates: &[Validators<'_>]) -> Freshen {
    if candidates.is_empty() {
        return Freshen::Ignore(IgnoreReason::NoCandidate);
    }
    if candidates.iter().all(Validators::is_empty) {
        return Freshen::Ignore(IgnoreReason::NoValidator);
    }
    let found = match not_modified.etag {
        Some(tag) if !tag.is_weak() => {
            let same = |stored: &Validators<'_>| stored.etag.is_some_and(|stored| stored.strong_eq(tag));
            (all(candidates, same), UpdateReason::StrongTag)
        }
        Some(tag) => {
            let same = |stored: &Validators<'_>| stored.etag.is_some_and(|stored| stored.weak_eq(tag));
            (first(candidates, same), UpdateReason::WeakTag)
        }
        None if not_modified.modified.is_some() => {
            let same = |stored: &Validators<'_>| stored.modified == not_modified.modified;
            (first(candidates, same), UpdateReason::LastModified)
        }
        None if candidates.len() == 1 => (vec![0], UpdateReason::OnlyOne),
        None => return Freshen::Ignore(IgnoreReason::Ambiguous),
    };
    match found {
        (selected, _) if selected.is_empty() => Freshen::Ignore(IgnoreReason::OtherRepresentation),
        (selected, why) => Freshen::Update { selected, why },
    }
}

fn all(candidates: &[Validators<'_>], same: impl Fn(&Validators<'_>) -> bool) -> Vec<usize> {
    (0..candidates.len()).filter(|&at| same(&candidates[at])).collect()
}

fn first(candidates: &[Validators<'_>], same: impl Fn(&Validators<'_>) -> bool) -> Vec<usize> {
    candidates.iter().position(same).into_iter().collect()
}

// === impl Freshen ===

impl Freshen {
    /// The reason as a word for logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Update { why, .. } => why.as_str(),
            Self::Ignore(why) => why.as_str(),
        }
    }
}

impl UpdateReason {
    /// The reason as a word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StrongTag => "same-strong-tag",
            Self::WeakTag => "same-weak-tag",
            Self::LastModified => "same-last-modified",
            Self::OnlyOne => "only-one-asked",
        }
    }
}

impl IgnoreReason {
    /// The reason as a word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ambiguous => "names-none-of-several",
            Self::NoCandidate => "nothing-stored",
            Self::NoValidator => "no-validator-stored",
            Self::OtherRepresentation => "names-another-representation",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::tests::headers;

    const MONDAY: (&str, &str) = ("last-modified", "Mon, 05 Jan 2026 00:00:00 GMT");
    const TUESDAY: (&str, &str) = ("last-modified", "Tue, 06 Jan 2026 00:00:00 GMT");
    const A: (&str, &str) = ("etag", "\"a\"");
    const B: (&str, &str) = ("etag", "\"b\"");
    const WEAK_A: (&str, &str) = ("etag", "W/\"a\"");

    #[track_caller]
    fn check(not_modified: &[(&'static str, &str)], stored: &[&[(&'static str, &str)]], expected: Freshen) {
        let not_modified = headers(not_modified);
        let stored: Vec<_> = stored.iter().map(|fields| headers(fields)).collect();
        let candidates: Vec<_> = stored.iter().map(Validators::of).collect();
        assert_eq!(select(&Validators::of(&not_modified), &candidates), expected, "{not_modified:?} {stored:?}");
    }

    #[test]
    fn a_304_selects_by_rfc_9111_section_4_3_4() {
        let update = |selected: &[usize], why| Freshen::Update { selected: selected.to_vec(), why };
        check(&[A], &[&[A]], update(&[0], UpdateReason::StrongTag));
        check(&[A], &[&[B], &[A], &[A]], update(&[1, 2], UpdateReason::StrongTag));
        check(&[A, MONDAY], &[&[A, TUESDAY]], update(&[0], UpdateReason::StrongTag));
        check(&[WEAK_A], &[&[WEAK_A]], update(&[0], UpdateReason::WeakTag));
        check(&[WEAK_A], &[&[B], &[A], &[WEAK_A]], update(&[1], UpdateReason::WeakTag));
        check(&[MONDAY], &[&[A, MONDAY]], update(&[0], UpdateReason::LastModified));
        check(&[MONDAY], &[&[TUESDAY], &[MONDAY]], update(&[1], UpdateReason::LastModified));
        check(&[], &[&[A]], update(&[0], UpdateReason::OnlyOne));
        check(&[], &[&[MONDAY]], update(&[0], UpdateReason::OnlyOne));
        check(&[("etag", "a")], &[&[MONDAY]], update(&[0], UpdateReason::OnlyOne));
    }

    #[test]
    fn a_304_about_something_else_updates_nothing() {
        use IgnoreReason::{Ambiguous, NoCandidate, NoValidator, OtherRepresentation};
        let ignore = Freshen::Ignore;
        check(&[B], &[&[A]], ignore(OtherRepresentation));
        check(&[A], &[&[WEAK_A]], ignore(OtherRepresentation));
        check(&[B, MONDAY], &[&[A, MONDAY]], ignore(OtherRepresentation));
        check(&[WEAK_A, MONDAY], &[&[B, MONDAY]], ignore(OtherRepresentation));
        check(&[A], &[&[MONDAY]], ignore(OtherRepresentation));
        check(&[TUESDAY], &[&[MONDAY]], ignore(OtherRepresentation));
        check(&[], &[&[A], &[B]], ignore(Ambiguous));
        check(&[], &[], ignore(NoCandidate));
        check(&[A], &[&[]], ignore(NoValidator));
        check(&[], &[&[]], ignore(NoValidator));
    }
}
