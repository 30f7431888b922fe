//! Between the field as it is written and what it means, in both directions.

use std::time::Duration;

use http::header::{CACHE_CONTROL, HeaderMap};

use super::field::seconds;
use super::{CacheControl, Directive, FieldNames, MaxStale, RequestDirectives, ResponseDirectives};

/// What [`ResponseDirectives::from_headers`] reads when the field is [written](CacheControl::to_value).
impl From<&CacheControl> for ResponseDirectives {
    fn from(field: &CacheControl) -> Self {
        Self::from_headers(&written(field))
    }
}

/// What [`RequestDirectives::from_headers`] reads when the field is [written](CacheControl::to_value).
impl From<&CacheControl> for RequestDirectives {
    fn from(field: &CacheControl) -> Self {
        Self::from_headers(&written(field))
    }
}

/// The field that states these directives, each once but for extensions. That they were targeted is not in it. A
/// directive of a request that stands among the extensions becomes that directive, and a malformed argument of it [the
/// most restrictive one](super).
impl From<&ResponseDirectives> for CacheControl {
    fn from(read: &ResponseDirectives) -> Self {
        // In full, so that what comes later cannot be forgotten here.
        let ResponseDirectives {
            must_revalidate,
            proxy_revalidate,
            must_understand,
            no_store,
            no_transform,
            public,
            immutable,
            no_cache,
            private,
            max_age,
            s_maxage,
            stale_while_revalidate,
            stale_if_error,
            extensions,
            targeted: _,
        } = read;
        let known = [
            public.then_some(Directive::Public),
            private.as_ref().map(fields).map(Directive::Private),
            no_cache.as_ref().map(fields).map(Directive::NoCache),
            no_store.then_some(Directive::NoStore),
            max_age.map(seconds).map(Directive::MaxAge),
            s_maxage.map(seconds).map(Directive::SMaxAge),
            stale_while_revalidate.map(seconds).map(Directive::StaleWhileRevalidate),
            stale_if_error.map(seconds).map(Directive::StaleIfError),
            must_revalidate.then_some(Directive::MustRevalidate),
            proxy_revalidate.then_some(Directive::ProxyRevalidate),
            must_understand.then_some(Directive::MustUnderstand),
            no_transform.then_some(Directive::NoTransform),
            immutable.then_some(Directive::Immutable),
        ];
        let extensions = extensions.iter().map(Directive::of_extension);
        Self { directives: known.into_iter().flatten().chain(extensions).collect() }
    }
}

/// The field that states these directives, each once but for extensions. A directive of a response that stands among the
/// extensions becomes that directive, and a malformed argument of it [the most restrictive one](super).
impl From<&RequestDirectives> for CacheControl {
    fn from(read: &RequestDirectives) -> Self {
        let RequestDirectives {
            no_cache,
            no_store,
            no_transform,
            only_if_cached,
            max_age,
            max_stale,
            min_fresh,
            stale_if_error,
            extensions,
        } = read;
        let known = [
            only_if_cached.then_some(Directive::OnlyIfCached),
            no_cache.then_some(Directive::NoCache(FieldNames::All)),
            no_store.then_some(Directive::NoStore),
            max_age.map(seconds).map(Directive::MaxAge),
            max_stale.map(limit).map(Directive::MaxStale),
            min_fresh.map(seconds).map(Directive::MinFresh),
            stale_if_error.map(seconds).map(Directive::StaleIfError),
            no_transform.then_some(Directive::NoTransform),
        ];
        let extensions = extensions.iter().map(Directive::of_extension);
        Self { directives: known.into_iter().flatten().chain(extensions).collect() }
    }
}

fn written(field: &CacheControl) -> HeaderMap {
    HeaderMap::from_iter([(CACHE_CONTROL, field.to_value())])
}

fn limit(max_stale: MaxStale) -> Option<Duration> {
    match max_stale {
        MaxStale::Any => None,
        MaxStale::Within(time) => Some(seconds(time)),
    }
}

/// A list that someone left empty is no list.
fn fields(names: &FieldNames) -> FieldNames {
    match names {
        FieldNames::All => FieldNames::All,
        FieldNames::Listed(names) => FieldNames::of(names.clone()),
    }
}
