//! Rules: which responses, and what is said of them.
//!
//! ```
//! use std::time::Duration;
//! use buttress_assets::{CacheControl, Mode, Rule};
//!
//! let hour = Duration::from_secs(3600);
//! let downloads = Rule::new()
//!     .prefix("/downloads/")
//!     .extension(["zip", "gz"])
//!     .cache(CacheControl::new().public().max_age(hour));
//! let api = Rule::new().glob("/api/**")?; // says nothing: left as the service answers
//! let errors = Rule::new()
//!     .statuses(500..=599)
//!     .cache(CacheControl::new().no_store())
//!     .mode(Mode::Override);
//! # Ok::<(), buttress_assets::RuleError>(())
//! ```

mod condition;
mod error;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use buttress_rfc9111::{CacheControl, ResponseDirectives};
use globset::GlobBuilder;
use http::header::{CDN_CACHE_CONTROL, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use regex::Regex;

use condition::Condition;
pub use error::RuleError;

use crate::kind::Kind;
use crate::served::Served;

/// Which responses, and what is said of them: each method adds a condition or an effect. Without a condition it is for
/// all successful responses to GET and HEAD; without an effect it leaves them as they are, so that no later rule is asked.
#[derive(Clone, Debug)]
#[must_use]
pub struct Rule {
    name: Option<Box<str>>,
    conditions: Vec<Condition>,
    pub(crate) effect: Effect,
    pub(crate) mode: Mode,
    pub(crate) even_if_authorized: bool,
    /// Which kinds of things, as a set; the most usual condition, and the quickest to say no.
    kinds: u32,
    statuses: RangeInclusive<u16>,
    any_method: bool,
    any_type: bool,
}

/// What becomes of a response that says something itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Mode {
    /// Its `Cache-Control` and `Expires` stay; the rule is for responses that have neither.
    #[default]
    IfAbsent,
    /// The rule's take their place.
    Override,
    /// They go, and nothing takes their place.
    Remove,
}

/// What a rule says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effect {
    pub(crate) value: Option<HeaderValue>,
    pub(crate) targeted: Vec<(HeaderName, HeaderValue)>,
    /// Whether `Expires` is wanted beside `max-age`.
    expires: bool,
    /// Whether a shared cache may keep what was made for somebody who proved who he is (RFC 9111 section 3.5).
    pub(crate) shares_authorized: bool,
    max_age: Option<Duration>,
}

// === impl Rule ===

impl Rule {
    /// A rule for all successful responses to GET and HEAD.
    pub fn new() -> Self {
        Self {
            name: None,
            conditions: Vec::new(),
            effect: Effect::default(),
            mode: Mode::IfAbsent,
            even_if_authorized: false,
            kinds: u32::MAX,
            statuses: 200..=299,
            any_method: false,
            any_type: false,
        }
    }

    /// What it is called where a verdict is explained. Default: by what it says.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    // --- conditions, all of which have to hold ---

    /// The decoded path matches a glob: `*` and `?` within a segment, `**` across them, `{a,b}`, `[a-z]`.
    ///
    /// # Errors
    /// If the pattern is malformed.
    pub fn glob(self, pattern: &str) -> Result<Self, RuleError> {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        let glob = glob.map_err(|error| RuleError::new(pattern, error.kind()))?;
        Ok(self.with(Condition::Glob(glob.compile_matcher())))
    }

    /// The decoded path begins so.
    pub fn prefix(self, prefix: &str) -> Self {
        self.with(Condition::Prefix(prefix.into()))
    }

    /// The decoded path matches a regular expression, anywhere unless it is anchored. Linear in the path's length.
    ///
    /// # Errors
    /// If the expression is malformed or too large.
    pub fn regex(self, pattern: &str) -> Result<Self, RuleError> {
        let regex = Regex::new(pattern).map_err(|error| RuleError::new(pattern, error))?;
        Ok(self.with(Condition::Regex(regex)))
    }

    /// The path's extension is one of these, in any case; and the media type does not say that it is something else.
    pub fn extension<E: AsRef<str>>(self, extensions: impl IntoIterator<Item = E>) -> Self {
        let all = extensions.into_iter().map(|extension| extension.as_ref().trim_start_matches('.').into());
        self.with(Condition::Extension(all.collect()))
    }

    /// The response is one of these kinds.
    pub fn kind(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.any_type = true;
        self.kinds = kinds.into_iter().fold(0, |all, kind| all | kind.bit());
        self
    }

