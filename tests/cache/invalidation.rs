//! What a change of state makes outdated.

use http::Method;

use crate::bed::{Bed, STORES, request, response};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

const URIS: [&str; 3] = ["/x", "/made", "/also"];

async fn is_forgotten(method: &str, status: u16, fields: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    let mut forgotten = Vec::new();
    for store in STORES {
        let fields = fields.to_vec();
        let bed = Bed::new(store, move |parts| match parts.method {
            Method::GET => response(200, &[FRESH, ("vary", "x-v")], "body"),
            _ => response(status, &fields, ""),
        })
        .await;
        for uri in URIS {
            for variant in ["1", "2"] {
                bed.get_with(uri, &[("x-v", variant)]).await;
            }
        }
        bed.send(request(method.parse().unwrap(), "/x", &[])).await;
        let mut gone = Vec::new();
        for uri in URIS {
            let one = bed.get_with(uri, &[("x-v", "1")]).await.is_hit();
            let two = bed.get_with(uri, &[("x-v", "2")]).await.is_hit();
            assert_eq!(one, two, "all variants or none");
            gone.extend((!one).then_some(uri));
        }
        forgotten.push(gone);
    }
    assert_eq!(forgotten[0], forgotten[1], "both stores forget alike");
    forgotten.swap_remove(0)
}

#[tokio::test]
async fn a_change_makes_the_target_and_what_it_names_outdated() {
    for (method, status, fields, expected) in [
        ("POST", 200, &[][..], &["/x"][..]),
        ("PUT", 204, &[], &["/x"]),
        ("DELETE", 200, &[], &["/x"]),
        ("FROBNICATE", 200, &[], &["/x"]),
        ("POST", 303, &[("location", "/made")], &["/x", "/made"]),
        (
            "POST",
            201,
            &[("location", "http://example.com/made"), ("content-location", "also")],
            &["/x", "/made", "/also"],
        ),
        ("POST", 201, &[("location", "http://EXAMPLE.com:80/made"), ("content-location", "//example.com/also")], &URIS),
        ("POST", 201, &[("location", "./made#part")], &["/x", "/made"]),
        ("POST", 201, &[("location", "http://example.com:8080/made")], &["/x"]),
        ("POST", 201, &[("location", "https://example.com/made")], &["/x"]),
        ("POST", 201, &[("location", "http://[nonsense")], &["/x"]),
        ("POST", 201, &[("location", "http://elsewhere.example/made")], &["/x"]),
        ("POST", 404, &[], &[]),
        ("POST", 500, &[], &[]),
        ("OPTIONS", 200, &[], &[]),
    ] {
        assert_eq!(is_forgotten(method, status, fields).await, expected, "{method} {status} {fields:?}");
    }
}
