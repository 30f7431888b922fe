//! No caller ever receives another caller's answer, even where replies on a connection fall out of step with commands.
//!
//! Every value is unique to its key, so that one wrong answer among tens of thousands shows. Beside the wire runs a
//! plain fred client as the control: where it hands out wrong values, the situation has truly come about.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use buttress_redis::{Error, Mode, Redis, Reply, Script};
use buttress_tests::load::turn;
use buttress_tests::{Counters, CuttingProxy, Load, RedisServer, Resp, Sample};
use bytes::Bytes;
use fred::clients::Client;
use fred::interfaces::{ClientLike as _, KeysInterface as _, PubsubInterface as _, TransactionInterface as _};
use fred::types::config::{Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy};
use fred::types::{ClusterHash, CustomCommand};
use tokio::time::{sleep, timeout};

const KEYS: u64 = 256;
/// So many right answers at least, before a situation ends.
const ENOUGH: usize = 20_000;
const CALLERS: usize = 64;
const UNPROVEN: &str = "buttress_redis_unproven_replies_total";

static ECHO: Script = Script::new("echo", "return ARGV[1]");
static MARKED: Script = Script::new("marked", "return {ARGV[1], ARGV[2]}");
static SET_HASH: Script = Script::new("hash", "return redis.call('HSET', KEYS[1], 'i', ARGV[1], 'v', ARGV[2])");
static ABORT: Script = Script::new("abort", "return redis.error_reply('EXECABORT on purpose')");

