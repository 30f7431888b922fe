//! Requests at the same time, in every order of their steps in Redis: whoever is out stays out, nothing that was acknowledged is missing, and the list
//! of logins knows all that lives.

use std::fmt;
use std::sync::Arc;

use buttress::session::{Session, SessionLayer, Sessions, SessionsOptions};
use buttress_tests::{RedisServer, Reply};

use crate::bed::{Gate, Orders, Stepped, patient};
use crate::browser::{Browser, Handler, handler, key, said, text};

/// What is asked, each in a request of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Op {
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
struct Outcome {
    status: u16,
    /// The browser as it is afterwards.
    browser: Arc<Browser>,
    has_new_cookie: bool,
}

/// One Redis, three processes whose scripts wait, and one whose scripts do not.
struct World {
    server: RedisServer,
    free: Sessions,
    processes: Vec<(Gate, Sessions)>,
}

/// What a browser sees.
#[derive(Clone, Debug, Eq, PartialEq)]
struct View {
    who: String,
    sid: String,
    fields: Vec<String>,
}

// === impl Op ===

impl Op {
    async fn run(self, number: usize, browser: Browser, sessions: Sessions) -> Outcome {
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
    fn ends(self, is_logged_in: bool) -> bool {
        match self {
            Self::Logout | Self::Destroy => true,
            Self::EndAll | Self::LoginBob => is_logged_in,
            _ => false,
        }
    }

    fn writes(self) -> bool {
        matches!(self, Self::Write | Self::RenewAndWrite)
    }

    fn begins(self) -> bool {
        matches!(self, Self::Login | Self::LoginBob)
    }
}

/// `/Op/number`.
fn app() -> Handler {
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
    async fn new(options: impl Fn() -> SessionsOptions) -> Self {
        let server = RedisServer::start();
        let mut processes = Vec::new();
        for _ in 0..3 {
            let gate = Gate::before(server.addr()).await;
            processes.push((gate.clone(), gate.sessions(options())));
        }
        let free = options().redis(patient(&server.url()));
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
    async fn begin(&self, is_logged_in: bool) -> Browser {
        assert_eq!(self.server.cli(&["FLUSHALL"]).text(), "OK");
        let browser = Browser::new(&SessionLayer::new(self.free.clone()));
        browser.ask(&app(), "/begin").await;
        if is_logged_in {
            browser.ask(&app(), "/Login/").await;
        }
        browser
    }

    async fn view(&self, browser: &Browser) -> View {
        let browser = browser.with(&SessionLayer::new(self.free.clone()));
        let response = browser.ask(&app(), "/view").await;
        let (200, view) = said(&response) else { panic!("{response:?}") };
        let mut parts = view.split(' ').map(str::to_owned);
        let mut part = || parts.next().expect("three");
        let (who, sid, fields) = (part(), part(), part());
        View { who, sid, fields: fields.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect() }
    }

    /// Sessions in Redis that can be written to: of this subject, or of nobody.
    fn live(&self, subject: Option<&str>) -> usize {
        let keys = self.server.cli(&["KEYS", "*"]);
        let is_live = |key: &Reply| {
            let session = self.server.cli(&["HMGET", &key.text(), "v", "s", "to"]);
            let [version, is, to] = session.array() else { panic!("{session:?}") };
            let is = if *is == Reply::Nil { None } else { Some(is.text()) };
            *version != Reply::Nil && *to == Reply::Nil && is.as_deref() == subject
        };
        keys.array().iter().filter(|key| is_live(key)).count()
    }

    /// Begins these, one behind each gate.
    async fn stage(&self, first: &Browser, ops: &[Op]) -> Vec<Stepped<Outcome>> {
        let mut stepped = Vec::new();
        for (number, (op, (gate, sessions))) in ops.iter().zip(&self.processes).enumerate() {
            let browser = first.with(&SessionLayer::new(sessions.clone()));
            stepped.push(Stepped::begin(gate, op.run(number, browser, sessions.clone())).await);
        }
        stepped
    }
}

/// One order in which these were done.
struct Run<'a> {
    world: &'a World,
    ops: &'a [Op],
    first: Browser,
    /// What it saw before all this.
    began: View,
    outcomes: Vec<Option<Outcome>>,
    /// What was done when the first of them was that ends the session, and whether it has said so.
    done_at_end: Option<Vec<bool>>,
    order: String,
}

// === impl Run ===

impl<'a> Run<'a> {
    async fn play(world: &'a World, ops: &'a [Op], is_logged_in: bool, orders: &mut Orders) -> Self {
        let first = world.begin(is_logged_in).await;
        let began = world.view(&first).await;
        let mut stepped: Vec<_> = world.stage(&first, ops).await.into_iter().map(Some).collect();
        let outcomes = vec![None; ops.len()];
        let mut run = Run { world, ops, first, began, outcomes, done_at_end: None, order: String::new() };
        loop {
            let there: Vec<_> = (0..ops.len()).filter(|n| stepped[*n].is_some()).collect();
            let number = match there[..] {
                [] => break,
                [one] => one,
                _ => there[orders.choose(there.len())],
            };
            let one = stepped[number].take().expect("it is there");
            if !one.is_done() {
                one.step().await;
            }
            if one.is_done() {
                run.outcomes[number] = Some(one.finish().await);
                run.order = orders.shown();
                run.note_end(number).await;
            } else {
                stepped[number] = Some(one);
            }
        }
        run
    }

