//! Many requests of one session at the same time, to real servers in two processes: nothing of what was acknowledged is missing, and what has ended
//! stays ended and says so.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use buttress::session::{Session, SessionError, SessionLayer, Sessions};
use buttress_tests::RedisServer;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::asking::{Answer, ask};
use crate::bed::{patient, until};
use crate::browser::{at_rest, key};

/// So many at the same time.
const CROWD: usize = 64;
const REDIS: &str = "BUTTRESS_TEST_REDIS";
const SEALS: &str = "BUTTRESS_TEST_SEALS";

/// What the application keeps as a type.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Basket {
    items: Vec<usize>,
}

/// Whether those who wait may go on; the number of them is that of its receivers.
type Start = Arc<watch::Sender<bool>>;

fn app(sessions: Sessions) -> Router {
    Router::new()
        .route("/begin", get(async |session: Session| session.insert("began", &true).await))
        .route("/write/{n}", get(write))
        .route("/wait-and-write/{n}", get(wait_and_write))
        .route("/waiting", get(async |State(start): State<Start>| start.receiver_count().to_string()))
        .route("/start", get(async |State(start): State<Start>| _ = start.send_replace(true)))
        .route("/stop", get(async |State(start): State<Start>| _ = start.send_replace(false)))
        .route("/renew", get(async |session: Session| session.renew().await))
        .route("/login", get(async |session: Session| session.login("ada").await))
        .route("/logout", get(async |session: Session| session.logout().await))
        .route("/read", get(read))
        .layer(SessionLayer::new(sessions))
        .with_state(Start::new(watch::Sender::new(false)))
}

async fn write(session: Session, Path(n): Path<usize>) -> Result<(), SessionError> {
    session.insert(&format!("field-{n}"), &n).await?;
    session.incr("count", 1).await?;
    session.update("list", move |list: &mut Vec<usize>| list.push(n)).await?;
    // Half of them as a type as well, which is right for one version of the whole session only.
    if n % 2 == 0 {
        session.typed::<Basket>().update(move |basket| basket.items.push(n)).await?;
    }
    Ok(())
}

/// All of them have read the session before the first one writes.
async fn wait_and_write(session: Session, State(start): State<Start>, path: Path<usize>) -> Result<(), SessionError> {
    session.fields().await?;
    start.subscribe().wait_for(|has_begun| *has_begun).await.expect("it is not dropped");
    write(session, path).await
}

async fn read(session: Session) -> Result<String, SessionError> {
    let all = json!({
        "who": session.subject().await?,
        "fields": session.fields().await?,
        "count": session.get::<usize>("count").await?.unwrap_or_default(),
        "list": session.get::<Vec<usize>>("list").await?.unwrap_or_default(),
        "items": session.typed::<Basket>().get().await?.items,
    });
    Ok(all.to_string())
}

/// The servers of one application.
struct Fleet {
    urls: Vec<String>,
    sessions: Sessions,
    children: Vec<Child>,
    redis: Option<RedisServer>,
}

/// Not a test: a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it is started by other tests"]
async fn the_process() {
    let redis = std::env::var(REDIS).expect("it is started by other tests");
    let sessions = shared(&redis, std::env::var_os(SEALS).is_some());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("\nlistens at {}", listener.local_addr().expect("an address"));
    // Until the one who started it has gone.
    let gone = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    axum::serve(listener, app(sessions)).with_graceful_shutdown(async { drop(gone.await) }).await.expect("it serves");
}

fn shared(redis: &str, seals: bool) -> Sessions {
    let options = Sessions::options(key());
    let options = if seals { options.seal_fields() } else { options };
    patient(options, redis)
}

// === impl Fleet ===

