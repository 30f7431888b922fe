//! What would be said of each file of a directory, and what looks wrong about it.
//!
//! ```
//! use buttress_assets::{AssetsLayer, Build};
//!
//! let dist = tempfile::tempdir()?;
//! std::fs::write(dist.path().join("app-DA15JTLU.js"), "// which tool named this?")?;
//!
//! let lint = AssetsLayer::new().build(Build::open(dist.path())?).lint(dist.path())?;
//! let file = &lint.files()[0];
//! assert_eq!((file.path(), file.cache_control()), ("/app-DA15JTLU.js", Some("no-cache")));
//! assert!(!lint.is_clean(), "{lint}"); // it looks hashed, and nobody vouches for it
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use walkdir::WalkDir;

use crate::build::{Build, Index, NotVouched, relative};
use crate::kind::Kind;
use crate::layer::Settings;
use crate::policy;
use crate::served::{Asked, Served};

/// What stays as it is in a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');
/// So much of a file is looked at.
const HEAD: usize = 512;

/// The verdict on each file of a directory. Its `Display` is a table for people.
#[derive(Clone, Debug)]
pub struct Lint {
    files: Vec<Linted>,
    missing: Vec<Box<str>>,
    one_mtime: bool,
}

/// The verdict on one file.
#[derive(Clone, Debug)]
pub struct Linted {
    path: String,
    cache_control: Option<String>,
    why: String,
    concern: Option<Concern>,
}

/// What looks wrong about a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Concern {
    /// Its name looks hashed, and nobody vouches for it: name its manifest, or trust its path.
    LooksHashed,
    /// It has the name of an asset and the content of a page, as when a download was answered by a fallback.
    PageInside,
    /// It is older than the file that it is a compressed form of.
    StaleCoding,
}

// === impl Lint ===

impl Lint {
    pub(crate) fn of(settings: &Settings, dir: &Path) -> io::Result<Self> {
        let index = settings.index();
        let index = index.as_deref();
        let mut files = Vec::new();
        for entry in WalkDir::new(dir).follow_links(true).sort_by_file_name() {
            let entry = entry?;
            if entry.file_type().is_file()
                && let Some(path) = url(dir, entry.path(), settings.build.as_ref())
            {
                files.push(Linted::of(settings, index, path, entry.path())?);
            }
        }
        let missing = index.map(|index| index.missing.clone()).unwrap_or_default();
        let one_mtime = settings.has_one_mtime(index);
        Ok(Self { files, missing, one_mtime })
    }

    /// The files in the order of their paths.
    #[must_use]
    pub fn files(&self) -> &[Linted] {
        &self.files
    }

    /// What a manifest lists, and is not there.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        self.missing.iter().map(|path| &**path)
    }

    /// Whether nothing looks wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.missing.is_empty() && self.files.iter().all(|file| file.concern.is_none())
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |text: fn(&Linted) -> usize| self.files.iter().map(text).max().unwrap_or(0);
        let (path, says) = (width(|file| file.path.len()), width(|file| file.cache_control().unwrap_or("-").len()));
        for file in &self.files {
            let cache_control = file.cache_control().unwrap_or("-");
            write!(f, "{:path$}  {cache_control:says$}  {}", file.path, file.why)?;
            match file.concern {
                Some(concern) => writeln!(f, "  ! {concern}")?,
                None => writeln!(f)?,
            }
        }
        for path in &self.missing {
            writeln!(f, "{path}  ! a manifest lists it, and it is not there")?;
        }
        if self.one_mtime {
            writeln!(
                f,
                "all files carry one time of modification: tags are made of their content, Last-Modified is left out"
            )?;
        }
        let concerns = self.files.iter().filter(|file| file.concern.is_some()).count() + self.missing.len();
        let immutable = self.files.iter().filter(|file| file.is_immutable()).count();
        write!(f, "{} files, {immutable} immutable, {concerns} to look at", self.files.len())
    }
}

