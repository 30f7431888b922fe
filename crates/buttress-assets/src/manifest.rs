//! What a build tool says it wrote: its manifest, known by its shape.
//!
//! ```
//! use buttress_assets::{Manifest, Shape};
//!
//! let manifest = Manifest::parse(br#"{ "src/main.js": { "file": "assets/main-DA15JTLU.js", "name": "main" } }"#)?;
//! assert_eq!(manifest.shape(), Shape::Vite);
//! let [output] = manifest.outputs() else { panic!() };
//! assert_eq!((output.path(), output.source()), ("assets/main-DA15JTLU.js", Some("main")));
//! # Ok::<(), buttress_assets::ManifestError>(())
//! ```
//!
//! That a manifest lists a file does not say that its name has a hash: tools list what they were told to leave as it is, too. So
//! each [`Output`] carries the name that it was made from, as far as the tool tells, for whoever compares the two.

mod error;
mod outputs;
mod path;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::value::RawValue;

pub use error::ManifestError;
use outputs::Outputs;

/// Longer ones are refused. Those of large builds have some megabytes; webpack's stats, some tens.
const MOST_BYTES: usize = 64 << 20;
/// What Windows writes before UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The members of a JSON object, each as it is written: most of a metafile or of webpack's stats is never looked at.
type Members<'a> = BTreeMap<String, &'a RawValue>;

/// What a build tool says it wrote.
///
/// Parsing costs one pass over the text and one allocation or two for each file that is listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    shape: Shape,
    outputs: Vec<Output>,
}

/// How a manifest is built, and so by what.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Shape {
    /// `staticfiles.json` of Django's `ManifestStaticFilesStorage`: `paths`.
    Django,
    /// The metafile of esbuild: `inputs` and `outputs`.
    Esbuild,
    /// Names to names or to objects with `src`, as of webpack-manifest-plugin, Create React App (`files`),
    /// webpack-assets-manifest, Encore, gulp-rev, and older Propshaft.
    Map,
    /// `cache_manifest.json` of `mix phx.digest`: `latest` and `digests`. It hashes styles and scripts before it rewrites what they
    /// refer to, so those may change under their names.
    Phoenix,
    /// `.manifest.json` of Propshaft: objects with `digested_path`.
    Propshaft,
    /// `.vite/manifest.json` of Vite: objects with `file`.
    Vite,
    /// The statistics of webpack or Rspack, `--json`: `assets`.
    WebpackStats,
}

/// One file that a build tool says it wrote.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Output {
    path: Box<str>,
    source: Option<Box<str>>,
    immutable: Option<bool>,
}

// === impl Manifest ===

impl Manifest {
    /// Reads a manifest. What is not known of its shape is ignored.
    ///
    /// # Errors
    /// If it is no JSON object of a known [`Shape`], lists nothing, is longer than 64 MiB or lists more than 200,000 files,
    /// or if an entry is not as its shape has it or names what cannot be a file below a root: a path with `..`, a
    /// backslash or a control character.
    pub fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        if json.len() > MOST_BYTES {
            return Err(ManifestError::TooLong { bytes: json.len() });
        }
        let json = json.strip_prefix(BYTE_ORDER_MARK).unwrap_or(json);
        let members: Members<'_> = serde_json::from_slice(json).map_err(ManifestError::json)?;
        let shape = read::shape(&members).ok_or_else(|| ManifestError::unknown(&members))?;
        let mut outputs = Outputs::new(shape);
        read::all(shape, &members, &mut outputs)?;
        Ok(Self { shape, outputs: outputs.finish()? })
    }

    /// How it is built.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The files that it lists, each once, in the order of their paths; at least one.
    #[must_use]
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }
}

// === impl Shape ===

impl Shape {
    /// The name of the tool, or what else it is known by.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Django => "Django",
            Self::Esbuild => "esbuild",
            Self::Map => "a manifest",
            Self::Phoenix => "Phoenix",
            Self::Propshaft => "Propshaft",
            Self::Vite => "Vite",
            Self::WebpackStats => "webpack",
        }
    }
}

// === impl Output ===

impl Output {
    /// Its path as the tool writes it, without a scheme, a host and slashes before it, and percent-encoded where it was. It begins
    /// at the root of the build, at that of the site, or (esbuild) where the tool ran: only the end of it is certain.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The name or path that it was made from, with or without an extension, if the tool tells.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// Whether it never changes under its name, where the tool says so itself: webpack's stats do.
    #[must_use]
    pub fn immutable(&self) -> Option<bool> {
        self.immutable
    }
}
