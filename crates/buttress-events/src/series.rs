//! What is counted: a name with labels, and the short id that stands for it in the store.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hashbrown::Equivalent;

/// What is counted together: an event with its labels.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: Box<str>,
    pub(crate) labels: Box<[(Box<str>, Box<str>)]>,
    pub(crate) id: Id,
}

/// The same, borrowed from who counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeriesRef<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: &'a [(&'a str, &'a str)],
}

/// A digest of the name and the labels, in any order. Two processes come to the same one without asking anybody.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Id(pub(crate) u64);

/// The name of requests that were counted by a layer; its labels are these.
pub(crate) const REQUESTS: &str = "http.server.request.duration";
pub(crate) const ROUTE: &str = "route";
pub(crate) const METHOD: &str = "method";
pub(crate) const STATUS: &str = "status";
/// What is counted in the place of series that are too many.
pub(crate) const OVERFLOW: &str = "overflow";

/// The route of requests that no route took.
pub(crate) const UNMATCHED_ROUTE: &str = "<unmatched>";
/// The route of requests whose routes are too many.
pub(crate) const OVERFLOWN_ROUTE: &str = "<overflow>";

/// The names under which rankings, and what visitors are counted for, are known by their ids; the label `name` is theirs.
pub(crate) const RANKING: &str = "buttress.ranking";
pub(crate) const VISITORS: &str = "buttress.visitors";

/// More labels are an overflow.
pub(crate) const MOST_LABELS: usize = 6;
/// Longer names and values are cut.
pub(crate) const LONGEST: usize = 200;

// === impl Series ===

impl Series {
    /// Names and values that are too long are cut.
    pub(crate) fn new(series: SeriesRef<'_>) -> Self {
        let owned = |&(key, value): &(&str, &str)| (cut(key).into(), cut(value).into());
        Self::of(cut(series.name).into(), series.labels.iter().map(owned).collect())
    }

    /// From what [`text`](Self::text) has made; `None` if it has not.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = serde_json::from_slice::<Vec<Box<str>>>(text).ok()?.into_iter();
        let name = parts.next()?;
        let mut labels = Vec::new();
        while let Some(key) = parts.next() {
            labels.push((key, parts.next()?));
        }
        Some(Self::of(name, labels))
    }

    fn of(name: Box<str>, mut labels: Vec<(Box<str>, Box<str>)>) -> Self {
        labels.sort();
        let mut series = Self { name, labels: labels.into(), id: Id(0) };
        let digest = blake3::hash(series.text().as_bytes());
        series.id = Id(u64::from_le_bytes(*digest.as_bytes().first_chunk().expect("a digest has 32 bytes")));
        series
    }

    /// As the dictionary has it.
    pub(crate) fn text(&self) -> String {
        let labels = self.labels.iter().flat_map(|(key, value)| [&**key, &**value]);
        let parts: Vec<_> = [&*self.name].into_iter().chain(labels).collect();
        serde_json::to_string(&parts).expect("strings can be written")
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(name, _)| &**name == key).map(|(_, value)| &**value)
    }

    /// Whether it stands for others that were too many.
    pub(crate) fn is_overflow(&self) -> bool {
        let is_route = &*self.name == REQUESTS && self.label(ROUTE) == Some(OVERFLOWN_ROUTE);
        is_route || &*self.name == OVERFLOW || self.label(OVERFLOW).is_some()
    }
}

// === impl SeriesRef ===

impl SeriesRef<'_> {
    /// Whether a series can be made of it as it is.
    pub(crate) fn fits(&self) -> bool {
        let is_short = |text: &str| text.len() <= LONGEST;
        let labels_fit = self.labels.iter().all(|&(key, value)| is_short(key) && is_short(value));
        self.labels.len() <= MOST_LABELS && is_short(self.name) && labels_fit
    }
}

impl Hash for SeriesRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        for (key, value) in self.labels {
            key.hash(state);
            value.hash(state);
        }
    }
}

impl Equivalent<Arc<Asked>> for SeriesRef<'_> {
    fn equivalent(&self, asked: &Arc<Asked>) -> bool {
        let labels = asked.labels.iter().map(|(key, value)| (&**key, &**value));
        *self.name == *asked.name && labels.eq(self.labels.iter().copied())
    }
}

/// A name with labels as they were asked for, in that order and length.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Asked {
    name: Box<str>,
    labels: Box<[(Box<str>, Box<str>)]>,
}

// === impl Asked ===

impl Asked {
    pub(crate) fn new(series: SeriesRef<'_>) -> Self {
        let labels = series.labels.iter().map(|&(key, value)| (key.into(), value.into()));
        Self { name: series.name.into(), labels: labels.collect() }
    }
}

impl Hash for Asked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        for (key, value) in &self.labels {
            key.hash(state);
            value.hash(state);
        }
    }
}

// === impl Id ===

impl Id {
    /// Eleven letters.
    pub(crate) fn text(self) -> String {
        data_encoding::BASE64URL_NOPAD.encode(&self.0.to_le_bytes())
    }

    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let bytes = data_encoding::BASE64URL_NOPAD.decode(text).ok()?;
        Some(Self(u64::from_le_bytes(bytes.try_into().ok()?)))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// The start of a text that is too long.
pub(crate) fn cut(text: &str) -> &str {
    let end = (0..=LONGEST.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_labels_does_not_matter() {
        let id = |labels| Series::new(SeriesRef { name: "login", labels }).id;
        assert_eq!(id(&[("plan", "pro"), ("by", "mail")]), id(&[("by", "mail"), ("plan", "pro")]));
        let others: [&[(&str, &str)]; 4] =
            [&[], &[("plan", "pro")], &[("plan", "mail"), ("by", "pro")], &[("planpro", "by")]];
        for other in others {
            assert_ne!(id(other), id(&[("plan", "pro"), ("by", "mail")]));
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let series = Series::new(SeriesRef { name: "a \"name\"", labels: &[("b", "ü]"), ("a", "")] });
        assert_eq!(Series::parse(series.text().as_bytes()), Some(series.clone()));
        assert_eq!(Id::parse(series.id.text().as_bytes()), Some(series.id));
        assert_eq!(series.id.text().len(), 11);
        for other in [&b""[..], b"[]", b"[\"a\",\"b\"]", b"[1]", b"{}", b"\xff"] {
            assert_eq!(Series::parse(other), None);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        let long = "ä".repeat(LONGEST);
        assert_eq!(cut(&long).len(), LONGEST);
        assert_eq!(cut(&format!("a{long}")).len(), LONGEST - 1);
        assert_eq!(cut("short"), "short");
    }
}
