//! Files as they are found in a manifest, merged.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::path::{below_root, without_query};
use super::{ManifestError, Output, Shape};
use crate::name::file_name;

/// More are refused.
pub(super) const MOST_OUTPUTS: usize = 200_000;

/// The files that were found so far, by their paths.
pub(super) struct Outputs {
    shape: Shape,
    found: BTreeMap<Box<str>, Told>,
}

/// What is told of one.
struct Told {
    source: Option<Box<str>>,
    immutable: Option<bool>,
}

// === impl Outputs ===

impl Outputs {
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, found: BTreeMap::new() }
    }

    /// A file of which no more is told.
    pub(super) fn add(&mut self, path: &str) -> Result<(), ManifestError> {
        self.add_judged(path, None, None)
    }

    pub(super) fn add_made_from(&mut self, path: &str, source: &str) -> Result<(), ManifestError> {
        self.add_judged(path, Some(source), None)
    }

    /// What is told twice is one file. Of two sources the one is kept that the name shows more of, since that is what a hash was
    /// added to, or not; of two verdicts, the one that promises less.
    pub(super) fn add_judged(
        &mut self,
        path: &str,
        source: Option<&str>,
        immutable: Option<bool>,
    ) -> Result<(), ManifestError> {
        let (path, has_query) = without_query(path);
        let path = below_root(path, self.shape)?;
        let immutable = if has_query { Some(false) } else { immutable };
        if self.found.len() == MOST_OUTPUTS && !self.found.contains_key(&path) {
            return Err(ManifestError::TooMany);
        }
        match self.found.entry(path) {
            Entry::Vacant(entry) => {
                entry.insert(Told { source: source.map(Into::into), immutable });
            }
            Entry::Occupied(mut entry) => {
                let known = entry.get();
                let source = closest(entry.key(), [known.source.as_deref(), source]).map(Into::into);
                let immutable = [known.immutable, immutable].into_iter().flatten().min();
                entry.insert(Told { source, immutable });
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Vec<Output>, ManifestError> {
        if self.found.is_empty() {
            return Err(ManifestError::Empty);
        }
        let outputs = self.found.into_iter();
        Ok(outputs.map(|(path, Told { source, immutable })| Output { path, source, immutable }).collect())
    }
}

/// The source that a path's last segment shows most of; the first of several.
pub(super) fn closest<'a>(path: &str, sources: [Option<&'a str>; 2]) -> Option<&'a str> {
    let [first, second] = sources;
    match (first, second) {
        (Some(first), Some(second)) if shows(path, second) > shows(path, first) => Some(second),
        (first, second) => first.or(second),
    }
}

/// How much of the source's name the output's name begins with.
pub(super) fn shows(path: &str, source: &str) -> usize {
    let (file, source) = (file_name(path), file_name(source));
    let stem = source.rsplit_once('.').map_or(source, |(stem, _)| stem);
    let longest = [source, stem].into_iter().find(|name| file.starts_with(name));
    longest.map_or(0, str::len)
}
