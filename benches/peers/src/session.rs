//! Sessions beside other crates that keep them in Redis, in one process and with one server: requests for pages that do not ask for their
//! session, read one field of it, or count in it. Each of 32 visitors has a session of five fields, about 300 bytes.
//!
//! `peer-session`
//!
//! All are asked in turns through the same router, and every answer is looked at. tower-sessions is 0.14, since no store for Redis is published for the
//! newest; its store has a pool of six connections, as its documentation has it. axum_session is as its defaults are: it keeps sessions in memory as well, and
//! writes them from there.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use axum_session_redispool::SessionRedisPool;
use buttress::session::{CookieKey, Sessions};
use buttress_tests::RedisServer;
use fred::interfaces::ClientLike as _;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::BodyExt as _;
use report::{Target, claim, median};
use tower::ServiceExt as _;

#[path = "../../report.rs"]
#[expect(dead_code, reason = "the benches of the workspace use all of it")]
mod report;

const VISITORS: usize = 32;
const REQUESTS: usize = 60;
const FIELDS: [&str; 4] = ["name", "theme", "csrf", "return_to"];
const PAGES: [&str; 3] = ["/untouched", "/read", "/write"];

/// A crate that keeps sessions, and a cookie for each visitor.
struct Contestant {
    name: &'static str,
    app: Router,
    server: RedisServer,
    cookies: Vec<HeaderValue>,
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let rounds = std::env::var("BENCH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(9);
    let mut contestants = [
        contestant("ours", ours).await,
        contestant("tower-sessions", tower).await,
        contestant("axum_session", axum_s).await,
    ];
    for contestant in &mut contestants {
        contestant.begin().await;
    }
    for page in PAGES {
        for contestant in &contestants {
            let [commands, reads] = contestant.cost(page).await;
            println!(
                "{page}, {}: {commands:.1} commands and {reads:.1} reads of Redis's socket for a request",
                contestant.name
            );
            if contestant.name == "ours" {
                let (what, trips) = match page {
                    "/untouched" => ("untouched", 0.0),
                    "/read" => ("read", 1.0),
                    _ => ("read and written", 2.0),
                };
                claim(&format!("a session that is {what}: round trips"), Target::Exactly(trips), reads, "");
            }
        }
        let mut rates = contestants.each_ref().map(|_| Vec::new());
        for _ in 0..=rounds {
            for (contestant, rates) in contestants.iter().zip(&mut rates) {
                rates.push(contestant.rate(page).await);
            }
        }
        let [ours, peers @ ..] = rates.map(|rates| median(&rates[1..]));
        println!(
            "{page}, requests per second: ours {ours:.0}, tower-sessions {:.0}, axum_session {:.0}",
            peers[0], peers[1]
        );
        let target = if page == "/write" { Target::AtLeast(1.5) } else { Target::None };
        claim(&format!("{page} per second, of tower-sessions"), target, ours / peers[0], "×");
        claim(&format!("{page} per second, of axum_session"), Target::None, ours / peers[1], "×");
    }
}

async fn contestant<F: Future<Output = Router>>(name: &'static str, app: impl FnOnce(String) -> F) -> Contestant {
    let server = RedisServer::start();
    Contestant { name, app: app(server.url()).await, server, cookies: Vec::new() }
}

// === the contestants ===

async fn ours(url: String) -> Router {
    use buttress::session::{Session, SessionLayer};
    let redis = buttress::redis::Redis::connect(&url).expect("a URL");
    let app = Router::new()
        .route(
            "/begin",
            get(async |session: Session| {
                for field in FIELDS {
                    session.insert(field, &value(field)).await.expect("written");
                }
                session.insert("count", &0_u64).await.expect("written");
            }),
        )
        .route(
            "/read",
            get(async |session: Session| session.get::<String>("name").await.expect("read").expect("there")),
        )
        .route("/write", get(async |session: Session| session.incr("count", 1).await.expect("written").to_string()));
    let sessions = Sessions::options(CookieKey::random()).deadline(Duration::from_secs(5)).redis(redis);
    plain(app).layer(SessionLayer::new(sessions))
}

async fn tower(url: String) -> Router {
    use tower_sessions::{Session, SessionManagerLayer};
    let config = fred::types::config::Config::from_url(&url).expect("a URL");
    let pool = fred::clients::Pool::new(config, None, None, None, 6).expect("a pool");
    pool.init().await.expect("connected");
    let app = Router::new()
        .route(
            "/begin",
            get(async |session: Session| {
                for field in FIELDS {
                    session.insert(field, value(field)).await.expect("written");
                }
                session.insert("count", 0_u64).await.expect("written");
            }),
        )
        .route(
            "/read",
            get(async |session: Session| session.get::<String>("name").await.expect("read").expect("there")),
        )
        .route(
            "/write",
            get(async |session: Session| {
                let count = session.get::<u64>("count").await.expect("read").expect("there") + 1;
                session.insert("count", count).await.expect("written");
                count.to_string()
            }),
        );
    plain(app).layer(SessionManagerLayer::new(tower_sessions_redis_store::RedisStore::new(pool)))
}

async fn axum_s(url: String) -> Router {
    use axum_session::{Session, SessionConfig, SessionLayer, SessionStore};
    type Ours = Session<SessionRedisPool>;
    let pool = redis_pool::RedisPool::from(redis::Client::open(url).expect("a URL"));
    let store =
        SessionStore::<SessionRedisPool>::new(Some(pool.into()), SessionConfig::default()).await.expect("a store");
    let app = Router::new()
        .route(
            "/begin",
            get(async |session: Ours| {
                for field in FIELDS {
                    session.set(field, value(field));
                }
                session.set("count", 0_u64);
            }),
        )
        .route("/read", get(async |session: Ours| session.get::<String>("name").expect("there")))
        .route(
            "/write",
            get(async |session: Ours| {
                let count = session.get::<u64>("count").expect("there") + 1;
                session.set("count", count);
                count.to_string()
            }),
        );
    plain(app).layer(SessionLayer::new(store))
}

fn plain(app: Router) -> Router {
    app.route("/untouched", get(async || "hello"))
}

fn value(field: &str) -> String {
    format!("{field}: {}", "0123456789abcdef".repeat(4))
}

// === what they are asked ===

impl Contestant {
    async fn begin(&mut self) {
        for _ in 0..VISITORS {
            let (status, cookie, _) = ask(&self.app, "/begin", None).await;
            assert_eq!(status, StatusCode::OK, "{}", self.name);
            self.cookies.push(cookie.expect("a cookie"));
        }
    }

