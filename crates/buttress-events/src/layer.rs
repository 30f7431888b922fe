//! The layer, and every setting it has.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::Request;
use http::request::Parts;
use tower_layer::Layer;

use crate::events::Events;
use crate::registry::{RouteId, UNMATCHED};
use crate::service::EventsService;

/// Counts each request: its route, its method, how it ended, and how long that took.
///
/// ```
/// use buttress_events::{Events, EventsLayer};
/// use tower::Layer as _;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let your_service = ();
/// let events = Events::embedded();
/// let layer = EventsLayer::new(events).prefixes(["/products", "/assets"]);
/// let service = layer.layer(your_service);
/// # let _ = service;
/// # }
/// ```
///
/// With the feature `axum` the route is axum's `MatchedPath`, if the layer is added by `Router::layer`; where it is not, or nothing matched, a request counts
/// as `<unmatched>`. Paths themselves are never a route: whoever scans for `/.env` would make a series of it.
#[derive(Clone)]
#[must_use]
pub struct EventsLayer {
    settings: Arc<Settings>,
}

/// What the service needs to know of its layer.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) events: Events,
    routes: Routes,
    ignores: Option<Ignores>,
    address: Option<Address>,
}

#[derive(Clone)]
enum Routes {
    Matched,
    Prefixes(Arc<[(Box<str>, RouteId)]>),
    Told(Told),
}

type Ignores = Arc<dyn Fn(&Parts) -> bool + Send + Sync>;
type Address = Arc<dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync>;
type Told = Arc<dyn Fn(&Parts) -> Option<Cow<'_, str>> + Send + Sync>;

// === impl EventsLayer ===

impl EventsLayer {
    /// Counts all requests, by what axum matched (feature `axum`).
    pub fn new(events: Events) -> Self {
        Self { settings: Arc::new(Settings { events, routes: Routes::Matched, ignores: None, address: None }) }
    }

    /// The route of a request is the first of these that its path is, or is under: `/products` of `/products/7`. Costs a comparison with each.
    pub fn prefixes(mut self, prefixes: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        let settings = self.set();
        let named = prefixes.into_iter().map(Into::into).map(|prefix| {
            let route = settings.named(&prefix);
            (prefix, route)
        });
        settings.routes = Routes::Prefixes(named.collect());
        self
    }

    /// The route of a request, `None` if it is not matched. It must have few values: a template, never the path. Those beyond a quarter of
    /// [`most_series`](crate::EventsOptions::most_series) are counted as `<overflow>`.
    pub fn route(mut self, route: impl Fn(&Parts) -> Option<Cow<'_, str>> + Send + Sync + 'static) -> Self {
        self.set().routes = Routes::Told(Arc::new(route));
        self
    }

    /// Requests that are not counted, such as those for health. Default: none.
    pub fn ignore(mut self, ignore: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.set().ignores = Some(Arc::new(ignore));
        self
    }

    /// Counts [visitors](Events::visit), by the address that this tells; `None` is nobody. Default: no. Costs a digest for each request.
    pub fn visitors(mut self, address: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        self.set().address = Some(Arc::new(address));
        self
    }

    fn set(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }
}

impl<S> Layer<S> for EventsLayer {
    type Service = EventsService<S>;

    fn layer(&self, inner: S) -> EventsService<S> {
        EventsService::new(inner, Arc::clone(&self.settings))
    }
}

impl fmt::Debug for EventsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventsLayer").field("events", &self.settings.events).finish_non_exhaustive()
    }
}

// === impl Settings ===

impl Settings {
    /// What a request is counted under; `None` if it is not. Its visitor is noted.
    pub(crate) fn look<B>(&self, request: Request<B>) -> (Request<B>, Option<RouteId>) {
        let wants_parts = self.ignores.is_some() || self.address.is_some() || matches!(self.routes, Routes::Told(_));
        if !wants_parts {
            let route = self.route_of(&request);
            return (request, Some(route));
        }
        let (parts, body) = request.into_parts();
        let is_ignored = self.ignores.as_ref().is_some_and(|ignores| ignores(&parts));
        if !is_ignored && let Some(address) = self.address.as_ref().and_then(|address| address(&parts)) {
            self.events.visit(&parts, address);
        }
        let told = match &self.routes {
            Routes::Told(told) => Some(told(&parts).map_or(UNMATCHED, |route| self.named(&route))),
            _ => None,
        };
        let request = Request::from_parts(parts, body);
        let route = (!is_ignored).then(|| told.unwrap_or_else(|| self.route_of(&request)));
        (request, route)
    }

    fn route_of<B>(&self, request: &Request<B>) -> RouteId {
        match &self.routes {
            Routes::Matched => matched(request).map_or(UNMATCHED, |route| self.named(route)),
            Routes::Prefixes(prefixes) => {
                let path = request.uri().path();
                prefixes.iter().find(|(prefix, _)| is_under(path, prefix)).map_or(UNMATCHED, |(_, route)| *route)
            }
            Routes::Told(_) => UNMATCHED,
        }
    }

    fn named(&self, route: &str) -> RouteId {
        self.events.shared.registry.route(route)
    }
}

#[cfg(feature = "axum")]
fn matched<B>(request: &Request<B>) -> Option<&str> {
    request.extensions().get::<axum::extract::MatchedPath>().map(axum::extract::MatchedPath::as_str)
}

#[cfg(not(feature = "axum"))]
fn matched<B>(_: &Request<B>) -> Option<&str> {
    None
}

/// Whether a path is that one, or below it.
fn is_under(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_under_a_prefix_by_whole_segments() {
        let table = [
            ("/products", "/products", true),
            ("/products/7", "/products", true),
            ("/products7", "/products", false),
            ("/products/7", "/products/", true),
            ("/anything", "/", true),
            ("/", "/products", false),
        ];
        for (path, prefix, expected) in table {
            assert_eq!(is_under(path, prefix), expected, "{path} {prefix}");
        }
    }
}
