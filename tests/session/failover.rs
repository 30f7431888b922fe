//! The master is replaced under load: nobody sees another one's session or a new cookie, and nothing that was acknowledged is lost but what Redis has lost.

use std::time::Duration;

use buttress::redis::Redis;
use buttress::session::{Session, SessionLayer, Sessions};
use buttress_tests::{RedisSentinel, RedisServer};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::bed::until;
use crate::browser::{Browser, Handler, handler, key, said, text};
use crate::visitors::Crowd;

/// What a replica may not have yet.
const LAG: Duration = Duration::from_millis(300);

fn of(group: &RedisSentinel) -> Sessions {
    Sessions::options(key()).redis(Redis::connect(&group.url()).expect("a URL"))
}

fn app() -> Handler {
    handler(async |path, session: Session| {
        match path.as_str() {
            "/login" => drop(session.login("ada").await?),
            "/logout" => session.logout().await?,
            "/renew" => session.renew().await?,
            _ => {}
        }
        Ok(text(session.subject().await?.unwrap_or("nobody".to_owned())))
    })
}

/// Somebody who stays logged in, under a new id, and cookies of those who do not: one has left, one was ended, one was renewed.
async fn people(sessions: &Sessions) -> (Browser, [Browser; 3]) {
    let layer = SessionLayer::new(sessions.clone());
    let logged_in = async || {
        let browser = Browser::new(&layer);
        until("they are logged in", async || browser.ask(&app(), "/login").await.status() == 200).await;
        browser
    };
    let (left, ended, stays) = (logged_in().await, logged_in().await, logged_in().await);
    let (had_left, renewed) = (left.stolen(), stays.stolen());
    until("one has left", async || left.ask(&app(), "/logout").await.status() == 200).await;
    until("one has a new id", async || {
        let answer = stays.ask(&app(), "/renew").await;
        answer.status() == 200 && stays.cookie() != renewed.cookie()
    })
    .await;
    let sid = sid(&stays).await;
    until("all others have ended", async || sessions.end_others("ada", &sid).await.is_ok()).await;
    (stays, [had_left, ended, renewed])
}

/// Waits until the replica has all of it. In the first second of its life it is told nothing: it has to say first that it is there.
async fn in_step(group: &RedisSentinel) {
    let size = |server: &RedisServer| server.cli(&["DBSIZE"]).int();
    until("the replica has it all", async || size(group.replica()) == size(group.master())).await;
    sleep(LAG).await;
}

async fn sid(browser: &Browser) -> String {
    let app = handler(async |_, session: Session| Ok(text(session.sid().await?.unwrap_or_default())));
    said(&browser.ask(&app, "/").await).1.to_owned()
}

/// Who that is, as soon as somebody says so: where the lines are led elsewhere, one more may be cut.
async fn who(browser: &Browser) -> String {
    for _ in 0..1000 {
        let answer = browser.ask(&app(), "/").await;
        if answer.status() == 200 {
            return said(&answer).1.to_owned();
        }
        assert_eq!(answer.status(), 503);
        sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody says so within ten seconds");
}

/// What was so before is so after.
async fn check(sessions: &Sessions, stays: &Browser, gone: &[Browser]) {
    assert_eq!(who(stays).await, "ada");
    for browser in &gone[..2] {
        assert_eq!(who(browser).await, "nobody");
    }
    until("she is in the list", async || sessions.list("ada").await.is_ok_and(|devices| devices.len() == 1)).await;
    until("all can be ended", async || sessions.end_all("ada").await.is_ok()).await;
    // A process that has not heard yet of the new master reads at the old one, which has been made its replica.
    for browser in gone.iter().chain([stays]) {
        until("nobody is logged in", async || who(browser).await == "nobody").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_hangs_is_replaced() {
    let group = block_in_place(RedisSentinel::start);
    let (one, other) = (of(&group), of(&group));
    let crowd = Crowd::begin(&[&one, &other]).await;
    let (stays, gone) = people(&one).await;
    in_step(&group).await;
    let now = Instant::now();
    crowd.may_lose(now - LAG, now + LAG);
    group.master().stop();
    until("the replica is promoted", async || group.has_failed_over()).await;
    crowd.until_well().await;
    check(&other, &stays, &gone).await;
    // It comes back, and believes for a while that it is the master.
    group.master().cont();
    for _ in 0..20 {
        assert_eq!(who(&stays).await, "nobody");
        sleep(Duration::from_millis(20)).await;
    }
    until("it knows better", async || group.master().info("role").as_deref() == Some("slave")).await;
    let seen = crowd.take();
    println!("{} good, {} refused", seen.good, seen.refused.len());
    crowd.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_replaced_by_hand_is_left() {
    let group = block_in_place(RedisSentinel::start);
    let (one, other) = (of(&group), of(&group));
    let crowd = Crowd::begin(&[&one, &other]).await;
    let (stays, gone) = people(&one).await;
    in_step(&group).await;
    let began = Instant::now();
    // What the old master acknowledges from when the replica has left it until it hears of that.
    crowd.may_lose(began - LAG, began + Duration::from_secs(20));
    assert_eq!(group.sentinel().cli(&["SENTINEL", "FAILOVER", "main"]).text(), "OK");
    until("the replica is promoted", async || group.has_failed_over()).await;
    crowd.may_lose(began - LAG, Instant::now() + Duration::from_secs(1));
    crowd.until_well().await;
    check(&other, &stays, &gone).await;
    until("the old one follows", async || group.master().info("role").as_deref() == Some("slave")).await;
    crowd.end().await;
}
