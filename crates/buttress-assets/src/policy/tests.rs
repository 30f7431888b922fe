use std::time::{Duration, UNIX_EPOCH};

use buttress_rfc9111::CacheControl;
use http::Uri;

use super::*;
use crate::served::Asked;
use crate::table::{self, Pages};
use crate::testing::headers;

fn asked(target: &str) -> Asked {
    let (method, uri) = target.split_once(' ').unwrap_or(("GET", target));
    Asked {
        method: method.parse().expect("a method"),
        uri: uri.parse::<Uri>().expect("a URI"),
        authorized: false,
        service_worker: false,
    }
}

/// What becomes of a response's fields, as lines.
fn after(rules: &[Rule], asked: &Asked, status: u16, lines: &str) -> String {
    let response = headers(lines);
    let status = StatusCode::from_u16(status).expect("a status");
    let served = Served::new(asked, status, &response, None, None);
    let mut headers = response.clone();
    apply(&mut headers, decide(rules, &served), || UNIX_EPOCH + Duration::from_secs(1_767_225_600));
    let kept = headers.iter().filter(|(name, _)| name.as_str().contains("cache-control") || *name == EXPIRES);
    let mut lines: Vec<_> = kept.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines.join("\n")
}

#[track_caller]
fn by_default(target: &str, status: u16, lines: &str, expected: &str) {
    let found = after(&table::rules(Pages::Revalidate), &asked(target), status, lines);
    let expected = if expected.is_empty() { String::new() } else { format!("cache-control: {expected}") };
    assert_eq!(found, expected, "{target} {status} {lines}");
}

const LASTING: &str = "max-age=86400, stale-while-revalidate=604800";

#[test]
fn the_table_is_safe_for_a_front_end() {
    for (path, media_type, expected) in [
        ("/", "text/html; charset=utf-8", "no-cache"),
        ("/deep/link", "text/html", "no-cache"),
        ("/about.html", "text/html", "no-cache"),
        ("/app.js", "text/javascript", "no-cache"),
        ("/app.css", "text/css", "no-cache"),
        ("/app.js.map", "application/json", "no-cache"),
        ("/app_bg.wasm", "application/wasm", "no-cache"),
        ("/sw.js", "text/javascript", "no-cache"),
        ("/manifest.webmanifest", "application/manifest+json", "no-cache"),
        ("/favicon.ico", "image/x-icon", LASTING),
        ("/logo.svg", "image/svg+xml", LASTING),
        ("/inter.woff2", "font/woff2", LASTING),
        ("/intro.mp4", "video/mp4", LASTING),
        ("/paper.pdf", "application/pdf", LASTING),
        ("/feed.rss", "application/rss+xml", "max-age=3600"),
        ("/data.json", "application/json", "no-cache"),
        ("/robots.txt", "text/plain", "no-cache"),
        ("/.well-known/acme-challenge/x", "application/octet-stream", "no-store"),
        ("/app.zip", "application/zip", ""),
        ("/thing", "application/x-thing", ""),
    ] {
        by_default(path, 200, &format!("Content-Type: {media_type}"), expected);
        by_default(&format!("HEAD {path}"), 200, &format!("Content-Type: {media_type}"), expected);
        by_default(path, 206, &format!("Content-Type: {media_type}\nContent-Range: bytes 0-1/9"), expected);
        by_default(&format!("POST {path}"), 200, &format!("Content-Type: {media_type}"), "");
        by_default(path, 500, &format!("Content-Type: {media_type}"), "");
        by_default(path, 307, &format!("Content-Type: {media_type}"), "");
    }
}

/// A page in the place of something else, and what deceives caches by its path.
#[test]
fn what_it_is_counts_not_what_it_is_called() {
    for (path, media_type, expected) in [
        ("/assets/logo.png", "text/html", "no-cache"),
        ("/account/x.css", "text/html", "no-cache"),
        ("/account;x.png", "text/html", "no-cache"),
        ("/account%2fx.png", "text/html", "no-cache"),
        ("/static/..%2faccount.png", "application/json", "no-cache"),
        ("/avatar", "image/png", LASTING),
        ("/picture.jpg", "image/webp", LASTING),
        ("/font.woff2", "application/octet-stream", LASTING),
    ] {
        by_default(path, 200, &format!("Content-Type: {media_type}"), expected);
    }
}

#[test]
fn errors_under_hashed_names_are_not_kept() {
    by_default("/assets/index-DA15JTLU.js", 404, "Content-Type: text/html", "no-store");
    by_default("/assets/index-DA15JTLU.js", 503, "", "no-store");
    by_default("/assets/index-DA15JTLU.js", 404, "Cache-Control: max-age=5", "max-age=5");
    by_default("/assets/index.js", 404, "Content-Type: text/html", "");
    by_default("/assets/index-DA15JTLU.js", 200, "Content-Type: text/javascript", "no-cache");
}

#[test]
fn what_is_for_one_person_is_left_alone() {
    let image = "Content-Type: image/png";
    by_default("/a.png", 200, image, LASTING);
    by_default("/a.png", 200, &format!("{image}\nSet-Cookie: a=b"), "");
    by_default("/a.png", 200, &format!("{image}\nVary: Accept, COOKIE"), "");
    by_default("/a.png", 200, &format!("{image}\nVary: Accept\nVary: Authorization"), "");
    by_default("/a.png", 200, &format!("{image}\nVary: *"), "");
    by_default("/a.png", 200, &format!("{image}\nVary: Accept"), LASTING);
    by_default("/a.png", 304, image, "");
}

