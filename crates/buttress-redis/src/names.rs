//! The metrics this crate writes, in one place.

use metrics::{counter, gauge};

use crate::{Error, link::Role};

pub(crate) fn up(role: Role, up: bool) {
    gauge!("buttress_redis_up", "role" => role.as_str()).set(f64::from(u8::from(up)));
}

pub(crate) fn connection(role: Role) {
    counter!("buttress_redis_connections_total", "role" => role.as_str()).increment(1);
}

pub(crate) fn error(role: Role, error: &Error) {
    counter!("buttress_redis_errors_total", "role" => role.as_str(), "kind" => error.as_str()).increment(1);
}

pub(crate) fn unproven(role: Role) {
    counter!("buttress_redis_unproven_replies_total", "role" => role.as_str()).increment(1);
}

pub(crate) fn foreign(role: Role) {
    counter!("buttress_redis_foreign_values_total", "role" => role.as_str()).increment(1);
}
