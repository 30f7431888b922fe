//! Bodies pass while the entry fills; only whole ones are kept.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use buttress::cache::{Cache, CacheLayer, CacheOptions};
use buttress_tests::body::{self, Scripted, Slow, Tap};
use buttress_tests::counting;
use http::{Method, Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tower::{Layer as _, ServiceExt as _};

use crate::bed::{Bed, Body, STORES, request, response};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

/// A service whose bodies come slowly, through the taps in the list; `length` is what it announces.
macro_rules! slow_service {
    ($layer:expr, $length:expr) => {{
        let taps = Arc::new(Mutex::new(Vec::<Tap>::new()));
        let (origin, calls) = counting({
            let taps = Arc::clone(&taps);
            move |_: Request<Body>| {
                let (tap, body): (Tap, Slow) = body::slow();
                taps.lock().unwrap().push(tap);
                let length: Option<u64> = $length;
                async move {
                    let mut response = Response::builder().header("cache-control", "max-age=60");
                    if let Some(length) = length {
                        response = response.header("content-length", length);
                    }
                    Ok::<_, Infallible>(response.body(body).unwrap())
                }
            }
        });
        ($layer.layer(origin), taps, calls)
    }};
}

#[tokio::test]
async fn the_client_reads_while_the_entry_fills() {
    let (service, taps, calls) = slow_service!(CacheLayer::new(Cache::embedded()), None);
    let response = service.clone().oneshot(request(Method::GET, "/x", &[])).await.unwrap();
    let mut body = response.into_body();
    let tap = taps.lock().unwrap()[0].clone();
    for part in ["one", "two"] {
        assert!(tap.data(part));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), part);
    }
    drop(tap);
    taps.lock().unwrap().clear();
    assert!(body.frame().await.is_none());
    let (_, stored, _) = body::collect(service.oneshot(request(Method::GET, "/x", &[])).await.unwrap()).await;
    assert_eq!((&stored[..], calls.get()), (&b"onetwo"[..], 1));
}

#[tokio::test]
async fn a_body_that_ends_wrongly_is_not_kept() {
    for store in STORES {
        for (length, make) in [
            (None, (|| Scripted::of(["half"]).breaks()) as fn() -> Scripted),
            (Some(9), || Scripted::of(["half"]).hides_length()),
            (Some(2), || Scripted::of(["half"]).hides_length()),
        ] {
            let bed = Bed::new(store, move |_| {
                let mut response = Response::builder().header(FRESH.0, FRESH.1);
                if let Some(length) = length {
                    response = response.header("content-length", length);
                }
                response.body(make()).unwrap()
            })
            .await;
            for call in 1..=2 {
                // Read by hand: the body may break, and then must break for the client too.
                let reply = bed.read(request(Method::GET, "/x", &[])).await;
                assert_eq!(reply.is_err(), length.is_none());
                assert_eq!(bed.calls.get(), call, "{length:?}");
            }
        }
    }
}

#[tokio::test]
async fn trailers_are_kept() {
    for store in STORES {
        let bed = Bed::new(store, |_| {
            let trailers = http::HeaderMap::from_iter([(http::HeaderName::from_static("x-sum"), "7".parse().unwrap())]);
            Response::builder().header(FRESH.0, FRESH.1).body(Scripted::of(["a", "b"]).trailers(trailers)).unwrap()
        })
        .await;
        bed.get("/x").await;
        let hit = bed.get("/x").await;
        assert_eq!((hit.is_hit(), hit.text()), (true, "ab"));
        assert_eq!(hit.trailers.unwrap()["x-sum"], "7");
    }
}

#[tokio::test]
async fn what_is_too_large_passes_and_is_not_kept() {
    for store in STORES {
        for hides in [false, true] {
            let bed = Bed::with(
                store,
                |layer| layer.max_body(1000),
                move |_| {
                    let body = Scripted::of(vec![vec![b'x'; 600], vec![b'y'; 600]]);
                    let body = if hides { body.hides_length() } else { body };
                    Response::builder().header(FRESH.0, FRESH.1).body(body).unwrap()
                },
            )
            .await;
            for _ in 0..2 {
                let reply = bed.get("/x").await;
                assert_eq!((reply.body.len(), reply.is_hit()), (1200, false));
            }
        }
    }
}

