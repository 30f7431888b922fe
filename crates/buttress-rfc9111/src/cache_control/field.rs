//! A whole `Cache-Control` field, built or read strictly, and written again without a loss.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, DictSerializer, Integer, KeyRef};

use super::directive::{Directive, Written, joined};
use super::error::{CacheControlError, Why};
use super::{Extension, FieldNames, MAX_DELTA};

/// A `Cache-Control` field: its directives in order, none left out.
///
/// Made by its methods or read from a text, strictly: for what an author writes. What arrives from others is read by
/// [`ResponseDirectives`](super::ResponseDirectives) and
/// [`RequestDirectives`](super::RequestDirectives), which find a meaning in everything.
///
/// ```
/// use std::time::Duration;
/// use buttress_rfc9111::{CacheControl, ResponseDirectives};
///
/// let hour = Duration::from_secs(3600);
/// let said = CacheControl::new().public().max_age(hour).stale_while_revalidate(24 * hour);
/// assert_eq!(said.to_value(), "public, max-age=3600, stale-while-revalidate=86400");
///
/// let read: CacheControl = "public, MAX-AGE=\"3600\", x-own=\"a b\"".parse()?;
/// assert_eq!(read.to_string(), "public, max-age=3600, x-own=\"a b\"");
/// assert_eq!(ResponseDirectives::from(&read).max_age, Some(hour));
///
/// let error = "max-age=1h".parse::<CacheControl>().unwrap_err();
/// assert_eq!(error.to_string(), "`max-age=1h` needs a whole number of seconds");
/// # Ok::<(), buttress_rfc9111::cache_control::CacheControlError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct CacheControl {
    pub(super) directives: Vec<Directive>,
}

// === impl CacheControl ===

/// Each method says one more thing; what was said under the same name before is replaced. Times are rounded down to whole
/// seconds, and are no longer than [`MAX_DELTA`].
impl CacheControl {
    /// Says nothing yet.
    pub const fn new() -> Self {
        Self { directives: Vec::new() }
    }

    /// `immutable`: does not change while it is fresh (RFC 8246).
    pub fn immutable(self) -> Self {
        self.with(Directive::Immutable)
    }

    /// `max-age`: fresh for so long; in a request: no older than this.
    pub fn max_age(self, time: Duration) -> Self {
        self.with(Directive::MaxAge(seconds(time)))
    }

    /// `max-stale`, of a request: a response that is stale for no longer than this, or any.
    pub fn max_stale(self, time: impl Into<Option<Duration>>) -> Self {
        self.with(Directive::MaxStale(time.into().map(seconds)))
    }

    /// `min-fresh`, of a request: fresh for at least as long.
    pub fn min_fresh(self, time: Duration) -> Self {
        self.with(Directive::MinFresh(seconds(time)))
    }

    /// `must-revalidate`: never stale without validation. It also lets shared caches keep what answers `Authorization`.
    pub fn must_revalidate(self) -> Self {
        self.with(Directive::MustRevalidate)
    }

    /// `must-understand`: to be stored only by a cache that knows the status code.
    pub fn must_understand(self) -> Self {
        self.with(Directive::MustUnderstand)
    }

    /// `no-cache`: not to be used without validation.
    pub fn no_cache(self) -> Self {
        self.with(Directive::NoCache(FieldNames::All))
    }

    /// `no-cache="…"`: not to be used with these fields without validation. No names at all mean the whole response.
    pub fn no_cache_fields(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.with(Directive::NoCache(listed(names)))
    }

    /// `no-store`: not to be stored.
    pub fn no_store(self) -> Self {
        self.with(Directive::NoStore)
    }

    /// `no-transform`: the content is to be left as it is.
    pub fn no_transform(self) -> Self {
        self.with(Directive::NoTransform)
    }

    /// `only-if-cached`, of a request: from the store or not at all.
    pub fn only_if_cached(self) -> Self {
        self.with(Directive::OnlyIfCached)
    }

    /// `private`: not for shared caches.
    pub fn private(self) -> Self {
        self.with(Directive::Private(FieldNames::All))
    }

    /// `private="…"`: these fields are not for shared caches. No names at all mean the whole response.
    pub fn private_fields(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.with(Directive::Private(listed(names)))
    }

    /// `proxy-revalidate`: as `must-revalidate`, for shared caches.
    pub fn proxy_revalidate(self) -> Self {
        self.with(Directive::ProxyRevalidate)
    }

    /// `public`: may be stored where that would otherwise be forbidden.
    pub fn public(self) -> Self {
        self.with(Directive::Public)
    }

    /// `s-maxage`: fresh for so long in shared caches.
    pub fn s_maxage(self, time: Duration) -> Self {
        self.with(Directive::SMaxAge(seconds(time)))
    }

