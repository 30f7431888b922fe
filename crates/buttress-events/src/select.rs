//! Which of the things that are counted are meant.

use crate::series::{METHOD, REQUESTS, ROUTE, STATUS, Series};

/// Events of a name, or requests; all of them, or those with these labels.
///
/// ```
/// use buttress_events::Select;
///
/// let logins = Select::event("login"); // or "login".into()
/// let from_mail = Select::event("login").label("by", "mail");
/// let failed = Select::requests().route("/products/{id}").status("5xx");
/// # let _ = (logins, from_mail, failed);
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct Select {
    name: Box<str>,
    labels: Vec<(Box<str>, Box<str>)>,
}

// === impl Select ===

impl Select {
    /// Events of this name.
    pub fn event(name: impl Into<Box<str>>) -> Self {
        Self { name: name.into(), labels: Vec::new() }
    }

    /// Requests that an [`EventsLayer`](crate::EventsLayer) has counted.
    pub fn requests() -> Self {
        Self::event(REQUESTS)
    }

    /// Only those with this label. Can be called again.
    pub fn label(mut self, key: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.labels.push((key.into(), value.into()));
        self
    }

    /// Only requests of this route; of none, `<unmatched>`.
    pub fn route(self, route: impl Into<Box<str>>) -> Self {
        self.label(ROUTE, route)
    }

    /// Only requests with this method; one that HTTP does not know is `other`.
    pub fn method(self, method: impl Into<Box<str>>) -> Self {
        self.label(METHOD, method)
    }

    /// Only requests that ended so: `1xx`, `2xx`, `3xx`, `4xx`, `5xx`, `cancelled`.
    pub fn status(self, class: impl Into<Box<str>>) -> Self {
        self.label(STATUS, class)
    }

    pub(crate) fn takes(&self, series: &Series) -> bool {
        *self.name == *series.name && self.labels.iter().all(|(key, value)| series.label(key) == Some(value))
    }
}

impl From<&str> for Select {
    fn from(name: &str) -> Self {
        Self::event(name)
    }
}
