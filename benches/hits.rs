//! So many hits through the layer, and nothing else: for callgrind, which counts their instructions.
//!
//! `hits COUNT`: the difference between two counts is the cost of the hits alone. `hits COUNT bare` asks the service
//! without the layer.

use buttress_benches::{Bare, bare, hit, one_kib, warmed};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let count: usize = arguments.next().and_then(|count| count.parse().ok()).expect("hits COUNT [bare]");
    let is_bare = arguments.next().is_some();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let bytes: usize = runtime.block_on(async {
        let service: Bare = tower::service_fn(one_kib as fn(_) -> _);
        let wrapped = warmed(service, "/page").await;
        let mut bytes = 0;
        for _ in 0..count {
            bytes += if is_bare { bare(&service, "/page").await } else { hit(&wrapped, "/page").await };
        }
        bytes
    });
    println!("{bytes} bytes");
}
