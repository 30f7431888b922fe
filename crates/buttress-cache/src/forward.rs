//! Requests that the cache does not answer; and what their success makes outdated.

use std::sync::Arc;

use buttress_rfc9111::cache_status::{CacheStatus, Forward};
use buttress_rfc9111::{groups, invalidation};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, request};
use metrics::counter;
use tower_service::Service;

use crate::body::CacheBody;
use crate::cache::Cache;
use crate::key;
use crate::keyed::Beside;
use crate::layer::Settings;
use crate::policy::{self, Bypass};
use crate::purge::Purge;

/// Forwards a request; when it may have changed something and succeeded, forgets what RFC 9111 section 4.4 names
/// before the response goes out, so that the client's next request does not find what it has just changed.
pub(crate) async fn forward<S, B, R>(
    mut inner: S,
    cache: Cache,
    settings: Arc<Settings>,
    parts: request::Parts,
    body: B,
    why: Bypass,
) -> Result<Response<CacheBody<R>>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    counter!("buttress_cache_requests_total", "outcome" => why.as_str()).increment(1);
    let changing = policy::may_change(&parts.method).then(|| template(&parts));
    let beside = parts.extensions.get::<Beside>().is_some();
    let mut response = inner.call(Request::from_parts(parts, body)).await?;
    if let Some(template) = changing {
        forget_outdated(&cache, &settings, template, beside, response.status(), response.headers()).await;
    }
    settings.strip_tags(response.headers_mut());
    if settings.announce {
        let reason = if why == Bypass::Method { Forward::Method } else { Forward::Bypass };
        CacheStatus::forwarded(&settings.name, reason).append_to(response.headers_mut());
    }
    Ok(response.map(CacheBody::inner))
}

async fn forget_outdated(
    cache: &Cache,
    settings: &Settings,
    mut template: request::Parts,
    beside: bool,
    status: StatusCode,
    response: &HeaderMap,
) {
    let Some(target) = absolute(&template) else { return };
    for uri in invalidation::targets(&template.method, &target, status, response) {
        template.uri = uri;
        let _counted_there = cache.forget_beside(&template.uri, beside).await.is_ok();
        if let Err(error) = cache.forget(&settings.key_of(&as_get(&template))).await {
            Cache::count_error("forget", &error);
        }
    }
    for name in groups::invalidated(&template.method, status, response) {
        if let Ok(purge) = Purge::group(&target, name) {
            let _counted_there = cache.purge(purge).await.is_ok();
        }
    }
}

/// What the keys of other URIs are made of: the request without its extensions.
fn template(parts: &request::Parts) -> request::Parts {
    let mut template = Request::new(()).into_parts().0;
    template.method = parts.method.clone();
    template.uri = parts.uri.clone();
    template.version = parts.version;
    template.headers = parts.headers.clone();
    template
}

fn as_get(template: &request::Parts) -> request::Parts {
    let mut parts = template.clone();
    parts.method = Method::GET;
    parts
}

/// The URI of a request, its authority taken from `Host` where the target has none.
fn absolute(parts: &request::Parts) -> Option<Uri> {
    let scheme = parts.uri.scheme().cloned().unwrap_or(Scheme::HTTP);
    let authority: Authority = key::authority(parts)?;
    let path = parts.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().ok()
}
