//! [`Counters`]: what a process counted through the `metrics` facade, for tests that must know that a thing happened.
//!
//! ```
//! let counters = buttress_tests::Counters::install();
//! metrics::counter!("doors_opened_total", "side" => "left").increment(2);
//! metrics::counter!("doors_opened_total", "side" => "right").increment(1);
//! assert_eq!(counters.get("doors_opened_total"), 3);
//! ```

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use metrics::{Counter, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// The counters of this process, summed over their labels, and the highest that each gauge has been set to. Histograms are not kept.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    by_name: Arc<Mutex<HashMap<String, Arc<AtomicU64>>>>,
    gauges: Arc<Mutex<HashMap<String, Arc<Highest>>>>,
}

/// What a gauge was set to at most.
#[derive(Debug, Default)]
struct Highest(Mutex<f64>);

// === impl Counters ===

impl Counters {
    /// Begins to count, at the first call in a process; the same counters at each later one.
    ///
    /// # Panics
    /// When somebody else installed a recorder before.
    pub fn install() -> &'static Self {
        static INSTALLED: OnceLock<Counters> = OnceLock::new();
        INSTALLED.get_or_init(|| {
            let counters = Self::default();
            metrics::set_global_recorder(counters.clone()).expect("nobody else records in a test");
            counters
        })
    }

    /// The count so far; zero for a name that never counted.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.cell(name).load(Ordering::Relaxed)
    }

    /// The highest that a gauge has been set to so far; zero for one that never was.
    #[must_use]
    pub fn highest(&self, name: &str) -> f64 {
        *self.gauge(name).0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gauge(&self, name: &str) -> Arc<Highest> {
        let mut gauges = self.gauges.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(gauges.entry(name.to_owned()).or_default())
    }

    fn cell(&self, name: &str) -> Arc<AtomicU64> {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(by_name.entry(name.to_owned()).or_default())
    }
}

impl Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key.name()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.gauge(key.name()))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

// === impl Highest ===

impl GaugeFn for Highest {
    /// Not kept: nobody in the workspace counts a gauge up or down.
    fn increment(&self, _: f64) {}

    fn decrement(&self, _: f64) {}

    fn set(&self, value: f64) {
        let mut highest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *highest = highest.max(value);
    }
}
