//! How do I cache the results of my queries, and the pages that are made of them?
//!
//! ```sh
//! cargo run --release --example memo
//! curl -i http://127.0.0.1:3000/users/7                  # takes 300 ms: the query
//! curl -i http://127.0.0.1:3000/users/7                  # at once: Cache-Status says `hit`
//! curl -i http://127.0.0.1:3000/teams/3                  # one query: user 7 is known
//! curl -i -X PUT -d Bea http://127.0.0.1:3000/users/7    # renames, and takes the value back …
//! curl -i http://127.0.0.1:3000/teams/3                  # … and every page that was made with it
//! ```
//!
//! With `REDIS_URL=redis://127.0.0.1:6379` all processes that are started so share values and pages.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Router, routing::get};
use buttress::cache::memo::Memo;
use buttress::cache::{Cache, CacheLayer};
use buttress::redis::Redis;

#[derive(Clone)]
struct App {
    users: Memo<u32, String>,
    database: Database,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cache = match std::env::var("REDIS_URL") {
        Ok(url) => Cache::redis(Redis::connect(&url)?),
        Err(_) => Cache::embedded(),
    };
    let users = Memo::new(&cache, "users").ttl(Duration::from_secs(600)).stale_on_error(Duration::from_secs(3600));
    let app = Router::new()
        .route("/users/{id}", get(user).put(rename))
        .route("/teams/{id}", get(team))
        .layer(CacheLayer::new(cache).default_ttl(Duration::from_secs(600)))
        .with_state(App { users, database: Database::default() });

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn user(State(app): State<App>, Path(id): Path<u32>) -> Result<impl IntoResponse, StatusCode> {
    Ok(format!("user {id} is {}\n", app.user(id).await?))
}

/// Made of two users: whoever of them is renamed, this page goes too. Nothing here says so.
async fn team(State(app): State<App>, Path(id): Path<u32>) -> Result<impl IntoResponse, StatusCode> {
    let (one, other) = (app.user(id + 4).await?, app.user(id + 5).await?);
    Ok(format!("team {id} is {one} and {other}\n"))
}

async fn rename(State(app): State<App>, Path(id): Path<u32>, name: String) -> Result<StatusCode, StatusCode> {
    app.database.write(id, name);
    // An error means that the old name may still be shown: who wrote it should know.
    app.users.invalidate(&id).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(StatusCode::NO_CONTENT)
}

// === impl App ===

impl App {
    async fn user(&self, id: u32) -> Result<Arc<String>, StatusCode> {
        let database = self.database.clone();
        let load = move |_| async move { database.read(id).await };
        self.users.get_or_try_insert_with(&id, load).await.map_err(|_| StatusCode::BAD_GATEWAY)
    }
}

/// A database that takes its time.
#[derive(Clone, Default)]
struct Database {
    renamed: Arc<Mutex<HashMap<u32, String>>>,
}

impl Database {
    async fn read(&self, id: u32) -> io::Result<String> {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let renamed = self.renamed.lock().map_err(|_| io::Error::other("the database is broken"))?;
        Ok(renamed.get(&id).cloned().unwrap_or_else(|| format!("Ann the {id}th")))
    }

    fn write(&self, id: u32, name: String) {
        if let Ok(mut renamed) = self.renamed.lock() {
            renamed.insert(id, name);
        }
    }
}
