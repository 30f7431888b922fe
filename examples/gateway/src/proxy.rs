//! One request passed on: prepared, sent, waited for, and its response prepared.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use buttress::core::Refusal;
use http::header::{EXPECT, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode, request};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;

use crate::config;
use crate::failure::Failure;
use crate::forward::{self, Hop, Step};
use crate::origin::{OriginBody, own};
use crate::shutdown::Shutdown;
use crate::upgrade;
use crate::upload::{Progress, Unwanted, Upload};
use crate::upstream::Upstream;

/// Passes requests on to the upstream, and says in a problem document what went wrong.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    upstream: Upstream,
    settings: config::Proxy,
    shutdown: Shutdown,
}

// === impl Proxy ===

impl Proxy {
    pub(crate) fn new(upstream: Upstream, settings: config::Proxy, shutdown: Shutdown) -> Self {
        Self { upstream, settings, shutdown }
    }

    pub(crate) async fn answer(&self, request: Request<Incoming>, hop: Hop) -> Response<OriginBody> {
        let (mut parts, body) = request.into_parts();
        if let Step::Answer(answer) = forward::request(&mut parts, hop, self.settings.forwarded) {
            return answer.map(own);
        }
        let asked = parts.headers.clone();
        match self.pass_on(parts, body).await {
            Ok(response) => response,
            Err(failure) => {
                tracing::warn!(reason = failure.as_str(), "the upstream gave no answer");
                refuse(&asked, failure.refusal())
            }
        }
    }

    async fn pass_on(&self, mut parts: request::Parts, body: Incoming) -> Result<Response<OriginBody>, Failure> {
        if !self.upstream.is_http1() {
            parts.headers.remove(UPGRADE);
            parts.headers.remove(EXPECT);
        }
        let hold = parts.headers.contains_key(EXPECT);
        let (mut request, progress) = uploading(parts, body, hold);
        let client_side = upgrade::wanted(&mut request);
        let sent = self.upstream.send(request);
        let mut response = self.in_time(progress.as_deref(), sent).await?;
        let unwanted = progress.and_then(|progress| progress.answered());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let upstream_side = hyper::upgrade::on(&mut response);
            let client_side = client_side.ok_or(Failure::UpstreamProtocol)?;
            upgrade::splice(client_side, upstream_side, self.shutdown.watcher());
        }
        if !forward::response(&mut response) {
            return Err(Failure::UpstreamCoding);
        }
        Ok(response.map(|body| boxed(body, unwanted)))
    }

    /// Waits for the head of the response, and anew for as long as the upload makes progress.
    async fn in_time<T>(
        &self,
        progress: Option<&Progress>,
        response: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut response = pin!(response);
        let mut seen = 0;
        loop {
            if let Ok(result) = timeout(self.settings.timeout, &mut response).await {
                return result;
            }
            match progress {
                Some(progress) if progress.frames() != seen => seen = progress.frames(),
                Some(progress) if progress.is_starving() => return Err(Failure::RequestTimeout),
                _ => return Err(Failure::UpstreamTimeout),
            }
        }
    }
}

/// Most requests have no body, and nothing to watch then.
fn uploading(parts: request::Parts, body: Incoming, hold: bool) -> (Request<Upload>, Option<Arc<Progress>>) {
    if body.is_end_stream() {
        return (Request::from_parts(parts, Upload::empty()), None);
    }
    let (upload, progress) = Upload::new(body, hold);
    let mut request = Request::from_parts(parts, upload);
    if hold {
        let gate = Arc::clone(&progress);
        hyper::ext::on_informational(&mut request, move |informational| {
            if informational.status() == StatusCode::CONTINUE {
                gate.open();
            }
        });
    }
    (request, Some(progress))
}

/// A body that keeps an unwanted upload open until it has been passed on.
fn boxed(body: Incoming, unwanted: Option<Unwanted>) -> OriginBody {
    match unwanted {
        None => body.map_err(Into::into).boxed_unsync(),
        Some(unwanted) => body
            .map_err(move |error| {
                let _held = &unwanted;
                error.into()
            })
            .boxed_unsync(),
    }
}

fn refuse(asked: &HeaderMap, refusal: Refusal) -> Response<OriginBody> {
    refusal.response(asked).map(own)
}
