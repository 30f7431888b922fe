//! What is known of the files of a build: which of them never change under their name, and their entity tags.
//!
//! ```
//! use buttress_assets::Build;
//!
//! let dir = tempfile::tempdir()?;
//! std::fs::write(dir.path().join("app-0cc175b9c0f1.js"), "a")?; // the MD5 of its content
//! std::fs::write(dir.path().join("app-DA15JTLU.js"), "b")?; // looks like a hash, and nobody says that it is one
//!
//! let build = Build::open(dir.path())?;
//! assert!(build.vouches_for("/app-0cc175b9c0f1.js").is_some());
//! assert!(build.vouches_for("/app-DA15JTLU.js").is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod index;
mod listed;
mod load;

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::manifest::Shape;
use crate::verify::Digest;

pub use error::BuildError;
#[cfg(test)]
pub(crate) use index::{Content, File};
pub(crate) use index::{Index, Is, NotVouched, Seen, coding, decoded};
pub(crate) use load::relative;

/// The files of a build, as they were when they were read. Clones share them.
///
/// Reading is done at start, and costs one pass over all files (0.2 s for 500 MB, ten times that where all names look hashed); a
/// request costs one look into a table. What is replaced later under the same name is noticed by its length or its time, and no longer trusted; [`reload`](Self::reload) after a
/// change in place.
#[derive(Clone)]
pub struct Build {
    shared: Arc<Shared>,
}

struct Shared {
    index: ArcSwap<Index>,
    options: BuildOptions,
}

/// What is known at a moment; reading the build again changes nothing in it.
pub(crate) struct Snapshot(Guard<Arc<Index>>);

/// Where a build lies, and what is believed of it. Made by [`Build::options`].
#[derive(Clone, Debug)]
#[must_use]
pub struct BuildOptions {
    at: String,
    dir: Option<PathBuf>,
    files: Vec<(String, Cow<'static, [u8]>)>,
    manifests: Vec<PathBuf>,
    one_mtime: Option<bool>,
    tags: bool,
    trusted: Vec<String>,
}

/// Who says that a file never changes under its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Vouched {
    /// The name holds this digest of the content.
    Content(Digest),
    /// A build tool's manifest lists it, under a name that it added a hash to.
    Manifest(Shape),
    /// The operator trusts its path, and the name looks hashed.
    Path,
}

// === impl Build ===

impl Build {
    /// Reads the build in a directory: the manifests that are found in it by their usual names, and all files. It is served
    /// at `/`; [`options`](Self::options) say otherwise.
    ///
    /// # Errors
    /// If the directory, a file in it, or a manifest cannot be read.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, BuildError> {
        Self::options().dir(dir).load()
    }

    /// A build that lies elsewhere, or is not trusted in the same way.
    pub fn options() -> BuildOptions {
        BuildOptions {
            at: "/".to_owned(),
            dir: None,
            files: Vec::new(),
            manifests: Vec::new(),
            one_mtime: None,
            tags: true,
            trusted: Vec::new(),
        }
    }

    /// Reads everything again, as it was given. Requests are answered by what was known until this has succeeded; it
    /// blocks as long as reading takes.
    ///
    /// # Errors
    /// As [`open`](Self::open); then what was known stays.
    pub fn reload(&self) -> Result<(), BuildError> {
        self.shared.index.store(Arc::new(load::index(&self.shared.options)?));
        Ok(())
    }

    /// Who says that what is served under this path of a URL never changes; `None` if nobody does.
    #[must_use]
    pub fn vouches_for(&self, path: &str) -> Option<Vouched> {
        self.index().vouches_for(&decoded(path))
    }

    /// How many files are known, and how many of them never change under their name.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let index = self.index();
        (index.files().count(), index.files().filter(|file| file.vouched.is_ok()).count())
    }

    /// Whether times of modification say nothing; see [`BuildOptions::one_mtime`].
    #[must_use]
    pub fn has_one_mtime(&self) -> bool {
        self.index().one_mtime
    }

    /// The path under which it is served.
    pub(crate) fn at(&self) -> &str {
        &self.shared.options.at
    }

    pub(crate) fn index(&self) -> Snapshot {
        Snapshot(self.shared.index.load())
    }
}

/// How many files, and of how many it is certain.
impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, vouched) = self.count();
        f.debug_struct("Build").field("files", &files).field("vouched", &vouched).finish_non_exhaustive()
    }
}

// === impl Snapshot ===

impl Deref for Snapshot {
    type Target = Index;

    fn deref(&self) -> &Index {
        &self.0
    }
}

// === impl BuildOptions ===

impl BuildOptions {
    /// The directory that is served. Default: none; then a manifest is all that is known.
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// The path under which the directory is served, such as Django's `STATIC_URL`. Default: `/`.
    pub fn at(mut self, path: &str) -> Self {
        self.at = format!("/{}/", path.trim_matches('/')).replace("//", "/");
        self
    }

    /// A manifest that lies elsewhere or under an unusual name. May be called again. Default: those that are found in the
    /// directory (`.vite/manifest.json`, `manifest.json`, `asset-manifest.json`, `staticfiles.json`, `.manifest.json`,
    /// `cache_manifest.json`, `rev-manifest.json`, `meta.json`, `stats.json`).
    pub fn manifest(mut self, path: impl AsRef<Path>) -> Self {
        self.manifests.push(path.as_ref().to_owned());
        self
    }

    /// A file that is embedded in the program, by its path below [`at`](Self::at). May be called again; a manifest among
    /// them is found as in a directory.
    pub fn file(mut self, path: &str, content: impl Into<Cow<'static, [u8]>>) -> Self {
        self.files.push((path.trim_start_matches('/').to_owned(), content.into()));
        self
    }

    /// A path of the URL under which whatever looks hashed never changes, such as `/_next/static/`: the operator's word
    /// for builds without a manifest. May be called again. Default: none. Names that could be words, dates, sizes or
    /// versions are validated all the same, and so are source maps, which most tools do not hash.
    pub fn trust(mut self, prefix: &str) -> Self {
        self.trusted.push(format!("/{}/", prefix.trim_matches('/')).replace("//", "/"));
        self
    }

    /// Whether entity tags are made of the files' content. Default: yes. They are the same on every replica, unlike those of
    /// most file services, which are made of times. An `.etag` file beside a file says its tag, and is not hashed. Say no where the
    /// directory is a copy of what is served elsewhere: then its times are not compared either.
    pub fn tags(mut self, yes: bool) -> Self {
        self.tags = yes;
        self
    }

    /// Whether times of modification say nothing, as in a container or under Nix. Default: as found, that is if all files carry
    /// one whole second, or one of them carries a time before 1980. Then `Last-Modified` is left out, and tags that the file service makes of it are replaced.
    pub fn one_mtime(mut self, yes: bool) -> Self {
        self.one_mtime = Some(yes);
        self
    }

    /// Reads everything; blocks as long as that takes.
    ///
    /// # Errors
    /// If the directory, a file in it, or a manifest cannot be read, or no manifest is of a known shape where one was named.
    pub fn load(self) -> Result<Build, BuildError> {
        let index = load::index(&self)?;
        Ok(Build { shared: Arc::new(Shared { index: ArcSwap::from_pointee(index), options: self }) })
    }
}

// === impl Vouched ===

impl fmt::Display for Vouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(digest) => write!(f, "the name holds the {} of the content", digest.as_str()),
            Self::Manifest(shape) => write!(f, "listed by {}", shape.as_str()),
            Self::Path => f.write_str("hashed by its looks, under a trusted path"),
        }
    }
}
