//! What would become of a request, and why, without asking the service.
//!
//! ```
//! use buttress_cache::{Cache, CacheLayer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), http::Error> {
//! let layer = CacheLayer::new(Cache::embedded());
//! let (parts, ()) = http::Request::get("http://shop.example/price").body(())?.into_parts();
//! let explanation = layer.explain(&parts).await;
//! assert_eq!((explanation.outcome(), explanation.reason()), ("fetched", "uri-miss"));
//!
//! let (parts, ()) = http::Request::post("http://shop.example/price").body(())?.into_parts();
//! assert_eq!(layer.explain(&parts).await.to_string(), "forwarded: method");
//! # Ok(())
//! # }
//! ```

use std::fmt;

use buttress_rfc9111::reuse::{self, OnMiss, Reuse};
use http::request;

use crate::exchange::Exchange;
use crate::layer::CacheLayer;
use crate::policy::{self, Plan};
use crate::stored::Stored;

/// What would become of a request.
#[derive(Clone, Debug)]
pub struct Explanation {
    outcome: &'static str,
    reason: &'static str,
    key: Option<String>,
    stored: Option<Stored>,
}

// === impl CacheLayer ===

impl CacheLayer {
    /// What would become of a GET or HEAD with this head, or of another request without a body. Asks the store as a request
    /// would, and neither the service nor for a lease.
    pub async fn explain(&self, request: &request::Parts) -> Explanation {
        let (cache, settings) = self.parts();
        let asked = match policy::on_request(request, false, settings) {
            Plan::Untouched => return Explanation::of("untouched", "protocol"),
            Plan::Forward(why) => return Explanation::of("forwarded", why.as_str()),
            Plan::Lookup(asked) => asked,
        };
        Exchange::new(cache, settings, request.clone(), asked).explained().await
    }
}

impl Exchange {
    async fn explained(mut self) -> Explanation {
        let found = self.look_up().await;
        let now = self.cache.now();
        let mut explanation = match &found {
            Ok((entry, soft)) => match self.decide(entry, *soft, now) {
                Reuse::Fresh => Explanation::of("reused", "fresh"),
                Reuse::Stale(why) => Explanation::of("reused", why.as_str()),
                Reuse::Unavailable(why) => Explanation::of("refused", why.as_str()),
                Reuse::Validate(_) if *soft => Explanation::of("validated", "purged-softly"),
                Reuse::Validate(why) => Explanation::of("validated", why.as_str()),
            },
            Err(_) if reuse::on_miss(&self.asked.directives) == OnMiss::Unavailable => {
                Explanation::of("refused", "not-cached")
            }
            Err(_) if self.is_passed() => Explanation::of("fetched", "not-shared-lately"),
            Err(why) => Explanation::of("fetched", why.as_str()),
        };
        explanation.key = Some(self.place.key.digest());
        explanation.stored = found.ok().map(|(entry, soft)| self.stored(&entry, soft));
        explanation
    }
}

// === impl Explanation ===

impl Explanation {
    /// What would be done: `reused`, `validated`, `fetched`, `refused` (by `only-if-cached`), `forwarded` (past the cache) or
    /// `untouched` (an upgrade, gRPC).
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        self.outcome
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }

    /// The digest in the name of the record, in Redis too.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The stored response that was found.
    #[must_use]
    pub const fn stored(&self) -> Option<&Stored> {
        self.stored.as_ref()
    }

    const fn of(outcome: &'static str, reason: &'static str) -> Self {
        Self { outcome, reason, key: None, stored: None }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.outcome, self.reason)
    }
}
