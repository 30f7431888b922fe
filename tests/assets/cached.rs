//! Under the response cache: what the layer says is what is stored, served, cut into ranges and validated.

use std::time::Duration;

use buttress::assets::{AssetsLayer, Build};
use buttress::cache::{Cache, CacheLayer, CacheOptions};
use buttress::core::ManualClock;
use tower::Layer as _;
use tower_http::compression::CompressionLayer;
use tower_http::services::ServeDir;

use crate::bed::{Reply, Site, dir};

const TEXT: &str = "0123456789";

fn is_hit(reply: &Reply) -> bool {
    reply.field("cache-status").contains("; hit")
}

#[tokio::test]
async fn hits_say_what_the_service_said() {
    let dir = dir(&[
        ("assets/app-0cc175b9c0f1.js", "a"),
        ("logo.png", TEXT),
        ("logo.png.br", "<br>"),
        ("index.html", "<!doctype html>"),
    ]);
    let layer = AssetsLayer::new().build(Build::open(dir.path()).expect("a build"));
    let bare = Site::over(layer.layer(ServeDir::new(dir.path()).precompressed_br()));
    let cached = CacheLayer::new(Cache::embedded()).layer(layer.layer(ServeDir::new(dir.path()).precompressed_br()));
    let cached = Site::over(cached);
    for path in ["/assets/app-0cc175b9c0f1.js", "/logo.png", "/index.html"] {
        for coding in ["Accept-Encoding: identity", "Accept-Encoding: br"] {
            let lines = format!("Host: site.example\n{coding}");
            let expected = bare.get(path, &lines).await;
            for hit in [false, true] {
                let reply = cached.get(path, &lines).await;
                let validated = path == "/index.html" && reply.field("cache-status").contains("fwd-status=304");
                assert_eq!(is_hit(&reply) || validated, hit, "{path} {coding}: {reply:?}");
                assert_eq!(reply.repeated(), expected.repeated(), "{path} {coding}");
                assert_eq!(reply.body, expected.body, "{path} {coding}");
            }
            let tag = format!("{lines}\nIf-None-Match: {}", expected.field("etag"));
            let same = cached.get(path, &tag).await;
            assert_eq!((same.status, same.repeated()), (304, expected.repeated()), "{path} {coding}");
        }
    }
    // Ranges of one coding, out of the store and beyond it.
    let part = cached.get("/logo.png", "Host: site.example\nAccept-Encoding: identity\nRange: bytes=2-4").await;
    assert_eq!((part.status, &part.body[..]), (206, &b"234"[..]));
    assert!(is_hit(&part));
    let tag = bare.get("/logo.png", "Accept-Encoding: br").await.field("etag");
    let lines = format!("Host: site.example\nAccept-Encoding: br\nRange: bytes=1-2\nIf-Range: {tag}");
    let coded = cached.get("/logo.png", &lines).await;
    assert_eq!((coded.status, &coded.body[..]), (206, &b"br"[..]));
}

#[tokio::test]
async fn what_is_stale_is_validated_by_the_tag_of_the_layer() {
    let dir = dir(&[("logo.png", TEXT)]);
    let hand = ManualClock::at(buttress::core::Clock::system().now());
    let cache = CacheOptions::new().clock(hand.clock()).embedded();
    let layer = AssetsLayer::new().build(Build::open(dir.path()).expect("a build")).clock(hand.clock());
    let site = Site::over(CacheLayer::new(cache).layer(layer.layer(ServeDir::new(dir.path()))));
    let first = site.get("/logo.png", "Host: site.example").await;
    hand.advance(Duration::from_secs(9 * 86_400)); // past `stale-while-revalidate` too
    let later = site.get("/logo.png", "Host: site.example").await;
    assert_eq!((later.status, &later.body), (200, &first.body));
    assert_eq!(later.repeated(), first.repeated());
}

/// Compression on the way makes another representation: weak tag, `Vary` once, never `immutable` bytes of another length mistaken.
#[tokio::test]
async fn compression_on_the_way_inside_and_outside() {
    let long = "all work and no play ".repeat(200);
    let dir = dir(&[("a.css", &long)]);
    let layer = AssetsLayer::new().build(Build::open(dir.path()).expect("a build"));
    let inside = Site::over(layer.layer(CompressionLayer::new().layer(ServeDir::new(dir.path()))));
    let plain = inside.get("/a.css", "").await;
    let coded = inside.get("/a.css", "Accept-Encoding: gzip").await;
    assert_eq!(coded.field("content-encoding"), "gzip");
    assert_eq!(coded.field("vary").to_ascii_lowercase(), "accept-encoding");
    let (plain, coded) = (plain.field("etag"), coded.field("etag"));
    assert!(plain.starts_with('"') && coded.starts_with("W/\""), "{plain} {coded}");
    let same = inside.get("/a.css", &format!("Accept-Encoding: gzip\nIf-None-Match: {coded}")).await;
    assert_eq!((same.status, same.field("etag")), (304, coded));

    let outside = Site::over(CompressionLayer::new().layer(layer.layer(ServeDir::new(dir.path()))));
    let coded = outside.get("/a.css", "Accept-Encoding: gzip").await;
    assert_eq!((coded.status, coded.field("content-encoding").as_str()), (200, "gzip"));
    assert_eq!(coded.cache_control(), "no-cache");
}
