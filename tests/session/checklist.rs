//! The checklists of the guide name tests: each of them is there.

use std::path::{Path, PathBuf};

/// Where tests of a module may be.
fn places(module: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent");
    let homes = ["tests/session", "tests/cache", "crates/buttress-session/src", "crates/buttress-session/src/store"];
    homes.into_iter().map(|home| root.join(home).join(format!("{module}.rs"))).collect()
}

#[test]
fn every_line_names_tests_that_are_there() {
    let guide = include_str!("../../crates/buttress/src/guide/sessions.rs");
    let table =
        guide.split("# The checklists").nth(1).expect("the checklists").split("Not held").next().expect("a table");
    let lines: Vec<_> =
        table.lines().filter(|line| line.starts_with("//! | ") && !line.contains("asked for")).collect();
    assert!(lines.len() > 20, "{lines:?}");
    for line in lines {
        let held = line.rsplit(" | ").next().expect("a column");
        let names: Vec<_> = held.split('`').filter(|name| name.contains("::")).collect();
        assert!(!names.is_empty(), "nothing holds {line}");
        for name in names {
            let (module, test) = name.split_once("::").expect("a module and a test");
            let is_there =
                |place: PathBuf| std::fs::read_to_string(place).is_ok_and(|text| text.contains(&format!("fn {test}(")));
            assert!(places(module).into_iter().any(is_there), "there is no test {name}");
        }
    }
}
