//! Shapes and refusals on small texts. What the tools really write is read in `tests/assets`.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A manifest's shape, and its files with what is told of them.
fn parsed(json: &str) -> (Shape, Vec<String>) {
    let manifest = Manifest::parse(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"));
    let line = |output: &Output| {
        let source = output.source().map(|source| format!(" of {source}")).unwrap_or_default();
        let immutable = match output.immutable() {
            Some(true) => ", immutable",
            Some(false) => ", may change",
            None => "",
        };
        format!("{}{source}{immutable}", output.path())
    };
    (manifest.shape(), manifest.outputs().iter().map(line).collect())
}

#[test]
fn a_manifest_is_known_by_its_shape() {
    for (json, shape, outputs) in [
        (
            r#"{ "a.html": { "file": "assets/a-DA15JTLU.js", "name": "a", "src": "a.html", "css": ["assets/a-1.css"], "new": 1 } }"#,
            Shape::Vite,
            &["assets/a-1.css", "assets/a-DA15JTLU.js of a"][..],
        ),
        (
            r#"{ "inputs": {}, "outputs": { "out/app-X.js": { "entryPoint": "src/app.ts", "inputs": {} } } }"#,
            Shape::Esbuild,
            &["out/app-X.js of src/app.ts"],
        ),
        (
            r#"{ "main.js": "/static/main.1a2b.js", "entrypoints": { "main": ["x"] }, "version": "1.2.3" }"#,
            Shape::Map,
            &["static/main.1a2b.js of main.js"],
        ),
        (
            r#"{ "main.js": { "src": "main-1a2b.js", "integrity": "sha256-x" } }"#,
            Shape::Map,
            &["main-1a2b.js of main.js"],
        ),
        (
            r#"{ "files": { "main.js": "/static/js/main.1a2b.js", "index.html": "/index.html" }, "entrypoints": ["x"] }"#,
            Shape::Map,
            &["index.html of index.html", "static/js/main.1a2b.js of main.js"],
        ),
        (
            r#"{ "assets": [{ "name": "a.1a.js", "info": { "immutable": true } }, { "name": "i.html", "info": {} }, { "name": "b" }] }"#,
            Shape::WebpackStats,
            &["a.1a.js, immutable", "b", "i.html, may change"],
        ),
        (
            r#"{ "children": [{ "assets": [{ "name": "a.js" }] }, { "assets": [{ "name": "b.js" }] }] }"#,
            Shape::WebpackStats,
            &["a.js", "b.js"],
        ),
        (
            r#"{ "paths": { "base.css": "base.8f4bf005e49c.css" }, "version": "1.1", "hash": "32a8" }"#,
            Shape::Django,
            &["base.8f4bf005e49c.css of base.css"],
        ),
        (
            r#"{ "a.css": { "digested_path": "a-1a.css", "integrity": null }, "b.css": "b-1a.css" }"#,
            Shape::Propshaft,
            &["a-1a.css of a.css", "b-1a.css of b.css"],
        ),
        (
            r#"{ "latest": { "a.js": "a-2b.js" }, "version": 1, "digests": { "a-1a.js": { "logical_path": "a.js" }, "a-2b.js": {} } }"#,
            Shape::Phoenix,
            &["a-1a.js of a.js", "a-2b.js of a.js"],
        ),
    ] {
        assert_eq!(parsed(json), (shape, outputs.iter().map(ToString::to_string).collect()), "{json}");
    }
}

#[test]
fn what_is_told_twice_is_one_file() {
    let vite = r#"{
        "a.js": { "file": "a-1.js", "src": "a.js", "assets": ["logo-1.svg", "logo-1.svg"] },
        "b.svg": { "file": "logo-1.svg", "src": "b.svg" },
        "logo.svg": { "file": "logo-1.svg", "src": "logo.svg" }
    }"#;
    // Two sources with one content: the file is named after one of them.
    assert_eq!(parsed(vite), (Shape::Vite, vec!["a-1.js of a.js".to_owned(), "logo-1.svg of logo.svg".to_owned()]));
    let stats = r#"{ "assets": [{ "name": "a.js", "info": { "immutable": true } }, { "name": "a.js", "info": {} }] }"#;
    assert_eq!(parsed(stats).1, ["a.js, may change"]);
}

