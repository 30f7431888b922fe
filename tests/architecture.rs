//! Who may know whom, and what a layer crate looks like inside: the rules that keep the tree readable, as tables.
//!
//! A rule that fails names the crate or file and the table row to change, so that breaking it is a decision.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which of our crates each of our crates may depend on. A crate without a row may not exist.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("buttress-core", &[]),
    ("buttress-rfc9111", &[]),
    ("buttress-redis", &["buttress-core"]),
    ("buttress-cache", &["buttress-core", "buttress-redis", "buttress-rfc9111"]),
    ("buttress-assets", &["buttress-core", "buttress-redis", "buttress-rfc9111"]),
    ("buttress-jwt", &["buttress-core", "buttress-redis"]),
    ("buttress-session", &["buttress-core", "buttress-redis"]),
    ("buttress-events", &["buttress-core", "buttress-redis"]),
    ("buttress-jobs", &["buttress-core", "buttress-redis"]),
];

/// The facade knows them all and is known to none.
const FACADE: &str = "buttress";

/// Everything the rules of HTTP caching may be built from: nothing that reads a clock, does I/O or knows a runtime.
const RFC9111_MAY_USE: &[&str] = &["http", "httpdate", "memchr", "sfv"];

/// What must not be found anywhere below a crate, however deep.
const NEVER_BELOW: &[(&str, &[&str])] = &[
    ("buttress-core", &["tokio", "fred", "hyper", "mio", "socket2"]),
    ("buttress-rfc9111", &["tokio", "fred", "hyper", "mio", "socket2", "buttress-core"]),
];

/// What a crate must not name itself, and why; `*` stands for every crate but the one that is named after it.
const NEVER_NAMED: &[(&str, &str, &str)] = &[
    ("*buttress-redis", "fred", "the wire is the only crate that names its client"),
    ("buttress-redis", "http", "the wire moves bytes"),
    ("buttress-redis", "hyper", "the wire moves bytes"),
];

/// The files of a layer crate in reading order: `lib.rs` declares those that exist in this order.
const SKELETON: &[&str] = &["layer", "service", "policy", "key", "store", "memory", "redis", "body", "future"];
/// Those that every layer has.
const EVERY_LAYER_HAS: &[&str] = &["layer", "service", "policy"];
/// Crates that are no layers.
const NO_LAYERS: &[&str] = &["buttress", "buttress-core", "buttress-redis", "buttress-rfc9111"];

/// A file should end before 300 lines; one longer than this is two files.
const MOST_LINES: usize = 420;

// === Who may know whom ===

#[test]
fn crates_know_only_those_above_them() {
    let members = members();
    let wrong: Vec<_> = members.iter().flat_map(|(name, uses)| unknown_friends(name, uses)).collect();
    assert!(wrong.is_empty(), "see MAY_KNOW:\n{}", wrong.join("\n"));
}

#[test]
fn no_crate_names_what_it_must_not() {
    let members = members();
    let wrong: Vec<_> = members.iter().flat_map(|(name, uses)| forbidden_names(name, uses)).collect();
    assert!(wrong.is_empty(), "see NEVER_NAMED and RFC9111_MAY_USE:\n{}", wrong.join("\n"));
}

#[test]
fn the_quiet_crates_have_no_runtime_below_them() {
    for (name, never) in NEVER_BELOW {
        let below = cargo(&["tree", "-e", "normal", "--prefix", "none", "--format", "{lib}", "-p", name]);
        let found: Vec<_> =
            never.iter().filter(|one| below.lines().any(|line| line == one.replace('-', "_"))).collect();
        assert!(below.lines().count() > 1 && found.is_empty(), "{name} stands on {found:?}");
    }
}

#[test]
fn the_rules_can_be_broken() {
    let uses = |name: &str, optional| BTreeMap::from([(name.to_owned(), optional)]);
    assert_eq!(unknown_friends("buttress-core", &uses("buttress-redis", false)).len(), 1);
    assert_eq!(unknown_friends("buttress-jwt", &uses("buttress-cache", true)).len(), 1);
    assert_eq!(unknown_friends("buttress-new", &uses("http", false)).len(), 1);
    assert_eq!(forbidden_names("buttress-cache", &uses("fred", true)).len(), 1);
    assert_eq!(forbidden_names("buttress-redis", &uses("http", false)).len(), 1);
    assert_eq!(forbidden_names("buttress-rfc9111", &uses("chrono", false)).len(), 1);
    assert_eq!(forbidden_names("buttress-cache", &uses("axum", false)).len(), 1);
    assert_eq!(forbidden_names("buttress-cache", &uses("axum", true)).len(), 0);
}

/// The crates of ours that `name` uses and may not.
fn unknown_friends(name: &str, uses: &BTreeMap<String, bool>) -> Vec<String> {
    if name == FACADE {
        return Vec::new();
    }
    let Some((_, may)) = MAY_KNOW.iter().find(|(row, _)| *row == name) else {
        return vec![format!("{name} has no row")];
    };
    let ours = uses.keys().filter(|used| used.starts_with("buttress"));
    ours.filter(|used| !may.contains(&used.as_str())).map(|used| format!("{name} knows {used}")).collect()
}

