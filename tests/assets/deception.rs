//! What is not the file that was vouched for: encoded names, fallback pages, replaced files, one person's things.

use std::time::Duration;

use buttress::assets::{AssetsLayer, Build, CacheControl, Mode, Rule};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::services::{ServeDir, ServeFile};

use crate::bed::{Asked, HASHED, Site, dir, says, trusting, write};

/// A cache that normalises `%2e` (RFC 3986 section 6.2.2.2) keeps the page as the script, for a year.
#[tokio::test]
async fn an_encoded_dot_hides_no_extension() {
    let dir = dir(&[HASHED, ("index.html", "<!doctype html>")]);
    let files = ServeDir::new(dir.path()).fallback(ServeFile::new(dir.path().join("index.html")));
    let build = Build::options().dir(dir.path()).trust("/assets/").load().expect("a build");
    let site = Site::over(AssetsLayer::new().build(build).layer(files));
    let page = site.get("/assets/index-DA15JTLU%2ejs", "").await;
    assert_eq!((page.status, page.field("content-type").as_str()), (200, "text/html"));
    assert_eq!(page.cache_control(), "no-cache");
}

/// The same where a manifest is all that is known.
#[tokio::test]
async fn an_encoded_dot_hides_no_extension_of_a_listed_file() {
    let dir =
        dir(&[("manifest.json", r#"{"src/main.js": {"file": "assets/main-DA15JTLU.js", "src": "src/main.js"}}"#)]);
    let build = Build::options().manifest(dir.path().join("manifest.json")).load().expect("a build");
    let site = says(&AssetsLayer::new().build(build), 200, "Content-Type: text/html", "<!doctype html>");
    assert_eq!(site.get("/assets/main-DA15JTLU.js", "").await.cache_control(), "no-cache");
    assert_eq!(site.get("/assets/main-DA15JTLU%2ejs", "").await.cache_control(), "no-cache");
}

/// Whoever asks chooses the name: a page answers for any name that ends in `.html`.
#[tokio::test]
async fn a_fallback_page_under_a_hashed_page_name_is_not_immutable() {
    let dir = dir(&[HASHED, ("index.html", "<!doctype html>")]);
    let files = ServeDir::new(dir.path()).fallback(ServeFile::new(dir.path().join("index.html")));
    let build = Build::options().dir(dir.path()).trust("/assets/").load().expect("a build");
    let site = Site::over(AssetsLayer::new().build(build).layer(files));
    assert_eq!(site.get("/assets/part-DA15JTLU.html", "").await.cache_control(), "no-cache");
}

/// `%ff` makes the path no UTF-8, so that it stays encoded, and `%2e%2e` is not seen to lead out of the trusted place.
#[tokio::test]
async fn what_cannot_be_decoded_is_not_trusted() {
    let site = says(&trusting(), 200, "Content-Type: application/javascript", "secret");
    assert!(site.get("/assets/x-DA15JTLU.js", "").await.is_immutable());
    for path in ["/assets/%2e%2e/x-DA15JTLU.js", "/assets/%ff/%2e%2e/%2e%2e/api/x-DA15JTLU.js"] {
        assert!(!site.get(path, "").await.is_immutable(), "{path}");
    }
}

#[tokio::test]
async fn only_a_whole_file_or_a_part_of_it_is_immutable() {
    let mut wrong = Vec::new();
    for status in [201, 202, 204, 207] {
        let body = if status == 204 { "" } else { "later" };
        let site = says(&trusting(), status, "Content-Type: image/png", body);
        wrong.extend(site.get("/assets/thumb-DA15JTLU.png", "").await.is_immutable().then_some(status));
    }
    assert_eq!(wrong, [0; 0]);
}

#[tokio::test]
async fn json_in_the_place_of_a_document_is_not_immutable() {
    for path in ["/assets/report-DA15JTLU.pdf", "/assets/all-DA15JTLU.zip"] {
        let site = says(&trusting(), 200, "Content-Type: application/json", r#"{"error": "try later"}"#);
        assert!(!site.get(path, "").await.is_immutable(), "{path}");
    }
}

#[tokio::test]
async fn a_directory_without_a_slash_and_odd_spellings_are_not_immutable() {
    let dir = dir(&[HASHED, ("assets/dir-DA15JTLU.js/index.html", "<!doctype html>"), ("index.html", "<p>")]);
    let build = Build::options().dir(dir.path()).trust("/assets/").load().expect("a build");
    let site = Site::new(&dir, AssetsLayer::new().build(build));
    for path in [
        "/assets/dir-DA15JTLU.js",
        "/assets/dir-DA15JTLU.js/",
        "/assets//app-0cc175b9c0f1.js/",
        "/assets/app-0cc175b9c0f1.js/",
        "/assets/APP-0cc175b9c0f1.js",
        "/assets/../index.html",
        "/assets/%2e%2e/index.html",
        "/assets/app-0cc175b9c0f1.js%00",
        "/assets/app-0cc175b9c0f1.js;a.js",
    ] {
        let reply = site.get(path, "").await;
        assert!(!reply.is_immutable(), "{path} {reply:?}");
    }
    for lines in ["Range: bytes=0-0", "", "Range: bytes=5-"] {
        let reply = site.get("/%61ssets/app-0cc175b9c0f1.js", lines).await;
        assert_eq!(reply.is_immutable(), reply.status != 416, "{reply:?}");
    }
}

#[tokio::test]
async fn what_is_for_one_person_is_never_immutable() {
    for lines in ["Set-Cookie: a=b", "Vary: Cookie", "Vary: authorization", "Vary: *", "Cache-Control: private"] {
        for pass in [false, true] {
            let lines: &'static str = format!("Content-Type: image/png\n{lines}").leak();
            let site = says(&trusting().pass_conditions(pass), 200, lines, "x");
            for method in ["GET", "HEAD"] {
                let reply = site.ask(method, "/assets/x-DA15JTLU.png", "Range: bytes=0-").await;
                assert!(!reply.cache_control().contains("max-age"), "{reply:?}");
            }
        }
    }
    let site = says(&trusting(), 200, "Content-Type: image/png", "x");
    assert_eq!(site.get("/assets/x-DA15JTLU.png", "Authorization: x").await.cache_control(), "");
    assert_eq!(site.ask("POST", "/assets/x-DA15JTLU.png", "").await.cache_control(), "");
}

/// The service has said what a CDN may do, and the rule is only for what says nothing.
#[tokio::test]
async fn a_rule_for_what_says_nothing_leaves_what_is_said_to_cdns() {
    let hour = CacheControl::new().max_age(Duration::from_secs(3600));
    let rule = Rule::new().prefix("/").cache(hour.clone()).cdn(&hour).expect("plain directives");
    let site = says(&AssetsLayer::new().rule(rule), 200, "Content-Type: image/png\nCDN-Cache-Control: no-store", "x");
    assert_eq!(site.get("/x.png", "").await.field("cdn-cache-control"), "no-store");
}

/// What a rule overrules is all that is said, by whatever field.
#[tokio::test]
async fn an_override_silences_every_targeted_field() {
    let rule = Rule::new().prefix("/").cache(CacheControl::new().no_store()).mode(Mode::Override);
    let lines = "Content-Type: image/png\nCloudflare-CDN-Cache-Control: max-age=9\nSurrogate-Control: max-age=9";
    let reply = says(&AssetsLayer::new().rule(rule), 200, lines, "x").get("/x.png", "").await;
    assert_eq!((reply.field("cloudflare-cdn-cache-control"), reply.field("surrogate-control")), Default::default());
}

/// What takes longer than linear time takes hours here.
#[tokio::test]
async fn long_and_odd_paths_come_to_an_end() {
    let site = says(&trusting(), 404, "Content-Type: text/html", "no");
    for piece in ["-", ".", ".min", "%", "%2e", "_~", "a", "/", "/..", "é", "-a1", ".map", "%F0%9F%98%80"] {
        let path = format!("/assets/{}", percent(piece).repeat(60_000 / percent(piece).len()));
        for end in ["", ".js", "-DA15JTLU.js", ".js.map", "%c3", "."] {
            assert_eq!(site.get(&format!("{path}{end}"), "").await.status, 404);
        }
    }
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii() { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}

/// The service has opened the old file when the new one takes its place, and the build is told so.
#[tokio::test]
async fn a_reload_during_a_request_gives_no_old_content_the_new_tag() {
    let dir = dir(&[("a.txt", "0123456789")]);
    let build = Build::open(dir.path()).expect("a build");
    let (files, told, root) = (ServeDir::new(dir.path()), build.clone(), dir.path().to_owned());
    let site = Site::over(AssetsLayer::new().build(build.clone()).layer(service_fn(move |request: Asked| {
        let (files, told, root) = (files.clone(), told.clone(), root.clone());
        async move {
            let answer = files.oneshot(request).await;
            std::fs::rename(root.join("new"), root.join("a.txt")).ok();
            told.reload().expect("it is still there");
            answer
        }
    })));
    let first = site.get("/a.txt", "").await.field("etag");
    write(dir.path(), "new", "abcdefghij", Duration::from_secs(60));
    let during = site.get("/a.txt", "").await;
    assert_eq!(&during.body[..], b"0123456789");
    let after = site.get("/a.txt", "").await;
    assert_eq!(&after.body[..], b"abcdefghij");
    assert_ne!(first, after.field("etag"));
    assert_ne!(
        during.field("etag"),
        after.field("etag"),
        "the old content has the new tag, and is validated with it for ever"
    );
}

/// esbuild with `--asset-names=[name]` copies; what an output was made from stands in `inputs`.
#[test]
fn what_a_tool_copied_under_its_own_name_is_not_vouched_for() {
    let build = Build::options()
        .file("photo-a1b2c3d4.png", &b"x"[..])
        .file(
            "meta.json",
            &br#"{"inputs": {"src/photo-a1b2c3d4.png": {}},
                "outputs": {"dist/photo-a1b2c3d4.png": {"inputs": {"src/photo-a1b2c3d4.png": {"bytesInOutput": 1}}}}}"#
                [..],
        )
        .load()
        .expect("a build");
    assert_eq!(build.vouches_for("/photo-a1b2c3d4.png"), None);
}

/// Editors leave them (`.#a.txt`), and deployments too; a file service answers 404 for one and goes on.
#[cfg(unix)]
#[test]
fn a_dangling_link_does_not_keep_a_site_from_starting() {
    let dir = dir(&[HASHED]);
    std::os::unix::fs::symlink("nowhere", dir.path().join("dangling")).expect("a link");
    assert!(Build::open(dir.path()).is_ok());
}

/// Its name is known to hold a hash, though it looks like a word; the answer that is not that file is not remembered either.
#[tokio::test]
async fn an_error_under_a_name_that_is_known_to_be_hashed_is_not_stored() {
    let manifest =
        r#"{"a": {"file": "a-DA15JTLU.js", "src": "a.js"}, "b": {"file": "index-abcdefgh.js", "src": "index.js"}}"#;
    let build = Build::options()
        .file("a-DA15JTLU.js", &b"a"[..])
        .file("index-abcdefgh.js", &b"b"[..])
        .file("manifest.json", manifest.as_bytes())
        .load()
        .expect("a build");
    assert!(build.vouches_for("/index-abcdefgh.js").is_some());
    let site = says(&AssetsLayer::new().build(build), 404, "Content-Type: text/html", "not found");
    assert_eq!(site.get("/a-DA15JTLU.js", "").await.cache_control(), "no-store");
    assert_eq!(site.get("/index-abcdefgh.js", "").await.cache_control(), "no-store");
}