/// esbuild tells nothing of a map, nor of the style that goes with an entry.
#[test]
fn a_map_and_a_style_are_made_from_what_their_entry_was() {
    let json = r#"{ "inputs": {}, "outputs": {
        "report-7f3a9c21.js": { "entryPoint": "report-7f3a9c21.ts", "cssBundle": "report-7f3a9c21.css" },
        "report-7f3a9c21.js.map": {},
        "report-7f3a9c21.css": { "inputs": { "x.css": {}, "y.css": {} } },
        "report-7f3a9c21.css.map": {},
        "chunk-AAAA2222.js": { "inputs": { "shared.js": {} } },
        "logo-20240608.png": { "inputs": { "logo-20240608.png": {} } }
    } }"#;
    assert_eq!(
        parsed(json).1,
        [
            "chunk-AAAA2222.js",
            "logo-20240608.png of logo-20240608.png",
            "report-7f3a9c21.css of report-7f3a9c21.ts",
            "report-7f3a9c21.css.map of report-7f3a9c21.ts",
            "report-7f3a9c21.js of report-7f3a9c21.ts",
            "report-7f3a9c21.js.map of report-7f3a9c21.ts",
        ]
    );
}

#[test]
fn a_path_is_taken_from_below_a_root() {
    for (written, path) in [
        ("a.js", "a.js"),
        ("/static/a.js", "static/a.js"),
        ("./x//./a.js", "x/a.js"),
        ("https://cdn.example:8443/x/a.js", "x/a.js"),
        ("//cdn.example/a.js", "a.js"),
        ("auto/a.js", "auto/a.js"),
        ("caf%C3%A9 #1.js", "caf%C3%A9 #1.js"),
        ("a..b/...js", "a..b/...js"),
    ] {
        assert_eq!(parsed(&json!({ "a.js": written }).to_string()).1, [format!("{path} of a.js")], "{written}");
    }
}

/// Phoenix has esbuild write to `../priv/static/assets`; webpack's plugins write pages beside their directory.
#[test]
fn a_tool_may_write_beside_where_it_ran() {
    let metafile = r#"{ "inputs": {}, "outputs": { "../priv/static/app.js": {} } }"#;
    assert_eq!(parsed(metafile).1, ["priv/static/app.js"]);
    let stats = r#"{ "assets": [{ "name": "../index.html" }] }"#;
    assert_eq!(parsed(stats).1, ["index.html"]);
}

