//! Figures each second, for all who look: one reader of the store in this process, however many they are.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::events::Events;
use crate::overview::{Look, Overview};
use crate::policy::millis;
use crate::report::Point;
use crate::select::Select;
use crate::window::Window;

/// The figures of each window, while somebody looks at them.
#[derive(Debug)]
pub(crate) struct Live {
    events: Events,
    told: [watch::Sender<Bytes>; Look::ALL.len()],
    /// The one that reads; it ends when nobody looks.
    reader: Mutex<Option<JoinHandle<()>>>,
}

/// What was counted when, to tell how fast it grows.
#[derive(Debug, Default)]
struct Pace(VecDeque<(u64, Vec<Point>)>);

const TICK: Duration = Duration::from_secs(1);
/// How fast it grows is that of so many seconds.
const SECONDS: usize = 10;
/// More than these are sent away.
const MOST_WATCHERS: usize = 100;

// === impl Live ===

impl Live {
    pub(crate) fn new(events: Events) -> Arc<Self> {
        Arc::new(Self { events, told: Look::ALL.map(|_| watch::Sender::new(Bytes::new())), reader: Mutex::default() })
    }

    /// The figures as server-sent events, now and each second; `None` if too many look already.
    pub(crate) fn watch(self: &Arc<Self>, look: Look) -> Option<impl Stream<Item = Bytes> + Send + use<>> {
        if self.told.iter().map(watch::Sender::receiver_count).sum::<usize>() >= MOST_WATCHERS {
            return None;
        }
        let mut told = self.told[look as usize].subscribe();
        self.read_on();
        let known = told.borrow_and_update().clone(); // perhaps of a minute ago: the next one is a moment away
        drop(known);
        Some(futures_util::stream::unfold(told, async |mut told| {
            told.changed().await.ok()?;
            let event = told.borrow_and_update().clone();
            Some((event, told))
        }))
    }

    /// Sees to it that somebody reads.
    fn read_on(self: &Arc<Self>) {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if reader.as_ref().is_none_or(JoinHandle::is_finished) {
            *reader = Some(tokio::spawn(Arc::clone(self).read()));
        }
    }

    async fn read(self: Arc<Self>) {
        let mut pace = Pace::default();
        let mut last = Look::ALL.map(|_| None::<Overview>);
        loop {
            if self.is_over() {
                return;
            }
            let per_second = pace.look(&self.events).await;
            for (look, last) in Look::ALL.into_iter().zip(&mut last) {
                if self.told[look as usize].receiver_count() > 0 {
                    self.tell(look, per_second, last).await;
                }
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Nobody looks any more: whoever comes now finds no reader, and starts one.
    fn is_over(&self) -> bool {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = self.told.iter().all(|told| told.receiver_count() == 0);
        if is_over {
            *reader = None;
        }
        is_over
    }

    /// While the store is away the last figures are told, and that they are.
    async fn tell(&self, look: Look, per_second: Option<f64>, last: &mut Option<Overview>) {
        match self.events.overview(look).await {
            Ok(mut overview) => {
                overview.requests.per_second = per_second;
                *last = Some(overview);
            }
            Err(error) => {
                if let Some(last) = last {
                    last.away = Some(error.to_string());
                }
            }
        }
        if let Some(json) = last.as_ref().and_then(|overview| serde_json::to_string(overview).ok()) {
            self.told[look as usize].send_replace(format!("event: overview\ndata: {json}\n\n").into());
        }
    }
}

// === impl Pace ===

impl Pace {
    /// How many requests there are in a second at the moment; `None` before that can be told.
    async fn look(&mut self, events: &Events) -> Option<f64> {
        let report = events.read(Window::minutes(2)).await.ok()?;
        self.note(millis(report.as_of()), report.points(&Select::requests()))
    }

    fn note(&mut self, now: u64, points: Vec<Point>) -> Option<f64> {
        self.0.push_back((now, points));
        if self.0.len() > SECONDS {
            self.0.pop_front();
        }
        let ((then, before), (now, after)) = (self.0.front()?, self.0.back()?);
        let since = before.last()?.start;
        let count =
            |points: &[Point]| points.iter().filter(|point| point.start >= since).map(|point| point.count).sum::<u64>();
        let millis = now.saturating_sub(*then);
        (millis > 0).then(|| count(after).saturating_sub(count(before)) as f64 * 1000.0 / millis as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(points: [(u64, u64); 2]) -> Vec<Point> {
        points.map(|(minute, count)| Point { start: crate::policy::time(minute * 60_000), count }).into()
    }

    #[test]
    fn how_fast_it_grows_over_the_turn_of_a_minute() {
        let mut pace = Pace::default();
        assert_eq!(pace.note(119_000, points([(0, 500), (1, 100)])), None, "one look tells nothing");
        assert_eq!(pace.note(120_000, points([(0, 500), (1, 110)])), Some(10.0));
        assert_eq!(pace.note(121_000, points([(1, 112), (2, 18)])), Some(15.0), "in two seconds");
        for second in 122..140 {
            pace.note(second * 1000, points([(1, 112), (2, 18)]));
        }
        assert_eq!(pace.note(140_000, points([(1, 112), (2, 18)])), Some(0.0), "what is longer ago is over");
    }

    #[tokio::test(start_paused = true)]
    async fn one_reads_for_all_and_ends_when_nobody_looks() {
        use futures_util::StreamExt as _;

        let live = Live::new(Events::embedded());
        let mut watchers: Vec<_> = (0..MOST_WATCHERS).map(|_| Box::pin(live.watch(Look::Minutes).unwrap())).collect();
        assert!(live.watch(Look::Days).is_none(), "one too many");
        for watcher in &mut watchers {
            assert!(watcher.next().await.unwrap().starts_with(b"event: overview\ndata: {\"version\":1,"));
        }
        drop(watchers);
        tokio::time::sleep(2 * TICK).await;
        assert!(live.reader.lock().unwrap().is_none());
        assert!(Box::pin(live.watch(Look::Days).unwrap()).next().await.is_some(), "and begins again");
    }
}
