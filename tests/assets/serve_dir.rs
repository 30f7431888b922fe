//! Over tower-http's `ServeDir`: headers, tags, conditions, ranges and precompressed files agree.

use std::time::{Duration, SystemTime};

use buttress::assets::{AssetsLayer, Build, CacheControl, Mode, Rule};
use http::StatusCode;
use tower::Layer as _;
use tower_http::services::{ServeDir, ServeFile};

use crate::bed::{HASHED, Site, dir, touch, write};

const TEXT: &str = "0123456789";

fn with_build(dir: &tempfile::TempDir) -> AssetsLayer {
    AssetsLayer::new().build(Build::open(dir.path()).expect("a build"))
}

#[tokio::test]
async fn a_304_says_what_the_200_said() {
    let dir = dir(&[HASHED, ("index.html", "<!doctype html>"), ("a.png", TEXT), ("a.png.br", "br"), ("x.bin", TEXT)]);
    let cdn = CacheControl::new().max_age(Duration::from_secs(9));
    let rule = Rule::new().extension(["bin"]).cache(CacheControl::new().max_age(Duration::from_secs(5)));
    let rule = rule.cdn(&cdn).expect("plain directives").mode(Mode::Override);
    for layer in [with_build(&dir), AssetsLayer::new()] {
        let site = Site::over(layer.rule(rule.clone()).layer(ServeDir::new(dir.path()).precompressed_br()));
        for path in ["/", "/index.html", "/assets/app-0cc175b9c0f1.js", "/a.png", "/x.bin"] {
            for coding in ["", "Accept-Encoding: br"] {
                let whole = site.get(path, coding).await;
                whole.is(StatusCode::OK);
                let tag = format!("If-None-Match: \"x\", {}", whole.field("etag"));
                let date = format!("If-Modified-Since: {}", whole.field("last-modified"));
                for condition in [tag, date] {
                    let again = site.get(path, format!("{coding}\n{condition}").trim()).await;
                    again.is(StatusCode::NOT_MODIFIED);
                    assert_eq!(again.repeated(), whole.repeated(), "{path} {condition}");
                    assert!(again.body.is_empty() && again.field("content-type").is_empty());
                }
                let head = site.ask("HEAD", path, coding).await;
                assert_eq!(head.repeated(), whole.repeated(), "{path}");
                assert_eq!(head.field("content-length"), whole.body.len().to_string());
            }
        }
    }
}

#[tokio::test]
async fn a_fallback_page_is_never_kept_as_the_asset_that_it_stands_for() {
    let dir = dir(&[HASHED, ("index.html", "<!doctype html>")]);
    let files = ServeDir::new(dir.path()).fallback(ServeFile::new(dir.path().join("index.html")));
    let build = Build::options().dir(dir.path()).trust("/assets/").load().expect("a build");
    let layer = AssetsLayer::new().build(build).rule(
        Rule::new().prefix("/assets/").extension(["css"]).cache(CacheControl::new().max_age(Duration::from_secs(99))),
    );
    let site = Site::over(layer.layer(files));
    assert!(site.get("/assets/app-0cc175b9c0f1.js", "").await.is_immutable());
    // As on a server that the next version has not reached yet.
    for path in [
        "/assets/index-DA15JTLU.js",
        "/assets/index-DA15JTLU%2Ejs",
        "/assets/index-DA15JTLU.%6As",
        "/assets/index-DA15JTLU.css",
        "/assets/x.wasm",
        "/deep/link",
    ] {
        let page = site.get(path, "").await;
        assert_eq!((page.status, page.cache_control().as_str()), (200, "no-cache"), "{path}");
        let tag = format!("If-None-Match: {}", page.field("etag"));
        let again = site.get(path, &tag).await;
        assert_eq!((again.status, again.cache_control().as_str()), (304, "no-cache"), "{path}");
    }
}

