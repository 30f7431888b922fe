//! One who asks every process for every token without a pause, while Redis suffers: a promise that is broken for a moment is broken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use buttress::jwt::{Revocation, Revocations, Standing, Token};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::bed::{token, until};

/// The default of `max_staleness`.
pub(crate) const BOUND: Duration = Duration::from_secs(1);

/// Asks until [`end`](Hammer::end).
pub(crate) struct Hammer {
    scene: Arc<Mutex<Scene>>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Scene {
    tokens: Vec<Watched>,
    tally: Tally,
    broken: Vec<String>,
}

/// A token, and since when it was promised to be refused.
#[derive(Clone)]
struct Watched {
    token: Token,
    is_revoked: bool,
    promised: Option<Instant>,
}

/// What was answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) good: u64,
    pub(crate) revoked: u64,
    pub(crate) unknown: u64,
    /// The longest time after the promise that a token was taken for good.
    pub(crate) latest: Duration,
}

// === impl Hammer ===

impl Hammer {
    /// Asks these processes. The first token stays good for ever.
    pub(crate) fn start(processes: &[&Revocations]) -> Self {
        let scene = Arc::new(Mutex::new(Scene::default()));
        let hammer = Self {
            tasks: processes.iter().map(|one| tokio::spawn(ask((*one).clone(), scene.clone()))).collect(),
            scene,
        };
        hammer.watch("good");
        hammer
    }

    /// Watches a token of this name.
    pub(crate) fn watch(&self, name: &str) -> Token {
        let token = token(&format!(r#""sub":"{name}","jti":"{name}""#));
        self.scene().tokens.push(Watched { token: token.clone(), is_revoked: false, promised: None });
        token
    }

    /// Revokes it at a process; whether that was acknowledged.
    pub(crate) async fn revoke(&self, by: &Revocations, name: &str) -> bool {
        let token = self.watch(name);
        self.of(&token, |watched| watched.is_revoked = true);
        let is_acknowledged = by.revoke(Revocation::token(&token)).await.is_ok();
        if is_acknowledged {
            let now = Instant::now();
            self.of(&token, |watched| watched.promised = Some(now));
        }
        is_acknowledged
    }

    /// Goes on until all that was promised so far is due, and for a while after that.
    pub(crate) async fn go_on(&self) {
        sleep(BOUND + Duration::from_millis(500)).await;
    }

    /// Waits until a process refuses all that was revoked.
    pub(crate) async fn until_known(&self, process: &Revocations) {
        let tokens: Vec<_> =
            self.scene().tokens.iter().filter(|one| one.is_revoked).map(|one| one.token.clone()).collect();
        until("all that was revoked is refused", async || {
            for token in &tokens {
                if !matches!(process.check(token).await, Standing::Revoked(_)) {
                    return false;
                }
            }
            true
        })
        .await;
    }

    /// What a process knows that came later, the moment that it says that it is ready.
    pub(crate) async fn check_newcomer(&self, newcomer: &Revocations) {
        until("the newcomer is ready", async || newcomer.is_ready()).await;
        let tokens = self.scene().tokens.clone();
        for Watched { token, is_revoked, .. } in tokens {
            let standing = newcomer.check(&token).await;
            assert_eq!(matches!(standing, Standing::Revoked(_)), is_revoked, "{:?}: {standing:?}", token.claims().id());
        }
    }

    /// What was answered since the last time.
    pub(crate) fn tally(&self) -> Tally {
        std::mem::take(&mut self.scene().tally)
    }

    /// Ends it.
    ///
    /// # Panics
    /// When a promise was broken.
    pub(crate) async fn end(self) {
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            drop(task.await);
        }
        let scene = self.scene.lock().unwrap_or_else(PoisonError::into_inner);
        println!("{:?}", scene.tally);
        assert!(scene.tally.revoked > 0, "nobody was ever refused");
        let first: Vec<_> = scene.broken.iter().take(5).collect();
        assert!(scene.broken.is_empty(), "{} answers broke a promise, such as {first:#?}", scene.broken.len());
    }

    fn of(&self, token: &Token, change: impl FnOnce(&mut Watched)) {
        let mut scene = self.scene();
        let id = token.claims().id();
        change(scene.tokens.iter_mut().find(|one| one.token.claims().id() == id).expect("it is watched"));
    }

    fn scene(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(process: Revocations, scene: Arc<Mutex<Scene>>) {
    loop {
        let tokens = scene.lock().unwrap_or_else(PoisonError::into_inner).tokens.clone();
        for watched in tokens {
            let began = Instant::now();
            let standing = process.check(&watched.token).await;
            scene.lock().unwrap_or_else(PoisonError::into_inner).note(&watched, began, standing);
        }
        sleep(Duration::from_millis(1)).await;
    }
}

// === impl Scene ===

impl Scene {
    /// `watched` is how it was before it was asked for.
    fn note(&mut self, watched: &Watched, began: Instant, standing: Standing) {
        let since = watched.promised.map_or(Duration::ZERO, |promised| began.saturating_duration_since(promised));
        match standing {
            Standing::Good => {
                self.tally.good += 1;
                self.tally.latest = self.tally.latest.max(since);
            }
            Standing::Revoked(_) => self.tally.revoked += 1,
            _ => self.tally.unknown += 1,
        }
        let name = watched.token.claims().id().unwrap_or_default();
        let is_revoked = self.tokens.iter().any(|one| one.is_revoked && one.token.claims().id() == Some(name));
        if standing == Standing::Good && since > BOUND {
            self.broken.push(format!("{name} was good {since:?} after it was revoked"));
        }
        if matches!(standing, Standing::Revoked(_)) && !is_revoked {
            self.broken.push(format!("{name} was refused and never revoked"));
        }
    }
}