    /// `stale-if-error`: usable for so long after that when the origin is broken (RFC 5861 section 4).
    pub fn stale_if_error(self, time: Duration) -> Self {
        self.with(Directive::StaleIfError(seconds(time)))
    }

    /// `stale-while-revalidate`: usable for so long after that while a refresh is under way (RFC 5861 section 3).
    pub fn stale_while_revalidate(self, time: Duration) -> Self {
        self.with(Directive::StaleWhileRevalidate(seconds(time)))
    }

    /// A directive that this crate does not know; see [`Extension::try_new`] for those that can be said.
    pub fn extension(self, extension: Extension) -> Self {
        self.with(Directive::Extension(extension))
    }

    /// What is said, in order. What was read may say a thing twice.
    pub fn directives(&self) -> impl Iterator<Item = &Directive> {
        self.directives.iter()
    }

    /// Reads all `Cache-Control` lines strictly, as one list.
    ///
    /// # Errors
    /// If a directive is malformed, or has an argument that it does not take.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, CacheControlError> {
        let mut this = Self::new();
        for line in headers.get_all(header::CACHE_CONTROL) {
            this.directives.extend(Self::try_from(line)?.directives);
        }
        Ok(this)
    }

    /// The field's value.
    #[must_use]
    pub fn to_value(&self) -> HeaderValue {
        HeaderValue::from_maybe_shared(self.written()).expect("no directive holds a control character")
    }

    /// The value of a targeted field such as `CDN-Cache-Control`, which is a structured field (RFC 9213 section 2.1).
    ///
    /// # Errors
    /// If a directive stands there twice, or an extension has a name or an argument that such a field cannot hold. Nothing to say is no
    /// structured field either.
    pub fn to_targeted(&self) -> Result<HeaderValue, CacheControlError> {
        let mut members = DictSerializer::new();
        for (place, directive) in self.directives.iter().enumerate() {
            let bad = |why| CacheControlError::new(directive.to_string().as_bytes(), why);
            if self.directives[..place].iter().any(|before| before.name() == directive.name()) {
                return Err(bad(Why::Twice));
            }
            let key = KeyRef::from_str(directive.name()).map_err(|_| bad(Why::Key))?;
            let string =
                |text: String| sfv::String::from_string(text).map(BareItem::String).map_err(|_| bad(Why::Text));
            let item = match directive.argument() {
                Written::Nothing => BareItem::Boolean(true),
                Written::Seconds(seconds) => {
                    BareItem::Integer(Integer::try_from(seconds).map_err(|_| bad(Why::Seconds))?)
                }
                Written::Fields(names) => string(joined(names))?,
                Written::Text(text) => string(String::from_utf8(text.to_vec()).map_err(|_| bad(Why::Text))?)?,
            };
            drop(members.bare_item(key, &item)); // no parameters
        }
        let text = members.finish().ok_or_else(|| CacheControlError::new(b"", Why::Name))?;
        HeaderValue::try_from(text).map_err(|_| CacheControlError::new(b"", Why::Character))
    }

    /// In the place of the first of this name; no other is left to contradict it.
    fn with(mut self, directive: Directive) -> Self {
        let place = self.directives.iter().position(|known| known.name() == directive.name());
        self.directives.retain(|known| known.name() != directive.name());
        self.directives.insert(place.unwrap_or(self.directives.len()), directive);
        self
    }

    fn written(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for directive in &self.directives {
            if !out.is_empty() {
                out.extend_from_slice(b", ");
            }
            directive.write(&mut out);
        }
        out
    }

    fn parse(mut text: &[u8]) -> Result<Self, CacheControlError> {
        let mut directives = Vec::new();
        while let Some(read) = Directive::first(text) {
            let (directive, rest) = read?;
            directives.push(directive);
            text = rest;
        }
        Ok(Self { directives })
    }
}

/// What a directive can say of this time.
pub(super) fn seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs()).min(MAX_DELTA)
}

fn listed(names: impl IntoIterator<Item = HeaderName>) -> FieldNames {
    FieldNames::of(names.into_iter().collect())
}

impl fmt::Display for CacheControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.written()))
    }
}

impl FromStr for CacheControl {
    type Err = CacheControlError;

    fn from_str(text: &str) -> Result<Self, CacheControlError> {
        Self::parse(text.as_bytes())
    }
}

impl TryFrom<&HeaderValue> for CacheControl {
    type Error = CacheControlError;

    fn try_from(value: &HeaderValue) -> Result<Self, CacheControlError> {
        Self::parse(value.as_bytes())
    }
}

#[cfg(test)]
mod tests;
