#![no_main]
//! `If-None-Match` and `ETag`: a tag found in a list is a tag by itself, and matches itself.

use buttress_rfc9111::entity_tag::{Comparison, EntityTag, ListMatch, Member, match_list, members};
use http::header::IF_NONE_MATCH;

buttress_fuzz::field!("if-none-match", |headers| {
    for line in headers.get_all(IF_NONE_MATCH) {
        for member in members(line.as_bytes()) {
            if let Member::Tag(tag) = member {
                assert!(tag.weak_eq(tag) && tag.strong_eq(tag) != tag.is_weak());
                let answer = match_list(headers, &IF_NONE_MATCH, Some(tag), Comparison::Weak);
                assert_eq!(answer, ListMatch::Matched);
            }
        }
        if let Some(tag) = EntityTag::parse(line.as_bytes()) {
            assert!(!tag.opaque().contains(&b'"'));
        }
    }
});
