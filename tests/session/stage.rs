//! What is tried in the tests of orders: one Redis, processes whose scripts wait, and what is asked of them.

use std::sync::Arc;

use buttress::session::{Session, SessionLayer, Sessions, SessionsOptions};
use buttress_tests::{RedisServer, Reply};

use crate::bed::{Gate, Stepped, patient, until};
use crate::browser::{Browser, Handler, handler, key, said, text};

/// What is asked, each in a request of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Op {
    Renew,
    /// `ada` logs in; once more, if it is hers.
    Login,
    /// Somebody else logs in, in the same browser.
    LoginBob,
    Logout,
    Destroy,
    /// Not a request: `Sessions::end_all`.
    EndAll,
    /// Writes a field of its own, and that the request was there.
    Write,
    /// Renews, and writes.
    RenewAndWrite,
}

/// What came of it.
#[derive(Clone)]
pub(crate) struct Outcome {
    pub(crate) status: u16,
    /// The browser as it is afterwards.
    pub(crate) browser: Arc<Browser>,
    pub(crate) has_new_cookie: bool,
}

/// One Redis, three processes whose scripts wait, and one whose scripts do not.
pub(crate) struct World {
    pub(crate) server: RedisServer,
    pub(crate) free: Sessions,
    pub(crate) processes: Vec<(Gate, Sessions)>,
}

/// What a browser sees.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct View {
    pub(crate) who: String,
    pub(crate) sid: String,
    pub(crate) fields: Vec<String>,
}

// === impl Op ===

impl Op {
    pub(crate) async fn run(self, number: usize, browser: Browser, sessions: Sessions) -> Outcome {
        if self == Self::EndAll {
            let status = if sessions.end_all("ada").await.is_ok() { 200 } else { 503 };
            return Outcome { status, browser: Arc::new(browser), has_new_cookie: false };
        }
        let before = browser.cookie();
        let response = browser.ask(&app(), &format!("/{self:?}/{number}")).await;
        let has_new_cookie = browser.cookie().is_some() && browser.cookie() != before;
        Outcome { status: response.status().as_u16(), browser: Arc::new(browser), has_new_cookie }
    }

    /// Whether it ends the session that was there.
    pub(crate) fn ends(self, is_logged_in: bool) -> bool {
        match self {
            Self::Logout | Self::Destroy => true,
            Self::EndAll | Self::LoginBob => is_logged_in,
            _ => false,
        }
    }

    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::Write | Self::RenewAndWrite)
    }

    pub(crate) fn begins(self) -> bool {
        matches!(self, Self::Login | Self::LoginBob)
    }
}

/// `/Op/number`.
pub(crate) fn app() -> Handler {
    handler(async |path, session: Session| {
        let (op, number) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        match op {
            "Renew" => session.renew().await?,
            "Login" => drop(session.login("ada").await?),
            "LoginBob" => drop(session.login("bob").await?),
            "Logout" => session.logout().await?,
            "Destroy" => session.destroy().await?,
            "Write" | "RenewAndWrite" => {
                if op == "RenewAndWrite" {
                    session.renew().await?;
                }
                session.insert(&format!("of-{number}"), &true).await?;
                session.incr("count", 1).await?;
                let mine = number.to_owned();
                session.update("list", move |list: &mut Vec<String>| list.push(mine.clone())).await?;
            }
            "begin" => session.insert("first", &true).await?,
            _ => {
                let view = [session.subject().await?, session.sid().await?, Some(session.fields().await?.join(","))];
                let (count, list) = (session.get::<usize>("count").await?, session.get::<Vec<String>>("list").await?);
                assert_eq!(count.unwrap_or_default(), list.unwrap_or_default().len(), "one is written with the other");
                return Ok(text(view.map(Option::unwrap_or_default).join(" ")));
            }
        }
        Ok(text(""))
    })
}

// === impl World ===

impl World {
    pub(crate) async fn new(options: impl Fn() -> SessionsOptions) -> Self {
        let server = RedisServer::start();
        let mut processes = Vec::new();
        for _ in 0..3 {
            let gate = Gate::before(server.addr()).await;
            processes.push((gate.clone(), gate.sessions(options())));
        }
        let free = patient(options(), &server.url());
        let world = Self { server, free, processes };
        world.warm_up().await;
        world
    }

    /// Redis knows all scripts, and each process is connected.
    async fn warm_up(&self) {
        for (_, sessions) in &self.processes {
            let browser = Browser::new(&SessionLayer::new(sessions.clone()));
            for step in ["/begin", "/Login/", "/Write/0", "/Renew/", "/Logout/", "/Login/"] {
                assert_eq!(browser.ask(&app(), step).await.status(), 200, "{step}");
            }
            assert_eq!(sessions.list("ada").await.unwrap().len(), 1);
            assert_eq!(sessions.end_all("ada").await.unwrap(), 1);
        }
    }

    /// A browser with a session, and nothing else in Redis.
    pub(crate) async fn begin(&self, is_logged_in: bool) -> Browser {
        assert_eq!(self.server.cli(&["FLUSHALL"]).text(), "OK");
        let browser = Browser::new(&SessionLayer::new(self.free.clone()));
        browser.ask(&app(), "/begin").await;
        if is_logged_in {
            browser.ask(&app(), "/Login/").await;
        }
        browser
    }

    pub(crate) async fn view(&self, browser: &Browser) -> View {
        let browser = browser.with(&SessionLayer::new(self.free.clone()));
        let response = browser.ask(&app(), "/view").await;
        let (200, view) = said(&response) else { panic!("{response:?}") };
        let mut parts = view.split(' ').map(str::to_owned);
        let mut part = || parts.next().expect("three");
        let (who, sid, fields) = (part(), part(), part());
        View { who, sid, fields: fields.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect() }
    }

    /// Sessions in Redis that can be written to: of this subject, or of nobody.
    pub(crate) fn live(&self, subject: Option<&str>) -> usize {
        let mut line = self.server.line().expect("redis is there");
        let keys = line.ask(&["KEYS", "*"]).expect("redis is there");
        let mut is_live = |key: &Reply| {
            let session = line.ask(&["HMGET", &key.text(), "v", "s", "to"]).expect("redis is there");
            let [version, is, to] = session.array() else { panic!("{session:?}") };
            let is = if *is == Reply::Nil { None } else { Some(is.text()) };
            *version != Reply::Nil && *to == Reply::Nil && is.as_deref() == subject
        };
        keys.array().iter().filter(|key| is_live(key)).count()
    }

    /// The first process has a line again.
    pub(crate) async fn is_well_again(&self) {
        let sessions = &self.processes[0].1;
        until("there is a line again", async || sessions.list("nobody").await.is_ok()).await;
    }

    /// Begins these, one behind each gate.
    pub(crate) async fn stage(&self, first: &Browser, ops: &[Op]) -> Vec<Stepped<Outcome>> {
        let mut stepped = Vec::new();
        for (number, (op, (gate, sessions))) in ops.iter().zip(&self.processes).enumerate() {
            let browser = first.with(&SessionLayer::new(sessions.clone()));
            stepped.push(Stepped::begin(gate, op.run(number, browser, sessions.clone())).await);
        }
        stepped
    }
}

pub(crate) fn defaults() -> SessionsOptions {
    Sessions::options(key())
}

/// As if the time for requests on their way were over.
pub(crate) fn grace_is_over(server: &RedisServer) {
    for key in server.cli(&["KEYS", "*"]).array() {
        if server.cli(&["HGET", &key.text(), "to"]) != Reply::Nil {
            assert_eq!(server.cli(&["DEL", &key.text()]).int(), 1);
        }
    }
}