#[tokio::test]
async fn what_is_missing_is_not_remembered() {
    let dir = dir(&[HASHED]);
    let build = Build::options().dir(dir.path()).trust("/assets/").load().expect("a build");
    let site = Site::new(&dir, AssetsLayer::new().build(build));
    let missing = site.get("/assets/index-DA15JTLU.js", "").await;
    assert_eq!((missing.status, missing.cache_control().as_str()), (404, "no-store"));
    std::fs::remove_file(dir.path().join(HASHED.0)).expect("it was there");
    let gone = site.get("/assets/app-0cc175b9c0f1.js", "").await;
    assert_eq!((gone.status, gone.cache_control().as_str()), (404, "no-store"));
}

#[tokio::test]
async fn ranges_and_the_whole_have_one_tag() {
    let dir = dir(&[("a.txt", TEXT)]);
    for layer in [with_build(&dir), AssetsLayer::new(), AssetsLayer::new().one_mtime(true)] {
        let site = Site::new(&dir, layer);
        let whole = site.get("/a.txt", "").await;
        let tag = whole.field("etag");
        assert!(tag.starts_with('"'), "strong: {tag}");
        let part = site.get("/a.txt", "Range: bytes=2-4").await;
        assert_eq!((part.status, &part.body[..]), (206, &b"234"[..]));
        assert_eq!(part.repeated(), whole.repeated());
        assert_eq!(part.field("content-range"), "bytes 2-4/10");
        let suffix = site.get("/a.txt", "Range: bytes=-3").await;
        assert_eq!(&suffix.body[..], b"789");
        let beyond = site.get("/a.txt", "Range: bytes=10-").await;
        assert_eq!((beyond.status, beyond.field("content-range").as_str()), (416, "bytes */10"));
        let same = site.get("/a.txt", &format!("Range: bytes=2-4\nIf-None-Match: {tag}")).await;
        same.is(StatusCode::NOT_MODIFIED);
    }
}

/// `ServeDir` overlooks `If-Range`: a client would put together the beginning of one file and the end of another.
#[tokio::test]
async fn a_part_is_of_the_file_that_the_client_has() {
    let dir = dir(&[("a.txt", TEXT)]);
    for make in [AssetsLayer::new, || AssetsLayer::new().one_mtime(true)] {
        write(dir.path(), "a.txt", TEXT, Duration::from_secs(3600));
        let site = Site::new(&dir, make());
        let old = site.get("/a.txt", "").await.field("etag");
        let ask = format!("Range: bytes=2-4\nIf-Range: {old}");
        let part = site.get("/a.txt", &ask).await;
        assert_eq!((part.status, &part.body[..], part.field("etag")), (206, &b"234"[..], old));
        assert_eq!(part.field("content-length"), "3");

        write(dir.path(), "a.txt", "abcdefghij", Duration::from_secs(60));
        let whole = site.get("/a.txt", &ask).await;
        assert_eq!((whole.status, &whole.body[..]), (200, &b"abcdefghij"[..]));
    }
}

