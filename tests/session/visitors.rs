//! Visitors who come again and again, each with a session of its own, while Redis suffers: each sees its own, and all that was acknowledged to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use buttress::core::Outage;
use buttress::session::{Session, SessionLayer, Sessions};
use http::StatusCode;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::bed::until;
use crate::browser::{Browser, Handler, handler, said, text};

/// They come until [`end`](Crowd::end).
pub(crate) struct Crowd {
    scene: Arc<Scene>,
    tasks: Vec<JoinHandle<()>>,
}

/// What is allowed, and what was seen.
#[derive(Default)]
struct Scene {
    has_ended: AtomicBool,
    /// Redis forgets: a session may be gone, and never be another one's.
    may_lose_all: AtomicBool,
    /// What was acknowledged from then to then may be lost.
    may_lose: Mutex<Option<(Instant, Instant)>>,
    seen: Mutex<Seen>,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) good: usize,
    /// How long each refusal took.
    pub(crate) refused: Vec<Duration>,
    /// Answers of those who go on without a session.
    pub(crate) without: usize,
    pub(crate) begun_anew: usize,
    broken: Vec<String>,
}

/// One of them.
struct Visitor {
    number: usize,
    browser: Browser,
    layers: Vec<SessionLayer>,
    /// When each of its visits was acknowledged.
    acknowledged: Vec<Instant>,
    /// So many more may have been counted: nobody was told.
    open: usize,
}

/// `/number`: counts a visit of this visitor, and says whose session it is.
fn app() -> Handler {
    handler(async |path, session: Session| {
        if session.is_unavailable().await {
            session.get::<String>("whose").await?; // refused, if that is what the layer does
            return Ok(text("without"));
        }
        let whose = session.get::<String>("whose").await?;
        if whose.is_none() {
            session.insert("whose", &path[1..]).await?;
        }
        let count = session.incr("count", 1).await?;
        let list = session.update("list", move |list: &mut Vec<i64>| list.push(1)).await?;
        // Both are written in one step; more than a few need not be kept.
        assert!(list.len() as i64 == count, "{count} {list:?}");
        Ok(text(format!("{} {count}", whose.unwrap_or("nobody".to_owned()))))
    })
}

// === impl Crowd ===

impl Crowd {
    /// Visitors of these processes, of which half load before they are asked and half go on without a session when there is none to be had.
    pub(crate) async fn begin(processes: &[&Sessions]) -> Self {
        const VISITORS: usize = 8;
        let layers = processes.iter().flat_map(|sessions| {
            let layer = SessionLayer::new((*sessions).clone());
            [
                layer.clone(),
                layer.clone().prefetch(),
                layer.clone().outage(Outage::Open),
                layer.outage(Outage::Open).prefetch(),
            ]
        });
        let layers: Vec<_> = layers.collect();
        let scene = Arc::<Scene>::default();
        let mut tasks = Vec::new();
        for number in 0..VISITORS {
            let mut visitor = Visitor {
                number,
                browser: Browser::new(&layers[0]),
                layers: layers.clone(),
                acknowledged: Vec::new(),
                open: 0,
            };
            until("each has a session", async || {
                visitor.browser.ask(&app(), &format!("/{number}")).await.status() == 200
            })
            .await;
            visitor.acknowledged.push(Instant::now());
            let scene = Arc::clone(&scene);
            tasks.push(tokio::spawn(async move {
                while !scene.has_ended.load(Ordering::SeqCst) {
                    visitor.come(&scene).await;
                    sleep(Duration::from_millis(1)).await;
                }
            }));
        }
        let crowd = Self { scene, tasks };
        crowd.until_well().await;
        crowd
    }

    /// Redis is about to forget all, or has.
    pub(crate) fn may_lose_all(&self) {
        self.scene.may_lose_all.store(true, Ordering::SeqCst);
    }

    /// Redis has lost something of what it acknowledged from then to then.
    pub(crate) fn may_lose(&self, from: Instant, to: Instant) {
        *self.scene.may_lose.lock().unwrap_or_else(PoisonError::into_inner) = Some((from, to));
    }

    /// All of them have been answered well, several times, from now on.
    pub(crate) async fn until_well(&self) {
        let before = self.seen().good;
        until("they are answered again", async || self.seen().good > before + 100).await;
    }

