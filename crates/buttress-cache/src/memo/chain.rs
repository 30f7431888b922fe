//! Which keys are being loaded here, so that a loader which asks for its own key learns it instead of waiting for itself.

use std::sync::Arc;

tokio::task_local! {
    static CHAIN: Link;
}

/// A key that is being loaded, and the one whose loader asked for it.
#[derive(Clone)]
pub(crate) struct Link(Arc<(u128, Option<Self>)>);

/// Does the work of a loader.
pub(crate) async fn within<F: Future>(link: Link, work: F) -> F::Output {
    CHAIN.scope(link, work).await
}

/// The chain of this task, with one key more.
pub(crate) fn with(key: u128) -> Link {
    Link(Arc::new((key, CHAIN.try_with(Link::clone).ok())))
}

/// A chain that begins with this key.
pub(crate) fn of(key: u128) -> Link {
    Link(Arc::new((key, None)))
}

/// A chain with one key more.
pub(crate) fn after(link: Link, key: u128) -> Link {
    Link(Arc::new((key, Some(link))))
}

/// Whether this is called by the loader of a key, however indirectly.
pub(crate) fn contains(key: u128) -> bool {
    let mut next = CHAIN.try_with(Link::clone).ok();
    while let Some(Link(link)) = next {
        if link.0 == key {
            return true;
        }
        next = link.1.clone();
    }
    false
}
