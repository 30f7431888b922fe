//! Many keys, many variants, many purges: memory stays within its bound, what is asked for often stays, and nothing that was purged
//! is served in the rush.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use buttress::cache::{Cache, CacheLayer, CacheOptions, Normalization, Purge};
use buttress_tests::{RedisServer, body, counting};
use http::Method;
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Bed, Body, STORES, Store, patient, request, response};

const FRESH: (&str, &str) = ("cache-control", "max-age=600");
const CAPACITY: u64 = 1 << 20;

/// A process with a megabyte, which answers with a kilobyte. Variants by two fields.
fn small(settings: impl FnOnce(CacheLayer) -> CacheLayer) -> Bed {
    let hand = buttress::core::ManualClock::at(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let cache = CacheOptions::new().capacity(CAPACITY).clock(hand.clock()).embedded();
    Bed::over(cache, hand, settings, |parts| {
        let fields = [FRESH, ("vary", "accept-language, user-agent")];
        let fields = if parts.uri.path() == "/varies" { &fields[..] } else { &fields[..1] };
        response(200, fields, vec![b'x'; 1024])
    })
}

/// Asks for each of twenty pages in turn while something else floods the store, and counts how often it was there.
async fn hot_hits(bed: &Bed, flood: impl AsyncFn(usize)) -> usize {
    let mut hits = 0;
    for number in 0..20_000 {
        flood(number).await;
        if number % 10 == 0 {
            hits += usize::from(bed.get(&format!("/hot/{}", number / 10 % 20)).await.is_hit());
        }
        assert!(bed.cache.weight() <= CAPACITY, "{} bytes", bed.cache.weight());
    }
    hits
}

#[tokio::test]
async fn a_flood_of_queries_takes_no_more_than_its_room_and_leaves_what_is_hot() {
    let bed = small(|layer| layer);
    let hits = hot_hits(&bed, async |number| drop(bed.get(&format!("/page?{number}")).await)).await;
    assert!(hits > 1_800, "{hits} of 2000");
    assert!(bed.cache.len() > 500, "{} are there: the room is used", bed.cache.len());
}

#[tokio::test]
async fn a_flood_of_variants_takes_no_more_than_its_room_and_leaves_what_is_hot() {
    let bed = small(|layer| layer);
    let flood = async |number: usize| {
        let (language, agent) = (format!("x{number}"), format!("agent {number}"));
        drop(bed.get_with("/varies", &[("accept-language", &language), ("user-agent", &agent)]).await);
    };
    let hits = hot_hits(&bed, flood).await;
    assert!(hits > 1_800, "{hits} of 2000");
    // And the page itself still works for those who come twice.
    let fields = [("accept-language", "de"), ("user-agent", "somebody")];
    bed.get_with("/varies", &fields).await;
    assert!(bed.get_with("/varies", &fields).await.is_hit());
}

#[tokio::test]
async fn a_list_of_languages_makes_few_variants_of_many_requests() {
    for store in STORES {
        let list = |layer: CacheLayer| layer.normalization(Normalization::new().languages(["de", "en"]));
        let bed = Bed::with(store, list, |parts| {
            let language = parts.headers["accept-language"].to_str().unwrap().to_owned();
            response(200, &[FRESH, ("vary", "accept-language")], language)
        })
        .await;
        for number in 0..200 {
            let language = format!("x{number}, de;q=0.{}, en;q=0.05", number % 9 + 1);
            bed.get_with("/x", &[("accept-language", &language)]).await;
        }
        assert!(bed.calls.get() <= 3, "{store:?}: {} variants", bed.calls.get());
    }
}

#[tokio::test]
async fn a_key_that_is_too_long_is_not_worth_its_memory() {
    for store in STORES {
        let bed = Bed::new(store, |_| response(200, &[FRESH], "body")).await;
        for _ in 0..2 {
            let long = bed.get(&format!("/{}", "x".repeat(9_000))).await;
            assert!(long.header("cache-status").contains("fwd=bypass"), "{long:?}");
        }
        assert!(bed.cache.is_empty());
        if let Some(server) = &bed.redis {
            assert_eq!(server.cli(&["KEYS", "*{??????????????????????}*"]).array().len(), 0);
        }
    }
}

/// Purges without a pause, while four tasks in each of two processes ask without a pause. What a process has purged itself it
/// never serves again; what the other has purged it serves for as long as it may be behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_purges_lets_nothing_old_through() {
    for store in STORES {
        let server = matches!(store, Store::Redis).then(RedisServer::start);
        let revision = Arc::new(AtomicUsize::new(1));
        let purged = Arc::new(AtomicUsize::new(0));
        let (over, hits) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let cache = match &server {
            Some(server) => CacheOptions::new().redis(patient(server).await),
            None => Cache::embedded(),
        };
        let (origin, _) = counting({
            let revision = Arc::clone(&revision);
            move |_: http::Request<Body>| {
                let revision = revision.load(Ordering::SeqCst).to_string();
                async move {
                    tokio::task::yield_now().await; // what it has read may be old by now
                    Ok::<_, Infallible>(response(200, &[FRESH, ("surrogate-key", "a b c")], revision))
                }
            }
        });
        let service = CacheLayer::new(cache.clone()).layer(origin);
        let askers: Vec<_> = (0..4)
            .map(|_| {
                let (service, over, purged, hits) =
                    (service.clone(), Arc::clone(&over), Arc::clone(&purged), Arc::clone(&hits));
                tokio::spawn(async move {
                    while !over.load(Ordering::SeqCst) {
                        let least = purged.load(Ordering::SeqCst);
                        let response = service.clone().oneshot(request(Method::GET, "http://h/x", &[])).await.unwrap();
                        let (parts, body, _) = body::collect(response).await;
                        let seen: usize = std::str::from_utf8(&body).unwrap().parse().unwrap();
                        assert!(seen >= least, "{store:?}: {seen} after {least} was purged");
                        let is_hit = parts.headers["cache-status"].to_str().unwrap().contains("; hit");
                        hits.fetch_add(usize::from(is_hit), Ordering::SeqCst);
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for number in 0..600 {
            let now = revision.fetch_add(1, Ordering::SeqCst) + 1;
            let purge = match number % 6 {
                0 => Purge::tag("a"),
                1 => Purge::tag("b").soft(),
                2 => Purge::uri(&"http://h/x".parse().unwrap()).unwrap(),
                3 => Purge::host("h").unwrap(),
                4 => Purge::prefix(&"http://h/".parse().unwrap()).unwrap(),
                _ => Purge::everything(),
            };
            // On a busy machine one may miss its deadline, and says so.
            if cache.purge(purge).await.is_ok() {
                purged.store(now, Ordering::SeqCst);
            }
            if number % 20 == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        over.store(true, Ordering::SeqCst);
        for asker in askers {
            asker.await.unwrap();
        }
        assert!(hits.load(Ordering::SeqCst) > 10, "{store:?}: {hits:?} hits");
        assert!(purged.load(Ordering::SeqCst) > 300, "{store:?}: {purged:?} was purged last");
    }
}
