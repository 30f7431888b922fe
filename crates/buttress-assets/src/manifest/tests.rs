use super::*;

/// The outputs as `path<-source`, with `!` or `?` for what the tool says itself.
fn read(json: &str) -> Result<(Shape, String), String> {
    let manifest = Manifest::parse(json.as_bytes()).map_err(|error| error.to_string())?;
    let outputs = manifest.outputs().iter().map(|output| {
        let told = output.immutable().map_or("", |yes| if yes { "!" } else { "?" });
        output
            .source()
            .map_or(format!("{}{told}", output.path()), |source| format!("{}{told}<-{source}", output.path()))
    });
    Ok((manifest.shape(), outputs.collect::<Vec<_>>().join(" ")))
}

#[test]
fn each_tool_is_known_by_its_shape() {
    for (json, shape, expected) in [
        (
            r#"{"index.html": {"file": "assets/index-DA15JTLU.js", "name": "index", "src": "index.html",
                "css": ["assets/index-B4XfSUHF.css"], "assets": ["assets/logo-B-OjCZyu.png"]},
                "logo.png": {"file": "assets/logo-B-OjCZyu.png", "src": "logo.png"}}"#,
            Shape::Vite,
            "assets/index-B4XfSUHF.css assets/index-DA15JTLU.js<-index assets/logo-B-OjCZyu.png<-logo.png",
        ),
        (
            r#"{"inputs": {}, "outputs": {"dist/app-VRTVD5R5.js": {"entryPoint": "src/app.js"}, "dist/x.map": {}}}"#,
            Shape::Esbuild,
            "dist/app-VRTVD5R5.js<-src/app.js dist/x.map",
        ),
        (
            r#"{"paths": {"a.css": "a.27e20196a850.css"}, "version": "1.1", "hash": "x"}"#,
            Shape::Django,
            "a.27e20196a850.css<-a.css",
        ),
        (
            r#"{"digests": {}, "latest": {"app.js": "app-0cc1.js"}, "version": 1}"#,
            Shape::Phoenix,
            "app-0cc1.js<-app.js",
        ),
        (r#"{"app.js": {"digested_path": "app-0cc1.js", "integrity": null}}"#, Shape::Propshaft, "app-0cc1.js<-app.js"),
        (r#"{"app.js": {"src": "/app.1.js", "integrity": "sha"}}"#, Shape::Map, "app.1.js<-app.js"),
        (
            r#"{"main.js": "/static/main.1.js", "b.js": "https://cdn.example/x/b.2.js", "c.js": "//cdn.example/c.3.js",
                "entrypoints": {"main": {}}, "d.js": "./d.js?id=4"}"#,
            Shape::Map,
            "c.3.js<-c.js d.js<-d.js static/main.1.js<-main.js x/b.2.js<-b.js",
        ),
        (r#"{"files": {"main.js": "/static/main.1.js"}, "entrypoints": []}"#, Shape::Map, "static/main.1.js<-main.js"),
        (
            r#"{"assets": [{"name": "a.1.js", "info": {"immutable": true}}, {"name": "b.js", "info": {}},
                {"name": "c.png", "info": {"sourceFilename": "src/c.png"}}]}"#,
            Shape::WebpackStats,
            "a.1.js! b.js? c.png?<-src/c.png",
        ),
    ] {
        assert_eq!(read(json), Ok((shape, expected.to_owned())), "{json}");
    }
}

#[test]
fn what_is_something_else_is_an_error_that_says_what() {
    for (json, expected) in [
        ("", "no JSON: EOF while parsing a value at line 1 column 0"),
        ("{\"a\":\n x}", "no JSON: expected value at line 2 column 2"),
        ("[]", "no manifest of a known build tool"),
        ("{}", "the manifest lists nothing"),
        (r#"{"name": "Shop", "start_url": "/", "icons": []}"#, "no manifest of a known build tool"),
        (r#"{"name": "Shop"}"#, "no manifest of a known build tool"),
        (r#"{"a.js": "a b.js"}"#, "no manifest of a known build tool"),
        (r#"{"a.js": 1}"#, "no manifest of a known build tool"),
        (r#"{"a.js": {"file": "a.js"}, "b.js": {}}"#, "no manifest of a known build tool"),
        (r#"{"assets": [1]}"#, "no manifest of a known build tool"),
        (r#"{"paths": {}, "version": 1}"#, "the manifest lists nothing"),
        (r#"{"a.js": {"file": "../a.js"}}"#, "\"../a.js\" is no path below the build"),
        (r#"{"a.js": {"file": "a\\b.js"}}"#, "\"a\\\\b.js\" is no path below the build"),
        (r#"{"a.js": {"file": "a\u0000.js"}}"#, "\"a\\0.js\" is no path below the build"),
        (r#"{"a.js": {"file": "/"}}"#, "\"/\" is no path below the build"),
        (r#"{"a.js": {"file": "https://cdn.example"}}"#, "\"https://cdn.example\" is no path below the build"),
    ] {
        assert_eq!(read(json), Err(expected.to_owned()), "{json}");
    }
}

proptest::proptest! {
    #[test]
    fn nothing_makes_it_panic(json in r#"[{}\[\]":,a-c./\\0 filepthsoutn]{0,60}|\{("[a-z./]{0,8}": ?("[a-z./?]{0,8}"|\{"(file|src|digested_path)": "[a-z./]{0,9}"\})(, )?){0,3}\}"#) {
        if let Ok(manifest) = Manifest::parse(json.as_bytes()) {
            for output in manifest.outputs() {
                proptest::prop_assert!(!output.path().starts_with('/') && !output.path().split('/').any(|part| part == ".."));
            }
        }
    }
}
