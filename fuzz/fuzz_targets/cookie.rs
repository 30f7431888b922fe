#![no_main]
//! Cookies: taking some out leaves the others as they are, and nobody makes a session up.

use std::convert::Infallible;
use std::sync::LazyLock;

use buttress_core::cookie;
use buttress_session::{CookieKey, Session, SessionLayer, Sessions};
use futures_util::FutureExt as _;
use http::header::{COOKIE, HeaderMap, HeaderValue};
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer as _, ServiceExt as _};

const NAME: &str = "__Host-sid";

static LAYER: LazyLock<SessionLayer> = LazyLock::new(|| {
    let secret: [u8; 32] = std::array::from_fn(|at| (at * 37) as u8 ^ 0x5a);
    SessionLayer::new(Sessions::embedded(CookieKey::new(secret).expect("a key")))
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let fields = data.split(|byte| *byte == b'\n').filter_map(|field| HeaderValue::from_bytes(field).ok());
    let headers: HeaderMap = fields.map(|field| (COOKIE, field)).collect();
    let others = |headers: &HeaderMap| {
        let pairs = headers.get_all(COOKIE).into_iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
        let pairs = pairs.map(|pair| pair.trim_ascii().to_vec()).filter(|pair| !pair.is_empty());
        let name = |pair: &Vec<u8>| pair.split(|byte| *byte == b'=').next().map(|name| name.trim_ascii_end().to_vec());
        pairs.filter(|pair| !pair.contains(&b'=') || name(pair).as_deref() != Some(NAME.as_bytes())).collect::<Vec<_>>()
    };
    let mut without = headers.clone();
    cookie::remove(&mut without, NAME);
    assert!(cookie::values(&without, NAME).next().is_none());
    assert_eq!(others(&without), others(&headers));

    let service = tower::service_fn(|request: Request<()>| async move {
        let session = request.extensions().get::<Session>().expect("a session").clone();
        assert!(session.is_empty().await.expect("it is embedded"));
        Ok::<_, Infallible>(Response::new(Full::<bytes::Bytes>::default()))
    });
    let mut request = Request::new(());
    *request.headers_mut() = headers;
    let response = LAYER.layer(service).oneshot(request).now_or_never().expect("nobody is asked").expect("an answer");
    assert!(!response.headers().contains_key("set-cookie"));
});
