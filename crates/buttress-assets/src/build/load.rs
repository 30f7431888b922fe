//! Reading a build: files, manifests, and the table that is made of them.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use buttress_rfc9111::date;
use buttress_rfc9111::entity_tag::EntityTag;
use foldhash::fast::RandomState;
use http::HeaderValue;
use walkdir::WalkDir;

use super::index::{Content, File, Files, Index, NotVouched, coding};
use super::listed::Listed;
use super::{BuildError, BuildOptions, Vouched};
use crate::manifest::Manifest;
use crate::name;
use crate::tag::{Hasher, NO_TIME};
use crate::verify::{Digest, Digests};

/// Where build tools leave their manifests.
const USUAL: [&str; 10] = [
    ".vite/manifest.json",
    "manifest.json",
    "asset-manifest.json",
    "staticfiles.json",
    ".manifest.json",
    "assets/.manifest.json",
    "cache_manifest.json",
    "rev-manifest.json",
    "meta.json",
    "stats.json",
];
const CHUNK: usize = 64 << 10;

/// One file, read.
#[derive(Debug)]
pub(super) struct Found {
    content: Content,
    verified: Option<Digest>,
    modified: Option<SystemTime>,
}

/// What was read, by the paths below the build's root.
pub(super) type Read = BTreeMap<String, Found>;

pub(super) fn index(options: &BuildOptions) -> Result<Index, BuildError> {
    if options.dir.is_none() && options.manifests.is_empty() && options.files.is_empty() && options.trusted.is_empty() {
        return Err(BuildError::nothing());
    }
    let mut files = Read::new();
    for (path, content) in &options.files {
        files.insert(
            path.clone(),
            Found::read(&mut &**content, path, options.tags).map_err(|error| BuildError::io(path.as_ref(), error))?,
        );
    }
    if let Some(dir) = &options.dir {
        walk(dir, options.tags, &mut files)?;
    }
    let mut listed = Listed::default();
    for manifest in manifests(options, &files)? {
        listed.add(&manifest, &files, &options.at);
    }
    let times: Vec<_> = files.values().filter_map(|found| found.modified).collect();
    let one_mtime = options.one_mtime.unwrap_or_else(|| says_nothing(&times));
    let trusted = options.trusted.iter().map(|prefix| prefix.as_str().into()).collect();
    let Listed { paths, missing } = listed;
    Ok(Index::new(table(files, paths, options), trusted, missing, one_mtime))
}

// === Files ===

fn walk(dir: &Path, tags: bool, files: &mut Read) -> Result<(), BuildError> {
    for entry in WalkDir::new(dir).follow_links(true).sort_by_file_name() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if is_gone(&error) => {
                tracing::warn!(path = ?error.path(), "a link in the build leads nowhere");
                continue;
            }
            Err(error) => {
                let path = error.path().unwrap_or(dir).to_owned();
                return Err(BuildError::io(&path, error.into()));
            }
        };
        if !entry.file_type().is_file() {
            continue;
        }
        let failed = |error| BuildError::io(entry.path(), error);
        let Some(path) = relative(dir, entry.path()) else { continue }; // no URL leads there
        let mut file = fs::File::open(entry.path()).map_err(failed)?;
        let mut found = Found::read(&mut file, &path, tags).map_err(failed)?;
        found.modified = file.metadata().and_then(|metadata| metadata.modified()).ok();
        found.content.modified = found.modified.filter(|_| tags).map(date::to_header_value);
        files.insert(path, found);
    }
    if tags { sidecars(dir, files) } else { Ok(()) }
}

