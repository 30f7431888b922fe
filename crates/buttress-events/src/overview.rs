//! What a dashboard shows, as JSON: the figures of a window, and beside them those of the window before.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;

use crate::error::EventsError;
use crate::events::Events;
use crate::policy::{Class, millis};
use crate::report::Report;
use crate::select::Select;
use crate::series::{METHOD, RANKING, REQUESTS, ROUTE, STATUS, Series, VISITORS};
use crate::tally::Tally;
use crate::window::Window;

/// The figures of a window. Times are in milliseconds since 1970, latencies in seconds; arrays have an element for each step.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Overview {
    version: u32,
    now: u64,
    window: WindowView,
    source: &'static str,
    /// Why the figures are not those of now.
    pub(crate) away: Option<String>,
    pub(crate) as_of: u64,
    times: Vec<u64>,
    pub(crate) requests: Requests,
    latency: Latency,
    cache: Option<CacheView>,
    routes: Vec<RouteView>,
    events: Vec<EventView>,
    rankings: Vec<RankingView>,
    uniques: Vec<UniqueView>,
    dropped: u64,
    overflowed: u64,
}

#[derive(Clone, Debug, Serialize)]
struct WindowView {
    name: &'static str,
    step: u64,
    steps: u32,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Requests {
    total: u64,
    previous: u64,
    errors: u64,
    previous_errors: u64,
    pub(crate) per_second: Option<f64>,
    #[serde(flatten)]
    by_class: BTreeMap<&'static str, Vec<u64>>,
}

#[derive(Clone, Debug, Serialize)]
struct Latency {
    p50: Vec<Option<f64>>,
    p90: Vec<Option<f64>>,
    p99: Vec<Option<f64>>,
    window: BTreeMap<&'static str, Option<f64>>,
}

#[derive(Clone, Debug, Serialize)]
struct CacheView {
    hits: Vec<u64>,
    asked: Vec<u64>,
    ratio: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
struct RouteView {
    route: Box<str>,
    method: Box<str>,
    requests: u64,
    errors: u64,
    p50: Option<f64>,
    p99: Option<f64>,
    spark: Vec<u64>,
}

#[derive(Clone, Debug, Serialize)]
struct EventView {
    name: Box<str>,
    labels: BTreeMap<Box<str>, Box<str>>,
    count: u64,
    previous: u64,
    spark: Vec<u64>,
}

#[derive(Clone, Debug, Serialize)]
struct RankingView {
    name: Box<str>,
    entries: Vec<(Box<str>, u64)>,
}

#[derive(Clone, Debug, Serialize)]
struct UniqueView {
    name: Box<str>,
    days: Vec<(u64, u64)>,
}

/// A window that can be looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Look {
    Minutes,
    Hours,
    Days,
}

/// Counted by the cache of this workspace, through the `metrics` facade.
const CACHE: &str = "buttress_cache_requests_total";
/// Where it says what became of a request, and those that cost the origin nothing.
const OUTCOME: (&str, [&str; 2]) = ("outcome", ["hit", "shared"]);
/// Names of this workspace are no events of the application.
const OURS: &str = "buttress_";

const MOST_ROUTES: usize = 20;
const MOST_EVENTS: usize = 20;
const MOST_RANKED: usize = 10;
const VISITOR_DAYS: u32 = 7;
const STATUSES: [Class; 6] = [
    Class::Informational,
    Class::Success,
    Class::Redirection,
    Class::ClientError,
    Class::ServerError,
    Class::Cancelled,
];

// === impl Look ===

impl Look {
    pub(crate) const ALL: [Self; 3] = [Self::Minutes, Self::Hours, Self::Days];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Minutes => "60m",
            Self::Hours => "24h",
            Self::Days => "30d",
        }
    }

    /// By the name, of a query such as `window=24h`. Default: 60 minutes.
    pub(crate) fn of(query: Option<&str>) -> Option<Self> {
        let asked = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("window="));
        asked.map_or(Some(Self::Minutes), |name| Self::ALL.into_iter().find(|look| look.name() == name))
    }

    pub(crate) fn window(self) -> Window {
        match self {
            Self::Minutes => Window::minutes(60),
            Self::Hours => Window::hours(24),
            Self::Days => Window::days(30),
        }
    }
}

