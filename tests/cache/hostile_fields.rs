//! Fields that are doubled, malformed, contradictory or meant for somebody else: what is in doubt is read strictly.

use std::time::Duration;

use buttress::cache::CacheLayer;
use http::HeaderMap;

use crate::bed::{Bed, STORES, response};

type Fields = &'static [(&'static str, &'static str)];

/// For how many seconds each of these responses is kept; `None` for one that is not reused at all.
async fn lifetimes(settings: impl Fn(CacheLayer) -> CacheLayer, cases: &'static [(Fields, Option<i64>)]) {
    for store in STORES {
        let bed = Bed::with(store, &settings, |parts| {
            let number: usize = parts.uri.path()[1..].parse().unwrap();
            response(200, cases[number].0, "body")
        })
        .await;
        for (number, (fields, expected)) in cases.iter().enumerate() {
            let uri = format!("/{number}");
            bed.get(&uri).await;
            let second = bed.get(&uri).await;
            assert_eq!(second.is_hit().then(|| ttl(&second.headers)), *expected, "{store:?} {fields:?}");
        }
    }
}

/// What `Cache-Status` says.
fn ttl(headers: &HeaderMap) -> i64 {
    let status = headers["cache-status"].to_str().unwrap();
    status.split("; ").find_map(|part| part.strip_prefix("ttl=")?.parse().ok()).unwrap()
}

#[tokio::test]
async fn of_two_lifetimes_the_shorter_counts_and_of_a_malformed_one_none() {
    const CASES: &[(Fields, Option<i64>)] = &[
        (&[("cache-control", "max-age=60"), ("cache-control", "max-age=10")], Some(10)),
        (&[("cache-control", "max-age=60, max-age=10")], Some(10)),
        (&[("cache-control", "MAX-AGE=60")], Some(60)),
        (&[("cache-control", "max-age=\"60\"")], Some(60)),
        (&[("cache-control", "frob, x=\"a, max-age=5, no-store\", max-age=60")], Some(60)),
        (&[("cache-control", "max-age=60"), ("cache-control", "no-store")], None),
        (&[("cache-control", "max-age=-1")], None),
        (&[("cache-control", "max-age=1.5")], None),
        (&[("cache-control", "max-age = 60")], None),
        (&[("cache-control", "max-age=0")], None),
        (&[("cache-control", "max-age=2147483648")], Some(1 << 31)),
        (&[("cache-control", "max-age=99999999999999999999999")], Some(1 << 31)),
    ];
    lifetimes(|layer| layer, CASES).await;
}

#[tokio::test]
async fn dates_that_are_none_or_disagree_do_not_make_a_response_live_longer() {
    const CASES: &[(Fields, Option<i64>)] = &[
        (&[("expires", "Fri, 15 Jan 2027 08:01:00 GMT")], Some(60)),
        (&[("expires", "0")], None),
        (&[("expires", "Fri, 15 Jan 2027 08:01:00 GMT"), ("expires", "Thu, 01 Jan 1970 00:00:00 GMT")], None),
        (&[("expires", "Fri, 15 Jan 2027 08:01:00 GMT"), ("cache-control", "max-age=10")], Some(10)),
        // A service whose clock is an hour ahead: the distance counts, not the date.
        (&[("date", "Fri, 15 Jan 2027 09:00:00 GMT"), ("expires", "Fri, 15 Jan 2027 09:01:00 GMT")], Some(60)),
        (&[("date", "Fri, 15 Jan 2027 09:00:00 GMT"), ("cache-control", "max-age=60")], Some(60)),
        (&[("date", "yesterday"), ("cache-control", "max-age=60")], Some(60)),
        (&[("age", "50"), ("cache-control", "max-age=60")], Some(10)),
        (&[("age", "70"), ("cache-control", "max-age=60")], None),
    ];
    lifetimes(|layer| layer, CASES).await;
}

#[tokio::test]
async fn what_is_meant_for_this_cache_counts_alone_if_it_can_be_read() {
    const CASES: &[(Fields, Option<i64>)] = &[
        (&[("cdn-cache-control", "max-age=10"), ("cache-control", "max-age=60")], Some(10)),
        (&[("cdn-cache-control", "max-age=10"), ("expires", "0"), ("cache-control", "no-store")], Some(10)),
        (&[("cdn-cache-control", ""), ("cache-control", "max-age=60")], Some(60)),
        (&[("cdn-cache-control", "max-age=10, ="), ("cache-control", "max-age=60")], Some(60)),
        (&[("cdn-cache-control", "MAX-AGE=10"), ("cache-control", "max-age=60")], Some(60)),
        (&[("cdn-cache-control", "max-age=10.5"), ("cache-control", "max-age=60")], None),
        (&[("cdn-cache-control", "no-store"), ("cache-control", "max-age=60")], None),
        (&[("cdn-cache-control", "private"), ("cache-control", "max-age=60")], None),
        (&[("cdn-cache-control", "none"), ("cache-control", "max-age=60")], None),
        (&[("other-cache-control", "max-age=10"), ("cache-control", "max-age=60")], Some(60)),
    ];
    lifetimes(|layer| layer, CASES).await;
}

