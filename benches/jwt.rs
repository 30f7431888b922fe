//! Claims: a token that was verified before costs at most a twentieth of `jsonwebtoken`'s `decode`, with the question whether it was revoked;
//! one that is seen first costs no more than that, although more is checked.
//!
//! All are asked in turns, with the same token of about 700 bytes.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::time::{Duration, Instant};

use buttress::core::Clock;
use buttress::jwt::{
    Algorithm, Issuer, JwtLayer, Key, Keys, Login, Revocation, Revocations, SigningKey, TrustedIssuer, Verifier,
};
use buttress_benches::report::{Target, claim, median};
use http::{HeaderValue, Request, Response};
use http_body_util::Empty;
use jsonwebtoken::{DecodingKey, Validation, decode};
use serde_json::Value;
use tower::{Layer as _, Service as _, service_fn};

const RSA: (&str, &str) = (include_str!("keys/rsa.pem"), include_str!("keys/rsa.pub.pem"));
const ES256: (&str, &str) = (include_str!("keys/es256.pem"), include_str!("keys/es256.pub.pem"));
const ED25519: (&str, &str) = (include_str!("keys/ed25519.pem"), include_str!("keys/ed25519.pub.pem"));
const SECRET: &[u8] = b"a secret for nothing but to measure with: 0123456789";
const ISSUER: &str = "https://accounts.example";

/// One algorithm, ours and theirs.
struct Contest {
    algorithm: Algorithm,
    signing: SigningKey,
    key: Key,
    theirs: DecodingKey,
    validation: Validation,
}

fn main() {
    let rounds = std::env::var("BENCH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(15);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for contest in contests() {
        runtime.block_on(contest.run(rounds));
    }
}

fn contests() -> [Contest; 4] {
    use jsonwebtoken::Algorithm as Theirs;
    let pem = |algorithm, (private, public): (&str, &str)| {
        let signing = SigningKey::pem(algorithm, private).expect("a private key").named("k");
        (signing, Key::pem(algorithm, public).expect("a public key").named("k"))
    };
    let secret = SigningKey::secret(Algorithm::HS256, SECRET).expect("a secret").named("k");
    let secret = (secret, Key::secret(Algorithm::HS256, SECRET).expect("a secret").named("k"));
    [
        (Algorithm::HS256, Theirs::HS256, secret, DecodingKey::from_secret(SECRET)),
        (
            Algorithm::RS256,
            Theirs::RS256,
            pem(Algorithm::RS256, RSA),
            DecodingKey::from_rsa_pem(RSA.1.as_bytes()).expect("PEM"),
        ),
        (
            Algorithm::ES256,
            Theirs::ES256,
            pem(Algorithm::ES256, ES256),
            DecodingKey::from_ec_pem(ES256.1.as_bytes()).expect("PEM"),
        ),
        (
            Algorithm::EdDSA,
            Theirs::EdDSA,
            pem(Algorithm::EdDSA, ED25519),
            DecodingKey::from_ed_pem(ED25519.1.as_bytes()).expect("PEM"),
        ),
    ]
    .map(|(algorithm, theirs, (signing, key), decoding)| {
        let mut validation = Validation::new(theirs);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&["shop"]);
        Contest { algorithm, signing, key, theirs: decoding, validation }
    })
}

impl Contest {
    async fn run(self, rounds: usize) {
        let name = self.algorithm;
        let revocations = crowded().await;
        let issuer = Issuer::new(ISSUER, "shop", self.signing.clone(), revocations.clone()).expect("an issuer");
        let login = Login::new("ada").scope("orders:read orders:write profile").claim("roles", ["admin", "support"]);
        let token = issuer.login(login).await.expect("tokens").access().to_owned();
        let trusted = || TrustedIssuer::new(ISSUER, "shop", [name], Keys::new([self.key.clone()]));
        let first = Verifier::new([trusted()]).expect("a verifier").remember(0);
        let again = Verifier::new([trusted()]).expect("a verifier");
        let clock = Clock::system();

        let mut bare = service_fn(answer);
        let mut guarded = JwtLayer::new(again, revocations.clone()).layer(service_fn(answer));
        let bearer = HeaderValue::try_from(format!("Bearer {token}")).expect("a field");
        let request = || {
            let mut request = Request::new(());
            request.headers_mut().insert("authorization", bearer.clone());
            request
        };
        let mut ask = |guard: bool| {
            if guard { drop(black_box(guarded.call(request()))) } else { drop(black_box(bare.call(request()))) }
        };
        let mut times = [const { Vec::new() }; 4];
        let count = if name == Algorithm::HS256 { 20_000 } else { 3_000 };
        for _ in 0..=rounds {
            times[0].push(time(count, || {
                drop(black_box(decode::<Value>(&token, &self.theirs, &self.validation).expect("good")))
            }));
            times[1].push(time(count, || drop(black_box(first.verify(&token, clock.now()).expect("good")))));
            times[2].push(time(20_000, || ask(true)));
            times[3].push(time(20_000, || ask(false)));
        }
        let [decode, first, guarded, bare] = times.map(|times| median(&times[1..]));
        println!(
            "{name}: {} bytes; decode {decode:.0} ns, first sight {first:.0} ns, repeated through the layer {:.0} ns",
            token.len(),
            guarded - bare
        );
        let most = if name == Algorithm::HS256 { Target::AtMost(1.0) } else { Target::None };
        claim(&format!("{name} seen first, of jsonwebtoken's decode"), most, first / decode, "×");
        let most = match name {
            Algorithm::RS256 | Algorithm::ES256 => Target::AtMost(0.05),
            _ => Target::None,
        };
        let what = format!("{name} repeated, the whole layer with 100,000 revocations, of decode");
        claim(&what, most, (guarded - bare) / decode, "×");
    }
}

/// With as many revocations as a large site has in a day.
async fn crowded() -> Revocations {
    let revocations = Revocations::embedded();
    for number in 0..100_000 {
        let name = number.to_string();
        let revocation = match number % 3 {
            0 => Revocation::id(ISSUER, &name),
            1 => Revocation::session(ISSUER, &name),
            _ => Revocation::subject(ISSUER, &name),
        };
        revocations.revoke(revocation).await.expect("revoked");
    }
    revocations
}

fn answer(_: Request<()>) -> Ready<Result<Response<Empty<bytes::Bytes>>, Infallible>> {
    ready(Ok(Response::new(Empty::new())))
}

/// Nanoseconds for one.
fn time(count: u32, mut act: impl FnMut()) -> f64 {
    let begun = now();
    for _ in 0..count {
        act();
    }
    let passed: Duration = now() - begun;
    passed.as_nanos() as f64 / f64::from(count)
}

#[expect(clippy::disallowed_methods, reason = "a stopwatch")]
fn now() -> Instant {
    Instant::now()
}
