//! What an origin says about reuse (RFC 9111 section 5.2.2, RFC 5861, RFC 8246).

use std::time::Duration;

use http::header::{self, HeaderMap};

use super::lexer::Directive;
use super::{Extension, FieldNames, directives, parse_delta, shorten};

/// The directives of a response, with [malformed and contradicting ones](super) resolved.
///
/// From `Cache-Control` by [`from_headers`](Self::from_headers), or from the field that takes its place by
/// [`targeted::directives`](crate::targeted::directives). The default is a response that says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseDirectives {
    /// `must-revalidate`: never stale without validation.
    pub must_revalidate: bool,
    /// `proxy-revalidate`: the same, for shared caches.
    pub proxy_revalidate: bool,
    /// `must-understand`: to be stored only by a cache that knows the status code.
    pub must_understand: bool,
    /// `no-store`: not to be stored.
    pub no_store: bool,
    /// `no-transform`: leave the content as it is.
    pub no_transform: bool,
    /// `public`: may be stored where that would otherwise be forbidden.
    pub public: bool,
    /// `immutable`: does not change while it is fresh (RFC 8246).
    pub immutable: bool,
    /// `no-cache`: not to be reused without validation, or not with these fields.
    pub no_cache: Option<FieldNames>,
    /// `private`: not for a shared cache, or not these fields.
    pub private: Option<FieldNames>,
    /// `max-age`: fresh for so long.
    pub max_age: Option<Duration>,
    /// `s-maxage`: fresh for so long in a shared cache, which overrides `max-age` and `Expires`.
    pub s_maxage: Option<Duration>,
    /// `stale-while-revalidate`: usable for so long after that while a refresh is under way (RFC 5861 section 3).
    pub stale_while_revalidate: Option<Duration>,
    /// `stale-if-error`: usable for so long after that when the origin is broken (RFC 5861 section 4).
    pub stale_if_error: Option<Duration>,
    /// Directives unknown to this crate, in the order received.
    pub extensions: Vec<Extension>,
    /// Whether they came from a targeted field, so that `Expires` does not count either (RFC 9213 section 2.2).
    pub targeted: bool,
}

// === impl ResponseDirectives ===

