//! How do I keep what a visitor does, and who is logged in?
//!
//! ```text
//! cargo run --release --example session
//! curl -s -c jar -b jar http://127.0.0.1:3000/cart -d item=tea
//! curl -s -c jar -b jar http://127.0.0.1:3000/login -d 'username=ada&password=lovelace'
//! curl -s -b jar http://127.0.0.1:3000/
//! curl -s -b jar http://127.0.0.1:3000/devices
//! curl -s -c jar -b jar -X POST http://127.0.0.1:3000/logout
//! ```

use axum::extract::Form;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use buttress::core::BoxError;
use buttress::session::{CookieKey, Level, Session, SessionError, SessionLayer, Sessions};
use serde::{Deserialize, Serialize};

/// What is known of a visitor. Each member is a field of the session; two requests that change different ones do not disturb each other.
#[derive(Default, Deserialize, Serialize)]
struct Visitor {
    visits: u32,
    cart: Vec<String>,
}

#[derive(Deserialize)]
struct Item {
    item: String,
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // With a Redis: a key that all processes have, such as `CookieKey::new(std::fs::read("session.key")?)?`, and
    // `Sessions::options(key).redis(redis)`.
    let sessions = Sessions::embedded(CookieKey::random());
    let app = Router::new()
        .route("/", get(home))
        .route("/cart", post(add))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/devices", get(devices))
        .layer(SessionLayer::new(sessions));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

async fn home(session: Session<Visitor>) -> Result<String, SessionError> {
    let visitor = session.update(|visitor| visitor.visits += 1).await?;
    let who = session.subject().await?.unwrap_or("stranger".to_owned());
    let mut page = format!("hello {who}, visit {}, cart: {}\n", visitor.visits, visitor.cart.join(", "));
    for flash in session.flashes().await? {
        page += &format!("({}) {}\n", flash.level.as_str(), flash.message);
    }
    Ok(page)
}

async fn add(session: Session<Visitor>, Form(Item { item }): Form<Item>) -> Result<&'static str, SessionError> {
    session.update(move |visitor| visitor.cart.push(item.clone())).await?;
    Ok("it is in the cart\n")
}

async fn login(session: Session, Form(given): Form<Credentials>) -> Result<(StatusCode, &'static str), SessionError> {
    // Here your database is asked, and the password's hash compared.
    if (given.username.as_str(), given.password.as_str()) != ("ada", "lovelace") {
        return Ok((StatusCode::UNAUTHORIZED, "nobody is known by these credentials\n"));
    }
    session.login(given.username).await?; // under a new id; the cart stays
    session.flash(Level::Success, "logged in").await?;
    Ok((StatusCode::OK, "welcome\n"))
}

async fn logout(session: Session) -> Result<&'static str, SessionError> {
    session.logout().await?;
    Ok("good bye\n")
}

/// Where else they are logged in; `Sessions::end_others` ends it there.
async fn devices(session: Session) -> Result<Json<Vec<String>>, SessionError> {
    let Some(subject) = session.subject().await? else { return Ok(Json(Vec::new())) };
    let devices = session.sessions().list(&subject).await?;
    Ok(Json(devices.into_iter().map(|device| device.label).collect()))
}
