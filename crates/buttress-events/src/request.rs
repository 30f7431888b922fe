//! A request that is being counted: once, when it has ended, however it ends.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use crate::events::{Events, Shared};
use crate::policy::{Class, Verb};
use crate::registry::RouteId;

/// A request on its way. Dropped before it has ended, it was cancelled.
pub(crate) struct Counted {
    shared: Arc<Shared>,
    route: RouteId,
    pub(crate) verb: Verb,
    begun: Instant,
    /// What it is counted as when this is dropped.
    class: Class,
}

// === impl Counted ===

impl Counted {
    pub(crate) fn begin(events: &Events, route: RouteId, verb: Verb) -> Self {
        Self { shared: Arc::clone(&events.shared), route, verb, begun: Instant::now(), class: Class::Cancelled }
    }

    /// It has ended like this.
    pub(crate) fn end(mut self, class: Class) {
        self.class = class;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let slot = self.shared.registry.requests(self.route, self.verb, self.class);
        self.shared.shards.observe(slot, self.begun.elapsed().as_secs_f64());
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").field("verb", &self.verb).field("class", &self.class).finish_non_exhaustive()
    }
}
