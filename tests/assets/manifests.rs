//! The manifests of real builds say what lies in their directories.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use buttress::assets::{Manifest, Output, Shape};

/// Names that look hashed or must stay fresh, and that Vite copies as they are.
const COPIED: [&str; 11] = [
    "apple-touch-icon.png",
    "favicon.svg",
    "icon-v2.svg",
    "jquery-3.7.1.min.js",
    "logo-20240608.png",
    "manifest.webmanifest",
    "mstile-150x150.png",
    "readme-how-to-build.js",
    "robots.txt",
    "sw.js",
    "x.woff2",
];

/// Each manifest, what it is, the directory that its files lie in, and what stands before their paths in it.
const ALL: [(&str, Shape, &str, &str); 9] = [
    ("vite/dist/.vite/manifest.json", Shape::Vite, "vite/dist", ""),
    ("vite/plain/.vite/manifest.json", Shape::Vite, "vite/plain", ""),
    ("esbuild/dist/meta.json", Shape::Esbuild, "esbuild/dist", "dist/"),
    ("esbuild/plain/meta.json", Shape::Esbuild, "esbuild/plain", "plain/"),
    ("webpack/dist/manifest.json", Shape::Map, "webpack/dist", "static/"),
    ("webpack/dist/stats.json", Shape::WebpackStats, "webpack/dist", ""),
    ("django/staticfiles/staticfiles.json", Shape::Django, "django/staticfiles", ""),
    ("phoenix/static/cache_manifest.json", Shape::Phoenix, "phoenix/static", ""),
    ("propshaft/assets/.manifest.json", Shape::Propshaft, "propshaft/assets", ""),
];

#[test]
fn each_manifest_is_known_and_lists_files_that_are_there() {
    for (name, shape, dir, before) in ALL {
        let manifest = manifest(name);
        assert_eq!(manifest.shape(), shape, "{name}");
        for output in manifest.outputs() {
            let path = output.path().strip_prefix(before).unwrap_or_else(|| panic!("{name}: {output:?}"));
            assert!(builds().join(dir).join(path).is_file(), "{name}: {output:?}");
        }
    }
}

/// What a manifest leaves out is not vouched for by it: here it is, for each tool.
#[test]
fn no_manifest_lists_what_was_not_made() {
    for (name, left_out) in [
        ("vite/dist/.vite/manifest.json", "files of public, maps, and the page"),
        ("esbuild/dist/meta.json", ""),
        ("webpack/dist/manifest.json", "itself"),
        ("django/staticfiles/staticfiles.json", "the sources beside the copies"),
        ("phoenix/static/cache_manifest.json", "the sources beside the copies"),
        ("propshaft/assets/.manifest.json", ""),
    ] {
        let (_, _, dir, before) = ALL.into_iter().find(|(known, ..)| *known == name).expect("one of them");
        let is_left_out = |path: &str| match left_out {
            "" => false,
            "itself" => path == "stats.json",
            "the sources beside the copies" => !path.split(['-', '.']).any(is_digest),
            _ => COPIED.contains(&path) || path.ends_with(".map") || path == "index.html",
        };
        let listed: BTreeSet<_> =
            manifest(name).outputs().iter().map(|output| output.path().replacen(before, "", 1)).collect();
        let mut there = files(&builds().join(dir));
        there.retain(|path| !name.ends_with(path.as_str()));
        let expected: BTreeSet<_> = there.iter().filter(|path| !is_left_out(path)).cloned().collect();
        assert_eq!(listed, expected, "{name} lists all but {left_out}");
        let nothing = left_out.is_empty();
        assert_eq!(there.len() == expected.len(), nothing, "{name}: nothing was left out");
    }
}

#[test]
fn every_copy_in_a_build_of_vite_is_there_and_is_not_listed() {
    for build in ["vite/dist", "vite/plain"] {
        let there = files(&builds().join(build));
        let manifest = manifest(&format!("{build}/.vite/manifest.json"));
        for copied in COPIED {
            assert!(there.contains(copied), "{build} lacks {copied}");
            assert!(manifest.outputs().iter().all(|output| output.path() != copied), "{build} lists {copied}");
        }
    }
}

