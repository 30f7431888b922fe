//! The rules of HTTP caching for a shared cache, as plain functions: headers and times in, an answer with its reason out.
//!
//! ```
//! use std::time::{Duration, UNIX_EPOCH};
//! use buttress_rfc9111::{RequestDirectives, Reuse, Rules, Terms, reuse, storage};
//! use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
//!
//! let rules = Rules::default();
//! let request = HeaderMap::new();
//! let response = HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"))]);
//!
//! // A response arrives. May it be stored, and on what terms is it reused?
//! let answer = storage::decide(&Method::GET, &request, StatusCode::OK, &response, &rules);
//! assert!(answer.is_allowed(), "{}", answer.as_str());
//! let arrival = UNIX_EPOCH + Duration::from_secs(1_767_528_000);
//! let terms = Terms::of(StatusCode::OK, &response, arrival, arrival, &rules);
//!
//! // Ten seconds later, a request for the same thing.
//! let now = arrival + Duration::from_secs(10);
//! let asked = RequestDirectives::from_headers(&request);
//! assert_eq!(reuse::decide(&asked, &terms, now, &rules), Reuse::Fresh);
//! assert_eq!(terms.age(now).as_secs(), 10);
//!
//! // A minute later it has to be validated.
//! let now = arrival + Duration::from_secs(70);
//! assert_eq!(reuse::decide(&asked, &terms, now, &rules).as_str(), "stale");
//! ```
//!
//! | question | answered by | RFC |
//! |---|---|---|
//! | What do these fields say? | [`cache_control`], [`targeted`], [`date`], [`entity_tag`] | 9111 section 5, 9213, 9110 |
//! | May it be stored, and which of its fields? | [`storage`], [`fields`] | 9111 section 3 |
//! | How is it said? | [`CacheControl`] | 9111 section 5.2 |
//! | How old is it, and until when is it fresh? | [`freshness`] | 9111 section 4.2 |
//! | Does it fit this request? | [`vary`] | 9111 section 4.1 |
//! | Which part of the query matters? | [`no_vary_search`] | draft-ietf-httpbis-no-vary-search |
//! | May it be used now, or when the origin is broken? | [`reuse`] | 9111 section 4, 5861, 8246 |
//! | Should it be refreshed before its end? | [`early`] | Vattani et al., VLDB 2015 |
//! | How is it validated and updated? | [`validation`] | 9111 section 4.3 |
//! | Does the client have it already, or want a part? | [`precondition`], [`range`] | 9110 sections 13 and 14 |
//! | What does an unsafe request make invalid? | [`invalidation`] | 9111 section 4.4 |
//! | Which responses become invalid together? | [`groups`] | 9875 |
//! | What was done, for those who look? | [`cache_status`] | 9211 |
//!
//! There is no clock in here, no store and no I/O: `now` is an argument, so that every rule can be tried in a test. What
//! the standard leaves open is set in [`Rules`]. Every malformed value has a defined outcome, the most restrictive one
//! where the standard names none; nothing panics, whatever arrives.
//!
//! A store keeps [`Terms`], which are computed once, beside each response. The directives of a request are read on every
//! hit, without an allocation in the usual case.

pub mod date;
pub mod cache_control;
pub mod targeted;
pub mod entity_tag;
pub mod fields;
pub mod rules;
pub mod freshness;
pub mod storage;
pub mod reuse;
pub mod early;
pub mod vary;
pub mod no_vary_search;
pub mod validation;
pub mod precondition;
pub mod range;
pub mod invalidation;
pub mod groups;
pub mod cache_status;
#[cfg(test)]
mod testing;

pub use cache_control::{CacheControl, RequestDirectives, ResponseDirectives};
pub use freshness::{LifetimeSource, Staleness, Terms};
pub use reuse::{Allowance, Fallback, OnError, OnMiss, Outdated, Reuse};
pub use rules::{Obey, Rules};
pub use storage::{Permission, Refusal, Storage};
