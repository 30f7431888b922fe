//! Claims: a cached 1 KiB response takes at most 1.6 KiB in process, and one string in Redis. Beside it, what a hit
//! allocates.
//!
//! Two numbers for the process: resident memory, which the operator sees and which has the allocator's losses in it, and
//! bytes asked of the allocator, which a run reproduces exactly.

use std::alloc::System;

use buttress::cache::{CacheLayer, CacheOptions};
use buttress::redis::Redis;
use buttress_benches::report::{Target, claim};
use buttress_benches::{Bare, bare, connected, hit, one_kib, request, warmed};
use buttress_tests::RedisServer;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower::Layer as _;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ENTRIES: usize = 100_000;
const IN_REDIS: usize = 1_000;
const HITS: usize = 1_000;
/// 1.6 KiB.
const MOST: f64 = 1.6 * 1024.0;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let service: Bare = tower::service_fn(one_kib as fn(_) -> _);
    in_process(service).await;
    in_redis(service).await;
    allocations(service).await;
}

async fn in_process(service: Bare) {
    let before = (resident(), Region::new(ALLOCATOR));
    // Room for all: what the cache reserves for its tables is part of the price.
    let cache = CacheOptions::new().capacity(1 << 30).embedded();
    let wrapped = CacheLayer::new(cache.clone()).layer(service);
    for number in 0..ENTRIES {
        hit(&wrapped, &format!("/products/{number}")).await;
    }
    let (resident, change) = (resident() - before.0, before.1.change());
    assert_eq!(cache.len(), ENTRIES, "every response was kept");
    let per_entry = |bytes: usize| f64::from(u32::try_from(bytes / ENTRIES).expect("few"));
    let weight = per_entry(usize::try_from(cache.weight()).expect("it fits"));
    claim("resident memory per cached 1 KiB response", Target::AtMost(MOST), per_entry(resident), "bytes");
    let heap = per_entry(change.bytes_allocated - change.bytes_deallocated);
    claim("… asked of the allocator", Target::AtMost(MOST), heap, "bytes");
    claim("… counted against the capacity", Target::None, weight, "bytes");
}

async fn in_redis(service: Bare) {
    let server = RedisServer::start();
    let redis = connected(Redis::connect(&server.url()).expect("a valid URL")).await;
    let cache = CacheOptions::new().capacity(0).redis(redis);
    let wrapped = CacheLayer::new(cache.clone()).layer(service);
    for number in 0..IN_REDIS {
        hit(&wrapped, &format!("/products/{number}")).await;
    }
    cache.settled().await;
    // Beside them: the ledger of purges, and the canary by which a flush is noticed; once for all entries.
    let keys = server.cli(&["KEYS", "buttress:cache:v1:{??????????????????????}*"]);
    let keys: Vec<_> = keys.array().iter().map(|key| key.text().to_owned()).collect();
    let strings = keys.iter().filter(|key| server.cli(&["TYPE", key]).text() == "string").count();
    let bytes: i64 = keys.iter().map(|key| server.cli(&["MEMORY", "USAGE", key]).int()).sum();
    assert_eq!(strings, keys.len(), "every key is a string");
    let (keys, entries) = (number(keys.len()), number(IN_REDIS));
    claim("strings in Redis per entry, and no other keys of its own", Target::Exactly(1.0), keys / entries, "");
    let bytes = number(usize::try_from(bytes).expect("it is positive"));
    claim("bytes in Redis per cached 1 KiB response (MEMORY USAGE)", Target::None, bytes / keys, "bytes");
}

async fn allocations(service: Bare) {
    let wrapped = warmed(service, "/page").await;
    let requests = Region::new(ALLOCATOR);
    for _ in 0..HITS {
        drop(request("/page"));
    }
    let requests = requests.change().allocations / HITS;
    let alone = Region::new(ALLOCATOR);
    for _ in 0..HITS {
        bare(&service, "/page").await;
    }
    let alone = alone.change().allocations / HITS - requests;
    let hits = Region::new(ALLOCATOR);
    for _ in 0..HITS {
        hit(&wrapped, "/page").await;
    }
    let hits = hits.change().allocations / HITS - requests;
    println!("allocations: {requests} to make the request, {alone} more in the bare service, {hits} more in a hit");
    claim("allocations per hit, those of the request apart", Target::None, number(hits), "");
}

/// Bytes of resident memory, as the kernel counts them.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a count of pages");
    pages * 4096
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("few"))
}
