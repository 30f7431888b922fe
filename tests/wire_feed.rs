//! Copies kept in process by the feed's rules are never wrong for good, and never older than their owner chose, whatever
//! happens to the connections.
//!
//! Writers count versions up on a line of their own; readers answer from copies or fill them through a proxy that fails.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use buttress_redis::{Change, Feed, Mode, Redis, Sight};
use buttress_tests::load::turn;
use buttress_tests::{CuttingProxy, RedisServer};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep};

const KEYS: usize = 16;
const READERS: usize = 8;
/// What the owner of the copies chose: no copy is used when the feed has proven nothing for so long.
const TRUST: Duration = ms(500);
/// What a busy machine adds between looking at a copy and at the clock.
const SLACK: Duration = ms(250);

/// A cache as the documentation of [`Sight`] has it, and the truth to hold it against.
struct Copies {
    by_key: Mutex<HashMap<usize, usize>>,
    sight: Sight,
    /// When each version of each key was acknowledged.
    acked: [Mutex<Vec<Instant>>; KEYS],
    from_copy: AtomicUsize,
    from_redis: AtomicUsize,
    stalest: Mutex<Duration>,
    is_over: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_stay_coherent_through_faults_of_the_line() {
    let (_turn, server) = (turn().await, RedisServer::start());
    let proxy = CuttingProxy::start(server.addr()).await;
    let (redis, writer) = (connect(&proxy.url()), connect(&server.url()));
    let feed = redis.watch("copy:");
    let copies = Arc::new(Copies::new(feed.sight()));
    let mut tasks = copies.start(feed, &redis, &writer);

    sleep(ms(500)).await;
    for round in 0..2 {
        proxy.swallow_existing();
        sleep(ms(1_000)).await;
        proxy.refuse().await;
        sleep(ms(200)).await;
        proxy.accept().await;
        sleep(ms(600)).await;
        proxy.delay(ms(30));
        sleep(ms(300)).await;
        proxy.delay(Duration::ZERO);
        assert!(copies.is_used_again().await, "round {round}: the feed sees again");
    }
    copies.end(&mut tasks, &writer, "faults of the line").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_stay_coherent_through_faults_of_the_server() {
    let (_turn, server) = (turn().await, RedisServer::start());
    let (redis, writer) = (connect(&server.url()), connect(&server.url()));
    let feed = redis.watch("copy:");
    let copies = Arc::new(Copies::new(feed.sight()));
    let mut tasks = copies.start(feed, &redis, &writer);

    sleep(ms(500)).await;
    server.stop();
    sleep(ms(400)).await;
    server.cont();
    assert!(copies.is_used_again().await, "after SIGSTOP");
    assert_eq!(server.cli(&["FLUSHALL"]).text(), "OK");
    assert!(copies.is_used_again().await, "after FLUSHALL");
    assert!(server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).int() > 0);
    assert!(copies.is_used_again().await, "after CLIENT KILL");
    server.restart();
    assert!(copies.is_used_again().await, "after kill -9");
    copies.end(&mut tasks, &writer, "faults of the server").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_is_refused_stays_blind_and_hurts_nobody() {
    let (_turn, server) = (turn().await, RedisServer::start());
    let limited = ["ACL", "SETUSER", "limited", "on", ">pw", "~*", "+@all", "-client|tracking"];
    assert_eq!(server.cli(&limited).text(), "OK");
    let redis = connect(&format!("redis://limited:pw@{}", server.addr()));
    let mut feed = redis.watch("copy:");
    let sight = feed.sight();
    let told = tokio::time::timeout(ms(1_500), feed.next()).await;
    assert!(told.is_err() && !sight.sees() && sight.blind_since().is_some(), "{told:?}");
    write(&redis, 0, 1).await.expect("verbs work on");
    assert_eq!(read(&redis, 0).await, Some(1));
}

// === impl Copies ===

impl Copies {
    fn new(sight: Sight) -> Self {
        Self {
            by_key: Mutex::default(),
            sight,
            acked: std::array::from_fn(|_| Mutex::default()),
            from_copy: AtomicUsize::default(),
            from_redis: AtomicUsize::default(),
            stalest: Mutex::default(),
            is_over: AtomicBool::default(),
        }
    }

    fn start(self: &Arc<Self>, feed: Feed, redis: &Redis, writer: &Redis) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(self).follow(feed));
        tasks.spawn(Arc::clone(self).write_on(writer.clone()));
        for reader in 0..READERS {
            tasks.spawn(Arc::clone(self).read_on(redis.clone(), reader));
        }
        tasks
    }

