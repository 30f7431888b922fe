//! Which request fields choose among the variants of a URI (RFC 9111 section 4.1).
//!
//! [`VaryFields`] is what the `Vary` of a response nominates; [`VaryFields::append_key`] writes the secondary key of a
//! request in those fields. Two requests with equal keys are equivalent in every nominated field; two that differ in
//! spelling only (white space, number of lines, case where the field has none, order where weights decide) have equal
//! keys. Where equivalence cannot be shown, the keys differ: that costs a hit, never a wrong response.
//!
//! A cache that knows several `Vary` sets for one URI keys all its variants on their [union](VaryFields::union).
//!
//! ```
//! use buttress_rfc9111::vary::{Normalization, VaryFields};
//! use http::{HeaderMap, HeaderValue, header};
//!
//! let mut response = HeaderMap::new();
//! response.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
//! let vary = VaryFields::of(&response);
//!
//! let key = |accepted| {
//!     let mut request = HeaderMap::new();
//!     request.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
//!     vary.key(&request, &Normalization::new())
//! };
//! assert_eq!(key("gzip, br"), key("BR,x-gzip;q=1.0"));
//! assert_ne!(key("gzip, br"), key("gzip, br;q=0"));
//! ```

use http::header::{HeaderMap, HeaderName, VARY};

mod negotiation;
mod normalization;

pub use normalization::Normalization;

/// More names than this make a response one that never matches: nobody negotiates in so many dimensions, and each name
/// costs at every look-up.
pub const MAX_NAMES: usize = 32;

/// The field names that the `Vary` of one or several responses nominates: in lower case, sorted, without duplicates.
///
/// Made from a response or from stored names, so that a cache can keep it: `from_names(vary.names())` is `vary`, but
/// that any reason to never match comes back as [`NeverMatches::Star`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct VaryFields {
    names: Vec<HeaderName>,
    never: Option<NeverMatches>,
}

/// Why no request matches a stored response, not even a repetition of the request it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NeverMatches {
    /// A member that is no field name: what it meant to nominate is unknown.
    Malformed,
    /// `Vary: *`: what chose the response is not in the request's fields.
    Star,
    /// More than [`MAX_NAMES`] names.
    TooManyNames,
}

// === impl VaryFields ===

impl VaryFields {
    /// What all `Vary` lines of a response nominate; nothing if there is no such line. Empty members are skipped.
    #[must_use]
    pub fn of(response: &HeaderMap) -> Self {
        let lines = response.get_all(VARY).iter();
        Self::from_names(lines.flat_map(|line| line.as_bytes().split(|octet| *octet == b',')))
    }

    /// From single names, in any case and order; a `*` or a malformed name makes it match never.
    #[must_use]
    pub fn from_names<N: AsRef<[u8]>>(names: impl IntoIterator<Item = N>) -> Self {
        let mut fields = Self::default();
        for name in names {
            fields.add(name.as_ref().trim_ascii());
        }
        fields
    }

    fn add(&mut self, name: &[u8]) {
        match (name, HeaderName::from_bytes(name)) {
            (b"", _) => {}
            (b"*", _) => self.give_up(NeverMatches::Star),
            (_, Ok(name)) => self.insert(name),
            (_, Err(_)) => self.give_up(NeverMatches::Malformed),
        }
    }

    fn insert(&mut self, name: HeaderName) {
        if self.never.is_some() {
            return;
        }
        if let Err(at) = self.names.binary_search_by(|known| known.as_str().cmp(name.as_str())) {
            self.names.insert(at, name);
        }
        if self.names.len() > MAX_NAMES {
            self.give_up(NeverMatches::TooManyNames);
        }
    }

    fn give_up(&mut self, why: NeverMatches) {
        self.names.clear();
        self.never.get_or_insert(why);
    }

    /// Why these fields match no request; `None` if they can match.
    #[must_use]
    pub fn never_matches(&self) -> Option<NeverMatches> {
        self.never
    }

    /// Whether every request matches: the response has no `Vary`, or an empty one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.never.is_none()
    }

    /// The names in order; the single name `*` if they never match.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let star = self.never.map(|_| "*");
        self.names.iter().map(HeaderName::as_str).chain(star)
    }

    /// Whether keys made here tell the variants of `other` apart: every name there is nominated here too, or nothing
    /// matches there anyway.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let nominated = |name| self.names.iter().any(|known| known == name);
        other.never.is_some() || self.never.is_none() && other.names.iter().all(nominated)
    }

    /// The fields of both: equal keys in the union are equal keys in each part.
    ///
    /// A part that never matches is left out, because its response cannot be chosen anyway: one `Vary: *` among many
    /// does not spoil the other variants. `None` if the union has more than [`MAX_NAMES`] names; the cache then has to
    /// forget the variants of one part.
    #[must_use]
    pub fn union(&self, other: &Self) -> Option<Self> {
        match (self.never, other.never) {
            (Some(_), _) => Some(other.clone()),
            (None, Some(_)) => Some(self.clone()),
            (None, None) => {
                let mut union = self.clone();
                other.names.iter().for_each(|name| union.insert(name.clone()));
                union.never.is_none().then_some(union)
            }
        }
    }

    /// The secondary key of a request. [`append_key`](Self::append_key) spares the allocation.
    ///
    /// # Errors
    /// The reason why no request can match.
    pub fn key(&self, request: &HeaderMap, normalization: &Normalization) -> Result<Vec<u8>, NeverMatches> {
        let mut key = Vec::new();
        self.append_key(request, normalization, &mut key).map(|()| key)
    }

    /// Appends the secondary key of a request to `key`, which may hold other parts of a cache key already.
    ///
    /// The key of no fields is empty. Otherwise it is, for each name in order, `length name kind length value` with
    /// lengths in four octets; `kind` tells an absent field (which has no value) from an empty one, and one normal form
    /// from another. No allocation but for the growth of `key`.
    ///
    /// # Errors
    /// The reason why no request can match; `key` is then left as it was.
    pub fn append_key(
        &self,
        request: &HeaderMap,
        normalization: &Normalization,
        key: &mut Vec<u8>,
    ) -> Result<(), NeverMatches> {
        if let Some(why) = self.never {
            return Err(why);
        }
        for name in &self.names {
            with_length(key, |key| key.extend_from_slice(name.as_str().as_bytes()));
            normalization.append(request, name, key);
        }
        Ok(())
    }
}