    /// The response's media type is one of these, in any case; `image/*` is for all images. What the path's extension
    /// promises does not matter then.
    pub fn media_type<M: AsRef<str>>(mut self, media_types: impl IntoIterator<Item = M>) -> Self {
        self.any_type = true;
        self.with(Condition::MediaType(media_types.into_iter().map(|one| one.as_ref().into()).collect()))
    }

    /// The response's status is this one. Without it, or [`statuses`](Self::statuses), a rule is for successes alone.
    pub fn status(self, status: StatusCode) -> Self {
        self.statuses(status.as_u16()..=status.as_u16())
    }

    /// The response's status is one of these, such as `500..=599`.
    pub fn statuses(mut self, statuses: RangeInclusive<u16>) -> Self {
        self.any_type = true; // an error is a page as often as not
        self.statuses = statuses;
        self
    }

    /// The request's method is one of these. Without it a rule is for GET and HEAD.
    pub fn method(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.any_method = true;
        self.with(Condition::Method(methods.into_iter().collect()))
    }

    /// Somebody [vouches](crate::Vouched) that what is under this name never changes.
    pub fn vouched(self) -> Self {
        self.with(Condition::Vouched)
    }

    /// A closure says so. It is asked for each response that the conditions before it let through.
    pub fn when(self, closure: impl Fn(&Served<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.with(Condition::Closure(Arc::new(closure)))
    }

    // --- effects ---

    /// What `Cache-Control` says.
    pub fn cache(mut self, directives: CacheControl) -> Self {
        let read = ResponseDirectives::from(&directives);
        self.effect.shares_authorized |= read.public || read.must_revalidate || read.s_maxage.is_some();
        self.effect.max_age = read.max_age.filter(|_| !read.no_store && read.no_cache.is_none());
        self.effect.value = Some(directives.to_value());
        self
    }

    /// What `CDN-Cache-Control` says beside it, for the caches of a CDN alone (RFC 9213).
    ///
    /// # Errors
    /// If an extension in it has no form in a structured field.
    pub fn cdn(self, directives: &CacheControl) -> Result<Self, RuleError> {
        self.targeted(CDN_CACHE_CONTROL, directives)
    }

    /// What another targeted field says, such as `Cloudflare-CDN-Cache-Control`.
    ///
    /// # Errors
    /// If an extension in it has no form in a structured field.
    pub fn targeted(mut self, field: HeaderName, directives: &CacheControl) -> Result<Self, RuleError> {
        let value = directives.to_targeted().map_err(|error| RuleError::new(&directives.to_string(), error))?;
        self.effect.shares_authorized = true;
        self.effect.targeted.push((field, value));
        Ok(self)
    }

    /// Says `Expires` beside `max-age`, for caches that are older than HTTP/1.1. Default: no. Costs a look at the clock
    /// and an allocation.
    pub fn expires(mut self) -> Self {
        self.effect.expires = true;
        self
    }

    /// What becomes of a response that says something itself. Default: it stays.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Also for requests with `Authorization`, although the rule lets shared caches keep the response (`public`,
    /// `s-maxage`, `must-revalidate`, a targeted field). Default: no.
    pub fn even_if_authorized(mut self) -> Self {
        self.even_if_authorized = true;
        self
    }

    fn with(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    // --- use ---

    /// Whether the rule is for this response.
    #[inline]
    pub(crate) fn matches(&self, served: &Served<'_>) -> bool {
        // Nearly all rules of the table are told apart by the kind alone.
        self.kinds & served.kind_bit != 0 && self.holds(served)
    }

    fn holds(&self, served: &Served<'_>) -> bool {
        self.statuses.contains(&served.status.as_u16())
            && (self.any_method || served.is_read)
            && (self.any_type || served.agrees)
            && self.conditions.iter().all(|condition| condition.holds(served))
    }

    /// How long from now `Expires` lies, if it is wanted and `max-age` says so.
    pub(crate) fn expires_in(&self) -> Option<Duration> {
        self.effect.max_age.filter(|_| self.effect.expires)
    }
}

impl Default for Rule {
    fn default() -> Self {
        Self::new()
    }
}

/// Its name, or what it says.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.mode, &self.effect.value) {
            (Some(name), _, _) => f.write_str(name),
            (None, Mode::Remove, _) => f.write_str("removed"),
            (None, _, Some(value)) => f.write_str(&String::from_utf8_lossy(value.as_bytes())),
            (None, _, None) => f.write_str("left as it is"),
        }
    }
}
