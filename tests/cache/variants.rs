//! One URI, several responses.

use buttress_tests::body::Scripted;
use http::Response;

use crate::bed::{Bed, STORES, response};

fn by_language(parts: &http::request::Parts) -> Response<Scripted> {
    let language = parts.headers.get("accept-language").map_or("none", |value| value.to_str().unwrap()).to_owned();
    response(200, &[("cache-control", "max-age=60"), ("vary", "Accept-Language")], language)
}

#[tokio::test]
async fn each_variant_goes_to_those_it_is_for() {
    for store in STORES {
        let bed = Bed::new(store, by_language).await;
        for language in ["de", "en", "fr"] {
            assert!(!bed.get_with("/x", &[("accept-language", language)]).await.is_hit());
        }
        for language in ["de", "en", "fr"] {
            let reply = bed.get_with("/x", &[("accept-language", language)]).await;
            assert_eq!((reply.is_hit(), reply.text()), (true, language));
        }
        let absent = bed.get("/x").await;
        assert_eq!((absent.is_hit(), absent.text()), (false, "none"));
        assert!(absent.header("cache-status").contains("fwd=vary-miss"), "{absent:?}");
        assert_eq!(bed.calls.get(), 4);
    }
}

#[tokio::test]
async fn spelling_does_not_make_a_variant() {
    for store in STORES {
        let bed = Bed::new(store, by_language).await;
        bed.get_with("/x", &[("accept-language", "de, en;q=0.5")]).await;
        for same in ["de,en;q=0.5", "DE , en; q=0.50", "en;q=0.5,de"] {
            assert!(bed.get_with("/x", &[("accept-language", same)]).await.is_hit(), "{same}");
        }
    }
}

#[tokio::test]
async fn a_service_that_begins_to_vary_is_followed() {
    for store in STORES {
        let bed = Bed::new(store, |parts| {
            let user = parts.headers.get("x-user").map_or("nobody", |value| value.to_str().unwrap()).to_owned();
            let language = parts.headers.get("accept-language").is_some();
            let vary = if language { "accept-language, x-user" } else { "x-user" };
            response(200, &[("cache-control", "max-age=60"), ("vary", vary)], user)
        })
        .await;
        for (user, language) in [("a", None), ("b", None), ("a", Some("de")), ("b", Some("de")), ("a", Some("en"))] {
            let mut headers = vec![("x-user", user)];
            headers.extend(language.map(|language| ("accept-language", language)));
            assert_eq!(bed.get_with("/x", &headers).await.text(), user);
            assert_eq!(bed.get_with("/x", &headers).await.text(), user);
        }
    }
}

#[tokio::test]
async fn vary_star_is_never_reused() {
    for store in STORES {
        let bed = Bed::new(store, |_| response(200, &[("cache-control", "max-age=60"), ("vary", "*")], "once")).await;
        bed.get("/x").await;
        assert!(!bed.get("/x").await.is_hit());
    }
}
