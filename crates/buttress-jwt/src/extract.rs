//! Extractors for axum: a [`Token`], or its claims as a type.
//!
//! Both are refused with 401 where no token was let through: behind an open or optional rule, ask for an `Option`.

use std::convert::Infallible;

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::Response;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::fault::Fault;
use crate::reason::{Challenges, Reason};
use crate::token::{Jwt, Token};

impl<S: Sync> FromRequestParts<S> for Token {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        parts.extensions.get().cloned().ok_or_else(|| refused(Reason::NoToken, parts))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Token {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get().cloned())
    }
}

impl<S: Sync, T: DeserializeOwned + Send + Sync + 'static> FromRequestParts<S> for Jwt<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        typed(parts)?.ok_or_else(|| refused(Reason::NoToken, parts))
    }
}

impl<S: Sync, T: DeserializeOwned + Send + Sync + 'static> OptionalFromRequestParts<S> for Jwt<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Response> {
        typed(parts)
    }
}

/// The claims as the layer has read them, or read now.
#[expect(clippy::result_large_err, reason = "a rejection is a response")]
fn typed<T: DeserializeOwned + Send + Sync + 'static>(parts: &Parts) -> Result<Option<Jwt<T>>, Response> {
    if let Some(claims) = parts.extensions.get::<Jwt<T>>() {
        return Ok(Some(claims.clone()));
    }
    let Some(token) = parts.extensions.get::<Token>() else { return Ok(None) };
    Jwt::of(token).map(Some).map_err(|_| refused(Reason::Invalid(Fault::Claims), parts))
}

fn refused(reason: Reason, parts: &Parts) -> Response {
    reason.refusal(None, &Challenges::default()).response(&parts.headers).map(Body::from)
}
