//! Events in Redis that give a busy machine time, and those who wait for something.

use std::time::Duration;

use buttress::events::{Events, EventsOptions};
use buttress::redis::Redis;
use buttress_tests::RedisServer;

/// A line to Redis that is not given up because the machine has more to do than cores.
pub(crate) fn line(url: &str) -> Redis {
    const PATIENCE: Duration = Duration::from_secs(5);
    Redis::options().deadline(PATIENCE).watchdog(Duration::from_secs(1)).connect(url).expect("a URL")
}

/// Who only reads, and has read nothing before.
pub(crate) fn reader(url: &str) -> Events {
    options().flush_each(Duration::from_secs(60)).redis(line(url))
}

pub(crate) fn options() -> EventsOptions {
    Events::options().prefix("test").deadline(Duration::from_secs(5))
}

/// Waits for something real to happen, within half a minute.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..3000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come true within half a minute: {what}");
}

/// A key, by what is its own of it.
pub(crate) fn key_of(rest: &str) -> String {
    format!("test:events:v1:{rest}")
}

/// What time it is there, in seconds since 1970.
pub(crate) fn redis_seconds(server: &RedisServer) -> u64 {
    server.cli(&["TIME"]).array()[0].text().parse().expect("a number")
}
