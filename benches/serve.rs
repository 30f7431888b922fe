//! Claims: the gateway answers hits from its memory nearly as fast as a bare hyper server answers at all, and hits from
//! Redis nearly as fast as a handler that only does the same `GET`.
//!
//! Each server is pinned to one core and all the rest to another. The servers take turns, round by round, so that
//! whatever else the machine does hits them alike; each round of one is compared with the round of its peer next to it,
//! and the median of these ratios counts. `BENCH_ROUNDS` and `BENCH_SECONDS` change how long it takes.

use buttress_benches::load::{OTHER_CORE, Round, SERVER_CORE, Server, pin};
use buttress_benches::report::{Target, claim, median};
use buttress_tests::RedisServer;

/// The size, its name, and what is promised: in process, in Redis.
const SIZES: [(usize, &str, f64, f64); 2] = [(1 << 10, "1 KiB", 0.90, 0.80), (100 << 10, "100 KiB", 0.95, 0.80)];

const NAMES: [&str; 4] = ["bare hyper", "gateway, hit in process", "GET through fred", "gateway, hit in Redis"];

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return; // `cargo test --benches` wants to know only that it compiles
    }
    let (count, seconds) = (setting("BENCH_ROUNDS", 7), setting("BENCH_SECONDS", 2));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{cores} cores: the server on core {SERVER_CORE}, wrk, Redis and the origin on core {OTHER_CORE};");
    println!("{count} rounds of {seconds} s each, 32 connections");
    for (size, name, in_process, in_redis) in SIZES {
        let rounds = measure(size, count, seconds);
        println!("\n{name}: median (and range) of the rounds");
        for (server, rounds) in NAMES.iter().zip(&rounds) {
            describe(server, rounds);
        }
        let [bare, memory, get, redis] = &rounds;
        compare(&format!("hit in process / bare hyper, {name}"), in_process, memory, bare);
        compare(&format!("hit in Redis / GET through fred, {name}"), in_redis, redis, get);
    }
}

/// The rounds of the four servers, in the order of [`NAMES`].
fn measure(size: usize, count: usize, seconds: usize) -> [Vec<Round>; 4] {
    let size = size.to_string();
    let origin = Server::start(OTHER_CORE, "bare", &[&size, "origin"]);
    let redis = RedisServer::start();
    pin(redis.pid().expect("it runs"), OTHER_CORE);
    let (upstream, redis_url) = (origin.url(), redis.url());
    let gateway = ["--listen", "127.0.0.1:0", "--workers", "1", "--upstream", &upstream];
    let in_redis = [&gateway[..], &["--redis", &redis_url, "--cache-capacity", "0"]].concat();
    let servers = [
        Server::start(SERVER_CORE, "bare", &[&size]),
        Server::start(SERVER_CORE, "gateway", &gateway),
        Server::start(SERVER_CORE, "peer-fred-get", &[&redis_url, &size]),
        Server::start(SERVER_CORE, "gateway", &in_redis),
    ];
    for server in &servers {
        let _warm = server.round(1);
    }
    check_heads(&servers);
    let mut rounds = [const { Vec::new() }; 4];
    for _ in 0..count {
        for (server, rounds) in servers.iter().zip(&mut rounds) {
            rounds.push(server.round(seconds));
        }
    }
    rounds
}

/// Servers that send different fields cannot be compared; and a gateway that asks its origin has no hits.
fn check_heads(servers: &[Server; 4]) {
    let names = |head: &str| {
        let fields = head.lines().skip(1).filter_map(|line| Some(line.split_once(':')?.0.to_ascii_lowercase()));
        let mut names: Vec<_> = fields.collect();
        names.sort();
        names
    };
    let heads = servers.each_ref().map(Server::head);
    for (name, head) in NAMES.iter().zip(&heads) {
        assert!(head.contains("Buttress; hit"), "{name} did not hit: {head}");
        assert_eq!(names(head), names(&heads[0]), "{name} sends other fields than {}", NAMES[0]);
        assert!(head.len().abs_diff(heads[0].len()) <= 16, "{head}\n\nis not as long as\n\n{}", heads[0]);
    }
}

fn describe(server: &str, rounds: &[Round]) {
    let column = |of: fn(&Round) -> f64| rounds.iter().map(of).collect::<Vec<_>>();
    let (rates, busy, costs) = (column(|round| round.rate), column(|round| round.busy), column(|round| round.cost));
    let (low, high) = (rates.iter().copied().fold(f64::MAX, f64::min), rates.iter().copied().fold(0.0, f64::max));
    println!(
        "  {server:<24} {:>7.0}/s ({low:.0} to {high:.0}), {:>3.0} % of its core, {:>6.2} µs of processor time per request",
        median(&rates),
        median(&busy) * 100.0,
        median(&costs),
    );
}

fn compare(name: &str, least: f64, ours: &[Round], peers: &[Round]) {
    let ratios = |of: fn(&Round, &Round) -> f64| -> Vec<f64> {
        ours.iter().zip(peers).map(|(ours, peer)| of(ours, peer)).collect()
    };
    let rate = median(&ratios(|ours, peer| ours.rate / peer.rate));
    claim(&format!("requests per second, {name}"), Target::AtLeast(least), rate, "");
    // What the ratio would be if nothing but the server's own core were the limit.
    let cost = median(&ratios(|ours, peer| peer.cost / ours.cost));
    claim(&format!("… by processor time of the server, {name}"), Target::None, cost, "");
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