    /// What was seen since the last time.
    pub(crate) fn take(&self) -> Seen {
        let mut seen = self.seen();
        let broken = std::mem::take(&mut seen.broken);
        std::mem::replace(&mut *seen, Seen { broken, ..Seen::default() })
    }

    /// All is well again, and nothing was broken.
    ///
    /// # Panics
    /// When it was.
    pub(crate) async fn end(self) {
        self.until_well().await;
        self.scene.has_ended.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.expect("nobody panics");
        }
        let seen = self.scene.seen();
        let first: Vec<_> = seen.broken.iter().take(5).collect();
        assert!(seen.broken.is_empty(), "{} answers broke a promise, such as {first:#?}", seen.broken.len());
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.scene.seen()
    }
}

// === impl Visitor ===

impl Visitor {
    async fn come(&mut self, scene: &Scene) {
        let layer = &self.layers[(self.acknowledged.len() + self.open) % self.layers.len()];
        let (before, began) = (self.browser.cookie(), Instant::now());
        let browser = self.browser.with(layer);
        let response = browser.ask(&app(), &format!("/{}", self.number)).await;
        let has_new_cookie = browser.cookie() != before;
        match said(&response) {
            (200, "without") => {
                self.check(!has_new_cookie, scene, || "a cookie without a session".to_owned());
                scene.seen().without += 1;
                self.open += 1; // not counted, but the next one goes elsewhere
            }
            (200, said) => self.note(said, has_new_cookie, scene),
            (status, said) => {
                let is_refusal = status == StatusCode::SERVICE_UNAVAILABLE.as_u16() || status == 409;
                // Who is told that the session has ended has seen it, and Redis has forgotten it since.
                let may_be = status != 409 || scene.may_lose_all.load(Ordering::SeqCst);
                self.check(is_refusal && may_be && !has_new_cookie, scene, || format!("answered with {status} {said}"));
                scene.seen().refused.push(began.elapsed());
                self.open += 1;
            }
        }
        self.browser = browser;
    }

    /// Whose session it was, and how many visits it has seen with this one.
    fn note(&mut self, said: &str, has_new_cookie: bool, scene: &Scene) {
        scene.seen().good += 1;
        let (whose, count) = said.split_once(' ').expect("two words");
        let count: usize = count.parse().expect("a number");
        let now = Instant::now();
        if whose == "nobody" {
            let may_be = scene.may_lose_all.load(Ordering::SeqCst) && has_new_cookie;
            self.check(may_be, scene, || format!("the session is gone, cookie {has_new_cookie}"));
            scene.seen().begun_anew += 1;
            (self.acknowledged, self.open) = (vec![now], 0);
            return;
        }
        self.check(whose == self.number.to_string(), scene, || format!("saw the session of {whose}"));
        self.check(!has_new_cookie, scene, || "a new cookie for an old session".to_owned());
        let gone = *scene.may_lose.lock().unwrap_or_else(PoisonError::into_inner);
        let is_kept = |at: &&Instant| gone.is_none_or(|(from, to)| **at < from || **at > to);
        let least = self.acknowledged.iter().filter(is_kept).count() + 1;
        let most = self.acknowledged.len() + self.open + 1;
        let known = self.acknowledged.len();
        self.check((least..=most).contains(&count), scene, || {
            format!("counted {count}, {known} were acknowledged, from {least} to {most} are right")
        });
        if count <= known {
            // It was lost in the time when that could be; what comes now has to stay.
            self.acknowledged.retain(|at| is_kept(&at));
            self.open += known - self.acknowledged.len();
        }
        self.acknowledged.push(now);
    }

    fn check(&self, is_right: bool, scene: &Scene, what: impl FnOnce() -> String) {
        if !is_right {
            scene.seen().broken.push(format!("visitor {}: {}", self.number, what()));
        }
    }
}

// === impl Scene ===

impl Scene {
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Seen ===

impl Seen {
    /// The time in which 99 of 100 refusals were there.
    pub(crate) fn p99(&self) -> Duration {
        let mut all = self.refused.clone();
        all.sort_unstable();
        all.get(all.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default()
    }
}
