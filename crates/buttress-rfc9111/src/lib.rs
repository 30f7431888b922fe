//! The rules of HTTP caching.

pub mod date;
pub mod cache_control;
pub mod targeted;
pub mod entity_tag;
pub mod fields;
pub mod rules;
pub mod freshness;
pub mod storage;
pub mod reuse;
pub mod vary;
pub mod validation;
pub mod precondition;
pub mod range;
pub mod invalidation;
pub mod cache_status;