/// The hash is in the query, and the file's name is always the same.
#[test]
fn a_hash_in_a_query_is_none_of_the_names() {
    let stats = r#"{ "assets": [{ "name": "main.js?5f2d9c81aa", "info": { "immutable": true } }] }"#;
    assert_eq!(parsed(stats).1, ["main.js, may change"]);
    assert_eq!(parsed(r#"{ "/js/a.js": "/js/a.js?id=1a" }"#).1, ["js/a.js of /js/a.js, may change"]);
}

#[test]
fn what_is_no_path_is_refused() {
    for (written, why) in [
        ("../a.js", "leads out of it"),
        ("x/../../a.js", "leads out of it"),
        ("x/%2E%2e/a.js", "leads out of it"),
        ("x/.%2e/a.js", "leads out of it"),
        ("https://cdn.example/../a.js", "leads out of it"),
        ("a\0.js", "has a control character"),
        ("x\\a.js", "has a backslash"),
        ("x/a.js/", "names a directory"),
        ("https://a.js", "is empty"),
        ("/./a/.", ""),
    ] {
        let json = json!({ "paths": { "a.js": written }, "version": "1.1" }).to_string();
        let error = Manifest::parse(json.as_bytes());
        match why {
            "" => assert!(error.is_ok(), "{written}"),
            why => assert_eq!(error, Err(ManifestError::path(written, why)), "{written}"),
        }
    }
    let inside = br#"{ "inputs": {}, "outputs": { "out/../app.js": {} } }"#;
    assert_eq!(Manifest::parse(inside), Err(ManifestError::path("out/../app.js", "leads out of it")));
}

#[test]
fn an_error_says_what_is_the_matter_and_where() {
    for (json, expected) in [
        ("", "no JSON: line 1, column 0"),
        ("{\n  \"a.js\": \"b.js\",\n}", "no JSON: line 3, column 1"),
        ("{ \"a.js\": \"\u{fffd}\" } x", "no JSON: line 1, column 19"),
        ("[1, 2]", "no JSON object"),
        ("7", "no JSON object"),
        ("{}", "the manifest lists nothing"),
        (r#"{ "paths": {}, "version": "1.1" }"#, "the manifest lists nothing"),
        (r#"{ "name": "App", "icons": [{ "src": "a.png" }] }"#, "no known manifest has these members: `icons`, `name`"),
        (
            r#"{ "a.js": { "file": "a-1.js" }, "b.js": { "src": "b.js" } }"#,
            r#"no entry of a manifest of Vite: "b.js" is { "src": "b.js" }"#,
        ),
        (r#"{ "a.js": "a-1.js", "b.js": 7 }"#, r#"no entry of a manifest of names: "b.js" is 7"#),
        (r#"{ "assets": [{ "name": 7 }] }"#, r#"no entry of a manifest of webpack: "assets" is [{ "name": 7 }]"#),
    ] {
        let error = Manifest::parse(json.as_bytes()).expect_err(json);
        assert_eq!(error.to_string(), expected, "{json}");
    }
    assert_eq!(Manifest::parse(b"{\"a.js\": \"\xff\"}"), Err(ManifestError::Json { line: 1, column: 11 }));
}

#[test]
fn what_is_something_else_is_told_from_what_is_broken() {
    for (json, is_unknown) in [
        (r#"{ "name": "App", "start_url": "/", "display": "standalone" }"#, true),
        (r#"{ "name": "app", "version": "1.0.0", "main": "index.js", "exports": { ".": "./index.js" } }"#, true),
        (r#"{ "manifest_version": 3, "icons": { "16": "a.png" }, "background": { "service_worker": "sw.js" } }"#, true),
        (r#"{ "openapi": "3.1.0", "paths": { "/a": {} } }"#, true),
        (r#"{ "compilerOptions": { "paths": {} }, "files": ["a.ts"] }"#, true),
        (r#"{ "version": 3, "file": "a.js", "sources": ["a.ts"], "mappings": "" }"#, true),
        (r#"{ "assets": [] }"#, true),
        (r#"{ "files": { "count": 1 } }"#, true),
        ("[]", true),
        ("{}", false),
        ("{", false),
        (r#"{ "inputs": {}, "outputs": {} }"#, false),
        (r#"{ "a.js": { "file": 7 } }"#, false),
    ] {
        let error = Manifest::parse(json.as_bytes()).expect_err(json);
        assert_eq!(error.is_unknown_shape(), is_unknown, "{json}: {error}");
    }
}

#[test]
fn what_is_too_much_is_refused() {
    let long = vec![b' '; MOST_BYTES + 1];
    assert_eq!(Manifest::parse(&long), Err(ManifestError::TooLong { bytes: MOST_BYTES + 1 }));
    let list = |count: usize| {
        let names: Vec<_> = (0..count).map(|at| format!(r#"{{"name":"{at}"}}"#)).collect();
        format!(r#"{{"assets":[{}]}}"#, names.join(","))
    };
    assert_eq!(Manifest::parse(list(outputs::MOST_OUTPUTS + 1).as_bytes()), Err(ManifestError::TooMany));
}

#[test]
fn what_is_nested_deeply_is_skipped_or_refused() {
    let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(100_000), "]".repeat(100_000));
    let skipped = format!(r#"{{ "a.js": {{ "file": "a.js", "extra": {} }} }}"#, deep(""));
    assert!(Manifest::parse(skipped.as_bytes()).is_ok());
    let related = format!("{}{}", r#"{"name":"a","related":["#.repeat(50_000), "]}".repeat(50_000));
    let error = Manifest::parse(format!(r#"{{"assets":[{related}]}}"#).as_bytes());
    assert!(matches!(error, Err(ManifestError::Entry { shape: Shape::WebpackStats, .. })), "{error:?}");
    assert!(error.is_err_and(|error| error.to_string().len() < 300));
}

#[test]
fn a_byte_order_mark_is_no_matter() {
    assert_eq!(parsed("\u{feff}{ \"a.js\": \"b.js\" }").1, ["b.js of a.js"]);
}

fn says_something(json: &[u8]) -> bool {
    Manifest::parse(json).map_or_else(|error| !error.to_string().is_empty(), |manifest| !manifest.outputs().is_empty())
}

/// Anything, built of the words that the shapes look at.
fn anything() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        prop::sample::select(vec![
            "inputs",
            "outputs",
            "latest",
            "digests",
            "paths",
            "version",
            "files",
            "entrypoints",
            "assets",
            "children",
            "digested_path",
            "file",
            "src",
            "name",
            "css",
            "info",
            "immutable",
            "related",
            "entryPoint",
            "cssBundle",
            "a.js",
            "a.js.map",
            "/a.js",
            "../a.js",
            "https://h/a.js",
            "//",
            "",
            ".",
            "..",
            "%2e.",
        ])
        .prop_map(str::to_owned),
        ".{0,12}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from)
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(word.clone(), inner, 0..6).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn anything_is_an_error_or_files_below_a_root(value in anything()) {
        if let Ok(manifest) = Manifest::parse(value.to_string().as_bytes()) {
            prop_assert!(!manifest.outputs().is_empty());
            for output in manifest.outputs() {
                prop_assert!(output.path().split('/').all(|segment| !matches!(segment, "" | "." | "..")), "{output:?}");
            }
            prop_assert!(manifest.outputs().is_sorted_by(|one, next| one.path() < next.path()));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), at in 0_usize..64) {
        prop_assert!(says_something(&bytes));
        let mut json = br#"{"inputs":{},"outputs":{"a.js":{"entryPoint":"a.ts","inputs":{"a.ts":{}}}}}"#.to_vec();
        json.splice(at.., bytes);
        prop_assert!(says_something(&json));
    }
}
