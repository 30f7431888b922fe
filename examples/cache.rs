//! How do I put a cache in front of my axum service?
//!
//! ```sh
//! cargo run --release --example cache
//! curl -i http://127.0.0.1:3000/products/7   # takes 300 ms
//! curl -i http://127.0.0.1:3000/products/7   # at once: Cache-Status says `hit`
//! ```
//!
//! With `REDIS_URL=redis://127.0.0.1:6379` all processes that are started so share what one of them has made.

use std::time::Duration;

use axum::extract::Path;
use axum::response::IntoResponse;
use axum::{Router, routing::get};
use buttress::cache::{Cache, CacheLayer};
use buttress::redis::Redis;
use http::header::{CACHE_CONTROL, ETAG};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cache = match std::env::var("REDIS_URL") {
        Ok(url) => Cache::redis(Redis::connect(&url)?), // returns at once, even when Redis is down
        Err(_) => Cache::embedded(),
    };
    let app = Router::new()
        .route("/products/{id}", get(product))
        .route("/basket", get(basket))
        .route("/prices", get(prices))
        // For handlers that say nothing of their freshness. Without this they are not stored.
        .layer(CacheLayer::new(cache).default_ttl(Duration::from_secs(10)));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// Says how long it is good, and has a tag: once stale it is validated, and a client that has it gets a 304.
async fn product(Path(id): Path<u32>) -> impl IntoResponse {
    tokio::time::sleep(Duration::from_millis(300)).await;
    let fields = [(CACHE_CONTROL, "max-age=60, stale-while-revalidate=600".to_owned()), (ETAG, format!("\"{id}-1\""))];
    (fields, format!("product {id} costs {}\n", 10 + id % 90))
}

/// One visitor's own: it has to say so, and then no cache on the way keeps it.
async fn basket() -> impl IntoResponse {
    ([(CACHE_CONTROL, "private")], "your basket is empty\n")
}

/// Says nothing: stored for the ten seconds above, but not for a request that comes with a cookie.
async fn prices() -> &'static str {
    "everything at ten\n"
}
