//! Totals of the cluster, as Prometheus reads them.

use metrics::{Key, Label};
use metrics_exporter_prometheus::LabelSet;
use metrics_exporter_prometheus::formatting::{sanitize_metric_name, write_metric_line, write_type_line};

use crate::error::EventsError;
use crate::events::Events;
use crate::histogram::{HIGHEST, LOWEST, PER_DOUBLING, upper};
use crate::series::Series;
use crate::tally::Tally;
use crate::totals::{self, Kind, Totals};

/// The buckets that are told: from a millisecond to a minute if it is seconds; powers of two, whose counts are exact.
const BOUNDS: std::ops::RangeInclusive<i16> = -10..=6;

// === impl Events ===

impl Events {
    /// What all processes have counted since the month began (UTC), in the text format of Prometheus. Whichever process is asked answers the same: scrape
    /// one of them, not all.
    ///
    /// Names are made what Prometheus takes; counters get `_total`, the times of requests are `http_server_request_duration_seconds`. A distribution has
    /// the powers of two from 2⁻¹⁰ to 2⁶ as bounds. At the start of a month counters begin anew, which `rate` and `increase` know how to take. Costs a read
    /// of each day of the month, once, and then of today.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn prometheus(&self) -> Result<String, EventsError> {
        self.totals().await.map(|totals| render(&totals))
    }
}

fn render(totals: &Totals) -> String {
    let mut text = String::new();
    for (name, kind, series) in totals.by_name() {
        let name = full_name(name, kind);
        match kind {
            Kind::Sum => {
                write_type_line(&mut text, &name, None, None, "counter");
                for (series, tally) in series {
                    write_line(&mut text, &name, None, series, None, tally.count);
                }
            }
            Kind::Distribution => {
                write_type_line(&mut text, &name, None, None, "histogram");
                for (series, tally) in series {
                    write_distribution(&mut text, &name, series, tally);
                }
            }
        }
        text.push('\n');
    }
    text
}

fn write_distribution(text: &mut String, name: &str, series: &Series, tally: &Tally) {
    for power in BOUNDS {
        let bucket = (power * PER_DOUBLING - 1).clamp(LOWEST, HIGHEST);
        let le = upper(bucket).to_string();
        write_line(text, name, Some("bucket"), series, Some(("le", le)), tally.buckets.up_to(bucket));
    }
    write_line(text, name, Some("bucket"), series, Some(("le", "+Inf".to_owned())), tally.buckets.count());
    write_line(text, name, Some("sum"), series, None, tally.sum);
    write_line(text, name, Some("count"), series, None, tally.buckets.count());
}

fn write_line(
    text: &mut String,
    name: &str,
    suffix: Option<&'static str>,
    series: &Series,
    more: Option<(&'static str, String)>,
    value: impl std::fmt::Display,
) {
    let labels = series.labels.iter().map(|(key, value)| Label::new(key.to_string(), value.to_string()));
    let key = Key::from_parts(name.to_owned(), labels.collect::<Vec<_>>());
    let labels = LabelSet::from_key_and_global(&key, &Default::default());
    write_metric_line(text, name, suffix, &labels, more, value, None);
}

fn full_name(name: &str, kind: Kind) -> String {
    let unit = if totals::unit(name) == Some("s") { "_seconds" } else { "" };
    let name = sanitize_metric_name(name);
    let total = if kind == Kind::Sum && !name.ends_with("_total") { "_total" } else { "" };
    format!("{name}{unit}{total}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::series::{METHOD, REQUESTS, SeriesRef};

    #[test]
    fn what_prometheus_reads() {
        let series = |name, labels: &[_]| Arc::new(Series::new(SeriesRef { name, labels }));
        let mut timed = Tally::default();
        [0.25, 0.3, 100.0].into_iter().for_each(|seconds| timed.observe(seconds));
        let sold = Tally { count: 3, ..Tally::default() };
        let hostile = [("plan", "a\"b\\c\nd")];
        let series = vec![(series(REQUESTS, &[(METHOD, "GET")]), timed), (series("sold-out", &hostile), sold)];
        let text = render(&Totals { since: 0, as_of: 0, series });
        let lines = [
            "# TYPE http_server_request_duration_seconds histogram",
            "http_server_request_duration_seconds_bucket{method=\"GET\",le=\"0.125\"} 0",
            "http_server_request_duration_seconds_bucket{method=\"GET\",le=\"0.25\"} 1",
            "http_server_request_duration_seconds_bucket{method=\"GET\",le=\"0.5\"} 2",
            "http_server_request_duration_seconds_bucket{method=\"GET\",le=\"64\"} 2",
            "http_server_request_duration_seconds_bucket{method=\"GET\",le=\"+Inf\"} 3",
            "http_server_request_duration_seconds_sum{method=\"GET\"} 100.55",
            "http_server_request_duration_seconds_count{method=\"GET\"} 3",
            "# TYPE sold_out_total counter",
            "sold_out_total{plan=\"a\\\"b\\\\c\\nd\"} 3",
        ];
        for line in lines {
            assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
        }
    }
}
