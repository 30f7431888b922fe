//! What the whole cluster has counted since the month began: counters that only grow, for those who collect them.

use std::sync::Arc;

use time::UtcDateTime;

use crate::error::EventsError;
use crate::events::Events;
use crate::series::{RANKING, REQUESTS, Series, VISITORS};
use crate::tally::Tally;
use crate::window::{Step, Window};

/// Counts since a moment.
#[derive(Debug)]
pub(crate) struct Totals {
    /// When the month began in UTC, in milliseconds since 1970: there they begin anew.
    pub(crate) since: u64,
    pub(crate) as_of: u64,
    pub(crate) series: Vec<(Arc<Series>, Tally)>,
}

/// What a name is in the words of who collects it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Sum,
    Distribution,
}

// === impl Events ===

impl Events {
    /// Costs a read of each day of the month, once; then of today.
    pub(crate) async fn totals(&self) -> Result<Totals, EventsError> {
        let now = self.shared.now().await.map_err(EventsError::new)?;
        let report = self.shared.read(Window::days(days_of_month(now))).await.map_err(EventsError::new)?;
        let is_counted = |series: &Series| !matches!(&*series.name, RANKING | VISITORS);
        let series = report.series().into_iter().filter(|(series, _)| is_counted(series)).collect();
        Ok(Totals { since: report.starts().first().copied().unwrap_or(Step::Day.start(now)), as_of: now, series })
    }
}

// === impl Totals ===

impl Totals {
    /// The series of each name, and what they are; sorted by name.
    pub(crate) fn by_name(&self) -> impl Iterator<Item = (&str, Kind, &[(Arc<Series>, Tally)])> {
        self.series.chunk_by(|one, other| one.0.name == other.0.name).map(|all| {
            let is_distribution = all.iter().any(|(_, tally)| !tally.buckets.is_empty());
            (&*all[0].0.name, if is_distribution { Kind::Distribution } else { Kind::Sum }, all)
        })
    }
}

/// The unit of a name, where it is known.
pub(crate) fn unit(name: &str) -> Option<&'static str> {
    (name == REQUESTS).then_some("s")
}

/// How many days the month has had, today among them.
fn days_of_month(now: u64) -> u32 {
    let seconds = i64::try_from(now / 1000).unwrap_or_default();
    UtcDateTime::from_unix_timestamp(seconds).map_or(1, |now| now.day().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_of_a_month() {
        for (now, expected) in
            [(0, 1), (86_400_000 * 30, 31), (86_400_000 * 31, 1), (951_782_399_999, 28), (951_782_400_000, 29)]
        {
            assert_eq!(days_of_month(now), expected, "{now}");
        }
    }
}
