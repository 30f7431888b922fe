//! Taking back what was stored: by tag, group, URI, path, host, or all of it.
//!
//! ```
//! use buttress_cache::{Cache, Purge};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cache = Cache::embedded(); // the handle that the layers were given
//! cache.purge(Purge::tag("product-7")).await?; // responses with `Surrogate-Key: product-7`
//! cache.purge(Purge::uri(&"https://shop.example/products/7".parse()?)?).await?;
//! cache.purge(Purge::prefix(&"https://shop.example/catalogue/".parse()?)?.soft()).await?;
//! let receipt = cache.purge(Purge::everything()).await?;
//! assert!(receipt.generation() > 0);
//! # Ok(())
//! # }
//! ```
//!
//! Each costs the same, however much it concerns: nothing is searched, entries are compared with what was purged when they are
//! asked for. What was fetched before the purge and arrives after it is not stored.

use std::fmt;

use http::Uri;
use http::uri::Scheme;
use tracing::Instrument as _;

use crate::cache::Cache;
use crate::key::{self, Key};
use crate::ledger::{Generation, Scope, Sweep};
use crate::tag::Tag;

/// What is to be purged.
#[derive(Clone, Debug)]
#[must_use]
pub struct Purge {
    what: What,
    soft: bool,
}

#[derive(Clone, Debug)]
enum What {
    Everything,
    Scope(Scope),
    Tag(Tag),
    Uri(Target),
}

/// A URI, in the parts that keys are made of.
#[derive(Clone, Debug)]
struct Target {
    uri: Uri,
    authority: String,
    /// Path and query.
    target: String,
}

/// That a purge was done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    generation: Generation,
    shared: bool,
}

/// A purge that may not have been done.
#[derive(Debug)]
pub struct PurgeError {
    source: buttress_redis::Error,
}

/// Not a URI with a host, or not a host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidPurge {
    value: String,
}

// === impl Purge ===

impl Purge {
    /// All responses with this name in `Surrogate-Key` or `Cache-Tag`.
    pub fn tag(name: impl AsRef<str>) -> Self {
        Self::of(What::Tag(Tag::named(name.as_ref())))
    }

    /// All responses of an origin with this name in `Cache-Groups` (RFC 9875).
    ///
    /// # Errors
    ///
    /// If `origin` has no host.
    pub fn group(origin: &Uri, name: impl AsRef<str>) -> Result<Self, InvalidPurge> {
        let Target { authority, .. } = Target::of(origin)?;
        Ok(Self::of(What::Tag(Tag::group(&authority, name.as_ref()))))
    }

    /// One URI with its query, in all its variants, with the answers to whatever was asked of it by QUERY, and under either scheme. With it
    /// go the responses of its path that answer more than one query ([`no_vary_search`](crate::CacheLayer::no_vary_search)): only they
    /// know which.
    ///
    /// # Errors
    ///
    /// If it has no host.
    pub fn uri(uri: &Uri) -> Result<Self, InvalidPurge> {
        Target::of(uri).map(|target| Self::of(What::Uri(target)))
    }

    /// All URIs of this authority whose path begins so, under either scheme. A query is ignored.
    ///
    /// # Errors
    ///
    /// If it has no host.
    pub fn prefix(uri: &Uri) -> Result<Self, InvalidPurge> {
        let Target { uri, authority, .. } = Target::of(uri)?;
        Ok(Self::of(What::Scope(Scope::Prefix { authority, path: uri.path().to_owned() })))
    }

    /// A host on all its ports, or on the one that is named.
    ///
    /// # Errors
    ///
    /// If it is not a host.
    pub fn host(host: &str) -> Result<Self, InvalidPurge> {
        let is_host = host.parse::<http::uri::Authority>().is_ok_and(|authority| !authority.as_str().contains('@'));
        if !is_host {
            return Err(InvalidPurge { value: host.to_owned() });
        }
        Ok(Self::of(What::Scope(Scope::Host(host.to_ascii_lowercase()))))
    }

    /// All that is stored under the cache's prefix.
    pub fn everything() -> Self {
        Self::of(What::Everything)
    }

    /// Rather than gone, what is purged is taken for stale: it is validated, and stands in while that is done or fails, where
    /// its response allows that.
    pub fn soft(mut self) -> Self {
        self.soft = true;
        self
    }

    #[cfg(feature = "memo")]
    pub(crate) fn of_tag(tag: Tag) -> Self {
        Self::of(What::Tag(tag))
    }

    fn of(what: What) -> Self {
        Self { what, soft: false }
    }
}

impl Cache {
    /// Purges. When it returns, this process serves nothing of what was purged, and no fill begun before is stored. Other
    /// processes on the same Redis hear of it within milliseconds, and in any case within
    /// [`local_max_stale`](crate::CacheOptions::local_max_stale). One round trip, three for a URI.
    ///
    /// Redis replicates without waiting: a master that dies right after a purge may take it along. This process remembers.
    ///
    /// # Errors
    ///
    /// Redis was not reached, or did not say that it was done: then it may have been, and may be tried again.
    pub async fn purge(&self, purge: Purge) -> Result<Receipt, PurgeError> {
        let span = tracing::debug_span!("cache.purge", purge.what = ?purge.what, purge.soft);
        let generation = self.do_purge(purge).instrument(span).await;
        match generation {
            Ok(generation) => {
                tracing::debug!(generation = generation.0, "purged");
                Ok(Receipt { generation, shared: self.stamps().is_some() })
            }
            Err(source) => {
                Self::count_error("purge", &source);
                Err(PurgeError { source })
            }
        }
    }