#[tokio::test]
async fn conditions_fail_with_412() {
    let dir = dir(&[("a.txt", TEXT)]);
    let site = Site::new(&dir, with_build(&dir));
    let tag = site.get("/a.txt", "").await.field("etag");
    let refused = site.get("/a.txt", "If-Match: \"other\"").await;
    refused.is(StatusCode::PRECONDITION_FAILED);
    assert_eq!(refused.field("content-type"), "application/problem+json");
    assert_eq!(refused.cache_control(), "no-store");
    site.get("/a.txt", &format!("If-Match: {tag}")).await.is(StatusCode::OK);
    site.get("/a.txt", "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT").await.is(StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn each_coding_has_a_strong_tag_of_its_own_and_vary_says_so_once() {
    let dir = dir(&[("a.css", "body{}"), ("a.css.br", "<br>"), ("a.css.gz", "<gzip>"), ("b.css", "b{}")]);
    let files = ServeDir::new(dir.path()).precompressed_br().precompressed_gzip();
    let site = Site::over(with_build(&dir).layer(files));
    let mut tags = Vec::new();
    for (accept, coding) in [("identity", ""), ("br", "br"), ("gzip", "gzip"), ("gzip;q=0, br;q=0", "")] {
        let reply = site.get("/a.css", &format!("Accept-Encoding: {accept}")).await;
        assert_eq!(reply.field("content-encoding"), coding, "{accept}");
        assert_eq!(reply.field("vary").to_ascii_lowercase(), "accept-encoding", "{accept}");
        tags.push(reply.field("etag"));
    }
    assert_eq!(tags[0], tags[3]);
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags.iter().all(|tag| tag.starts_with('"')), "{tags:?}");
    // The tag of one coding is not that of another.
    let other = site.get("/a.css", &format!("Accept-Encoding: br\nIf-None-Match: {}", tags[0])).await;
    other.is(StatusCode::OK);
    let same = site.get("/a.css", &format!("Accept-Encoding: br\nIf-None-Match: W/{}", tags[1])).await;
    same.is(StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn replicas_agree_on_tags_whatever_their_clocks_said() {
    let (one, other) = (dir(&[("a.txt", TEXT)]), dir(&[]));
    write(other.path(), "a.txt", TEXT, Duration::from_secs(7));
    let tags = [&one, &other].map(|dir| Site::new(dir, with_build(dir)));
    assert_eq!(tags[0].get("/a.txt", "").await.field("etag"), tags[1].get("/a.txt", "").await.field("etag"));
}

/// Under Nix and in containers every file says 1970 or the same second: a new file of the same length must not be taken for the old.
#[tokio::test]
async fn builds_with_one_time_for_all_files() {
    let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let dir = dir(&[("a.txt", "first"), ("b.txt", "other")]);
    for name in ["a.txt", "b.txt"] {
        touch(&dir.path().join(name), epoch);
    }
    let build = Build::open(dir.path()).expect("a build");
    assert!(build.has_one_mtime());
    let site = Site::new(&dir, AssetsLayer::new().build(build.clone()));
    let plain = Site::new(&dir, AssetsLayer::new().one_mtime(true));
    for site in [&site, &plain] {
        let first = site.get("/a.txt", "").await;
        assert_eq!(first.field("last-modified"), "");
        let old = format!("If-None-Match: {}\nIf-Modified-Since: Thu, 01 Jan 1970 00:00:01 GMT", first.field("etag"));
        site.get("/a.txt", &old).await.is(StatusCode::NOT_MODIFIED);

        std::fs::write(dir.path().join("a.txt"), "again").expect("a file");
        touch(&dir.path().join("a.txt"), epoch);
        build.reload().expect("it is still there");
        let again = site.get("/a.txt", &old).await;
        assert_eq!((again.status, &again.body[..]), (200, &b"again"[..]));
        let since = "If-Modified-Since: Thu, 01 Jan 1970 00:00:01 GMT";
        assert_eq!(site.get("/a.txt", since).await.status, 200, "a date says nothing");

        std::fs::write(dir.path().join("a.txt"), "first").expect("a file");
        touch(&dir.path().join("a.txt"), epoch);
        build.reload().expect("it is still there");
    }
}

#[tokio::test]
async fn what_was_replaced_is_no_longer_trusted() {
    let dir = dir(&[HASHED]);
    let build = Build::open(dir.path()).expect("a build");
    let site = Site::new(&dir, AssetsLayer::new().build(build.clone()));
    let before = site.get("/assets/app-0cc175b9c0f1.js", "").await;
    assert!(before.is_immutable());
    write(dir.path(), HASHED.0, "not what it says", Duration::ZERO);
    for range in ["", "Range: bytes=0-1"] {
        let after = site.get("/assets/app-0cc175b9c0f1.js", range).await;
        assert_eq!(after.cache_control(), "no-cache");
        assert_ne!(after.field("etag"), before.field("etag"));
    }
    build.reload().expect("it is still there");
    assert!(!site.get("/assets/app-0cc175b9c0f1.js", "").await.is_immutable());
}
