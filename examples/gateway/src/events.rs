//! `[events]`: what is counted, and where it goes.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use buttress::core::ResponseFuture;
use buttress::events::{Events, EventsBody, EventsFuture, EventsLayer, EventsService};
use buttress::redis::Redis;
use futures_util::future::Either;
use http::header::{HOST, REFERER};
use http::{HeaderMap, Request, Response, Uri};
use hyper::body::Incoming;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use metrics_util::layers::FanoutBuilder;
use serde::Deserialize;
use tower_layer::Layer as _;
use tower_service::Service;

use crate::config::{Config, Problem, Seconds};
use crate::forward::Hop;
use crate::stack::{Door, DoorBody};

/// `[events]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EventsTable {
    routes: Vec<String>,
    paths: bool,
    referrers: bool,
    visitors: bool,
    most_series: Option<usize>,
    otlp: Option<String>,
    otlp_every: Option<Seconds>,
}

/// Who counts.
#[derive(Clone, Debug)]
pub(crate) struct Counting {
    pub(crate) events: Events,
    table: Arc<EventsTable>,
    layer: EventsLayer,
}

/// The door, perhaps with somebody who counts.
#[derive(Clone, Debug)]
pub(crate) enum Front {
    Plain(Door),
    Counted(EventsService<Door>),
}

/// What a collector is told of, where nobody says otherwise.
const SERVICE: &str = "gateway";
const OTLP_EVERY: Duration = Duration::from_secs(15);

// === impl Counting ===

impl Counting {
    /// Counts if there is a table, an admin listener that shows it, or a demo.
    pub(crate) fn of(config: &Config, redis: Option<&Redis>) -> Result<Option<Self>, Problem> {
        let is_seen = config.admin.is_some() || config.upstream.is_none();
        let table = match &config.events {
            Some(table) => table.clone(),
            None if is_seen => EventsTable::default(),
            None => return Ok(None),
        };
        let mut options = Events::options();
        if let Some(prefix) = &config.cache.prefix {
            options = options.prefix(prefix);
        }
        if let Some(count) = table.most_series {
            options = options.most_series(count);
        }
        let events = match redis {
            Some(redis) => options.redis(redis.clone()),
            None => options.embedded(),
        };
        if let Some(collector) = &table.otlp {
            let every = table.otlp_every.map_or(OTLP_EVERY, |seconds| seconds.0.max(Duration::from_secs(1)));
            let pushing = events.push_otlp(collector, SERVICE, every);
            tokio::spawn(pushing.map_err(|error| Problem::new("[events] otlp", collector, error))?);
        }
        let named = config.routes.iter().map(|route| route.path.clone());
        let routes: Vec<_> = table.routes.iter().cloned().chain(named).collect();
        if let Some(route) = routes.iter().find(|route| !route.starts_with('/')) {
            return Err(Problem::new("[events] routes", route, "a path begins with a slash"));
        }
        let routes = if routes.is_empty() { demo_routes(config) } else { routes };
        let layer = EventsLayer::new(events.clone()).prefixes(routes);
        Ok(Some(Self { events, table: Arc::new(table), layer }))
    }

    /// The door, for the requests of one connection.
    pub(crate) fn around(&self, door: Door, hop: Hop) -> Front {
        let layer = self.layer.clone();
        let layer = if self.table.visitors { layer.visitors(move |_| Some(hop.client)) } else { layer };
        Front::Counted(layer.layer(door))
    }

    /// What is ranked: paths, and where visitors come from.
    pub(crate) fn rank<B>(&self, request: &Request<B>) {
        if self.table.paths {
            self.events.rank("path", request.uri().path(), 1);
        }
        if self.table.referrers
            && let Some(referrer) = referrer(request.headers())
        {
            self.events.rank("referrer", &referrer, 1);
        }
    }
}

/// What the demo has.
fn demo_routes(config: &Config) -> Vec<String> {
    let routes = ["/products", "/assets", "/greeting", "/report", "/auth", "/account", "/visits", "/dashboard"];
    if config.upstream.is_none() { routes.map(str::to_owned).into() } else { vec!["/".to_owned()] }
}

/// The host that a visitor comes from; of their own pages nothing.
fn referrer(fields: &HeaderMap) -> Option<String> {
    let from: Uri = fields.get(REFERER)?.to_str().ok()?.parse().ok()?;
    let own = fields.get(HOST).and_then(|host| host.to_str().ok());
    let authority = from.authority().filter(|authority| Some(authority.as_str()) != own)?;
    Some(authority.host().to_ascii_lowercase())
}

/// Collects the metrics of the layers: for `/metrics`, if anybody can ask for them, and among the events.
pub(crate) fn recorder(config: &Config, counting: Option<&Counting>) -> Result<Option<PrometheusHandle>, Problem> {
    let prometheus = config.admin.map(|_| PrometheusBuilder::new().build_recorder());
    let handle = prometheus.as_ref().map(metrics_exporter_prometheus::PrometheusRecorder::handle);
    let mut all = FanoutBuilder::default();
    if let Some(prometheus) = prometheus {
        all = all.add_recorder(prometheus);
    }
    if let Some(counting) = counting {
        all = all.add_recorder(counting.events.recorder());
    }
    metrics::set_global_recorder(all.build()).map_err(|error| Problem::new("metrics", "", error))?;
    Ok(handle)
}

// === impl Front ===

type Answer<S> = <S as Service<Request<Incoming>>>::Future;
/// With a count that ends when it does, or as it is.
pub(crate) type FrontBody = http_body_util::Either<EventsBody<DoorBody>, DoorBody>;

/// Always ready, as the door is.
impl Service<Request<Incoming>> for Front {
    type Response = Response<FrontBody>;
    type Error = Infallible;
    type Future = Either<
        ResponseFuture<EventsFuture<Answer<Door>>, EventsBody<DoorBody>, FrontBody, Infallible>,
        ResponseFuture<Answer<Door>, DoorBody, FrontBody, Infallible>,
    >;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        match self {
            Self::Counted(door) => {
                let wrap = |response: Response<_>| response.map(http_body_util::Either::Left);
                Either::Left(ResponseFuture::inner(door.call(request), wrap))
            }
            Self::Plain(door) => {
                let wrap = |response: Response<_>| response.map(http_body_util::Either::Right);
                Either::Right(ResponseFuture::inner(door.call(request), wrap))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn where_a_visitor_comes_from() {
        let table = [
            (Some("https://News.example/a?b"), Some("news.example")),
            (Some("https://shop.example/cart"), None),
            (Some("/relative"), None),
            (Some("not a url"), None),
            (None, None),
        ];
        for (from, expected) in table {
            let mut fields = HeaderMap::from_iter([(HOST, HeaderValue::from_static("shop.example"))]);
            fields.extend(from.map(|from| (REFERER, HeaderValue::from_static(from))));
            assert_eq!(referrer(&fields).as_deref(), expected, "{from:?}");
        }
    }
}