    async fn follow(self: Arc<Self>, mut feed: Feed) {
        loop {
            match feed.next().await {
                Change::Everything => lock(&self.by_key).clear(),
                Change::Keys(keys) => {
                    for changed in keys {
                        let number =
                            std::str::from_utf8(&changed).ok().and_then(|key| key.strip_prefix("copy:")?.parse().ok());
                        lock(&self.by_key).remove(&number.expect("one of our keys"));
                    }
                }
            }
        }
    }

    /// Every version in turn; one that was not acknowledged is written again.
    async fn write_on(self: Arc<Self>, writer: Redis) {
        let mut turn = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            let number = turn % KEYS;
            let version = lock(&self.acked[number]).len();
            if write(&writer, number, version).await.is_ok() {
                lock(&self.acked[number]).push(Instant::now());
                turn += 1;
            }
            sleep(ms(1)).await;
        }
    }

    async fn read_on(self: Arc<Self>, redis: Redis, reader: usize) {
        let mut turn = reader;
        while !self.is_over.load(Ordering::Relaxed) {
            self.read_one(&redis, turn % KEYS).await;
            turn += 1;
            if turn % 64 < READERS { sleep(ms(1)).await } else { yield_now().await }
        }
    }

    async fn read_one(&self, redis: &Redis, number: usize) {
        let seen_at = Instant::now();
        let is_trusted = self.sight.sees() && seen_at.saturating_duration_since(self.sight.seen_until()) < TRUST;
        let copy = lock(&self.by_key).get(&number).copied();
        if let (true, Some(version)) = (is_trusted, copy) {
            self.from_copy.fetch_add(1, Ordering::Relaxed);
            return self.hold_against_the_truth(number, version, seen_at);
        }
        let sequence = self.sight.sequence(key(number));
        let Some(version) = read(redis, number).await else { return };
        self.from_redis.fetch_add(1, Ordering::Relaxed);
        lock(&self.by_key).insert(number, version);
        if self.sight.sequence(key(number)) != sequence || !self.sight.sees() {
            lock(&self.by_key).remove(&number);
        }
    }

    fn hold_against_the_truth(&self, number: usize, version: usize, seen_at: Instant) {
        if let Some(&replaced_at) = lock(&self.acked[number]).get(version + 1) {
            let stale = seen_at.saturating_duration_since(replaced_at);
            let mut stalest = lock(&self.stalest);
            *stalest = stale.max(*stalest);
        }
    }

    /// Whether, within three seconds, readers are answered from copies again.
    async fn is_used_again(&self) -> bool {
        let before = self.from_copy.load(Ordering::Relaxed);
        for _ in 0..150 {
            sleep(ms(20)).await;
            if self.sight.sees() && self.from_copy.load(Ordering::Relaxed) > before + 100 {
                sleep(ms(400)).await;
                return true;
            }
        }
        false
    }

    /// Nobody writes any more: a second later every copy is right.
    async fn end(&self, tasks: &mut JoinSet<()>, writer: &Redis, faults: &str) {
        sleep(ms(300)).await;
        self.is_over.store(true, Ordering::Relaxed);
        sleep(ms(1_000)).await;
        let copies = lock(&self.by_key).clone();
        let mut wrong = Vec::new();
        for (number, version) in &copies {
            if read(writer, *number).await != Some(*version) {
                wrong.push((*number, *version));
            }
        }
        tasks.abort_all();
        let (from_copy, from_redis) = (self.from_copy.load(Ordering::Relaxed), self.from_redis.load(Ordering::Relaxed));
        let stalest = *lock(&self.stalest);
        let versions: usize = self.acked.iter().map(|acked| lock(acked).len()).sum();
        println!(
            "{faults}: {versions} versions, {from_copy} reads from copies, {from_redis} from Redis, \
             stalest {stalest:?}, {} copies at the end",
            copies.len()
        );
        assert!(from_copy > 10_000 && from_redis > 300 && versions > 300, "the copies were at work");
        assert_eq!(wrong, [], "copies that are wrong for good");
        assert!(stalest <= TRUST + SLACK, "a copy was used {stalest:?} after it was replaced");
    }
}

// === Helpers ===

async fn write(redis: &Redis, number: usize, version: usize) -> Result<bool, buttress_redis::Error> {
    redis.set(key(number), version.to_string(), None, Mode::Always).await
}

async fn read(redis: &Redis, number: usize) -> Option<usize> {
    let bytes = redis.get(key(number)).await.ok()??;
    Some(std::str::from_utf8(&bytes).expect("text").parse().expect("a version"))
}

fn key(number: usize) -> String {
    format!("copy:{number}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(url: &str) -> Redis {
    Redis::connect(url).expect("a good URL")
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
