//! Claims: the gateway answers hits from its memory nearly as fast as a bare hyper server answers at all, and hits from
//! Redis nearly as fast as a handler that only does the same `GET`.
//!
//! Each server is pinned to one core and the load (`wrk`) to another. The servers take turns, round by round, so that
//! whatever else the machine does hits them alike; medians of the rounds are compared. `BENCH_ROUNDS` and
//! `BENCH_SECONDS` change how long it takes.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use buttress_tests::RedisServer;

const SIZES: [(usize, &str); 2] = [(1 << 10, "1 KiB"), (100 << 10, "100 KiB")];

/// A server on a core of its own.
struct Server {
    child: Child,
    url: String,
}

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return; // `cargo test --benches` wants to know only that it compiles
    }
    println!("{} cores; server on core 0, wrk on core 1", std::thread::available_parallelism().map_or(1, usize::from));
    for (size, name) in SIZES {
        let origin = Server::start(None, "bare", &[&size.to_string()]);
        let redis = RedisServer::start();
        let redis_url = redis.url();
        let upstream = ["--listen", "127.0.0.1:0", "--workers", "1", "--upstream", &origin.url];
        let in_memory = Server::start(Some(0), "gateway", &upstream);
        let in_redis = [&upstream[..], &["--redis", &redis_url, "--cache-capacity", "0"]].concat();
        let in_redis = Server::start(Some(0), "gateway", &in_redis);
        let bare = Server::start(Some(0), "bare", &[&size.to_string()]);
        let peer = Server::start(Some(0), "peer-fred-get", &[&redis_url, &size.to_string()]);
        let servers = [&bare, &in_memory, &peer, &in_redis];
        for server in servers {
            server.load("1");
        }
        let mut rounds = vec![Vec::new(); servers.len()];
        for _ in 0..setting("BENCH_ROUNDS", 7) {
            for (server, rates) in servers.iter().zip(&mut rounds) {
                rates.push(server.load(&setting("BENCH_SECONDS", 2).to_string()));
            }
        }
        let [bare, memory, get, redis] = [0, 1, 2, 3].map(|index: usize| median(&mut rounds[index]));
        println!("{name}: bare hyper {bare:.0}/s, hit in process {memory:.0}/s: ratio {:.2}", memory / bare);
        println!("{name}: GET through fred {get:.0}/s, hit in Redis {redis:.0}/s: ratio {:.2}", redis / get);
    }
}

// === impl Server ===

impl Server {
    /// Starts a program and waits until it says where it listens.
    fn start(core: Option<usize>, program: &str, arguments: &[&str]) -> Self {
        let path = programs().join(program);
        let mut command = match core {
            Some(core) => {
                let mut taskset = Command::new("taskset");
                taskset.args(["-c", &core.to_string()]).arg(&path);
                taskset
            }
            None => Command::new(&path),
        };
        let child = command.args(arguments).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{}: {error}; scripts/bench builds it", path.display()));
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let url =
            line.trim().rsplit_once(' ').map_or_else(|| panic!("{program} said {line:?}"), |(_, url)| url.to_owned());
        Self { child, url }
    }

    /// Requests per second that it serves. Anything but success fails the run.
    fn load(&self, seconds: &str) -> f64 {
        let target = format!("{}/page", self.url);
        let output = Command::new("taskset")
            .args(["-c", "1", "wrk", "-t1", "-c32", "-d", &format!("{seconds}s"), &target])
            .output()
            .expect("wrk; scripts/bench installs it");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{target}: {text}");
        let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
        rate.unwrap_or_else(|| panic!("wrk said {text}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn programs() -> PathBuf {
    std::env::var_os("BENCH_PROGRAMS").map_or_else(|| PathBuf::from("target/release"), PathBuf::from)
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