// === impl NeverMatches ===

impl NeverMatches {
    /// The reason as a word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "vary-malformed",
            Self::Star => "vary-star",
            Self::TooManyNames => "vary-too-many-names",
        }
    }
}

/// Writes something and, before it, its length.
fn with_length(key: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = key.len();
    key.extend_from_slice(&[0; 4]);
    write(key);
    let length = u32::try_from(key.len() - at - 4).expect("the fields of a request are shorter than 4 GiB");
    key[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn vary(lines: &[&'static str]) -> VaryFields {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(VARY, HeaderValue::from_static(line));
        }
        VaryFields::of(&headers)
    }

    #[test]
    fn vary_lines_become_a_set_of_names() {
        fn check(lines: &[&'static str], expected: &[&str]) {
            assert_eq!(vary(lines).names().collect::<Vec<_>>(), expected, "{lines:?}");
        }
        check(&[], &[]);
        check(&[""], &[]);
        check(&[" , ,"], &[]);
        check(&["Accept"], &["accept"]);
        check(&["B, a,\tA ,b"], &["a", "b"]);
        check(&["Origin", "Accept-Encoding, ORIGIN"], &["accept-encoding", "origin"]);
        check(&["*"], &["*"]);
        check(&["Accept, *"], &["*"]);
        check(&["*", "Accept"], &["*"]);
        check(&["Accept Encoding"], &["*"]);
        check(&["\"Accept\""], &["*"]);
    }

    #[test]
    fn what_cannot_be_understood_never_matches() {
        fn check(fields: &VaryFields, expected: Option<NeverMatches>) {
            assert_eq!(fields.never_matches(), expected, "{fields:?}");
            let key = fields.key(&HeaderMap::new(), &Normalization::new());
            assert_eq!(key.err(), expected);
        }
        check(&vary(&["accept"]), None);
        check(&vary(&["*"]), Some(NeverMatches::Star));
        check(&vary(&["a b"]), Some(NeverMatches::Malformed));
        let names = |count: usize| VaryFields::from_names((0..count).map(|n| format!("x-{n}")));
        check(&names(MAX_NAMES), None);
        check(&names(MAX_NAMES + 1), Some(NeverMatches::TooManyNames));
        assert_eq!(names(MAX_NAMES).union(&VaryFields::from_names(["y"])), None);
    }

    #[test]
    fn a_union_covers_both_parts_and_leaves_out_what_never_matches() {
        let (a, b, star) = (vary(&["a, c"]), vary(&["b, c"]), vary(&["*"]));
        let union = a.union(&b).unwrap();
        assert_eq!(union.names().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(union.covers(&a) && union.covers(&b) && !a.covers(&union));
        assert_eq!(a.union(&star), Some(a.clone()));
        assert_eq!(star.union(&a), Some(a.clone()));
        assert_eq!(star.union(&star), Some(star.clone()));
        assert!(a.covers(&star) && !star.covers(&a));
    }

    #[test]
    fn absent_is_not_empty_and_names_do_not_run_into_values() {
        let key = |names: &[&str], request: &[(&'static str, &'static str)]| {
            let headers: HeaderMap =
                request.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect();
            VaryFields::from_names(names).key(&headers, &Normalization::new()).unwrap()
        };
        assert_ne!(key(&["x-a"], &[]), key(&["x-a"], &[("x-a", "")]));
        assert_ne!(key(&["accept-encoding"], &[]), key(&["accept-encoding"], &[("accept-encoding", "")]));
        assert_ne!(key(&["x-a", "x-b"], &[("x-a", "1")]), key(&["x-a", "x-b"], &[("x-b", "1")]));
        assert_ne!(
            key(&["x-a", "x-b"], &[("x-a", "12"), ("x-b", "")]),
            key(&["x-a", "x-b"], &[("x-a", "1"), ("x-b", "2")])
        );
        assert_ne!(key(&["x-a"], &[]), key(&["x-a", "x-b"], &[]));
        assert_eq!(key(&[], &[("x-a", "1")]), b"");
    }

    proptest! {
        #[test]
        fn any_vary_is_read_and_comes_back_from_its_names(line in proptest::collection::vec(any::<u8>(), 0..64)) {
            let fields = VaryFields::from_names(line.split(|octet| *octet == b','));
            let again = VaryFields::from_names(fields.names());
            prop_assert_eq!(again.names().collect::<Vec<_>>(), fields.names().collect::<Vec<_>>());
            prop_assert_eq!(again.never_matches().is_some(), fields.never_matches().is_some());
        }
    }
}
