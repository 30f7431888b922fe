//! Many requests at the same time, on two processes: nothing is lost, nothing comes back.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use buttress::redis::Redis;
use buttress::session::{Session, SessionError, SessionLayer, Sessions};
use buttress_tests::RedisServer;
use futures_util::future::join_all;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::asking::{Answer, ask};
use crate::browser::{at_rest, key};

const REDIS: &str = "BUTTRESS_SESSION_TEST_REDIS";
const SEALED: &str = "BUTTRESS_SESSION_TEST_SEALED";
const CROWD: u32 = 64;

/// A type's view of the same session.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Tally {
    points: u32,
    seen: Vec<u32>,
}

/// Serves until it is killed. Not a test: the tests start it as a process of its own.
#[tokio::test]
#[ignore = "started by the others"]
async fn the_server() {
    let Ok(url) = std::env::var(REDIS) else { return };
    let options = Sessions::options(key());
    let options = if std::env::var_os(SEALED).is_some() { options.seal_fields() } else { options };
    // A machine with more to do than cores stands still for longer than a server would.
    let sessions = options.deadline(Duration::from_secs(5)).redis(Redis::connect(&url).expect("a URL"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("\nserving http://{}", listener.local_addr().expect("an address"));
    let app = Router::new()
        .route("/login", get(login))
        .route("/write/{n}", get(write))
        .route("/hold/{n}", get(hold))
        .route("/renew", get(renew))
        .route("/logout", get(logout))
        .route("/read", get(read));
    axum::serve(listener, app.layer(SessionLayer::new(sessions))).await.expect("it serves");
}

async fn login(session: Session) -> Result<(), SessionError> {
    session.login("ada").await.map(drop)
}

async fn write(session: Session, Path(n): Path<u32>) -> Result<(), SessionError> {
    session.insert(&format!("field-{n}"), &n).await?;
    session.incr("count", 1).await?;
    session.update("list", move |list: &mut Vec<u32>| list.push(n)).await?;
    let tally = session.typed::<Tally>();
    tally
        .update(move |tally| (tally.points, tally.seen) = (tally.points + n, [&tally.seen[..], &[n]].concat()))
        .await?;
    Ok(())
}

/// Has read its session for a while when it writes.
async fn hold(session: Session, Path(n): Path<u32>) -> Result<(), SessionError> {
    session.subject().await?;
    tokio::time::sleep(Duration::from_millis(700)).await;
    session.insert(&format!("late-{n}"), &n).await
}

async fn renew(session: Session) -> Result<(), SessionError> {
    session.renew().await
}

async fn logout(session: Session) -> Result<(), SessionError> {
    session.logout().await
}

async fn read(session: Session) -> Result<String, SessionError> {
    let list: Vec<u32> = session.get("list").await?.unwrap_or_default();
    let count: u32 = session.get("count").await?.unwrap_or_default();
    let Tally { points, seen } = session.typed::<Tally>().get().await?;
    let fields = session.fields().await?.iter().filter(|field| field.starts_with("field-")).count();
    let subject = session.subject().await?.unwrap_or_default();
    Ok(format!("{subject} {fields} {count} {} {points} {}", unique(list), unique(seen)))
}

/// How many different ones there are, if none is there twice.
fn unique(mut list: Vec<u32>) -> usize {
    let all = list.len();
    list.sort_unstable();
    list.dedup();
    if list.len() == all { all } else { 0 }
}

/// A process that serves sessions.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(redis: &RedisServer, sealed: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this very binary"));
        command.args(["--exact", "crowd::the_server", "--ignored", "--nocapture"]).env(REDIS, redis.url());
        if sealed {
            command.env(SEALED, "1");
        }
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let lines = BufReader::new(process.stdout.take().expect("it was piped")).lines();
        let mut urls = lines.map_while(Result::ok).filter_map(|line| Some(line.strip_prefix("serving ")?.to_owned()));
        let url = urls.next().expect("it says where it serves");
        Self { process, url }
    }

    async fn ask(&self, path: &str, cookie: &str) -> Answer {
        let cookie: &[_] = if cookie.is_empty() { &[] } else { &[("cookie", cookie)] };
        ask(&self.url, &format!("GET {path}"), cookie, "").await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().expect("it serves until it is killed");
        self.process.wait().expect("our own child");
    }
}

