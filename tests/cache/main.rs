//! The response cache, through `tower::ServiceExt`: each test runs on the embedded store and on a real Redis.

mod bed;
mod coalescing;
mod coherence;
mod defaults;
mod failover;
mod fleet;
mod invalidation;
mod large;
mod lifetimes;
mod memo;
mod memo_bed;
mod memo_loading;
mod memo_made_of;
mod poisoning;
mod purging;
mod redis;
mod reuse;
mod shadow;
mod sharing;
mod streaming;
mod traces;
mod variants;