#[test]
fn what_says_something_itself_keeps_it() {
    by_default("/a.png", 200, "Content-Type: image/png\nCache-Control: private", "private");
    let found = after(&table::rules(Pages::Leave), &asked("/a.png"), 200, "Content-Type: image/png\nExpires: 0");
    assert_eq!(found, "expires: 0");
}

#[test]
fn somebody_who_proved_who_he_is_gets_nothing_that_shared_caches_may_keep() {
    let minute = CacheControl::new().max_age(Duration::from_secs(60));
    let who = Asked { authorized: true, ..asked("/a.png") };
    for (rule, expected) in [
        (Rule::new().cache(minute.clone()), "cache-control: max-age=60"),
        (Rule::new().cache(minute.clone().public()), ""),
        (Rule::new().cache(minute.clone().must_revalidate()), ""),
        (Rule::new().cache(minute.clone().s_maxage(Duration::from_secs(9))), ""),
        (Rule::new().cache(minute.clone()).cdn(&minute).unwrap(), ""),
        (Rule::new().cache(minute.clone().public()).even_if_authorized(), "cache-control: max-age=60, public"),
    ] {
        let found = after(&[rule], &who, 200, "Content-Type: image/png");
        let sorted = found.replace("public, max-age=60", "max-age=60, public");
        assert_eq!(sorted, expected);
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let said = |seconds| CacheControl::new().max_age(Duration::from_secs(seconds));
    let rules = [
        Rule::new().prefix("/api/"),
        Rule::new().glob("/files/*/{a,b}.bin").unwrap().cache(said(1)),
        Rule::new().glob("/files/**").unwrap().cache(said(2)),
        Rule::new().regex(r"^/v\d+/").unwrap().cache(said(3)),
        Rule::new().extension([".PDF", "epub"]).cache(said(4)),
        Rule::new().media_type(["image/*", "text/x-own"]).cache(said(5)),
        Rule::new().status(StatusCode::NOT_FOUND).cache(said(6)),
        Rule::new().statuses(500..=599).cache(said(7)),
        Rule::new().method([Method::OPTIONS]).cache(said(8)),
        Rule::new().when(|served| served.uri().query() == Some("v=1")).cache(said(9)),
    ];
    for (target, status, media_type, expected) in [
        ("/api/a.png", 200, "image/png", None),
        ("/files/x/a.bin", 200, "a/b", Some(1)),
        ("/files/x/c.bin", 200, "a/b", Some(2)),
        ("/files/x/y/a.bin", 200, "a/b", Some(2)),
        ("/files/caf%C3%A9/a.bin", 200, "a/b", Some(1)),
        ("/v12/x", 200, "a/b", Some(3)),
        ("/x.pdf", 200, "application/pdf", Some(4)),
        ("/x.pdf", 200, "text/html", None),
        ("/x.js", 200, "image/png", Some(5)),
        ("/x", 200, "Text/X-Own", Some(5)),
        ("/x.pdf", 404, "application/pdf", Some(6)),
        ("/x", 503, "text/html", Some(7)),
        ("OPTIONS /x", 204, "a/b", Some(8)),
        ("/x?v=1", 200, "a/b", Some(9)),
        ("/x?v=2", 200, "a/b", None),
    ] {
        let found = after(&rules, &asked(target), status, &format!("Content-Type: {media_type}"));
        let expected = expected.map(|seconds| format!("cache-control: max-age={seconds}")).unwrap_or_default();
        assert_eq!(found, expected, "{target} {status} {media_type}");
    }
}

#[test]
fn modes_and_what_goes_with_them() {
    let said = CacheControl::new().max_age(Duration::from_secs(60));
    let own = "Cache-Control: no-store\nExpires: 0\nPragma: no-cache\nCDN-Cache-Control: max-age=1";
    for (rule, lines, expected) in [
        (Rule::new().cache(said.clone()), own, "cache-control: no-store\ncdn-cache-control: max-age=1\nexpires: 0"),
        (Rule::new().cache(said.clone()).mode(Mode::Override), own, "cache-control: max-age=60"),
        (Rule::new().mode(Mode::Remove), own, ""),
        (
            Rule::new().cache(said.clone()).expires(),
            "",
            "cache-control: max-age=60\nexpires: Thu, 01 Jan 2026 00:01:00 GMT",
        ),
        (Rule::new().cache(CacheControl::new().no_cache()).expires(), "", "cache-control: no-cache"),
        (
            Rule::new().cache(CacheControl::new().no_cache()).cdn(&said).unwrap(),
            "",
            "cache-control: no-cache\ncdn-cache-control: max-age=60",
        ),
    ] {
        assert_eq!(after(std::slice::from_ref(&rule), &asked("/x"), 200, lines), expected, "{rule:?}");
    }
}

#[test]
fn a_name_stands_in_vary_once() {
    for (lines, expected) in [
        ("", "accept-encoding"),
        ("Vary: Accept", "Accept|accept-encoding"),
        ("Vary: Accept, ACCEPT-Encoding", "Accept, ACCEPT-Encoding"),
        ("Vary: Accept\nVary: accept-encoding", "Accept|accept-encoding"),
        ("Vary: *", "*"),
        ("Vary: x-accept-encoding", "x-accept-encoding|accept-encoding"),
    ] {
        let mut headers = headers(lines);
        merge_vary(&mut headers, &http::header::ACCEPT_ENCODING);
        let found: Vec<_> = headers.get_all(VARY).iter().map(|line| line.to_str().unwrap()).collect();
        assert_eq!(found.join("|"), expected, "{lines}");
    }
}
