//! What happens to Redis, under load: no wrong session, no write lost that was acknowledged, no cookie touched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use buttress::redis::Redis;
use buttress::session::{Session, SessionErrorKind, SessionLayer, Sessions};
use buttress_tests::{CuttingProxy, RedisSentinel, RedisServer};
use tokio::task::{JoinHandle, block_in_place};

use crate::browser::{Browser, Handler, at_rest, handler, key, said, text};

const VISITORS: usize = 8;

/// `/begin/NAME` puts a name into the session; `/count/NAME` adds one to its count, if it is of that name.
fn app() -> Handler {
    handler(async |path, session| {
        let (what, name) = path[1..].split_once('/').expect("a name");
        match what {
            "begin" => session.insert("name", name).await?,
            "count" => match session.get::<String>("name").await? {
                Some(found) if found == name => drop(session.incr("count", 1).await?),
                Some(found) => return Ok(text(format!("wrong: {found}"))),
                None => return Ok(text("lost")),
            },
            _ => {}
        }
        Ok(text(format!("{}", session.get::<u64>("count").await?.unwrap_or_default())))
    })
}

/// Those who count without a pause, each in a session of their own.
struct Visitors {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<Visit>>,
}

/// What one of them has seen.
struct Visit {
    browser: Browser,
    name: String,
    acknowledged: u64,
    open: u64,
    lost: u64,
    /// Answers that did not count what was acknowledged before.
    behind: u64,
}

