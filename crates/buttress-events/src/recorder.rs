//! Counts of the `metrics` facade: whatever says `counter!` or `histogram!` lands where events are kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{CounterFn, Gauge, HistogramFn, Key, KeyName, Metadata, SharedString, Unit};

use crate::events::{Counter, Events};

/// A [`metrics::Recorder`] that counts events. Made by [`Events::recorder`].
///
/// Counters are counts and histograms are distributions, by their names and labels. Gauges are left out: they are no events, and those of several processes
/// have no sum. So are the counters of this crate itself (`buttress_events_…`), or each flush would be something to flush.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use buttress_events::{Events, Window};
///
/// let events = Events::embedded();
/// metrics::set_global_recorder(events.recorder())?; // or beside another one: metrics_util::layers::FanoutBuilder
/// metrics::counter!("jobs_done_total", "queue" => "mail").increment(2);
/// events.flush().await?;
/// assert_eq!(events.read(Window::minutes(1)).await?.count(&"jobs_done_total".into()), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct EventsRecorder {
    events: Events,
}

/// A counter that knows what it was set to last.
struct Count {
    counter: Counter,
    absolute: AtomicU64,
}

struct Distribution(Counter);

const OWN: &str = "buttress_events_";

// === impl Events ===

impl Events {
    /// A recorder for the `metrics` facade, so that its counters and histograms are counted here.
    #[must_use]
    pub fn recorder(&self) -> EventsRecorder {
        EventsRecorder { events: self.clone() }
    }
}

// === impl EventsRecorder ===

impl EventsRecorder {
    fn counter(&self, key: &Key) -> Option<Counter> {
        let labels: Vec<_> = key.labels().map(|label| (label.key(), label.value())).collect();
        (!key.name().starts_with(OWN)).then(|| self.events.counter(key.name(), &labels))
    }
}

impl metrics::Recorder for EventsRecorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> metrics::Counter {
        match self.counter(key) {
            Some(counter) => metrics::Counter::from_arc(Arc::new(Count { counter, absolute: AtomicU64::new(0) })),
            None => metrics::Counter::noop(),
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        match self.counter(key) {
            Some(counter) => metrics::Histogram::from_arc(Arc::new(Distribution(counter))),
            None => metrics::Histogram::noop(),
        }
    }
}

// === impl Count ===

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        self.counter.add(value);
    }

    /// Counts what it has grown by.
    fn absolute(&self, value: u64) {
        let before = self.absolute.fetch_max(value, Ordering::AcqRel);
        self.counter.add(value.saturating_sub(before));
    }
}

// === impl Distribution ===

impl HistogramFn for Distribution {
    fn record(&self, value: f64) {
        self.0.observe(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;

    #[tokio::test]
    async fn counters_and_histograms_are_counted_and_gauges_are_not() {
        let events = Events::embedded();
        metrics::with_local_recorder(&events.recorder(), || {
            metrics::counter!("done", "queue" => "mail").increment(2);
            metrics::counter!("set").absolute(5);
            metrics::counter!("buttress_events_flushes_total").increment(1);
            metrics::gauge!("level").set(3.0);
            metrics::histogram!("took").record_many(0.25, 4);
        });
        let set = events.recorder().counter(&Key::from_name("set")).unwrap();
        let set = Count { counter: set, absolute: AtomicU64::new(5) };
        [7, 6, 9].into_iter().for_each(|value| set.absolute(value));
        events.flush().await.unwrap();
        let report = events.read(Window::minutes(2)).await.unwrap();
        let counted: Vec<_> =
            report.names().iter().map(|name| (name.to_string(), report.count(&(&**name).into()))).collect();
        assert_eq!(counted, [("done".to_owned(), 2), ("set".to_owned(), 9), ("took".to_owned(), 4)]);
        assert_eq!(report.total(&"took".into()), 1.0);
    }
}
