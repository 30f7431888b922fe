//! The shapes: how each is told from the others, and where it has its files.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::outputs::{Outputs, closest, shows};
use super::{ManifestError, Members, Shape};
use crate::name::file_name;

/// An entry of Vite's manifest. Styles and assets have entries of their own only if something asked for them by name.
#[derive(Deserialize)]
struct ViteEntry {
    file: String,
    name: Option<String>,
    src: Option<String>,
    #[serde(default)]
    css: Vec<String>,
    #[serde(default)]
    assets: Vec<String>,
}

#[derive(Deserialize)]
struct EsbuildOutput {
    #[serde(rename = "entryPoint")]
    entry_point: Option<String>,
    #[serde(rename = "cssBundle")]
    css_bundle: Option<String>,
    #[serde(default)]
    inputs: BTreeMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
struct Compilation {
    #[serde(default)]
    assets: Vec<StatsAsset>,
}

#[derive(Deserialize)]
struct StatsAsset {
    name: String,
    info: Option<StatsInfo>,
    related: Option<Vec<Self>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatsInfo {
    immutable: Option<bool>,
    source_filename: Option<String>,
}

#[derive(Deserialize)]
struct PhoenixDigest {
    logical_path: Option<String>,
}

/// An entry that is a name, or an object that has it in one member or another.
#[derive(Deserialize)]
#[serde(untagged)]
enum Name {
    Plain(String),
    Digested { digested_path: String },
    Src { src: String },
}

/// What tells the shapes whose members are named by the user.
#[derive(Deserialize)]
struct Probe {
    digested_path: Option<IgnoredAny>,
    file: Option<IgnoredAny>,
    name: Option<IgnoredAny>,
    assets: Option<Vec<IgnoredAny>>,
}

// === Which ===

/// What a manifest is, by its members; those first whose members have fixed names.
pub(super) fn shape(members: &Members<'_>) -> Option<Shape> {
    let begins = |name: &str, first| begins(members, name, first);
    let any = |is: fn(&Probe) -> bool| {
        members
            .values()
            .filter(|value| value.get().starts_with('{'))
            .any(|value| probe(value).is_some_and(|it| is(&it)))
    };
    let first = |name: &str, is: fn(&Probe) -> bool| {
        let list = members.get(name).and_then(|value| serde_json::from_str::<Vec<&RawValue>>(value.get()).ok());
        list.and_then(|list| probe(list.first()?)).is_some_and(|it| is(&it))
    };
    match () {
        () if begins("inputs", '{') && begins("outputs", '{') => Some(Shape::Esbuild),
        () if begins("latest", '{') && begins("digests", '{') => Some(Shape::Phoenix),
        () if begins("paths", '{') && begins("version", '"') => Some(Shape::Django),
        () if is_create_react_app(members) => Some(Shape::Map),
        () if first("assets", |asset| asset.name.is_some()) => Some(Shape::WebpackStats),
        // Several configurations at once.
        () if first("children", |child| child.assets.is_some()) => Some(Shape::WebpackStats),
        () if any(|entry| entry.digested_path.is_some()) => Some(Shape::Propshaft),
        () if any(|entry| entry.file.is_some()) => Some(Shape::Vite),
        () if members.iter().any(|(key, value)| is_file_for_file(key, value)) => Some(Shape::Map),
        () => None,
    }
}

/// The one map that lies in a member.
fn is_create_react_app(members: &Members<'_>) -> bool {
    let files = members.get("files").and_then(|value| serde_json::from_str::<Members<'_>>(value.get()).ok());
    files.is_some_and(|files| files.iter().any(|(key, value)| is_file_for_file(key, value)))
}

fn begins(members: &Members<'_>, name: &str, first: char) -> bool {
    members.get(name).is_some_and(|value| value.get().starts_with(first))
}

fn probe(value: &RawValue) -> Option<Probe> {
    serde_json::from_str(value.get()).ok()
}

/// `"app.js": "app-1a2b3c4d.js"`: what tells a map of files from a web application's manifest, or from anything else.
fn is_file_for_file(key: &str, value: &RawValue) -> bool {
    let Ok(Name::Plain(name) | Name::Src { src: name }) = serde_json::from_str(value.get()) else { return false };
    let name = name.split('?').next().unwrap_or_default();
    extension(key).is_some_and(|expected| extension(name).is_some_and(|found| found.eq_ignore_ascii_case(expected)))
}

fn extension(path: &str) -> Option<&str> {
    file_name(path).rsplit_once('.').map(|(_, extension)| extension).filter(|extension| !extension.is_empty())
}

// === What ===

/// Adds all files that a manifest of this shape lists.
pub(super) fn all(shape: Shape, members: &Members<'_>, outputs: &mut Outputs) -> Result<(), ManifestError> {
    match shape {
        Shape::Django => map(shape, &member::<Members<'_>>(shape, members, "paths")?, outputs),
        Shape::Esbuild => esbuild(&member(shape, members, "outputs")?, outputs),
        Shape::Map if is_create_react_app(members) => {
            map(shape, &member::<Members<'_>>(shape, members, "files")?, outputs)
        }
        Shape::Map => flat(members, outputs),
        Shape::Phoenix => {
            map(shape, &member::<Members<'_>>(shape, members, "latest")?, outputs)?;
            phoenix_digests(&member(shape, members, "digests")?, outputs)
        }
        Shape::Propshaft => map(shape, members, outputs),
        Shape::Vite => vite(members, outputs),
        Shape::WebpackStats => stats(members, outputs),
    }
}

/// Names by names, in one of the ways in which they are written.
fn map<'a>(
    shape: Shape,
    members: impl IntoIterator<Item = (&'a String, &'a &'a RawValue)>,
    outputs: &mut Outputs,
) -> Result<(), ManifestError> {
    for (key, value) in members {
        let (Name::Plain(path) | Name::Digested { digested_path: path } | Name::Src { src: path }) =
            typed(shape, key, value)?;
        outputs.add_made_from(&path, key)?;
    }
    Ok(())
}

/// Beside its files, such a map may have members of other kinds: `entrypoints`, a version, a time. They have no extension.
fn flat(members: &Members<'_>, outputs: &mut Outputs) -> Result<(), ManifestError> {
    map(Shape::Map, members.iter().filter(|(key, _)| extension(key).is_some()), outputs)
}

fn vite(members: &Members<'_>, outputs: &mut Outputs) -> Result<(), ManifestError> {
    for (key, value) in members {
        let entry: ViteEntry = typed(Shape::Vite, key, value)?;
        // A script is named by `name` where the configuration says so, and by its module elsewhere.
        let source = closest(&entry.file, [entry.name.as_deref(), entry.src.as_deref()]);
        outputs.add_judged(&entry.file, source, None)?;
        for path in entry.css.iter().chain(&entry.assets) {
            outputs.add(path)?;
        }
    }
    Ok(())
}

fn esbuild(members: &Members<'_>, outputs: &mut Outputs) -> Result<(), ManifestError> {
    for (path, value) in members {
        let output: EsbuildOutput = typed(Shape::Esbuild, path, value)?;
        outputs.add(path)?;
        let Some(source) = output.source(path) else { continue };
        // The style of an entry is named as the entry is, and a map as what it maps.
        for path in [Some(path), output.css_bundle.as_ref()].into_iter().flatten() {
            outputs.add_made_from(path, source)?;
            let map = format!("{path}.map");
            if members.contains_key(&map) {
                outputs.add_made_from(&map, source)?;
            }
        }
    }
    Ok(())
}

/// Digested files of earlier builds stay, and are listed here.
fn phoenix_digests(members: &Members<'_>, outputs: &mut Outputs) -> Result<(), ManifestError> {
    for (path, value) in members {
        let digest: PhoenixDigest = typed(Shape::Phoenix, path, value)?;
        outputs.add_judged(path, digest.logical_path.as_deref(), None)?;
    }
    Ok(())
}

fn stats(members: &Members<'_>, outputs: &mut Outputs) -> Result<(), ManifestError> {
    let shape = Shape::WebpackStats;
    let compilations: Vec<Compilation> = match members.get("assets") {
        Some(_) => vec![Compilation { assets: member(shape, members, "assets")? }],
        None => member(shape, members, "children")?,
    };
    compilations.iter().flat_map(|one| &one.assets).try_for_each(|asset| stats_asset(asset, outputs))
}

fn stats_asset(asset: &StatsAsset, outputs: &mut Outputs) -> Result<(), ManifestError> {
    let source = asset.info.as_ref().and_then(|info| info.source_filename.as_deref());
    // It is only ever said of what is: where webpack says something of a file and not this, its name may have no hash, or one
    // of something else, as a source map's.
    let immutable = asset.info.as_ref().map(|info| info.immutable == Some(true));
    outputs.add_judged(&asset.name, source, immutable)?;
    asset.related.iter().flatten().try_for_each(|related| stats_asset(related, outputs))
}

/// A member that the shape has.
fn member<'a, T: Deserialize<'a>>(shape: Shape, members: &Members<'a>, key: &str) -> Result<T, ManifestError> {
    let value = members.get(key).ok_or_else(|| ManifestError::unknown(members))?;
    typed(shape, key, value)
}

fn typed<'a, T: Deserialize<'a>>(shape: Shape, key: &str, value: &'a RawValue) -> Result<T, ManifestError> {
    serde_json::from_str(value.get()).map_err(|_| ManifestError::entry(shape, key, value))
}

// === impl EsbuildOutput ===

impl EsbuildOutput {
    /// The entry that it was made for; or its only input, if it is named after it. A chunk is not.
    fn source(&self, path: &str) -> Option<&str> {
        let mut inputs = self.inputs.keys();
        let only = inputs.next().filter(|_| inputs.next().is_none()).map(String::as_str);
        self.entry_point.as_deref().or_else(|| only.filter(|input| shows(path, input) > 0))
    }
}