/// What a caller received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Right,
    Missing,
    Refused(&'static str),
    Wrong,
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What was seen so far, while callers are at work.
#[derive(Clone, Debug, Default)]
struct Watch {
    right: Arc<AtomicUsize>,
    wrong: Arc<AtomicUsize>,
}

/// How often each was seen.
type Tally = BTreeMap<Seen, usize>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stray_and_lost_replies_reach_nobody() {
    let (_turn, counters, server) = (turn().await, Counters::install(), RedisServer::start());
    let (proxy, control_proxy) = (CuttingProxy::start(server.addr()).await, CuttingProxy::start(server.addr()).await);
    let redis = connect(&proxy.url());
    fill(&redis).await;
    let control = plain(&control_proxy.url()).await;
    let before = counters.get(UNPROVEN);

    let (watch, control_watch) = (Watch::default(), Watch::default());
    let load = Load::start(CALLERS, ms(1), any_verb(&redis, &watch));
    let control_load = Load::start(8, ms(1), plain_get(&control, &control_watch));
    let foreign = stored(&server, "key 7");
    let strays: [&[u8]; 5] = [
        b"-NOPERM No permissions to access a channel\r\n", // a SUBSCRIBE refused
        b"-ERR DISCARD without MULTI\r\n",                 // an EXEC aborted
        b"+OK\r\n",                                        // an ASKING
        b"_\r\n",                                          // nothing
        &foreign,                                          // somebody else's value, sealed and whole
    ];
    for round in 0..100 {
        if round >= 20 && watch.has_enough() && control_watch.has_wrong() {
            break;
        }
        // A frame that comes while nobody waits is dropped: then the next one may do.
        if !control_watch.has_wrong() {
            control_proxy.add_reply(b"$5\r\nstray\r\n");
        }
        match round % 3 {
            2 => proxy.lose_replies(),
            _ => proxy.add_reply(strays[round % strays.len()]),
        }
        // The connection is given up, and the next one serves for a while.
        sleep(ms(50)).await;
        while !redis.is_up() {
            sleep(ms(10)).await;
        }
        sleep(ms(80)).await;
    }
    let (seen, control_seen) = (tally(&load.end().await), tally(&control_load.end().await));
    let found = counters.get(UNPROVEN) - before;
    println!(
        "strays: {seen:?}; {} disturbances, {found} replies unproven; control: {control_seen:?}",
        proxy.disturbed()
    );
    assert!(proxy.disturbed() >= 15, "{} disturbances", proxy.disturbed());
    assert!(found > 0, "replies did fall out of step");
    assert!(count(&control_seen, Seen::Wrong) > 0, "the control shows the situation: {control_seen:?}");
    check(&seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_subscribe_of_the_owner_s_client_reaches_nobody() {
    let (_turn, server) = (turn().await, RedisServer::start());
    let no_channels = ["ACL", "SETUSER", "limited", "on", ">secret", "~*", "+@all", "resetchannels"];
    assert_eq!(server.cli(&no_channels).text(), "OK");
    let url = format!("redis://limited:secret@127.0.0.1:{}", server.port());
    let owners = plain(&url).await;
    let redis = Redis::from(&owners);
    fill(&redis).await;

    let (watch, control_watch) = (Watch::default(), Watch::default());
    let load = Load::start(CALLERS, ms(1), any_verb(&redis, &watch));
    let control_load = Load::start(8, ms(1), plain_get(&owners, &control_watch));
    for round in 0..2_000 {
        if round >= 100 && watch.has_enough() && control_watch.has_wrong() {
            break;
        }
        // It says yes: the refusal arrives later, and at somebody else.
        drop(owners.subscribe(format!("channel {round}")).await);
        sleep(ms(15)).await;
    }
    let (seen, control_seen) = (tally(&load.end().await), tally(&control_load.end().await));
    let refused = errors(&server, "NOPERM");
    println!("refused SUBSCRIBE: {seen:?}; {refused} refused; control: {control_seen:?}");
    assert!(refused >= 50, "{refused} subscriptions were refused");
    assert!(count(&control_seen, Seen::Wrong) > 0, "the control shows the situation: {control_seen:?}");
    check(&seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_transaction_and_a_stall_reach_nobody() {
    let (_turn, server) = (turn().await, RedisServer::start());
    let owners = plain(&server.url()).await;
    let redis = Redis::from(&owners);
    fill(&redis).await;

    let is_over = Arc::new(AtomicBool::new(false));
    let aborts = tokio::spawn(abort_transactions(owners.clone(), Arc::clone(&is_over)));
    let (watch, control_watch) = (Watch::default(), Watch::default());
    let load = Load::start(CALLERS, ms(1), any_verb(&redis, &watch));
    let control_load = Load::start(8, ms(1), plain_get(&owners, &control_watch));
    let mut stalls = 0;
    // The stall must begin while the client waits for a reply to its DISCARD, which takes a few attempts.
    while stalls < 60 && (stalls < 8 || !watch.has_enough() || !control_watch.has_wrong()) {
        stall(&server, ms(130), ms(270)).await;
        stalls += 1;
    }
    is_over.store(true, Ordering::Relaxed);
    aborts.await.expect("it ends");
    let (seen, control_seen) = (tally(&load.end().await), tally(&control_load.end().await));
    let aborted = errors(&server, "EXECABORT");
    println!("EXECABORT and {stalls} stalls: {seen:?}; {aborted} aborted; control: {control_seen:?}");
    assert!(aborted >= 20, "{aborted} transactions and scripts were aborted");
    assert!(count(&control_seen, Seen::Wrong) > 0, "the control shows the situation: {control_seen:?}");
    assert!(count(&seen, Seen::Refused("timed-out")) > 0, "the stalls outlast the deadline: {seen:?}");
    check(&seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_go_away_leave_their_replies_to_nobody() {
    let (_turn, server) = (turn().await, RedisServer::start());
    let redis = connect(&server.url());
    fill(&redis).await;

    let watch = Watch::default();
    let call = any_verb(&redis, &watch);
    // Cut off at the first poll, on the way, or not at all.
    let hasty = move |number: u64| {
        let call = call.clone();
        async move {
            let patience = Duration::from_micros(number % 7 * 100);
            timeout(patience, call(number)).await.unwrap_or(Seen::Refused("dropped"))
        }
    };
    let load = Load::start(CALLERS, ms(1), hasty);
    for round in 0..60 {
        if round >= 6 && watch.has_enough() {
            break;
        }
        stall(&server, ms(100), ms(300)).await;
    }
    let seen = tally(&load.end().await);
    println!("dropped calls: {seen:?}");
    assert!(count(&seen, Seen::Refused("dropped")) > 5_000, "{seen:?}");
    check(&seen);
}

// === The callers ===

/// Reads; and one of each twelve a read of many, of a hash, a script that answers, one that proves itself, one that fails.
fn any_verb(redis: &Redis, watch: &Watch) -> impl Fn(u64) -> Boxed<Seen> + Clone + Send + 'static + use<> {
    let (redis, watch) = (redis.clone(), watch.clone());
    move |number| {
        let (redis, watch) = (redis.clone(), watch.clone());
        Box::pin(async move {
            watch.note(match number / CALLERS as u64 % 12 {
                0 => read_many(&redis, number).await,
                1 => echo(&redis, number).await,
                2 => abort(&redis).await,
                3 => fields(&redis, number).await,
                4 => marked(&redis, number).await,
                _ => judge(number, redis.get(key(number)).await),
            })
        })
    }
}

async fn read_many(redis: &Redis, number: u64) -> Seen {
    let numbers = [number, number + 1, number + 2];
    match redis.get_many(&numbers.map(key)).await {
        Ok(found) => found.into_iter().zip(numbers).map(|(one, number)| judge(number, Ok(one))).max().expect("three"),
        Err(error) => Seen::Refused(error.as_str()),
    }
}

async fn echo(redis: &Redis, number: u64) -> Seen {
    match redis.run(&ECHO, &["{k}"], &[value(number)]).await {
        Ok(Reply::Bytes(bytes)) if bytes == value(number) => Seen::Right,
        Ok(_) => Seen::Wrong,
        Err(error) => Seen::Refused(error.as_str()),
    }
}

async fn fields(redis: &Redis, number: u64) -> Seen {
    let found = redis.fields(hash(number), ("i", &key(number).into_bytes())).await;
    judge(number, found.map(|found| Some(found?.into_iter().find(|(field, _)| field == "v")?.1)))
}

/// Its errors are not proven, its answers are.
async fn marked(redis: &Redis, number: u64) -> Seen {
    match redis.run_marked(&MARKED, &["{k}"], &[value(number)]).await {
        Ok(Reply::List(parts)) if parts == [Reply::Bytes(value(number))] => Seen::Right,
        Ok(_) => Seen::Wrong,
        Err(error) => Seen::Refused(error.as_str()),
    }
}

/// The error must be its own as well.
async fn abort(redis: &Redis) -> Seen {
    match redis.run(&ABORT, &["{k}"], &[]).await {
        Err(error) if error.to_string().contains("EXECABORT on purpose") => Seen::Right,
        Err(error) if error.as_str() != "rejected" => Seen::Refused(error.as_str()),
        _ => Seen::Wrong,
    }
}

fn plain_get(client: &Client, watch: &Watch) -> impl Fn(u64) -> Boxed<Seen> + Clone + Send + 'static + use<> {
    let (client, watch) = (client.clone(), watch.clone());
    move |number| {
        let (client, watch) = (client.clone(), watch.clone());
        Box::pin(async move {
            watch.note(match client.get::<Option<Bytes>, _>(key(number)).await {
                // The wire wrote it, behind a header.
                Ok(Some(bytes)) if bytes.ends_with(&value(number)) => Seen::Right,
                Ok(Some(_)) => Seen::Wrong,
                Ok(None) => Seen::Missing,
                Err(_) => Seen::Refused("error"),
            })
        })
    }
}

fn judge(number: u64, answer: Result<Option<Bytes>, Error>) -> Seen {
    match answer {
        Ok(Some(bytes)) if bytes == value(number) => Seen::Right,
        Ok(Some(_)) => Seen::Wrong,
        Ok(None) => Seen::Missing,
        // No read is refused in these situations: these would be another's words.
        Err(error) if matches!(error.as_str(), "denied" | "rejected") => Seen::Wrong,
        Err(error) => Seen::Refused(error.as_str()),
    }
}

#[track_caller]
fn check(seen: &Tally) {
    assert_eq!(count(seen, Seen::Wrong), 0, "{seen:?}");
    assert!(count(seen, Seen::Right) >= ENOUGH, "tens of thousands are answered: {seen:?}");
}

fn tally(samples: &[Sample<Seen>]) -> Tally {
    let mut tally = Tally::new();
    for sample in samples {
        *tally.entry(sample.outcome).or_default() += 1;
    }
    tally
}

fn count(tally: &Tally, seen: Seen) -> usize {
    tally.get(&seen).copied().unwrap_or_default()
}

// === impl Watch ===

impl Watch {
    fn note(&self, seen: Seen) -> Seen {
        match seen {
            Seen::Right => self.right.fetch_add(1, Ordering::Relaxed),
            Seen::Wrong => self.wrong.fetch_add(1, Ordering::Relaxed),
            Seen::Missing | Seen::Refused(_) => 0,
        };
        seen
    }

    fn has_enough(&self) -> bool {
        self.right.load(Ordering::Relaxed) > ENOUGH
    }

    fn has_wrong(&self) -> bool {
        self.wrong.load(Ordering::Relaxed) > 0
    }
}

// === The situations ===

async fn abort_transactions(client: Client, is_over: Arc<AtomicBool>) {
    while !is_over.load(Ordering::Relaxed) {
        let transaction = client.multi();
        let unknown = CustomCommand::new_static("NOPE", ClusterHash::FirstKey, false);
        drop(transaction.custom::<(), _>(unknown, vec!["k"]).await);
        drop(timeout(ms(500), transaction.exec::<()>(false)).await);
    }
}

/// Hangs the server for a while.
async fn stall(server: &RedisServer, hung: Duration, well: Duration) {
    server.stop();
    sleep(hung).await;
    server.cont();
    sleep(well).await;
}

/// A client as a program without the wire would have it.
async fn plain(url: &str) -> Client {
    let patience = ConnectionConfig { internal_command_timeout: ms(100), ..ConnectionConfig::default() };
    let performance = PerformanceConfig { default_command_timeout: ms(500), ..PerformanceConfig::default() };
    let config = Config::from_url(url).expect("the URL is good");
    let reconnects = ReconnectPolicy::new_constant(0, 20);
    let client = Client::new(config, Some(performance), Some(patience), Some(reconnects));
    client.init().await.expect("the server is up");
    client
}

// === Helpers ===

async fn fill(redis: &Redis) {
    for number in 0..KEYS {
        // Its first connection may still be on its way, and the machine busy.
        while redis.set(key(number), value(number), None, Mode::Always).await.is_err() {
            sleep(ms(5)).await;
        }
        while redis.run(&SET_HASH, &[hash(number)], &[key(number).into(), value(number)]).await.is_err() {
            sleep(ms(5)).await;
        }
    }
}

/// As the server would answer a GET.
fn stored(server: &RedisServer, key: &str) -> Vec<u8> {
    let mut line: Resp = server.line().expect("the server is up");
    let buttress_tests::Reply::Bulk(bytes) = line.ask(&["GET", key]).expect("answered") else { panic!("{key} is set") };
    [format!("${}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat()
}

fn errors(server: &RedisServer, code: &str) -> u64 {
    let count = server.info(&format!("errorstat_{code}"));
    count.and_then(|count| count.strip_prefix("count=")?.parse().ok()).unwrap_or_default()
}

fn connect(url: &str) -> Redis {
    Redis::options().connect(url).expect("the URL is good")
}

fn key(number: u64) -> String {
    format!("key {}", number % KEYS)
}

fn hash(number: u64) -> String {
    format!("hash {}", number % KEYS)
}

fn value(number: u64) -> Bytes {
    format!("the value of {} and of no other", number % KEYS).into()
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
