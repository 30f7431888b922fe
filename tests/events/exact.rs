//! Four processes count through lines that are cut again and again after a command was carried out and before its reply has come; Redis is killed in
//! the middle, and near the end one of the processes. Each count that was flushed is there, once. The usual way to count is wrong in the same run.
//!
//! As many cuts as `BUTTRESS_CUTS` says, or as fit in twenty seconds. Ten thousand take about four minutes on two cores, mostly the wire's pauses before
//! it connects again:
//!
//! ```text
//! BUTTRESS_CUTS=10000 cargo test -p buttress-tests --test events exact -- --nocapture
//! ```

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use buttress::events::{Events, Window};
use buttress_tests::{CuttingProxy, RedisServer};
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{Instant, sleep};

use crate::bed::{options, reader, until};
use crate::truth::{self, Sums};
use crate::{article, bed};

/// What tells a process that it is one: its number, where it writes down what it does, and where its lines lead.
const NUMBER: &str = "BUTTRESS_TEST_NUMBER";
const NOTES: &str = "BUTTRESS_TEST_NOTES";
const URLS: &str = "BUTTRESS_TEST_URLS";

const PROCESSES: u64 = 4;
/// Each has a numbering of its own, so that there are more batches, and more lines that can be cut.
const LINES: usize = 16;
/// The process that is killed.
const KILLED: u64 = 3;
const RESTARTS: u64 = 3;
/// The beginning of the field that says what was added: a command with it counts.
const COUNTS: &str = "\r\n~";

/// Not a test: a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it is started by another test"]
async fn the_process() {
    let env = |name| std::env::var(name).expect("it is started by another test");
    let process = env(NUMBER).parse().expect("a number");
    let notes = OpenOptions::new().append(true).create(true).open(env(NOTES)).expect("a file");
    let notes = Arc::new(Mutex::new(notes));
    let (end, ends) = watch::channel(false);
    let mut lines = JoinSet::new();
    for (number, url) in env(URLS).split(',').enumerate() {
        let events = options().flush_each(Duration::from_millis(20)).redis(bed::line(url));
        lines.spawn(work(events, process, number as u64, Arc::clone(&notes), ends.clone()));
    }
    // Until the one who started it has gone, or says so by closing this.
    let gone = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    drop(gone.await);
    end.send(true).expect("the lines listen");
    lines.join_all().await;
}

