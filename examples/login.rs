//! How do I have people log in, and out again, everywhere and at once?
//!
//! ```text
//! cargo run --release --example login
//! curl -s -c jar http://127.0.0.1:3000/auth/login -d 'username=ada&password=lovelace'
//! curl -s -b jar http://127.0.0.1:3000/me
//! word=$(awk '/csrf_access/ {print $7}' jar)
//! curl -s -b jar -X POST http://127.0.0.1:3000/auth/logout -H "x-csrf-token: $word"
//! curl -s -b jar http://127.0.0.1:3000/me
//! ```

use axum::Router;
use axum::routing::get;
use buttress::core::BoxError;
use buttress::jwt::{
    Credentials, Issuer, Jwt, JwtLayer, Login, Revocations, Rule, SigningKey, TokenCookies, TokenEndpoints, Verifier,
};

/// What handlers want to know of who is calling.
#[derive(serde::Deserialize)]
struct Person {
    sub: String,
    plan: String,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // With a Redis: `Revocations::options().redis(redis.clone())` here, and `.redis(redis)` at the issuer, for all processes to share.
    let revocations = Revocations::embedded();
    // In production a key that outlives the process: `SigningKey::pem(Algorithm::ES256, …)`.
    let issuer = Issuer::new("https://shop.example", "shop", SigningKey::random(), revocations.clone())?;
    let verifier = Verifier::new([issuer.trusted()])?;

    let guard = JwtLayer::new(verifier, revocations)
        .cookie(TokenCookies::new().access_name())
        .claims::<Person>()
        .rule(Rule::open().under("/auth"));
    let app = Router::new()
        .route("/me", get(me))
        .route_service("/auth/{*action}", TokenEndpoints::new(issuer, who))
        .layer(guard);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

/// Here your database is asked, and the password's hash compared.
async fn who(credentials: Credentials) -> Result<Option<Login>, BoxError> {
    let known = credentials.get("username") == Some("ada") && credentials.get("password") == Some("lovelace");
    Ok(known.then(|| Login::new("ada").claim("plan", "gold")))
}

async fn me(person: Jwt<Person>) -> String {
    format!("{} has the {} plan\n", person.sub, person.plan)
}
