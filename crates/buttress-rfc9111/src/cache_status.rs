//! cache_status