impl ResponseDirectives {
    /// Reads all `Cache-Control` lines.
    ///
    /// Where there is none, `Pragma: no-cache` is read as `no-cache`: the standard gives it no meaning in a response
    /// (RFC 9111 section 5.4), and its author plainly did not want the response reused.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let mut this = Self::default();
        if headers.contains_key(header::CACHE_CONTROL) {
            for directive in directives(headers, &header::CACHE_CONTROL) {
                this.add(&directive);
            }
        } else if directives(headers, &header::PRAGMA).any(|directive| directive.is("no-cache")) {
            this.no_cache = Some(FieldNames::All);
        }
        this
    }

    /// The lifetime that the directives state for a shared cache, if any.
    pub fn lifetime(&self) -> Option<Duration> {
        self.s_maxage.or(self.max_age)
    }

    /// Whether the whole response is for one user, or so much of it that nothing useful would be left.
    pub(crate) fn is_private(&self) -> bool {
        covers_response(self.private.as_ref())
    }

    /// Whether the whole response needs validation before each reuse.
    pub(crate) fn needs_validation(&self) -> bool {
        covers_response(self.no_cache.as_ref())
    }

    fn add(&mut self, directive: &Directive<'_>) {
        let delta = directive.argument.text().and_then(parse_delta).unwrap_or_default();
        let fields = || FieldNames::parse(&directive.argument);
        match () {
            () if directive.is("max-age") => shorten(&mut self.max_age, delta),
            () if directive.is("s-maxage") => shorten(&mut self.s_maxage, delta),
            () if directive.is("stale-while-revalidate") => shorten(&mut self.stale_while_revalidate, delta),
            () if directive.is("stale-if-error") => shorten(&mut self.stale_if_error, delta),
            () if directive.is("no-cache") => FieldNames::merge(&mut self.no_cache, fields()),
            () if directive.is("private") => FieldNames::merge(&mut self.private, fields()),
            () => match std::str::from_utf8(directive.name).ok().and_then(|name| self.flag(name)) {
                Some(flag) => *flag = true,
                None => self.extensions.extend(Extension::new(directive)),
            },
        }
    }

    /// The directive of this name, if it is one without an argument.
    pub(crate) fn flag(&mut self, name: &str) -> Option<&mut bool> {
        let flags = [
            ("immutable", &mut self.immutable),
            ("must-revalidate", &mut self.must_revalidate),
            ("must-understand", &mut self.must_understand),
            ("no-store", &mut self.no_store),
            ("no-transform", &mut self.no_transform),
            ("proxy-revalidate", &mut self.proxy_revalidate),
            ("public", &mut self.public),
        ];
        flags.into_iter().find(|(flag, _)| flag.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

fn covers_response(names: Option<&FieldNames>) -> bool {
    match names {
        None => false,
        Some(FieldNames::All) => true,
        Some(FieldNames::Listed(names)) => !names.iter().all(crate::fields::can_be_left_out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{headers, seconds};

    fn parse(text: &str) -> ResponseDirectives {
        ResponseDirectives::from_headers(&headers(&format!("Cache-Control: {text}")))
    }

    #[track_caller]
    fn check(text: &str, expected: ResponseDirectives) {
        assert_eq!(parse(text), expected, "{text}");
    }

    fn none() -> ResponseDirectives {
        ResponseDirectives::default()
    }

    fn listed(names: &[&'static str]) -> Option<FieldNames> {
        Some(FieldNames::Listed(names.iter().map(|name| http::HeaderName::from_static(name)).collect()))
    }

    #[test]
    fn rfc9111_5_2_2_each_directive() {
        check("", none());
        check("MUST-REVALIDATE", ResponseDirectives { must_revalidate: true, ..none() });
        check("proxy-revalidate", ResponseDirectives { proxy_revalidate: true, ..none() });
        check("must-understand", ResponseDirectives { must_understand: true, ..none() });
        check("no-store", ResponseDirectives { no_store: true, ..none() });
        check("no-store=\"x\"", ResponseDirectives { no_store: true, ..none() });
        check("no-transform", ResponseDirectives { no_transform: true, ..none() });
        check("public", ResponseDirectives { public: true, ..none() });
        check("immutable", ResponseDirectives { immutable: true, ..none() });
        check("stale-if-error=5", ResponseDirectives { stale_if_error: Some(seconds(5)), ..none() });
        check("stale-while-revalidate=x", ResponseDirectives { stale_while_revalidate: Some(seconds(0)), ..none() });
    }

    #[test]
    fn rfc9111_1_2_2_a_lifetime_that_is_no_number_is_zero() {
        for (text, expected) in [
            ("max-age=60", Some(60)),
            ("MaX-aGe=60", Some(60)),
            ("max-age=\"60\"", Some(60)),
            ("max-age=0060", Some(60)),
            ("max-age=2147483648", Some(1 << 31)),
            ("max-age=99999999999999999999999", Some(1 << 31)),
            ("max-age=-1", Some(0)),
            ("max-age=1.5", Some(0)),
            ("max-age=60a", Some(0)),
            ("max-age=a60", Some(0)),
            ("max-age='60'", Some(0)),
            ("max-age=", Some(0)),
            ("max-age", Some(0)),
            ("max-age =60", Some(0)),
            ("max-age= 60", Some(0)),
            ("max-age=\"60", Some(0)),
            ("max-age=60, max-age=x", Some(0)),
            ("max-age=60, max-age=10", Some(10)),
            ("max-age=10, max-age=60", Some(10)),
            ("maxage=60", None),
            ("ext=\"max-age=60\"", None),
            ("ext=\"x, max-age=60\"", None),
            ("max-age=1, ext=\"max-age=60\"", Some(1)),
        ] {
            assert_eq!(parse(text).max_age, expected.map(seconds), "{text}");
            assert_eq!(
                parse(&text.replace("max-age", "s-maxage")).s_maxage,
                expected.map(seconds).filter(|_| !text.contains("aG")),
                "{text}"
            );
        }
    }

    #[test]
    fn rfc9111_5_2_2_4_and_7_qualified_forms() {
        check("no-cache", ResponseDirectives { no_cache: Some(FieldNames::All), ..none() });
        check("no-cache=\"Set-Cookie\"", ResponseDirectives { no_cache: listed(&["set-cookie"]), ..none() });
        check("private=\"X-A, x-b,\"", ResponseDirectives { private: listed(&["x-a", "x-b"]), ..none() });
        check("private=x-a", ResponseDirectives { private: listed(&["x-a"]), ..none() });
        check("private=x-a, private=x-b", ResponseDirectives { private: listed(&["x-a", "x-b"]), ..none() });
        for text in
            ["private=\"\"", "private=", "private=\"a b\"", "private=x, private", "private, private=x", "private =x"]
        {
            check(text, ResponseDirectives { private: Some(FieldNames::All), ..none() });
        }
        assert!(!parse("private=\"x-a, set-cookie\"").is_private());
        assert!(parse("private=\"x-a, vary\"").is_private(), "without Vary it would be another response");
        assert!(parse("no-cache=content-type").needs_validation());
    }

    #[test]
    fn several_lines_are_one_list_and_pragma_counts_alone() {
        let lines = "Cache-Control: max-age=60, public\nCache-Control: private, s-maxage=5";
        let found = ResponseDirectives::from_headers(&headers(lines));
        assert_eq!(found.lifetime(), Some(seconds(5)));
        assert!(found.public && found.is_private());
        assert!(ResponseDirectives::from_headers(&headers("Pragma: no-cache")).needs_validation());
        assert!(
            !ResponseDirectives::from_headers(&headers("Pragma: no-cache\nCache-Control: public")).needs_validation()
        );
    }

    #[test]
    fn unknown_directives_are_kept() {
        let found = parse("x-new=\"1, 2\", Other");
        let kept: Vec<_> = found.extensions.iter().map(|extension| (extension.name(), extension.value())).collect();
        assert_eq!(kept, [("x-new", Some(&b"1, 2"[..])), ("other", None)]);
    }
}
