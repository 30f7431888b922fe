//! How often somebody was here.

use axum::Router;
use axum::routing::{get, post};
use buttress::session::{Session, SessionError};

pub(super) fn routes() -> Router {
    Router::new().route("/visits", get(count)).route("/visits/forget", post(forget))
}

async fn count(session: Session) -> Result<String, SessionError> {
    let visits = session.incr("visits", 1).await?;
    Ok(format!("your visit number {visits}\n"))
}

async fn forget(session: Session) -> Result<&'static str, SessionError> {
    session.destroy().await?;
    Ok("we have never met\n")
}