#[tokio::test]
async fn a_default_lifetime_serves_no_wrong_variant_and_keeps_nothing_that_says_no() {
    const CASES: &[(Fields, Option<i64>)] = &[
        (&[], Some(30)),
        (&[("cache-control", "public")], Some(30)),
        (&[("cache-control", "public"), ("vary", "*")], None),
        (&[("cache-control", "private")], None),
        (&[("cache-control", "no-store")], None),
        (&[("cache-control", "max-age=0")], None),
        (&[("set-cookie", "id=1")], None),
        (&[("expires", "0")], None),
    ];
    lifetimes(|layer| layer.default_ttl(Duration::from_secs(30)), CASES).await;
    for store in STORES {
        let bed = Bed::with(
            store,
            |layer| layer.default_ttl(Duration::from_secs(30)),
            |parts| {
                let theme = parts.headers["x-theme"].to_str().unwrap().to_owned();
                response(200, &[("cache-control", "public"), ("vary", "x-theme"), ("vary", "accept-language")], theme)
            },
        )
        .await;
        for theme in ["dark", "light", "dark", "light"] {
            assert_eq!(bed.get_with("/x", &[("x-theme", theme)]).await.text(), theme);
        }
        assert_eq!(bed.calls.get(), 2);
    }
}

#[tokio::test]
async fn what_is_for_one_hop_or_one_client_is_not_stored_with_the_rest() {
    for (fields, gone, there) in [
        (
            &[("connection", "x-own, close"), ("x-own", "1"), ("x-other", "2")][..],
            &["connection", "x-own"][..],
            "x-other",
        ),
        (&[("keep-alive", "timeout=5"), ("te", "trailers"), ("x-other", "2")], &["keep-alive", "te"], "x-other"),
        (
            &[("trailer", "x-sum"), ("proxy-authenticate", "Basic"), ("x-other", "2")],
            &["trailer", "proxy-authenticate"],
            "x-other",
        ),
        (&[("cache-control", "private=\"x-own\""), ("x-own", "1"), ("etag", "\"1\"")], &["x-own"], "etag"),
        (&[("cache-control", "no-cache=\"x-own\""), ("x-own", "1"), ("etag", "\"1\"")], &["x-own"], "etag"),
        // What decides about the response itself stays, whoever names it.
        (&[("connection", "vary, content-type"), ("vary", "x-a"), ("content-type", "a/b")], &["connection"], "vary"),
    ] {
        for store in STORES {
            let bed = Bed::new(store, move |_| {
                let mut response = response(200, fields, "body");
                response.headers_mut().append("cache-control", "max-age=60".parse().unwrap());
                response
            })
            .await;
            bed.get("/x").await;
            let hit = bed.get("/x").await;
            assert!(hit.is_hit(), "{fields:?}");
            for name in gone {
                assert_eq!(hit.headers.get(*name), None, "{fields:?}");
            }
            assert!(hit.headers.contains_key(there), "{fields:?}");
        }
    }
}

#[tokio::test]
async fn a_status_is_kept_by_who_knows_it() {
    const AGED: &str = "max-age=60";
    for (status, directives, kept) in [
        (204, AGED, true),
        (302, AGED, true),
        (302, "", false),
        (404, AGED, true),
        (206, AGED, false), // to a request without Range, too
        (205, AGED, true),
        (304, AGED, false), // to nobody's question
        (421, AGED, false),
        (425, AGED, false),
        (429, AGED, false),
        (599, AGED, false),
        (200, "must-understand, no-store, max-age=60", true),
        (299, "must-understand, no-store, max-age=60", false),
        (299, AGED, true),
    ] {
        for store in STORES {
            let bed = Bed::new(store, move |_| {
                response(status, &[("cache-control", directives), ("content-range", "bytes 0-3/4")], "")
            })
            .await;
            bed.get("/x").await;
            let second = bed.get("/x").await;
            assert_eq!((second.is_hit(), second.status.as_u16()), (kept, status), "{status} {directives}");
        }
    }
}

#[tokio::test]
async fn pragma_counts_where_nothing_newer_is_said() {
    for store in STORES {
        let bed = Bed::new(store, |_| response(200, &[("cache-control", "max-age=60")], "body")).await;
        bed.get("/x").await;
        assert!(!bed.get_with("/x", &[("pragma", "no-cache")]).await.is_hit());
        assert!(bed.get_with("/x", &[("pragma", "no-cache"), ("cache-control", "max-age=30")]).await.is_hit());
        assert!(bed.get_with("/x", &[("pragma", "frob")]).await.is_hit());
        let no_store = bed.get_with("/x", &[("cache-control", "no-store")]).await;
        assert!(!no_store.is_hit());
        assert!(bed.get("/x").await.is_hit(), "and what was stored is there still");
    }
}