// === impl Events ===

impl Events {
    pub(crate) async fn overview(&self, look: Look) -> Result<Overview, EventsError> {
        let (report, before) = (self.read(look.window()).await?, self.read(look.window().before()).await?);
        let mut rankings = Vec::new();
        for name in named(&report, RANKING) {
            let entries = self.ranking(&name, look.window(), MOST_RANKED).await?;
            rankings.push(RankingView { name, entries });
        }
        let mut uniques = Vec::new();
        for name in named(&report, VISITORS) {
            let days = self.shared.visitors(&name, VISITOR_DAYS).await.map_err(EventsError::new)?;
            uniques.push(UniqueView { name, days });
        }
        let now = millis(report.as_of());
        Ok(Overview {
            version: 1,
            now,
            window: WindowView {
                name: look.name(),
                step: look.window().step().duration().as_secs(),
                steps: look.window().steps(),
            },
            source: if self.shared.store.clock().is_some() { "embedded" } else { "redis" },
            away: None,
            as_of: now,
            times: report.starts(),
            requests: requests(&report, &before),
            latency: latency(&report),
            cache: cache(&report),
            routes: routes(&report),
            events: happened(&report, &before),
            rankings,
            uniques,
            dropped: self.dropped(),
            overflowed: report.overflowed(),
        })
    }
}

/// The names of rankings, or of what visitors are counted for; sorted.
fn named(report: &Report, kind: &str) -> Vec<Box<str>> {
    let all = report.enrolled().filter(|series| *series.name == *kind);
    let mut names: Vec<Box<str>> = all.filter_map(|series| series.label("name").map(Into::into)).collect();
    names.sort();
    names
}

fn counts(report: &Report, select: &Select) -> Vec<u64> {
    report.points(select).iter().map(|point| point.count).collect()
}

fn requests(report: &Report, before: &Report) -> Requests {
    let failed = Select::requests().status(Class::ServerError.as_str());
    let by_class = STATUSES.map(|class| (class.as_str(), counts(report, &Select::requests().status(class.as_str()))));
    Requests {
        total: report.count(&Select::requests()),
        previous: before.count(&Select::requests()),
        errors: report.count(&failed),
        previous_errors: before.count(&failed),
        per_second: None,
        by_class: by_class.into(),
    }
}

fn latency(report: &Report) -> Latency {
    let all = Select::requests();
    let window = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)].map(|(name, q)| (name, report.quantile(&all, q)));
    Latency {
        p50: report.quantiles(&all, 0.5),
        p90: report.quantiles(&all, 0.9),
        p99: report.quantiles(&all, 0.99),
        window: window.into(),
    }
}

fn cache(report: &Report) -> Option<CacheView> {
    report.enrolled().any(|series| &*series.name == CACHE).then(|| {
        let asked = counts(report, &CACHE.into());
        let kinds = OUTCOME.1.map(|outcome| counts(report, &Select::event(CACHE).label(OUTCOME.0, outcome)));
        let hits: Vec<u64> = (0..asked.len()).map(|step| kinds.iter().map(|kind| kind[step]).sum()).collect();
        let (hit, all) = (hits.iter().sum::<u64>(), asked.iter().sum::<u64>());
        CacheView { hits, asked, ratio: (all > 0).then(|| hit as f64 / all as f64) }
    })
}

fn routes(report: &Report) -> Vec<RouteView> {
    let mut routes = HashMap::<(Box<str>, Box<str>), (Tally, u64, Vec<u64>)>::new();
    for (series, tally) in report.series() {
        let (true, Some(route), Some(method)) = (&*series.name == REQUESTS, series.label(ROUTE), series.label(METHOD))
        else {
            continue;
        };
        let (sum, errors, spark) = routes.entry((route.into(), method.into())).or_default();
        if series.label(STATUS) == Some(Class::ServerError.as_str()) {
            *errors += tally.count;
        }
        sum.merge(&tally);
        spark.resize(report.starts().len(), 0);
        spark.iter_mut().zip(report.counts_of(series.id)).for_each(|(all, count)| *all += count);
    }
    let views = routes.into_iter().map(|((route, method), (sum, errors, spark))| RouteView {
        route,
        method,
        requests: sum.count,
        errors,
        p50: sum.buckets.quantile(0.5),
        p99: sum.buckets.quantile(0.99),
        spark,
    });
    highest(views.collect(), MOST_ROUTES, |view| (view.requests, format!("{} {}", view.route, view.method)))
}

