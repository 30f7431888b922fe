//! The rules that hold where no other does: safe for what front-end builds put out.
//!
//! They are listed [in the crate's documentation](crate#what-is-said-by-default).

use std::time::Duration;

use buttress_rfc9111::CacheControl;

use crate::kind::Kind;
use crate::name;
use crate::rule::Rule;
use crate::served::Served;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const WEEK: Duration = Duration::from_secs(604_800);
/// "For ever" is said as a year (RFC 9111 section 5.3 knew no more for `Expires`).
const YEAR: Duration = Duration::from_secs(31_536_000);
/// Names that frameworks give to service workers.
const WORKERS: [&str; 6] = [
    "firebase-messaging-sw.js",
    "ngsw-worker.js",
    "onesignalsdkworker.js",
    "service-worker.js",
    "serviceworker.js",
    "sw.js",
];

/// What is said of pages.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Pages {
    /// Nothing.
    Leave,
    /// `no-cache`: kept, and validated before each use.
    #[default]
    Revalidate,
    /// `max-age=0, s-maxage=60, stale-while-revalidate=600`: validated by browsers, and kept for a minute by shared caches,
    /// which then show the old page while they fetch the new one. A new page is seen by all after eleven minutes at most.
    StaleWhileRevalidate,
}

pub(crate) fn rules(pages: Pages) -> Vec<Rule> {
    let no_cache = || CacheControl::new().no_cache();
    let lasting = CacheControl::new().max_age(DAY).stale_while_revalidate(WEEK);
    let mut rules = vec![
        Rule::new()
            .name("missing or broken, and hashed")
            .statuses(400..=599)
            .when(|served| served.looks_hashed())
            .cache(CacheControl::new().no_store()),
        Rule::new().name("immutable").vouched().cache(CacheControl::new().public().max_age(YEAR).immutable()),
        Rule::new().name("ACME challenge").prefix("/.well-known/acme-challenge/").cache(CacheControl::new().no_store()),
        Rule::new().name("service worker").kind([Kind::Script]).when(is_service_worker).cache(no_cache()),
        Rule::new().name("web application manifest").kind([Kind::WebManifest]).cache(no_cache()),
    ];
    rules.extend(match pages {
        Pages::Leave => Some(Rule::new().name("page").kind([Kind::Page])),
        Pages::Revalidate => Some(Rule::new().name("page").kind([Kind::Page]).cache(no_cache())),
        Pages::StaleWhileRevalidate => {
            let shared =
                CacheControl::new().max_age(Duration::ZERO).s_maxage(60 * SECOND).stale_while_revalidate(600 * SECOND);
            Some(Rule::new().name("page").kind([Kind::Page]).cache(shared))
        }
    });
    rules.extend([
        Rule::new().name("code").kind([Kind::Script, Kind::Style, Kind::Wasm, Kind::SourceMap]).cache(no_cache()),
        Rule::new().name("font").kind([Kind::Font]).cache(lasting.clone()),
        Rule::new().name("image").kind([Kind::Image]).cache(lasting.clone()),
        Rule::new().name("sound or video").kind([Kind::Media]).cache(lasting.clone()),
        Rule::new().name("document").kind([Kind::Document]).cache(lasting),
        Rule::new().name("feed").kind([Kind::Feed]).cache(CacheControl::new().max_age(HOUR)),
        Rule::new().name("data or text").kind([Kind::Data, Kind::Text]).cache(no_cache()),
    ]);
    rules
}

const SECOND: Duration = Duration::from_secs(1);

/// Browsers say when they fetch one; the names are for everybody else.
fn is_service_worker(served: &Served<'_>) -> bool {
    let file = name::file_name(served.path());
    served.asked.service_worker || WORKERS.iter().any(|name| name.eq_ignore_ascii_case(file))
}
