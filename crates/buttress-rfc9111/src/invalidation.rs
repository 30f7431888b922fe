//! invalidation