/// Counts and flushes. Writes down what is about to be counted before, and what was flushed after.
async fn work(events: Events, process: u64, line: u64, notes: Arc<Mutex<File>>, ends: watch::Receiver<bool>) {
    let layer = truth::layer(&events);
    let note = |what: &str, bursts: u64| {
        let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.write_all(format!("{what} {line} {bursts}\n").as_bytes()).expect("a file");
    };
    for number in 0.. {
        if *ends.borrow() {
            events.drain(Duration::from_secs(60)).await.expect("all arrives");
            note("flushed", number);
            return;
        }
        note("counting", number + 1);
        for act in truth::burst(process, line, number) {
            act.perform(&events, &layer, process).await;
        }
        // Mostly it happens by itself.
        if number % 2 == 0 && events.flush().await.is_ok() {
            note("flushed", number + 1);
        }
        sleep(Duration::from_millis(15)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_count_arrives_once() {
    let wanted = std::env::var("BUTTRESS_CUTS").ok().map(|cuts| cuts.parse::<u64>().expect("a number"));
    let server = RedisServer::with().arg("appendonly", "yes").arg("appendfsync", "always").start();
    let dir = tempfile::tempdir().expect("a directory");
    let cuts = Arc::new(AtomicU64::new(0));
    let mut cutters = JoinSet::new();
    let mut fleet = Vec::new();
    let (end, ends) = watch::channel(false);
    for number in 0..PROCESSES {
        let proxies = join_all((0..LINES).map(|_| CuttingProxy::start(server.addr()))).await;
        fleet.push(Process::start(number, &proxies, &dir));
        for proxy in proxies {
            cutters.spawn(cut(proxy, COUNTS, 60..300, Arc::clone(&cuts), ends.clone()));
        }
    }
    let plain_cuts = Arc::new(AtomicU64::new(0));
    let mut articles = JoinSet::new();
    for _ in 0..LINES {
        let proxy = CuttingProxy::start(server.addr()).await;
        articles.spawn(article::count(proxy.url(), ends.clone()));
        // It waits for a second when it is connected again.
        cutters.spawn(cut(proxy, "INCR", 1000..1500, Arc::clone(&plain_cuts), ends.clone()));
    }

    let began = Instant::now();
    for part in 1..=RESTARTS + 1 {
        let is_enough = || match wanted {
            Some(wanted) => cuts.load(Ordering::SeqCst) >= wanted * part / (RESTARTS + 1),
            None => began.elapsed() >= Duration::from_secs(5) * part as u32,
        };
        while !is_enough() {
            sleep(Duration::from_millis(10)).await;
        }
        if part <= RESTARTS {
            block_in_place(|| server.restart());
        }
    }
    fleet[KILLED as usize].kill();
    end.send(true).expect("it listens");
    fleet.iter_mut().for_each(Process::end);
    block_in_place(|| fleet.iter_mut().for_each(Process::wait));
    let took = began.elapsed();
    let plain =
        (articles.join_all().await.into_iter().reduce(article::together).expect("some"), article::found(&server));
    cutters.shutdown().await;

    println!("{} lines cut in {took:.0?}, Redis killed {RESTARTS} times", cuts.load(Ordering::SeqCst));
    println!("{:>26} {:>12} {:>12} {:>8} {:>8}", "", "truth", "counted", "lost", "twice");
    for process in &fleet {
        process.check(&server.url()).await;
    }
    let plain_cuts = plain_cuts.load(Ordering::SeqCst);
    let (lost, twice) = print(&format!("INCR and ZINCRBY, {plain_cuts} cuts"), &plain.0, &plain.1);
    assert!(plain_cuts > 0 && lost + twice > 0, "the usual way is wrong");
    assert!(wanted.is_none_or(|wanted| cuts.load(Ordering::SeqCst) >= wanted));
    assert!(cuts.load(Ordering::SeqCst) > 100);
}

/// Cuts a line behind a command of this kind, and when it is there again so many milliseconds later: now and then something gets through. Towards the end
/// it takes its time, so that a machine that is slow comes to one.
async fn cut(
    proxy: CuttingProxy,
    needle: &'static str,
    pauses: Range<u64>,
    cuts: Arc<AtomicU64>,
    ends: watch::Receiver<bool>,
) {
    for pause in pauses.step_by(7).cycle() {
        let (before, lines) = (proxy.cuts(), proxy.lines());
        proxy.cut_after(needle);
        while proxy.cuts() == before {
            sleep(Duration::from_millis(5)).await;
        }
        cuts.fetch_add(1, Ordering::SeqCst);
        while proxy.lines() == lines {
            sleep(Duration::from_millis(5)).await;
        }
        let at_the_end = if *ends.borrow() { 1000 } else { 0 };
        sleep(Duration::from_millis(pause + at_the_end)).await;
    }
}

/// What a table says of one; answers what was lost, and what was counted twice.
fn print(what: &str, truth: &Sums, counted: &Sums) -> (u64, u64) {
    let all = |sums: &Sums| sums.values().sum::<u64>();
    let (lost, twice) = compare(truth, counted);
    println!("{what:>26} {:>12} {:>12} {lost:>8} {twice:>8}", all(truth), all(counted));
    (lost, twice)
}

fn compare(truth: &Sums, counted: &Sums) -> (u64, u64) {
    let over = |one: &Sums, other: &Sums| {
        let over = one.iter().map(|(key, sum)| sum.saturating_sub(other.get(key).copied().unwrap_or_default()));
        over.sum::<u64>()
    };
    (over(truth, counted), over(counted, truth))
}

/// One that counts.
struct Process {
    number: u64,
    child: Child,
    notes: PathBuf,
}

// === impl Process ===

impl Process {
    fn start(number: u64, proxies: &[CuttingProxy], dir: &TempDir) -> Self {
        let notes = dir.path().join(number.to_string());
        let urls: Vec<_> = proxies.iter().map(CuttingProxy::url).collect();
        let child = Command::new(std::env::current_exe().expect("this very binary"))
            .args(["--exact", "exact::the_process", "--ignored", "--nocapture"])
            .env(NUMBER, number.to_string())
            .env(NOTES, &notes)
            .env(URLS, urls.join(","))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        Self { number, child: child.expect("it starts"), notes }
    }

    /// SIGKILL.
    fn kill(&mut self) {
        self.child.kill().expect("it runs");
    }

    /// Has it bring all to Redis, and end.
    fn end(&mut self) {
        drop(self.child.stdin.take());
    }

    fn wait(&mut self) {
        let ended = self.child.wait().expect("our own child");
        assert_eq!(ended.success(), self.number != KILLED, "{ended}");
    }

    /// How many bursts of each line it has written down last, under this word.
    fn noted(&self, word: &str) -> Vec<u64> {
        let notes = std::fs::read_to_string(&self.notes).expect("its notes");
        let mut bursts = vec![0; LINES];
        for note in notes.lines() {
            let words: Vec<_> = note.split(' ').collect();
            if let [what, line, count] = words[..]
                && what == word
            {
                bursts[line.parse::<usize>().expect("a line")] = count.parse().expect("a count");
            }
        }
        bursts
    }

    /// What it has flushed is there, and nothing that it has not counted; in minutes, hours and days.
    async fn check(&self, url: &str) {
        let (least, most) = (self.noted("flushed"), self.noted("counting"));
        let (least, most) = (truth::expected(self.number, &least), truth::expected(self.number, &most));
        if self.number != KILLED {
            assert_eq!(least, most, "it ended when all was flushed");
        }
        let events = reader(url);
        until("Redis can be read", async || events.read(Window::days(1)).await.is_ok()).await;
        for (step, window) in [("minutes", Window::minutes(60)), ("hours", Window::hours(2)), ("days", Window::days(2))]
        {
            let found = truth::found(&events, self.number, window).await;
            let what = format!("process {}, {step}", self.number);
            if self.number == KILLED {
                // At most the last of it, which it had not flushed as far as it knew, and nothing that it had.
                let (_, twice) = print(&format!("{what}, killed"), &most, &found);
                let (lost, _) = compare(&least, &found);
                assert_eq!((lost, twice), (0, 0), "{found:?} of {least:?} to {most:?}");
            } else {
                let wrong = print(&what, &most, &found);
                assert_eq!(wrong, (0, 0), "{found:?} of {most:?}");
            }
        }
    }
}
