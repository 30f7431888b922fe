//! `Cache-Control`, in both directions (RFC 9111 section 5.2).
//!
//! What is written twice, or in contradiction, is read as the most restrictive (section 4.2.1): the shortest
//! `max-age`, the unqualified `private`, the longest `min-fresh`. What is malformed is read as the most restrictive
//! value it could have had; a lifetime that is no number is 0, one that is too large is 2^31 seconds. White space around
//! `=` is malformed. A quoted argument and a bare one mean the same. Unknown directives are kept.
//!
//! | malformed | is read as |
//! |---|---|
//! | `max-age`, `s-maxage`, `max-stale=x`, `stale-while-revalidate`, `stale-if-error` | 0 |
//! | `min-fresh` | 2^31 seconds |
//! | `no-cache=`, `private=` with an empty or malformed list | without a list, so all fields |
//! | any other directive with an argument | without its argument |
//!
//! [`CacheControl`] is the counterpart for authors: built, or read strictly, and written again. Each converts into the other.
//!
//! ```
//! use std::time::Duration;
//! use buttress_rfc9111::{RequestDirectives, ResponseDirectives};
//! use http::{HeaderMap, HeaderValue, header};
//!
//! let mut headers = HeaderMap::new();
//! headers.append(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=\"60\", ext=\"no-store, x\""));
//! headers.append(header::CACHE_CONTROL, HeaderValue::from_static("MAX-AGE=10"));
//! let response = ResponseDirectives::from_headers(&headers);
//! assert_eq!(response.max_age, Some(Duration::from_secs(10)));
//! assert!(response.public && !response.no_store);
//! assert_eq!(response.extensions[0].name(), "ext");
//!
//! assert!(RequestDirectives::from_headers(&HeaderMap::new()).is_empty());
//! ```

mod lexer;
mod request;
mod response;
mod directive;
mod field;
mod conversion;
mod error;

use std::time::Duration;

use http::HeaderName;

pub use directive::Directive;
pub use error::CacheControlError;
use error::Why;
pub use field::CacheControl;
use lexer::is_token;
pub(crate) use lexer::{Argument, directives};
pub use request::{MaxStale, RequestDirectives};
pub use response::ResponseDirectives;

/// The longest time that a directive or an `Age` can say, 2^31 seconds or 68 years; more is read as this much
/// (RFC 9111 section 1.2.2).
pub const MAX_DELTA: Duration = Duration::from_secs(1 << 31);

/// What a `no-cache` or `private` directive of a response speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldNames {
    /// The whole response.
    All,
    /// Only these fields of it. Never empty.
    Listed(Vec<HeaderName>),
}

/// A directive that this crate does not know (RFC 9111 section 5.2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    name: Box<str>,
    value: Option<Box<[u8]>>,
}

// === impl FieldNames ===

impl FieldNames {
    /// Whether the directive speaks of the whole response.
    pub fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Reads the argument of `no-cache` or `private`: a list of names, quoted or a single bare one.
    pub(crate) fn parse(argument: &Argument<'_>) -> Self {
        argument.text().map_or(Self::All, Self::from_list)
    }

    /// Names separated by commas; an empty or a malformed list is no list.
    pub(crate) fn from_list(text: &[u8]) -> Self {
        list_of_names(text).map_or(Self::All, Self::of)
    }

    /// These fields; none are no list.
    fn of(names: Vec<HeaderName>) -> Self {
        if names.is_empty() { Self::All } else { Self::Listed(names) }
    }

    /// Keeps the more restrictive of what is there and `other`: all beats a list, two lists become one.
    pub(crate) fn merge(into: &mut Option<Self>, other: Self) {
        *into = Some(match (into.take(), other) {
            (Some(Self::Listed(mut names)), Self::Listed(more)) => {
                names.extend(more);
                Self::Listed(names)
            }
            (None, other) => other,
            _ => Self::All,
        });
    }
}

fn list_of_names(text: &[u8]) -> Option<Vec<HeaderName>> {
    let names = text.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    names.filter(|name| !name.is_empty()).map(|name| HeaderName::from_bytes(name).ok()).collect()
}

// === impl Extension ===

impl Extension {
    /// One that can be said: its name a token that is not the name of a known directive, its argument without control characters.
    ///
    /// # Errors
    /// If it is not so.
    pub fn try_new(name: &str, value: Option<&[u8]>) -> Result<Self, CacheControlError> {
        let name = name.to_ascii_lowercase();
        match directive::is_known(&name) {
            true => Err(CacheControlError::new(name.as_bytes(), Why::Known)),
            false => Self::checked(&name, value).map_err(|why| CacheControlError::new(name.as_bytes(), why)),
        }
    }

    /// `name` is in lower case, and of no known directive.
    fn checked(name: &str, value: Option<&[u8]>) -> Result<Self, Why> {
        // What may stand in a quoted string (RFC 9110 section 5.6.4).
        let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        match () {
            () if !is_token(name.as_bytes()) => Err(Why::Name),
            () if !value.unwrap_or_default().iter().all(is_text) => Err(Why::Character),
            () => Ok(Self::from_parts(name, value)),
        }
    }

    pub(crate) fn new(directive: &lexer::Directive<'_>) -> Option<Self> {
        let name = std::str::from_utf8(directive.name).ok()?.to_ascii_lowercase().into();
        Some(Self { name, value: directive.argument.text().map(Into::into) })
    }

    pub(crate) fn from_parts(name: &str, value: Option<&[u8]>) -> Self {
        Self { name: name.into(), value: value.map(Into::into) }
    }

    /// Its name, in lower case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its argument without quotes, if it has one.
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }
}

// === deltas ===

/// A number of seconds (RFC 9111 section 1.2.2): `None` when it is not just digits, and never more than [`MAX_DELTA`].
///
/// ```
/// use buttress_rfc9111::cache_control::{MAX_DELTA, parse_delta};
/// assert_eq!(parse_delta(b"099999999999999999999"), Some(MAX_DELTA));
/// assert_eq!(parse_delta(b"-1"), None);
/// ```
pub fn parse_delta(text: &[u8]) -> Option<Duration> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = text.iter().fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    Some(Duration::from_secs(seconds).min(MAX_DELTA))
}

/// Keeps the shorter of what is there and `other`.
pub(crate) fn shorten(into: &mut Option<Duration>, other: Duration) {
    *into = Some(into.map_or(other, |known| known.min(other)));
}
