//! Claim: a hit through the layer costs little beside what any request costs.
//!
//! Compares a hit with the bare service, which has its response ready and so is the cheapest there can be.

use buttress_benches::{Bare, bare, hit, hundred_kib, one_kib, warmed};
use criterion::{Criterion, criterion_group, criterion_main};

fn hits(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (name, service) in [("1 KiB", one_kib as fn(_) -> _), ("100 KiB", hundred_kib as fn(_) -> _)] {
        let service: Bare = tower::service_fn(service);
        let wrapped = runtime.block_on(warmed(service, "/page"));
        let mut group = c.benchmark_group(name);
        group.bench_function("bare", |b| b.iter(|| runtime.block_on(bare(&service, "/page"))));
        group.bench_function("hit", |b| b.iter(|| runtime.block_on(hit(&wrapped, "/page"))));
        group.finish();
    }
}

criterion_group!(benches, hits);
criterion_main!(benches);
