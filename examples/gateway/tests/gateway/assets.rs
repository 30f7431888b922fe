//! `[assets]` before an upstream, and `gateway lint`.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Gateway, Upstream, command, refused, response};

/// Named by the MD5 of its content.
const HASHED: &str = "app-0cc175b9c0f1.js";

fn write(dir: &Path, path: &str, content: &str) -> String {
    let file = dir.join(path);
    std::fs::write(&file, content).unwrap();
    file.to_str().unwrap().to_owned()
}

fn lint(args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, .. } = command(&["lint"]).args(args).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap())
}

#[test]
fn an_upstreams_assets_get_their_headers() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), HASHED, "a");
    let table = format!(
        "[assets]\ndir = {:?}\nat = \"/assets/\"\n\
         [[assets.rule]]\nglob = \"/downloads/**\"\nextension = [\"zip\"]\ncache_control = \"public, max-age=60\"\n\
         cdn_cache_control = \"max-age=600\"\nmode = \"override\"\n\
         [[route]]\npath = \"/\"\ncache = false\n",
        dir.path()
    );
    let config = write(dir.path(), "gateway.toml", &table);
    let upstream = Upstream::new();
    let gateway = Gateway::start(&["--config", &config, "--upstream", &upstream.url()]);
    for (path, fields, expected) in [
        ("/assets/app-0cc175b9c0f1.js", "content-type: text/javascript\r\n", "public, max-age=31536000, immutable"),
        ("/assets/app-0cc175b9c0f1.js", "content-type: text/html\r\n", "no-cache"),
        ("/assets/app-DA15JTLU.js", "content-type: text/javascript\r\n", "no-cache"),
        ("/downloads/a/b.zip", "content-type: application/zip\r\ncache-control: no-store\r\n", "public, max-age=60"),
        ("/private.png", "content-type: image/png\r\nset-cookie: a=b\r\n", ""),
    ] {
        let mut client = gateway.connect();
        client.say(format!("GET {path} HTTP/1.1\r\nhost: a.example\r\nif-none-match: \"x\"\r\n\r\n"));
        let mut inner = upstream.accept();
        let head = inner.head().unwrap();
        assert!(head.field("if-none-match").is_some(), "the upstream judges by itself: {head:?}");
        inner.say(response("200 OK", fields, "a"));
        let reply = client.message();
        assert_eq!(reply.field("cache-control").unwrap_or(""), expected, "{path} {fields}");
        let for_cdn = path.ends_with(".zip").then_some("max-age=600");
        assert_eq!(reply.field("cdn-cache-control"), for_cdn, "{path}");
    }
}

#[test]
fn a_new_build_is_known_after_sighup() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), HASHED, "a");
    let config = write(dir.path(), "gateway.toml", &format!("[assets]\ndir = {:?}\n", dir.path()));
    let upstream = Upstream::new();
    let gateway = Gateway::start(&["--config", &config, "--upstream", &upstream.url()]);
    write(dir.path(), "app-92eb5ffee6ae.js", "b");
    gateway.signal(Signal::HUP);
    for attempt in 0.. {
        let mut client = gateway.connect();
        client.say(format!("GET /app-92eb5ffee6ae.js?{attempt} HTTP/1.1\r\nhost: a.example\r\n\r\n"));
        let mut inner = upstream.accept();
        inner.head().unwrap();
        inner.say(response("200 OK", "content-type: text/javascript\r\n", "b"));
        if client.message().field("cache-control").is_some_and(|says| says.contains("immutable")) {
            break;
        }
        assert!(attempt < 200, "it was never read again");
        std::thread::sleep(Duration::from_millis(25));
    }
}

#[test]
fn lint_says_of_each_file_what_would_be_said() {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in [(HASHED, "a"), ("index.html", "<!doctype html>"), ("logo-20240608.png", "png")] {
        write(dir.path(), path, content);
    }
    let site = dir.path().to_str().unwrap();
    let (code, text) = lint(&[site]);
    assert_eq!(code, Some(0), "{text}");
    let says = |text: &str, path: &str, what: &str| {
        let line = text.lines().find(|line| line.starts_with(path)).unwrap_or_default().to_owned();
        assert!(line.contains(what), "{path}: {what} in {line:?}");
    };
    says(&text, "/app-0cc175b9c0f1.js", "public, max-age=31536000, immutable");
    says(&text, "/app-0cc175b9c0f1.js", "the name holds the MD5 of the content");
    says(&text, "/index.html", "no-cache");
    says(&text, "/logo-20240608.png", "max-age=86400");
    assert!(text.ends_with("3 files, 1 immutable, 0 to look at\n"), "{text}");

    write(dir.path(), "app-DA15JTLU.js", "which tool?");
    let (code, text) = lint(&[site]);
    assert_eq!(code, Some(1), "{text}");
    says(&text, "/app-DA15JTLU.js", "! its name looks hashed, and nobody vouches for it");

    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&config, "[assets]\ntrust = [\"/\"]\npages = \"stale-while-revalidate\"\n").unwrap();
    let (code, text) = lint(&[site, "--config", config.path().to_str().unwrap()]);
    assert_eq!(code, Some(0), "{text}");
    says(&text, "/app-DA15JTLU.js", "hashed by its looks, under a trusted path");
    says(&text, "/index.html", "stale-while-revalidate=600");
}

#[test]
fn what_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(".vite")).unwrap();
    write(dir.path(), ".vite/manifest.json", "half a manif");
    let home = dir.path().to_str().unwrap();
    for (table, named) in [
        ("[assets]\ndir = \"/nowhere\"\n".to_owned(), "\"/nowhere\""),
        (format!("[assets]\ndir = {home:?}\n"), ".vite/manifest.json\": no JSON"),
        ("[assets]\npages = \"weekly\"\n".to_owned(), "weekly"),
        ("[[assets.rule]]\nglob = \"[\"\n".to_owned(), "[[assets.rule]] glob: \"[\""),
        ("[[assets.rule]]\nregex = \"(\"\n".to_owned(), "[[assets.rule]] regex: \"(\""),
        ("[[assets.rule]]\ncache_control = \"max-age=1h\"\n".to_owned(), "needs a whole number of seconds"),
        ("[[assets.rule]]\ncdn_cache_control = \"x!y\"\n".to_owned(), "no structured field can hold"),
        ("[[assets.rule]]\nstatus = \"many\"\n".to_owned(), "status = \"many\""),
        ("[[assets.rule]]\nprefix = \"/a\"\nlifetime = 3\n".to_owned(), "lifetime"),
    ] {
        let config = write(dir.path(), "gateway.toml", &table);
        let (code, message) = refused(&["--config", &config]);
        assert_eq!(code, Some(2), "{table}: {message}");
        assert_eq!(message.lines().count(), 1, "{table}: {message}");
        assert!(message.contains(named), "{table}: {message}");
    }
    let (code, message) = refused(&["lint", "/nowhere"]);
    assert_eq!((code, message.lines().count()), (Some(2), 1), "{message}");
    assert!(message.contains("/nowhere"), "{message}");
}
