//! What a build tool says it wrote: manifests of several tools, known by their shape. No I/O.
//!
//! ```
//! use buttress_assets::{Manifest, Shape};
//!
//! let manifest = Manifest::parse(br#"{"src/main.js": {"file": "assets/main-DA15JTLU.js", "src": "src/main.js"}}"#)?;
//! assert_eq!(manifest.shape(), Shape::Vite);
//! assert_eq!(manifest.outputs()[0].path(), "assets/main-DA15JTLU.js");
//! assert_eq!(manifest.outputs()[0].source(), Some("src/main.js"));
//!
//! assert!(Manifest::parse(br#"{"name": "Shop", "start_url": "/"}"#).unwrap_err().is_unknown_shape());
//! # Ok::<(), buttress_assets::ManifestError>(())
//! ```

mod error;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use error::ManifestError;

/// The largest manifest that is read, in bytes.
const LARGEST: usize = 64 << 20;

/// What a build tool says it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    shape: Shape,
    outputs: Vec<Output>,
}

/// Whose manifest it is, by its shape.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Shape {
    /// Django's `staticfiles.json`: `paths`.
    Django,
    /// esbuild's metafile: `inputs` and `outputs`.
    Esbuild,
    /// Names to names, as of webpack-manifest-plugin, Create React App (`files`), webpack-assets-manifest (`src`), gulp-rev, and older
    /// Propshaft.
    Map,
    /// Phoenix's `cache_manifest.json`: `latest`.
    Phoenix,
    /// Propshaft: `digested_path`.
    Propshaft,
    /// Vite: `file`.
    Vite,
    /// webpack's statistics: `assets`, each with a `name`.
    WebpackStats,
}

/// One file that a tool wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    path: Box<str>,
    source: Option<Box<str>>,
    immutable: Option<bool>,
}

type Outputs = BTreeMap<Box<str>, (Option<Box<str>>, Option<bool>)>;

// === impl Manifest ===

impl Manifest {
    /// Reads a manifest. What it holds beyond its outputs is left aside.
    ///
    /// # Errors
    /// If it is no JSON, larger than 64 MiB, of no known shape, names no output, or names one by a path that leads elsewhere.
    pub fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        if json.len() > LARGEST {
            return Err(ManifestError::TooLarge(json.len()));
        }
        let value: Value = serde_json::from_slice(json).map_err(ManifestError::json)?;
        let Value::Object(members) = value else { return Err(ManifestError::UnknownShape) };
        let (shape, outputs) = read(&members)?;
        if outputs.is_empty() {
            return Err(ManifestError::Empty);
        }
        let outputs = outputs.into_iter().map(|(path, (source, immutable))| Output { path, source, immutable });
        Ok(Self { shape, outputs: outputs.collect() })
    }

    /// Whose it is.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// What was written, each file once, in the order of paths.
    #[must_use]
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }
}

// === Shapes ===

/// The first shape that fits; the most telling ones come first.
fn read(members: &Map<String, Value>) -> Result<(Shape, Outputs), ManifestError> {
    let object = |name: &str| members.get(name).and_then(Value::as_object);
    let mut outputs = Outputs::new();
    let shape = if let (Some(_), Some(written)) = (object("inputs"), object("outputs")) {
        for (path, output) in written {
            add(&mut outputs, path, output.get("entryPoint").and_then(Value::as_str), None)?;
        }
        Shape::Esbuild
    } else if let (Some(paths), true) = (object("paths"), members.contains_key("version")) {
        strings(&mut outputs, paths)?;
        Shape::Django
    } else if let (Some(latest), true) = (object("latest"), members.contains_key("digests")) {
        strings(&mut outputs, latest)?;
        Shape::Phoenix
    } else if let Some(assets) = members.get("assets").and_then(Value::as_array) {
        for asset in assets {
            let name = asset.get("name").and_then(Value::as_str).ok_or(ManifestError::UnknownShape)?;
            let info = asset.get("info");
            let told = |what: &str| info.and_then(|info| info.get(what));
            let source = told("sourceFilename").and_then(Value::as_str);
            // webpack says it where the name holds a hash, and says nothing where it does not.
            let immutable = told("immutable").and_then(Value::as_bool).unwrap_or(false);
            add(&mut outputs, name, source, Some(immutable))?;
        }
        Shape::WebpackStats
    } else if let Some(files) = object("files") {
        strings(&mut outputs, files)?;
        Shape::Map
    } else {
        entries(&mut outputs, members)?
    };
    Ok((shape, outputs))
}