#[test]
fn plain_names_are_listed_with_what_they_were_made_from() {
    for (name, path, source) in [
        ("vite/plain/.vite/manifest.json", "assets/logo.svg", Some("src/logo.svg")),
        ("vite/plain/.vite/manifest.json", "assets/index.css", None),
        ("vite/plain/.vite/manifest.json", "assets/index-DayniCwy.js", Some("index")),
        ("esbuild/plain/meta.json", "plain/app.js", Some("app.js")),
        ("esbuild/plain/meta.json", "plain/app.js.map", Some("app.js")),
        ("esbuild/plain/meta.json", "plain/app.css", Some("app.css")),
        ("esbuild/plain/meta.json", "plain/chunk-VSASZ2CA.js", None),
        ("esbuild/plain/meta.json", "plain/logo-YGCQ2ATG.svg", Some("logo.svg")),
        ("propshaft/assets/.manifest.json", "chart-2f3e4d5c.digested.js", Some("chart-2f3e4d5c.digested.js")),
    ] {
        assert_eq!(output(&manifest(name), path).source(), source, "{name}: {path}");
    }
}

#[test]
fn names_with_a_hash_are_listed_with_what_it_was_added_to() {
    for (name, path, source) in [
        ("vite/dist/.vite/manifest.json", "assets/BarChart-Balc-3AR.js", Some("BarChart")),
        ("vite/dist/.vite/manifest.json", "assets/BarChart-DKewdKvD.css", None),
        ("vite/dist/.vite/manifest.json", "assets/logo-DeGg3uKC.svg", Some("src/logo.svg")),
        ("vite/dist/.vite/manifest.json", "assets/worker-D6yRw1j_.js", None),
        ("esbuild/dist/meta.json", "dist/admin/admin-WE35NZ34.js", Some("admin/admin.js")),
        ("webpack/dist/manifest.json", "static/main.33401f2958c0c0bf24ac.css", Some("main.css")),
        ("webpack/dist/stats.json", "media/logo.2cefb20ea8e9cfca84dd.svg", Some("logo.svg")),
        ("django/staticfiles/staticfiles.json", "site.js.9eee23d82f5c.map", Some("site.js.map")),
        ("phoenix/static/cache_manifest.json", "assets/app-1b4d809403d7c075181b82f82296a14c.js", Some("assets/app.js")),
        ("propshaft/assets/.manifest.json", "controllers/application-1fdcc793.js", Some("controllers/application.js")),
    ] {
        assert_eq!(output(&manifest(name), path).source(), source, "{name}: {path}");
    }
}

/// webpack's stats are the only ones that tell. They do not say it of maps, which change under their names.
#[test]
fn webpack_says_what_never_changes() {
    let stats = manifest("webpack/dist/stats.json");
    assert_eq!(stats.outputs().len(), 8);
    for output in stats.outputs() {
        let may_change = output.path().ends_with(".map") || output.path() == "manifest.json";
        assert_eq!(output.immutable(), Some(!may_change), "{output:?}");
    }
    for (name, shape, ..) in ALL {
        let tells = manifest(name).outputs().iter().any(|output| output.immutable().is_some());
        assert_eq!(tells, shape == Shape::WebpackStats, "{name}");
    }
}

#[test]
fn propshaft_says_the_same_in_both_of_its_shapes() {
    let flat = manifest("propshaft/flat.manifest.json");
    assert_eq!(flat.shape(), Shape::Map);
    assert_eq!(flat.outputs(), manifest("propshaft/assets/.manifest.json").outputs());
}

#[test]
fn a_web_applications_manifest_is_none_of_a_build() {
    let json = fs::read(builds().join("vite/dist/manifest.webmanifest")).expect("a fixture");
    assert!(Manifest::parse(&json).is_err_and(|error| error.is_unknown_shape()));
}

fn manifest(name: &str) -> Manifest {
    let json = fs::read(builds().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    Manifest::parse(&json).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn output<'a>(manifest: &'a Manifest, path: &str) -> &'a Output {
    let found = manifest.outputs().iter().find(|output| output.path() == path);
    found.unwrap_or_else(|| panic!("no {path} in {manifest:?}"))
}

/// Twelve digits of MD5 or all of them.
fn is_digest(part: &str) -> bool {
    matches!(part.len(), 12 | 32) && part.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The paths of all files below a directory.
fn files(dir: &Path) -> BTreeSet<String> {
    fn walk(dir: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                let below = path.strip_prefix(root).expect("it was found there");
                found.insert(below.to_str().expect("names of the fixtures are UTF-8").to_owned());
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(dir, dir, &mut found);
    found
}

fn builds() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/builds")
}
