//! What a layer does while its store is away.

/// What a layer does while its store cannot be asked.
///
/// Each layer has one such setting, with a default its documentation argues for under *When Redis is away*.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Outage {
    /// Refuse what needs the store, with 503: nothing is admitted that could not be checked.
    Closed,
    /// Go on without the store: the request is served as if the layer knew nothing.
    Open,
}

impl Outage {
    /// The word used in logs, metrics and configuration files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
        }
    }
}
