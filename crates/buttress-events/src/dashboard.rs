//! A page of figures, live, and the same as JSON: a service to mount anywhere.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use buttress_core::Refusal;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tower_service::Service;

use crate::events::Events;
use crate::live::Live;
use crate::overview::Look;

/// The dashboard, and its JSON.
///
/// | path, below where it is mounted | answers |
/// |---|---|
/// | `` (with a slash at its end) | the page, which needs nothing from elsewhere |
/// | `api/overview?window=60m` | its figures as JSON; also `24h` and `30d` |
/// | `live?window=60m` | the same each second, as server-sent events |
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let events = buttress_events::Events::embedded();
/// use buttress_events::Dashboard;
///
/// let dashboard = Dashboard::new(events); // axum: Router::new().nest_service("/events/", dashboard)
/// # let _ = dashboard;
/// # }
/// ```
///
/// It shows what a business does: mount it where only those come who may know it. One reader asks the store for all who look, each second, and none while
/// nobody does; the 101st who looks is answered with 503.
#[derive(Clone)]
pub struct Dashboard {
    events: Events,
    live: Arc<Live>,
}

/// The body of an answer of the [`Dashboard`].
pub struct DashboardBody(Kind);

enum Kind {
    Whole(Option<Bytes>),
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

type Answer = Response<DashboardBody>;

/// The page and what belongs to it: its name, its kind, its content.
const FILES: [(&str, &str, &str); 6] = [
    ("", "text/html; charset=utf-8", include_str!("dashboard/page.html")),
    ("page.css", "text/css; charset=utf-8", include_str!("dashboard/page.css")),
    ("page.js", "text/javascript; charset=utf-8", include_str!("dashboard/page.js")),
    ("chart.js", "text/javascript; charset=utf-8", include_str!("dashboard/chart.js")),
    ("icon.svg", "image/svg+xml", include_str!("dashboard/icon.svg")),
    ("format.js", "text/javascript; charset=utf-8", include_str!("dashboard/format.js")),
];

/// Nothing from elsewhere, nothing inline, and in nobody's frame: names on the page come from visitors.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (HeaderName::from_static("x-content-type-options"), "nosniff"),
    (HeaderName::from_static("referrer-policy"), "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (CACHE_CONTROL, "no-store"),
];

// === impl Dashboard ===

impl Dashboard {
    /// The dashboard of these events.
    #[must_use]
    pub fn new(events: Events) -> Self {
        Self { live: Live::new(events.clone()), events }
    }

    async fn answer(self, method: Method, path: String, query: Option<String>, fields: HeaderMap) -> Answer {
        if !matches!(method, Method::GET | Method::HEAD) {
            let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "only-get").detail("figures can only be read");
            return refuse(refusal.header(ALLOW, HeaderValue::from_static("GET, HEAD")), &fields);
        }
        let file = path.rsplit('/').next().unwrap_or_default();
        if let Some((_, kind, content)) = FILES.iter().find(|(name, ..)| *name == file) {
            return whole(kind, Bytes::from_static(content.as_bytes()));
        }
        let Some(look) = Look::of(query.as_deref()) else {
            let refusal = Refusal::new(StatusCode::BAD_REQUEST, "unknown-window");
            return refuse(refusal.detail("window is one of 60m, 24h and 30d"), &fields);
        };
        match file {
            "overview" if path.ends_with("api/overview") => self.overview(look, &fields).await,
            "live" if method == Method::HEAD => whole("text/event-stream", Bytes::new()),
            "live" => self.live(look, &fields),
            _ => {
                let refusal = Refusal::new(StatusCode::NOT_FOUND, "no-such-page");
                refuse(refusal.detail("there are the page, with a slash at its end, api/overview and live"), &fields)
            }
        }
    }

    async fn overview(&self, look: Look, fields: &HeaderMap) -> Answer {
        match self.events.overview(look).await {
            Ok(overview) => {
                let json = serde_json::to_vec(&overview).expect("figures can be written");
                whole("application/json", json.into())
            }
            Err(error) => {
                let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "counts-away").detail(error.to_string());
                refuse(refusal, fields)
            }
        }
    }

    fn live(&self, look: Look, fields: &HeaderMap) -> Answer {
        let Some(figures) = self.live.watch(look) else {
            let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-watchers");
            return refuse(refusal.detail("a hundred look already"), fields);
        };
        let begin = futures_util::stream::iter([Bytes::from_static(b"retry: 1000\n\n")]);
        respond("text/event-stream", DashboardBody(Kind::Stream(Box::pin(begin.chain(figures)))))
    }
}

impl<B> Service<Request<B>> for Dashboard {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, _) = request.into_parts();
        let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().map(str::to_owned));
        let answer = self.clone().answer(parts.method, path, query, parts.headers);
        Box::pin(async move { Ok(answer.await) })
    }
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dashboard").field("events", &self.events).finish_non_exhaustive()
    }
}

fn whole(kind: &'static str, content: Bytes) -> Answer {
    respond(kind, DashboardBody(Kind::Whole(Some(content))))
}

fn respond(kind: &'static str, body: DashboardBody) -> Answer {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    protect(response)
}

fn refuse(refusal: Refusal, fields: &HeaderMap) -> Answer {
    protect(refusal.response(fields).map(|body| DashboardBody(Kind::Whole(Some(body)))))
}

fn protect(mut response: Answer) -> Answer {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

// === impl DashboardBody ===

impl Body for DashboardBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Kind::Whole(content) => Poll::Ready(
                content.take().filter(|content| !content.is_empty()).map(|content| Ok(Frame::data(content))),
            ),
            Kind::Stream(stream) => stream.poll_next_unpin(cx).map(|event| event.map(|event| Ok(Frame::data(event)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Kind::Whole(content) if content.as_ref().is_none_or(Bytes::is_empty))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(content) => SizeHint::with_exact(content.as_ref().map_or(0, |content| content.len() as u64)),
            Kind::Stream(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for DashboardBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DashboardBody")
    }
}
