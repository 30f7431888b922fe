//! Claim: a hit through the layer costs little beside what any request costs.
//!
//! Compares a hit with the bare service, which has its response ready and so is the cheapest there can be. `POST` and
//! gRPC go past the cache, and show what the layer costs those who gain nothing by it.

use buttress_benches::{Bare, bare, bypass, hit, hundred_kib, one_kib, request, warmed};
use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::Request;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body_util::Empty;

fn hits(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (name, service) in [("1 KiB", one_kib as fn(_) -> _), ("100 KiB", hundred_kib as fn(_) -> _)] {
        let service: Bare = tower::service_fn(service);
        let wrapped = runtime.block_on(warmed(service, "/page"));
        let mut group = c.benchmark_group(name);
        group.bench_function("bare", |b| b.iter(|| runtime.block_on(bare(&service, "/page"))));
        group.bench_function("hit", |b| b.iter(|| runtime.block_on(hit(&wrapped, "/page"))));
        if name == "1 KiB" {
            // A bypass does not look at the body: one size tells it all.
            group.bench_function("POST", |b| b.iter(|| runtime.block_on(bypass(&wrapped, request("/page")))));
            group.bench_function("gRPC", |b| b.iter(|| runtime.block_on(bypass(&wrapped, grpc("/page")))));
        }
        group.finish();
    }
}

fn grpc(path: &str) -> Request<Empty<Bytes>> {
    let mut request = request(path);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request
}

criterion_group!(benches, hits);
criterion_main!(benches);