    /// Forgets what answers a URI under other keys than its own, and every fill of it under way: what answers several queries of its path,
    /// where that is followed, and with `contents` the answers to all questions about it.
    pub(crate) async fn forget_beside(&self, uri: &Uri, contents: bool) -> Result<(), PurgeError> {
        let Ok(target) = Target::of(uri) else { return Ok(()) };
        let (content, search) = (contents.then(|| target.tag()), self.follows_search().then(|| target.search_tag()));
        let tags: Vec<_> = content.into_iter().chain(search).collect();
        if tags.is_empty() {
            return Ok(());
        }
        let purged = self.purge_tags(&tags, false).await;
        purged.map(drop).map_err(|source| {
            // What is here is believed only when Redis vouches for it.
            tags.iter().for_each(|tag| self.coherence().forget_tag(tag));
            Self::count_error("forget", &source);
            PurgeError { source }
        })
    }

    async fn do_purge(&self, Purge { what, soft }: Purge) -> Result<Generation, buttress_redis::Error> {
        match what {
            What::Everything => self.purge_everything(soft).await,
            What::Scope(scope) => self.purge_scope(scope, soft).await,
            What::Tag(tag) => self.purge_tags(&[tag], soft).await,
            What::Uri(Target { authority, target, .. }) if soft => {
                self.purge_scope(Scope::Uri { authority, target }, soft).await
            }
            What::Uri(target) => self.purge_uri(&target).await,
        }
    }

    async fn purge_everything(&self, soft: bool) -> Result<Generation, buttress_redis::Error> {
        let said = match self.stamps() {
            Some(stamps) => Some(stamps.sweep(None, soft, self.coherence().generation()).await?),
            None => None,
        };
        Ok(self.coherence().purge_everything(soft, said))
    }

    async fn purge_scope(&self, scope: Scope, soft: bool) -> Result<Generation, buttress_redis::Error> {
        let said = match self.stamps() {
            Some(stamps) => {
                let sweep = Sweep { generation: Generation::default(), soft, scope: scope.clone() };
                Some(stamps.sweep(Some(&sweep), soft, self.coherence().generation()).await?)
            }
            None => None,
        };
        Ok(self.coherence().sweep(scope, soft, said))
    }

    async fn purge_tags(&self, tags: &[Tag], soft: bool) -> Result<Generation, buttress_redis::Error> {
        let said = match self.stamps() {
            Some(stamps) => Some(stamps.purge_tags(tags, soft, self.coherence().generation()).await?),
            None => None,
        };
        let purge = |_, tag: &Tag| self.coherence().purge_tag(*tag, soft, said, self.now());
        Ok(tags.iter().fold(Generation::default(), purge))
    }

    /// The record under the URI's own key goes, and leads to its variants no more. Where keys say more than the URI, a tag does it.
    async fn purge_uri(&self, target: &Target) -> Result<Generation, buttress_redis::Error> {
        for key in target.keys() {
            self.forget(&key).await?;
        }
        self.purge_tags(&[target.tag(), target.search_tag()], false).await
    }
}

// === impl Target ===

impl Target {
    fn of(uri: &Uri) -> Result<Self, InvalidPurge> {
        let invalid = || InvalidPurge { value: uri.to_string() };
        let authority = uri.authority().ok_or_else(invalid)?;
        let scheme = uri.scheme().unwrap_or(&Scheme::HTTP);
        let authority = key::normalised(authority.as_str().as_bytes(), scheme);
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        Ok(Self { uri: uri.clone(), authority: String::from_utf8(authority).map_err(|_| invalid())?, target })
    }

    fn tag(&self) -> Tag {
        Tag::uri(&self.authority, &self.target)
    }

    fn search_tag(&self) -> Tag {
        Tag::search(self.authority.as_bytes(), self.uri.path().as_bytes())
    }

    fn keys(&self) -> impl Iterator<Item = Key> {
        [Scheme::HTTP, Scheme::HTTPS].into_iter().map(|scheme| Key::of_uri(&self.uri, &scheme))
    }
}

// === impl Receipt ===

impl Receipt {
    /// A number that is larger for each later purge: of this process, or with Redis of the fleet.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.0
    }

    /// Whether it was done in Redis, for the fleet, or in this process, which has no Redis.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared
    }
}

impl fmt::Display for PurgeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the purge may not have reached redis: {}", self.source)
    }
}

impl std::error::Error for PurgeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl fmt::Display for InvalidPurge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a uri with a host, nor a host: {:?}", self.value)
    }
}

impl std::error::Error for InvalidPurge {}