#[tokio::test]
async fn all_that_64_requests_write_on_two_processes_is_there() {
    for sealed in [false, true] {
        let redis = RedisServer::start();
        let servers = [Server::start(&redis, sealed), Server::start(&redis, sealed)];
        let cookie = servers[0].ask("/login", "").await.cookies();
        let write = async |n: u32| servers[n as usize % 2].ask(&format!("/write/{n}"), &cookie).await;
        for answer in join_all((0..CROWD).map(write)).await {
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert_eq!(answer.cookies, []);
        }
        let points = CROWD * (CROWD - 1) / 2;
        let expected = format!("ada {CROWD} {CROWD} {CROWD} {points} {CROWD}");
        for server in &servers {
            assert_eq!(server.ask("/read", &cookie).await.body, *expected, "sealed: {sealed}");
        }
    }
}

#[tokio::test]
async fn a_new_id_among_them_loses_nothing_either() {
    let redis = RedisServer::start();
    let servers = [Server::start(&redis, false), Server::start(&redis, false)];
    let cookie = servers[0].ask("/login", "").await.cookies();
    let write = async |n: u32| {
        if n % 8 == 3 {
            // They come by the old id for as long as they do not know the new one.
            servers[n as usize % 2].ask("/renew", &cookie).await
        } else {
            servers[n as usize % 2].ask(&format!("/write/{n}"), &cookie).await
        }
    };
    let answers = join_all((0..CROWD).map(write)).await;
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let new: Vec<_> = answers.iter().filter(|answer| !answer.cookies.is_empty()).map(Answer::cookies).collect();
    assert!(!new.is_empty());
    let writers = CROWD - CROWD / 8;
    let mut alive = Vec::new();
    for cookie in &new {
        let read = servers[1].ask("/read", cookie).await.body;
        alive.push(read.as_str().expect("text").starts_with(&format!("ada {writers} {writers} {writers} ")));
    }
    assert_eq!(alive, vec![true; new.len()], "whoever got a new id has all of it");
}

#[tokio::test]
async fn who_logs_out_among_them_is_out_and_the_writers_learn() {
    let redis = RedisServer::start();
    let servers = [Server::start(&redis, false), Server::start(&redis, false)];
    let cookie = servers[0].ask("/login", "").await.cookies();
    let hold = async |n: u32| servers[n as usize % 2].ask(&format!("/hold/{n}"), &cookie).await;
    let logout = async {
        tokio::time::sleep(Duration::from_millis(350)).await;
        servers[1].ask("/logout", &cookie).await
    };
    let (answers, logout) = tokio::join!(join_all((0..CROWD).map(hold)), logout);
    assert_eq!(logout.status, 200);
    let learned = answers.iter().filter(|answer| answer.status == StatusCode::CONFLICT);
    assert!(learned.clone().count() > 0, "on a machine this slow none was on its way");
    for answer in learned {
        assert_eq!(answer.body["reason"], "session-ended");
        assert_eq!(answer.cookies, [], "the browser may have a newer one");
    }
    // Those that came after it began sessions of their own.
    for answer in answers.iter().filter(|answer| answer.status != StatusCode::CONFLICT) {
        assert_eq!((answer.status.as_u16(), answer.cookies.len()), (200, 1));
        assert_ne!(answer.cookies(), cookie);
    }
    for server in &servers {
        assert_eq!(server.ask("/read", &cookie).await.body, " 0 0 0 0 0");
    }
    let begun = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(at_rest(&redis).matches(":session:v1:").count(), begun, "nothing came back");
}
