#![no_main]
//! `No-Vary-Search`: a policy comes back from its text, and a query that it normalised does not change again.

use buttress_rfc9111::no_vary_search::{self, NoVarySearch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (&[u8], &str)| {
    let (field, query) = data;
    let policy = no_vary_search::of(&buttress_fuzz::headers("no-vary-search", field));
    assert_eq!(NoVarySearch::from_text(&policy.to_text()).as_ref(), Some(&policy));
    let once = policy.normalise(Some(query));
    assert_eq!(policy.normalise(once.as_deref()), once);
    // An empty parameter more changes nothing, as soon as there is a policy.
    if !policy.is_default() {
        assert_eq!(policy.normalise(Some(&format!("&{query}&"))), once);
    }
});
