//! What real tools wrote (`builds`), served: hashed files never change, everything else may.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use buttress::assets::{AssetsLayer, Build, Manifest, Shape};
use tower::Layer as _;
use tower_http::services::ServeDir;

use crate::bed::Site;

/// What lies in Vite's `public`: names that look hashed and are not, and what must stay fresh.
const LOOK_ALIKES: [&str; 11] = [
    "/apple-touch-icon.png",
    "/mstile-150x150.png",
    "/logo-20240608.png",
    "/readme-how-to-build.js",
    "/jquery-3.7.1.min.js",
    "/icon-v2.svg",
    "/sw.js",
    "/manifest.webmanifest",
    "/x.woff2",
    "/index.html",
    "/",
];

fn home(tool: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/builds").join(tool)
}

fn site(tool: &str, build: Build) -> Site {
    Site::over(AssetsLayer::new().build(build).layer(ServeDir::new(home(tool))))
}

/// Each file that is served, and whether it is immutable.
async fn verdicts(tool: &str, site: &Site) -> BTreeMap<String, bool> {
    let mut all = BTreeMap::new();
    for path in files(&home(tool)) {
        let url = format!("/{}", path.strip_prefix(home(tool)).expect("it lies there").display());
        let reply = site.get(&url, "").await;
        assert_eq!(reply.status, 200, "{url}");
        assert!(!reply.cache_control().is_empty(), "{url}");
        all.insert(url, reply.is_immutable());
    }
    all
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The files of a build that are immutable are those that a predicate picks, each of them and no other.
async fn check(tool: &str, at_least: usize, is_hashed: impl Fn(&str) -> bool) {
    let site = site(tool, Build::open(home(tool)).expect("a build"));
    let verdicts = verdicts(tool, &site).await;
    for (url, is_immutable) in &verdicts {
        assert_eq!(*is_immutable, is_hashed(url), "{tool}: {url}");
    }
    let count = verdicts.values().filter(|is_immutable| **is_immutable).count();
    assert!(count >= at_least, "{tool}: {count} of {verdicts:?}");
}

#[tokio::test]
async fn vite() {
    // A comment in a source changes the map and not its name.
    check("vite/dist", 6, |url| url.starts_with("/assets/") && !url.ends_with(".map")).await;
    for trusted in [false, true] {
        let build = Build::options().dir(home("vite/dist"));
        let build = if trusted { build.trust("/") } else { build };
        let site = site("vite/dist", build.load().expect("a build"));
        for url in LOOK_ALIKES {
            let reply = site.get(url, "").await;
            assert!(reply.status == 200 && !reply.is_immutable(), "{url}");
        }
        assert_eq!(site.get("/", "").await.cache_control(), "no-cache");
    }
}

#[tokio::test]
async fn vite_with_plain_names_for_what_is_no_script() {
    check("vite/plain", 3, |url| url.starts_with("/assets/") && url.ends_with(".js")).await;
}

#[tokio::test]
async fn esbuild() {
    check("esbuild/dist", 11, |url| url != "/meta.json").await;
}

#[tokio::test]
async fn esbuild_with_plain_names_for_entries() {
    let is_hashed = |url: &str| ["/chunk-", "/lazy-", "/logo-"].iter().any(|begin| url.starts_with(begin));
    check("esbuild/plain", 5, is_hashed).await;
}

#[tokio::test]
async fn webpack() {
    let is_plain = |url: &str| url.ends_with(".map") || url.ends_with(".json");
    check("webpack/dist", 4, |url| !is_plain(url)).await;
}

#[tokio::test]
async fn django() {
    let is_hashed =
        |url: &str| url.split('.').any(|part| part.len() == 12 && part.contains(|c: char| c.is_ascii_digit()));
    check("django/staticfiles", 6, is_hashed).await;
    let under_url = Build::options().dir(home("django/staticfiles")).at("/static/").load().expect("a build");
    assert!(under_url.vouches_for("/static/base.8f4bf005e49c.css").is_some());
    assert!(under_url.vouches_for("/base.8f4bf005e49c.css").is_none());
}

/// The hash of the style is of what it was before the picture's hashed name was written into it.
#[tokio::test]
async fn phoenix() {
    check("phoenix/static", 4, |url| url.contains('-') && !url.ends_with(".css")).await;
}

#[tokio::test]
async fn propshaft() {
    check("propshaft/assets", 3, |url| url.contains('-') && !url.contains("digested")).await;
}

/// What is hashed by the plain digest of its content needs no manifest, and what is not needs one.
#[test]
fn without_a_manifest_only_the_content_tells() {
    for (tool, by_content, by_path) in [
        ("django/staticfiles", 6, 6),
        ("phoenix/static", 4, 5),
        ("vite/dist", 0, 6),
        ("esbuild/dist", 0, 6),
        ("webpack/dist", 0, 4),
    ] {
        let copy = tempfile::tempdir().expect("a directory");
        for file in files(&home(tool)).iter().filter(|file| file.extension().is_none_or(|found| found != "json")) {
            let to = copy.path().join(file.strip_prefix(home(tool)).expect("it lies there"));
            std::fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
            std::fs::copy(file, &to).expect("a copy");
        }
        assert_eq!(Build::open(copy.path()).expect("a build").count().1, by_content, "{tool}");
        // The operator's word is as good for all whose names leave no doubt.
        let trusted = Build::options().dir(copy.path()).trust("/").load().expect("a build");
        assert_eq!(trusted.count().1, by_path, "{tool}");
    }
}

/// Behind a proxy there is no directory: the manifest alone tells.
#[test]
fn a_manifest_without_files() {
    let script = |tool: &str, manifest: &str| {
        let json = std::fs::read(home(tool).join(manifest)).expect("it is checked in");
        let manifest = Manifest::parse(&json).expect("a manifest");
        let path = manifest.outputs().iter().map(|output| output.path()).find(|path| path.ends_with(".js"));
        format!("/{}", path.expect("it has a script"))
    };
    for (tool, manifest, at) in [("vite/dist", ".vite/manifest.json", "/"), ("esbuild/dist", "meta.json", "/dist/")] {
        let build = Build::options().manifest(home(tool).join(manifest)).at(at).load().expect("a build");
        let path = script(tool, manifest);
        assert!(build.vouches_for(&path).is_some(), "{path}");
        assert!(build.vouches_for(&path.replace(".js", "x.js")).is_none());
        assert!(build.vouches_for(&format!("/other{path}")).is_none());
    }
}

#[test]
fn a_manifest_that_cannot_be_read_is_an_error_at_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let manifest = dir.path().join(".vite/manifest.json");
    let error = Build::options().manifest(&manifest).load().unwrap_err();
    assert_eq!(error.path(), manifest);
    std::fs::create_dir(dir.path().join(".vite")).expect("a directory");
    for (json, expected) in [("{", "no JSON"), (r#"{"a": {"file": "../x"}}"#, "is no path below the build")] {
        std::fs::write(&manifest, json).expect("a file");
        for build in [Build::options().manifest(&manifest), Build::options().dir(dir.path())] {
            assert!(build.load().unwrap_err().to_string().contains(expected), "{json}");
        }
    }
    // A web application's manifest has a name that build tools use too.
    std::fs::write(&manifest, "{}").expect("a file");
    std::fs::write(dir.path().join("manifest.json"), r#"{"name": "Shop", "icons": []}"#).expect("a file");
    assert!(Build::open(dir.path()).unwrap_err().to_string().ends_with("the manifest lists nothing"));
    std::fs::remove_file(&manifest).expect("it is there");
    Build::open(dir.path()).expect("it is passed over");
    assert!(Build::options().manifest(dir.path().join("manifest.json")).load().is_err(), "but not where it is named");
}

#[tokio::test]
async fn a_build_is_read_again_and_stays_where_it_cannot_be() {
    let dir = tempfile::tempdir().expect("a directory");
    let manifest = dir.path().join("asset-manifest.json");
    let write = |json: &str| std::fs::write(&manifest, json).expect("a file");
    std::fs::write(dir.path().join("app-DA15JTLU.js"), "1").expect("a file");
    write(r#"{"files": {"app.js": "/app-DA15JTLU.js"}}"#);
    let build = Build::open(dir.path()).expect("a build");
    let vouched = |path: &str| build.vouches_for(path).is_some();
    assert!(vouched("/app-DA15JTLU.js") && !vouched("/app-B4XfSUHF.js"));

    std::fs::write(dir.path().join("app-B4XfSUHF.js"), "2").expect("a file");
    write("half a manif");
    build.reload().unwrap_err();
    assert!(vouched("/app-DA15JTLU.js") && !vouched("/app-B4XfSUHF.js"));
    write(r#"{"files": {"app.js": "/app-B4XfSUHF.js"}}"#);
    build.reload().expect("it is whole again");
    assert!(!vouched("/app-DA15JTLU.js") && vouched("/app-B4XfSUHF.js"));
}

#[test]
fn the_shapes_of_what_the_tools_wrote() {
    for (manifest, shape) in [
        ("vite/dist/.vite/manifest.json", Shape::Vite),
        ("esbuild/dist/meta.json", Shape::Esbuild),
        ("webpack/dist/manifest.json", Shape::Map),
        ("webpack/dist/stats.json", Shape::WebpackStats),
        ("django/staticfiles/staticfiles.json", Shape::Django),
        ("phoenix/static/cache_manifest.json", Shape::Phoenix),
        ("propshaft/assets/.manifest.json", Shape::Propshaft),
        ("propshaft/flat.manifest.json", Shape::Map),
    ] {
        let json = std::fs::read(home(manifest)).expect("it is checked in");
        assert_eq!(Manifest::parse(&json).expect("a manifest").shape(), shape, "{manifest}");
    }
}

/// What a manifest lists may have kept the name of its source, however hashed that looks.
#[test]
fn names_that_were_so_before_the_build() {
    for (manifest, json, files) in [
        (
            "meta.json",
            r#"{"inputs": {}, "outputs": {"out/report-7f3a9c21.js": {"entryPoint": "src/report-7f3a9c21.ts"},
                "out/report-7f3a9c21.js.map": {}, "out/logo-7f3a9c21.png": {"inputs": {"img/logo-7f3a9c21.png": {}}}}}"#,
            &["report-7f3a9c21.js", "report-7f3a9c21.js.map", "logo-7f3a9c21.png"][..],
        ),
        (
            ".vite/manifest.json",
            r#"{"a.svg": {"file": "logo-7f3a9c21.svg", "src": "a.svg"},
                "logo-7f3a9c21.svg": {"file": "logo-7f3a9c21.svg", "src": "logo-7f3a9c21.svg"}}"#,
            &["logo-7f3a9c21.svg"],
        ),
        (
            "stats.json",
            r#"{"assets": [{"name": "main.js?5f2d9c81aa", "info": {"immutable": true}}, {"name": "a.5f2d9c81.png"},
                {"name": "logo-7f3a9c21.png", "info": {"sourceFilename": "logo-7f3a9c21.png", "copied": true}}]}"#,
            &["main.js", "logo-7f3a9c21.png"],
        ),
        (
            "manifest.json",
            r#"{"main.js": "/main.5f2d9c81.js", "logo-7f3a9c21.png": "/logo-7f3a9c21.png", "a.js": "/a.js?id=7f3a9c21"}"#,
            &["logo-7f3a9c21.png", "a.js"],
        ),
        (
            "rev-manifest.json", // what gulp-rev names by a hash of it, and rewrites afterwards
            r#"{"site.css": "site-d41d8cd98f.css", "site.js": "site-0cc175b9c1.js"}"#,
            &["site-d41d8cd98f.css", "site-0cc175b9c1.js"],
        ),
    ] {
        let options = Build::options().file(manifest, json.as_bytes());
        let options = files.iter().fold(options, |options, file| options.file(file, b"what is in it".as_slice()));
        let build = options.load().unwrap_or_else(|error| panic!("{manifest}: {error}"));
        for file in files {
            assert_eq!(build.vouches_for(&format!("/{file}")), None, "{manifest}: {file}");
        }
    }
}
