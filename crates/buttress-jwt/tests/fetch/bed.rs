//! What the tests share: a service that trusts one issuer, its clock, and patience.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use buttress_core::ManualClock;
use buttress_jwt::{Algorithm, Fault, KeyUrl, Keys, Token, TrustedIssuer, Unverified, Verifier};
use tokio::time::{Instant, sleep};

pub(crate) const UNKNOWN: Result<(), Unverified> = Err(Unverified::Disbelieved(Fault::Key));
pub(crate) const AWAY: Result<(), Unverified> = Err(Unverified::KeysAway);

/// A service that trusts one issuer.
#[derive(Clone)]
pub(crate) struct Service {
    verifier: Verifier,
    hand: ManualClock,
}

/// A place that nobody shall connect to.
pub(crate) struct Trap(TcpListener);

// === impl Service ===

impl Service {
    pub(crate) fn new(url: KeyUrl) -> Self {
        Self::with(url, &hand())
    }

    pub(crate) fn with(url: KeyUrl, hand: &ManualClock) -> Self {
        let keys = Keys::url(url.clock(hand.clock()));
        let issuer = TrustedIssuer::new("https://issuer", "us", [Algorithm::ES256], keys);
        Self { verifier: Verifier::new([issuer]).unwrap(), hand: hand.clone() }
    }

    /// One that has keys.
    pub(crate) async fn ready(url: KeyUrl) -> Self {
        let service = Self::new(url);
        eventually("there are keys", || service.is_ready()).await;
        service
    }

    pub(crate) async fn ask(&self, token: &str) -> Result<(), Unverified> {
        self.verifier.verify_or_fetch(token, self.now()).await.map(|_: Token| ())
    }

    /// Whether it is believed by what is known.
    pub(crate) fn believes(&self, token: &str) -> bool {
        self.verifier.verify(token, self.now()).is_ok()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.verifier.is_ready()
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.hand.clock().now()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.hand.advance(Duration::from_secs(seconds));
    }
}

// === impl Trap ===

impl Trap {
    pub(crate) fn set() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}/jwks.json", self.0.local_addr().unwrap().port())
    }

    /// Whether somebody connected: the kernel keeps who did.
    pub(crate) fn caught(&self) -> bool {
        match self.0.accept() {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                false
            }
        }
    }
}

/// A clock that a test moves.
pub(crate) fn hand() -> ManualClock {
    ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_764_000_000))
}

/// Waits for it; longer than anything takes on a busy machine.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < Duration::from_secs(30), "not within 30 s: {what} ({place})");
            sleep(Duration::from_millis(10)).await;
        }
    }
}
