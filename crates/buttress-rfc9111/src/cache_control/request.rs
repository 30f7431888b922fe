//! What a client asks of the cache (RFC 9111 section 5.2.1).

use std::time::Duration;

use http::header::{self, HeaderMap};

use super::lexer::Directive;
use super::{Argument, Extension, MAX_DELTA, directives, parse_delta, shorten};

/// The directives of a request, with [malformed and contradicting ones](super) resolved.
///
/// The default is a request that asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// `no-cache`: validate before any reuse. Also from `Pragma` (section 5.4).
    pub no_cache: bool,
    /// `no-store`: keep neither this request nor its response.
    pub no_store: bool,
    /// `no-transform`: leave the content as it is.
    pub no_transform: bool,
    /// `only-if-cached`: answer from the store or with 504.
    pub only_if_cached: bool,
    /// `max-age`: no response that is older.
    pub max_age: Option<Duration>,
    /// `max-stale`: a stale response will do.
    pub max_stale: Option<MaxStale>,
    /// `min-fresh`: a response that stays fresh for at least as long.
    pub min_fresh: Option<Duration>,
    /// `stale-if-error`: when the origin is broken, a response that is stale for no longer will do (RFC 5861 section 4).
    pub stale_if_error: Option<Duration>,
    /// Directives unknown to this crate, in the order received.
    pub extensions: Vec<Extension>,
}

/// How stale a response may be for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxStale {
    /// Any staleness will do.
    Any,
    /// Stale for no longer than this.
    Within(Duration),
}

// === impl RequestDirectives ===

impl RequestDirectives {
    /// Reads all `Cache-Control` lines, or `Pragma` where there is none (RFC 9111 section 5.4).
    ///
    /// Costs two look-ups, and no allocation unless there is an unknown directive or an escaped quote.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let mut this = Self::default();
        if headers.contains_key(header::CACHE_CONTROL) {
            for directive in directives(headers, &header::CACHE_CONTROL) {
                this.add(&directive);
            }
        } else {
            this.no_cache = directives(headers, &header::PRAGMA).any(|directive| directive.is("no-cache"));
        }
        this
    }

    /// Whether the client asks for nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, directive: &Directive<'_>) {
        let delta = directive.argument.text().and_then(parse_delta);
        match () {
            () if directive.is("no-cache") => self.no_cache = true,
            () if directive.is("no-store") => self.no_store = true,
            () if directive.is("no-transform") => self.no_transform = true,
            () if directive.is("only-if-cached") => self.only_if_cached = true,
            () if directive.is("max-age") => shorten(&mut self.max_age, delta.unwrap_or_default()),
            () if directive.is("max-stale") => MaxStale::merge(&mut self.max_stale, &directive.argument),
            () if directive.is("min-fresh") => self.min_fresh = self.min_fresh.max(Some(delta.unwrap_or(MAX_DELTA))),
            () if directive.is("stale-if-error") => shorten(&mut self.stale_if_error, delta.unwrap_or_default()),
            () => self.extensions.extend(Extension::new(directive)),
        }
    }
}

// === impl MaxStale ===

impl MaxStale {
    /// Whether a response that has been stale for so long will do.
    pub fn allows(self, staleness: Duration) -> bool {
        match self {
            Self::Any => true,
            Self::Within(limit) => staleness <= limit,
        }
    }

    fn merge(into: &mut Option<Self>, argument: &Argument<'_>) {
        let other = match argument {
            Argument::Absent => Self::Any,
            argument => Self::Within(argument.text().and_then(parse_delta).unwrap_or_default()),
        };
        *into = Some(match (*into, other) {
            (Some(Self::Within(a)), Self::Within(b)) => Self::Within(a.min(b)),
            (Some(known @ Self::Within(_)), Self::Any) => known,
            (_, other) => other,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{headers, seconds};

    #[track_caller]
    fn check(lines: &str, expected: RequestDirectives) {
        assert_eq!(RequestDirectives::from_headers(&headers(lines)), expected, "{lines}");
    }

    fn none() -> RequestDirectives {
        RequestDirectives::default()
    }

    #[test]
    fn rfc9111_5_2_1_each_directive() {
        check("", none());
        check("Cache-Control: no-cache", RequestDirectives { no_cache: true, ..none() });
        check("Cache-Control: No-Store=1", RequestDirectives { no_store: true, ..none() });
        check("Cache-Control: no-transform", RequestDirectives { no_transform: true, ..none() });
        check("Cache-Control: only-if-cached", RequestDirectives { only_if_cached: true, ..none() });
        check("Cache-Control: max-age=0", RequestDirectives { max_age: Some(seconds(0)), ..none() });
        check("Cache-Control: max-age=\"9\"", RequestDirectives { max_age: Some(seconds(9)), ..none() });
        check("Cache-Control: max-age=soon", RequestDirectives { max_age: Some(seconds(0)), ..none() });
        check("Cache-Control: max-stale", RequestDirectives { max_stale: Some(MaxStale::Any), ..none() });
        check("Cache-Control: stale-if-error=7", RequestDirectives { stale_if_error: Some(seconds(7)), ..none() });
        check("Cache-Control: stale-if-error", RequestDirectives { stale_if_error: Some(seconds(0)), ..none() });
        for (argument, expected) in [("5", 5), ("", 0), ("x", 0), ("-1", 0)] {
            let max_stale = Some(MaxStale::Within(seconds(expected)));
            check(&format!("Cache-Control: max-stale={argument}"), RequestDirectives { max_stale, ..none() });
        }
        for (argument, expected) in [("5", 5), ("x", 1 << 31), ("99999999999", 1 << 31)] {
            let min_fresh = Some(seconds(expected));
            check(&format!("Cache-Control: min-fresh={argument}"), RequestDirectives { min_fresh, ..none() });
        }
    }

    #[test]
    fn the_most_restrictive_of_two_wins() {
        check(
            "Cache-Control: max-age=9\nCache-Control: max-age=3, max-age=5",
            RequestDirectives { max_age: Some(seconds(3)), ..none() },
        );
        check("Cache-Control: min-fresh=9, min-fresh=10", RequestDirectives { min_fresh: Some(seconds(10)), ..none() });
        for text in ["max-stale, max-stale=4", "max-stale=4, max-stale", "max-stale=4, max-stale=6"] {
            let max_stale = Some(MaxStale::Within(seconds(4)));
            check(&format!("Cache-Control: {text}"), RequestDirectives { max_stale, ..none() });
        }
    }

    #[test]
    fn rfc9111_5_4_pragma_counts_only_alone() {
        check("Pragma: No-Cache", RequestDirectives { no_cache: true, ..none() });
        check("Pragma: x, no-cache=1", RequestDirectives { no_cache: true, ..none() });
        check("Pragma: something", none());
        check("Pragma: no-cache\nCache-Control: max-age=5", RequestDirectives { max_age: Some(seconds(5)), ..none() });
        check("Pragma: no-cache\nCache-Control:", none());
    }

    #[test]
    fn unknown_directives_are_kept() {
        let found = RequestDirectives::from_headers(&headers("Cache-Control: Foo, bar=\"a, b\", no-cache"));
        let kept: Vec<_> = found.extensions.iter().map(|extension| (extension.name(), extension.value())).collect();
        assert_eq!(kept, [("foo", None), ("bar", Some(&b"a, b"[..]))]);
        assert!(found.no_cache);
    }
}
