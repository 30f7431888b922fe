//! How orders and questions come to the admin listener, and how they are answered: as JSON.

use buttress::core::Refusal;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What is wrong with an order.
#[derive(Debug)]
pub(crate) enum Bad {
    /// It is of another media type.
    NotJson,
    /// It makes no sense.
    Order(String),
}

/// Reads an order.
pub(crate) fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Bad> {
    // Also what keeps web pages out: a browser asks before it sends this type to another origin.
    if headers.get(CONTENT_TYPE).is_none_or(|kind| !kind.as_bytes().starts_with(b"application/json")) {
        return Err(Bad::NotJson);
    }
    serde_json::from_slice(body).map_err(|error| Bad::Order(error.to_string()))
}

/// An answer.
pub(crate) fn answer(value: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(format!("{value}\n")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The refusal of a bad order.
pub(crate) fn refuse(headers: &HeaderMap, bad: Bad) -> Response<Bytes> {
    let refusal = match bad {
        Bad::NotJson => {
            Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json").detail("an order is application/json")
        }
        Bad::Order(why) => Refusal::new(StatusCode::BAD_REQUEST, "bad-order").detail(why),
    };
    refusal.response(headers)
}
