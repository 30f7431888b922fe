//! Redis, made safe.
