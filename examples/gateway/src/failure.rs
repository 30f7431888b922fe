//! Exchanges with the upstream that came to nothing, and why.

use std::error::Error;
use std::io;

use buttress::core::Refusal;
use http::StatusCode;

/// Why there is no answer. The reason is for programs; what exactly it was is for the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// The client left off in the middle of its body.
    BrokenRequest,
    /// The connection was not made in time.
    ConnectTimeout,
    /// Nobody listens there.
    ConnectionRefused,
    /// The name has no address.
    Dns,
    /// The client stopped sending its body.
    RequestTimeout,
    /// The certificate or the handshake is bad.
    Tls,
    /// The upstream closed the connection before it answered.
    UpstreamBroken,
    /// Its transfer coding is not known here.
    UpstreamCoding,
    /// What it says is not HTTP, or no answer to what was asked.
    UpstreamProtocol,
    /// It did not begin its answer in time.
    UpstreamTimeout,
    /// There is no connection, for another reason.
    UpstreamUnreachable,
}

// === impl Failure ===

impl Failure {
    pub(crate) fn as_str(self) -> &'static str {
        self.described().1
    }

    pub(crate) fn refusal(self) -> Refusal {
        let (status, reason, detail) = self.described();
        Refusal::new(status, reason).detail(detail)
    }

    fn described(self) -> (StatusCode, &'static str, &'static str) {
        const BAD: StatusCode = StatusCode::BAD_GATEWAY;
        const LATE: StatusCode = StatusCode::GATEWAY_TIMEOUT;
        match self {
            Self::BrokenRequest => (StatusCode::BAD_REQUEST, "broken-request", "the request ended before its end"),
            Self::ConnectTimeout => (LATE, "connect-timeout", "the upstream took no connection in time"),
            Self::ConnectionRefused => (BAD, "connection-refused", "the upstream refuses connections"),
            Self::Dns => (BAD, "dns-failure", "the upstream's name has no address"),
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "request-timeout", "the request stopped half-way"),
            Self::Tls => (BAD, "tls-failure", "there is no secure connection to the upstream"),
            Self::UpstreamBroken => (BAD, "upstream-broken", "the upstream broke off"),
            Self::UpstreamCoding => (BAD, "upstream-coding", "the upstream's transfer coding is not known here"),
            Self::UpstreamProtocol => (BAD, "upstream-protocol", "the upstream's answer makes no sense"),
            Self::UpstreamTimeout => (LATE, "upstream-timeout", "the upstream took too long"),
            Self::UpstreamUnreachable => (BAD, "upstream-unreachable", "the upstream cannot be reached"),
        }
    }

    /// Why a connection was not made.
    pub(crate) fn of_connecting(error: &(dyn Error + 'static)) -> Self {
        causes(error).find_map(Self::of_cause).unwrap_or(Self::UpstreamUnreachable)
    }

    fn of_cause(cause: &(dyn Error + 'static)) -> Option<Self> {
        match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
            _ if innermost(cause).is::<rustls::Error>() => Some(Self::Tls),
            Some(io::ErrorKind::ConnectionRefused) => Some(Self::ConnectionRefused),
            Some(io::ErrorKind::TimedOut) => Some(Self::ConnectTimeout),
            // hyper-util keeps the type of this one to itself.
            _ if cause.to_string().starts_with("dns error") => Some(Self::Dns),
            _ => None,
        }
    }

    /// Why a connection that was made brought no answer.
    pub(crate) fn of_asking(error: &(dyn Error + 'static)) -> Self {
        match causes(error).find_map(|cause| cause.downcast_ref::<hyper::Error>()) {
            Some(error) if error.is_user() => Self::BrokenRequest,
            Some(error) if error.is_parse() => Self::UpstreamProtocol,
            _ => Self::UpstreamBroken,
        }
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause: &&'a (dyn Error + 'static)| Error::source(*cause))
}

/// What an error of I/O wraps, which it does not count among its sources.
fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => innermost(wrapped),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_fail_are_told_apart() {
        for (error, expected) in [
            (io::Error::from(io::ErrorKind::ConnectionRefused), Failure::ConnectionRefused),
            (io::Error::from(io::ErrorKind::TimedOut), Failure::ConnectTimeout),
            (io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError), Failure::Tls),
            (io::Error::other(io::Error::other(rustls::Error::DecryptError)), Failure::Tls),
            (io::Error::other("dns error"), Failure::Dns),
            (io::Error::from(io::ErrorKind::AddrNotAvailable), Failure::UpstreamUnreachable),
        ] {
            assert_eq!(Failure::of_connecting(&error), expected, "{error:?}");
        }
    }
}
