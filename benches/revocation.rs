//! Claims: a token that one process revokes is refused by another within 20 ms; a check costs at most 100 ns; a million revocations take
//! at most 100 MiB in each process.
//!
//! Two handles with connections of their own stand for two processes on one Redis. The first revokes; the second is asked without a pause,
//! and the time counts from when the revocation was acknowledged until it refuses.

use std::alloc::System;
use std::hint::black_box;
use std::time::Duration;

use buttress::jwt::{
    Algorithm, Audience, Key, Keys, Revocation, Revocations, Standing, Token, TrustedIssuer, Verifier,
};
use buttress::redis::Redis;
use buttress_benches::connected;
use buttress_benches::report::{Target, claim};
use buttress_tests::RedisServer;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::EncodingKey;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::time::Instant;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ISSUER: &str = "https://accounts.example";
const REVOKED: usize = 1_000;
const ENTRIES: usize = 100_000;
const MANY: usize = 1_000_000;
/// Few at a time, so that most rounds are over before anybody else wants the core.
const CHECKS: u32 = 10_000;
const ROUNDS: usize = 501;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let server = RedisServer::start();
    propagation(&server).await;
    check().await;
    memory().await;
    start(&server).await;
}

async fn propagation(server: &RedisServer) {
    let (one, other) = (process(server).await, process(server).await);
    let mut times = Vec::new();
    for number in 0..REVOKED {
        let token = token(&format!(r#""jti":"{number}","sub":"ada""#));
        assert_eq!(other.check(&token).await, Standing::Good);
        one.revoke(Revocation::token(&token)).await.expect("redis is there");
        let revoked = Instant::now();
        while other.check(&token).await == Standing::Good {
            tokio::task::yield_now().await;
        }
        times.push(revoked.elapsed().as_secs_f64() * 1_000.0);
    }
    times.sort_by(f64::total_cmp);
    let name = "p99 from a revocation to its refusal by another process, milliseconds";
    claim(name, Target::AtMost(20.0), times[REVOKED * 99 / 100], "ms");
    claim("… median", Target::None, times[REVOKED / 2], "ms");
    claim("… worst case", Target::AtMost(1_000.0), times[REVOKED - 1], "ms");
}

async fn check() {
    let revocations = Revocations::embedded();
    fill(&revocations, ENTRIES).await;
    revocations.revoke(Revocation::subject(ISSUER, "eve")).await.expect("in memory");
    revocations.revoke(Revocation::session(ISSUER, "of eve")).await.expect("in memory");
    let tokens: Vec<_> =
        (0..64).map(|n| token(&format!(r#""jti":"good-{n}","sub":"ada-{n}","sid":"s-{n}""#))).collect();
    let time = async |tokens: &[Token]| {
        let began = Instant::now();
        for number in 0..CHECKS as usize {
            black_box(revocations.check(black_box(&tokens[number % tokens.len()])).await);
        }
        began.elapsed().as_secs_f64() * 1e9 / f64::from(CHECKS)
    };
    time(&tokens).await;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        times.push(time(&tokens).await);
    }
    claim(
        "a check with 100,000 revocations of tokens, and some of logins and people",
        Target::AtMost(100.0),
        buttress_benches::report::median(&times),
        "ns",
    );
}

async fn memory() {
    let before = Region::new(ALLOCATOR);
    let revocations = Revocations::embedded();
    fill(&revocations, MANY).await;
    let change = before.change();
    let mib = |bytes: usize| f64::from(u32::try_from(bytes >> 10).expect("few")) / 1024.0;
    let kept = mib(change.bytes_allocated - change.bytes_deallocated);
    claim("memory of a million revocations in a process", Target::AtMost(100.0), kept, "MiB");
    assert_eq!(revocations.len(), MANY);
}

/// How long a process that starts takes to know a million.
async fn start(server: &RedisServer) {
    let used = || server.info("used_memory").and_then(|bytes| bytes.parse::<f64>().ok()).expect("a number");
    let before = used();
    let one = process(server).await;
    fill_shared(&one, MANY).await;
    let known = one.len();
    claim(
        "bytes in Redis per revocation",
        Target::None,
        (used() - before) / f64::from(u32::try_from(known).expect("few")),
        "bytes",
    );
    let began = Instant::now();
    let redis = connected(Redis::connect(&server.url()).expect("a valid URL")).await;
    let new = Revocations::options().redis(redis);
    while !new.is_ready() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    claim("a start with a million revocations in Redis, seconds", Target::None, began.elapsed().as_secs_f64(), "s");
    assert_eq!(new.len(), known);
}

async fn fill(revocations: &Revocations, count: usize) {
    for number in 0..count {
        revocations.revoke(Revocation::id(ISSUER, &format!("revoked-{number}"))).await.expect("in memory");
    }
}

/// The same with Redis, several at a time.
async fn fill_shared(revocations: &Revocations, count: usize) {
    const AT_ONCE: usize = 64;
    let mut tasks = tokio::task::JoinSet::new();
    for first in 0..AT_ONCE {
        let revocations = revocations.clone();
        tasks.spawn(async move {
            for number in (first..count).step_by(AT_ONCE) {
                let revocation = Revocation::id(ISSUER, &format!("revoked-{number}"));
                while revocations.revoke(revocation.clone()).await.is_err() {
                    // Redis is slow for a moment, and fails at once until it is there again.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("it does not panic");
    }
}

async fn process(server: &RedisServer) -> Revocations {
    let redis = connected(Redis::connect(&server.url()).expect("a valid URL")).await;
    let revocations = Revocations::options().redis(redis);
    revocations.ready().await;
    revocations
}

/// A token of the issuer with these further claims.
fn token(claims: &str) -> Token {
    const SECRET: [u8; 32] = *b"0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let key = Key::secret(Algorithm::HS256, SECRET).expect("a good secret");
    let trusted = TrustedIssuer::new(ISSUER, Audience::any_audience(), [Algorithm::HS256], Keys::new([key]));
    let verifier = Verifier::new([trusted]).expect("a verifier");
    let now = buttress::core::Clock::system().now();
    let seconds = now.duration_since(std::time::SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let payload = format!(r#"{{"iss":"{ISSUER}","iat":{seconds},"exp":{},{claims}}}"#, seconds + 3_600);
    let message = format!("{}.{}", part(r#"{"alg":"HS256"}"#), part(&payload));
    let signer = (jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.signer_factory)(
        &jsonwebtoken::Algorithm::HS256,
        &EncodingKey::from_secret(&SECRET),
    )
    .expect("a signer");
    let signature = signer.try_sign(message.as_bytes()).expect("a signature");
    let text = format!("{message}.{}", BASE64URL_NOPAD.encode(&signature));
    verifier.verify(&text, now).expect("a good token")
}