/// The crates that `name` uses and nobody like it may; the value says whether the dependency is optional.
fn forbidden_names(name: &str, uses: &BTreeMap<String, bool>) -> Vec<String> {
    let rows = NEVER_NAMED.iter().filter(|(who, _, _)| match who.strip_prefix('*') {
        Some(exception) => name != exception,
        None => name == *who,
    });
    let mut wrong: Vec<_> = rows
        .filter(|(_, never, _)| uses.contains_key(*never))
        .map(|(_, never, why)| format!("{name} names {never}: {why}"))
        .collect();
    if uses.get("axum") == Some(&false) {
        wrong.push(format!("{name} needs axum: only an optional extractor feature may"));
    }
    if name == "buttress-rfc9111" {
        let strangers = uses.keys().filter(|used| !RFC9111_MAY_USE.contains(&used.as_str()));
        wrong.extend(strangers.map(|used| format!("{name} uses {used}")));
    }
    wrong
}

/// Each crate under `crates/` with its declared normal dependencies and whether each is optional.
fn members() -> BTreeMap<String, BTreeMap<String, bool>> {
    let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo prints JSON");
    let of_crates = |package: &&Value| package["manifest_path"].as_str().is_some_and(|path| path.contains("/crates/"));
    let members: BTreeMap<_, _> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .filter(of_crates)
        .map(|package| (text(&package["name"]), normal_dependencies(package)))
        .collect();
    assert!(members.contains_key(FACADE), "cargo metadata names the crates: {:?}", members.keys());
    members
}

fn normal_dependencies(package: &Value) -> BTreeMap<String, bool> {
    let all = package["dependencies"].as_array().expect("dependencies").iter();
    all.filter(|one| one["kind"].is_null())
        .map(|one| (text(&one["name"]), one["optional"].as_bool().expect("a flag")))
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn cargo(args: &[&str]) -> String {
    let run = Command::new(env!("CARGO")).args(args).current_dir(root()).output().expect("cargo runs");
    assert!(run.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).expect("cargo prints UTF-8")
}

// === Inside a crate ===

#[test]
fn every_layer_crate_has_the_same_skeleton() {
    let wrong: Vec<_> = layers().iter().flat_map(|layer| skeleton_faults(layer)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_facade_and_the_roots_of_layers_hold_no_code() {
    let facade = root().join("crates").join(FACADE);
    for home in layers().iter().chain([&facade]) {
        let lib = read(&home.join("src/lib.rs"));
        let code = lib.lines().find(|line| {
            ["fn ", "pub fn ", "impl", "struct ", "pub struct "].iter().any(|word| line.starts_with(word))
        });
        assert_eq!(code, None, "{} declares and re-exports only", home.display());
    }
}

#[test]
fn no_file_is_too_long() {
    let files = files(&root().join("crates"), "rs").into_iter().chain(files(&root().join("tests"), "rs"));
    let long: Vec<_> = files
        .map(|file| (read(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > MOST_LINES)
        .map(|(lines, file)| format!("{lines} lines: {}", file.display()))
        .collect();
    assert!(long.is_empty(), "more than {MOST_LINES} lines:\n{}", long.join("\n"));
}

#[test]
fn every_script_opens_with_what_it_takes_and_returns() {
    for script in files(&root().join("crates"), "lua") {
        let lua = read(&script);
        let head: String = lua.lines().take_while(|line| line.starts_with("--")).collect();
        for word in ["KEYS", "ARGV", "Returns"] {
            assert!(head.contains(word), "the opening comment of {} does not mention {word}", script.display());
        }
    }
}

/// Crates that answer requests and have been begun; one with an empty root is a place holder.
fn layers() -> Vec<PathBuf> {
    let names = MAY_KNOW.iter().map(|(name, _)| *name).filter(|name| !NO_LAYERS.contains(name));
    let homes = names.map(|name| root().join("crates").join(name)).filter(|home| home.exists());
    homes.filter(|home| !modules(home).is_empty()).collect()
}

fn skeleton_faults(home: &Path) -> Vec<String> {
    let declared = modules(home);
    let has = |noun: &str| declared.iter().any(|module| module == noun);
    let mut needed = EVERY_LAYER_HAS.to_vec();
    if has("redis") {
        // Whoever writes to Redis says under which keys.
        needed.push("key");
    }
    let missing = needed.iter().filter(|noun| !has(noun)).map(|noun| format!("{} lacks {noun}.rs", home.display()));
    let mut wrong: Vec<_> = missing.collect();

    let places: Vec<_> = declared.iter().filter_map(|module| SKELETON.iter().position(|noun| noun == module)).collect();
    if !places.is_sorted() {
        wrong.push(format!("{} declares its modules out of reading order: {declared:?}", home.display()));
    }
    wrong
}

/// The modules that a crate's root declares, in order; those for tests and fuzzing aside.
fn modules(home: &Path) -> Vec<String> {
    let lib = read(&home.join("src/lib.rs"));
    let lines: Vec<_> = lib.lines().collect();
    let pairs = lines.iter().enumerate().filter(|(place, _)| *place == 0 || !lines[place - 1].starts_with("#[cfg("));
    let declared = pairs.filter_map(|(_, line)| line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod "));
    declared.filter_map(|rest| rest.strip_suffix(';')).map(str::to_owned).collect()
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a readable directory");
    entries
        .map(|entry| entry.expect("a readable entry").path())
        .flat_map(|path| match path.is_dir() {
            true if path.ends_with("target") => Vec::new(),
            true => files(&path, extension),
            false if path.extension().is_some_and(|found| found == extension) => vec![path],
            false => Vec::new(),
        })
        .collect()
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_owned()
}
