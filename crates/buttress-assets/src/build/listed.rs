//! What manifests list, and which of it they vouch for.

use std::collections::{HashMap, HashSet};

use super::Vouched;
use super::index::NotVouched;
use super::load::Read;
use crate::kind;
use crate::manifest::{Manifest, Output, Shape};
use crate::name::{self, NameHash, NotAHash};

/// What the manifests of a build list.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// By the path below the root.
    pub(super) paths: HashMap<String, Result<Vouched, NotVouched>>,
    /// What is not there.
    pub(super) missing: Vec<Box<str>>,
}

/// How a tool writes a hash: what stands before it, and its length.
type Form = (Option<char>, usize);

/// Whether an output's name holds a hash.
enum Judged {
    Hashed(Option<Form>),
    /// It is where a hash would be, and could be something else.
    Likely(Form, NotAHash),
    Not(NotAHash),
}

// === impl Listed ===

impl Listed {
    /// Adds what a manifest says of these files, which are served under `at`. A tool's output is believed to be hashed when its name
    /// says so, or when it is the name of the source with something added that is as long as what the tool adds elsewhere. What one
    /// of several manifests does not vouch for is not vouched for.
    pub(super) fn add(&mut self, manifest: &Manifest, files: &Read, at: &str) {
        let shape = manifest.shape();
        let outputs: Vec<_> = manifest.outputs().iter().map(|output| (output, judge(output, shape))).collect();
        let forms: HashSet<_> = outputs.iter().filter_map(|(_, judged)| judged.form()).collect();
        for (output, judged) in outputs {
            let vouched = match judged {
                Judged::Likely(form, why) if !forms.contains(&form) => Err(NotVouched::Name(why)),
                Judged::Not(why) => Err(NotVouched::Name(why)),
                _ if !covers(shape, output.path(), &judged) => Err(NotVouched::Uncovered),
                _ => Ok(Vouched::Manifest(shape)),
            };
            match place(output.path(), files, at) {
                None => self.missing.push(output.path().into()),
                Some(path) => {
                    let known = self.paths.entry(path).or_insert(vouched);
                    *known = known.and(vouched);
                }
            }
        }
    }
}

/// Whether a tool's hash covers all that is served under the name, so that the name changes when the content does. As measured
/// with the builds under `tests/assets`, or read in the tools' sources:
///
/// - Vite and webpack name a source map after its script, and a comment in a source changes the map alone;
/// - Phoenix, gulp-rev and older Propshaft hash a style before they write the hashed names of other files into it.
///
/// What is left out here may still be vouched for by its content.
fn covers(shape: Shape, path: &str, judged: &Judged) -> bool {
    let is = |extension: &str| kind::extension(path).is_some_and(|found| found.eq_ignore_ascii_case(extension));
    match (shape, judged) {
        (Shape::Django | Shape::Esbuild | Shape::Propshaft, _) => true,
        (Shape::Phoenix, _) => false,
        // Such a map tells not whose it is; these two write a hyphen, gulp-rev and ten digits.
        (Shape::Map, Judged::Hashed(Some((Some('-'), length))) | Judged::Likely((Some('-'), length), _)) => {
            !is("map") && !is("css") && *length != 10
        }
        (Shape::Map | Shape::Vite | Shape::WebpackStats, _) => !is("map"),
    }
}

/// By what the tool tells of its source where it does, and by its looks elsewhere.
fn judge(output: &Output, shape: Shape) -> Judged {
    let file = name::file_name(output.path());
    match output.immutable() {
        Some(true) => return Judged::Hashed(None),
        Some(false) => return Judged::Not(NotAHash::SameAsSource),
        None => {}
    }
    let form = |hash: NameHash<'_>| (hash.separator, hash.text.len());
    let by_looks = || name::hash_in(file).map(form);
    match output.source().map_or(Ok(None), |source| name::hash_added(file, name::file_name(source))) {
        // A map from names to names has no other name for a chunk than its own; where a source is told, this is it.
        Err(NotAHash::SameAsSource) if shape == Shape::Map => match by_looks() {
            Ok(form) => Judged::Likely(form, NotAHash::SameAsSource),
            Err(why) => Judged::Not(why),
        },
        Err(why) => Judged::Not(why),
        Ok(None) => by_looks().map_or_else(Judged::Not, |form| Judged::Hashed(Some(form))),
        Ok(Some(hash)) => match name::looks(hash.text) {
            Ok(()) => Judged::Hashed(Some(form(hash))),
            Err(why @ (NotAHash::Words | NotAHash::Digits)) => Judged::Likely(form(hash), why),
            Err(why) => Judged::Not(why),
        },
    }
}

/// Where an output lies below the root. Tools write it from where they ran, or as the URL they expect; the longest end of it
/// that is a file is meant. Without files it is taken as it stands.
fn place(output: &str, files: &Read, at: &str) -> Option<String> {
    if files.is_empty() {
        return Some(output.strip_prefix(at.trim_start_matches('/')).unwrap_or(output).to_owned());
    }
    let mut rest = output;
    loop {
        if files.contains_key(rest) {
            return Some(rest.to_owned());
        }
        rest = rest.split_once('/')?.1;
    }
}

// === impl Judged ===

impl Judged {
    /// How the tool writes hashes, if this one is beyond doubt.
    fn form(&self) -> Option<Form> {
        match self {
            Self::Hashed(form) => *form,
            Self::Likely(..) | Self::Not(_) => None,
        }
    }
}