    /// At once, and while the others are half-way: nobody is let in by what was ended.
    async fn note_end(&mut self, number: usize) {
        let ends = self.ops[number].ends(!self.began.sid.is_empty()) && self.outcome(number).status == 200;
        if ends && self.done_at_end.is_none() {
            self.done_at_end = Some(self.outcomes.iter().map(Option::is_some).collect());
            self.check_all_are_out("at once").await;
        }
    }

    async fn check_all_are_out(&self, when: &str) {
        for (whose, browser) in self.browsers() {
            let view = self.world.view(browser).await;
            // A request that came later may have begun a session of its own.
            let is_same_login = !view.sid.is_empty() && view.sid == self.began.sid;
            let is_out = !is_same_login && !view.fields.iter().any(|name| name == "first");
            assert!(is_out, "{when}, {whose} is let in: {view:?}; {self}");
        }
    }

    async fn check(&self) {
        let has_ended = self.done_at_end.is_some();
        for (number, op) in self.ops.iter().enumerate() {
            let Outcome { status, browser, has_new_cookie } = self.outcome(number);
            let refused = has_ended || self.ops.iter().any(|op| op.begins());
            assert!(*status == 200 || refused && *status == 409, "{op:?} was answered with {status}; {self}");
            let was_done = self.done_at_end.as_ref().is_none_or(|done| done[number]);
            if op.writes() && !self.began.sid.is_empty() {
                let is_late = *status == 200 && !has_new_cookie && !was_done;
                assert!(!is_late, "{op:?} was acknowledged after the end; {self}");
            }
            if *status == 200 && *has_new_cookie && !has_ended && !self.ops.contains(&Op::EndAll) {
                let view = self.world.view(browser).await;
                assert!(!view.fields.is_empty(), "{op:?} got a cookie for nothing; {self}");
                self.check_writes(&view);
            }
        }
        if has_ended {
            self.check_all_are_out("in the end").await;
        }
        self.check_list().await;
    }

    /// All that was acknowledged is in a session that lives.
    fn check_writes(&self, view: &View) {
        let two_logins = self.ops.iter().filter(|op| op.begins()).count() > 1;
        for (number, op) in self.ops.iter().enumerate().filter(|(_, op)| op.writes()) {
            let is_there = view.fields.contains(&format!("of-{number}"));
            let is_acknowledged = self.outcome(number).status == 200;
            assert!(is_there == is_acknowledged || two_logins, "{op:?} {is_acknowledged}, {view:?}; {self}");
        }
    }

    /// Who is let in is in the list, and is out when all are.
    async fn check_list(&self) {
        let listed = self.world.free.list("ada").await.expect("redis is there");
        let mut seen = Vec::new();
        for (whose, browser) in self.browsers() {
            let view = self.world.view(browser).await;
            if view.who == "ada" {
                assert!(listed.iter().any(|device| device.sid == view.sid), "{whose} is in no list; {self}");
                seen.push(view.sid);
            }
        }
        let ghosts = listed.iter().filter(|device| !seen.contains(&device.sid)).count();
        assert_eq!(ghosts, 0, "nobody has a session that is listed; {self}");
        self.world.free.end_all("ada").await.expect("redis is there");
        for (whose, browser) in self.browsers() {
            let view = self.world.view(browser).await;
            assert_ne!(view.who, "ada", "{whose} is let in when all are out; {self}");
        }
        assert_eq!(self.world.live(Some("ada")), 0, "alive when all are out; {self}");
    }

    fn outcome(&self, number: usize) -> &Outcome {
        self.outcomes[number].as_ref().expect("all are done")
    }

