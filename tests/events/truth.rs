//! What was counted, told twice: by a rule that anyone can follow, and by what is read.

use std::collections::BTreeMap;
use std::convert::Infallible;

use buttress::events::{Events, EventsLayer, Report, Select, Window};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _};

/// How much of each.
pub(crate) type Sums = BTreeMap<String, u64>;

/// Something that is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Record,
    Add { plan: u64, amount: u64 },
    Observe(u64),
    Request { route: u64, outcome: Outcome },
    Rank { member: u64, amount: u64 },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Success,
    ClientError,
    ServerError,
    Cancelled,
}

const PLANS: u64 = 40;
const ROUTES: u64 = 4;
const MEMBERS: u64 = 60;
const ACTS: u64 = 60;
const OUTCOMES: [Outcome; 4] = [Outcome::Success, Outcome::ClientError, Outcome::ServerError, Outcome::Cancelled];

/// What a line of a process counts in its n-th burst: the same whoever asks.
pub(crate) fn burst(process: u64, line: u64, number: u64) -> impl Iterator<Item = Act> {
    let mut dice = ((process << 56) ^ (line << 48) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut roll = move |of: u64| {
        // xorshift64
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        (dice >> 20) % of
    };
    (0..ACTS).map(move |_| match roll(5) {
        0 => Act::Record,
        1 => Act::Add { plan: roll(PLANS), amount: roll(10) },
        2 => Act::Observe(roll(20)),
        3 => Act::Request { route: roll(ROUTES), outcome: OUTCOMES[usize::try_from(roll(4)).expect("small")] },
        _ => Act::Rank { member: roll(MEMBERS), amount: 1 + roll(9) },
    })
}

/// What so many bursts of each line come to.
pub(crate) fn expected(process: u64, bursts: &[u64]) -> Sums {
    let mut sums = Sums::new();
    let mut add = |key: String, amount| {
        if amount > 0 {
            *sums.entry(key).or_default() += amount;
        }
    };
    for (line, count) in bursts.iter().enumerate() {
        for act in (0..*count).flat_map(|number| burst(process, line as u64, number)) {
            match act {
                Act::Record => add("tick".to_owned(), 1),
                Act::Add { plan, amount } => add(format!("sold {plan}"), amount),
                Act::Observe(value) => {
                    add("size".to_owned(), 1);
                    add("size together".to_owned(), value);
                }
                Act::Request { route, outcome } => add(format!("{} {}", path(process, route), outcome.class()), 1),
                Act::Rank { member, amount } => add(self::member(process, member), amount),
            }
        }
    }
    sums
}

/// What a process has counted, as it is read.
pub(crate) async fn found(events: &Events, process: u64, window: Window) -> Sums {
    let report = events.read(window).await.expect("it can be read");
    let by = |name: &str| Select::event(name).label("by", process.to_string());
    let mut sums = Sums::from([
        ("tick".to_owned(), report.count(&by("tick"))),
        ("size".to_owned(), report.count(&by("size"))),
        ("size together".to_owned(), total(&report, &by("size"))),
    ]);
    for plan in 0..PLANS {
        sums.insert(format!("sold {plan}"), report.count(&by("sold").label("plan", plan.to_string())));
    }
    for (route, outcome) in (0..ROUTES).flat_map(|route| OUTCOMES.map(|outcome| (path(process, route), outcome))) {
        let select = Select::requests().route(&*route).status(outcome.class());
        sums.insert(format!("{route} {}", outcome.class()), report.count(&select));
    }
    let ranking = events.ranking("slug", window, 10_000).await.expect("it can be read");
    let mine = format!("{process}-");
    sums.extend(ranking.into_iter().filter(|(name, _)| name.starts_with(&mine)).map(|(name, sum)| (name.into(), sum)));
    sums.retain(|_, sum| *sum > 0);
    sums
}

/// A sum of whole numbers is one.
fn total(report: &Report, select: &Select) -> u64 {
    let total = report.total(select);
    assert!(total >= 0.0 && total.fract() == 0.0, "{total}");
    total as u64
}

fn path(process: u64, route: u64) -> String {
    format!("/{process}/{route}")
}

fn member(process: u64, member: u64) -> String {
    format!("{process}-{member}")
}

// === impl Act ===

impl Act {
    /// Counts it.
    pub(crate) async fn perform(self, events: &Events, layer: &EventsLayer, process: u64) {
        let by = process.to_string();
        match self {
            Self::Record => events.add("tick", &[("by", &by)], 1),
            Self::Add { plan, amount } => events.add("sold", &[("by", &by), ("plan", &plan.to_string())], amount),
            Self::Observe(value) => events.observe("size", &[("by", &by)], value as f64),
            Self::Request { route, outcome } => ask(layer, &path(process, route), outcome).await,
            Self::Rank { member, amount } => events.rank("slug", &self::member(process, member), amount),
        }
    }
}

/// A layer that believes every path to be a route: there are few.
pub(crate) fn layer(events: &Events) -> EventsLayer {
    EventsLayer::new(events.clone()).route(|parts| Some(parts.uri.path().into()))
}

async fn ask(layer: &EventsLayer, path: &str, outcome: Outcome) {
    let service = layer.layer(tower::service_fn(move |_: Request<()>| async move {
        let response = Response::builder().status(outcome.status()).body(Full::new(Bytes::from_static(b"hello")));
        Ok::<_, Infallible>(response.expect("a response"))
    }));
    let response = service.oneshot(Request::get(path).body(()).expect("a request")).await.expect("it answers");
    if outcome != Outcome::Cancelled {
        response.into_body().collect().await.expect("a body");
    }
}

// === impl Outcome ===

impl Outcome {
    fn status(self) -> u16 {
        match self {
            Self::Success | Self::Cancelled => 200,
            Self::ClientError => 404,
            Self::ServerError => 500,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Success => "2xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
            Self::Cancelled => "cancelled",
        }
    }
}