/// Whether something below the root is not there: nobody can ask for it.
fn is_gone(error: &walkdir::Error) -> bool {
    error.depth() > 0 && error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// A path below the root as it stands in a URL; `None` if it is no UTF-8.
pub(crate) fn relative(dir: &Path, path: &Path) -> Option<String> {
    let parts = path.strip_prefix(dir).ok()?.components().map(|part| part.as_os_str().to_str());
    parts.collect::<Option<Vec<_>>>().map(|parts| parts.join("/"))
}

/// `app.js.etag` says the tag of `app.js`.
fn sidecars(dir: &Path, files: &mut Read) -> Result<(), BuildError> {
    let told: Vec<_> =
        files.keys().filter_map(|path| Some((path.strip_suffix(".etag")?.to_owned(), dir.join(path)))).collect();
    for (path, sidecar) in told {
        let Some(found) = files.get_mut(&path) else { continue };
        let text = fs::read_to_string(&sidecar).map_err(|error| BuildError::io(&sidecar, error))?;
        let text = text.trim();
        let quoted = if text.ends_with('"') { text.to_owned() } else { format!("\"{text}\"") };
        let tag = HeaderValue::try_from(quoted).ok().filter(|tag| EntityTag::parse(tag.as_bytes()).is_some());
        found.content.tag = Some(tag.filter(|_| !text.is_empty()).ok_or_else(|| BuildError::tag(&sidecar))?);
    }
    Ok(())
}

/// Whether these times cannot tell one version of a file from the next: none at all, or one whole second for all, as archives
/// and reproducible builds write it. Files that were just written can share a tick of the clock; that is no whole second.
fn says_nothing(times: &[SystemTime]) -> bool {
    let since = |time: &SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let is_whole = |time: &SystemTime| since(time).subsec_nanos() == 0;
    times.iter().any(|time| since(time) <= NO_TIME)
        || times.len() > 1 && times.iter().all(|time| *time == times[0] && is_whole(time))
}

// === Manifests ===

fn manifests(options: &BuildOptions, files: &Read) -> Result<Vec<Manifest>, BuildError> {
    let mut all = Vec::new();
    for path in &options.manifests {
        all.push(parse(path, &read(path)?)?);
    }
    let embedded =
        options.files.iter().map(|(path, content)| (PathBuf::from(path), path.as_str(), Some(content.as_ref())));
    let in_dir = options.dir.iter().flat_map(|dir| USUAL.map(|usual| (dir.join(usual), usual, None)));
    for (path, name, content) in embedded.chain(in_dir).filter(|(_, name, _)| USUAL.contains(name)) {
        if !files.contains_key(name) || options.manifests.contains(&path) {
            continue;
        }
        let json = content.map_or_else(|| read(&path), |content| Ok(content.to_vec()))?;
        match Manifest::parse(&json) {
            Ok(manifest) => all.push(manifest),
            // `manifest.json` is a web application's just as often.
            Err(error) if error.is_unknown_shape() => {}
            Err(error) => return Err(BuildError::manifest(&path, error)),
        }
    }
    Ok(all)
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    fs::read(path).map_err(|error| BuildError::io(path, error))
}

fn parse(path: &Path, json: &[u8]) -> Result<Manifest, BuildError> {
    Manifest::parse(json).map_err(|error| BuildError::manifest(path, error))
}

// === The table ===

fn table(files: Read, mut listed: HashMap<String, Result<Vouched, NotVouched>>, options: &BuildOptions) -> Files {
    let url = |path: &str| format!("{}{path}", options.at).into_boxed_str();
    let mut table = Files::with_capacity_and_hasher(files.len(), RandomState::default());
    let mut coded = Vec::new();
    for (path, found) in files {
        if let Some((plain, coding)) = coding(&path) {
            coded.push((url(plain), coding, found.content.clone()));
        }
        let url = url(&path);
        let told = listed.remove(&path);
        let vouched = vouched(&url, &path, found.verified, told, options);
        table.insert(url, File { vouched, content: Some(found.content), coded: Vec::new() });
    }
    for (path, vouched) in listed {
        table.insert(url(&path), File { vouched, content: None, coded: Vec::new() });
    }
    for (plain, coding, content) in coded {
        if let Some(file) = table.get_mut(&plain) {
            file.coded.push((coding, content));
        }
    }
    // A directory is served by its page.
    let pages = table.iter().filter_map(|(path, file)| Some((path.strip_suffix("index.html")?.into(), file.clone())));
    let pages: Vec<(Box<str>, File)> = pages.filter(|(dir, _): &(Box<str>, _)| dir.ends_with('/')).collect();
    table.extend(pages);
    table
}

/// The ladder: a manifest, the content, the operator. A name alone is no step of it.
fn vouched(
    url: &str,
    path: &str,
    verified: Option<Digest>,
    told: Option<Result<Vouched, NotVouched>>,
    options: &BuildOptions,
) -> Result<Vouched, NotVouched> {
    if let Some(Ok(vouched)) = told {
        return Ok(vouched);
    }
    if let Some(digest) = verified {
        return Ok(Vouched::Content(digest));
    }
    // A tool that lists a file and did not hash it knows better than a path.
    if let Some(not) = told {
        return not;
    }
    match name::hash_in(name::file_name(path)) {
        Ok(_) if name::is_map(path) => Err(NotVouched::Uncovered),
        Ok(_) if options.trusted.iter().any(|prefix| url.starts_with(prefix)) => Ok(Vouched::Path),
        Ok(_) => Err(NotVouched::LooksOnly),
        Err(why) => Err(NotVouched::Name(why)),
    }
}

// === impl Found ===

impl Found {
    /// Reads a content once, and keeps what is asked of it.
    fn read(content: &mut dyn io::Read, path: &str, tags: bool) -> io::Result<Self> {
        let stem = name::stem(name::file_name(path)).filter(|stem| name::candidates(stem).next().is_some());
        let mut digests = stem.map(|_| Digests::default());
        let mut hasher = tags.then(Hasher::new);
        let mut length = 0;
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = content.read(&mut chunk)?;
            if count == 0 {
                break;
            }
            length += count as u64;
            if let Some(digests) = &mut digests {
                digests.update(&chunk[..count]);
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(&chunk[..count]);
            }
        }
        let verified = digests.zip(stem).and_then(|(digests, stem)| digests.found_in(stem));
        Ok(Self { content: Content { length, tag: hasher.map(Hasher::tag), modified: None }, verified, modified: None })
    }
}