// === impl Linted ===

impl Linted {
    fn of(settings: &Settings, index: Option<&Index>, path: String, file: &Path) -> io::Result<Self> {
        let uri = Uri::try_from(utf8_percent_encode(&path, PATH).to_string()).unwrap_or_default();
        let asked = Asked { method: Method::GET, uri, authorized: false, service_worker: false };
        let mut headers = HeaderMap::new();
        if let Some(media_type) = mime_guess::from_path(file).first_raw() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        let length = fs::metadata(file)?.len();
        let served = Served::new(&asked, StatusCode::OK, &headers, Some(length), index);
        let verdict = policy::decide(&settings.rules, &served);
        let concern = concern(&served, index, file)?;
        let why = match (served.vouched(), verdict) {
            (Some(vouched), policy::Verdict::Says(_)) => format!("{verdict}: {vouched}"),
            _ => verdict.to_string(),
        };
        let mut says = HeaderMap::new();
        policy::apply(&mut says, verdict, || SystemTime::UNIX_EPOCH);
        let cache_control = says.get(CACHE_CONTROL).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Ok(Self { path, cache_control, why, concern })
    }

    /// The path of its URL, decoded.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What `Cache-Control` would say; `None` if nothing.
    #[must_use]
    pub fn cache_control(&self) -> Option<&str> {
        self.cache_control.as_deref()
    }

    /// The name of the rule that decides, and who vouches for the file.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    /// What looks wrong about it.
    #[must_use]
    pub fn concern(&self) -> Option<Concern> {
        self.concern
    }

    /// Whether it would be kept for ever.
    #[must_use]
    pub fn is_immutable(&self) -> bool {
        self.cache_control().is_some_and(|says| says.contains("immutable"))
    }
}

/// The path under which a file is served.
fn url(dir: &Path, file: &Path, build: Option<&Build>) -> Option<String> {
    Some(format!("{}{}", build.map_or("/", Build::at), relative(dir, file)?))
}

fn concern(served: &Served<'_>, index: Option<&Index>, file: &Path) -> io::Result<Option<Concern>> {
    let kind = served.kind();
    if kind.is_some_and(|kind| !matches!(kind, Kind::Page | Kind::Text | Kind::Data)) && is_page(file)? {
        return Ok(Some(Concern::PageInside));
    }
    if is_stale_coding(file)? {
        return Ok(Some(Concern::StaleCoding));
    }
    let judged = index.and_then(|index| index.file(served.path())).map(|file| file.vouched);
    let looks = match judged {
        Some(vouched) => vouched == Err(NotVouched::LooksOnly),
        None => served.vouched().is_none() && served.looks_hashed() && served.kind() != Some(Kind::SourceMap),
    };
    Ok(looks.then_some(Concern::LooksHashed))
}

/// Whether a file begins as a page does.
fn is_page(file: &Path) -> io::Result<bool> {
    let mut head = Vec::with_capacity(HEAD);
    io::Read::read_to_end(&mut io::Read::take(fs::File::open(file)?, HEAD as u64), &mut head)?;
    let text = String::from_utf8_lossy(&head).trim_start().to_ascii_lowercase();
    Ok(text.starts_with("<!doctype html") || text.starts_with("<html"))
}

/// Whether a precompressed file is older than what it was made from.
fn is_stale_coding(file: &Path) -> io::Result<bool> {
    let Some(path) = file.to_str() else { return Ok(false) };
    let Some((plain, _)) = crate::build::coding(path) else { return Ok(false) };
    match fs::metadata(plain) {
        Ok(plain) => Ok(fs::metadata(file)?.modified()? < plain.modified()?),
        Err(_) => Ok(false),
    }
}

// === impl Concern ===

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LooksHashed => "its name looks hashed, and nobody vouches for it",
            Self::PageInside => "there is a page inside",
            Self::StaleCoding => "it is older than what it was made from",
        })
    }
}