    /// All cookies that anybody was ever given.
    fn browsers(&self) -> impl Iterator<Item = (String, &Browser)> {
        let later = self.outcomes.iter().zip(self.ops).filter_map(|(outcome, op)| Some((op, outcome.as_ref()?)));
        let later = later.map(|(op, outcome)| (format!("the browser of {op:?}"), &*outcome.browser));
        std::iter::once(("the first browser".to_owned(), &self.first)).chain(later)
    }
}

impl fmt::Display for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |outcome: &Option<Outcome>| outcome.as_ref().map(|one| (one.status, one.has_new_cookie));
        let said: Vec<_> = self.outcomes.iter().map(said).collect();
        write!(f, "{:?} in the order {}, answered {said:?}", self.ops, self.order)
    }
}

fn defaults() -> SessionsOptions {
    Sessions::options(key())
}

/// Does these at the same time, in every order.
async fn explore(is_logged_in: bool, pairs: &[&[Op]]) {
    let world = World::new(defaults).await;
    for ops in pairs {
        let (mut orders, mut count) = (Orders::default(), 0);
        loop {
            Run::play(&world, ops, is_logged_in, &mut orders).await.check().await;
            count += 1;
            if !orders.advance() {
                break;
            }
        }
        println!("{ops:?}: {count} orders");
        assert!(count > 5, "they are interleaved");
    }
}

/// Does these at the same time, in some orders.
async fn explore_some(is_logged_in: bool, options: impl Fn() -> SessionsOptions, all: &[&[Op]]) {
    const SOME: u64 = 150;
    let world = World::new(options).await;
    for ops in all {
        for seed in 0..SOME {
            Run::play(&world, ops, is_logged_in, &mut Orders::by_chance(seed)).await.check().await;
        }
    }
}

#[tokio::test]
async fn three_at_a_time_while_a_login_ends() {
    use Op::*;
    explore_some(
        true,
        defaults,
        &[&[EndAll, Renew, Write], &[EndAll, Renew, RenewAndWrite], &[Logout, Login, Renew], &[Logout, Renew, Write]],
    )
    .await;
}

#[tokio::test]
async fn three_at_a_time_before_a_login() {
    use Op::*;
    explore_some(
        false,
        defaults,
        &[
            &[Login, Write, EndAll],
            &[Login, RenewAndWrite, Write],
            &[Login, RenewAndWrite, EndAll],
            &[Destroy, Renew, Write],
        ],
    )
    .await;
}

#[tokio::test]
async fn sealed_fields_make_no_difference() {
    use Op::*;
    let all: &[&[Op]] = &[&[RenewAndWrite, Write, Write], &[Login, Write, RenewAndWrite]];
    explore_some(true, || defaults().seal_fields(), all).await;
}

#[tokio::test]
async fn without_grace_it_makes_none_either() {
    use Op::*;
    let all: &[&[Op]] = &[&[EndAll, Renew, Write], &[EndAll, Login, RenewAndWrite]];
    explore_some(true, || defaults().grace(std::time::Duration::ZERO), all).await;
}

#[tokio::test]
async fn who_is_logged_in_and_asks_twice() {
    use Op::*;
    let pairs: &[&[Op]] = &[
        &[Renew, Renew],
        &[RenewAndWrite, Write],
        &[Write, Write],
        &[Login, Write],
        &[Login, Renew],
        &[Login, Login],
        &[LoginBob, Renew],
        &[LoginBob, Write],
    ];
    explore(true, pairs).await;
}

#[tokio::test]
async fn all_logins_end_while_something_is_done() {
    use Op::*;
    explore(
        true,
        &[&[EndAll, Write], &[EndAll, RenewAndWrite], &[EndAll, Login], &[EndAll, Logout], &[EndAll, EndAll]],
    )
    .await;
}

#[tokio::test]
async fn who_is_logged_in_logs_out_while_something_is_done() {
    use Op::*;
    explore(true, &[&[Logout, Write], &[Logout, RenewAndWrite], &[Destroy, Login], &[Logout, Logout]]).await;
}

#[tokio::test]
async fn who_is_not_logged_in_asks_twice() {
    use Op::*;
    let pairs: &[&[Op]] =
        &[&[Login, Login], &[Login, RenewAndWrite], &[Login, Write], &[Renew, RenewAndWrite], &[Login, EndAll]];
    explore(false, pairs).await;
}

#[tokio::test]
async fn a_session_of_nobody_ends_while_something_is_done() {
    use Op::*;
    explore(false, &[&[Destroy, Write], &[Destroy, RenewAndWrite], &[Logout, RenewAndWrite], &[Destroy, Login]]).await;
}
