//! Servers pinned to one core, and `wrk` on another: what a round of load says of a server.
//!
//! Requests per second alone would flatter a slow server whenever `wrk` is the bottleneck. So each round also tells how
//! much of its core the server used, and how much of the processor's time one request took.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The core of a server that is measured.
pub const SERVER_CORE: usize = 0;
/// The core of everything else: the load, Redis, the origin.
pub const OTHER_CORE: usize = 1;

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: String,
}

/// What one round of load found.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Requests per second.
    pub rate: f64,
    /// The part of its core that the server used; well below 1, the load was the bottleneck.
    pub busy: f64,
    /// Microseconds of processor time per request.
    pub cost: f64,
}

// === impl Server ===

impl Server {
    /// Starts a program that `scripts/bench` has built, on one core, and waits until it says where it listens.
    ///
    /// # Panics
    ///
    /// When it does not start or says something else.
    #[must_use]
    pub fn start(core: usize, program: &str, arguments: &[&str]) -> Self {
        let path = programs().join(program);
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string()]).arg(&path).args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("taskset: {error}"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        match line.trim().strip_prefix("listening on http://").map(str::to_owned) {
            Some(address) => Self { child, address },
            None => panic!("{} said {line:?}; scripts/bench builds it", path.display()),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The head of its response, as it comes over the socket.
    ///
    /// # Panics
    ///
    /// When it does not answer with 200.
    #[must_use]
    pub fn head(&self) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        write!(stream, "GET /page HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        let text = String::from_utf8_lossy(&answer);
        let (head, _) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        head.to_owned()
    }

    /// Lets `wrk` ask for so many seconds.
    ///
    /// # Panics
    ///
    /// When anything but success comes back.
    #[must_use]
    pub fn round(&self, seconds: usize) -> Round {
        let before = self.processor_seconds();
        let output = Command::new("taskset")
            .args(["-c", &OTHER_CORE.to_string(), "wrk", "-t1", "-c32", "-d", &format!("{seconds}s")])
            .arg(format!("{}/page", self.url()))
            .output()
            .expect("wrk; scripts/bench installs it");
        let used = self.processor_seconds() - before;
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{}: {text}", self.address);
        let (requests, time) = totals(&text).unwrap_or_else(|| panic!("wrk said {text}"));
        Round { rate: requests / time, busy: used / time, cost: used * 1e6 / requests }
    }

    /// The time that all its threads have spent on a processor.
    fn processor_seconds(&self) -> f64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("Linux");
        let nanoseconds = threads.filter_map(|thread| {
            let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        });
        nanoseconds.sum::<f64>() / 1e9
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Moves a process to a core.
///
/// # Panics
///
/// When `taskset` cannot.
pub fn pin(pid: u32, core: usize) {
    let status = Command::new("taskset")
        .args(["-a", "-c", "-p", &core.to_string(), &pid.to_string()])
        .stdout(Stdio::null())
        .status()
        .expect("taskset");
    assert!(status.success(), "taskset could not move {pid}");
}

/// The line of `wrk` that has both: `102938 requests in 2.01s, 120.2MB read`.
fn totals(text: &str) -> Option<(f64, f64)> {
    let (requests, rest) = text.lines().find_map(|line| line.trim().split_once(" requests in "))?;
    let time = rest.split_once("s,")?.0;
    Some((requests.parse().ok()?, time.parse().ok()?))
}

fn programs() -> PathBuf {
    std::env::var_os("BENCH_PROGRAMS").map_or_else(|| PathBuf::from("target/release"), PathBuf::from)
}