impl Visitors {
    async fn begin(layers: &[SessionLayer]) -> Self {
        let (stop, answered, refused) = <(Arc<AtomicBool>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let lost = Arc::<AtomicU64>::default();
        let mut tasks = Vec::new();
        for n in 0..VISITORS {
            let (browser, name) = (Browser::new(&layers[n % layers.len()]), format!("visitor-{n}"));
            assert_eq!(browser.ask(&app(), &format!("/begin/{name}")).await.status(), 200);
            let (stop, answered, refused) = (stop.clone(), answered.clone(), refused.clone());
            let lost = lost.clone();
            tasks.push(tokio::spawn(async move {
                let mut visit = Visit { browser, name, acknowledged: 0, open: 0, lost: 0, behind: 0 };
                while !stop.load(Ordering::Relaxed) {
                    visit.count().await;
                    answered.fetch_max(visit.acknowledged, Ordering::Relaxed);
                    refused.fetch_max(visit.open, Ordering::Relaxed);
                    lost.fetch_max(visit.lost, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                visit
            }));
        }
        Self { stop, answered, refused, lost, tasks }
    }

    /// Waits until somebody was answered again, so many times.
    async fn go_on(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        let (refused, lost) = (self.refused.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed));
        until(&format!("they go on from {before}, {refused} refused, {lost} lost"), || {
            self.answered.load(Ordering::Relaxed) > before + 20
        })
        .await;
    }

    /// Waits until somebody was refused.
    async fn suffer(&self) {
        let before = self.refused.load(Ordering::Relaxed);
        until("they are refused", || self.refused.load(Ordering::Relaxed) > before + 5).await;
    }

    async fn end(self) -> Vec<Visit> {
        self.stop.store(true, Ordering::Relaxed);
        let mut visits = Vec::new();
        for task in self.tasks {
            visits.push(task.await.expect("nobody saw what must not be"));
        }
        visits
    }
}

impl Visit {
    async fn count(&mut self) {
        let cookie = self.browser.cookie();
        let answer = self.browser.ask(&app(), &format!("/count/{}", self.name)).await;
        assert_eq!(self.browser.cookie(), cookie, "nobody touches the cookie");
        match said(&answer) {
            (200, "lost") => self.lost += 1,
            (200, count) => {
                self.acknowledged += 1;
                let count: u64 = count.parse().unwrap_or_else(|_| panic!("{}: {count}", self.name));
                self.behind += u64::from(count < self.acknowledged);
            }
            (409, _) => self.lost += 1, // it went between the look and the write
            (503, _) => self.open += 1,
            (status, body) => panic!("{status} {body}"),
        }
    }

    /// What its session says in the end.
    async fn counted(&self) -> u64 {
        loop {
            let answer = self.browser.ask(&app(), &format!("/read/{}", self.name)).await;
            match said(&answer) {
                (503, _) => tokio::time::sleep(Duration::from_millis(10)).await, // a line that was cut a moment ago
                (_, count) => return count.parse().expect("a number"),
            }
        }
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come true within twenty seconds: {what}");
}

fn layers(url: &str) -> [SessionLayer; 2] {
    [(); 2].map(|()| {
        let redis = Redis::connect(url).expect("a URL");
        SessionLayer::new(Sessions::options(key()).redis(redis))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_killed_hangs_or_is_cut_off_loses_no_write_that_it_kept() {
    let server = RedisServer::with().arg("appendonly", "yes").arg("appendfsync", "always").start();
    let proxy = CuttingProxy::start(([127, 0, 0, 1], server.port()).into()).await;
    let [direct, _] = layers(&server.url());
    let [behind, _] = layers(&proxy.url());
    let visitors = Visitors::begin(&[direct, behind]).await;
    visitors.go_on().await;
    for _ in 0..2 {
        server.kill();
        visitors.suffer().await;
        block_in_place(|| server.restart());
        visitors.go_on().await;
        server.stop();
        visitors.suffer().await;
        server.cont();
        visitors.go_on().await;
        proxy.cut_after("EVALSHA"); // carried out, and the answer lost
        visitors.go_on().await;
    }
    for visit in visitors.end().await {
        let counted = visit.counted().await;
        let Visit { acknowledged, open, lost, behind, .. } = visit;
        assert_eq!((lost, behind), (0, 0));
        assert!(
            (acknowledged..=acknowledged + open).contains(&counted),
            "{acknowledged} and perhaps {open}: {counted}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_flush_has_taken_is_gone_and_nobody_gets_anothers() {
    let server = RedisServer::start();
    let visitors = Visitors::begin(&layers(&server.url())).await;
    visitors.go_on().await;
    assert_eq!(server.cli(&["FLUSHALL"]).text(), "OK");
    until("all are gone", || at_rest(&server).is_empty()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    for visit in visitors.end().await {
        assert!(visit.lost > 0, "{} reads something", visit.name);
    }
    assert!(at_rest(&server).is_empty(), "nothing was made of what is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_takes_nobodys_session_for_anothers() {
    let group = block_in_place(RedisSentinel::start);
    let visitors = Visitors::begin(&layers(&group.url())).await;
    visitors.go_on().await;
    // What it has not been told at all it cannot go on with.
    until("the replica has their sessions", || group.replica().cli(&["DBSIZE"]).int() == VISITORS as i64).await;
    group.master().kill();
    until("the replica is promoted", || group.has_failed_over()).await;
    visitors.go_on().await;
    for visit in visitors.end().await {
        // What the old master had not told the new one is gone; whose it was is asked at each answer.
        let acknowledged = visit.acknowledged;
        let counted = visit.counted().await;
        assert!(acknowledged > 0 && counted > 0, "{}: {counted} of {acknowledged}", visit.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_is_read_and_not_written() {
    let server = RedisServer::with().arg("maxmemory-policy", "noeviction").start();
    let [layer, _] = layers(&server.url());
    let browser = Browser::new(&layer);
    browser.ask(&app(), "/begin/ada").await;
    browser.ask(&app(), "/count/ada").await;
    let cookie = browser.cookie();
    let keys = server.cli(&["KEYS", "*"]).array()[0].text();
    drop(server.cli(&["HSET", &keys, "t", "1000"])); // so that it is worth noting that it is seen
    assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", "1"]).text(), "OK");
    assert_eq!(said(&browser.ask(&app(), "/read/ada").await), (200, "1"));
    for (who, path) in [(&browser, "/count/ada"), (&Browser::new(&layer), "/begin/eve")] {
        let refused = who.ask(&app(), path).await;
        assert_eq!((refused.status().as_u16(), refused.extensions().get()), (503, Some(&SessionErrorKind::Away)));
    }
    assert_eq!(browser.cookie(), cookie);
    assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", "0"]).text(), "OK");
    assert_eq!(said(&browser.ask(&app(), "/count/ada").await), (200, "2"));
}

#[tokio::test]
async fn while_redis_is_away_a_refusal_takes_no_time() {
    let server = RedisServer::start();
    let [layer, _] = layers(&server.url());
    let browser = Browser::new(&layer);
    browser.ask(&app(), "/begin/ada").await;
    server.kill();
    browser.ask(&app(), "/read/ada").await;
    let begun = tokio::time::Instant::now();
    for _ in 0..100 {
        assert_eq!(browser.ask(&app(), "/read/ada").await.status(), 503);
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?} for a hundred", begun.elapsed());
}

#[tokio::test]
async fn a_login_whose_answer_is_lost_logs_nobody_in_unseen() {
    let server = RedisServer::start();
    let proxy = CuttingProxy::start(([127, 0, 0, 1], server.port()).into()).await;
    let [layer, _] = layers(&proxy.url());
    let [judge, _] = layers(&server.url());
    let login = handler(async |_, session: Session| {
        session.login("ada").await?;
        Ok(text("welcome"))
    });
    let who = handler(async |_, session: Session| Ok(text(session.subject().await?.unwrap_or_default())));
    let browser = Browser::new(&layer);
    browser.ask(&app(), "/begin/ada").await;
    browser.ask(&login, "/").await; // the scripts are known now
    for round in 0..4 {
        let victim = Browser::new(&layer);
        while victim.ask(&app(), "/begin/x").await.status() != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let before = victim.cookie();
        // Its load passes; then one of its three steps is carried out, and the answer lost.
        let gate = Arc::new(tokio::sync::Notify::new());
        let (opened, waits) = (Arc::clone(&gate), Arc::clone(&gate));
        let slow = handler(move |_, session: Session| {
            let waits = Arc::clone(&waits);
            async move {
                session.login("ada").await?;
                waits.notified().await;
                Ok(text("welcome"))
            }
        });
        let cut = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            proxy.cut_after("EVALSHA");
            opened.notify_one();
        };
        let (answer, ()) = tokio::join!(victim.ask(&slow, "/"), cut);
        assert_eq!(answer.status(), 503, "round {round}");
        assert_eq!(victim.cookie(), before, "the browser keeps what it had");
        assert_eq!(said(&victim.with(&judge).ask(&who, "/").await).1, "", "and is nobody with it");
    }
}
