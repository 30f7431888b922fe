//! How do I count what happens, and see it live?
//!
//! ```text
//! cargo run --release --example events
//! for n in 1 2 3 4 5; do curl -s http://127.0.0.1:3000/articles/how-to-count; done
//! curl -s http://127.0.0.1:3000/buy -d plan=pro
//! sleep 2; curl -s http://127.0.0.1:3000/numbers
//! ```
//!
//! In a browser: `http://127.0.0.1:3000/dashboard/`.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Form, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use buttress::core::BoxError;
use buttress::events::{Dashboard, Events, EventsLayer, Select, Window};
use serde::Deserialize;

#[derive(Deserialize)]
struct Order {
    plan: String,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let events = Events::embedded(); // or Events::options().redis(redis): then all processes count together
    let visitors = EventsLayer::new(events.clone())
        .visitors(|parts| parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|from| from.0.ip()));
    let app = Router::new()
        .route("/articles/{slug}", get(article))
        .route("/buy", post(buy))
        .route("/numbers", get(numbers))
        .with_state(events.clone())
        .layer(visitors)
        .nest_service("/dashboard/", Dashboard::new(events.clone())); // in earnest: where only you come

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    let server = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>());
    tokio::select! {
        served = server => served?,
        signalled = tokio::signal::ctrl_c() => signalled?,
    }
    Ok(events.drain(Duration::from_secs(5)).await?) // what was counted in the last second
}

async fn article(State(events): State<Events>, Path(slug): Path<String>) -> String {
    events.rank("article", &slug, 1); // there may be millions of them
    format!("this is {slug}\n")
}

async fn buy(State(events): State<Events>, Form(Order { plan }): Form<Order>) -> (StatusCode, &'static str) {
    // A label has few values: what a client sends is not one before it is checked.
    let plan = match plan.as_str() {
        "pro" => "pro",
        "free" => "free",
        _ => return (StatusCode::BAD_REQUEST, "there are pro and free\n"),
    };
    events.add("bought", &[("plan", plan)], 1);
    (StatusCode::OK, "thank you\n")
}

async fn numbers(State(events): State<Events>) -> Result<String, StatusCode> {
    let read = async {
        let hour = events.read(Window::minutes(60)).await?;
        let articles = events.ranking("article", Window::minutes(60), 3).await?;
        let today = events.visitors("visitors", 1).await?;
        let slow = hour.quantile(&Select::requests(), 0.99).unwrap_or_default();
        let asked = hour.count(&Select::requests());
        let sold = hour.top("plan", &"bought".into(), 3);
        Ok::<_, BoxError>(format!(
            "{asked} requests, 99 % of them within {:.1} ms\nsold: {sold:?}\nread: {articles:?}\nvisitors today: {}\n",
            slow * 1000.0,
            today[0].1,
        ))
    };
    read.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}