#[tokio::test]
async fn an_empty_body_is_kept() {
    for store in STORES {
        let bed = Bed::new(store, |_| {
            Response::builder().header(FRESH.0, FRESH.1).body(Scripted::of(Vec::<bytes::Bytes>::new())).unwrap()
        })
        .await;
        bed.get("/x").await;
        let hit = bed.get("/x").await;
        assert_eq!((hit.is_hit(), hit.body.len()), (true, 0));
    }
}

#[tokio::test]
async fn a_client_that_leaves_does_not_waste_a_nearly_finished_fill() {
    let (service, taps, calls) = slow_service!(CacheLayer::new(Cache::embedded()), Some(6));
    let response = service.clone().oneshot(request(Method::GET, "/x", &[])).await.unwrap();
    let mut body = response.into_body();
    let tap = taps.lock().unwrap().remove(0);
    tap.data("half");
    body.frame().await;
    drop(body);
    assert!(tap.data("ed"), "somebody still reads");
    drop(tap);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let (_, stored, _) = body::collect(service.oneshot(request(Method::GET, "/x", &[])).await.unwrap()).await;
    assert_eq!((&stored[..], calls.get()), (&b"halfed"[..], 1));
}

#[tokio::test]
async fn a_client_that_leaves_early_stops_a_long_transfer() {
    let (service, taps, _) = slow_service!(CacheLayer::new(Cache::embedded()), Some(5_000_000));
    let response = service.oneshot(request(Method::GET, "/x", &[])).await.unwrap();
    let mut body = response.into_body();
    let tap = taps.lock().unwrap().remove(0);
    tap.data("a little");
    body.frame().await;
    drop(body);
    tokio::time::timeout(std::time::Duration::from_secs(5), tap.abandoned()).await.expect("nobody reads on");
}

#[tokio::test]
async fn fills_share_a_bounded_memory() {
    // Room for 32 MiB of fills: bodies that would need more pass through, unstored.
    let layer = CacheLayer::new(CacheOptions::new().capacity(1 << 20).embedded()).max_body(64 << 20);
    let (service, taps, _) = slow_service!(layer, None);
    let mut bodies = Vec::new();
    for number in 0..6 {
        let uri = format!("/{number}");
        bodies.push(service.clone().oneshot(request(Method::GET, &uri, &[])).await.unwrap().into_body());
    }
    let chunk = bytes::Bytes::from(vec![0; 1 << 20]);
    for _ in 0..10 {
        let open = taps.lock().unwrap().clone();
        for (tap, body) in open.iter().zip(&mut bodies) {
            tap.data(chunk.clone());
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 1 << 20);
        }
    }
    // 60 MiB were offered to the fills: each body arrived whole, and no more than the room was taken.
    assert!(bodies.iter().all(|body| !body.is_end_stream()));
}

#[tokio::test]
async fn a_hit_knows_its_length() {
    let bed = Bed::new(crate::bed::Store::Embedded, |_| response(200, &[FRESH], "12345")).await;
    bed.get("/x").await;
    let hit = bed.open(request(Method::GET, "/x", &[])).await;
    assert_eq!(hit.body().size_hint().exact(), Some(5));
}

#[tokio::test]
async fn nobody_waits_for_a_stream_that_has_no_end() {
    for media_type in ["text/event-stream", "Text/Event-Stream; charset=utf-8", "multipart/x-mixed-replace;boundary=x"]
    {
        let taps = Arc::new(Mutex::new(Vec::<Tap>::new()));
        let origin = {
            let taps = Arc::clone(&taps);
            tower::service_fn(move |_: Request<Body>| {
                let (tap, body) = body::slow();
                taps.lock().unwrap().push(tap);
                async move {
                    Ok::<_, Infallible>(Response::builder().header("content-type", media_type).body(body).unwrap())
                }
            })
        };
        // By a lifetime that somebody gave to everything.
        let cache = Cache::embedded();
        let layer = CacheLayer::new(cache.clone()).default_ttl(std::time::Duration::from_secs(60));
        let service = layer.layer(origin);
        let listeners = async {
            let mut bodies = Vec::new();
            for number in 0..10 {
                let response = service.clone().oneshot(request(Method::GET, "/events", &[])).await.unwrap();
                let mut body = response.into_body();
                let tap = taps.lock().unwrap()[number].clone();
                assert!(tap.data("first"));
                assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
                bodies.push(body);
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(4), listeners).await.expect("each has its own at once");
        assert_eq!(cache.weight() / 1024, 0, "nothing but the word not to queue");
    }
}
