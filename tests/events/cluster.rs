//! Three masters: steps lie on all of them; and when one is replaced nothing is lost but what it had told nobody, and nothing is counted twice.

use std::time::Duration;

use buttress::events::{Events, Window};
use buttress_tests::{RedisCluster, RedisServer};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::bed::{self, options, reader, until};

const LONG: Duration = Duration::from_secs(60);
const WINDOWS: [Window; 3] = [Window::minutes(60), Window::hours(2), Window::days(2)];
/// What a replica may not have yet.
const LAG: Duration = Duration::from_secs(1);

async fn process(cluster: &RedisCluster) -> Events {
    let events = options().flush_each(Duration::from_millis(20)).redis(bed::line(&cluster.url()));
    until("it is connected", async || events.flush().await.is_ok()).await;
    events
}

async fn reading(cluster: &RedisCluster) -> Events {
    let events = reader(&cluster.url());
    until("the cluster can be read", async || events.read(Window::days(2)).await.is_ok()).await;
    events
}

fn count(events: &Events, number: u64) {
    events.add("tick", &[("plan", &(number % 7).to_string())], 1);
    events.observe("size", &[], (number % 100) as f64);
    events.rank(&format!("ranking {}", number % 9), &(number % 50).to_string(), 1);
    for name in ["people", "robots"] {
        events.unique(name, (number % 100).to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_names_rankings_visitors_and_salts_lie_on_all_masters() {
    let cluster = block_in_place(|| RedisCluster::start(3, 0));
    let processes = [process(&cluster).await, process(&cluster).await];
    for number in 0..900 {
        processes.iter().for_each(|events| count(events, number));
        if number % 100 == 0 {
            processes[number as usize / 100 % 2].flush().await.expect("it arrives");
        }
    }
    for events in &processes {
        events.drain(LONG).await.expect("it arrives");
    }
    let events = reading(&cluster).await;
    for window in WINDOWS {
        let report = events.read(window).await.expect("it can be read");
        assert_eq!((report.count(&"tick".into()), report.count(&"size".into())), (1800, 1800));
        assert_eq!(report.top("plan", &"tick".into(), 99).len(), 7);
        for ranking in 0..9 {
            let found = events.ranking(&format!("ranking {ranking}"), window, 99).await.expect("it can be read");
            assert_eq!((found.len(), found.iter().map(|(_, count)| count).sum()), (50, 200_u64));
        }
    }
    for name in ["people", "robots"] {
        let days = events.visitors(name, 2).await.expect("it can be read");
        let visitors: u64 = days.iter().map(|(_, visitors)| visitors).sum();
        assert!((97..=103).contains(&visitors), "{visitors} of 100, under one salt");
    }
    let sizes: Vec<_> = cluster.nodes().iter().map(|node| node.cli(&["DBSIZE"]).int()).collect();
    assert!(sizes.iter().all(|size| *size > 5), "{sizes:?}");
}

/// What was counted by when.
#[derive(Default)]
struct Truth(Vec<(Instant, u64)>);

// === impl Truth ===

impl Truth {
    fn note(&mut self, count: u64) {
        self.0.push((Instant::now(), count));
    }

    fn at(&self, time: Instant) -> u64 {
        self.0.iter().rev().find(|(at, _)| *at <= time).map_or(0, |(_, count)| *count)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_replaced_loses_what_it_told_nobody_and_nothing_is_counted_twice() {
    let cluster = block_in_place(|| RedisCluster::start(3, 1));
    let processes = [process(&cluster).await, process(&cluster).await];
    let (mut truth, mut number, mut victim, mut killed) = (Truth::default(), 0, 0, None);
    let began = Instant::now();
    let mut ends = None;
    // Two seconds before, and two after it is whole again.
    while ends.is_none_or(|ends| Instant::now() < ends) {
        processes.iter().for_each(|events| count(events, number));
        number += 1;
        truth.note(2 * number);
        if killed.is_none() && began.elapsed() > Duration::from_secs(2) {
            block_in_place(|| cluster.await_replicas());
            victim = busiest(&cluster);
            cluster.nodes()[victim].kill();
            killed = Some(Instant::now());
        }
        if killed.is_some() && ends.is_none() && is_replaced(&cluster, victim) {
            ends = Some(Instant::now() + Duration::from_secs(2));
        }
        assert!(began.elapsed() < LONG, "the cluster does not become whole");
        sleep(Duration::from_millis(2)).await;
    }
    let killed = killed.expect("it was killed");
    for events in &processes {
        events.drain(LONG).await.expect("it arrives");
    }
    let may_be_lost = truth.at(killed) - truth.at(killed - LAG);
    let events = reading(&cluster).await;
    for window in WINDOWS {
        let report = events.read(window).await.expect("it can be read");
        for name in ["tick", "size"] {
            let found = report.count(&name.into());
            println!("{window:?}: {found} of {} {name}s, of which {may_be_lost} may be lost", 2 * number);
            assert!((2 * number - may_be_lost..=2 * number).contains(&found), "{found} of {}", 2 * number);
        }
        for ranking in 0..9 {
            let found = events.ranking(&format!("ranking {ranking}"), window, 99).await.expect("it can be read");
            let sum: u64 = found.iter().map(|(_, count)| count).sum();
            let all = 2 * (number / 9 + u64::from(number % 9 > ranking));
            assert!((all.saturating_sub(may_be_lost)..=all).contains(&sum), "{sum} of {all}");
        }
    }
}

/// The master on which the counts of today are.
fn busiest(cluster: &RedisCluster) -> usize {
    let days = |node: &RedisServer| node.cli(&["KEYS", "test:events:v1:{d:*"]).array().len();
    (0..3).max_by_key(|master| days(&cluster.nodes()[*master])).expect("there are three")
}

fn is_replaced(cluster: &RedisCluster, victim: usize) -> bool {
    let alive = cluster.nodes().iter().filter(|node| node.pid().is_some());
    let is_whole = alive.map(|node| node.cli(&["CLUSTER", "INFO"]).text()).all(|info| {
        ["cluster_state:ok", "cluster_slots_ok:16384", "cluster_slots_fail:0"].iter().all(|line| info.contains(line))
    });
    is_whole && cluster.nodes()[3 + victim].info("role").as_deref() == Some("master")
}
