//! What a response says of the session: its cookie, that it depends on it, or that it could not be kept.

use buttress_core::{EitherBody, Outage, is_grpc};
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, COOKIE, EXPIRES, HeaderMap, HeaderName, HeaderValue, PRAGMA, SET_COOKIE, VARY,
};
use http::{Response, StatusCode};

use crate::commit;
use crate::error::{SessionError, SessionErrorKind};
use crate::policy;
use crate::visit::{CookieFate, Visit};

/// What came of a session.
#[derive(Debug)]
pub(crate) enum Settled {
    /// Nobody asked for it.
    Untouched,
    /// The response passes.
    Kept(CookieFate),
    /// An error takes the response's place.
    Failed(SessionError, CookieFate),
}

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// What came of the session, if the store need not be asked. From now on a write comes too late.
pub(crate) fn conclude(visit: &Visit, status: StatusCode, headers: &HeaderMap) -> Option<Settled> {
    let mut state = visit.state();
    state.late = true;
    if !visit.is_touched() {
        return Some(Settled::Untouched);
    }
    if let Some(error) = state.away.clone().filter(|_| visit.settings.outage == Outage::Closed) {
        return Some(Settled::Failed(error, state.cookie));
    }
    let grpc = grpc_status(headers).filter(|_| is_grpc(headers));
    let is_dropped = policy::is_dropped(status, grpc, visit.settings.keeps_on_error);
    // Somebody may be saving it at this moment, without waiting: the response does, since the cookie depends on it.
    let is_kept = !state.has_work() && visit.writing.try_lock().is_ok();
    (is_dropped || is_kept).then_some(Settled::Kept(state.cookie))
}

/// Keeps what was done, and says what came of it.
pub(crate) async fn settle(visit: &Visit) -> Settled {
    let kept = commit::keep(visit).await;
    let cookie = visit.state().cookie;
    match kept {
        Ok(()) => Settled::Kept(cookie),
        Err(error) if error.kind() == SessionErrorKind::Ended && visit.settings.ignores_ended => Settled::Kept(cookie),
        Err(error) => Settled::Failed(error, cookie),
    }
}

// === impl Settled ===

impl Settled {
    /// The response that says so.
    pub(crate) fn answer<R>(
        self,
        visit: &Visit,
        response: Response<R>,
        content_type: Option<&HeaderValue>,
    ) -> Response<EitherBody<R>> {
        let (mut response, cookie) = match self {
            Self::Untouched => return EitherBody::wrap(response),
            Self::Kept(cookie) => (EitherBody::wrap(response), cookie),
            Self::Failed(error, cookie) => {
                let asked = content_type.map(|kind| (CONTENT_TYPE, kind.clone())).into_iter().collect();
                let mut refused = error.refusal().response(&asked).map(EitherBody::own);
                refused.extensions_mut().insert(error.kind());
                (refused, cookie)
            }
        };
        if visit.state().away.is_some() {
            response.extensions_mut().insert(SessionErrorKind::Away);
        }
        let headers = response.headers_mut();
        depends_on_cookie(headers);
        let settings = &visit.settings;
        let line = match cookie {
            CookieFate::Stays => return response,
            CookieFate::IsSet(id, seconds) => settings.cookie.set(&settings.sealer.seal(&id), seconds),
            CookieFate::IsUnset => {
                headers.extend(settings.clears.clone().map(|clears| (CLEAR_SITE_DATA, clears)));
                settings.cookie.unset()
            }
        };
        is_stored_nowhere(headers);
        headers.append(SET_COOKIE, line);
        response
    }
}

/// Somebody with another cookie would have been answered otherwise.
fn depends_on_cookie(headers: &mut HeaderMap) {
    let names = headers.get_all(VARY).into_iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let mut names = names.map(|name| name.trim_ascii());
    if !names.any(|name| name == b"*" || name.eq_ignore_ascii_case(b"cookie")) {
        headers.append(VARY, HeaderValue::from(COOKIE));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("private"));
}

/// Whoever kept a response with a session's cookie would hand the session to others. Fields for single caches go before the one for all
/// (RFC 9213 §2.2), so they go out.
fn is_stored_nowhere(headers: &mut HeaderMap) {
    let targeted = |name: &HeaderName| name.as_str().ends_with("-cache-control") || name == "surrogate-control";
    let names: Vec<_> = headers.keys().filter(|name| targeted(name)).cloned().collect();
    for name in names.into_iter().chain([EXPIRES, PRAGMA]) {
        headers.remove(name);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

fn grpc_status(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get("grpc-status").map(HeaderValue::as_bytes)
}
