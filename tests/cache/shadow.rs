//! In shadow mode the service answers everything, and what the cache would have answered is compared with it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress::cache::{ShadowReport, Verdict};
use http::{Method, Response};

use crate::bed::{Bed, Reply, STORES, Store, request, response};
use buttress_tests::body::Scripted;

type Reports = Arc<Mutex<Vec<ShadowReport>>>;

async fn shadowed(
    store: Store,
    answer: impl Fn(&http::request::Parts) -> Response<Scripted> + Send + Sync + 'static,
) -> (Bed, Reports) {
    let reports = Reports::default();
    let bed = Bed::with(
        store,
        |layer| {
            let reports = Arc::clone(&reports);
            layer.shadow(move |report| reports.lock().unwrap().push(report.clone()))
        },
        answer,
    )
    .await;
    (bed, reports)
}

fn verdicts(reports: &Reports) -> Vec<(Verdict, String)> {
    reports.lock().unwrap().drain(..).map(|report| (report.verdict(), report.differs().join(" "))).collect()
}

fn is_untouched(reply: &Reply) -> bool {
    !reply.is_hit() && !reply.headers.contains_key("age")
}

#[tokio::test]
async fn every_request_goes_to_the_service_and_what_is_the_same_is_said_to_be() {
    for store in STORES {
        let (bed, reports) = shadowed(store, |_| response(200, &[("cache-control", "max-age=60")], "the same")).await;
        for call in 1..=3 {
            let reply = bed.get("/x").await;
            assert!(is_untouched(&reply) && reply.text() == "the same");
            assert_eq!(bed.calls.get(), call);
        }
        assert_eq!(verdicts(&reports), [(Verdict::Same, String::new()), (Verdict::Same, String::new())], "{store:?}");
    }
}

#[tokio::test]
async fn what_would_be_out_of_date_is_reported_with_its_age() {
    for store in STORES {
        let revision = AtomicU64::new(0);
        let (bed, reports) = shadowed(store, move |_| {
            let tag = format!("\"{}\"", revision.load(Ordering::Relaxed) / 2);
            let text = format!("revision {}", revision.fetch_add(1, Ordering::Relaxed) / 2);
            response(200, &[("cache-control", "max-age=60"), ("etag", &tag)], text)
        })
        .await;
        bed.get("/x").await; // revision 0 is stored
        bed.get("/x").await;
        bed.hand.advance(Duration::from_secs(12));
        assert_eq!(bed.get("/x").await.text(), "revision 1", "the client gets what there is now");
        let last = reports.lock().unwrap().last().cloned().unwrap();
        assert_eq!(last.to_string(), "/x: changed (etag, body) after 12 s");
        assert_eq!((last.age(), last.uri()), (Duration::from_secs(12), "/x"));
        bed.hand.advance(Duration::from_secs(60));
        verdicts(&reports);
        bed.get("/x").await;
        assert_eq!(verdicts(&reports), [], "what is stale would not have been served");
    }
}

#[tokio::test]
async fn what_would_be_shown_to_somebody_else_is_reported_as_a_leak() {
    // A handler that greets by cookie and says that everybody may have it.
    let (bed, reports) = shadowed(Store::Embedded, |parts| {
        let who = parts.headers.get("cookie").map_or("nobody", |cookie| cookie.to_str().unwrap());
        response(200, &[("cache-control", "public, max-age=60")], format!("hello {who}"))
    })
    .await;
    bed.get_with("/x", &[("cookie", "ann")]).await;
    assert_eq!(bed.get_with("/x", &[("cookie", "bob")]).await.text(), "hello bob");
    assert_eq!(verdicts(&reports), [(Verdict::Leak, "body".to_owned())]);
}

#[tokio::test]
async fn what_the_service_makes_private_for_some_is_reported_as_a_leak() {
    for fields in [("cache-control", "private"), ("cache-control", "no-store"), ("set-cookie", "id=1")] {
        let (bed, reports) = shadowed(Store::Embedded, move |parts| {
            let mut all = vec![("cache-control", "max-age=60")];
            if parts.headers.contains_key("x-member") {
                all = vec![("cache-control", "max-age=60"), fields];
            }
            response(200, &all, "the page")
        })
        .await;
        bed.get("/x").await;
        bed.get_with("/x", &[("x-member", "1")]).await;
        assert_eq!(verdicts(&reports), [(Verdict::Leak, "privacy".to_owned())], "{fields:?}");
    }
}

#[tokio::test]
async fn nothing_is_said_where_there_is_nothing_to_compare() {
    let (bed, reports) = shadowed(Store::Embedded, |parts| match parts.headers.contains_key("if-none-match") {
        true => response(304, &[("etag", "\"1\"")], ""),
        false => response(200, &[("cache-control", "max-age=60"), ("etag", "\"1\"")], "text"),
    })
    .await;
    bed.get("/x").await;
    let confirmed = bed.get_with("/x", &[("if-none-match", "\"1\"")]).await;
    assert_eq!((confirmed.status.as_u16(), bed.calls.get()), (304, 2), "the service's own word");
    assert_eq!(bed.send(request(Method::HEAD, "/x", &[])).await.status, 200);
    assert_eq!(bed.send(request(Method::POST, "/x", &[])).await.status, 200);
    assert_eq!(verdicts(&reports), []);
}

#[tokio::test]
async fn a_change_ends_what_is_stored_in_shadow_too() {
    let revision = AtomicU64::new(0);
    let (bed, reports) = shadowed(Store::Redis, move |parts| {
        let step = u64::from(parts.method == Method::POST);
        let revision = revision.fetch_add(step, Ordering::Relaxed);
        response(200, &[("cache-control", "max-age=60")], format!("{revision}"))
    })
    .await;
    bed.get("/x").await;
    bed.send(request(Method::POST, "/x", &[])).await;
    bed.get("/x").await;
    bed.get("/x").await;
    assert_eq!(verdicts(&reports), [(Verdict::Same, String::new())], "one comparison, with what came after the change");
}

#[tokio::test]
async fn what_is_stored_can_be_looked_at() {
    for store in STORES {
        let bed = Bed::new(store, |_| {
            response(200, &[("cache-control", "max-age=60"), ("vary", "accept"), ("cache-tag", "a,b")], "four")
        })
        .await;
        let layer = buttress::cache::CacheLayer::new(bed.cache.clone());
        let parts = request(Method::GET, "/x", &[("cache-control", "no-cache")]).into_parts().0;
        assert!(layer.peek(&parts).await.is_none());
        bed.get("/x").await;
        bed.hand.advance(Duration::from_secs(70));
        let stored = layer.peek(&parts).await.expect("whatever it may be used for");
        assert_eq!((stored.age(), stored.fresh_for(), stored.body_len()), (Duration::from_secs(70), -10, 4));
        assert_eq!(
            (stored.tags(), stored.varies_on(), stored.is_purged_softly()),
            (2, &["accept".to_owned()][..], false)
        );
        assert!(stored.headers().contains_key("vary") && !stored.headers().contains_key("cache-tag"));
    }
}
