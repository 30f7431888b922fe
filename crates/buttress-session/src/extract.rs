//! For axum: a [`Session`] as an extractor, and its errors as responses.

use axum_core::body::Body;
use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::HeaderMap;
use http::request::Parts;

use crate::error::{SessionError, SessionErrorKind};
use crate::session::{Map, Session};

/// Refused with 500 where there is no layer.
impl<S: Sync, T> FromRequestParts<S> for Session<T> {
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionError> {
        let session = parts.extensions.get::<Session<Map>>();
        session.map(Session::typed).ok_or(SessionError::new(SessionErrorKind::NoLayer))
    }
}

impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        let mut response = self.refusal().response(&HeaderMap::new()).map(Body::from);
        response.extensions_mut().insert(self.kind());
        response
    }
}
