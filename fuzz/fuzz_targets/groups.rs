#![no_main]
//! `Cache-Groups` and the tags: what is listed is within the limits, and comes back from its own list.

use buttress_rfc9111::groups::{self, CACHE_GROUPS, Groups, MAX_GROUPS, MAX_LENGTH, TAG_FIELDS};
use http::{HeaderMap, HeaderValue};

buttress_fuzz::field!("cache-groups", |headers| {
    let listed = groups::of(headers);
    let names = listed.names();
    assert!(names.len() <= MAX_GROUPS && names.iter().all(|name| name.len() <= MAX_LENGTH));
    assert_eq!(names.is_empty(), !matches!(listed, Groups::Listed(_)));
    let quoted = |name: &String| format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    let line = names.iter().map(quoted).collect::<Vec<_>>().join(",");
    let again = HeaderMap::from_iter([(CACHE_GROUPS, HeaderValue::from_str(&line).expect("printable"))]);
    assert_eq!(groups::of(&again).names(), names);

    let [surrogate_key, cache_tag] = TAG_FIELDS;
    let mut tagged = HeaderMap::new();
    for line in headers.get_all(CACHE_GROUPS) {
        tagged.append(&surrogate_key, line.clone());
        tagged.append(&cache_tag, line.clone());
    }
    for tag in groups::tags(&tagged).names() {
        assert!(!tag.is_empty() && tag.len() <= MAX_LENGTH && tag.bytes().all(|byte| byte.is_ascii_graphic()));
    }
});
