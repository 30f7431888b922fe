//! The word between whoever reads of a caller's own state and a cache on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// In a request's extensions: a switch that is thrown when the answer begins to depend on who is asking, whatever its fields say.
///
/// A cookie alone does not make an answer personal; what a handler does with it does, and nobody else sees that. So a layer that offers
/// a caller's state, such as a session, takes the switch out of the extensions (or puts one there) and throws it when the state is read. A cache on
/// either side shares the switch, and treats an answer that was made while it was thrown as one for that caller only.
///
/// ```
/// use buttress_core::Personal;
///
/// let mut request = http::Request::new(());
/// let seen_by_the_cache = Personal::of(request.extensions_mut());
/// let seen_by_the_session = Personal::of(request.extensions_mut());
/// seen_by_the_session.mark();
/// assert!(seen_by_the_cache.is_marked());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Personal(Arc<AtomicBool>);

// === impl Personal ===

impl Personal {
    /// The switch of this request; a new one if it has none.
    pub fn of(extensions: &mut http::Extensions) -> Self {
        extensions.get_or_insert_default::<Self>().clone()
    }

    /// The answer depends on who is asking, from now on.
    pub fn mark(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it does.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