/// Shapes that have no member of their own: they are known by what stands behind each name.
fn entries(outputs: &mut Outputs, members: &Map<String, Value>) -> Result<Shape, ManifestError> {
    let named = |member: &str| members.values().all(|value| value.get(member).is_some_and(Value::is_string));
    let text = |value: &Value, member: &str| value.get(member).and_then(Value::as_str).map(str::to_owned);
    if members.is_empty() {
        return Err(ManifestError::Empty);
    }
    if named("file") {
        for entry in members.values() {
            vite(outputs, entry)?;
        }
        return Ok(Shape::Vite);
    }
    for (member, shape) in [("digested_path", Shape::Propshaft), ("src", Shape::Map)] {
        if named(member) {
            for (source, entry) in members {
                add(outputs, &text(entry, member).unwrap_or_default(), Some(source), None)?;
            }
            return Ok(shape);
        }
    }
    // webpack-assets-manifest puts its entry points beside the files.
    let files = || members.iter().filter(|(name, value)| *name != "entrypoints" || value.is_string());
    if !files().all(|(_, value)| value.as_str().is_some_and(is_file)) {
        return Err(ManifestError::UnknownShape);
    }
    for (source, path) in files() {
        add(outputs, path.as_str().unwrap_or_default(), Some(source), None)?;
    }
    Ok(Shape::Map)
}

/// A chunk or an asset; what it brings along is listed by its path alone, unless it has an entry of its own.
fn vite(outputs: &mut Outputs, entry: &Value) -> Result<(), ManifestError> {
    let text = |member: &str| entry.get(member).and_then(Value::as_str);
    add(outputs, text("file").unwrap_or_default(), text("name").or(text("src")), None)?;
    for member in ["css", "assets"] {
        for path in entry.get(member).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            add(outputs, path, None, None)?;
        }
    }
    Ok(())
}

fn strings(outputs: &mut Outputs, members: &Map<String, Value>) -> Result<(), ManifestError> {
    for (source, path) in members {
        let path = path.as_str().ok_or(ManifestError::UnknownShape)?;
        add(outputs, path, Some(source), None)?;
    }
    Ok(())
}

/// Whether a text can be the name of a file, as not every text in a JSON can.
fn is_file(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or(text);
    !text.contains(char::is_whitespace) && crate::kind::extension(path).is_some_and(|ext| ext.len() <= 16)
}

// === Paths ===

/// Adds an output. What was told of it once stays.
fn add(outputs: &mut Outputs, path: &str, source: Option<&str>, immutable: Option<bool>) -> Result<(), ManifestError> {
    let known = outputs.entry(clean(path)?).or_default();
    known.0 = known.0.take().or_else(|| source.map(Into::into));
    known.1 = known.1.or(immutable);
    Ok(())
}

/// A path below the root: without scheme, host, query and what stands for "here".
fn clean(path: &str) -> Result<Box<str>, ManifestError> {
    let bad = || ManifestError::Path(path.into());
    let below = match path.split_once("//") {
        Some((scheme, rest)) if scheme.is_empty() || scheme.ends_with(':') => {
            rest.split_once('/').map_or("", |(_, below)| below)
        }
        _ => path,
    };
    let below = below.split(['?', '#']).next().unwrap_or(below);
    let parts: Vec<_> = below.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let is_safe = |part: &&str| *part != ".." && !part.contains(['\\', '\0']) && !part.contains(char::is_control);
    if parts.is_empty() || !parts.iter().all(is_safe) {
        return Err(bad());
    }
    Ok(parts.join("/").into())
}

// === impl Shape ===

impl Shape {
    /// The tool's name.
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
    /// Where it lies, as the tool tells it: from where the tool ran, or from the root of the URL. It has no slash in front.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The name that it was made from, or that it goes by, as far as it is told.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// Whether it never changes under its name, where the tool says so itself.
    #[must_use]
    pub fn immutable(&self) -> Option<bool> {
        self.immutable
    }
}

#[cfg(test)]
mod tests;