    /// Requests per second, of all visitors at the same time.
    async fn rate(&self, page: &'static str) -> f64 {
        let begun = Instant::now();
        let tasks: Vec<_> =
            self.cookies.iter().map(|cookie| tokio::spawn(visit(self.app.clone(), page, cookie.clone()))).collect();
        for task in tasks {
            task.await.expect("every answer was good");
        }
        (VISITORS * REQUESTS) as f64 / begun.elapsed().as_secs_f64()
    }

    /// Commands, and reads of the server's socket, for one request after the other.
    async fn cost(&self, page: &'static str) -> [f64; 2] {
        visit(self.app.clone(), page, self.cookies[0].clone()).await; // scripts, pools
        let counted = || {
            ["total_commands_processed", "total_reads_processed"]
                .map(|name| self.server.info(name).expect("a counter").parse::<f64>().expect("a number"))
        };
        // Asking counts, too, and so does whoever watches the connection.
        let idle = {
            let before = counted();
            let after = counted();
            [after[0] - before[0], after[1] - before[1]]
        };
        let before = counted();
        visit(self.app.clone(), page, self.cookies[0].clone()).await;
        let after = counted();
        [0, 1].map(|n| ((after[n] - before[n] - idle[n]) / REQUESTS as f64 * 10.0).round() / 10.0)
    }
}

async fn visit(app: Router, page: &'static str, cookie: HeaderValue) {
    for _ in 0..REQUESTS {
        let (status, _, body) = ask(&app, page, Some(&cookie)).await;
        assert!(status == StatusCode::OK && body > 0, "{page}: {status}");
    }
}

type Asked = Pin<Box<dyn Future<Output = (StatusCode, Option<HeaderValue>, usize)> + Send>>;

fn ask(app: &Router, page: &'static str, cookie: Option<&HeaderValue>) -> Asked {
    let app = app.clone();
    let mut request = Request::get(page).body(axum::body::Body::empty()).expect("a request");
    if let Some(cookie) = cookie {
        request.headers_mut().insert(COOKIE, cookie.clone());
    }
    Box::pin(async move {
        let response = app.oneshot(request).await.expect("an answer");
        let pairs: Vec<_> = response
            .headers()
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok()?.split(';').next())
            .collect();
        let cookie = (!pairs.is_empty()).then(|| HeaderValue::try_from(pairs.join("; ")).expect("a field"));
        let status = response.status();
        (status, cookie, response.into_body().collect().await.expect("a body").to_bytes().len())
    })
}
