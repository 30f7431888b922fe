//! What is stored for a request, for somebody who looks.
//!
//! ```
//! use buttress_cache::{Cache, CacheLayer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), http::Error> {
//! let layer = CacheLayer::new(Cache::embedded());
//! let (parts, ()) = http::Request::get("http://shop.example/price").body(())?.into_parts();
//! assert!(layer.peek(&parts).await.is_none());
//! # Ok(())
//! # }
//! ```

use std::time::Duration;

use http::{HeaderMap, StatusCode, request};

use crate::asked::Asked;
use crate::entry::Entry;
use crate::exchange::Exchange;
use crate::keyed::Keyed;
use crate::layer::CacheLayer;

/// A stored response, without its body.
#[derive(Clone, Debug)]
pub struct Stored {
    status: StatusCode,
    headers: HeaderMap,
    age: Duration,
    fresh_for: i64,
    took: Duration,
    length: u64,
    tags: usize,
    varies_on: Vec<String>,
    is_purged_softly: bool,
}

impl CacheLayer {
    /// The stored response that a GET with this head would find, whatever it may be used for. Asks the store as a request would,
    /// Redis included, and changes nothing.
    pub async fn peek(&self, request: &request::Parts) -> Option<Stored> {
        let (cache, settings) = self.parts();
        let mut exchange =
            Exchange::new(cache, settings, request.clone(), Asked::anonymous(request, Keyed::of(request)));
        let (entry, soft) = exchange.look_up().await.ok()?;
        Some(exchange.stored(&entry, soft))
    }
}

impl Exchange {
    pub(crate) fn stored(&self, entry: &Entry, is_purged_softly: bool) -> Stored {
        let (terms, now) = (entry.terms(), self.cache.now());
        let variants = self.place.variants.as_ref().map(|(_, variants)| variants);
        Stored {
            status: entry.status(),
            headers: entry.headers(0),
            age: terms.age(now),
            fresh_for: terms.freshness_left(now),
            took: entry.cost(),
            length: entry.body_len(),
            tags: entry.tags().count(),
            varies_on: variants.map(|list| list.fields().names().map(str::to_owned).collect()).unwrap_or_default(),
            is_purged_softly,
        }
    }
}

// === impl Stored ===

impl Stored {
    /// Its status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Its fields, as they are kept: without those of one client, of one moment and of one connection.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// How old it is.
    #[must_use]
    pub const fn age(&self) -> Duration {
        self.age
    }

    /// For how many seconds it stays fresh; negative when it is stale.
    #[must_use]
    pub const fn fresh_for(&self) -> i64 {
        self.fresh_for
    }

    /// How long the service took to answer.
    #[must_use]
    pub const fn took(&self) -> Duration {
        self.took
    }

    /// The length of its body, in bytes.
    #[must_use]
    pub const fn body_len(&self) -> u64 {
        self.length
    }

    /// By how many tags and groups it can be purged.
    #[must_use]
    pub const fn tags(&self) -> usize {
        self.tags
    }

    /// The request fields that its URI varies on.
    #[must_use]
    pub fn varies_on(&self) -> &[String] {
        &self.varies_on
    }

    /// Whether it is to be validated because of a [soft](crate::Purge::soft) purge.
    #[must_use]
    pub const fn is_purged_softly(&self) -> bool {
        self.is_purged_softly
    }
}
