//! Tags, codings, parts, HEAD and errors agree with the response that they are made of.

use std::time::Duration;

use buttress::assets::{AssetsLayer, Build};
use buttress::core::BoxError;
use tower::{Layer as _, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::services::ServeDir;

use crate::bed::{Asked, HASHED, Reply, Site, dir, made, says, trusting, write};

/// Hashes have one length, and so has an `index.html` that names other ones: a deployment in place, before it is told of.
#[tokio::test]
async fn a_page_that_was_replaced_by_one_of_the_same_length_is_not_a_304() {
    let dir = dir(&[("index.html", "<script src=/assets/index-DA15JTLU.js>")]);
    let site = Site::new(&dir, AssetsLayer::new().build(Build::open(dir.path()).expect("a build")));
    let tag = site.get("/", "").await.field("etag");
    write(dir.path(), "index.html", "<script src=/assets/index-BxW2q4kq.js>", Duration::from_secs(60));
    let again = site.get("/", &format!("If-None-Match: {tag}")).await;
    assert_eq!(again.status, 200, "the plain service would have noticed by the time");
}

#[tokio::test]
async fn a_part_of_a_replaced_file_does_not_carry_the_tag_of_the_old() {
    let dir = dir(&[("a.txt", "0123456789")]);
    let site = Site::new(&dir, AssetsLayer::new().build(Build::open(dir.path()).expect("a build")));
    let tag = site.get("/a.txt", "").await.field("etag");
    write(dir.path(), "a.txt", "abcdefghij", Duration::from_secs(60));
    let part = site.get("/a.txt", &format!("Range: bytes=5-\nIf-Range: {tag}")).await;
    assert_eq!(part.status, 200, "the end of a new file for who has the beginning of the old: {part:?}");
}

#[tokio::test]
async fn an_immutable_file_that_was_replaced_by_one_of_the_same_length() {
    let dir = dir(&[HASHED]);
    let site = Site::new(&dir, AssetsLayer::new().build(Build::open(dir.path()).expect("a build")));
    write(dir.path(), HASHED.0, "b", Duration::from_secs(60));
    assert!(!site.get("/assets/app-0cc175b9c0f1.js", "").await.is_immutable());
}

fn compressed(dir: &tempfile::TempDir, layer: &AssetsLayer) -> Site {
    use tower_http::compression::predicate::SizeAbove;
    let compression = CompressionLayer::new().compress_when(SizeAbove::new(0));
    Site::over(layer.layer(compression.layer(ServeDir::new(dir.path()))))
}

/// Compression takes the length away, and with it all that tells a replaced file from the one that was read.
#[tokio::test]
async fn a_file_that_was_replaced_behind_compression_is_not_immutable() {
    let dir = dir(&[HASHED]);
    let site = compressed(&dir, &AssetsLayer::new().build(Build::open(dir.path()).expect("a build")));
    write(dir.path(), HASHED.0, "not what it says", Duration::from_secs(60));
    assert!(!site.get("/assets/app-0cc175b9c0f1.js", "").await.is_immutable(), "its length is known here");
    let script = site.get("/assets/app-0cc175b9c0f1.js", "Accept-Encoding: gzip").await;
    assert_eq!(script.field("content-encoding"), "gzip");
    assert!(!script.is_immutable(), "another file is immutable");
}

#[tokio::test]
async fn a_file_that_was_replaced_behind_compression_is_not_a_304() {
    let dir = dir(&[("a.css", "body{}")]);
    let site = compressed(&dir, &AssetsLayer::new().build(Build::open(dir.path()).expect("a build")));
    let before = site.get("/a.css", "Accept-Encoding: gzip").await;
    assert_eq!(before.field("content-encoding"), "gzip");
    write(dir.path(), "a.css", "body{} /* and much more */", Duration::from_secs(60));
    let again = site.get("/a.css", &format!("Accept-Encoding: gzip\nIf-None-Match: {}", before.field("etag"))).await;
    assert_eq!(again.status, 200);
}

/// `a.css.gz` lies there and is not what is sent.
#[tokio::test]
async fn what_is_compressed_on_the_way_has_not_the_strong_tag_of_the_precompressed_file() {
    let dir = dir(&[("a.css", "body{}"), ("a.css.gz", "<gzip>")]);
    let site = compressed(&dir, &AssetsLayer::new().build(Build::open(dir.path()).expect("a build")));
    let reply = site.get("/a.css", "Accept-Encoding: gzip").await;
    assert_eq!(reply.field("content-encoding"), "gzip");
    assert!(reply.field("etag").starts_with("W/"), "{}", reply.field("etag"));
}

#[tokio::test]
async fn what_is_compressed_on_the_way_has_no_strong_tag_of_the_plain_file() {
    let dir = dir(&[("a.css", "body{}")]);
    let site = compressed(&dir, &AssetsLayer::new());
    let (plain, coded) = (site.get("/a.css", "").await, site.get("/a.css", "Accept-Encoding: gzip").await);
    assert_eq!(coded.field("content-encoding"), "gzip");
    assert!(plain.field("etag") != coded.field("etag") || coded.field("etag").starts_with("W/"), "{coded:?}");
}

/// RFC 9110 section 9.3.2: HEAD says what GET says; a service need not know the length for it.
#[tokio::test]
async fn a_head_without_a_length_says_what_the_get_says() {
    let dir = dir(&[HASHED]);
    let layer = AssetsLayer::new().build(Build::open(dir.path()).expect("a build"));
    let lines = "Content-Type: text/javascript\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT";
    let site = Site::over(layer.layer(service_fn(move |request: Asked| async move {
        Ok::<_, BoxError>(made(200, lines, if request.method() == "HEAD" { "" } else { "a" }))
    })));
    for path in ["/assets/app-0cc175b9c0f1.js", "/unknown.js"] {
        let (get, head) = (site.get(path, "").await, site.ask("HEAD", path, "").await);
        // A tag that is made of the length may be left out, since nobody knows it without the content.
        let but_the_tag =
            |reply: &Reply| reply.repeated().into_iter().filter(|(name, _)| *name != "etag").collect::<Vec<_>>();
        assert_eq!(but_the_tag(&head), but_the_tag(&get), "{path}");
        assert!(head.field("etag").is_empty() || head.field("etag") == get.field("etag"), "{path}");
    }
}

/// The service's own 304 has no length; what the build says of the file holds for it all the same.
#[tokio::test]
async fn the_services_own_304_varies_as_the_200_does() {
    let dir = dir(&[("a.css", "body{}"), ("a.css.br", "<br>")]);
    let build = Build::options().dir(dir.path()).tags(false).load().expect("a build");
    let site = Site::new(&dir, AssetsLayer::new().build(build).pass_conditions(true));
    let whole = site.get("/a.css", "").await;
    let again = site.get("/a.css", &format!("If-None-Match: {}", whole.field("etag"))).await;
    assert_eq!((again.status, again.field("vary")), (304, whole.field("vary")));
}

/// Nothing could be said of several parts in one response; the whole is allowed (RFC 9110 section 14.2).
#[tokio::test]
async fn several_parts_at_once_are_the_whole() {
    let dir = dir(&[("a.txt", "0123456789")]);
    let layer = AssetsLayer::new().build(Build::open(dir.path()).expect("a build"));
    let site = Site::over(layer.layer(service_fn(|request: Asked| async move {
        assert!(!request.headers().contains_key("range"), "the service sees none");
        Ok::<_, BoxError>(made(200, "Content-Type: text/plain\nETag: \"old\"", "0123456789"))
    })));
    let (whole, parts) = (site.get("/a.txt", "").await, site.get("/a.txt", "Range: bytes=0-1,3-4").await);
    assert_eq!((parts.status, parts.repeated(), &parts.body), (200, whole.repeated(), &whole.body));
}

/// With one time for all files a tag that is made of it says nothing, whatever else is so.
async fn check_tag_of_the_time(line: &str) {
    let lines = format!("Content-Type: text/plain\nETag: \"made-of-the-time\"\n{line}");
    let site = says(&AssetsLayer::new().one_mtime(true), 200, lines.leak(), "text");
    let reply = site.get("/a.txt", "If-None-Match: \"made-of-the-time\"").await;
    assert_eq!((reply.status, reply.field("etag").contains("time")), (200, false), "{reply:?}");
}

#[tokio::test]
async fn with_one_mtime_the_services_tag_goes_from_what_is_not_stored() {
    check_tag_of_the_time("Cache-Control: no-store").await;
}

#[tokio::test]
async fn with_one_mtime_the_services_tag_goes_from_what_is_shorter_than_it_says() {
    check_tag_of_the_time("Content-Length: 99").await;
}

#[tokio::test]
async fn with_one_mtime_the_services_tag_goes_from_what_is_longer_than_it_says() {
    check_tag_of_the_time("Content-Length: 1").await;
}

#[tokio::test]
async fn two_codings_are_not_one() {
    let dir = dir(&[("a.css", "body{}"), ("a.css.br", "<br>")]);
    let layer = AssetsLayer::new().build(Build::open(dir.path()).expect("a build"));
    let site = says(&layer, 200, "Content-Type: text/css\nContent-Encoding: br, gzip", "coded");
    let tag = site.get("/a.css", "").await.field("etag");
    assert!(!tag.contains(' '), "not a tag that can be compared: {tag}");
    assert_eq!(site.get("/a.css", &format!("If-None-Match: {tag}")).await.status, 304);
}

#[tokio::test]
async fn a_service_that_takes_no_ranges_gets_a_tag() {
    let site = says(&AssetsLayer::new(), 200, "Content-Type: text/plain\nAccept-Ranges: none", "text");
    assert!(site.get("/a.txt", "").await.field("etag").starts_with('"'));
}

#[tokio::test]
async fn a_416_by_the_layer_is_not_kept() {
    let dir = dir(&[HASHED]);
    for layer in
        [AssetsLayer::new().build(Build::open(dir.path()).expect("a build")), AssetsLayer::new().one_mtime(true)]
    {
        let site = Site::new(&dir, layer);
        let tag = site.get("/assets/app-0cc175b9c0f1.js", "").await.field("etag");
        let reply = site.get("/assets/app-0cc175b9c0f1.js", &format!("Range: bytes=9-\nIf-Range: {tag}")).await;
        assert_eq!((reply.status, reply.cache_control(), reply.body.len()), (416, "no-store".to_owned(), 0));
        for range in ["bytes=18446744073709551615-", "bytes=0-18446744073709551615,", "bytes=-18446744073709551616"] {
            site.get("/assets/app-0cc175b9c0f1.js", &format!("Range: {range}\nIf-Range: {tag}")).await;
        }
    }
}

#[tokio::test]
async fn conditions_do_not_turn_what_is_no_success_into_a_304_or_412() {
    for status in [301, 400, 404, 500, 503] {
        for pass in [false, true] {
            let site = says(&trusting().pass_conditions(pass), status, "ETag: \"a\"", "no");
            for lines in
                ["If-None-Match: *", "If-None-Match: \"a\"", "If-Match: \"b\"", "Range: bytes=0-0\nIf-Range: \"a\""]
            {
                let reply = site.get("/assets/x-DA15JTLU.js", lines).await;
                assert_eq!((reply.status, reply.is_immutable()), (status, false), "{lines}");
                assert!(!reply.cache_control().contains("max-age"), "{reply:?}");
            }
        }
    }
}

#[tokio::test]
async fn odd_range_fields_over_the_layer_do_not_panic() {
    for layer in [AssetsLayer::new().one_mtime(true), AssetsLayer::new()] {
        let lines = "Content-Type: text/plain\nETag: \"a\"";
        let site = says(&layer, 200, lines, "0123456789");
        let tag = site.get("/a.txt", "").await.field("etag");
        for (ranges, status) in [
            ("Range: bytes=0-18446744073709551615", 206),
            ("Range: bytes=-18446744073709551616", 206),
            ("Range: bytes=18446744073709551615-", 416),
            ("Range: bytes=-0", 416),
            ("Range: bytes=9-9", 206),
            ("Range: bytes=0-0,-1", 200),
            ("Range: bytes=0-0\nRange: bytes=1-1", 200),
            ("Range: bytes=", 200),
            ("Range: lines=0-1", 200),
        ] {
            let reply = site.get("/a.txt", &format!("{ranges}\nIf-Range: {tag}")).await;
            assert_eq!(reply.status, status, "{ranges}");
            assert_eq!(reply.cache_control(), if status == 416 { "no-store" } else { "no-cache" });
            let head = site.ask("HEAD", "/a.txt", &format!("{ranges}\nIf-Range: {tag}")).await;
            assert_eq!((head.status, head.field("content-range").as_str()), (200, ""), "HEAD {ranges}");
        }
    }
    let huge = "Content-Type: text/plain\nETag: \"a\"\nContent-Length: 18446744073709551615";
    let site = says(&AssetsLayer::new(), 200, huge, "0123456789");
    let reply = site.get("/a.txt", "Range: bytes=0-\nIf-Range: \"a\"").await;
    assert_eq!((reply.status, reply.field("content-length").as_str()), (206, "18446744073709551615"));
    let reply = site.get("/a.txt", "Range: bytes=18446744073709551614-\nIf-Range: \"a\"").await;
    assert_eq!((reply.status, reply.body.len()), (200, 10), "it is not read to the end of time");
}