impl Fleet {
    /// Two processes that share a Redis.
    fn start(seals: bool) -> Self {
        let redis = RedisServer::start();
        let (mut urls, mut children) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let mut command = Command::new(std::env::current_exe().expect("this very binary"));
            command.args(["--exact", "hammer::the_process", "--ignored", "--nocapture"]).env(REDIS, redis.url());
            if seals {
                command.env(SEALS, "yes");
            }
            let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.spawn().expect("it starts");
            let said = BufReader::new(child.stdout.take().expect("it was piped")).lines();
            let mut said = said.map_while(Result::ok);
            let address = said.find_map(|line| Some(line.strip_prefix("listens at ")?.to_owned()));
            urls.push(format!("http://{}", address.expect("it says where it listens")));
            children.push(child);
        }
        Self { urls, sessions: shared(&redis.url(), seals), children, redis: Some(redis) }
    }

    /// One process that keeps its sessions itself.
    async fn embedded() -> Self {
        let sessions = Sessions::embedded(key());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address: SocketAddr = listener.local_addr().expect("an address");
        tokio::spawn(axum::serve(listener, app(sessions.clone())).into_future());
        Self { urls: vec![format!("http://{address}")], sessions, children: Vec::new(), redis: None }
    }

    async fn ask(&self, process: usize, path: &str, cookie: &str) -> Answer {
        let cookie = [("cookie", cookie)];
        let fields = if cookie[0].1.is_empty() { &[][..] } else { &cookie };
        ask(&self.urls[process % self.urls.len()], &format!("GET {path}"), fields, "").await
    }

    /// A session, by its cookie.
    async fn begin(&self, path: &str) -> String {
        let answer = self.ask(0, path, "").await;
        assert_eq!(answer.status, 200);
        answer.cookies()
    }

    async fn all(&self, path: &str) {
        for process in 0..self.urls.len() {
            assert_eq!(self.ask(process, path, "").await.status, 200);
        }
    }

    /// All of these at the same time, shared among the processes, each when it has read the session; and something else beside them.
    async fn crowd<T>(&self, cookie: &str, beside: impl Future<Output = T>) -> (Vec<Answer>, T) {
        self.all("/stop").await;
        let asking = (0..CROWD).map(|n| async move { self.ask(n, &format!("/wait-and-write/{n}"), cookie).await });
        let beside = async {
            until("all of them wait", async || {
                let mut waiting = 0;
                for process in 0..self.urls.len() {
                    let answer = self.ask(process, "/waiting", "").await;
                    waiting += answer.body.to_string().trim_matches('"').parse::<usize>().expect("a number");
                }
                waiting == CROWD
            })
            .await;
            tokio::join!(self.all("/start"), beside).1
        };
        tokio::join!(join_all(asking), beside)
    }

    /// In the session are the writes of these, each once, and nothing else.
    async fn check(&self, cookie: &str, written: &BTreeSet<usize>) {
        let is = self.ask(1, "/read", cookie).await.body;
        let numbers = |field: &str| serde_json::from_value::<Vec<usize>>(is[field].clone()).expect("numbers");
        let set = |field: &str| numbers(field).into_iter().collect::<BTreeSet<_>>();
        assert_eq!(is["count"], written.len());
        assert_eq!((set("list"), numbers("list").len()), (written.clone(), written.len()));
        let even: BTreeSet<_> = written.iter().copied().filter(|n| n % 2 == 0).collect();
        assert_eq!((set("items"), numbers("items").len()), (even.clone(), even.len()));
        let fields = serde_json::from_value::<BTreeSet<String>>(is["fields"].clone()).expect("names");
        for n in 0..CROWD {
            assert_eq!(fields.contains(&format!("field-{n}")), written.contains(&n), "{n}");
        }
    }

    async fn is_nothing(&self, cookie: &str) {
        for process in 0..self.urls.len() {
            let is = self.ask(process, "/read", cookie).await.body;
            assert_eq!((&is["who"], &is["fields"]), (&Value::Null, &json!([])), "{is}");
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in &mut self.children {
            // Our own children; one that has ended already is as good as killed.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Whose writes were acknowledged; the others were told that the session has ended, and nobody was given a cookie.
fn acknowledged(answers: &[Answer]) -> BTreeSet<usize> {
    for Answer { status, body, cookies } in answers {
        assert_eq!(cookies.len(), 0, "{body}");
        assert!(*status == 200 || (*status == 409 && body["reason"] == "session-ended"), "{status} {body}");
    }
    answers.iter().enumerate().filter(|(_, answer)| answer.status == 200).map(|(n, _)| n).collect()
}

/// With two processes, with two that seal, and with one.
async fn each(check: impl AsyncFn(&Fleet)) {
    check(&Fleet::start(false)).await;
    check(&Fleet::start(true)).await;
    check(&Fleet::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_written_at_the_same_time_is_missing() {
    each(async |fleet| {
        let cookie = fleet.begin("/begin").await;
        let (answers, ()) = fleet.crowd(&cookie, async {}).await;
        let written = acknowledged(&answers);
        assert_eq!(written.len(), CROWD);
        fleet.check(&cookie, &written).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_meanwhile_is_gone_and_its_writers_learn() {
    each(async |fleet| {
        for round in 0..4_u64 {
            let cookie = fleet.begin("/login").await;
            let end = async {
                // Some of them were faster.
                while fleet.ask(0, "/read", &cookie).await.body["count"].as_u64().expect("a number") < 8 * round {}
                if round % 2 == 0 {
                    assert_eq!(fleet.sessions.end_all("ada").await.unwrap(), 1);
                } else {
                    assert_eq!(fleet.ask(1, "/logout", &cookie).await.status, 200);
                }
                // At once, while others still write.
                fleet.is_nothing(&cookie).await;
            };
            let (answers, ()) = fleet.crowd(&cookie, end).await;
            let written = acknowledged(&answers).len();
            println!("{written} were faster");
            assert!(written as u64 >= 8 * round);
            fleet.is_nothing(&cookie).await;
            if let Some(redis) = &fleet.redis {
                assert_eq!(at_rest(redis), "", "nothing came back");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_id_meanwhile_takes_all_of_it_along() {
    each(async |fleet| {
        for path in ["/renew", "/login"] {
            let old = fleet.begin("/begin").await;
            let rotate = async {
                loop {
                    let answer = fleet.ask(1, path, &old).await;
                    if answer.status == 200 {
                        return answer.cookies();
                    }
                    // Each time it had to be done again, others had written; they are never more than the crowd.
                    assert_eq!((answer.status.as_u16(), answer.cookies.len()), (503, 0), "{}", answer.body);
                }
            };
            let (answers, new) = fleet.crowd(&old, rotate).await;
            let written = acknowledged(&answers);
            assert!(path == "/login" || written.len() == CROWD, "who follows writes there");
            println!("{path}: {} were faster", written.len());
            assert!(!new.is_empty() && new != old);
            fleet.check(&new, &written).await;
            let who = fleet.ask(0, "/read", &old).await.body["who"].clone();
            assert_eq!(who, Value::Null, "the old id is nobody's");
        }
    })
    .await;
}
