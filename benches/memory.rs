//! Claim: a cached 1 KiB response takes at most 1.6 KiB in process, and one string in Redis.

use buttress::cache::{CacheLayer, CacheOptions};
use buttress::redis::Redis;
use buttress_benches::{Bare, hit, one_kib};
use buttress_tests::RedisServer;
use tower::Layer as _;

const ENTRIES: usize = 100_000;
const IN_REDIS: usize = 1_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let service: Bare = tower::service_fn(one_kib as fn(_) -> _);
    let cache = CacheOptions::new().capacity(1 << 30).embedded();
    let wrapped = CacheLayer::new(cache.clone()).layer(service);
    // What the runtime, the allocator and the cache's own tables take anyway is taken before the count.
    for number in 0..1_000 {
        hit(&wrapped, &format!("/warm/{number}")).await;
    }
    let (before, entries) = (resident(), cache.len());
    for number in 0..ENTRIES {
        hit(&wrapped, &format!("/products/{number}")).await;
    }
    let (grown, added) = (resident() - before, cache.len() - entries);
    println!("in process: {} bytes of resident memory per entry, {added} entries of 1024 bytes body", grown / added);

    let server = RedisServer::start();
    let redis = Redis::connect(&server.url()).expect("a valid URL");
    while !redis.is_up() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let cache = CacheOptions::new().capacity(0).redis(redis);
    let wrapped = CacheLayer::new(cache.clone()).layer(service);
    for number in 0..IN_REDIS {
        hit(&wrapped, &format!("/products/{number}")).await;
        cache.settled().await;
    }
    let keys = server.cli(&["KEYS", "*"]);
    let bytes: i64 = keys.array().iter().map(|key| server.cli(&["MEMORY", "USAGE", &key.text()]).int()).sum();
    let count = keys.array().len();
    println!(
        "in Redis: {count} keys for {IN_REDIS} entries, {} bytes each",
        bytes / i64::try_from(count).expect("few")
    );
}

/// Bytes of resident memory, as the kernel counts them.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a count of pages");
    pages * 4096
}
