//! A product page that takes its time, and can be changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use buttress::events::Events;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use serde_json::json;

/// There are so many products.
const PRODUCTS: u32 = 1000;

/// What was changed, and how often a page was made.
#[derive(Clone, Debug, Default)]
struct Shop {
    shelves: Arc<Mutex<HashMap<u32, Shelf>>>,
    events: Option<Events>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Shelf {
    revision: u64,
    made: u64,
}

pub(super) fn routes(events: Option<&Events>) -> Router {
    let shop = Shop { events: events.cloned(), ..Shop::default() };
    Router::new().route("/products/{id}", get(show).post(change).put(change)).with_state(shop)
}

async fn show(State(shop): State<Shop>, Path(id): Path<u32>) -> Response {
    tokio::time::sleep(Duration::from_millis(300)).await;
    if id > PRODUCTS {
        let problem = json!({"title": "Not Found", "status": 404, "detail": format!("there is no product {id}")});
        let fields = [(CACHE_CONTROL, "max-age=5"), (CONTENT_TYPE, "application/problem+json")];
        return (StatusCode::NOT_FOUND, fields, problem.to_string()).into_response();
    }
    let Shelf { revision, made } = shop.update(id, |shelf| shelf.made += 1);
    if let Some(events) = &shop.events {
        events.rank("product made", &id.to_string(), 1);
    }
    let price = 10 + u64::from(id) % 90 + revision;
    let tag = format!("\"{id}-{revision}\"");
    let fields = [(CACHE_CONTROL, "public, max-age=30, stale-while-revalidate=60".to_owned()), (ETAG, tag)];
    (fields, Json(json!({"id": id, "price": price, "made": made}))).into_response()
}

async fn change(State(shop): State<Shop>, Path(id): Path<u32>) -> StatusCode {
    if id > PRODUCTS {
        return StatusCode::NOT_FOUND;
    }
    shop.update(id, |shelf| shelf.revision += 1);
    if let Some(events) = &shop.events {
        events.add("price changed", &[("kind", if id % 2 == 0 { "even" } else { "odd" })], 1);
    }
    StatusCode::NO_CONTENT
}

// === impl Shop ===

impl Shop {
    fn update(&self, id: u32, change: impl FnOnce(&mut Shelf)) -> Shelf {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        let shelf = shelves.entry(id).or_default();
        change(shelf);
        *shelf
    }
}
