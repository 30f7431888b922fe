//! [`Load`]: many callers that ask again and again while a fault happens, and what each of them saw.
//!
//! ```
//! use std::time::Duration;
//! use buttress_tests::Load;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let load = Load::start(4, Duration::from_millis(1), |n| async move { n % 2 == 0 });
//! tokio::time::sleep(Duration::from_millis(20)).await;
//! let samples = load.end().await;
//! assert!(samples.iter().any(|sample| sample.outcome) && samples.iter().any(|sample| !sample.outcome));
//! # });
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Callers at work.
#[derive(Debug)]
pub struct Load<O> {
    start: Instant,
    is_over: Arc<AtomicBool>,
    callers: JoinSet<Vec<Sample<O>>>,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Sample<O> {
    /// When it began, since the load began.
    pub at: Duration,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub outcome: O,
}

// === impl Load ===

impl<O: Send + 'static> Load<O> {
    /// Starts `callers` tasks; each calls with a number of its own, pauses for `pace`, and calls again.
    pub fn start<F, Call>(callers: usize, pace: Duration, call: F) -> Self
    where
        F: Fn(u64) -> Call + Clone + Send + 'static,
        Call: Future<Output = O> + Send,
    {
        let (start, is_over) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let mut set = JoinSet::new();
        for caller in 0..callers as u64 {
            let (call, is_over) = (call.clone(), Arc::clone(&is_over));
            set.spawn(async move {
                let (mut samples, mut number) = (Vec::new(), caller);
                while !is_over.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let outcome = call(number).await;
                    samples.push(Sample { at: began - start, took: began.elapsed(), outcome });
                    number += callers as u64;
                    sleep(pace).await;
                }
                samples
            });
        }
        Self { start, is_over, callers: set }
    }

    /// The time on the clock of [`Sample::at`].
    #[must_use]
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Waits for the calls that are under way, and gives all in the order they began.
    pub async fn end(self) -> Vec<Sample<O>> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut samples: Vec<_> = self.callers.join_all().await.into_iter().flatten().collect();
        samples.sort_by_key(|sample| sample.at);
        samples
    }
}

impl<O> Sample<O> {
    /// When the call ended, since the load began.
    #[must_use]
    pub fn ended(&self) -> Duration {
        self.at + self.took
    }
}

/// Waits until no other test of this process holds the turn: for tests that measure, or share what they measure.
pub async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// The value below which this share of all lie; zero of none.
#[must_use]
pub fn percentile(mut all: Vec<Duration>, percent: usize) -> Duration {
    all.sort_unstable();
    all.get((all.len() * percent / 100).min(all.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// The memory that this process holds, in bytes.
///
/// # Panics
/// Where there is no `/proc`.
#[must_use]
pub fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let kib: usize = line.trim().trim_end_matches(" kB").trim().parse().expect("a number");
    kib * 1024
}
