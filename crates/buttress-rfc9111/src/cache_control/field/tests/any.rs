//! Any call of the builder, and any text.

use http::header::{CACHE_CONTROL, CDN_CACHE_CONTROL, SET_COOKIE, VARY};
use proptest::prelude::*;

use super::*;

fn name() -> impl Strategy<Value = HeaderName> {
    prop::sample::select(vec![SET_COOKIE, VARY, HeaderName::from_static("x-a")])
}

/// One call of the builder.
fn step() -> impl Strategy<Value = Directive> {
    let time = prop_oneof![any::<u64>().prop_map(Duration::from_millis), Just(Duration::MAX), Just(Duration::ZERO)];
    let times = time.prop_flat_map(|time| {
        prop::sample::select(vec![
            Directive::MaxAge(time),
            Directive::SMaxAge(time),
            Directive::MaxStale(Some(time)),
            Directive::MinFresh(time),
            Directive::StaleIfError(time),
            Directive::StaleWhileRevalidate(time),
        ])
    });
    let lists = prop::collection::vec(name(), 0..3).prop_flat_map(|names| {
        prop::sample::select(vec![
            Directive::NoCache(FieldNames::Listed(names.clone())),
            Directive::Private(FieldNames::Listed(names)),
        ])
    });
    let flags = prop::sample::select(vec![Directive::Public, Directive::NoStore, Directive::MaxStale(None)]);
    let argument = prop::option::of(prop_oneof!["[ -~\t\u{80}-\u{ff}]{0,12}", "[a-zA-Z0-9*/:-]{1,4}", "-?[0-9]{1,17}"]);
    let extensions = ("[a-z*][a-z0-9_.*-]{0,3}|[!-~]{1,3}", argument).prop_map(|(name, argument)| {
        Directive::Extension(Extension::from_parts(&name, argument.as_deref().map(str::as_bytes)))
    });
    prop_oneof![times, lists, flags, extensions]
}

fn build(steps: Vec<Directive>) -> CacheControl {
    steps.into_iter().fold(CacheControl::new(), |field, step| match step {
        Directive::MaxAge(time) => field.max_age(time),
        Directive::SMaxAge(time) => field.s_maxage(time),
        Directive::MaxStale(limit) => field.max_stale(limit),
        Directive::MinFresh(time) => field.min_fresh(time),
        Directive::StaleIfError(time) => field.stale_if_error(time),
        Directive::StaleWhileRevalidate(time) => field.stale_while_revalidate(time),
        Directive::NoCache(FieldNames::Listed(names)) => field.no_cache_fields(names),
        Directive::Private(FieldNames::Listed(names)) => field.private_fields(names),
        Directive::Public => field.public(),
        Directive::NoStore => field.no_store(),
        Directive::Extension(extension) => {
            let checked = Extension::try_new(extension.name(), extension.value());
            checked.map_or(field.clone(), |extension| field.extension(extension))
        }
        other => unreachable!("{other}"),
    })
}

fn line(value: HeaderValue) -> HeaderMap {
    HeaderMap::from_iter([(CACHE_CONTROL, value)])
}

/// The lenient readers find the same in the field as in what was written. One that knows a directive only from the other
/// direction keeps its argument as it was spelled.
#[track_caller]
fn check_meaning(field: &CacheControl, written: &HeaderMap) {
    let (one, other) = (ResponseDirectives::from(field), ResponseDirectives::from_headers(written));
    assert_eq!(of_response(one), of_response(other), "{field}");
    let (one, other) = (RequestDirectives::from(field), RequestDirectives::from_headers(written));
    assert_eq!(of_request(one), of_request(other), "{field}");
}

fn of_response(read: ResponseDirectives) -> (ResponseDirectives, Vec<Directive>) {
    let extensions = read.extensions.iter().map(Directive::of_extension).collect();
    (ResponseDirectives { extensions: Vec::new(), ..read }, extensions)
}

fn of_request(read: RequestDirectives) -> (RequestDirectives, Vec<Directive>) {
    let extensions = read.extensions.iter().map(Directive::of_extension).collect();
    (RequestDirectives { extensions: Vec::new(), ..read }, extensions)
}

/// Directives, well-formed or nearly, and soups of their pieces.
fn text() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "max-age",
        "Private",
        "no-cache",
        "public",
        "ext",
        "max-stale",
        "min-fresh",
        "s-maxage",
        "x!",
        "",
    ]);
    let argument = prop::sample::select(vec![
        "",
        "",
        "=60",
        "=\"07\"",
        "=\"X-A, vary\"",
        "=x-a",
        "=\"a\\\"\\b\"",
        "=\"\u{e9}\"",
        "=",
        " =1",
        "=\"open",
        "=\"\"",
    ]);
    let comma = prop::sample::select(vec![", ", ", ", ",", " ,\t", ",,", "; ", "\n"]);
    let directives = prop::collection::vec((name, argument, comma), 1..4).prop_map(|parts| {
        let all: String = parts.iter().flat_map(|(name, argument, comma)| [*comma, *name, *argument]).collect();
        all[parts[0].2.len()..].to_owned()
    });
    prop_oneof![3 => directives, 1 => "([ -~\t\u{e9}]|[=\"\\\\,a1]){0,16}"]
}

proptest! {
    #[test]
    fn whatever_is_built_comes_back(steps in prop::collection::vec(step(), 0..8)) {
        let field = build(steps);
        prop_assert_eq!(&CacheControl::try_from(&field.to_value()), &Ok(field.clone()));
        check_meaning(&field, &line(field.to_value()));
        if let Ok(value) = field.to_targeted() {
            let read = targeted::directives(&HeaderMap::from_iter([(CDN_CACHE_CONTROL, value)]), &[CDN_CACHE_CONTROL]);
            prop_assert_eq!(read, ResponseDirectives { targeted: true, ..ResponseDirectives::from(&field) });
        }
    }

    #[test]
    fn any_text_is_refused_or_read_as_the_lenient_do(text in text()) {
        if let Ok(field) = text.parse::<CacheControl>() {
            prop_assert_eq!(&CacheControl::try_from(&field.to_value()), &Ok(field.clone()));
            prop_assert_eq!(&field.to_string().parse(), &Ok(field.clone()));
            // A line end is white space in a file of settings, and never stands in a field.
            check_meaning(&field, &line(HeaderValue::from_bytes(text.replace('\n', " ").as_bytes()).unwrap()));
        }
    }

    #[test]
    fn what_the_lenient_readers_take_can_be_written(text in text()) {
        let headers = line(HeaderValue::from_bytes(text.replace('\n', ",").as_bytes()).unwrap());
        let (response, request) = (ResponseDirectives::from_headers(&headers), RequestDirectives::from_headers(&headers));
        for field in [CacheControl::from(&response), CacheControl::from(&request)] {
            prop_assert_eq!(&CacheControl::try_from(&field.to_value()), &Ok(field.clone()));
        }
        prop_assert_eq!(of_response(ResponseDirectives::from(&CacheControl::from(&response))), of_response(response));
        prop_assert_eq!(of_request(RequestDirectives::from(&CacheControl::from(&request))), of_request(request));
    }
}