fn happened(report: &Report, before: &Report) -> Vec<EventView> {
    let is_event =
        |series: &Series| !matches!(&*series.name, REQUESTS | RANKING | VISITORS) && !series.name.starts_with(OURS);
    let previous: HashMap<_, _> = before.series().into_iter().map(|(series, tally)| (series.id, tally.count)).collect();
    let view = |(series, tally): (Arc<Series>, Tally)| EventView {
        name: series.name.clone(),
        labels: series.labels.iter().cloned().collect(),
        count: tally.count,
        previous: previous.get(&series.id).copied().unwrap_or_default(),
        spark: report.counts_of(series.id),
    };
    let views = report.series().into_iter().filter(|(series, _)| is_event(series)).map(view);
    highest(views.collect(), MOST_EVENTS, |view| (view.count, format!("{} {:?}", view.name, view.labels)))
}

/// Those with the most, and of those that are alike the first by name.
fn highest<T>(mut all: Vec<T>, most: usize, place: impl Fn(&T) -> (u64, String)) -> Vec<T> {
    all.sort_by_cached_key(|view| {
        let (count, name) = place(view);
        (std::cmp::Reverse(count), name)
    });
    all.truncate(most);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_that_is_asked_for() {
        let table = [
            (None, Some(Look::Minutes)),
            (Some(""), Some(Look::Minutes)),
            (Some("window=24h"), Some(Look::Hours)),
            (Some("a=b&window=30d"), Some(Look::Days)),
            (Some("window=1h"), None),
        ];
        for (query, expected) in table {
            assert_eq!(Look::of(query), expected, "{query:?}");
        }
    }

    #[tokio::test]
    async fn what_was_counted_is_shown() {
        let events = Events::embedded();
        for (outcome, count) in [("hit", 6), ("shared", 2), ("uri-miss", 2)] {
            events.add(CACHE, &[(OUTCOME.0, outcome)], count);
        }
        events.add("sold", &[("plan", "<b>pro</b>")], 3);
        events.rank("slug", "my-post", 7);
        events.unique("people", "ada");
        let request = |status| [(ROUTE, "/a"), (METHOD, "GET"), (STATUS, status)];
        (0..10).for_each(|_| events.observe(REQUESTS, &request("2xx"), 0.25));
        events.observe(REQUESTS, &request("5xx"), 4.0);
        events.flush().await.unwrap();
        let json = serde_json::to_value(events.overview(Look::Minutes).await.unwrap()).unwrap();
        let last =
            |path: &str| json.pointer(path).and_then(|all| all.as_array()?.last()).and_then(serde_json::Value::as_u64);
        assert_eq!(json["times"].as_array().unwrap().len(), 60);
        assert_eq!((&json["requests"]["total"], &json["requests"]["errors"]), (&11.into(), &1.into()));
        assert_eq!((last("/requests/2xx"), last("/requests/5xx"), last("/requests/1xx")), (Some(10), Some(1), Some(0)));
        assert_eq!(
            (&json["cache"]["ratio"], last("/cache/hits"), last("/cache/asked")),
            (&0.8.into(), Some(8), Some(10))
        );
        let route = &json["routes"][0];
        assert_eq!((&route["route"], &route["requests"], &route["errors"]), (&"/a".into(), &11.into(), &1.into()));
        assert_eq!(json["events"].as_array().unwrap().len(), 1, "ours are none: {}", json["events"]);
        assert_eq!(json["events"][0]["labels"]["plan"], "<b>pro</b>");
        assert_eq!(json["rankings"][0]["entries"][0], serde_json::json!(["my-post", 7]));
        assert_eq!(json["uniques"][0]["days"].as_array().unwrap().len(), 7);
        assert_eq!(json["uniques"][0]["days"][6][1], 1);
    }
}
